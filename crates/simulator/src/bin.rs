//! A bin's life: it fills by the hour, is emptied on its round, burns or falls over once in a while.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sanimon_domain::time::{HOUR_MS, MINUTE_MS};
use sanimon_domain::{TimestampMs, ZoneClass};

use crate::simulation::LocalTime;
use crate::truth::{TruthKind, TruthLog};

#[derive(Debug)]
pub(crate) struct Bin {
    pub(crate) fill_pct: f64,
    pub(crate) temperature_c: f64,
    pub(crate) tilt_deg: f64,
    pub(crate) fire_until: Option<TimestampMs>,
    tilted_until: Option<TimestampMs>,
    /// How busy its place is beside others of its zone.
    busyness: f64,
    /// Share of its rounds on which it is really emptied: some bins are where the lorry cannot turn.
    service: f64,
    last_round: i64,
}

/// Percent an hour at a place's busiest hour.
fn busiest_pct_per_hour(class: ZoneClass) -> f64 {
    match class {
        ZoneClass::Market => 12.0,
        ZoneClass::OldResidential => 7.4,
        ZoneClass::Dense => 7.8,
        ZoneClass::Street => 6.6,
        ZoneClass::School => 7.0,
        ZoneClass::Scenic => 5.5,
        ZoneClass::Village => 4.2,
    }
}

/// How full of people an hour is, 0 to 1: markets live in the morning, homes in the evening, schools on weekdays.
pub(crate) fn activity(class: ZoneClass, time: LocalTime) -> f64 {
    let bump = |hour: f64, width: f64| (-((time.hour - hour) / width).powi(2)).exp();
    let day = match class {
        ZoneClass::Market => bump(7.5, 2.5) + 0.6 * bump(17.0, 2.0),
        ZoneClass::School => {
            (bump(8.0, 1.2) + bump(12.0, 1.2) + bump(16.5, 1.2)) * if time.is_weekend { 0.15 } else { 1.0 }
        }
        ZoneClass::Street | ZoneClass::Scenic => bump(11.0, 3.0) + bump(18.0, 3.0),
        _ => 0.7 * bump(8.0, 2.0) + bump(19.0, 2.5),
    };
    (0.05 + day * if time.is_weekend { 1.15 } else { 1.0 }).min(1.3)
}

/// The hours of the collection rounds.
fn rounds(class: ZoneClass) -> &'static [i64] {
    match class {
        ZoneClass::Market => &[5, 10, 15, 20],
        ZoneClass::Village => &[7],
        _ => &[6, 15],
    }
}

impl Bin {
    pub(crate) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            fill_pct: rng.random_range(0.0..60.0),
            temperature_c: 20.0,
            tilt_deg: rng.random_range(0.0..4.0),
            fire_until: None,
            tilted_until: None,
            busyness: rng.random_range(0.55..1.25),
            service: if rng.random_bool(0.08) { 0.4 } else { 0.94 },
            last_round: i64::MIN,
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
        let was_full = self.fill_pct >= 98.0;
        let rate = busiest_pct_per_hour(class) * self.busyness * activity(class, time);
        self.fill_pct = (self.fill_pct + rate * hours * rng.random_range(0.7..1.3)).min(100.0);
        truth.change(at, id, TruthKind::Overflow, was_full, self.fill_pct >= 98.0);

        let due = rounds(class).iter().filter(|hour| (**hour as f64) <= time.hour).count() as i64;
        let round = time.day * 10 + due;
        if round > self.last_round {
            let first = self.last_round == i64::MIN;
            self.last_round = round;
            // The first look is not a round.
            if !first && due > 0 && rng.random_bool(self.service) {
                truth.change(at, id, TruthKind::Overflow, self.fill_pct >= 98.0, false);
                truth.instant(at, id, TruthKind::Service);
                self.fill_pct = rng.random_range(0.0..4.0);
            }
        }
        self.misfortune(rng, at, hours, id, truth);
        let outdoors = 17.0 + 6.0 * ((time.hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
        self.temperature_c = match self.fire_until {
            Some(_) => rng.random_range(68.0..140.0),
            None => outdoors + rng.random_range(-1.0..1.0),
        };
    }

    fn misfortune(
        &mut self,
        rng: &mut ChaCha8Rng,
        at: TimestampMs,
        hours: f64,
        id: &str,
        truth: &mut TruthLog,
    ) {
        // One fire in a bin's four years; one fall in four months.
        let burning = self.fire_until.is_some_and(|until| at < until);
        truth.change(at, id, TruthKind::Fire, self.fire_until.is_some(), burning);
        if !burning {
            self.fire_until = rng.random_bool(hours / 35_000.0).then(|| at.plus_ms(70 * MINUTE_MS));
            truth.change(at, id, TruthKind::Fire, false, self.fire_until.is_some());
        }
        match self.tilted_until {
            Some(until) if at >= until => {
                self.tilted_until = None;
                self.tilt_deg = rng.random_range(0.0..4.0);
            }
            None if rng.random_bool(hours / 3_000.0) => {
                self.tilted_until = Some(at.plus_ms(rng.random_range(2..9) * HOUR_MS));
                self.tilt_deg = rng.random_range(35.0..88.0);
            }
            _ => {}
        }
    }
}
