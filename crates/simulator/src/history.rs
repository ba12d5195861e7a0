//! Years of plain readings, as fast as they can be made: for measuring a store, not for judging alerts.
//!
//! Each device reports five metrics at an interval, a few seconds late, with the resolution of real sensors: a fill
//! level in whole percent that rises and is emptied, the distance behind it in millimetres, a temperature with its day
//! and its year in tenths, a battery in hundredths of a volt, a signal strength in whole decibels.

use sanimon_domain::TimestampMs;
use sanimon_domain::time::{DAY_MS, SECOND_MS};

/// In the order of [`Report::values`].
pub const METRICS: [&str; 5] = ["fill_pct", "distance_mm", "temperature_c", "battery_v", "rssi_dbm"];

/// How far behind its time a report is at most, in whole seconds.
const LATE_S_MAX: u64 = 3;
const EMPTY_MM: f64 = 1_200.0;
const MM_PER_PCT: f64 = 10.0;

/// One message of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    pub device: u32,
    pub at: TimestampMs,
    pub values: [f64; METRICS.len()],
}

/// A seeded history, in the order of time.
#[derive(Debug)]
pub struct History {
    start: TimestampMs,
    interval_ms: i64,
    fills_pct: Vec<f64>,
    seed: u64,
    next: u64,
    end: u64,
}

impl History {
    pub fn new(devices: u32, start: TimestampMs, days: u32, interval_ms: i64, seed: u64) -> Self {
        let steps = (i64::from(days) * DAY_MS / interval_ms) as u64;
        let fills_pct = (0..devices).map(|device| f64::from(device * 37 % 100)).collect();
        Self { start, interval_ms, fills_pct, seed, next: 0, end: steps * u64::from(devices) }
    }

    /// Readings in the whole history.
    pub fn points(&self) -> u64 {
        self.end * METRICS.len() as u64
    }
}

impl Iterator for History {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        if self.next >= self.end {
            return None;
        }
        let (step, device) =
            (self.next / self.fills_pct.len() as u64, self.next % self.fills_pct.len() as u64);
        let noise = mix(self.seed ^ self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        self.next += 1;
        // Bits of one number: each noise has its own.
        let part = |shift: u32, size: u64| (noise >> shift) % size;
        let phase_ms =
            (mix(self.seed ^ device) % self.interval_ms.max(1) as u64) as i64 / SECOND_MS * SECOND_MS;
        let due_ms = step as i64 * self.interval_ms + phase_ms;
        let at = self.start.plus_ms(due_ms + part(0, LATE_S_MAX + 1) as i64 * SECOND_MS);

        let fill = &mut self.fills_pct[device as usize];
        let day = due_ms as f64 / DAY_MS as f64;
        *fill += part(4, 100) as f64 / 100.0 * (1.0 + (device % 3) as f64) * 0.4;
        if *fill >= 95.0 || (*fill > 60.0 && part(12, 64) == 0) {
            *fill = part(20, 5) as f64;
        }
        let turn = std::f64::consts::TAU;
        let season_c = 15.0 - 10.0 * (day / 365.0 * turn).cos();
        let temperature_c = season_c - 5.0 * (day * turn).cos() + part(26, 10) as f64 / 10.0;
        let battery_v = 3.65 - day * 0.000_3 + part(32, 3) as f64 / 100.0;
        let rssi_dbm = -85.0 - (device % 30) as f64 - part(38, 9) as f64;
        let distance_mm = EMPTY_MM - *fill * MM_PER_PCT + part(44, 11) as f64 - 5.0;
        let values = [
            fill.round(),
            distance_mm.round(),
            (temperature_c * 10.0).round() / 10.0,
            (battery_v * 100.0).round() / 100.0,
            rssi_dbm,
        ];
        Some(Report { device: device as u32, at, values })
    }
}

/// SplitMix64: well spread bits of a counter.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_what_its_numbers_say_and_the_same_each_time() {
        let make = || History::new(7, TimestampMs(0), 2, 900_000, 1);
        let reports: Vec<Report> = make().collect();
        assert_eq!(reports.len() * METRICS.len(), make().points() as usize);
        assert_eq!(reports.len(), 7 * 2 * 96);
        assert!(make().eq(reports.iter().copied()));
        let of_one: Vec<i64> = reports.iter().filter(|r| r.device == 3).map(|r| r.at.0).collect();
        assert!(of_one.is_sorted_by(|a, b| a < b));
        assert!(reports.iter().all(|r| (0.0..=100.0).contains(&r.values[0]) && r.values[1] > 0.0));
    }
}
