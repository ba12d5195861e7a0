//! Rain over the whole town, and failing gateways: what hits many devices at once.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sanimon_domain::TimestampMs;
use sanimon_domain::time::{DAY_MS, HOUR_MS};

/// An interval of time with a strength.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spell {
    pub(crate) from: TimestampMs,
    pub(crate) to: TimestampMs,
    /// Millimetres an hour for rain; unused for outages.
    pub(crate) strength: f64,
}

/// Endless spells with random gaps; asked for times that only go forward.
#[derive(Debug)]
pub(crate) struct Spells {
    rng: ChaCha8Rng,
    gap_days: (f64, f64),
    hours: (f64, f64),
    strength: (f64, f64),
    current: Spell,
    /// The one before: devices ask for slightly different times.
    previous: Spell,
}

impl Spells {
    pub(crate) fn rain(rng: ChaCha8Rng, start: TimestampMs) -> Self {
        Self::new(rng, start, (1.5, 6.0), (1.0, 5.0), (4.0, 38.0))
    }

    pub(crate) fn outages(rng: ChaCha8Rng, start: TimestampMs) -> Self {
        Self::new(rng, start, (7.0, 20.0), (0.8, 3.0), (1.0, 1.1))
    }

    fn new(
        rng: ChaCha8Rng,
        start: TimestampMs,
        gap_days: (f64, f64),
        hours: (f64, f64),
        strength: (f64, f64),
    ) -> Self {
        let none = Spell { from: start, to: start, strength: 0.0 };
        let mut spells = Self { rng, gap_days, hours, strength, current: none, previous: none };
        spells.advance();
        spells
    }

    fn advance(&mut self) {
        let from = self
            .current
            .to
            .plus_ms((self.rng.random_range(self.gap_days.0..self.gap_days.1) * DAY_MS as f64) as i64);
        let to = from.plus_ms((self.rng.random_range(self.hours.0..self.hours.1) * HOUR_MS as f64) as i64);
        let strength = self.rng.random_range(self.strength.0..self.strength.1);
        self.previous = self.current;
        self.current = Spell { from, to, strength };
    }

    /// The spell at this time, if there is one.
    pub(crate) fn at(&mut self, at: TimestampMs) -> Option<Spell> {
        // A day of grace: uplinks of a backlog look back.
        while at.since_ms(self.current.to) > DAY_MS {
            self.advance();
        }
        [self.previous, self.current].into_iter().find(|spell| at >= spell.from && at < spell.to)
    }
}
