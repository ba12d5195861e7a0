//! Netvox: `version 01, device type, report type, ...`, 11 bytes on port 6, big-endian. Report type 00 tells versions at a
//! start, port 7 answers commands: neither is telemetry.
//!
//! The battery's byte has tenths of a volt and, in its highest bit, that it is low. Sources: `shared/sensors/README.md`
//! and the published cases in `tests/data`. R718PA, PB and RA0715 are boxes for many probes (not level sensors, whatever
//! their product text says); a probe that is not plugged in says FFFF.

use sanimon_domain::Fault;

use super::layout::Number::{I16, U8, U16, U32};
use super::layout::{Cursor, Field, Number, Sentinel, value};
use super::{Frame, FrameEvent, Layout, Model, bad_frame, hex, model_of, once};

const REPORTS: u8 = 6;
const ANSWERS: [u8; 2] = [7, 13];
const VERSION: u8 = 1;
const VERSIONS: u8 = 0;
const BYTES: usize = 11;
const NO_SENSOR: &[Sentinel] = &[(0xFFFF, "no_sensor")];

static BATTERY: [Field; 2] = [
    Field::Bit { name: "battery_low", bit: 7 },
    Field::MaskedByte { name: "battery_v", mask: 0x7F, per: 10.0, plus: 0.0 },
];

/// A probe's word; FFFF: nothing is plugged in.
const fn probe(name: &'static str, number: Number, per: f64) -> Field {
    Field::Value { name, number, per, sentinels: NO_SENSOR }
}

/// What stands behind the battery, by device type and report type.
#[derive(Debug)]
struct Report {
    devices: &'static [u8],
    kind: u8,
    head: &'static [Field],
    fields: &'static [Field],
}

const fn report(devices: &'static [u8], kind: u8, fields: &'static [Field]) -> Report {
    Report { devices, kind, head: &BATTERY, fields }
}

/// Of a device that hangs on the mains.
const fn mains(device: &'static [u8], kind: u8, fields: &'static [Field]) -> Report {
    Report { devices: device, kind, head: &[], fields }
}

const SOCKET: &[u8] = &[0x0E];
const ADDRESS: Field = value("breaker_address", U8, 1.0);
/// Circuit breakers, one and three phases. Currents of three phases count in tens of what those of one phase do; the
/// published codec names no units.
const BREAKER: &[u8] = &[0x9C];

/// The boxes for many probes.
const MULTI: &[u8] = &[0x05, 0x57, 0x58];

static TABLE: [Report; 51] = [
    report(&[0xD3], 1, &[value("call_button", U8, 1.0), value("no_activity_alarm", U8, 1.0)]),
    report(
        &[0xA5],
        1,
        &[value("tvoc_ppb", U16, 1.0), value("temperature_c", I16, 100.0), value("humidity_pct", U16, 100.0)],
    ),
    report(
        &[0x35],
        1,
        &[
            value("temperature_c", I16, 100.0),
            value("humidity_pct", U16, 100.0),
            value("pm25_ugm3", U16, 1.0),
        ],
    ),
    report(&[0xA6], 1, &[value("key_1", U8, 1.0), value("key_2", U8, 1.0)]),
    report(&[0xA7], 1, &[value("key_1", U8, 1.0), value("key_2", U8, 1.0), value("key_3", U8, 1.0)]),
    report(&[0x10], 1, &[value("call_button", U8, 1.0)]),
    mains(
        SOCKET,
        1,
        &[
            value("switch_on", U8, 1.0),
            value("energy_wh", U32, 1.0),
            value("over_current_alarm", U8, 1.0),
            value("dash_current_alarm", U8, 1.0),
            value("power_off_alarm", U8, 1.0),
        ],
    ),
    mains(
        SOCKET,
        2,
        &[value("mains_v", U16, 1.0), value("current_ma", U16, 1.0), value("power_w", U16, 1.0)],
    ),
    mains(
        BREAKER,
        0x01,
        &[
            ADDRESS,
            value("breaker_type", U8, 1.0),
            value("protect_bits", U8, 1.0),
            value("alarm_bits", U8, 1.0),
            value("pre_trip_bits", U8, 1.0),
            value("trip_bits", U8, 1.0),
            value("control_state", U8, 1.0),
        ],
    ),
    mains(
        BREAKER,
        0x02,
        &[
            ADDRESS,
            value("current", U16, 1.0),
            value("mains_v", U16, 1.0),
            value("power", U16, 1.0),
            value("breaker_temperature_c", U8, 1.0),
        ],
    ),
    mains(
        BREAKER,
        0x03,
        &[ADDRESS, value("energy", U32, 1.0), value("frequency_hz", U8, 1.0), value("power_factor", U8, 1.0)],
    ),
    mains(
        BREAKER,
        0x11,
        &[
            ADDRESS,
            value("breaker_type", U8, 1.0),
            value("protect_bits", U16, 1.0),
            value("alarm_bits", U16, 1.0),
            value("pre_trip_bits", U16, 1.0),
        ],
    ),
    mains(
        BREAKER,
        0x12,
        &[ADDRESS, value("trip_bits", U16, 1.0), value("current_a", U16, 0.1), value("current_b", U16, 0.1)],
    ),
    mains(
        BREAKER,
        0x13,
        &[
            ADDRESS,
            value("current_c", U16, 0.1),
            value("mains_a_v", U16, 1.0),
            value("mains_b_v", U16, 1.0),
            value("breaker_temperature_c", U8, 1.0),
        ],
    ),
    mains(
        BREAKER,
        0x14,
        &[
            ADDRESS,
            value("mains_c_v", U16, 1.0),
            value("power_a", U16, 1.0),
            value("power_b", U16, 1.0),
            value("frequency_hz", U8, 1.0),
        ],
    ),
    mains(BREAKER, 0x15, &[ADDRESS, value("power_c", U16, 1.0), value("energy_a", U32, 1.0)]),
    mains(
        BREAKER,
        0x16,
        &[
            ADDRESS,
            value("energy_b", U32, 1.0),
            value("power_factor_a", U8, 1.0),
            value("power_factor_c", U8, 1.0),
            value("power_factor_b", U8, 1.0),
        ],
    ),
    mains(
        BREAKER,
        0x17,
        &[ADDRESS, value("energy_c", U32, 1.0), value("control_state", U8, 1.0), value("switch_on", U8, 1.0)],
    ),
    mains(BREAKER, 0x04, &[ADDRESS, value("leakage_current", U16, 1.0), value("switch_count", U32, 1.0)]),
    mains(BREAKER, 0x18, &[ADDRESS, value("leakage_current", U16, 1.0), value("switch_count", U32, 1.0)]),
    report(
        &[0xB1],
        1,
        &[value("status", U8, 1.0), value("distance_mm", U16, 1.0), value("fill_pct", U8, 1.0)],
    ),
    report(
        &[0x34],
        1,
        &[
            value("status", U8, 1.0),
            value("distance_mm", U16, 1.0),
            value("temperature_c", I16, 10.0),
            value("fill_pct", U8, 1.0),
            value("tilt_deg", U8, 1.0),
        ],
    ),
    report(&[0x06, 0x46, 0x47], 1, &[value("leak", U8, 1.0), value("leak_2", U8, 1.0)]),
    report(&[0x12, 0x32], 1, &[value("leak", U8, 1.0)]),
    report(&[0x0C], 1, &[value("leak_position", U16, 1.0)]),
    report(&[0x9F, 0x97, 0x5B, 0x5A, 0x1A, 0x2F], 1, &[value("status", U8, 1.0), value("status_2", U8, 1.0)]),
    report(
        &[0xBE, 0x6B],
        1,
        &[value("temperature_c", I16, 100.0), value("humidity_pct", U16, 100.0), value("status", U8, 1.0)],
    ),
    report(&[0xAC], 1, &[value("pressure_difference_pa", I16, 10.0), value("temperature_c", I16, 10.0)]),
    report(&[0xD4], 1, &[value("flushes", U32, 1.0), value("fault_alarm", U8, 1.0), value("leak", U8, 1.0)]),
    report(&[0x02], 1, &[value("door_open", U8, 1.0)]),
    report(&[0x04, 0x4B], 1, &[value("light_lux", U16, 1.0)]),
    report(&[0x55, 0x4D], 1, &[value("call_button", U8, 1.0)]),
    report(&[0x31], 1, &[value("call_button", U8, 1.0), value("button_press", U8, 1.0)]),
    report(&[0x48], 1, &[value("call_button", U8, 1.0), value("call_button_2", U8, 1.0)]),
    report(
        &[0x03],
        1,
        &[
            value("temperature_c", I16, 100.0),
            value("light_lux", U16, 1.0),
            value("occupied", U8, 1.0),
            value("uninstalled", U8, 1.0),
        ],
    ),
    report(
        MULTI,
        1,
        &[probe("pm1_cf_ugm3", U16, 1.0), probe("pm25_cf_ugm3", U16, 1.0), probe("pm10_cf_ugm3", U16, 1.0)],
    ),
    report(
        MULTI,
        2,
        &[probe("pm1_ugm3", U16, 1.0), probe("pm25_ugm3", U16, 1.0), probe("pm10_ugm3", U16, 1.0)],
    ),
    report(
        MULTI,
        4,
        &[
            probe("particles_2_5um", U16, 1.0),
            probe("particles_5um", U16, 1.0),
            probe("particles_10um", U16, 1.0),
        ],
    ),
    report(MULTI, 5, &[probe("o3_ppm", U16, 10.0), probe("co_ppm", U16, 10.0), probe("no_ppm", U16, 10.0)]),
    report(MULTI, 6, &[probe("no2_ppm", U16, 10.0), probe("so2_raw", U16, 1.0), probe("h2s_ppm", U16, 10.0)]),
    report(
        MULTI,
        7,
        &[probe("co2_ppm", U16, 10.0), probe("nh3_ppm", U16, 10.0), probe("noise_db", U16, 10.0)],
    ),
    report(
        MULTI,
        8,
        &[probe("ph", U16, 100.0), probe("temperature_c", I16, 100.0), probe("redox_mv", I16, 1.0)],
    ),
    report(
        MULTI,
        9,
        &[
            probe("turbidity_ntu", U16, 10.0),
            probe("temperature_c", I16, 100.0),
            probe("soil_humidity_pct", U16, 100.0),
        ],
    ),
    report(
        MULTI,
        0x0B,
        &[
            probe("temperature_c", I16, 100.0),
            probe("dissolved_oxygen_mgl", U16, 100.0),
            probe("oxygen_saturation_pct", U16, 10.0),
        ],
    ),
    report(
        MULTI,
        0x0C,
        &[
            probe("temperature_c", I16, 100.0),
            probe("humidity_pct", U16, 100.0),
            probe("wind_mps", U16, 100.0),
        ],
    ),
    report(
        MULTI,
        0x0A,
        &[
            probe("soil_humidity_pct", U16, 100.0),
            probe("temperature_c", I16, 100.0),
            probe("water_level_raw", U16, 1.0),
            value("soil_conductivity", U8, 10.0),
        ],
    ),
    report(MULTI, 0x0D, &[probe("wind_direction_deg", U16, 1.0), value("pressure_hpa", U32, 100.0)]),
    report(
        MULTI,
        0x0F,
        &[
            probe("nitrogen_mgkg", U16, 1.0),
            probe("phosphorus_mgkg", U16, 1.0),
            probe("potassium_mgkg", U16, 1.0),
        ],
    ),
    report(
        MULTI,
        0x10,
        &[
            probe("soil_humidity_pct", U16, 100.0),
            probe("temperature_c", I16, 100.0),
            probe("soil_conductivity_mscm", U16, 1_000.0),
        ],
    ),
    report(MULTI, 0x0E, &[probe("voc_ppm", U16, 10.0)]),
    report(
        MULTI,
        0x11,
        &[
            probe("vibration_mmps", U16, 10.0),
            probe("displacement_um", U16, 10.0),
            probe("surface_temperature_c", I16, 10.0),
        ],
    ),
];

/// A model by its device type.
#[derive(Debug)]
struct Device(u8);

macro_rules! models {
    ($($name:literal => $device:literal),* $(,)?) => {
        pub(super) static MODELS: &[Model] = &[$(model_of("netvox", $name, &Device($device))),*];
    };
}

models! {
    "r311a" => 0x02, "r311b" => 0x4B, "r311g" => 0x04, "r311w" => 0x06, "r311wa" => 0x5A, "r312" => 0x55,
    "r312a" => 0x4D, "r718da" => 0x1A, "r718da2" => 0x2F, "r718pa" => 0x57, "r718pa4" => 0x57, "r718pa22" => 0x57,
    "r718pb" => 0x58, "r718pe" => 0xB1, "r718q" => 0x5B, "r718qa" => 0x97, "r718t" => 0x31, "r718t2" => 0x48,
    "r718va" => 0x9F, "r718wa" => 0x32, "r718wa2" => 0x46, "r718waa" => 0xBE, "r718wb" => 0x12, "r718wb2" => 0x47,
    "r718wba" => 0x6B, "r718x" => 0x34, "r718y" => 0xAC, "r720flt" => 0xD4, "ra0715" => 0x05, "ra07w" => 0x0C,
    "rb11e" => 0x03, "r309" => 0xD3, "r720e" => 0xA5, "r720f" => 0xB7, "r809a" => 0x0E, "ra0716" => 0x35,
    "rb02b" => 0xA6, "rb02c" => 0xA7, "rb02i" => 0x10, "rp02" => 0x9C,
}

impl Layout for Device {
    fn measures(&self) -> Vec<&'static str> {
        let reports = TABLE.iter().filter(|report| report.devices.contains(&self.0));
        let mut fields = reports.flat_map(|report| report.head.iter().chain(report.fields)).peekable();
        // A model whose reports nobody published says its battery all the same.
        let none: &[Field] = if fields.peek().is_none() { &BATTERY } else { &[] };
        once(none.iter().chain(fields).filter_map(Field::name))
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut frame = Frame::default();
        let mut event = |what, detail| frame.events.push(FrameEvent { about: "device", what, detail });
        match port {
            REPORTS => {}
            answers if ANSWERS.contains(&answers) => {
                event("answered_a_command", bytes.first().map(|command| format!("{command:02x}")));
                return Ok(frame);
            }
            other => {
                return Err(bad_frame(format!("port {other} is none of Netvox's: 6 reports, 7 answers")));
            }
        }
        let [version, device, report, ..] = bytes else { return Err(bad_frame("the frame is too short")) };
        if bytes.len() != BYTES || *version != VERSION || *device != self.0 {
            return Err(bad_frame(format!(
                "a report of this model has {BYTES} bytes and begins with 01{:02x}",
                self.0
            )));
        }
        if *report == VERSIONS {
            event("versions", Some(hex(&bytes[3..])));
            return Ok(frame);
        }
        let known = TABLE.iter().find(|known| known.kind == *report && known.devices.contains(device));
        let Some(known) = known else {
            event("unknown_report", Some(format!("{report:02x}")));
            return Ok(frame);
        };
        let mut cursor = Cursor::big_endian(&bytes[3..]);
        cursor.fields(known.head, None, &mut frame)?;
        cursor.fields(known.fields, None, &mut frame)?;
        Ok(frame)
    }
}
