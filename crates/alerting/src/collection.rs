//! Which bins a round of collection should empty.
//!
//! A bin belongs into a round when it is full already, or when it is likely to overflow before the next one comes. How likely
//! follows from its forecast: one time in twenty before the earliest that it states, half before the middle, and so on.

use sanimon_domain::TimestampMs;
use sanimon_domain::collection::Emptied;

use crate::forecast::{EMPTIED_BY, Forecast};

/// A bin this full is emptied whatever its forecast says: the domain's minor level.
pub const FULL_PCT: f64 = 75.0;
/// So likely to overflow before the next round comes, it is emptied in this one. One in ten: with one in five a simulated town
/// overflowed more often than with the round that empties every bin.
pub const LIKELY: f64 = 0.1;
/// What reads so little has been emptied.
pub const EMPTY_PCT: f64 = 25.0;

/// How likely a level is reached before this time, as its forecast says. Between its three points the likelihood grows evenly; one
/// that foretells nothing does not overflow.
pub fn likelihood(forecast: Option<&Forecast>, before: TimestampMs) -> f64 {
    let Some(forecast) = forecast else { return 0.0 };
    let points = [(forecast.earliest, 0.05), (forecast.at, 0.5), (forecast.latest, 0.95)];
    if before < forecast.earliest {
        return 0.0;
    }
    if before >= forecast.latest {
        return 1.0;
    }
    for [(from, low), (to, high)] in [[points[0], points[1]], [points[1], points[2]]] {
        if before < to {
            let share = before.since_ms(from) as f64 / to.since_ms(from).max(1) as f64;
            return low + (high - low) * share;
        }
    }
    1.0
}

/// When a bin was emptied, and how full it was then, from what it read in the order of time.
pub fn emptyings(values: impl Iterator<Item = (TimestampMs, f64)>) -> impl Iterator<Item = Emptied> {
    values
        .scan(None, |before: &mut Option<f64>, (at, value)| {
            let fill_pct = before.replace(value).unwrap_or(value);
            let is_emptied = fill_pct - value >= EMPTIED_BY && value <= EMPTY_PCT;
            Some(is_emptied.then_some(Emptied { at, fill_pct }))
        })
        .flatten()
}

/// Whether a round should empty a bin.
pub fn is_due(fill_pct: f64, likelihood: f64) -> bool {
    fill_pct >= FULL_PCT || likelihood >= LIKELY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast() -> Forecast {
        let at = |hours: i64| TimestampMs(hours * 3_600_000);
        Forecast { at: at(10), earliest: at(8), latest: at(16), emptyings: 0.0, emptyings_latest: 0.0 }
    }

    #[test]
    fn a_likelihood_grows_from_the_earliest_to_the_latest() {
        let before = |hours: i64| likelihood(Some(&forecast()), TimestampMs(hours * 3_600_000));
        assert_eq!(before(7), 0.0);
        assert!((before(9) - 0.275).abs() < 1e-9);
        assert!((before(10) - 0.5).abs() < 1e-9);
        assert!((before(13) - 0.725).abs() < 1e-9);
        assert_eq!(before(16), 1.0);
        assert_eq!(likelihood(None, TimestampMs(i64::MAX)), 0.0, "what is not foretold is not feared");
    }

    #[test]
    fn a_bin_is_emptied_when_it_reads_much_less_and_little() {
        let values = [30.0, 82.0, 60.0, 8.0, 35.0, 34.0, 4.0, 10.0, 2.0];
        let at = |n: usize| TimestampMs(n as i64);
        let found: Vec<Emptied> =
            emptyings(values.into_iter().enumerate().map(|(n, value)| (at(n), value))).collect();
        let expected = [Emptied { at: at(3), fill_pct: 60.0 }, Emptied { at: at(6), fill_pct: 34.0 }];
        assert_eq!(found, expected, "a drop to 60 % is no emptying, and one of 8 points is none");
    }

    #[test]
    fn full_bins_and_those_that_will_overflow_are_due() {
        assert!(is_due(80.0, 0.0) && is_due(30.0, 0.5));
        assert!(!is_due(60.0, 0.09));
    }
}
