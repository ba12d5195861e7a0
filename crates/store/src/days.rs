//! Day aggregates: what each day of the site says of a series, packed by the month.
//!
//! Days are the site's, not UTC's: a town in China would otherwise have to decode every block to tell one day from
//! the next. They are derived from the blocks, and stay when the blocks go (retention); a change of the site's zone
//! makes those anew whose blocks are still there.
//!
//! ```text
//! month = version u8 = 1, day*                                                        behind a checksum
//! day   = day of the month from 0 varint, count varint, first at - start of the day span, last at - first at span,
//!         first value, last value, min value, max value, sum value
//! ```

use sanimon_domain::{LocalDay, SiteCalendar, TimestampMs};

use crate::aggregate::Aggregate;
use crate::error::Result;
use crate::model::Point;
use crate::pack::{Input, seal, span, unseal, value, varint};

const VERSION: u8 = 1;
const WHAT: &str = "a month of day aggregates";

/// The days of a month that have points, ascending.
pub(crate) type Days = Vec<(LocalDay, Aggregate)>;

pub(crate) fn encode(days: &[(LocalDay, Aggregate)], month: i32, calendar: SiteCalendar) -> Vec<u8> {
    let first_day = LocalDay::first_of_month(month);
    let mut out = Vec::with_capacity(4 + 1 + days.len() * 28);
    out.push(VERSION);
    for (day, aggregate) in days {
        varint(&mut out, (day.0 - first_day.0) as u64);
        varint(&mut out, aggregate.count);
        span(&mut out, aggregate.first.at.since_ms(calendar.start_of(*day)));
        span(&mut out, aggregate.last.at.since_ms(aggregate.first.at));
        for number in
            [aggregate.first.value, aggregate.last.value, aggregate.min, aggregate.max, aggregate.sum]
        {
            value(&mut out, number);
        }
    }
    seal(&out)
}

/// Reads a month back. `start_of` gives the first instant of a day: [`DayStarts`] where many months are read.
pub(crate) fn decode(
    blob: &[u8],
    month: i32,
    mut start_of: impl FnMut(LocalDay) -> TimestampMs,
    mut take: impl FnMut(LocalDay, Aggregate),
) -> Result<()> {
    let mut input = Input::new(unseal(blob, WHAT)?, WHAT);
    if input.byte()? != VERSION {
        return Err(input.damaged("an unknown version"));
    }
    let first_day = LocalDay::first_of_month(month);
    while !input.is_empty() {
        let day = first_day.plus(i32::try_from(input.varint()?).map_err(|_| input.damaged("a day"))?);
        let count = input.varint()?;
        let first_at = start_of(day).plus_ms(input.span_ms()?);
        let last_at = first_at.plus_ms(input.span_ms()?);
        let first = Point { at: first_at, value: input.value()? };
        let last = Point { at: last_at, value: input.value()? };
        let (min, max, sum) = (input.value()?, input.value()?, input.value()?);
        take(day, Aggregate { count, sum, min, max, first, last });
    }
    Ok(())
}

/// The starts of a range of days, computed once.
#[derive(Debug)]
pub(crate) struct DayStarts {
    first: LocalDay,
    /// One more than there are days: the last is the end.
    starts: Vec<TimestampMs>,
    calendar: SiteCalendar,
}

impl DayStarts {
    pub(crate) fn new(calendar: SiteCalendar, first: LocalDay, last: LocalDay) -> Self {
        let starts =
            (first.0..=last.0.saturating_add(1)).map(|day| calendar.start_of(LocalDay(day))).collect();
        Self { first, starts, calendar }
    }

    pub(crate) fn start_of(&self, day: LocalDay) -> TimestampMs {
        let index = usize::try_from(i64::from(day.0) - i64::from(self.first.0)).ok();
        index.and_then(|index| self.starts.get(index).copied()).unwrap_or_else(|| self.calendar.start_of(day))
    }
}

/// Points by the days of the site. `points` are ascending.
pub(crate) fn by_day(points: &[Point], calendar: SiteCalendar) -> Vec<(LocalDay, &[Point])> {
    let mut days = Vec::new();
    let mut rest = points;
    while let Some(first) = rest.first() {
        let day = calendar.day_of(first.at);
        let end = calendar.start_of(day.plus(1));
        let (inside, after) = rest.split_at(rest.partition_point(|point| point.at < end));
        days.push((day, inside));
        rest = after;
    }
    days
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_month_comes_back_as_it_was(
            times in prop::collection::btree_set(0_i64..28 * 86_400_000, 1..200),
            scale in prop::sample::select(vec![1.0, 0.1, 1.0 / 3.0]),
        ) {
            let calendar = SiteCalendar::utc();
            let points: Vec<Point> =
                times.iter().enumerate().map(|(n, at)| Point { at: TimestampMs(*at), value: n as f64 * scale }).collect();
            let days: Days =
                by_day(&points, calendar).into_iter().filter_map(|(day, points)| Some((day, Aggregate::of(points)?))).collect();
            let mut back = Days::new();
            decode(&encode(&days, 0, calendar), 0, |day| calendar.start_of(day), |day, aggregate| back.push((day, aggregate)))
                .expect("our own month");
            prop_assert_eq!(back, days);
        }

        #[test]
        fn changed_bytes_are_noticed(place in any::<prop::sample::Index>(), flip in 1_u8..) {
            let calendar = SiteCalendar::utc();
            let day = Aggregate::of_point(Point { at: TimestampMs(5), value: 1.5 });
            let mut blob = encode(&[(LocalDay(0), day)], 0, calendar);
            let place = place.index(blob.len());
            blob[place] ^= flip;
            let outcome = decode(&blob, 0, |day| calendar.start_of(day), |_, _| {});
            prop_assert!(outcome.is_err());
        }
    }
}
