//! Dingtek: `80 00, device type, report type, length, ..., 81`, big-endian but for the position's IEEE 754 floats.
//!
//! Report type 03 tells parameters: never telemetry. Sources: `shared/sensors/README.md` and the published cases in
//! `tests/data`. Where the published code negates every angle or divides the float's mantissa by 0x7fffff, the sign byte
//! and IEEE 754 are followed (trap 4 there).

use sanimon_domain::Fault;

use super::layout::Number::{U8, U16};
use super::layout::{Cursor, Field, value};
use super::{Frame, FrameEvent, FrameReading, Layout, Model, bad_frame, hex, model_of, once};

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
const IMEI_BYTES: usize = 8;

/// A frame whose fields stand behind the head.
#[derive(Debug)]
struct Fixed {
    bytes: usize,
    fields: &'static [Field],
}

/// A frame over NB-IoT: these fields, the signal, more fields, a counter and the IMEI.
#[derive(Debug)]
struct FixedNbIot {
    fields: &'static [Field],
    /// Behind the signal.
    more: &'static [Field],
}

/// A level sensor over NB-IoT.
#[derive(Debug)]
struct NbIot(&'static Level);

/// Temperature and humidity in decimal digits.
#[derive(Debug)]
struct Digits;

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

/// Counts people with a beam.
static PEOPLE_BEAM: Fixed = Fixed {
    bytes: 21,
    fields: &[
        value("visitors_total", U16, 1.0),
        high("counter_alarm"),
        low("battery_low"),
        Field::Skip(2),
        VOLTAGE,
        Field::Skip(6),
        COUNTER,
        Field::Skip(1),
    ],
};
/// Temperature and humidity stand as decimal digits: `26 69` is 26.69.
static CLIMATE: Digits = Digits;
/// An air-quality sensor whose published codec reads a bin's level out of it by mistake (`shared/sensors/README.md`):
/// only what every sensor of the vendor has at its end is read.
static AIR: Fixed =
    Fixed { bytes: 18, fields: &[Field::Skip(7), low("battery_low"), Field::Skip(1), VOLTAGE, COUNTER] };
static PEOPLE_WAYS_NBIOT: FixedNbIot = FixedNbIot {
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
    ],
    // Unix time of the module, whose clock nobody sets.
    more: &[Field::Skip(4), value("error_code", U8, 1.0)],
};
static TISSUE_NBIOT: FixedNbIot = FixedNbIot {
    fields: &[
        VOLTAGE,
        Field::Skip(1),
        TEMPERATURE,
        value("distance_mm", U16, 1.0),
        value("paper_pct", U8, 1.0),
        high("level_alarm"),
        low("battery_low"),
        Field::Skip(1),
    ],
    more: &[],
};

const fn model(name: &'static str, layout: &'static dyn Layout) -> Model {
    model_of("dingtek", name, layout)
}

pub(super) static MODELS: [Model; 26] = [
    model("dc400-nbiot", &NbIot(&MANHOLE)),
    model("dc410", &MANHOLE),
    model("dc410-nbiot", &NbIot(&MANHOLE)),
    model("dc413-nbiot", &NbIot(&MANHOLE)),
    model("dc500", &PEOPLE_BEAM),
    model("dc500-nbiot", &PEOPLE_BEAM),
    model("dc520-nbiot", &PEOPLE_WAYS_NBIOT),
    model("df400-nbiot", &TISSUE_NBIOT),
    model("df555-nbiot", &NbIot(&TANK)),
    model("df702-nbiot", &NbIot(&BIN)),
    model("df703-nbiot", &NbIot(&BIN)),
    model("df556-nbiot", &NbIot(&TANK_COLD)),
    model("dt311", &CLIMATE),
    model("dt320", &AIR),
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
    // Some parameter frames miscount themselves; nothing is read from them anyway.
    let is_counted = usize::from(*length) == bytes.len() || *report == PARAMETERS;
    let is_whole = bytes.last() == Some(&END) && is_counted;
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

impl Level {
    /// Up to the alarms. True if the position was there.
    fn read(&self, cursor: &mut Cursor<'_>, frame: &mut Frame) -> Result<bool, Fault> {
        let mut read = |name, value: f64| frame.readings.push(FrameReading { name, value, at: None });
        read(self.measure, f64::from(cursor.u16_be()?));
        let has_position = cursor.u8()? != 0;
        if has_position {
            for name in ["longitude", "latitude"] {
                let value = f64::from(cursor.f32_le()?);
                if !value.is_finite() {
                    return Err(bad_frame(format!("its {name} is no number")));
                }
                read(name, value);
            }
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
        Ok(has_position)
    }

    fn names(&self) -> Vec<&'static str> {
        let mut names = vec![self.measure, "longitude", "latitude"];
        names.extend(self.has_temperature.then_some("temperature_c"));
        names.extend(self.alarms.into_iter().filter(|name| *name != "unused"));
        names.extend(["battery_low", "angle_deg", "battery_v", "frame_counter"]);
        names
    }
}

impl Layout for Level {
    fn measures(&self) -> Vec<&'static str> {
        self.names()
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let Some(body) = body(bytes)? else { return Ok(parameters()) };
        let mut cursor = Cursor::big_endian(body);
        let mut frame = Frame::default();
        let has_position = self.read(&mut cursor, &mut frame)?;
        // Some say their voltage, too; the others leave a byte empty behind the counter.
        let rest = bytes.len() - HEAD_BYTES - if has_position { POSITION_BYTES } else { 0 };
        match rest {
            12 => cursor.fields(&[COUNTER], None, &mut frame)?,
            13 => cursor.fields(&[VOLTAGE, COUNTER], None, &mut frame)?,
            _ => return Err(bad_frame(format!("a level sensor's frame has no {} bytes", bytes.len()))),
        }
        Ok(frame)
    }
}

/// The signal: tenths of a dBm as a float, the low byte first. It is always negative; some firmware leaves the sign out.
fn rsrp(cursor: &mut Cursor<'_>, frame: &mut Frame) -> Result<(), Fault> {
    let tenths = f64::from(cursor.f32_le()?);
    if tenths.is_finite() && tenths != 0.0 {
        frame.readings.push(FrameReading { name: "rsrp_dbm", value: -tenths.abs() / 10.0, at: None });
    }
    Ok(())
}

/// Counter, IMEI (fifteen digits behind a 1), end.
fn nbiot_end(cursor: &mut Cursor<'_>, frame: &mut Frame) -> Result<(), Fault> {
    cursor.fields(&[COUNTER], None, frame)?;
    let digits = hex(cursor.take(IMEI_BYTES)?);
    let imei = digits.strip_prefix('1').filter(|imei| imei.bytes().all(|digit| digit.is_ascii_digit()));
    let imei = imei.ok_or_else(|| bad_frame(format!("`{digits}` is no IMEI")))?;
    frame.events.push(FrameEvent { about: "device", what: "imei", detail: Some(imei.to_owned()) });
    cursor.take(1)?;
    if cursor.is_empty() { Ok(()) } else { Err(bad_frame("the frame is longer than this model's")) }
}

impl Layout for NbIot {
    fn measures(&self) -> Vec<&'static str> {
        self.0.names().into_iter().chain(["rsrp_dbm"]).collect()
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let Some(body) = body(bytes)? else { return Ok(parameters()) };
        let mut cursor = Cursor::big_endian(body);
        let mut frame = Frame::default();
        self.0.read(&mut cursor, &mut frame)?;
        cursor.fields(&[VOLTAGE], None, &mut frame)?;
        rsrp(&mut cursor, &mut frame)?;
        nbiot_end(&mut cursor, &mut frame)?;
        Ok(frame)
    }
}

impl Layout for FixedNbIot {
    fn measures(&self) -> Vec<&'static str> {
        let fields = self.fields.iter().chain(self.more);
        once(fields.filter_map(Field::name).chain(["rsrp_dbm", "frame_counter"]))
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let Some(body) = body(bytes)? else { return Ok(parameters()) };
        let mut cursor = Cursor::big_endian(body);
        let mut frame = Frame::default();
        cursor.fields(self.fields, None, &mut frame)?;
        rsrp(&mut cursor, &mut frame)?;
        cursor.fields(self.more, None, &mut frame)?;
        nbiot_end(&mut cursor, &mut frame)?;
        Ok(frame)
    }
}

/// Two decimal digits in a byte.
fn digits(byte: u8) -> Option<f64> {
    let (tens, ones) = (byte >> 4, byte & 0xF);
    (tens < 10 && ones < 10).then(|| f64::from(tens * 10 + ones))
}

impl Layout for Digits {
    fn measures(&self) -> Vec<&'static str> {
        vec![
            "battery_v",
            "temperature_c",
            "humidity_pct",
            "temperature_alarm",
            "temperature_low_alarm",
            "humidity_alarm",
            "humidity_low_alarm",
            "frame_counter",
        ]
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        const BYTES: usize = 18;
        let Some(body) = body(bytes)? else { return Ok(parameters()) };
        if bytes.len() != BYTES {
            return Err(bad_frame(format!("this model's frame has {BYTES} bytes, not {}", bytes.len())));
        }
        let mut cursor = Cursor::big_endian(body);
        let mut frame = Frame::default();
        cursor.fields(&[VOLTAGE, Field::Skip(1)], None, &mut frame)?;
        let is_negative = cursor.u8()? != 0;
        for (name, sign) in [("temperature_c", if is_negative { -1.0 } else { 1.0 }), ("humidity_pct", 1.0)] {
            let (whole, hundredths) = (digits(cursor.u8()?), digits(cursor.u8()?));
            let (Some(whole), Some(hundredths)) = (whole, hundredths) else {
                return Err(bad_frame(format!("its {name} is not in decimal digits")));
            };
            let value = sign * (whole + hundredths / 100.0);
            frame.readings.push(FrameReading { name, value, at: None });
        }
        let alarms = [
            high("temperature_alarm"),
            low("temperature_low_alarm"),
            Field::Skip(1),
            high("humidity_alarm"),
            low("humidity_low_alarm"),
            Field::Skip(1),
            COUNTER,
        ];
        cursor.fields(&alarms, None, &mut frame)?;
        Ok(frame)
    }
}
