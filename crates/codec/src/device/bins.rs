//! Bin, level and leak sensors of smaller vendors: Teneo, WILSEN by Pepperl+Fuchs, Terabee, Ellenex, Aquascope, Noah,
//! Sensoneo.
//!
//! Sources: `shared/sensors/README.md` and the published cases in `tests/data`.

use sanimon_domain::Fault;

use super::layout::Number::{I16, I32, U8, U16, U32};
use super::layout::{Cursor, Field, Number, value};
use super::on_port::OnPort;
use super::{Frame, FrameEvent, FrameReading, Layout, Model, bad_frame, model_of, once};

/// `battery, distance u16 cm [, status [, temperature i16, humidity u16]]`
#[derive(Debug)]
struct Teneo;

/// `{length, id u16, value}` one behind the other.
#[derive(Debug)]
struct Wilsen;

const TENEO_TELEMETRY: u8 = 1;
const TENEO_FAULT: u8 = 2;
const TENEO_CHARGING: u8 = 3;
const VALID: u8 = 0;
const OVER_RANGE: u8 = 4;
const MM_PER_CM: f64 = 10.0;

/// WILSEN's elements: id, how the value stands, what it is divided by.
static ELEMENTS: [(u16, &str, Number, f64); 9] = [
    (0x0B01, "distance_mm", U16, 0.1),
    (0x0B02, "distance_mm", U16, 1.0),
    (0x0B06, "fill_pct", U8, 1.0),
    (0x0B07, "echo_amplitude", U8, 1.0),
    (0x5101, "battery_v", U8, 10.0),
    (0x5001, "latitude", I32, 1e6),
    (0x5002, "longitude", I32, 1e6),
    (0x3101, "uplinks", U32, 1.0),
    (0x3103, "measurements", U32, 1.0),
];
const TEMPERATURE_F32: u16 = 0x0201;
const SERIAL_NUMBER: u16 = 0x2503;

static TERABEE: OnPort = OnPort {
    port: 1,
    is_big_endian: true,
    fields: &[
        value("distance_mm", U16, 1.0),
        value("fill_pct", U8, 1.0),
        value("battery_v", U16, 1_000.0),
        Field::Skip(1),
    ],
};
/// The number's meaning follows from the probe's range, which the frame does not tell.
static ELLENEX_LEVEL: OnPort =
    ellenex(&[Field::Skip(3), value("level_raw", I16, 1.0), Field::Skip(2), value("battery_v", U8, 10.0)]);
static ELLENEX_PRESSURE: OnPort =
    ellenex(&[Field::Skip(3), value("pressure_raw", I16, 1.0), Field::Skip(2), value("battery_v", U8, 10.0)]);
static AQUASCOPE: OnPort = OnPort {
    port: 10,
    is_big_endian: true,
    fields: &[
        value("leak", U8, 1.0),
        value("battery_pct", U8, 1.0),
        value("remote", U8, 1.0),
        value("temperature_c", U8, 1.0),
    ],
};

const fn ellenex(fields: &'static [Field]) -> OnPort {
    OnPort { port: 15, is_big_endian: true, fields }
}

pub(super) static MODELS: [Model; 9] = [
    model_of("aquascope", "wwd", &AQUASCOPE),
    model_of("ellenex", "pls2-l", &ELLENEX_LEVEL),
    model_of("ellenex", "pts2-l", &ELLENEX_PRESSURE),
    model_of("noah", "trashbin-sensor", &Noah),
    model_of("sensoneo", "single-3.0", &Sensoneo),
    model_of("terabee", "lora-lm-xl", &TERABEE),
    model_of("teneo-iot", "filling-degree-sensor", &Teneo),
    model_of("pepperl-fuchs", "wilsen-sonic-distance", &Wilsen),
    model_of("pepperl-fuchs", "wilsen-sonic-level", &Wilsen),
];

fn event(what: &'static str) -> FrameEvent {
    FrameEvent { about: "device", what, detail: None }
}

impl Layout for Teneo {
    fn measures(&self) -> Vec<&'static str> {
        vec!["battery_v", "distance_mm", "temperature_c", "humidity_pct"]
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut frame = Frame::default();
        match port {
            TENEO_TELEMETRY => {}
            TENEO_FAULT => {
                frame.events.push(event("sensor_fault"));
                return Ok(frame);
            }
            TENEO_CHARGING => {
                frame.events.push(event("charging"));
                return Ok(frame);
            }
            other => return Err(bad_frame(format!("port {other} is none of Teneo's"))),
        }
        if !matches!(bytes.len(), 3 | 4 | 8) {
            return Err(bad_frame(format!("a frame of Teneo has 3, 4 or 8 bytes, not {}", bytes.len())));
        }
        let mut cursor = Cursor::big_endian(bytes);
        let (battery, distance_cm) = (cursor.u8()?, cursor.u16_be()?);
        let status = if cursor.is_empty() { VALID } else { cursor.u8()? };
        let mut read = |name, value| frame.readings.push(FrameReading { name, value, at: None });
        read("battery_v", 2.0 + f64::from(battery) / 10.0);
        if status == VALID {
            read("distance_mm", f64::from(distance_cm) * MM_PER_CM);
        } else {
            let what = if status == OVER_RANGE { "over_range" } else { "sensor_fault" };
            frame.events.push(FrameEvent { about: "distance_mm", what, detail: None });
        }
        if !cursor.is_empty() {
            let climate = [value("temperature_c", I16, 100.0), value("humidity_pct", U16, 100.0)];
            cursor.fields(&climate, None, &mut frame)?;
        }
        Ok(frame)
    }
}

impl Layout for Wilsen {
    fn measures(&self) -> Vec<&'static str> {
        let names = ELEMENTS.iter().map(|(_, name, ..)| *name);
        once(names.chain(std::iter::once("temperature_c")))
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        while !cursor.is_empty() {
            let length = usize::from(cursor.u8()?);
            let id = cursor.u16_be()?;
            let value =
                cursor.take(length.checked_sub(2).ok_or_else(|| bad_frame("an element without an id"))?)?;
            let element =
                ELEMENTS.iter().find(|(known, _, number, _)| *known == id && number.bytes() == value.len());
            if let Some((_, name, number, per)) = element {
                let field = Field::Value { name, number: *number, per: *per, sentinels: &[] };
                Cursor::big_endian(value).fields(&[field], None, &mut frame)?;
            } else if let (TEMPERATURE_F32, [a, b, c, d]) = (id, value) {
                let celsius = f32::from_be_bytes([*a, *b, *c, *d]);
                if !celsius.is_finite() {
                    return Err(bad_frame("its temperature is no number"));
                }
                frame.readings.push(FrameReading {
                    name: "temperature_c",
                    value: f64::from(celsius),
                    at: None,
                });
            } else if id == SERIAL_NUMBER {
                let detail = Some(String::from_utf8_lossy(value).into_owned());
                frame.events.push(FrameEvent { about: "device", what: "serial_number", detail });
            } else {
                frame.events.push(FrameEvent {
                    about: "device",
                    what: "unknown_element",
                    detail: Some(format!("{id:04x}")),
                });
            }
        }
        Ok(frame)
    }
}

/// Noah's bin: a 16-bit float (`sflt16`: sign, 4 bits of exponent, 11 of mantissa), the voltage, another float. The floats
/// stand for -1 to 1 and mean percent and degrees when multiplied by 100.
#[derive(Debug)]
struct Noah;

fn sflt16(raw: u16) -> f64 {
    let sign = if raw & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(raw >> 11 & 0xF);
    sign * f64::from(raw & 0x7FF) / 2_048.0 * 2_f64.powi(exponent - 15)
}

impl Layout for Noah {
    fn measures(&self) -> Vec<&'static str> {
        vec!["temperature_c", "battery_v", "fill_pct"]
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        if port != 1 {
            return Err(bad_frame(format!("this model reports on port 1, not {port}")));
        }
        let [t0, t1, v0, v1, l0, l1] = *bytes else {
            return Err(bad_frame(format!("a frame of this model has 6 bytes, not {}", bytes.len())));
        };
        let pair = |low, high| u16::from_le_bytes([low, high]);
        let read = |name, value| FrameReading { name, value, at: None };
        let readings = vec![
            read("temperature_c", sflt16(pair(t0, t1)) * 100.0),
            read("battery_v", f64::from(pair(v0, v1)) / 1_000.0),
            read("fill_pct", sflt16(pair(l0, l1)) * 100.0),
        ];
        Ok(Frame { readings, events: Vec::new() })
    }
}

/// Sensoneo Single 3.0, by its documentation alone (no published case): `FFFF, type and role, firmware, id u32 LE, event
/// bits, four distances in steps of 2 cm, battery 2.5 V and steps of 10 mV, temperature, tilt, counter`.
#[derive(Debug)]
struct Sensoneo;

const SENSONEO_START: [u8; 2] = [0xFF, 0xFF];
const SENSONEO_BYTES: usize = 17;
const SENSONEO_STEP_MM: f64 = 20.0;
const SENSONEO_EVENTS: [(u8, &str); 2] = [(0x02, "fire_alarm"), (0x04, "tilt_alarm")];

impl Layout for Sensoneo {
    fn measures(&self) -> Vec<&'static str> {
        let distances = ["distance_mm", "distance_2_mm", "distance_3_mm", "distance_4_mm"];
        distances.into_iter().chain(["battery_v", "temperature_c", "tilt_deg"]).collect()
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        if !bytes.starts_with(&SENSONEO_START) || bytes.len() != SENSONEO_BYTES {
            return Err(bad_frame(format!(
                "a frame of this model has {SENSONEO_BYTES} bytes and begins with ffff"
            )));
        }
        let mut frame = Frame::default();
        for (bit, what) in SENSONEO_EVENTS {
            if bytes[8] & bit != 0 {
                frame.events.push(FrameEvent { about: "device", what, detail: None });
            }
        }
        let names = ["distance_mm", "distance_2_mm", "distance_3_mm", "distance_4_mm"];
        for (name, raw) in names.into_iter().zip(&bytes[9..13]) {
            if *raw == 0 {
                frame.events.push(FrameEvent { about: name, what: "no_target", detail: None });
            } else {
                let value = f64::from(*raw) * SENSONEO_STEP_MM;
                frame.readings.push(FrameReading { name, value, at: None });
            }
        }
        let mut read = |name, value| frame.readings.push(FrameReading { name, value, at: None });
        read("battery_v", 2.5 + f64::from(bytes[13]) / 100.0);
        read("temperature_c", f64::from(bytes[14] as i8));
        read("tilt_deg", f64::from(bytes[15]));
        Ok(frame)
    }
}
