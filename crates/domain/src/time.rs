//! Points in time and the decision whose clock is believed.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

pub const SECOND_MS: i64 = 1_000;
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// UTC, milliseconds since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    #[must_use]
    pub fn minus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The number of the UTC day, counted from 1970-01-01.
    pub fn utc_day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }

    /// Reads RFC 3339, with or without fractions of a second.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|t| Self(t.timestamp_millis()))
    }

    /// A Unix time in seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude: 10^11 seconds is the
    /// year 5138, 10^11 milliseconds is March 1973, and no sensor is of either time.
    pub fn from_unix_by_magnitude(number: f64) -> Option<Self> {
        const SECONDS_BELOW: f64 = 1e11;
        const MS_BELOW: f64 = 1e14;
        const US_BELOW: f64 = 1e17;
        const NS_BELOW: f64 = 1e20;
        let ms = match number.abs() {
            seconds if seconds < SECONDS_BELOW => number * 1e3,
            ms if ms < MS_BELOW => number,
            us if us < US_BELOW => number / 1e3,
            ns if ns < NS_BELOW => number / 1e6,
            // Also what is no number.
            _ => return None,
        };
        Some(Self(ms.round() as i64))
    }
}

impl fmt::Display for TimestampMs {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// The site's time, handed to every part that needs it: real in `serve`, faster in `demo`, seeded in tests.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> TimestampMs;

    /// How long it takes in real time until this clock shows `at`; not above 0 when it does already. A clock that does
    /// not run at the real speed says so here.
    fn real_ms_until(&self, at: TimestampMs) -> i64 {
        at.since_ms(self.now())
    }
}

/// How far a device's clock may be from the receipt before it is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlausibleWindow {
    pub ahead_ms: i64,
    pub behind_ms: i64,
}

impl Default for PlausibleWindow {
    /// 5 minutes ahead, 30 days behind: a backlog after a long outage is real, tomorrow is not.
    fn default() -> Self {
        Self { ahead_ms: 5 * MINUTE_MS, behind_ms: 30 * DAY_MS }
    }
}

/// Whose time a reading carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservedAt {
    Device(TimestampMs),
    /// The device gave no time.
    Receipt(TimestampMs),
    /// The device gave a time that cannot be; the receipt's is used.
    Implausible {
        claimed: TimestampMs,
        used: TimestampMs,
    },
}

impl ObservedAt {
    pub fn timestamp(self) -> TimestampMs {
        match self {
            Self::Device(at) | Self::Receipt(at) | Self::Implausible { used: at, .. } => at,
        }
    }
}

/// The device's time where it is plausible, else the receipt's.
pub fn observed_or_received(
    claimed: Option<TimestampMs>,
    received: TimestampMs,
    window: PlausibleWindow,
) -> ObservedAt {
    match claimed {
        None => ObservedAt::Receipt(received),
        Some(claimed) => {
            let ahead_ms = claimed.since_ms(received);
            if ahead_ms <= window.ahead_ms && ahead_ms >= -window.behind_ms {
                ObservedAt::Device(claimed)
            } else {
                ObservedAt::Implausible { claimed, used: received }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_unix_time_are_told_apart_by_magnitude() {
        let expected = Some(TimestampMs(1_772_323_200_000));
        for number in [1_772_323_200.0, 1_772_323_200e3, 1_772_323_200e6, 1_772_323_200e9] {
            assert_eq!(TimestampMs::from_unix_by_magnitude(number), expected, "{number}");
        }
        assert_eq!(TimestampMs::from_unix_by_magnitude(f64::NAN), None);
        assert_eq!(TimestampMs::from_unix_by_magnitude(1e300), None);
    }

    #[test]
    fn a_device_clock_in_1970_or_2100_gives_way_to_the_receipt() {
        let received = TimestampMs(1_772_323_200_000);
        for claimed in [TimestampMs(0), TimestampMs(4_102_444_800_000)] {
            let at = observed_or_received(Some(claimed), received, PlausibleWindow::default());
            assert_eq!(at, ObservedAt::Implausible { claimed, used: received });
        }
    }

    #[test]
    fn the_window_includes_its_edges() {
        let received = TimestampMs(1_772_323_200_000);
        let window = PlausibleWindow::default();
        for (offset_ms, believed) in [
            (window.ahead_ms, true),
            (window.ahead_ms + 1, false),
            (-window.behind_ms, true),
            (-window.behind_ms - 1, false),
        ] {
            let at = observed_or_received(Some(received.plus_ms(offset_ms)), received, window);
            assert_eq!(matches!(at, ObservedAt::Device(_)), believed, "{offset_ms}");
        }
    }

    #[test]
    fn days_are_counted_downwards_before_1970() {
        assert_eq!(TimestampMs(-1).utc_day(), -1);
        assert_eq!(TimestampMs(DAY_MS).utc_day(), 1);
    }

    #[test]
    fn times_print_as_rfc_3339() {
        assert_eq!(TimestampMs(1_772_323_200_123).to_string(), "2026-03-01T00:00:00.123Z");
    }
}
