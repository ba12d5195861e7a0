//! A public toilet's life: visitors come, the air suffers, paper runs out, cleaners come.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sanimon_domain::time::HOUR_MS;
use sanimon_domain::{TimestampMs, ZoneClass};

use crate::bin::activity;
use crate::simulation::LocalTime;
use crate::truth::{TruthKind, TruthLog};

/// Ammonia that counts as an odour: 0.3 mg/m³ at 25 °C (the domain page: ppm x 0.696).
const ODOUR_PPM: f64 = 0.43;
const CLEANING_HOURS: [i64; 4] = [6, 10, 14, 18];

#[derive(Debug)]
pub(crate) struct Toilet {
    pub(crate) visitors_total: f64,
    pub(crate) nh3_ppm: f64,
    pub(crate) humidity_pct: f64,
    pub(crate) paper_pct: f64,
    pub(crate) soap_pct: f64,
    pub(crate) occupancy_count: f64,
    pub(crate) leak_until: Option<TimestampMs>,
    visitors_per_hour: f64,
    last_cleaning: i64,
}

impl Toilet {
    pub(crate) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            visitors_total: f64::from(rng.random_range(1_000..50_000)),
            nh3_ppm: 0.08,
            humidity_pct: 60.0,
            paper_pct: rng.random_range(40.0..100.0),
            soap_pct: rng.random_range(40.0..100.0),
            occupancy_count: 0.0,
            leak_until: None,
            visitors_per_hour: rng.random_range(12.0..42.0),
            last_cleaning: i64::MIN,
        }
    }

    /// Lets `hours` pass, ending at `at`.
    #[expect(clippy::too_many_arguments, reason = "a life is told of everything around it, once")]
    pub(crate) fn live(
        &mut self,
        rng: &mut ChaCha8Rng,
        at: TimestampMs,
        time: LocalTime,
        class: ZoneClass,
        hours: f64,
        id: &str,
        truth: &mut TruthLog,
    ) {
        let smelled = self.nh3_ppm >= ODOUR_PPM;
        let visitors =
            (self.visitors_per_hour * activity(class, time) * hours * rng.random_range(0.5..1.5)).round();
        self.visitors_total += visitors;
        self.occupancy_count = (visitors / (hours * 12.0).max(1.0)).round().min(8.0);
        self.nh3_ppm = 0.05
            + (self.nh3_ppm - 0.05) * 0.86_f64.powf(hours)
            + visitors * 0.0055 * rng.random_range(0.6..1.4);
        self.humidity_pct = (55.0 + visitors * 0.4 + rng.random_range(-4.0..4.0)).clamp(30.0, 99.0);
        self.paper_pct = (self.paper_pct - visitors * 0.16).max(0.0);
        self.soap_pct = (self.soap_pct - visitors * 0.07).max(0.0);

        let due = CLEANING_HOURS.iter().filter(|hour| (**hour as f64) <= time.hour).count() as i64;
        let cleaning = time.day * 10 + due;
        if cleaning > self.last_cleaning {
            let first = self.last_cleaning == i64::MIN;
            self.last_cleaning = cleaning;
            if !first && due > 0 && rng.random_bool(0.9) {
                truth.instant(at, id, TruthKind::Service);
                self.nh3_ppm = 0.06;
                // Supplies are filled when the cleaner notices.
                self.paper_pct =
                    if self.paper_pct < 45.0 && rng.random_bool(0.85) { 100.0 } else { self.paper_pct };
                self.soap_pct =
                    if self.soap_pct < 45.0 && rng.random_bool(0.85) { 100.0 } else { self.soap_pct };
            }
        }
        truth.change(at, id, TruthKind::Odour, smelled, self.nh3_ppm >= ODOUR_PPM);

        let was_leaking = self.leak_until.is_some();
        self.leak_until = match self.leak_until {
            Some(until) if at >= until => None,
            None if rng.random_bool(hours / 5_000.0) => Some(at.plus_ms(rng.random_range(1..6) * HOUR_MS)),
            unchanged => unchanged,
        };
        truth.change(at, id, TruthKind::Leak, was_leaking, self.leak_until.is_some());
    }
}
