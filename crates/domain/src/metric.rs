//! The one list of metrics. A name carries its unit; a number stands for it inside.

/// The short number of a metric: below [`CUSTOM_FROM`] an index into [`METRICS`], above it one that the
/// store has given to a name that no table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricNo(pub u16);

/// Numbers from here on belong to metrics that devices brought with them.
pub const CUSTOM_FROM: u16 = 1_000;
/// The longest name of an unknown metric, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A metric as it comes out of a message: known, or a name to be kept as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    Known(MetricNo),
    Custom(Box<str>),
}

/// What is known of a metric.
#[derive(Debug, Clone, Copy)]
pub struct MetricInfo {
    pub name: &'static str,
    /// What people read beside the number.
    pub unit: &'static str,
    /// Values outside are physically impossible here and never become readings.
    pub min: f64,
    pub max: f64,
}

const fn m(name: &'static str, unit: &'static str, min: f64, max: f64) -> MetricInfo {
    MetricInfo { name, unit, min, max }
}

/// Every metric of the MQTT contract. The order is the stored number: append only.
///
/// The limits are deliberately wide (a sensor's own error codes are its codec's business): they stop what
/// no bin, drain or toilet can show, such as 250 % or -400 °C.
pub static METRICS: [MetricInfo; 39] = [
    m("fill_pct", "%", 0.0, 100.0),
    m("distance_mm", "mm", 0.0, 20_000.0),
    m("temperature_c", "°C", -60.0, 1_200.0),
    m("tilt_deg", "°", -180.0, 180.0),
    m("lid_open", "", 0.0, 1.0),
    m("fire", "", 0.0, 1.0),
    m("weight_kg", "kg", -1_000.0, 50_000.0),
    m("level_mm", "mm", -1_000.0, 50_000.0),
    m("level_pct", "%", 0.0, 100.0),
    m("flow_m3h", "m³/h", -100_000.0, 1_000_000.0),
    m("velocity_mps", "m/s", -50.0, 50.0),
    m("ch4_lel_pct", "% LEL", 0.0, 100.0),
    m("h2s_ppm", "ppm", 0.0, 10_000.0),
    m("co_ppm", "ppm", 0.0, 100_000.0),
    m("o2_pct", "%", 0.0, 100.0),
    m("cover_open", "", 0.0, 1.0),
    m("flooded", "", 0.0, 1.0),
    m("rain_mm", "mm", 0.0, 10_000.0),
    m("turbidity_ntu", "NTU", 0.0, 100_000.0),
    m("ph", "pH", -2.0, 16.0),
    m("nh3_ppm", "ppm", 0.0, 10_000.0),
    m("tvoc_ppb", "ppb", 0.0, 1_000_000.0),
    m("co2_ppm", "ppm", 0.0, 1_000_000.0),
    m("pm25_ugm3", "µg/m³", 0.0, 100_000.0),
    m("humidity_pct", "%", 0.0, 100.0),
    m("occupied", "", 0.0, 1.0),
    m("occupancy_count", "", 0.0, 100_000.0),
    m("visitors_in", "", 0.0, 1e12),
    m("visitors_out", "", 0.0, 1e12),
    m("visitors_total", "", 0.0, 1e12),
    m("paper_pct", "%", 0.0, 100.0),
    m("soap_pct", "%", 0.0, 100.0),
    m("leak", "", 0.0, 1.0),
    m("satisfaction", "", 0.0, 100.0),
    m("call_button", "", 0.0, 1e12),
    m("battery_pct", "%", 0.0, 100.0),
    m("battery_v", "V", 0.0, 1_000.0),
    m("rssi_dbm", "dBm", -300.0, 100.0),
    m("snr_db", "dB", -100.0, 200.0),
];

/// Metrics that the code itself has to name.
pub const FILL_PCT: MetricNo = MetricNo(0);
pub const DISTANCE_MM: MetricNo = MetricNo(1);
pub const LEVEL_MM: MetricNo = MetricNo(7);
pub const LEVEL_PCT: MetricNo = MetricNo(8);
pub const TEMPERATURE_C: MetricNo = MetricNo(2);
pub const HUMIDITY_PCT: MetricNo = MetricNo(24);
pub const VISITORS_IN: MetricNo = MetricNo(27);
pub const VISITORS_OUT: MetricNo = MetricNo(28);
pub const VISITORS_TOTAL: MetricNo = MetricNo(29);
pub const BATTERY_PCT: MetricNo = MetricNo(35);
pub const BATTERY_V: MetricNo = MetricNo(36);

/// What the engine itself measures of a device: how long nothing was heard of it. No device can report it.
pub const SILENCE_MIN: MetricNo = MetricNo(CUSTOM_FROM - 1);
/// How many devices of a group are in a condition.
pub const DEVICE_COUNT: MetricNo = MetricNo(CUSTOM_FROM - 2);
/// In how many hours a bin will be full, as it usually fills.
pub const FULL_IN_H: MetricNo = MetricNo(CUSTOM_FROM - 3);
/// Those of the engine itself, from the last number down.
static OF_THE_ENGINE: [MetricInfo; 3] =
    [m("silence_min", "min", 0.0, 1e9), m("device_count", "", 0.0, 1e9), m("full_in_h", "h", 0.0, 1e9)];

/// Looks a name up. 39 names, told apart by length and first bytes almost at once: a scan beats a hash.
pub fn by_name(name: &str) -> Option<MetricNo> {
    METRICS.iter().position(|info| info.name == name).map(|index| MetricNo(index as u16))
}

/// The table's row, or `None` for a custom metric.
pub fn info(no: MetricNo) -> Option<&'static MetricInfo> {
    match CUSTOM_FROM.checked_sub(no.0 + 1) {
        Some(from_last) if usize::from(from_last) < OF_THE_ENGINE.len() => {
            Some(&OF_THE_ENGINE[usize::from(from_last)])
        }
        _ => METRICS.get(usize::from(no.0)),
    }
}

/// Whether a device's own name can be kept as a metric: ASCII letters, digits, `_`, `.`, `-`.
pub fn is_keepable_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_constants_point_at_their_rows() {
        for (no, name) in [
            (FILL_PCT, "fill_pct"),
            (DISTANCE_MM, "distance_mm"),
            (LEVEL_MM, "level_mm"),
            (LEVEL_PCT, "level_pct"),
            (TEMPERATURE_C, "temperature_c"),
            (HUMIDITY_PCT, "humidity_pct"),
            (VISITORS_IN, "visitors_in"),
            (VISITORS_OUT, "visitors_out"),
            (VISITORS_TOTAL, "visitors_total"),
            (BATTERY_PCT, "battery_pct"),
            (BATTERY_V, "battery_v"),
        ] {
            assert_eq!(by_name(name), Some(no));
        }
    }

    #[test]
    fn names_are_unique_and_limits_are_ordered() {
        for (index, info) in METRICS.iter().enumerate() {
            assert_eq!(by_name(info.name), Some(MetricNo(index as u16)), "{}", info.name);
            assert!(info.min < info.max, "{}", info.name);
            assert!(is_keepable_name(info.name));
        }
    }
}
