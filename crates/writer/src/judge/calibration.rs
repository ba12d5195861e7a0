//! Guided calibration: a person on site has said what the next reading stands for.

use sanimon_domain::{Calibration, MetricNo, metric};
use sanimon_store::{CalibrationPoint, Device};

/// What a reading made of a device's entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Calibrated {
    pub(crate) entry: Device,
    /// What the device's history calls it: `calibrated`, `calibration_refused`.
    pub(crate) event: &'static str,
    pub(crate) detail: String,
}

/// Takes a distance (or what a level probe says) for the end of the scale that was asked for. `None`: nothing was asked.
pub(crate) fn take(entry: &Device, metric: MetricNo, value: f64) -> Option<Calibrated> {
    let end = entry.calibrate_next?;
    let known = entry.calibration.clone();
    let calibration = match (metric, end) {
        (metric::DISTANCE_MM, CalibrationPoint::Empty) => Calibration { empty_mm: Some(value), ..known },
        (metric::DISTANCE_MM, CalibrationPoint::Full) => Calibration { full_mm: Some(value), ..known },
        // A probe in a dry drain hangs where it says 0; at the crown it says the depth.
        (metric::LEVEL_MM, CalibrationPoint::Empty) => Calibration { offset_mm: Some(-value), ..known },
        (metric::LEVEL_MM, CalibrationPoint::Full) => {
            Calibration { depth_mm: Some(value + known.offset_mm.unwrap_or(0.0)), ..known }
        }
        _ => return None,
    };
    let asked_no_more = Device { calibrate_next: None, ..entry.clone() };
    Some(match calibration.check() {
        Ok(()) => Calibrated {
            entry: Device { calibration, ..asked_no_more },
            event: "calibrated",
            detail: format!("{} at {value} mm", end.as_str()),
        },
        Err(fault) => {
            Calibrated { entry: asked_no_more, event: "calibration_refused", detail: fault.to_string() }
        }
    })
}
