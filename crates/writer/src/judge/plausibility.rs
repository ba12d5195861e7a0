//! Whether a reading is plausible: good, or suspect until a later one confirms it.
//!
//! * In the blind zone of its sensor: suspect. A container is full there, or something hangs before the head.
//! * A jump of a distance: suspect until the next reading. If that one is near it, both are good (a bin was emptied); if it
//!   is back where it was, the jump was an echo (a bag, an open lid) and stays suspect. So a real change is told one report
//!   later, and an echo never raises or clears anything.
//! * The same to the last digit for a week: suspect. Nothing that is measured outside stays so.
//!
//! What is no number at all (sentinels, warming up) never comes here: codecs tell it as an event.

use sanimon_domain::time::{DAY_MS, HOUR_MS};
use sanimon_domain::{MetricNo, Quality, Reason, TimestampMs, metric};
use sanimon_store::{Device, Point};

/// A change of this share of the span between two reports is a jump.
const JUMP_SHARE: f64 = 0.3;
/// A reading this near to a jump, as a share of the span, confirms it.
const CONFIRMED_SHARE: f64 = 0.15;
/// A jump within this time is doubted; in a longer one, a bin fills or is emptied.
const JUMP_WITHIN_MS: i64 = 2 * HOUR_MS;
/// Metrics that tremble by themselves: what stays the same so long is a dead sensor.
const FROZEN_AFTER_MS: i64 = 7 * DAY_MS;
const TREMBLING: [MetricNo; 3] = [metric::TEMPERATURE_C, metric::HUMIDITY_PCT, metric::DISTANCE_MM];
/// Sensors that say whole centimetres may well say the same for a week.
const COARSE_MM: f64 = 10.0;

/// What is known of a series when a reading arrives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    pub(crate) latest: Option<Point>,
    /// A jump that waits for this reading.
    pub(crate) unconfirmed: Option<Point>,
    pub(crate) unchanged_since: Option<TimestampMs>,
}

/// What becomes of a reading, and of a jump that waited for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Good,
    /// Good, and so is the jump before it.
    Confirms(Point),
    /// Good; the jump before it was none.
    Rejects,
    /// Kept beside telemetry; a jump waits for the next reading to confirm it.
    Suspect {
        quality: Quality,
        reason: Reason,
        is_unconfirmed: bool,
    },
}

const fn suspect(reason: Reason, is_unconfirmed: bool) -> Verdict {
    Verdict::Suspect { quality: reason.quality(), reason, is_unconfirmed }
}

/// Whether readings of a metric are judged by the ones before them. The others are simply good.
pub(crate) fn is_judged(metric: MetricNo) -> bool {
    TREMBLING.contains(&metric)
}

/// Judges a reading of a metric at its time.
pub(crate) fn judge(device: &Device, metric: MetricNo, reading: Point, before: Before) -> Verdict {
    let Some(latest) = before.latest.filter(|latest| reading.at > latest.at) else {
        // The first one, or a late one: newer readings have decided.
        let is_blind = metric == metric::DISTANCE_MM && device.calibration.is_blind(reading.value);
        return if is_blind { suspect(Reason::BlindZone, false) } else { Verdict::Good };
    };
    if metric == metric::DISTANCE_MM {
        if device.calibration.is_blind(reading.value) {
            return suspect(Reason::BlindZone, false);
        }
        // Who calibrates has just changed what the sensor sees.
        if device.calibrate_next.is_none()
            && let Some(span_mm) = device.calibration.span_mm()
            && let Some(verdict) = jump(span_mm, reading, latest, before.unconfirmed)
        {
            return verdict;
        }
    }
    let is_frozen = TREMBLING.contains(&metric)
        && reading.value.to_bits() == latest.value.to_bits()
        && before.unchanged_since.is_some_and(|since| reading.at.since_ms(since) >= FROZEN_AFTER_MS)
        && (metric != metric::DISTANCE_MM || reading.value % COARSE_MM != 0.0);
    if is_frozen { suspect(Reason::Frozen, false) } else { Verdict::Good }
}

/// `None`: nothing jumped, and nothing waits.
fn jump(span_mm: f64, reading: Point, latest: Point, unconfirmed: Option<Point>) -> Option<Verdict> {
    let unconfirmed = unconfirmed.filter(|unconfirmed| reading.at > unconfirmed.at);
    let is_near = |point: Point, share: f64| (reading.value - point.value).abs() <= share * span_mm;
    if is_near(latest, JUMP_SHARE) {
        return unconfirmed.map(|_| Verdict::Rejects);
    }
    if let Some(unconfirmed) = unconfirmed.filter(|unconfirmed| is_near(*unconfirmed, CONFIRMED_SHARE)) {
        return Some(Verdict::Confirms(unconfirmed));
    }
    let is_sudden = reading.at.since_ms(latest.at) <= JUMP_WITHIN_MS;
    is_sudden.then_some(suspect(Reason::Spike, true)).or(unconfirmed.map(|_| Verdict::Rejects))
}

#[cfg(test)]
mod tests {
    use sanimon_domain::time::MINUTE_MS;
    use sanimon_domain::{Calibration, DeviceId, DeviceKind};

    use super::*;

    fn bin() -> Device {
        let id = DeviceId::new("b-1").expect("a sound id");
        let calibration =
            Calibration { blind_zone_mm: Some(150.0), ..Calibration::distances(1_200.0, 200.0) };
        Device { calibration, ..Device::new(id, DeviceKind::Bin, TimestampMs(0)) }
    }

    fn at(minutes: i64, value: f64) -> Point {
        Point { at: TimestampMs(minutes * MINUTE_MS), value }
    }

    /// What the readings of a bin are judged as, one after the other; 15 minutes between them.
    fn judged(values: &[f64]) -> String {
        let (device, mut before) = (bin(), Before::default());
        let mut words = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let reading = at(index as i64 * 15, *value);
            let verdict = judge(&device, metric::DISTANCE_MM, reading, before);
            words.push(match verdict {
                Verdict::Good => "good",
                Verdict::Confirms(_) => "confirms",
                Verdict::Rejects => "rejects",
                Verdict::Suspect { reason, .. } => reason.as_str(),
            });
            match verdict {
                Verdict::Suspect { is_unconfirmed: true, .. } => before.unconfirmed = Some(reading),
                Verdict::Suspect { .. } => {}
                _ => before = Before { latest: Some(reading), unconfirmed: None, unchanged_since: None },
            }
        }
        words.join(" ")
    }

    #[test]
    fn a_jump_waits_for_the_next_reading() {
        for (values, expected) in [
            // It fills.
            (&[1_000.0, 950.0, 900.0][..], "good good good"),
            // A bag before the head, once.
            (&[1_000.0, 300.0, 990.0], "good spike rejects"),
            // Emptied.
            (&[300.0, 1_190.0, 1_180.0, 1_170.0], "good spike confirms good"),
            // An echo, then another one, then back.
            (&[1_000.0, 300.0, 600.0, 1_000.0], "good spike spike rejects"),
            // Something in the blind zone says nothing about what is below it.
            (&[1_000.0, 100.0, 100.0, 990.0], "good blind_zone blind_zone good"),
        ] {
            assert_eq!(judged(values), expected, "{values:?}");
        }
    }

    #[test]
    fn what_changes_between_two_days_or_by_a_person_s_hand_is_no_jump() {
        let before = Before { latest: Some(at(0, 1_000.0)), ..Before::default() };
        let day_later = at(24 * 60, 300.0);
        assert_eq!(judge(&bin(), metric::DISTANCE_MM, day_later, before), Verdict::Good);
        let calibrated = Device { calibrate_next: Some(sanimon_store::CalibrationPoint::Empty), ..bin() };
        assert_eq!(judge(&calibrated, metric::DISTANCE_MM, at(15, 300.0), before), Verdict::Good);
        let unknown = Device { calibration: Calibration::default(), ..bin() };
        assert_eq!(judge(&unknown, metric::DISTANCE_MM, at(15, 300.0), before), Verdict::Good);
    }

    #[test]
    fn a_late_reading_decides_nothing() {
        let before =
            Before { latest: Some(at(60, 1_000.0)), unconfirmed: Some(at(75, 300.0)), unchanged_since: None };
        assert_eq!(judge(&bin(), metric::DISTANCE_MM, at(30, 310.0), before), Verdict::Good);
    }

    #[test]
    fn the_same_to_the_last_digit_for_a_week_is_frozen_unless_the_sensor_is_coarse() {
        let week = 7 * 24 * 60;
        let frozen = |metric, value| {
            let before = Before {
                latest: Some(at(week - 15, value)),
                unconfirmed: None,
                unchanged_since: Some(TimestampMs(0)),
            };
            judge(&bin(), metric, at(week, value), before) != Verdict::Good
        };
        assert!(frozen(metric::TEMPERATURE_C, 21.5));
        assert!(frozen(metric::DISTANCE_MM, 843.0));
        assert!(!frozen(metric::DISTANCE_MM, 840.0));
        assert!(!frozen(metric::FILL_PCT, 0.0));
    }
}
