//! Dragino: one fixed layout a model on port 2, big-endian. Port 3 is the data log, port 5 the device's information:
//! neither is telemetry of now.
//!
//! Sources: `shared/sensors/README.md` and the published cases in `tests/data`. The published codec of one LDDS75 gives
//! the battery as the distance; the layout here is the manual's.

use sanimon_domain::{Fault, TimestampMs};

use super::layout::Number::{I16, U8, U16, U24};
use super::layout::{Cursor, Field, Sentinel, value};
use super::{Frame, FrameEvent, FrameReading, Layout, Model, bad_frame, model_of, once};

const TELEMETRY: u8 = 2;
const DATA_LOG: u8 = 3;
const INFORMATION: u8 = 5;

/// Below 20 mm nothing was measured; 0: there is no ultrasonic head.
const NO_DISTANCE: [Sentinel; 20] = {
    let mut sentinels = [(0, "no_sensor"); 20];
    let mut raw = 1;
    while raw < 20 {
        sentinels[raw] = (raw as u32, "no_target");
        raw += 1;
    }
    sentinels
};

const BATTERY: Field = Field::Masked { name: "battery_v", mask: 0x3FFF, per: 1_000.0 };
const DISTANCE: Field = Field::Value { name: "distance_mm", number: U16, per: 1.0, sentinels: &NO_DISTANCE };

static CLIMATE_SMALL: Fixed = Fixed(&[
    value("temperature_c", I16, 100.0),
    value("humidity_pct", U16, 10.0),
    // 327.67: nothing is plugged in.
    Field::Value {
        name: "external_temperature_c",
        number: I16,
        per: 100.0,
        sentinels: &[(0x7FFF, "no_sensor")],
    },
    Field::Skip(5),
]);

#[derive(Debug)]
struct Fixed(&'static [Field]);

static ULTRASONIC: Fixed = Fixed(&[
    BATTERY,
    DISTANCE,
    value("interrupt", U8, 1.0),
    value("external_temperature_c", I16, 10.0),
    value("sensor_flag", U8, 1.0),
]);
static LIDAR: Fixed = Fixed(&[
    BATTERY,
    value("external_temperature_c", I16, 10.0),
    value("distance_mm", U16, 1.0),
    value("signal_strength", U16, 1.0),
    value("interrupt", U8, 1.0),
    value("lidar_temperature_c", U8, 1.0),
    value("message_type", U8, 1.0),
]);
static FOUR_PROBES: Fixed = Fixed(&[
    BATTERY,
    DISTANCE,
    value("distance_2_mm", U16, 1.0),
    value("distance_3_mm", U16, 1.0),
    value("distance_4_mm", U16, 1.0),
    value("message_type", U8, 1.0),
]);
static MICROWAVE: Fixed = Fixed(&[
    BATTERY,
    value("distance_mm", U16, 1.0),
    value("distance_2_mm", U16, 1.0),
    Field::Bit { name: "interrupt", bit: 0 },
    Field::Bit { name: "distance_alarm", bit: 1 },
    Field::Skip(1),
]);
static AIR: Fixed = Fixed(&[
    BATTERY,
    Field::Bit { name: "alarm", bit: 0 },
    Field::Skip(1),
    value("tvoc_ppb", U16, 1.0),
    value("co2_ppm", U16, 1.0),
    value("temperature_c", I16, 10.0),
    value("humidity_pct", U16, 10.0),
]);
static CLIMATE: Fixed = Fixed(&[
    BATTERY,
    value("temperature_c", I16, 100.0),
    value("humidity_pct", U16, 10.0),
    Field::Skip(1),
    value("external_temperature_c", I16, 100.0),
    Field::Skip(2),
]);

const fn model(name: &'static str, layout: &'static Fixed) -> Model {
    model_of("dragino", name, layout)
}

pub(super) static MODELS: [Model; 22] = [
    model("laq4", &AIR),
    model("ldds20", &ULTRASONIC),
    model("ldds75", &ULTRASONIC),
    model("lht65n-pir", &CLIMATE),
    model("lht52", &CLIMATE_SMALL),
    model_of("dragino", "lds01", &Contact::Door),
    model_of("dragino", "lds02", &Contact::Door),
    model_of("dragino", "lwl01", &Contact::Leak),
    model_of("dragino", "lwl02", &Contact::Leak),
    model_of(
        "dragino",
        "lds03a",
        &Timed { open: "door_open", times: "door_open_times", minutes: "door_open_min" },
    ),
    model_of(
        "dragino",
        "cpl01",
        &Timed { open: "contact_open", times: "pulses", minutes: "contact_open_min" },
    ),
    model_of("dragino", "ps-lb", &CurrentProbe),
    model_of("dragino", "ndds75-nbiot", &NbIot),
    model_of("dragino", "ndds20-nbiot", &NbIot),
    model("ldds04", &FOUR_PROBES),
    model("ldds20-114", &ULTRASONIC),
    model("ldds45", &ULTRASONIC),
    model("ldds75-114", &ULTRASONIC),
    model("lht65", &CLIMATE),
    model("lht65n", &CLIMATE),
    model("llds12", &LIDAR),
    model("lmds200", &MICROWAVE),
];

fn event(what: &'static str) -> Frame {
    Frame { readings: Vec::new(), events: vec![FrameEvent { about: "device", what, detail: None }] }
}

fn not_a_port(port: u8) -> Fault {
    bad_frame(format!("port {port} is none of Dragino's: telemetry is on port 2"))
}

impl Layout for Fixed {
    fn measures(&self) -> Vec<&'static str> {
        once(self.0.iter().filter_map(Field::name))
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        match port {
            TELEMETRY => {}
            DATA_LOG => return Ok(event("data_log")),
            INFORMATION => return Ok(event("information")),
            other => return Err(not_a_port(other)),
        }
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        cursor.fields(self.0, None, &mut frame)?;
        if cursor.is_empty() { Ok(frame) } else { Err(bad_frame("the frame is longer than this model's")) }
    }
}

/// Doors and leaks: `open | leak | battery, mode, times u24, minutes u24, alarm`, on any low port.
///
/// The vendor's own published example is three bytes shorter, and its codec reads what is missing as zero; so does this.
#[derive(Debug)]
enum Contact {
    Door,
    Leak,
}

const CONTACT_PORTS: std::ops::RangeInclusive<u8> = 1..=12;
const CONTACT_BYTES: usize = 10;
const CONTACT_BYTES_SHORT: usize = 7;

impl Layout for Contact {
    fn measures(&self) -> Vec<&'static str> {
        let (first, second) = match self {
            Self::Door => ("door_open", "leak"),
            Self::Leak => ("leak", "door_open"),
        };
        vec![
            "battery_v",
            first,
            second,
            "door_open_times",
            "door_open_min",
            "leak_times",
            "leak_min",
            "alarm",
        ]
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        if !CONTACT_PORTS.contains(&port) {
            return Err(bad_frame(format!("port {port} is none of this model's")));
        }
        if ![CONTACT_BYTES, CONTACT_BYTES_SHORT].contains(&bytes.len()) {
            return Err(bad_frame(format!(
                "a frame of this model has {CONTACT_BYTES} bytes, not {}",
                bytes.len()
            )));
        }
        let mut whole = [0; CONTACT_BYTES];
        whole[..bytes.len()].copy_from_slice(bytes);
        let mut frame = Frame::default();
        let fields: &[Field] = match whole[2] {
            1 => &[
                Field::Bit { name: "door_open", bit: 7 },
                BATTERY,
                Field::Skip(1),
                value("door_open_times", U24, 1.0),
                value("door_open_min", U24, 1.0),
                Field::Bit { name: "alarm", bit: 0 },
            ],
            2 => &[
                Field::Bit { name: "leak", bit: 6 },
                BATTERY,
                Field::Skip(1),
                value("leak_times", U24, 1.0),
                value("leak_min", U24, 1.0),
            ],
            3 => &[Field::Bit { name: "door_open", bit: 7 }, Field::Bit { name: "leak", bit: 6 }, BATTERY],
            other => return Err(bad_frame(format!("mode {other} is not known"))),
        };
        Cursor::big_endian(&whole).fields(fields, None, &mut frame)?;
        Ok(frame)
    }
}

/// Contacts with a clock: `alarm | open, times u24, minutes u24, Unix time u32`; port 3 has several such records.
#[derive(Debug)]
struct Timed {
    open: &'static str,
    times: &'static str,
    minutes: &'static str,
}

const TIMED_BYTES: usize = 11;
const SETTINGS: u8 = 4;

impl Layout for Timed {
    fn measures(&self) -> Vec<&'static str> {
        vec![self.open, "alarm", self.times, self.minutes]
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        match port {
            TELEMETRY | DATA_LOG => {}
            SETTINGS => return Ok(event("parameters")),
            INFORMATION => return Ok(event("information")),
            other => return Err(not_a_port(other)),
        }
        if !bytes.len().is_multiple_of(TIMED_BYTES) || (port == TELEMETRY && bytes.len() != TIMED_BYTES) {
            return Err(bad_frame(format!(
                "a record has {TIMED_BYTES} bytes; the frame has {}",
                bytes.len()
            )));
        }
        let mut frame = Frame::default();
        for record in bytes.chunks(TIMED_BYTES) {
            let fields = [
                Field::Bit { name: self.open, bit: 0 },
                Field::Bit { name: "alarm", bit: 1 },
                Field::Skip(1),
                value(self.times, U24, 1.0),
                value(self.minutes, U24, 1.0),
            ];
            Cursor::big_endian(record).fields(&fields, unix_seconds(&record[7..]), &mut frame)?;
        }
        Ok(frame)
    }
}

/// Four bytes of Unix seconds; a clock that was never set says nothing.
fn unix_seconds(bytes: &[u8]) -> Option<TimestampMs> {
    let seconds = bytes.iter().take(4).fold(0_i64, |all, byte| all << 8 | i64::from(*byte));
    (seconds > CLOCK_WAS_SET).then_some(TimestampMs(seconds * 1_000))
}

/// 2017: no earlier device of the family has a clock.
const CLOCK_WAS_SET: i64 = 1_483_228_800;

/// A probe with 4 to 20 mA: `battery, what it measures, its range, mA, V, pins`.
#[derive(Debug)]
struct CurrentProbe;

static PROBE: [Field; 5] = [
    value("battery_v", U16, 1_000.0),
    Field::Skip(2),
    value("current_ma", U16, 1_000.0),
    value("voltage_v", U16, 1_000.0),
    Field::Skip(1),
];
const WATER_DEPTH: u8 = 0;
/// Below 4 mA by more than its tolerance, the probe is broken or cut off (NAMUR NE 43: 3.6 mA).
const PROBE_BROKEN_MA: f64 = 3.6;

impl Layout for CurrentProbe {
    fn measures(&self) -> Vec<&'static str> {
        vec!["battery_v", "current_ma", "voltage_v", "level_mm"]
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        match port {
            TELEMETRY => {}
            INFORMATION => return Ok(event("information")),
            7 => return Ok(event("data_log")),
            other => return Err(not_a_port(other)),
        }
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        cursor.fields(&PROBE, None, &mut frame)?;
        if !cursor.is_empty() {
            return Err(bad_frame("the frame is longer than this model's"));
        }
        let (kind, range_m) = (bytes[2], f64::from(bytes[3]));
        let current_ma = frame.readings[1].value;
        if kind == WATER_DEPTH && current_ma < PROBE_BROKEN_MA {
            frame.events.push(FrameEvent { about: "level_mm", what: "sensor_fault", detail: None });
        } else if kind == WATER_DEPTH {
            let level_mm = (current_ma - 4.0).max(0.0) * range_m * 1_000.0 / 16.0;
            frame.readings.push(FrameReading { name: "level_mm", value: level_mm, at: None });
        }
        Ok(frame)
    }
}

/// NB-IoT, as hex over MQTT or UDP. Newer: `f and IMEI 8, IMSI 8, version u16, battery u16, CSQ, mode, interrupt, its level,
/// distance u16, Unix time u32`, then older `{distance, time}`. Older: `IMEI's end 6, version u16, battery u16, CSQ,
/// distance u16, interrupt`.
#[derive(Debug)]
struct NbIot;

const NB_OLD_BYTES: usize = 14;
const NB_RECORD_BYTES: usize = 6;
const NB_HEAD_BYTES: usize = 24;

impl Layout for NbIot {
    fn measures(&self) -> Vec<&'static str> {
        vec!["battery_v", "csq", "distance_mm", "interrupt"]
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        let mut imei = |bytes: &[u8]| {
            let detail = Some(super::hex(bytes).trim_start_matches('f').to_owned());
            frame.events.push(FrameEvent { about: "device", what: "imei", detail });
        };
        let state = [value("battery_v", U16, 1_000.0), value("csq", U8, 1.0)];
        if bytes.len() == NB_OLD_BYTES {
            imei(cursor.take(6)?);
            cursor.take(2)?;
            cursor.fields(&state, None, &mut frame)?;
            cursor.fields(&[DISTANCE, value("interrupt", U8, 1.0)], None, &mut frame)?;
            return Ok(frame);
        }
        let records = bytes.len().saturating_sub(NB_HEAD_BYTES);
        if bytes[0] >> 4 != 0xF || records == 0 || !records.is_multiple_of(NB_RECORD_BYTES) {
            return Err(bad_frame(
                "an NB-IoT frame of Dragino has 14 bytes, or begins with f and has records of 6",
            ));
        }
        imei(cursor.take(8)?);
        cursor.take(8 + 2)?;
        cursor.fields(&state, None, &mut frame)?;
        cursor.take(3)?;
        while !cursor.is_empty() {
            let record = cursor.take(NB_RECORD_BYTES)?;
            Cursor::big_endian(record).fields(&[DISTANCE], unix_seconds(&record[2..]), &mut frame)?;
        }
        Ok(frame)
    }
}
