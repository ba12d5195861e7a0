//! What a rule looks at, and what a cell must remember for it.

use std::collections::VecDeque;

use sanimon_domain::time::{HOUR_MS, MINUTE_MS};
use sanimon_domain::{MetricNo, Severity, SiteCalendar, TimestampMs, metric};

use crate::forecast::Filling;
use crate::level::Direction;

/// Points of a window at most: a sensor that reports each second is looked at over a shorter time.
const WINDOW_POINTS_MAX: usize = 64;

/// The condition of a rule: what its levels are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Watch {
    /// The value itself.
    #[default]
    Value,
    /// How much it has risen (a rising level) or fallen (a falling one) within this time.
    Rate { within_ms: i64 },
    /// How long nothing at all was heard. Of a device, `raise` counts its expected intervals; of a group, the expected
    /// reports of all its devices that did not come, one after another. `for` is added.
    Silence,
    /// For how many hours the value has been the same.
    Stuck,
    /// How many devices of a group have an open alert by one of the counted rules, of this severity or a worse one; or, with
    /// `share`, how many in a hundred.
    Count { at_least: Severity, share: bool },
    /// In how many hours the value will have come to `until`, as its usual filling goes.
    Forecast { until: f64 },
}

impl Watch {
    /// What an alert tells where that is not the value of a metric.
    pub const fn own_metric(self) -> Option<MetricNo> {
        match self {
            Self::Silence => Some(metric::SILENCE_MIN),
            Self::Count { .. } => Some(metric::DEVICE_COUNT),
            Self::Value | Self::Rate { .. } | Self::Stuck | Self::Forecast { .. } => None,
        }
    }

    /// The word of the rules' file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "threshold",
            Self::Rate { .. } => "rate",
            Self::Silence => "silence",
            Self::Stuck => "stuck",
            Self::Count { .. } => "count",
            Self::Forecast { .. } => "forecast",
        }
    }

    /// Whether it looks at readings of a device.
    pub(crate) const fn reads(self) -> bool {
        matches!(self, Self::Value | Self::Rate { .. } | Self::Stuck | Self::Forecast { .. })
    }
}

/// What a cell remembers besides its levels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Memory {
    Nothing,
    /// Readings of the last `within_ms` and the one before them, ascending.
    Window(Box<Window>),
    /// The device's expected interval.
    Interval(i64),
    /// When each level is due if nothing is heard of the group. Computed when it may have come, not with each message.
    Together(Box<Due>),
    /// How the device usually fills.
    Filling(Box<Filling>),
    /// Since when the value is what it is; the least instant: not known yet.
    Unchanged(TimestampMs),
}

/// Readings of a window, ascending.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Window(VecDeque<(TimestampMs, f64)>);

/// Instants by level.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due(pub(crate) Vec<Option<TimestampMs>>);

impl Memory {
    pub(crate) fn new(watch: Watch, interval_ms: i64) -> Self {
        match watch {
            Watch::Value | Watch::Count { .. } => Self::Nothing,
            Watch::Rate { .. } => Self::Window(Box::default()),
            Watch::Silence => Self::Interval(interval_ms),
            Watch::Forecast { .. } => Self::Filling(Box::default()),
            Watch::Stuck => Self::Unchanged(TimestampMs(i64::MIN)),
        }
    }

    /// Takes a reading in. Readings come in the order of their times.
    pub(crate) fn hear(
        &mut self,
        (watch, calendar): (Watch, SiteCalendar),
        at: TimestampMs,
        value: f64,
        before: f64,
    ) {
        match (self, watch) {
            (Self::Filling(filling), _) => filling.observe(calendar, at, value),
            (Self::Window(window), Watch::Rate { within_ms }) => {
                let window = &mut window.0;
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
            (Self::Unchanged(since), _) if since.0 == i64::MIN || value.to_bits() != before.to_bits() => {
                *since = at;
            }
            _ => {}
        }
    }

    /// Draws its conclusions from what it has heard.
    pub(crate) fn learn(&mut self) {
        if let Self::Filling(filling) = self {
            filling.learn();
        }
    }

    /// What a level of this direction is compared with.
    pub(crate) fn quantity(&self, watch: Watch, direction: Direction, at: TimestampMs, value: f64) -> f64 {
        match self {
            Self::Nothing | Self::Interval(_) | Self::Together(_) => value,
            Self::Window(window) => {
                let Watch::Rate { within_ms } = watch else { return value };
                let window = &window.0;
                let start = at.plus_ms(-within_ms);
                let inside = window.iter().filter(|(at, _)| *at >= start).map(|(_, value)| *value);
                let values = inside.chain(value_at(window, start));
                let from = match direction {
                    Direction::Rising => values.fold(value, f64::min),
                    Direction::Falling => values.fold(value, f64::max),
                };
                value - from
            }
            Self::Filling(filling) => match watch {
                Watch::Forecast { until } => filling.hours_until(until),
                _ => f64::INFINITY,
            },
            Self::Unchanged(since) if since.0 == i64::MIN => 0.0,
            Self::Unchanged(since) => at.since_ms(*since) as f64 / HOUR_MS as f64,
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
