//! What a raw value means for this device: distances and pressures as levels, running totals as visitors.

use sanimon_domain::counter::{Increment, increment};
use sanimon_domain::{DeviceKind, Metric, MetricNo, metric};
use sanimon_store::Device;

/// Vendors' names of what becomes something of ours.
const PRESSURE_BAR: &str = "pressure_bar";
const TOTAL_IN: &str = "total_in";
const TOTAL_OUT: &str = "total_out";
const FRAME_COUNTER: &str = "frame_counter";

/// What a value also says: at most these.
pub(crate) type Also = [Option<(MetricNo, f64)>; 2];

/// What a distance, a level or a pressure also says.
pub(crate) fn of_value(device: &Device, metric: &Metric, value: f64) -> Also {
    let calibration = &device.calibration;
    match metric {
        Metric::Known(metric::DISTANCE_MM) => match device.kind {
            DeviceKind::Bin | DeviceKind::Toilet => {
                [calibration.percent(value).map(|percent| (metric::FILL_PCT, percent)), None]
            }
            DeviceKind::Drain => [
                calibration.percent(value).map(|percent| (metric::LEVEL_PCT, percent)),
                calibration.level_mm(value).map(|level_mm| (metric::LEVEL_MM, level_mm)),
            ],
        },
        // A probe that hangs above the invert says less than there is; the raw word is kept as it is.
        Metric::Known(metric::LEVEL_MM) if device.kind == DeviceKind::Drain => {
            let level_mm = calibration.probe_level_mm(value);
            [calibration.depth_percent(level_mm).map(|percent| (metric::LEVEL_PCT, percent)), None]
        }
        Metric::Custom(name) if **name == *PRESSURE_BAR && device.kind == DeviceKind::Drain => {
            let level_mm = calibration.pressure_level_mm(value);
            [
                Some((metric::LEVEL_MM, level_mm)),
                calibration.depth_percent(level_mm).map(|percent| (metric::LEVEL_PCT, percent)),
            ]
        }
        _ => [None, None],
    }
}

/// Which way a running total counts.
pub(crate) fn counts(metric: &Metric) -> Option<MetricNo> {
    match metric {
        Metric::Known(metric::VISITORS_TOTAL) => Some(metric::VISITORS_IN),
        Metric::Custom(name) if **name == *TOTAL_IN => Some(metric::VISITORS_IN),
        Metric::Custom(name) if **name == *TOTAL_OUT => Some(metric::VISITORS_OUT),
        _ => None,
    }
}

/// Whether a value means something by the one before it.
pub(crate) fn is_running(metric: &Metric) -> bool {
    counts(metric).is_some() || is_frame_counter(metric)
}

/// Whether it is a LoRaWAN server's count of a session's uplinks.
pub(crate) fn is_frame_counter(metric: &Metric) -> bool {
    matches!(metric, Metric::Custom(name) if **name == *FRAME_COUNTER)
}

/// Visitors since the total before, and whether the counter began anew.
pub(crate) fn visitors(before: f64, now: f64) -> (f64, bool) {
    let step = increment(before, now);
    (step.visitors(), matches!(step, Increment::Restarted(_)))
}
