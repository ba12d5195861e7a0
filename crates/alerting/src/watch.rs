//! What a rule looks at, and what a cell must remember for it.

use std::collections::VecDeque;

use sanimon_domain::TimestampMs;
use sanimon_domain::time::{HOUR_MS, MINUTE_MS};

use crate::level::Direction;

/// Points of a window at most: a sensor that reports each second is looked at over a shorter time.
const WINDOW_POINTS_MAX: usize = 64;

/// The condition of a rule: what its levels are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// The value itself.
    #[default]
    Value,
    /// How much it has risen (a rising level) or fallen (a falling one) within this time.
    Rate { within_ms: i64 },
    /// How long nothing at all was heard of the device: `raise` counts its expected intervals, `for` is added to them.
    Silence,
    /// For how many hours the value has been the same.
    Stuck,
}

/// What a cell remembers besides its levels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Memory {
    Nothing,
    /// Readings of the last `within_ms` and the one before them, ascending.
    Window(VecDeque<(TimestampMs, f64)>),
    /// The device's expected interval.
    Interval(i64),
    /// Since when the value is what it is.
    Unchanged(Option<TimestampMs>),
}

impl Memory {
    pub(crate) fn new(watch: Watch, interval_ms: i64) -> Self {
        match watch {
            Watch::Value => Self::Nothing,
            Watch::Rate { .. } => Self::Window(VecDeque::new()),
            Watch::Silence => Self::Interval(interval_ms),
            Watch::Stuck => Self::Unchanged(None),
        }
    }

    /// Takes a reading in. Readings come in the order of their times.
    pub(crate) fn hear(&mut self, watch: Watch, at: TimestampMs, value: f64, before: f64) {
        match (self, watch) {
            (Self::Window(window), Watch::Rate { within_ms }) => {
                // A correction of the newest reading takes its place.
                if window.back().is_some_and(|(newest, _)| *newest == at) {
                    window.pop_back();
                }
                window.push_back((at, value));
                let start = at.plus_ms(-within_ms);
                while window.len() > WINDOW_POINTS_MAX
                    || window.get(1).is_some_and(|(second, _)| *second <= start)
                {
                    window.pop_front();
                }
            }
            (Self::Unchanged(since), _) if since.is_none() || value.to_bits() != before.to_bits() => {
                *since = Some(at);
            }
            _ => {}
        }
    }

    /// What a level of this direction is compared with.
    pub(crate) fn quantity(&self, watch: Watch, direction: Direction, at: TimestampMs, value: f64) -> f64 {
        match self {
            Self::Nothing | Self::Interval(_) => value,
            Self::Window(window) => {
                let Watch::Rate { within_ms } = watch else { return value };
                let start = at.plus_ms(-within_ms);
                let inside = window.iter().filter(|(at, _)| *at >= start).map(|(_, value)| *value);
                let values = inside.chain(value_at(window, start));
                let from = match direction {
                    Direction::Rising => values.fold(value, f64::min),
                    Direction::Falling => values.fold(value, f64::max),
                };
                value - from
            }
            Self::Unchanged(since) => since.map_or(0.0, |since| at.since_ms(since) as f64 / HOUR_MS as f64),
        }
    }
}

/// The value at a time between the first two points, as a straight line has it: a sensor that sleeps longer than the
/// window is judged by its average change.
fn value_at(window: &VecDeque<(TimestampMs, f64)>, at: TimestampMs) -> Option<f64> {
    let ((before, low), (after, high)) = (window.front()?, window.get(1)?);
    let share = at.since_ms(*before) as f64 / after.since_ms(*before) as f64;
    (0.0..=1.0).contains(&share).then(|| low + (high - low) * share)
}

/// Minutes of silence, as an alert tells them.
pub(crate) fn silent_minutes(heard_at: TimestampMs, now: TimestampMs) -> f64 {
    (now.since_ms(heard_at) / MINUTE_MS) as f64
}
