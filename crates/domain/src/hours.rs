//! Hours of a week at the site: when people work, and when a rule looks.

use crate::calendar::{LocalDay, SiteCalendar};
use crate::time::{DAY_MS, MINUTE_MS, TimestampMs};

const DAY_MIN: u16 = 24 * 60;
/// How far ahead an opening is looked for: a yearly market is found, an empty list ends.
const LOOK_AHEAD_DAYS: i32 = 400;

/// Which days: by weekday, by date, or by the day of the month (a market each first and sixth).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Days {
    /// Bit 0 is Monday.
    pub weekdays: u8,
    /// Bit 1 is the first of a month.
    pub month_days: u32,
    pub dates: Vec<LocalDay>,
}

impl Days {
    pub const EVERY: Self = Self { weekdays: 0b111_1111, month_days: 0, dates: Vec::new() };

    pub fn holds(&self, day: LocalDay) -> bool {
        self.weekdays >> day.weekday() & 1 == 1
            || self.month_days >> day.day_of_month() & 1 == 1
            || self.dates.contains(&day)
    }
}

/// A stretch of such a day, in minutes from its midnight. One that ends before it begins goes past midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub days: Days,
    pub from_min: u16,
    pub to_min: u16,
}

/// Spans, but for some days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hours {
    pub spans: Vec<Span>,
    pub except: Days,
}

impl Hours {
    /// Day and night.
    pub fn always() -> Self {
        Self {
            spans: vec![Span { days: Days::EVERY, from_min: 0, to_min: DAY_MIN }],
            except: Days::default(),
        }
    }

    pub fn contains(&self, calendar: SiteCalendar, at: TimestampMs) -> bool {
        self.end_of_current(calendar, at).is_some()
    }

    /// The first instant from `at` on that is inside; `None` when there is none within a year.
    pub fn next_from(&self, calendar: SiteCalendar, at: TimestampMs) -> Option<TimestampMs> {
        if self.contains(calendar, at) {
            return Some(at);
        }
        let today = calendar.day_of(at);
        (0..LOOK_AHEAD_DAYS).find_map(|ahead| {
            let opening = self.openings(calendar, today.plus(ahead)).map(|(start, _)| start);
            opening.filter(|start| *start >= at).min()
        })
    }

    /// The instant by which this much time inside has gone by; without any inside, plain time is counted.
    pub fn after(&self, calendar: SiteCalendar, at: TimestampMs, mut ms: i64) -> TimestampMs {
        let mut now = at;
        while let Some(start) = self.next_from(calendar, now) {
            let Some(end) = self.end_of_current(calendar, start) else { break };
            let length_ms = end.since_ms(start);
            if ms <= length_ms {
                return start.plus_ms(ms);
            }
            ms -= length_ms;
            now = end;
        }
        now.plus_ms(ms)
    }

    /// When the stretch that holds this instant ends; `None` outside. Neighbours that touch are one stretch for a day.
    fn end_of_current(&self, calendar: SiteCalendar, at: TimestampMs) -> Option<TimestampMs> {
        let today = calendar.day_of(at);
        let openings = self.openings(calendar, today.plus(-1)).chain(self.openings(calendar, today));
        openings.filter(|(start, end)| *start <= at && at < *end).map(|(_, end)| end).max()
    }

    fn openings(
        &self,
        calendar: SiteCalendar,
        day: LocalDay,
    ) -> impl Iterator<Item = (TimestampMs, TimestampMs)> {
        let is_open = !self.except.holds(day);
        let spans = self.spans.iter().filter(move |span| is_open && span.days.holds(day));
        spans.map(move |span| {
            let end_day = if span.to_min <= span.from_min { day.plus(1) } else { day };
            let instant = |day: LocalDay, minute: u16| {
                if minute >= DAY_MIN { calendar.start_of(day.plus(1)) } else { calendar.instant(day, minute) }
            };
            (instant(day, span.from_min), instant(end_day, span.to_min))
        })
    }
}

/// `07:30-19:00` as minutes of the day; `24:00` is its end.
pub fn parse_span(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let total = hour * 60 + minute;
        (hour <= 24 && minute < 60 && total <= DAY_MIN).then_some(total)
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from != to && from < DAY_MIN).then_some((from, to))
}

/// `mon` or a range such as `mon-fri`, as bits.
pub fn parse_weekdays(text: &str) -> Option<u8> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let number = |name: &str| NAMES.iter().position(|known| known.eq_ignore_ascii_case(name.trim()));
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    let days = (last + 7 - first) % 7;
    Some((0..=days).fold(0, |bits, ahead| bits | 1 << ((first + ahead) % 7)))
}

impl SiteCalendar {
    /// The instant at which the clock on the wall shows this minute of this day; in a gap, when it ends.
    pub fn instant(self, day: LocalDay, minute: u16) -> TimestampMs {
        let midnight = self.start_of(day);
        let plain = midnight.plus_ms(i64::from(minute) * MINUTE_MS);
        // Away from days whose clocks change, minutes are minutes.
        if self.start_of(day.plus(1)).since_ms(midnight) == DAY_MS {
            return plain;
        }
        let text = |minute: u16| format!("{}T{:02}:{:02}:00", day.iso(), minute / 60, minute % 60);
        let later = (minute..DAY_MIN).step_by(15).find_map(|minute| self.parse_local(&text(minute)));
        later.unwrap_or(plain)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::HOUR_MS;

    fn at(text: &str) -> TimestampMs {
        TimestampMs::parse_rfc3339(text).expect("a time")
    }

    fn china() -> SiteCalendar {
        SiteCalendar::named("Asia/Shanghai").expect("a zone")
    }

    fn office() -> Hours {
        let days = Days { weekdays: parse_weekdays("mon-fri").expect("days"), ..Days::default() };
        let span = |text: &str| {
            let (from_min, to_min) = parse_span(text).expect("a span");
            Span { days: days.clone(), from_min, to_min }
        };
        Hours { spans: vec![span("08:00-12:00"), span("13:00-17:00")], except: Days::default() }
    }

    #[test]
    fn working_time_leaves_out_noon_the_night_and_the_weekend() {
        // 2026-03-06 is a Friday.
        for (from, ms, to) in [
            ("2026-03-06T08:30:00+08:00", HOUR_MS, "2026-03-06T09:30:00+08:00"),
            ("2026-03-06T11:30:00+08:00", HOUR_MS, "2026-03-06T13:30:00+08:00"),
            ("2026-03-06T16:00:00+08:00", 2 * HOUR_MS, "2026-03-09T09:00:00+08:00"),
            ("2026-03-07T03:00:00+08:00", HOUR_MS, "2026-03-09T09:00:00+08:00"),
        ] {
            assert_eq!(office().after(china(), at(from), ms), at(to), "{from}");
        }
    }

    #[test]
    fn a_span_past_midnight_belongs_to_the_day_on_which_it_begins() {
        let days = Days { weekdays: parse_weekdays("fri").expect("a day"), ..Days::default() };
        let night =
            Hours { spans: vec![Span { days, from_min: 22 * 60, to_min: 6 * 60 }], except: Days::default() };
        assert!(night.contains(china(), at("2026-03-06T23:00:00+08:00")));
        assert!(night.contains(china(), at("2026-03-07T05:59:00+08:00")));
        assert!(!night.contains(china(), at("2026-03-06T05:00:00+08:00")));
        assert_eq!(
            night.next_from(china(), at("2026-03-07T06:00:00+08:00")),
            Some(at("2026-03-13T22:00:00+08:00"))
        );
    }

    #[test]
    fn a_holiday_is_left_out_and_a_market_day_is_a_day_of_the_month() {
        let mut hours = office();
        hours.except.dates.push(china().day_of(at("2026-03-06T10:00:00+08:00")));
        assert!(!hours.contains(china(), at("2026-03-06T10:00:00+08:00")));
        let market = Days { month_days: 1 << 1 | 1 << 6, ..Days::default() };
        assert!(market.holds(china().day_of(at("2026-03-06T10:00:00+08:00"))));
        assert!(!market.holds(china().day_of(at("2026-03-07T10:00:00+08:00"))));
    }

    #[test]
    fn no_hours_at_all_count_plain_time() {
        let none = Hours::default();
        assert_eq!(none.next_from(china(), at("2026-03-06T10:00:00Z")), None);
        assert_eq!(none.after(china(), at("2026-03-06T10:00:00Z"), HOUR_MS), at("2026-03-06T11:00:00Z"));
    }

    #[test]
    fn spans_and_weekdays_are_read() {
        assert_eq!(parse_span("07:30-19:00"), Some((450, 1140)));
        assert_eq!(parse_span("00:00-24:00"), Some((0, 1440)));
        for wrong in ["7-19", "07:30", "25:00-26:00", "10:00-10:00", "10:60-11:00"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
        assert_eq!(parse_weekdays("sat-mon"), Some(0b110_0001));
        assert_eq!(parse_weekdays("someday"), None);
    }

    proptest! {
        #[test]
        fn an_opening_is_inside_and_nothing_before_it_is(
            minutes in 0_i64..60 * 24 * 365,
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo"]),
        ) {
            let calendar = SiteCalendar::named(zone).expect("a zone");
            let from = at("2017-06-01T00:00:00Z").plus_ms(minutes * MINUTE_MS);
            let open = office().next_from(calendar, from).expect("within a week");
            prop_assert!(open >= from && office().contains(calendar, open));
            let between = from.since_ms(open).abs() / 2;
            prop_assert!(open == from || !office().contains(calendar, from.plus_ms(between)));
        }
    }
}
