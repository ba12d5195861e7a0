//! Probes of drains and leaks: Keller, TE Connectivity, ELV.
//!
//! Sources: the vendors' published payload descriptions and the cases in `tests/data`.

use sanimon_domain::Fault;

use super::layout::Number::{I16, U8, U16};
use super::layout::{Cursor, Field, value};
use super::{Frame, FrameEvent, FrameReading, Layout, Model, bad_frame, hex, model_of};

/// Keller's transmitters: function 01 measures, 0C tells of the device.
#[derive(Debug)]
struct Keller;

const KELLER_MEASUREMENT: u8 = 0x01;
const KELLER_INFORMATION: u8 = 0x0C;
/// The channels in the order of their bits, lowest first; pressures are in bar.
static KELLER_CHANNELS: [&str; 16] = [
    "pressure_bar",
    "pressure_1_bar",
    "pressure_2_bar",
    "temperature_c",
    "probe_1_temperature_c",
    "probe_2_temperature_c",
    "air_pressure_bar",
    "air_temperature_c",
    "input_1_v",
    "input_2_v",
    "pressure_3_bar",
    "pressure_4_bar",
    "probe_3_temperature_c",
    "counter_1",
    "channel_15",
    "channel_16",
];
/// The device's clock counts from 2000-01-01.
static KELLER_STATE: [Field; 3] =
    [Field::Float { name: "battery_v" }, value("battery_pct", U8, 1.0), value("humidity_pct", U8, 1.0)];

impl Layout for Keller {
    fn measures(&self) -> Vec<&'static str> {
        KELLER_CHANNELS.iter().copied().chain(KELLER_STATE.iter().filter_map(Field::name)).collect()
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        match cursor.u8()? {
            KELLER_MEASUREMENT => {
                cursor.u8()?;
                let channels = cursor.u16_be()?;
                for (bit, name) in KELLER_CHANNELS.iter().enumerate() {
                    if channels >> bit & 1 == 1 {
                        cursor.fields(&[Field::Float { name }], None, &mut frame)?;
                    }
                }
            }
            KELLER_INFORMATION => {
                cursor.take(1)?;
                let (class, version) = (cursor.take(2)?, cursor.take(2)?);
                let serial = cursor.take(4)?;
                let number = serial.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
                for (what, text) in [
                    ("device_class", format!("{}.{:02}", class[0], class[1])),
                    ("firmware_version", format!("{}.{:02}", version[0], version[1])),
                    ("serial_number", number.to_string()),
                ] {
                    frame.events.push(FrameEvent { about: "device", what, detail: Some(text) });
                }
                cursor.take(4)?;
                cursor.fields(&KELLER_STATE, None, &mut frame)?;
            }
            other => return Err(bad_frame(format!("function {other:02x} is none of Keller's"))),
        }
        if cursor.is_empty() { Ok(frame) } else { Err(bad_frame("the frame is longer than it says")) }
    }
}

/// TE Connectivity's 69xx: `device type u16, counter u16, state, battery, temperature i16, value f32`.
#[derive(Debug)]
struct Te;

/// The one device type that a published case confirms: pressure in bar as a float.
const TE_PRESSURE_BAR: u16 = 0x1321;
static TE_FIELDS: [Field; 5] = [
    value("frame_counter", U16, 1.0),
    Field::Skip(1),
    value("battery_pct", U8, 1.0),
    value("temperature_c", I16, 100.0),
    Field::Float { name: "pressure_bar" },
];

impl Layout for Te {
    fn measures(&self) -> Vec<&'static str> {
        TE_FIELDS.iter().filter_map(Field::name).collect()
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        let kind = cursor.u16_be()?;
        if kind != TE_PRESSURE_BAR {
            return Err(bad_frame(format!("device type {kind:04x} of this family is not known")));
        }
        let mut frame = Frame::default();
        cursor.fields(&TE_FIELDS, None, &mut frame)?;
        if cursor.is_empty() { Ok(frame) } else { Err(bad_frame("the frame is longer than this model's")) }
    }
}

/// ELV's water detector: `battery, frame type, reason, ...`.
#[derive(Debug)]
struct ElvWater;

const ELV_STATE: u8 = 1;
const ELV_MEASUREMENT: u8 = 2;
const ELV_PORT: u8 = 10;

impl Layout for ElvWater {
    fn measures(&self) -> Vec<&'static str> {
        vec!["battery_v", "dry", "moist", "leak", "tilt_deg", "activations"]
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        if port != ELV_PORT {
            return Err(bad_frame(format!("this model reports on port {ELV_PORT}, not {port}")));
        }
        let mut cursor = Cursor::big_endian(bytes);
        let (battery, kind, _reason) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let mut frame = Frame::default();
        let volts = 1.0 + f64::from(battery >> 6) + f64::from(battery & 0x3F) * 0.02;
        let mut read = |name, value| frame.readings.push(FrameReading { name, value, at: None });
        read("battery_v", volts);
        if ![ELV_STATE, ELV_MEASUREMENT].contains(&kind) {
            frame.events.push(FrameEvent { about: "device", what: "parameters", detail: Some(hex(bytes)) });
            return Ok(frame);
        }
        let (error, state, tilt) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        for (bit, name) in ["dry", "moist", "leak"].into_iter().enumerate() {
            read(name, f64::from(state >> bit & 1));
        }
        read("tilt_deg", f64::from(tilt));
        if kind == ELV_STATE {
            // The published example lacks the low byte, and its codec reads it as zero.
            let (high, low) = (cursor.u8()?, if cursor.is_empty() { 0 } else { cursor.u8()? });
            let value = f64::from(u16::from_be_bytes([high, low]));
            frame.readings.push(FrameReading { name: "activations", value, at: None });
        }
        if error != 0 {
            let detail = Some(error.to_string());
            frame.events.push(FrameEvent { about: "device", what: "sensor_fault", detail });
        }
        Ok(frame)
    }
}

pub(super) static MODELS: [Model; 3] = [
    model_of("elv", "elv-lw-swd", &ElvWater),
    model_of("keller", "keller", &Keller),
    model_of("te-connectivity", "69xx", &Te),
];
