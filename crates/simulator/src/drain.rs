//! A drain's life: rain comes, water rises and runs off, gas gathers, a cover is moved.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sanimon_domain::TimestampMs;
use sanimon_domain::time::HOUR_MS;

use crate::truth::{TruthKind, TruthLog};

#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) level_pct: f64,
    pub(crate) ch4_lel_pct: f64,
    pub(crate) h2s_ppm: f64,
    pub(crate) cover_open_until: Option<TimestampMs>,
    base_pct: f64,
    /// Percent of depth that a millimetre of rain brings.
    catchment: f64,
    /// Share of the water above the base that runs off in an hour; a blocked drain keeps it.
    runoff: f64,
}

impl Drain {
    pub(crate) fn new(rng: &mut ChaCha8Rng) -> Self {
        let base_pct = rng.random_range(6.0..26.0);
        let is_poor = rng.random_bool(0.12);
        Self {
            level_pct: base_pct,
            ch4_lel_pct: 1.0,
            h2s_ppm: 0.5,
            cover_open_until: None,
            base_pct,
            catchment: if is_poor { rng.random_range(1.6..2.4) } else { rng.random_range(0.3..1.1) },
            runoff: if is_poor { 0.35 } else { rng.random_range(0.6..0.9) },
        }
    }

    /// Lets `hours` pass, ending at `at`, under this much rain.
    pub(crate) fn live(
        &mut self,
        rng: &mut ChaCha8Rng,
        at: TimestampMs,
        rain_mm_per_h: f64,
        hours: f64,
        id: &str,
        truth: &mut TruthLog,
    ) {
        let was_flooded = self.level_pct >= 95.0;
        let above = (self.level_pct - self.base_pct).max(0.0) * (1.0 - self.runoff).powf(hours);
        let tremble = rng.random_range(-0.8..0.8);
        self.level_pct =
            (self.base_pct + above + rain_mm_per_h * hours * self.catchment + tremble).clamp(0.0, 100.0);
        truth.change(at, id, TruthKind::Flood, was_flooded, self.level_pct >= 95.0);

        // Gas gathers when nothing flows, with a rare push from upstream.
        let push = if rng.random_bool((hours / 900.0).min(1.0)) { rng.random_range(8.0..28.0) } else { 0.0 };
        self.ch4_lel_pct =
            (self.ch4_lel_pct * 0.45_f64.powf(hours) + push + rng.random_range(0.0..0.6)).min(60.0);
        self.h2s_ppm =
            (self.h2s_ppm * 0.45_f64.powf(hours) + push * 0.4 + rng.random_range(0.0..0.4)).min(40.0);

        let was_open = self.cover_open_until.is_some();
        self.cover_open_until = match self.cover_open_until {
            Some(until) if at >= until => None,
            None if rng.random_bool(hours / 9_000.0) => Some(at.plus_ms(rng.random_range(1..5) * HOUR_MS)),
            unchanged => unchanged,
        };
        truth.change(at, id, TruthKind::CoverOpen, was_open, self.cover_open_until.is_some());
    }
}
