//! Dingtek: `80 00, device type, report type, length, ..., 81`, big-endian but for the position's IEEE 754 floats.
//!
//! Report type 03 tells parameters: never telemetry. Sources: `shared/sensors/README.md` and the published cases in
//! `tests/data`. Where the published code negates every angle or divides the float's mantissa by 0x7fffff, the sign byte
//! and IEEE 754 are followed (trap 4 there).

use sanimon_domain::Fault;

use super::layout::Number::{U8, U16};
use super::layout::{Cursor, Field, value};
use super::{Frame, FrameEvent, FrameReading, Layout, Model, bad_frame, model_of, once};

/// One published frame begins with 50.
const STARTS: [u8; 2] = [0x80, 0x50];
const END: u8 = 0x81;
const PARAMETERS: u8 = 0x03;
const HEAD_BYTES: usize = 5;
/// With a position the frame is that much longer.
const POSITION_BYTES: usize = 8;

const fn high(name: &'static str) -> Field {
    Field::Bit { name, bit: 4 }
}

const fn low(name: &'static str) -> Field {
    Field::Bit { name, bit: 0 }
}

const TEMPERATURE: Field = value("temperature_c", U8, 1.0);
const VOLTAGE: Field = value("battery_v", U16, 100.0);
const COUNTER: Field = value("frame_counter", U16, 1.0);

/// A frame whose fields stand behind the head.
#[derive(Debug)]
struct Fixed {
    bytes: usize,
    fields: &'static [Field],
}

/// A level sensor: what it measures, whether temperature and angle are there, and the names of its first alarms.
#[derive(Debug)]
struct Level {
    measure: &'static str,
    has_temperature: bool,
    alarms: [&'static str; 3],
}

static BIN: Level =
    Level { measure: "distance_mm", has_temperature: true, alarms: ["full", "fire", "tilted"] };
static MANHOLE: Level =
    Level { measure: "distance_mm", has_temperature: true, alarms: ["full", "unused", "moved"] };
static TANK: Level =
    Level { measure: "level_mm", has_temperature: true, alarms: ["level_alarm", "unused", "unused"] };
static TANK_COLD: Level =
    Level { measure: "level_mm", has_temperature: false, alarms: ["level_alarm", "unused", "unused"] };

static SOAP: Fixed = Fixed {
    bytes: 15,
    fields: &[
        VOLTAGE,
        Field::Skip(1),
        TEMPERATURE,
        value("soap_pct", U8, 1.0),
        high("level_alarm"),
        low("battery_low"),
        Field::Skip(1),
        COUNTER,
    ],
};
static TISSUE: Fixed = Fixed {
    bytes: 17,
    fields: &[
        VOLTAGE,
        Field::Skip(1),
        TEMPERATURE,
        value("distance_mm", U16, 1.0),
        value("paper_pct", U8, 1.0),
        high("level_alarm"),
        low("battery_low"),
        Field::Skip(1),
        COUNTER,
    ],
};
static PEOPLE: Fixed = Fixed {
    bytes: 18,
    fields: &[
        value("visitors_total", U16, 1.0),
        Field::Skip(1),
        TEMPERATURE,
        Field::Skip(2),
        high("counter_alarm"),
        Field::Skip(1),
        low("battery_low"),
        Field::Skip(1),
        VOLTAGE,
        COUNTER,
    ],
};
static PEOPLE_WAYS: Fixed = Fixed {
    bytes: 19,
    fields: &[
        value("occupancy_count", U16, 1.0),
        value("total_in", U16, 1.0),
        value("total_out", U16, 1.0),
        high("balance_alarm"),
        low("in_alarm"),
        Field::Skip(1),
        high("out_alarm"),
        low("battery_low"),
        Field::Skip(1),
        value("voltage_raw", U16, 1.0),
        value("error_code", U8, 1.0),
        COUNTER,
    ],
};
static LEAK: Fixed = Fixed {
    bytes: 17,
    fields: &[
        Field::Skip(3),
        TEMPERATURE,
        Field::Skip(3),
        Field::NotBit { name: "leak", bit: 4 },
        Field::NotBit { name: "leak_2", bit: 5 },
        Field::NotBit { name: "leak_3", bit: 6 },
        Field::NotBit { name: "leak_4", bit: 7 },
        low("battery_low"),
        Field::Skip(1),
        COUNTER,
    ],
};

const fn model(name: &'static str, layout: &'static dyn Layout) -> Model {
    model_of("dingtek", name, layout)
}

pub(super) static MODELS: [Model; 13] = [
    model("dc410", &MANHOLE),
    model("dc413", &MANHOLE),
    model("dc510", &PEOPLE),
    model("dc520", &PEOPLE_WAYS),
    model("dc600", &LEAK),
    model("df200", &SOAP),
    model("df400", &TISSUE),
    model("df530", &TANK),
    model("df555", &TANK),
    model("df556", &TANK_COLD),
    model("df701", &TANK_COLD),
    model("df702", &BIN),
    model("df703", &BIN),
];

/// The frame without its head; `None` for one that tells parameters.
fn body(bytes: &[u8]) -> Result<Option<&[u8]>, Fault> {
    let [first, _, _, report, length, rest @ ..] = bytes else {
        return Err(bad_frame(format!("a frame of Dingtek has more than {} bytes", bytes.len())));
    };
    let is_whole = bytes.last() == Some(&END) && usize::from(*length) == bytes.len();
    if !STARTS.contains(first) || !is_whole {
        return Err(bad_frame("a frame of Dingtek is 80, its length at byte 4, 81"));
    }
    Ok((*report != PARAMETERS).then_some(rest))
}

fn parameters() -> Frame {
    let event = FrameEvent { about: "device", what: "parameters", detail: None };
    Frame { readings: Vec::new(), events: vec![event] }
}

impl Layout for Fixed {
    fn measures(&self) -> Vec<&'static str> {
        once(self.fields.iter().filter_map(Field::name))
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let Some(body) = body(bytes)? else { return Ok(parameters()) };
        if bytes.len() != self.bytes {
            return Err(bad_frame(format!(
                "this model's frame has {} bytes, not {}",
                self.bytes,
                bytes.len()
            )));
        }
        let mut frame = Frame::default();
        Cursor::big_endian(body).fields(self.fields, None, &mut frame)?;
        Ok(frame)
    }
}

impl Layout for Level {
    fn measures(&self) -> Vec<&'static str> {
        let mut names = vec![self.measure, "longitude", "latitude"];
        names.extend(self.has_temperature.then_some("temperature_c"));
        names.extend(self.alarms.into_iter().filter(|name| *name != "unused"));
        names.extend(["battery_low", "angle_deg", "battery_v", "frame_counter"]);
        names
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let Some(body) = body(bytes)? else { return Ok(parameters()) };
        let mut cursor = Cursor::big_endian(body);
        let mut frame = Frame::default();
        let mut read = |name, value: f64| frame.readings.push(FrameReading { name, value, at: None });
        read(self.measure, f64::from(cursor.u16_be()?));
        let has_position = cursor.u8()? != 0;
        if has_position {
            read("longitude", f64::from(cursor.f32_le()?));
            read("latitude", f64::from(cursor.f32_le()?));
        }
        let (temperature, sign, angle) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        if self.has_temperature {
            read("temperature_c", f64::from(temperature));
            read("angle_deg", if sign == 0 { f64::from(angle) } else { 0.0 - f64::from(angle) });
        }
        let (first, second) = (cursor.u8()?, cursor.u8()?);
        let alarms = [first >> 4, first & 0xF, second >> 4];
        for (name, raised) in self.alarms.into_iter().zip(alarms).filter(|(name, _)| *name != "unused") {
            read(name, f64::from(u8::from(raised != 0)));
        }
        read("battery_low", f64::from(u8::from(second & 0xF != 0)));
        // The NB-IoT members of the family say their voltage; the others leave a byte empty behind the counter.
        let rest = bytes.len() - HEAD_BYTES - if has_position { POSITION_BYTES } else { 0 };
        match rest {
            12 => read("frame_counter", f64::from(cursor.u16_be()?)),
            13 => {
                read("battery_v", f64::from(cursor.u16_be()?) / 100.0);
                read("frame_counter", f64::from(cursor.u16_be()?));
            }
            _ => return Err(bad_frame(format!("a level sensor's frame has no {} bytes", bytes.len()))),
        }
        Ok(frame)
    }
}
