//! The site's clock: the real one, or one that runs faster for a demo.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sanimon_domain::{Clock, TimestampMs};

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> TimestampMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs(since.as_millis() as i64)
    }
}

/// Starts at a time and runs `speed` times faster than life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FastClock {
    start: TimestampMs,
    started: Instant,
    speed: f64,
}

impl FastClock {
    pub(crate) fn new(start: TimestampMs, speed: f64) -> Self {
        Self { start, started: Instant::now(), speed }
    }

    fn real_ms(&self, at: TimestampMs) -> f64 {
        at.since_ms(self.now()) as f64 / self.speed
    }

    /// How long to wait in real time until the site's clock shows this.
    pub(crate) fn real_time_until(&self, at: TimestampMs) -> std::time::Duration {
        std::time::Duration::from_secs_f64((self.real_ms(at) / 1000.0).max(0.0))
    }
}

impl Clock for FastClock {
    fn now(&self) -> TimestampMs {
        self.start.plus_ms((self.started.elapsed().as_secs_f64() * self.speed * 1000.0) as i64)
    }

    /// Rounded up: who waits that long finds the time come.
    fn real_ms_until(&self, at: TimestampMs) -> i64 {
        self.real_ms(at).ceil() as i64
    }
}

#[cfg(test)]
mod tests {
    use sanimon_domain::time::HOUR_MS;

    use super::*;

    #[test]
    fn an_hour_of_a_fast_clock_is_over_sooner() {
        let start = TimestampMs(1_772_323_200_000);
        let clock = FastClock::new(start, 60.0);
        let ms = clock.real_ms_until(start.plus_ms(HOUR_MS));
        assert!((1..=60_000).contains(&ms), "{ms}");
        assert!(clock.real_ms_until(start) <= 0);
        assert!(RealClock.real_ms_until(RealClock.now().plus_ms(HOUR_MS)) > 60_000);
    }
}
