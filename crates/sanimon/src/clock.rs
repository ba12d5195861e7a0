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

    /// How long to wait in real time until the site's clock shows this.
    pub(crate) fn real_time_until(&self, at: TimestampMs) -> std::time::Duration {
        let ms = at.since_ms(self.now()) as f64 / self.speed;
        std::time::Duration::from_secs_f64((ms / 1000.0).max(0.0))
    }
}

impl Clock for FastClock {
    fn now(&self) -> TimestampMs {
        self.start.plus_ms((self.started.elapsed().as_secs_f64() * self.speed * 1000.0) as i64)
    }
}
