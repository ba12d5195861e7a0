//! Names that people and vendors give to our metrics, and their units.
//!
//! The table has common names and units, not vendors' own: those belong to the vendors' tables and to the configuration.

use crate::metric::{self, MetricNo};

/// `value * factor + offset` is in our unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub factor: f64,
    pub offset: f64,
}

impl Scale {
    pub const SAME: Self = Self { factor: 1.0, offset: 0.0 };

    pub fn apply(self, value: f64) -> f64 {
        // What is in our unit already stays as it is to the last bit.
        if self == Self::SAME {
            return value;
        }
        // 59.368 cm are 593.68 mm, not 593.6800000000001: no sensor knows a millionth.
        let converted = value * self.factor + self.offset;
        let rounded = (converted * 1e6).round() / 1e6;
        if rounded.is_finite() { rounded } else { converted }
    }
}

/// One of our metrics in some unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    pub metric: MetricNo,
    pub scale: Scale,
}

impl Conversion {
    pub fn apply(self, value: f64) -> f64 {
        self.scale.apply(value)
    }
}

/// mg/m³ of a gas at 25 °C and 1 atm: ppm × molar mass / 24.45 l. Ammonia 17.03 g/mol, hydrogen sulphide 34.08 g/mol.
const NH3_MG_PER_PPM: f64 = 0.696;
const H2S_MG_PER_PPM: f64 = 1.394;

/// Other units of our metrics: name, metric, factor, offset.
static UNITS: [(&str, &str, f64, f64); 18] = [
    ("distance_cm", "distance_mm", 10.0, 0.0),
    ("distance_m", "distance_mm", 1_000.0, 0.0),
    ("level_cm", "level_mm", 10.0, 0.0),
    ("level_m", "level_mm", 1_000.0, 0.0),
    ("depth_cm", "level_mm", 10.0, 0.0),
    ("temperature_f", "temperature_c", 5.0 / 9.0, -32.0 * 5.0 / 9.0),
    ("battery_mv", "battery_v", 0.001, 0.0),
    ("nh3_mgm3", "nh3_ppm", 1.0 / NH3_MG_PER_PPM, 0.0),
    ("h2s_mgm3", "h2s_ppm", 1.0 / H2S_MG_PER_PPM, 0.0),
    ("nh3_ppb", "nh3_ppm", 0.001, 0.0),
    ("h2s_ppb", "h2s_ppm", 0.001, 0.0),
    ("tvoc_ppm", "tvoc_ppb", 1_000.0, 0.0),
    ("weight_g", "weight_kg", 0.001, 0.0),
    ("flow_lps", "flow_m3h", 3.6, 0.0),
    ("flow_m3s", "flow_m3h", 3_600.0, 0.0),
    ("velocity_kmh", "velocity_mps", 1.0 / 3.6, 0.0),
    ("fill_ratio", "fill_pct", 100.0, 0.0),
    ("rsrp_ddbm", "rssi_dbm", 0.1, 0.0),
];

/// Names without a unit, as platforms and codecs write them; in small letters, without `_`, `-` and spaces.
static SYNONYMS: [(&str, &str); 52] = [
    ("temperature", "temperature_c"),
    ("temp", "temperature_c"),
    ("tempc", "temperature_c"),
    ("temperaturec", "temperature_c"),
    ("humidity", "humidity_pct"),
    ("humi", "humidity_pct"),
    ("hum", "humidity_pct"),
    ("relativehumidity", "humidity_pct"),
    ("battery", "battery_pct"),
    ("batterylevel", "battery_pct"),
    ("batterypercent", "battery_pct"),
    ("batterypercentage", "battery_pct"),
    ("bat", "battery_pct"),
    ("batteryvoltage", "battery_v"),
    ("batv", "battery_v"),
    ("vbat", "battery_v"),
    ("voltage", "battery_v"),
    ("volt", "battery_v"),
    ("distance", "distance_mm"),
    ("distancemm", "distance_mm"),
    ("distancecm", "distance_cm"),
    ("waterlevel", "level_mm"),
    ("waterlevelcm", "level_cm"),
    ("liquidlevel", "level_mm"),
    ("depth", "level_mm"),
    ("fill", "fill_pct"),
    ("filllevel", "fill_pct"),
    ("fillinglevel", "fill_pct"),
    ("fillpercent", "fill_pct"),
    ("tilt", "tilt_deg"),
    ("tiltangle", "tilt_deg"),
    ("angle", "tilt_deg"),
    ("rssi", "rssi_dbm"),
    ("snr", "snr_db"),
    ("nh3", "nh3_ppm"),
    ("h2s", "h2s_ppm"),
    ("co2", "co2_ppm"),
    ("co", "co_ppm"),
    ("ch4", "ch4_lel_pct"),
    ("o2", "o2_pct"),
    ("tvoc", "tvoc_ppb"),
    ("pm25", "pm25_ugm3"),
    ("pm2.5", "pm25_ugm3"),
    ("turbidity", "turbidity_ntu"),
    ("rain", "rain_mm"),
    ("rainfall", "rain_mm"),
    ("flow", "flow_m3h"),
    ("weight", "weight_kg"),
    ("leakage", "leak"),
    ("waterleak", "leak"),
    ("occupancy", "occupied"),
    ("peoplecount", "occupancy_count"),
];

/// Our metric of exactly this name, or of its name in another unit.
pub fn exact(name: &str) -> Option<Conversion> {
    if let Some(metric) = metric::by_name(name) {
        return Some(Conversion { metric, scale: Scale::SAME });
    }
    let (_, metric, factor, offset) = UNITS.iter().find(|(known, ..)| *known == name)?;
    let metric = metric::by_name(metric)?;
    Some(Conversion { metric, scale: Scale { factor: *factor, offset: *offset } })
}

/// What a foreign name most likely means. Only names that leave no doubt about the unit belong here.
pub fn likely(name: &str) -> Option<Conversion> {
    exact(name).or_else(|| {
        let plain: String =
            name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect();
        let (_, meant) = SYNONYMS.iter().find(|(known, _)| *known == plain)?;
        exact(meant)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_units_are_converted() {
        for (name, value, metric, ours) in [
            ("fill_pct", 40.0, "fill_pct", 40.0),
            ("distance_cm", 83.5, "distance_mm", 835.0),
            ("temperature_f", 212.0, "temperature_c", 100.0),
            ("nh3_mgm3", 0.3, "nh3_ppm", 0.431),
            ("h2s_mgm3", 10.0, "h2s_ppm", 7.174),
            ("Water Level", 120.0, "level_mm", 120.0),
            ("BatV", 3.6, "battery_v", 3.6),
        ] {
            let conversion = likely(name).expect(name);
            assert_eq!(metric::by_name(metric), Some(conversion.metric), "{name}");
            assert!((conversion.apply(value) - ours).abs() < 0.001, "{name}: {}", conversion.apply(value));
        }
        assert_eq!(likely("status"), None);
    }

    #[test]
    fn every_row_leads_to_a_metric() {
        assert!(UNITS.iter().all(|(name, ..)| exact(name).is_some()));
        assert!(SYNONYMS.iter().all(|(name, _)| likely(name).is_some()));
    }
}
