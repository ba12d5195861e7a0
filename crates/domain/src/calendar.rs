//! The site's calendar: which instants belong to which day there, daylight-saving days included.

use chrono::{
    DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone,
};
use chrono_tz::Tz;

use crate::time::{DAY_MS, MINUTE_MS, SECOND_MS, TimestampMs};

/// A day of the site's calendar, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalDay(pub i32);

impl LocalDay {
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Months since January 1970.
    pub fn month(self) -> i32 {
        let date = self.date();
        (date.year() - 1970) * 12 + date.month0() as i32
    }

    /// The first day of a month that is counted from January 1970.
    pub fn first_of_month(month: i32) -> Self {
        let date = NaiveDate::from_ymd_opt(1970 + month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1);
        Self::of(date.unwrap_or_default())
    }

    /// 0 is Monday.
    pub fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday.
        (self.0.wrapping_add(3)).rem_euclid(7) as u8
    }

    /// From 1.
    pub fn day_of_month(self) -> u8 {
        self.date().day() as u8
    }

    /// `2026-03-01`.
    pub fn iso(self) -> String {
        self.date().to_string()
    }

    /// Reads `2026-03-01`.
    pub fn parse_iso(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::of)
    }

    fn of(date: NaiveDate) -> Self {
        Self(date.signed_duration_since(NaiveDate::default()).num_days() as i32)
    }

    fn date(self) -> NaiveDate {
        NaiveDate::default().checked_add_signed(TimeDelta::days(i64::from(self.0))).unwrap_or_default()
    }
}

/// Days where the site is. Instants are UTC everywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteCalendar {
    zone: Tz,
}

/// Gaps of the wall clock begin and end at quarters of an hour.
const GAP_STEP_MINUTES: i64 = 15;
/// The longest gap that ever was: the Pacific islands that left out a day.
const GAP_STEPS_MAX: usize = 24 * 4;

impl SiteCalendar {
    pub const fn new(zone: Tz) -> Self {
        Self { zone }
    }

    pub const fn utc() -> Self {
        Self::new(Tz::UTC)
    }

    /// By its IANA name.
    pub fn named(zone: &str) -> Option<Self> {
        zone.parse().ok().map(Self::new)
    }

    /// IANA name.
    pub fn zone_name(self) -> &'static str {
        self.zone.name()
    }

    /// The first instant of a day. A day that the zone left out begins, and ends, where the next one begins.
    pub fn start_of(self, day: LocalDay) -> TimestampMs {
        let mut local = day.date().and_time(NaiveTime::MIN);
        for _ in 0..=GAP_STEPS_MAX {
            match self.zone.from_local_datetime(&local) {
                LocalResult::Single(start) | LocalResult::Ambiguous(start, _) => {
                    return TimestampMs(start.timestamp_millis());
                }
                LocalResult::None => local += TimeDelta::minutes(GAP_STEP_MINUTES),
            }
        }
        TimestampMs(i64::from(day.0) * DAY_MS)
    }

    /// The instant of a wall clock's `2026-03-01T08:15:00`: the earlier of two, `None` in a gap or for another form.
    /// Devices' times are read by [`crate::TimeReader`].
    pub(crate) fn parse_local(self, text: &str) -> Option<TimestampMs> {
        let local = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%dT%H:%M:%S").ok()?;
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
                Some(TimestampMs(at.timestamp_millis()))
            }
            LocalResult::None => None,
        }
    }

    /// The instant at which a device's wall clock shows this: of two the one nearer to `near`. What the zone left out is
    /// read as by a clock that was not put forward, so it is later by the gap and times in it stay apart.
    pub(crate) fn at_wall_clock(self, local: NaiveDateTime, near: TimestampMs) -> TimestampMs {
        let instant = |at: DateTime<Tz>| TimestampMs(at.timestamp_millis());
        let mut before = local;
        for _ in 0..=GAP_STEPS_MAX {
            let step = TimeDelta::minutes(GAP_STEP_MINUTES);
            match self.zone.from_local_datetime(&before) {
                LocalResult::Ambiguous(one, other) if before == local => {
                    let (one, other) = (instant(one), instant(other));
                    let distance = |at: TimestampMs| at.since_ms(near).unsigned_abs();
                    let is_other = distance(other) < distance(one);
                    return if is_other { other } else { one };
                }
                LocalResult::Single(at) | LocalResult::Ambiguous(_, at) => {
                    return instant(at).plus_ms((local - before).num_milliseconds());
                }
                // At the calendar's end, where no device is.
                LocalResult::None => before = before.checked_sub_signed(step).unwrap_or(before),
            }
        }
        TimestampMs(local.and_utc().timestamp_millis())
    }

    /// `2026-03-01 08:15`, as people there read it.
    pub fn text_of(self, at: TimestampMs) -> String {
        let day = self.day_of(at);
        let minute = at.since_ms(self.start_of(day)) / MINUTE_MS;
        format!("{} {:02}:{:02}", day.iso(), minute / 60, minute % 60)
    }

    /// The day that holds this instant.
    pub fn day_of(self, at: TimestampMs) -> LocalDay {
        let utc = utc_naive(at);
        let offset_ms =
            i64::from(self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * SECOND_MS;
        // The wall clock's date is right but for clocks that are put back across midnight: there, days are the
        // stretches between their starts.
        let mut day = LocalDay(at.plus_ms(offset_ms).utc_day() as i32);
        while at < self.start_of(day) {
            day = day.plus(-1);
        }
        while at >= self.start_of(day.plus(1)) {
            day = day.plus(1);
        }
        day
    }
}

fn utc_naive(at: TimestampMs) -> NaiveDateTime {
    DateTime::from_timestamp_millis(at.0).unwrap_or_default().naive_utc()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::HOUR_MS;

    fn at(text: &str) -> TimestampMs {
        TimestampMs::parse_rfc3339(text).expect("a time")
    }

    fn day(year: i32, month: u32, day: u32) -> LocalDay {
        LocalDay::of(NaiveDate::from_ymd_opt(year, month, day).expect("a date"))
    }

    #[test]
    fn a_day_at_the_site_is_not_a_utc_day() {
        let calendar = SiteCalendar::new(Tz::Asia__Shanghai);
        assert_eq!(calendar.start_of(day(2026, 3, 1)), at("2026-02-28T16:00:00Z"));
        assert_eq!(calendar.day_of(at("2026-02-28T15:59:59.999Z")), day(2026, 2, 28));
        assert_eq!(calendar.day_of(at("2026-02-28T16:00:00Z")), day(2026, 3, 1));
    }

    #[test]
    fn daylight_saving_days_have_23_and_25_hours() {
        let calendar = SiteCalendar::new(Tz::Europe__Berlin);
        for (date, hours) in [(day(2026, 3, 29), 23), (day(2026, 10, 25), 25), (day(2026, 6, 1), 24)] {
            let length_ms = calendar.start_of(date.plus(1)).since_ms(calendar.start_of(date));
            assert_eq!(length_ms, hours * HOUR_MS);
        }
    }

    #[test]
    fn a_day_whose_midnight_is_left_out_begins_an_hour_later_on_the_wall() {
        let calendar = SiteCalendar::new(Tz::America__Sao_Paulo);
        assert_eq!(calendar.start_of(day(2018, 11, 4)), at("2018-11-04T01:00:00-02:00"));
    }

    #[test]
    fn a_day_that_was_left_out_is_empty() {
        let calendar = SiteCalendar::new(Tz::Pacific__Apia);
        let skipped = day(2011, 12, 30);
        assert_eq!(calendar.start_of(skipped), calendar.start_of(skipped.plus(1)));
    }

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        for days in [-800_000, -1, 0, 1, 20_513, 800_000] {
            let day = LocalDay(days);
            assert_eq!(
                u32::from(day.weekday()),
                day.date().weekday().num_days_from_monday(),
                "{}",
                day.iso()
            );
        }
    }

    #[test]
    fn months_are_counted_from_1970_in_both_directions() {
        assert_eq!(day(1970, 1, 31).month(), 0);
        assert_eq!(day(1969, 12, 31).month(), -1);
        assert_eq!(LocalDay::first_of_month(day(2024, 2, 29).month()), day(2024, 2, 1));
    }

    proptest! {
        #[test]
        fn each_instant_is_in_exactly_the_day_that_it_is_said_to_be_in(
            ms in 0_i64..2_000_000_000_000,
            zone in prop::sample::select(vec![Tz::Europe__Berlin, Tz::America__St_Johns, Tz::America__Sao_Paulo, Tz::Asia__Shanghai, Tz::Australia__Lord_Howe]),
        ) {
            let calendar = SiteCalendar::new(zone);
            let day = calendar.day_of(TimestampMs(ms));
            prop_assert!(calendar.start_of(day).0 <= ms);
            prop_assert!(ms < calendar.start_of(day.plus(1)).0);
        }
    }
}
