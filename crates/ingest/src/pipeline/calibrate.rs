//! Guided calibration: a person on site has said what the next reading stands for.

use sanimon_domain::{Calibration, metric};
use sanimon_store::{CalibrationPoint, Device, Point};

use super::{Arriving, GroupBuilder};
use crate::message::Message;

impl GroupBuilder<'_> {
    /// Takes a distance (or a level probe's word) for the end of the scale that was asked for.
    pub(super) fn calibrate(&mut self, message: &Message, arriving: Arriving) {
        let Arriving { device, metric, point: Point { value, .. } } = arriving;
        if metric != metric::DISTANCE_MM && metric != metric::LEVEL_MM {
            return;
        }
        let Some(entry) = self.entry(device) else { return };
        let Some(end) = entry.calibrate_next else { return };
        // A level that was made from a distance is no word of the sensor's.
        let calibration = match (metric, end) {
            (metric::DISTANCE_MM, CalibrationPoint::Empty) => {
                Calibration { empty_mm: Some(value), ..entry.calibration.clone() }
            }
            (metric::DISTANCE_MM, CalibrationPoint::Full) => {
                Calibration { full_mm: Some(value), ..entry.calibration.clone() }
            }
            // A probe in a dry drain hangs where it says 0; at the crown it says the depth.
            (_, CalibrationPoint::Empty) => {
                Calibration { offset_mm: Some(-value), ..entry.calibration.clone() }
            }
            (_, CalibrationPoint::Full) => {
                let depth = value + entry.calibration.offset_mm.unwrap_or(0.0);
                Calibration { depth_mm: Some(depth), ..entry.calibration.clone() }
            }
        };
        let entry = Device { calibrate_next: None, ..entry.clone() };
        let what = match calibration.check() {
            Ok(()) => {
                self.changed.insert(device, Device { calibration, ..entry });
                "calibrated"
            }
            Err(fault) => {
                self.changed.insert(device, entry);
                return self.event(
                    message,
                    device,
                    ("device", "calibration_refused"),
                    Some(&fault.to_string()),
                );
            }
        };
        let detail = format!("{} at {value} mm", end.as_str());
        self.event(message, device, ("device", what), Some(&detail));
    }
}
