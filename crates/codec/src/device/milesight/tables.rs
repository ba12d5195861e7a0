//! What each model sends, as tables.

use super::nbiot::NbIot;
use super::{Element, Records, Tlv, element};
use crate::device::layout::Number::{I16, Tenths16, U8, U16, U32};
use crate::device::layout::{Field, value};
use crate::device::{Model, model_of};

const fn guarded(name: &'static str, per: f64, sentinels: &'static [(u32, &'static str)]) -> Field {
    Field::Value { name, number: U16, per, sentinels }
}

const fn flag(name: &'static str) -> [Field; 2] {
    [Field::Bit { name, bit: 0 }, Field::Skip(1)]
}

const fn ways(a: &'static str, b: &'static str, c: &'static str, d: &'static str) -> [Field; 4] {
    [value(a, U16, 1.0), value(b, U16, 1.0), value(c, U16, 1.0), value(d, U16, 1.0)]
}

const TEMPERATURE: Field = value("temperature_c", I16, 10.0);
const HUMIDITY: Field = value("humidity_pct", U8, 2.0);
const DISTANCE: Field = value("distance_mm", U16, 1.0);
pub(super) const TOTALS: [Field; 2] = [value("total_in", U16, 1.0), value("total_out", U16, 1.0)];
pub(super) const PERIODS: [Field; 2] = [value("visitors_in", U16, 1.0), value("visitors_out", U16, 1.0)];
const ALARMS: &[(u8, &str)] =
    &[(1, "threshold_alarm"), (2, "mutation_alarm"), (3, "high_alarm"), (4, "alarm_released")];

const fn alarm(about: &'static str) -> Field {
    Field::State { about, states: ALARMS }
}

static BATTERY: [Element; 1] = [element(0x01, 0x75, &[value("battery_pct", U8, 1.0)])];
static CLIMATE: [Element; 2] = [element(0x03, 0x67, &[TEMPERATURE]), element(0x04, 0x68, &[HUMIDITY])];

/// Bins: distance from the lid, position, and for the TLD family temperature with its alarm.
static EM400: [Element; 6] = [
    element(0x03, 0x67, &[TEMPERATURE]),
    element(0x04, 0x82, &[DISTANCE]),
    element(0x05, 0x00, &flag("tilted")),
    element(0x06, 0x88, &[Field::Skip(9)]),
    element(0x83, 0x67, &[TEMPERATURE, alarm("temperature_c")]),
    element(0x84, 0x82, &[DISTANCE, alarm("distance_mm")]),
];
static EM310_UDL: [Element; 2] = [element(0x03, 0x82, &[DISTANCE]), element(0x04, 0x00, &flag("tilted"))];

const RDL: &[(u32, &str)] = &[(0xFFFD, "no_target"), (0xFFFE, "disabled"), (0xFFFF, "sensor_fault")];
const RDL_DISTANCE: Field = guarded("distance_mm", 1.0, RDL);
const RDL_ALARMS: &[(u8, &str)] = &[(1, "threshold_alarm"), (2, "mutation_alarm")];
static EM410_RDL: [Element; 7] = [
    element(0x03, 0x67, &[TEMPERATURE]),
    element(0x04, 0x82, &[RDL_DISTANCE]),
    element(0x05, 0x00, &flag("tilted")),
    element(0x83, 0x67, &[TEMPERATURE, alarm("temperature_c")]),
    element(0x84, 0x82, &[RDL_DISTANCE, Field::State { about: "distance_mm", states: RDL_ALARMS }]),
    element(
        0x94,
        0x82,
        &[RDL_DISTANCE, Field::Skip(2), Field::State { about: "distance_mm", states: RDL_ALARMS }],
    ),
    element(
        0xB4,
        0x82,
        &[
            RDL_DISTANCE,
            Field::State {
                about: "distance_mm",
                states: &[(0, "blind_zone_left"), (1, "blind_zone"), (2, "no_target"), (3, "sensor_fault")],
            },
        ],
    ),
];

/// Drains: a submersible probe says centimetres.
static EM500_SWL: [Element; 1] =
    [element(0x03, 0x77, &[guarded("level_mm", 0.1, &[(0xFFFF, "sensor_fault"), (0xFFFD, "out_of_range")])])];
static EM500_UDL: [Element; 2] = [
    element(0x03, 0x82, &[DISTANCE]),
    element(0x83, 0xE9, &[DISTANCE, Field::Skip(2), alarm("distance_mm")]),
];
static EM500_LGT: [Element; 1] = [element(0x03, 0x94, &[value("illumination_lux", U32, 1.0)])];
static EM500_PP: [Element; 1] = [element(0x03, 0x7B, &[value("pressure_kpa", U16, 1.0)])];
static EM300_LEAK: [Element; 1] = [element(0x05, 0x00, &flag("leak"))];
static EM300_MAGNET: [Element; 1] = [element(0x06, 0x00, &flag("door_open"))];
static EM310_TILT: [Element; 1] = [element(
    0x03,
    0xCF,
    &[
        value("angle_x_deg", I16, 100.0),
        value("angle_y_deg", I16, 100.0),
        value("angle_z_deg", I16, 100.0),
        Field::Bit { name: "threshold_x", bit: 0 },
        Field::Bit { name: "threshold_y", bit: 1 },
        Field::Bit { name: "threshold_z", bit: 2 },
        Field::Skip(1),
    ],
)];
/// Each angle has 15 bits; the lowest one says that its threshold was passed.
static EM320_TILT: [Element; 1] = [element(
    0x03,
    0xD4,
    &[
        Field::Bit { name: "threshold_x", bit: 0 },
        Field::Above { name: "angle_x_deg", per: 100.0 },
        Field::Bit { name: "threshold_y", bit: 0 },
        Field::Above { name: "angle_y_deg", per: 100.0 },
        Field::Bit { name: "threshold_z", bit: 0 },
        Field::Above { name: "angle_z_deg", per: 100.0 },
    ],
)];
static GS101: [Element; 4] = [
    element(0x05, 0x8E, &flag("gas_alarm")),
    element(0x06, 0x01, &flag("valve_open")),
    element(0x07, 0x01, &flag("relay_open")),
    element(0x08, 0x90, &[value("life_left_s", U32, 1.0)]),
];

/// Toilets: gas sensors that warm up for days say so, and say no number meanwhile.
const GAS: &[(u32, &str)] = &[(0xFFFE, "warming_up"), (0xFFFF, "sensor_fault")];
static GS301: [Element; 6] = [
    element(0x02, 0x67, &[TEMPERATURE]),
    element(0x03, 0x68, &[HUMIDITY]),
    element(0x04, 0x7D, &[guarded("nh3_ppm", 100.0, GAS)]),
    element(0x05, 0x7D, &[guarded("h2s_ppm", 100.0, GAS)]),
    element(0x06, 0x7D, &[guarded("h2s_ppm", 1_000.0, GAS)]),
    element(0x07, 0xEA, &[Field::Skip(3)]),
];
static COUNTER: [Element; 6] = [
    element(0x03, 0x67, &[TEMPERATURE]),
    element(0x04, 0xCC, &TOTALS),
    element(0x05, 0xCC, &PERIODS),
    element(0x83, 0x67, &[TEMPERATURE, alarm("temperature_c")]),
    element(0x84, 0xCC, &[TOTALS[0], TOTALS[1], alarm("total_in")]),
    element(0x85, 0xCC, &[PERIODS[0], PERIODS[1], alarm("visitors_in")]),
];
const fn count(name: &'static str) -> Field {
    value(name, U8, 1.0)
}

static REGIONS_1_TO_8: [Field; 8] = [
    count("region_1_count"),
    count("region_2_count"),
    count("region_3_count"),
    count("region_4_count"),
    count("region_5_count"),
    count("region_6_count"),
    count("region_7_count"),
    count("region_8_count"),
];
static REGIONS_9_TO_16: [Field; 8] = [
    count("region_9_count"),
    count("region_10_count"),
    count("region_11_count"),
    count("region_12_count"),
    count("region_13_count"),
    count("region_14_count"),
    count("region_15_count"),
    count("region_16_count"),
];
static VS121: [Element; 10] = [
    element(0x07, 0xD5, &REGIONS_1_TO_8),
    element(0x08, 0xD5, &REGIONS_9_TO_16),
    element(
        0x04,
        0xC9,
        &[
            value("occupancy_count", U8, 1.0),
            // The number of regions, then their bits, the high byte first.
            Field::Skip(2),
            Field::Bit { name: "region_1", bit: 0 },
            Field::Bit { name: "region_2", bit: 1 },
            Field::Bit { name: "region_3", bit: 2 },
            Field::Bit { name: "region_4", bit: 3 },
            Field::Bit { name: "region_5", bit: 4 },
            Field::Bit { name: "region_6", bit: 5 },
            Field::Bit { name: "region_7", bit: 6 },
            Field::Bit { name: "region_8", bit: 7 },
            Field::Skip(1),
        ],
    ),
    element(0x05, 0xCC, &PERIODS),
    element(0x06, 0xCD, &[value("occupancy_count_max", U8, 1.0)]),
    element(0x09, 0xDA, &ways("a_to_a", "a_to_b", "a_to_c", "a_to_d")),
    element(0x0A, 0xDA, &ways("b_to_a", "b_to_b", "b_to_c", "b_to_d")),
    element(0x0B, 0xDA, &ways("c_to_a", "c_to_b", "c_to_c", "c_to_d")),
    element(0x0C, 0xDA, &ways("d_to_a", "d_to_b", "d_to_c", "d_to_d")),
    element(0x0D, 0xCC, &TOTALS),
];
static VS132: [Element; 3] = [
    element(0x03, 0xD2, &[value("total_in", U32, 1.0)]),
    element(0x04, 0xD2, &[value("total_out", U32, 1.0)]),
    element(0x05, 0xCC, &PERIODS),
];
static VS133: [Element; 13] = [
    element(0x03, 0xD2, &[value("line_1_total_in", U32, 1.0)]),
    element(0x04, 0xD2, &[value("line_1_total_out", U32, 1.0)]),
    element(0x06, 0xD2, &[value("line_2_total_in", U32, 1.0)]),
    element(0x07, 0xD2, &[value("line_2_total_out", U32, 1.0)]),
    element(0x09, 0xD2, &[value("line_3_total_in", U32, 1.0)]),
    element(0x0A, 0xD2, &[value("line_3_total_out", U32, 1.0)]),
    element(0x0C, 0xD2, &[value("line_4_total_in", U32, 1.0)]),
    element(0x0D, 0xD2, &[value("line_4_total_out", U32, 1.0)]),
    element(0x05, 0xCC, &[value("line_1_period_in", U16, 1.0), value("line_1_period_out", U16, 1.0)]),
    element(0x08, 0xCC, &[value("line_2_period_in", U16, 1.0), value("line_2_period_out", U16, 1.0)]),
    element(0x0B, 0xCC, &[value("line_3_period_in", U16, 1.0), value("line_3_period_out", U16, 1.0)]),
    element(0x0E, 0xCC, &[value("line_4_period_in", U16, 1.0), value("line_4_period_out", U16, 1.0)]),
    element(
        0x0F,
        0xE3,
        &[
            value("region_1_count", U8, 1.0),
            value("region_2_count", U8, 1.0),
            value("region_3_count", U8, 1.0),
            value("region_4_count", U8, 1.0),
        ],
    ),
];
static VS330: [Element; 3] = [
    element(0x02, 0x82, &[DISTANCE]),
    element(0x03, 0x8E, &flag("occupied")),
    element(
        0x04,
        0x8E,
        &[Field::State { about: "device", states: &[(0, "calibration_failed"), (1, "calibrated")] }],
    ),
];
static OCCUPANCY: [Element; 2] =
    [element(0x03, 0x00, &flag("occupied")), element(0x04, 0x00, &flag("bright"))];
static WS201: [Element; 2] =
    [element(0x03, 0x82, &[DISTANCE]), element(0x04, 0xD6, &[value("paper_pct", U8, 1.0)])];
static WS203: [Element; 1] = [element(0x05, 0x00, &flag("occupied"))];
/// `04 00 01` means that it was taken off.
static WS301: [Element; 2] =
    [element(0x03, 0x00, &flag("door_open")), element(0x04, 0x00, &flag("uninstalled"))];

static EM300_DI: [Element; 2] =
    [element(0x05, 0x00, &flag("input_1")), element(0x05, 0xC8, &[value("counter_1", U32, 1.0)])];
/// A box for probes: counters, and what SDI-12 probes answered, as text (the number is the probe's).
static UC50X: [Element; 4] = [
    element(0x03, 0xC8, &[value("counter_1", U32, 1.0)]),
    element(0x04, 0xC8, &[value("counter_2", U32, 1.0)]),
    element(0x03, 0x00, &flag("input_1")),
    element(0x04, 0x00, &flag("input_2")),
];
static UC50X_SDI12: [Element; 1] =
    [element(0x08, 0xDB, &[Field::Skip(1), Field::Text { about: "sdi12", bytes: 36 }])];
static AIR: [Element; 13] = [
    element(0x05, 0x6A, &[value("activity", U16, 1.0)]),
    element(0x05, 0x00, &flag("occupied")),
    element(
        0x06,
        0x65,
        &[
            value("illumination_lux", U16, 1.0),
            value("infrared_and_visible", U16, 1.0),
            value("infrared", U16, 1.0),
        ],
    ),
    element(0x06, 0xCB, &[value("light_level", U8, 1.0)]),
    element(0x07, 0x7D, &[value("co2_ppm", U16, 1.0)]),
    element(0x08, 0x7D, &[value("tvoc", U16, 1.0)]),
    element(0x08, 0xE6, &[value("tvoc_ugm3", U16, 1.0)]),
    element(0x09, 0x73, &[value("pressure_hpa", U16, 10.0)]),
    element(0x0A, 0x7D, &[value("hcho_mgm3", U16, 100.0)]),
    element(0x0B, 0x7D, &[value("pm25_ugm3", U16, 1.0)]),
    element(0x0C, 0x7D, &[value("pm10_ugm3", U16, 1.0)]),
    element(0x0D, 0x7D, &[value("o3_ppm", U16, 100.0)]),
    element(0x0E, 0x01, &flag("beep")),
];
/// This model's firmware says hundredths.
static AM308: [Element; 1] = [element(0x08, 0x7D, &[value("tvoc", U16, 100.0)])];

const HISTORY_CLIMATE: &[Field] = &[TEMPERATURE, HUMIDITY];
const HISTORY_CO2: &[Field] = &[TEMPERATURE, HUMIDITY, value("co2_ppm", U16, 1.0)];
const HISTORY_AIR: [Field; 7] = [
    value("temperature_c", Tenths16, 10.0),
    value("humidity_pct", U16, 2.0),
    // Presence: the live frames' 1 is a trigger, a published converter reads the record's 1 as idle. Until a device
    // says which, it is no reading.
    Field::Skip(1),
    value("light_level", U8, 1.0),
    value("co2_ppm", U16, 1.0),
    value("tvoc", U16, 1.0),
    value("pressure_hpa", U16, 10.0),
];
const PM25: Field = value("pm25_ugm3", U16, 1.0);
const PM10: Field = value("pm10_ugm3", U16, 1.0);
const HISTORY_DUST: [Field; 9] = {
    let [a, b, c, d, e, f, g] = HISTORY_AIR;
    [a, b, c, d, e, f, g, PM25, PM10]
};
const HISTORY_HCHO: [Field; 10] = {
    let [a, b, c, d, e, f, g, h, i] = HISTORY_DUST;
    [a, b, c, d, e, f, g, h, i, value("hcho_mgm3", U16, 100.0)]
};
const HISTORY_LEAK: &[Field] = &[TEMPERATURE, HUMIDITY, Field::Bit { name: "leak", bit: 0 }, Field::Skip(1)];
const HISTORY_LEAK_ONLY: &[Field] = &[Field::Skip(3), Field::Bit { name: "leak", bit: 0 }, Field::Skip(1)];
/// Behind the kind of input and its state, which says nothing while it counts.
const HISTORY_PULSES: &[Field] = &[TEMPERATURE, HUMIDITY, Field::Skip(2), value("counter_1", U32, 1.0)];
const HISTORY_MAGNET: &[Field] =
    &[TEMPERATURE, HUMIDITY, Field::Bit { name: "door_open", bit: 0 }, Field::Skip(1)];
const HISTORY_LEVEL: &[Field] =
    &[guarded("level_mm", 0.1, &[(0xFFFF, "sensor_fault"), (0xFFFD, "out_of_range")])];

macro_rules! layout {
    ($name:ident, [$($table:ident),*], $history:expr) => {
        static $name: Tlv = Tlv { tables: &[&BATTERY as &[Element], $(&$table as &[Element]),*], history: $history };
    };
}

layout!(BIN, [EM400], Records::None);
layout!(BIN_SMALL, [EM310_UDL], Records::None);
layout!(BIN_RADAR, [EM410_RDL], Records::None);
layout!(LEVEL_PROBE, [EM500_SWL], Records::Fields(HISTORY_LEVEL));
layout!(LEVEL_ULTRASONIC, [EM500_UDL], Records::None);
layout!(LIGHT, [EM500_LGT], Records::None);
layout!(PIPE_PRESSURE, [EM500_PP], Records::None);
layout!(LEAK, [EM300_LEAK, CLIMATE], Records::Fields(HISTORY_LEAK));
layout!(LEAK_ONLY, [EM300_LEAK], Records::Fields(HISTORY_LEAK_ONLY));
layout!(MAGNET, [EM300_MAGNET, CLIMATE], Records::Fields(HISTORY_MAGNET));
layout!(TILT, [EM310_TILT], Records::None);
layout!(TILT_FINE, [EM320_TILT], Records::None);
layout!(GAS_VALVE, [GS101], Records::None);
layout!(ODOUR, [GS301], Records::None);
layout!(PEOPLE, [COUNTER], Records::People);
layout!(PEOPLE_AREA, [VS121], Records::None);
layout!(PEOPLE_DOOR, [VS132], Records::None);
layout!(PEOPLE_LINES, [VS133], Records::None);
layout!(STALL, [VS330], Records::None);
layout!(SEAT, [OCCUPANCY], Records::None);
layout!(BUTTON, [], Records::None);
layout!(PAPER, [WS201], Records::None);
layout!(PRESENCE, [WS203, CLIMATE], Records::None);
layout!(DOOR, [WS301], Records::None);
layout!(CLIMATE_ONLY, [CLIMATE], Records::Fields(HISTORY_CLIMATE));
layout!(CLIMATE_CO2, [CLIMATE, AIR], Records::Fields(HISTORY_CO2));
layout!(AIR_QUALITY, [CLIMATE, AIR], Records::None);
layout!(AIR_QUALITY_HISTORY, [CLIMATE, AIR], Records::Fields(&HISTORY_AIR));
layout!(AIR_QUALITY_HUNDREDTHS, [AM308, CLIMATE, AIR], Records::Fields(&HISTORY_DUST));
layout!(PULSES, [EM300_DI, CLIMATE], Records::Fields(HISTORY_PULSES));
layout!(PROBE_BOX, [UC50X, UC50X_SDI12], Records::None);
layout!(AIR_QUALITY_HCHO, [CLIMATE, AIR], Records::Fields(&HISTORY_HCHO));

const fn model(name: &'static str, layout: &'static Tlv) -> Model {
    model_of("milesight", name, layout)
}

pub(in crate::device) static MODELS: [Model; 58] = [
    model("am102", &CLIMATE_ONLY),
    model("am102l", &CLIMATE_ONLY),
    model("am103", &CLIMATE_CO2),
    model("am103l", &CLIMATE_CO2),
    model("am104", &AIR_QUALITY),
    model("am107", &AIR_QUALITY),
    model("am307", &AIR_QUALITY_HISTORY),
    model("am307l", &AIR_QUALITY_HISTORY),
    model("am308", &AIR_QUALITY_HUNDREDTHS),
    model("am308l", &AIR_QUALITY_HUNDREDTHS),
    model("am319", &AIR_QUALITY_HCHO),
    model("am319l", &AIR_QUALITY_HCHO),
    model("em300-mcs", &MAGNET),
    model("em300-mld", &LEAK_ONLY),
    model("em300-sld", &LEAK),
    model("em300-sld-zld", &LEAK),
    model("em300-zld", &LEAK),
    model("em310-tilt", &TILT),
    model("em310-udl", &BIN_SMALL),
    model("em320-tilt", &TILT_FINE),
    model("em400-mud", &BIN),
    model("em400-tld", &BIN),
    model("em400-udl", &BIN),
    model_of("milesight", "em400-mud-nbiot", &NbIot(&BIN)),
    model_of("milesight", "em400-tld-nbiot", &NbIot(&BIN)),
    model_of("milesight", "em400-udl-nbiot", &NbIot(&BIN)),
    model("em410-rdl", &BIN_RADAR),
    model("em500-lgt", &LIGHT),
    model("em500-pp", &PIPE_PRESSURE),
    model("em500-swl", &LEVEL_PROBE),
    model("em500-udl", &LEVEL_ULTRASONIC),
    model("gs101", &GAS_VALVE),
    model("gs301", &ODOUR),
    model("em300-di", &PULSES),
    model("uc501", &PROBE_BOX),
    model("uc502", &PROBE_BOX),
    model("vs121", &PEOPLE_AREA),
    model("vs132", &PEOPLE_DOOR),
    model("vs133", &PEOPLE_LINES),
    model("vs135", &PEOPLE_LINES),
    model("vs330", &STALL),
    model("vs340", &SEAT),
    model("vs341", &SEAT),
    model("vs34x", &SEAT),
    model("vs350", &PEOPLE),
    model("vs351", &PEOPLE),
    model("vs360", &PEOPLE),
    model("vs370", &SEAT),
    model("ws101", &BUTTON),
    model("ws136", &BUTTON),
    model("ws156", &BUTTON),
    model("ws201", &PAPER),
    model("ws202", &SEAT),
    model("ws203", &PRESENCE),
    model("ws301", &DOOR),
    model("ws503", &BUTTON),
    model("ws501", &BUTTON),
    model("ws502", &BUTTON),
];
