//! When a bin will be full: how much it usually fills in each hour of its last four weeks, workdays and weekends apart.
//!
//! The memory is a fixed grid of hours, so that it is bounded and a restart that reads four weeks back finds the same.
//! Hours in which it was emptied, full or not heard say nothing about its filling. Of the days that are left, the
//! mean without the extremes counts: one bag beside its day's habit moves nothing.

use sanimon_domain::time::{DAY_MS, HOUR_MS};
use sanimon_domain::{LocalDay, SiteCalendar, TimestampMs};

/// Days that are remembered.
const DAYS: usize = 28;
/// A reading this much lower means that it was emptied.
pub const EMPTIED_BY: f64 = 15.0;
/// A fuller bin fills no further: its hours say nothing.
const SATURATED: f64 = 97.0;
/// Between readings further apart nothing is known.
const GAP_MS_MAX: i64 = 6 * HOUR_MS;
/// An hour counts when so much of it was seen.
const SEEN_MS_MIN: i64 = HOUR_MS / 2;
/// Before so many days are known nothing is foretold.
const DAYS_KNOWN_MIN: usize = 3;
/// How far ahead is looked.
const HORIZON_H: i64 = 72;
/// Hours in which the grid has nothing.
const UNKNOWN: u8 = u8::MAX;
/// Steps of the grid to a percent.
const STEPS_PER_PCT: f64 = 2.0;
/// Sensors tremble by this much.
const TREMBLE_PCT: f64 = 1.5;
/// So many standard deviations are the stated interval: nine in ten.
const WIDTH: f64 = 1.65;
/// A bin that is emptied this often before it may be full needs no word.
const EMPTIED_FIRST: f64 = 0.3;

/// A forecast of when a level is reached, if nobody empties it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    pub at: TimestampMs,
    /// Nine times in ten it is between these two.
    pub earliest: TimestampMs,
    pub latest: TimestampMs,
    /// How often it is usually emptied before that: 1 is once.
    pub emptyings: f64,
    /// And before the latest that is stated.
    pub emptyings_latest: f64,
}

/// What is known of how a bin fills.
#[derive(Debug, Clone, PartialEq)]
pub struct Filling {
    /// Increase by hour, in half percent; a day's row is its number modulo [`DAYS`].
    grid: [[u8; 24]; DAYS],
    /// For each hour of the day, a bit for each row in which it was emptied.
    emptied: [u32; 24],
    /// The hour that is being watched: its day, number and end.
    day: LocalDay,
    hour: u8,
    hour_end: TimestampMs,
    /// Of that hour: the increase so far, over the time that was seen.
    increase: f32,
    seen_ms: i32,
    carry: f32,
    last: Option<(TimestampMs, f64)>,
    /// Hundredths of a percent an hour, on workdays and at weekends; made anew each day.
    rates: [[u16; 24]; 2],
    /// Rows of the grid that are known, on workdays and at weekends.
    rows: [u32; 2],
    /// How much a day differs from its forecast, as a share.
    error: f32,
    days_known: u8,
    /// A day has ended since the rates were made.
    is_stale: bool,
}

impl Default for Filling {
    fn default() -> Self {
        Self {
            grid: [[UNKNOWN; 24]; DAYS],
            emptied: [0; 24],
            day: LocalDay(i32::MIN),
            hour: 0,
            hour_end: TimestampMs(i64::MIN),
            increase: 0.0,
            seen_ms: 0,
            carry: 0.0,
            last: None,
            rates: [[0; 24]; 2],
            rows: [0; 2],
            error: 0.0,
            days_known: 0,
            is_stale: false,
        }
    }
}

const fn row_of(day: LocalDay) -> usize {
    day.0.rem_euclid(DAYS as i32) as usize
}

fn is_weekend(day: LocalDay) -> bool {
    day.weekday() >= 5
}

impl Filling {
    /// How far back readings are needed for a memory that knows all it can.
    pub const MEMORY_MS: i64 = (DAYS as i64 + 2) * DAY_MS;

    /// What readings of the past say, in the order of their times.
    pub fn learned(calendar: SiteCalendar, readings: impl IntoIterator<Item = (TimestampMs, f64)>) -> Self {
        let mut filling = Self::default();
        readings.into_iter().for_each(|(at, value)| filling.observe(calendar, at, value));
        filling.learn();
        filling
    }

    /// Takes a reading in. Readings come in the order of their times.
    pub fn observe(&mut self, calendar: SiteCalendar, at: TimestampMs, value: f64) {
        let before = self.last.replace((at, value));
        let Some((from, earlier)) = before else {
            return self.begin(calendar, at);
        };
        let span_ms = at.since_ms(from);
        if span_ms <= 0 {
            return;
        }
        let rise = value - earlier;
        let is_emptied = rise <= -EMPTIED_BY;
        let says_nothing = is_emptied || earlier >= SATURATED || value >= SATURATED || span_ms > GAP_MS_MAX;
        if says_nothing {
            self.pass_to(calendar, at);
        } else {
            self.spread(calendar, (from, at), rise);
        }
        if is_emptied {
            self.emptied[usize::from(self.hour)] |= 1 << row_of(self.day);
        }
    }

    fn begin(&mut self, calendar: SiteCalendar, at: TimestampMs) {
        self.day = calendar.day_of(at);
        let into_ms = at.since_ms(calendar.start_of(self.day));
        self.hour = (into_ms / HOUR_MS).clamp(0, 23) as u8;
        self.hour_end = calendar.start_of(self.day).plus_ms((i64::from(self.hour) + 1) * HOUR_MS);
    }

    /// Gives each hour between two readings its share of the rise.
    fn spread(&mut self, calendar: SiteCalendar, (from, to): (TimestampMs, TimestampMs), rise: f64) {
        let span_ms = to.since_ms(from) as f64;
        let mut now = from;
        while now < to {
            let end = to.min(self.hour_end);
            let part_ms = end.since_ms(now);
            if part_ms > 0 {
                self.increase += (rise * part_ms as f64 / span_ms) as f32;
                self.seen_ms += part_ms as i32;
                now = end;
            }
            if now >= self.hour_end {
                self.end_hour(calendar);
            }
        }
    }

    /// Time passes without a word about the filling.
    fn pass_to(&mut self, calendar: SiteCalendar, at: TimestampMs) {
        let is_far = at.since_ms(self.hour_end) > 2 * DAY_MS;
        if is_far {
            let today = calendar.day_of(at);
            let first = self.day.0.max(today.0.saturating_sub(DAYS as i32 - 1));
            (first..=today.0).for_each(|day| self.clear_row(LocalDay(day)));
            (self.increase, self.seen_ms) = (0.0, 0);
            self.begin(calendar, at);
            self.is_stale = true;
            return;
        }
        while at >= self.hour_end {
            self.end_hour(calendar);
        }
    }

    fn clear_row(&mut self, day: LocalDay) {
        let row = row_of(day);
        self.grid[row] = [UNKNOWN; 24];
        self.emptied.iter_mut().for_each(|rows| *rows &= !(1 << row));
    }

    fn end_hour(&mut self, calendar: SiteCalendar) {
        if i64::from(self.seen_ms) >= SEEN_MS_MIN {
            let whole = f64::from(self.increase) * HOUR_MS as f64 / f64::from(self.seen_ms);
            let exact = whole * STEPS_PER_PCT + f64::from(self.carry);
            let steps = exact.round().clamp(0.0, f64::from(UNKNOWN - 1));
            // What rounding takes from one hour the next one gets.
            self.carry = (exact - steps).clamp(-4.0, 4.0) as f32;
            self.grid[row_of(self.day)][usize::from(self.hour)] = steps as u8;
        }
        (self.increase, self.seen_ms) = (0.0, 0);
        let at = self.hour_end;
        if self.hour < 23 {
            self.hour += 1;
            self.hour_end = at.plus_ms(HOUR_MS);
            return;
        }
        // Days whose clocks change have an hour more or less: the calendar says where the next one begins.
        self.begin(calendar, calendar.start_of(calendar.day_of(at.minus_ms(1)).plus(1)).max(at));
        self.clear_row(self.day);
        self.is_stale = true;
    }

    /// Makes the rates anew from the days that are over, if there are new ones. Weeks that are read back need it once.
    pub fn learn(&mut self) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let days: Vec<LocalDay> = (1..DAYS as i32).map(|ago| self.day.plus(-ago)).collect();
        let known = |day: &&LocalDay| self.grid[row_of(**day)].iter().any(|steps| *steps != UNKNOWN);
        let days: Vec<LocalDay> = days.iter().filter(known).copied().collect();
        self.days_known = days.len() as u8;
        self.rows = [0; 2];
        days.iter().for_each(|day| self.rows[usize::from(is_weekend(*day))] |= 1 << row_of(*day));
        self.rates = [false, true].map(|weekend| {
            std::array::from_fn(|hour| {
                let usual = self.usual(&days, hour, Some(weekend)).or_else(|| self.usual(&days, hour, None));
                (usual.unwrap_or(0.0) * 100.0).round() as u16
            })
        });
        self.error = self.day_error(&days);
    }

    /// The usual increase in an hour, without the extremes; `None`: too few days know it.
    fn usual(&self, days: &[LocalDay], hour: usize, weekend: Option<bool>) -> Option<f32> {
        let of_kind = days.iter().filter(|day| weekend.is_none_or(|weekend| is_weekend(**day) == weekend));
        let mut steps: Vec<u8> =
            of_kind.map(|day| self.grid[row_of(*day)][hour]).filter(|steps| *steps != UNKNOWN).collect();
        if steps.len() < DAYS_KNOWN_MIN {
            return None;
        }
        steps.sort_unstable();
        let cut = steps.len() / 8;
        let kept = &steps[cut..steps.len() - cut];
        let sum: f64 = kept.iter().map(|steps| f64::from(*steps)).sum();
        Some((sum / kept.len() as f64 / STEPS_PER_PCT) as f32)
    }

    /// Percent in this hour of such a day.
    fn rate(&self, kind: usize, hour: usize) -> f64 {
        f64::from(self.rates[kind][hour]) / 100.0
    }

    /// How often it is emptied in this hour of such a day.
    fn emptyings(&self, kind: usize, hour: usize) -> f64 {
        let few = self.rows[kind].count_ones() < DAYS_KNOWN_MIN as u32;
        let rows = if few { self.rows[0] | self.rows[1] } else { self.rows[kind] };
        f64::from((self.emptied[hour] & rows).count_ones()) / f64::from(rows.count_ones().max(1))
    }

    /// How much days differ from what their rates say, as a share of it.
    fn day_error(&self, days: &[LocalDay]) -> f32 {
        let share = |day: &LocalDay| {
            let kind = usize::from(is_weekend(*day));
            let hours = self.grid[row_of(*day)].iter().enumerate().filter(|(_, steps)| **steps != UNKNOWN);
            let (real, told) = hours.fold((0.0, 0.0), |(real, told), (hour, steps)| {
                (real + f64::from(*steps) / STEPS_PER_PCT, told + self.rate(kind, hour))
            });
            (told > 5.0).then(|| (real - told) / told)
        };
        let shares: Vec<f64> = days.iter().filter_map(share).collect();
        if shares.len() < DAYS_KNOWN_MIN {
            return 0.5;
        }
        let mean_square = shares.iter().map(|share| share * share).sum::<f64>() / shares.len() as f64;
        (mean_square.sqrt() as f32).clamp(0.04, 0.6)
    }

    /// What it is expected to read at a time, if nobody empties it; `None`: it never read anything.
    pub fn expected(&self, at: TimestampMs) -> Option<f64> {
        let (from, value) = self.last?;
        let (mut sum, mut now, mut hour, mut day) = (0.0, from, usize::from(self.hour), self.day);
        let mut end = self.hour_end;
        for _ in 0..HORIZON_H {
            if now >= at {
                break;
            }
            let until = end.min(at);
            sum +=
                self.rate(usize::from(is_weekend(day)), hour) * until.since_ms(now) as f64 / HOUR_MS as f64;
            now = until;
            hour += 1;
            end = end.plus_ms(HOUR_MS);
            if hour == 24 {
                (hour, day) = (0, day.plus(1));
            }
        }
        Some(value + sum)
    }

    /// When the level is reached, from the newest reading on, by what was learned last ([`Filling::learn`]); `None`: not enough is
    /// known, or not within three days.
    pub fn forecast(&self, level: f64) -> Option<Forecast> {
        let (at, value) = self.last?;
        if usize::from(self.days_known) < DAYS_KNOWN_MIN {
            return None;
        }
        let missing = level - value;
        if missing <= 0.0 {
            return Some(Forecast { at, earliest: at, latest: at, emptyings: 0.0, emptyings_latest: 0.0 });
        }
        // Half a day differs from its forecast by more than a whole one.
        let error = (f64::from(self.error) * std::f64::consts::SQRT_2 * WIDTH).min(0.9);
        let soon = ((missing - TREMBLE_PCT) / (1.0 + error)).max(0.0);
        let late = (missing + TREMBLE_PCT) / (1.0 - error);
        let mut reached = [None::<TimestampMs>; 3];
        let (mut emptyings, mut emptyings_latest) = (0.0, 0.0);
        let (mut sum, mut now, mut hour, mut day) = (0.0, at, usize::from(self.hour), self.day);
        let mut end = self.hour_end;
        for _ in 0..HORIZON_H {
            let kind = usize::from(is_weekend(day));
            let hours = end.since_ms(now) as f64 / HOUR_MS as f64;
            let more = self.rate(kind, hour) * hours;
            for (reached, wanted) in reached.iter_mut().zip([soon, missing, late]) {
                if reached.is_none() && sum + more >= wanted && more > 0.0 {
                    let share = ((wanted - sum) / more).clamp(0.0, 1.0);
                    *reached = Some(now.plus_ms((share * hours * HOUR_MS as f64) as i64));
                }
            }
            if reached[1].is_none() {
                emptyings += self.emptyings(kind, hour) * hours;
            }
            emptyings_latest += self.emptyings(kind, hour) * hours;
            if reached[2].is_some() {
                break;
            }
            sum += more;
            now = end;
            end = end.plus_ms(HOUR_MS);
            hour += 1;
            if hour == 24 {
                (hour, day) = (0, day.plus(1));
            }
        }
        let at = reached[1]?;
        let latest = reached[2].unwrap_or_else(|| self.hour_end.plus_ms(HORIZON_H * HOUR_MS));
        Some(Forecast { at, earliest: reached[0].unwrap_or(at), latest, emptyings, emptyings_latest })
    }

    /// Hours until the level is reached before it is usually emptied; infinite if that is not to be expected, or not sure.
    pub(crate) fn hours_until(&self, level: f64) -> f64 {
        let (Some((at, _)), Some(forecast)) = (self.last, self.forecast(level)) else { return f64::INFINITY };
        if forecast.emptyings_latest >= EMPTIED_FIRST {
            return f64::INFINITY;
        }
        forecast.at.since_ms(at) as f64 / HOUR_MS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: TimestampMs = TimestampMs(1_772_323_200_000); // 2026-03-01, a Sunday, 00:00 UTC

    fn hour(n: i64) -> TimestampMs {
        START.plus_ms(n * HOUR_MS)
    }

    /// A bin that fills by 6 % an hour from 8 to 20 o'clock, and is emptied each day at 6, but for the last one.
    fn habits(days: i64) -> Filling {
        let mut filling = Filling::default();
        let mut value = 0.0;
        for n in 0..days * 24 {
            match n % 24 {
                6 if n / 24 < days - 1 => value = 0.0,
                9..=20 => value += 6.0,
                _ => {}
            }
            filling.observe(SiteCalendar::utc(), hour(n), value);
        }
        filling.learn();
        filling
    }

    #[test]
    fn a_habit_of_days_foretells_the_hour() {
        // After the last day it was not emptied: 72 % at midnight, 98 % after another four and a third hours of its day.
        let mut filling = habits(10);
        filling.observe(SiteCalendar::utc(), hour(240), 72.0);
        filling.learn();
        let forecast = filling.forecast(98.0).expect("known");
        let error_h = forecast.at.since_ms(hour(240 + 12)).abs() as f64 / HOUR_MS as f64;
        assert!(error_h <= 1.0, "{forecast:?}");
        assert!(forecast.earliest <= forecast.at && forecast.at <= forecast.latest);
        // It would be emptied at 6, so there is nothing to be said about it.
        assert!(forecast.emptyings > 0.5, "{forecast:?}");
        assert!(filling.hours_until(98.0).is_infinite());
    }

    #[test]
    fn what_fills_before_its_next_emptying_is_told_in_hours() {
        let mut filling = habits(10);
        filling.observe(SiteCalendar::utc(), hour(240 + 8), 70.0);
        filling.learn();
        let hours = filling.hours_until(100.0);
        assert!((4.0..6.5).contains(&hours), "{hours}");
    }

    #[test]
    fn nothing_is_foretold_of_a_bin_that_is_new() {
        assert_eq!(habits(2).forecast(98.0), None);
        assert!(Filling::default().forecast(98.0).is_none());
    }

    #[test]
    fn a_memory_that_was_read_back_says_the_same() {
        let all: Vec<(TimestampMs, f64)> = (0..60 * 24)
            .map(|n| {
                (hour(n), if n % 24 < 6 { 0.0 } else { (n % 24 - 6) as f64 * (4.0 + (n / 24 % 3) as f64) })
            })
            .collect();
        let (mut long, mut short) = (Filling::default(), Filling::default());
        all.iter().for_each(|(at, value)| long.observe(SiteCalendar::utc(), *at, *value));
        let start = all[all.len() - 1].0.minus_ms(Filling::MEMORY_MS);
        let recent = all.iter().filter(|(at, _)| *at >= start);
        recent.for_each(|(at, value)| short.observe(SiteCalendar::utc(), *at, *value));
        long.learn();
        short.learn();
        assert_eq!(long.rates, short.rates);
        assert_eq!(long.forecast(98.0), short.forecast(98.0));
    }

    #[test]
    fn a_gap_of_weeks_forgets_what_it_covers() {
        let mut filling = habits(10);
        filling.observe(SiteCalendar::utc(), hour(24 * 60), 10.0);
        filling.learn();
        assert_eq!(filling.forecast(98.0), None);
    }
}
