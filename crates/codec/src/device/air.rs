//! Sensors of rooms, for toilets: MClimate, Talkpool, Tektelic, Adeunis, Yobiiq.
//!
//! Sources: `shared/sensors/README.md`, the vendors' published payload descriptions and the cases in `tests/data`.

use sanimon_domain::Fault;

use super::layout::Number::{I16, U8, U16};
use super::layout::{Cursor, Field, Number, value};
use super::{Frame, FrameEvent, FrameReading, Layout, Model, bad_frame, hex, model_of, once};

const fn linear(name: &'static str, number: Number, offset: f64, scale: f64) -> Field {
    Field::Linear { name, number, offset, scale }
}

/// MClimate says tenths of a degree above -40 °C, humidity in 256ths, and the battery in steps of 8 mV above 1.6 V.
const MCLIMATE_TEMPERATURE: Field = linear("temperature_c", U16, -400.0, 0.1);
const MCLIMATE_HUMIDITY: Field = linear("humidity_pct", U8, 0.0, 100.0 / 256.0);
const MCLIMATE_BATTERY: Field = linear("battery_v", U8, 200.0, 0.008);

#[derive(Debug)]
enum Mclimate {
    Co2,
    Co2Display,
    Flood,
    Climate,
}

/// A keep-alive begins with 01; anything else repeats settings. The flood sensor has no such byte.
const KEEP_ALIVE: u8 = 0x01;
static MCLIMATE_CO2: [Field; 4] =
    [value("co2_ppm", U16, 1.0), MCLIMATE_TEMPERATURE, MCLIMATE_HUMIDITY, MCLIMATE_BATTERY];
static MCLIMATE_DISPLAY: [Field; 3] =
    [MCLIMATE_TEMPERATURE, MCLIMATE_HUMIDITY, value("battery_v", U16, 1_000.0)];
static MCLIMATE_CLIMATE: [Field; 3] = [MCLIMATE_TEMPERATURE, MCLIMATE_HUMIDITY, MCLIMATE_BATTERY];

impl Layout for Mclimate {
    fn measures(&self) -> Vec<&'static str> {
        match self {
            Self::Co2 => once(MCLIMATE_CO2.iter().filter_map(Field::name)),
            Self::Co2Display => {
                vec!["temperature_c", "humidity_pct", "battery_v", "co2_ppm", "light_lux", "occupied"]
            }
            Self::Flood => vec!["leak", "box_open", "battery_v"],
            Self::Climate => vec!["temperature_c", "humidity_pct", "battery_v", "external_temperature_c"],
        }
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        let first = cursor.u8()?;
        let length = match self {
            Self::Flood => 2,
            Self::Co2 | Self::Climate => 7,
            Self::Co2Display => 11,
        };
        if !matches!(self, Self::Flood) && first != KEEP_ALIVE {
            let detail = Some(format!("{first:02x}"));
            frame.events.push(FrameEvent { about: "device", what: "answered_a_command", detail });
            return Ok(frame);
        }
        if bytes.len() != length {
            return Err(bad_frame(format!(
                "a keep-alive of this model has {length} bytes, not {}",
                bytes.len()
            )));
        }
        let mut flag = |name, is: bool| {
            frame.readings.push(FrameReading { name, value: f64::from(u8::from(is)), at: None });
        };
        match self {
            Self::Flood => {
                flag("leak", first & 0x04 != 0);
                flag("box_open", first & 0x08 != 0);
                // The flood sensor's battery counts in steps of 16 mV from 0.
                cursor.fields(&[linear("battery_v", U8, 0.0, 0.016)], None, &mut frame)?;
            }
            Self::Co2 => cursor.fields(&MCLIMATE_CO2, None, &mut frame)?,
            Self::Climate => {
                cursor.fields(&MCLIMATE_CLIMATE, None, &mut frame)?;
                let (high, low) = (cursor.u8()?, cursor.u8()?);
                if high & 0x04 == 0 {
                    let tenths = f64::from(u16::from(high & 0x03) << 8 | u16::from(low)) - 400.0;
                    let name = "external_temperature_c";
                    frame.readings.push(FrameReading { name, value: tenths / 10.0, at: None });
                } else {
                    let about = "external_temperature_c";
                    frame.events.push(FrameEvent { about, what: "no_sensor", detail: None });
                }
            }
            Self::Co2Display => {
                cursor.fields(&MCLIMATE_DISPLAY, None, &mut frame)?;
                // 13 bits: the low byte first, five more in the byte that also tells the power's source.
                let (low, high) = (cursor.u8()?, cursor.u8()?);
                let co2 = u16::from(high & 0xF8) << 5 | u16::from(low);
                frame.readings.push(FrameReading { name: "co2_ppm", value: f64::from(co2), at: None });
                let rest = [value("light_lux", U16, 1.0), value("occupied", U8, 1.0)];
                cursor.fields(&rest, None, &mut frame)?;
            }
        }
        Ok(frame)
    }
}

/// Talkpool's pair: three bytes of twelve bits each for temperature and humidity, their low halves in the third.
#[derive(Debug)]
struct TalkpoolPair {
    /// Subtracted from the tenths.
    temperature_offset: u16,
    humidity_offset: u16,
    has_co2: bool,
}

static OY1100: TalkpoolPair = TalkpoolPair { temperature_offset: 0, humidity_offset: 0, has_co2: false };
static OY1110: TalkpoolPair = TalkpoolPair { temperature_offset: 800, humidity_offset: 250, has_co2: false };
static OY1210: TalkpoolPair = TalkpoolPair { temperature_offset: 800, humidity_offset: 250, has_co2: true };
/// Reports with several pairs begin with a byte of their own on this port.
const TALKPOOL_GROUP_PORT: u8 = 3;
const TALKPOOL_PORTS: std::ops::RangeInclusive<u8> = 1..=TALKPOOL_GROUP_PORT;

impl Layout for TalkpoolPair {
    fn measures(&self) -> Vec<&'static str> {
        let co2 = self.has_co2.then_some("co2_ppm");
        ["temperature_c", "humidity_pct"].into_iter().chain(co2).collect()
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        if !TALKPOOL_PORTS.contains(&port) {
            return Err(bad_frame(format!("port {port} is none of Talkpool's")));
        }
        if port == TALKPOOL_GROUP_PORT {
            cursor.u8()?;
        }
        let (temperature, humidity, low) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let twelve = |high: u8, low: u8| u16::from(high) << 4 | u16::from(low);
        let tenths = |raw: u16, offset: u16| (f64::from(raw) - f64::from(offset)) / 10.0;
        let temperature = tenths(twelve(temperature, low >> 4), self.temperature_offset);
        let humidity = tenths(twelve(humidity, low & 0xF), self.humidity_offset);
        frame.readings.push(FrameReading { name: "temperature_c", value: temperature, at: None });
        frame.readings.push(FrameReading { name: "humidity_pct", value: humidity, at: None });
        if self.has_co2 {
            cursor.fields(&[value("co2_ppm", U16, 1.0)], None, &mut frame)?;
        }
        if !cursor.is_empty() {
            // Earlier samples, whose times the frame does not tell.
            frame.events.push(FrameEvent {
                about: "device",
                what: "earlier_samples",
                detail: Some(hex(bytes)),
            });
        }
        Ok(frame)
    }
}

/// Fields one behind the other; more may follow.
#[derive(Debug)]
struct Row(&'static [Field]);

static OY1200: Row = Row(&[
    Field::Skip(2),
    value("co2_raw_ppm", U16, 1.0),
    value("co2_ppm", U16, 1.0),
    value("temperature_c", I16, 100.0),
    value("humidity_pct", U16, 100.0),
    Field::Skip(2),
]);

impl Layout for Row {
    fn measures(&self) -> Vec<&'static str> {
        once(self.0.iter().filter_map(Field::name))
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut frame = Frame::default();
        let mut cursor = Cursor::big_endian(bytes);
        cursor.fields(self.0, None, &mut frame)?;
        if cursor.is_empty() { Ok(frame) } else { Err(bad_frame("the frame is longer than this model's")) }
    }
}

/// `{channel, type, value}` one behind the other, big-endian; settings come back on another port.
#[derive(Debug)]
struct Elements {
    settings_port: u8,
    elements: &'static [(u8, u8, &'static [Field])],
}

static TEKTELIC: Elements = Elements {
    settings_port: 100,
    elements: &[
        (0x00, 0xFF, &[value("battery_v", I16, 100.0)]),
        (0x00, 0xD3, &[value("battery_pct", U8, 1.0)]),
        (0x00, 0xBD, &[value("battery_lifetime_days", U16, 1.0)]),
        (0x03, 0x67, &[value("temperature_c", I16, 10.0)]),
        (0x04, 0x68, &[value("humidity_pct", U8, 2.0)]),
        (0x0A, 0x00, &[value("motion", U8, 255.0)]),
        (0x0D, 0x04, &[value("motion_count", U16, 1.0)]),
        (0x20, 0x00, &[Field::Skip(3)]),
    ],
};
static YOBIIQ: Elements = Elements {
    settings_port: 50,
    elements: &[
        (0x01, 0x00, &[value("battery_pct", U8, 1.0)]),
        (0x01, 0x75, &[value("battery_pct", U8, 1.0)]),
        (0x02, 0x00, &[Field::State { about: "device", states: POWER }]),
        (0x02, 0x0B, &[Field::State { about: "device", states: POWER }]),
        (0x03, 0x00, &[value("battery_low", U8, 1.0)]),
        (0x04, 0x00, &[value("fault_alarm", U8, 1.0)]),
        (0x05, 0x00, &[value("smoke", U8, 1.0)]),
        (0x06, 0x00, &[value("interconnect_alarm", U8, 1.0)]),
        (0x07, 0x00, &[value("test_button", U8, 1.0)]),
    ],
};
const POWER: &[(u8, &str)] = &[(0, "mains_lost"), (1, "mains_on")];
/// A frame of this one byte says that a downlink was not understood.
const DOWNLINK_FAILED: [u8; 1] = [0x01];

impl Layout for Elements {
    fn measures(&self) -> Vec<&'static str> {
        once(self.elements.iter().flat_map(|(.., fields)| fields.iter()).filter_map(Field::name))
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut frame = Frame::default();
        let mut event = |what, detail| frame.events.push(FrameEvent { about: "device", what, detail });
        if bytes == DOWNLINK_FAILED {
            event("downlink_failed", None);
            return Ok(frame);
        }
        if port == self.settings_port {
            event("parameters", Some(hex(bytes)));
            return Ok(frame);
        }
        let mut cursor = Cursor::big_endian(bytes);
        while !cursor.is_empty() {
            let (channel, kind) = (cursor.u8()?, cursor.u8()?);
            let known = self.elements.iter().find(|(c, k, _)| (*c, *k) == (channel, kind));
            match known {
                Some((.., fields)) => cursor.fields(fields, None, &mut frame)?,
                None if frame == Frame::default() => {
                    return Err(bad_frame(format!("element {channel:02x}{kind:02x} is not of this model")));
                }
                None => {
                    let detail = Some(format!("{channel:02x}{kind:02x}"));
                    frame.events.push(FrameEvent { about: "device", what: "unknown_channel", detail });
                    break;
                }
            }
        }
        Ok(frame)
    }
}

/// Adeunis' motion sensor: a code, a status byte, whether somebody is there, then pairs of presence and light in percent,
/// the newest first.
#[derive(Debug)]
struct AdeunisMotion;

const MOTION_DATA: u8 = 0x5C;
/// Answers, keep-alives and settings of the family.
const ADEUNIS_OTHERS: std::ops::RangeInclusive<u8> = 0x10..=0x43;

impl Layout for AdeunisMotion {
    fn measures(&self) -> Vec<&'static str> {
        vec!["occupied", "presence_pct", "light_pct", "presence_earlier_pct", "light_earlier_pct"]
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        let (code, status) = (cursor.u8()?, cursor.u8()?);
        for (bit, what) in [(1, "battery_low"), (2, "sensor_fault")] {
            if status >> bit & 1 == 1 {
                frame.events.push(FrameEvent { about: "device", what, detail: None });
            }
        }
        if ADEUNIS_OTHERS.contains(&code) {
            frame.events.push(FrameEvent { about: "device", what: "parameters", detail: Some(hex(bytes)) });
            return Ok(frame);
        }
        if code != MOTION_DATA {
            return Err(bad_frame(format!("a frame of this model begins with 5c, not {code:02x}")));
        }
        cursor.fields(
            &[value("occupied", U8, 1.0), value("presence_pct", U8, 1.0), value("light_pct", U8, 1.0)],
            None,
            &mut frame,
        )?;
        // How long ago the second pair was measured is a setting that the frame does not tell.
        if !cursor.is_empty() {
            let pair = [value("presence_earlier_pct", U8, 1.0), value("light_earlier_pct", U8, 1.0)];
            cursor.fields(&pair, None, &mut frame)?;
        }
        Ok(frame)
    }
}

pub(super) static MODELS: [Model; 14] = [
    model_of("adeunis", "motion", &AdeunisMotion),
    model_of("mclimate", "co2-display", &Mclimate::Co2Display),
    model_of("mclimate", "co2-sensor", &Mclimate::Co2),
    model_of("mclimate", "flood-sensor", &Mclimate::Flood),
    model_of("mclimate", "ht-sensor", &Mclimate::Climate),
    model_of("talkpool", "oy1100", &OY1100),
    model_of("talkpool", "oy1110", &OY1110),
    model_of("talkpool", "oy1200", &OY1200),
    model_of("talkpool", "oy1210", &OY1210),
    model_of("tektelic", "t0006086", &TEKTELIC),
    model_of("tektelic", "t0007127", &TEKTELIC),
    model_of("tektelic", "t0007392", &TEKTELIC),
    model_of("tektelic", "t0007705", &TEKTELIC),
    model_of("yobiiq", "sd1001", &YOBIIQ),
];
