//! Dragino: one fixed layout a model on port 2, big-endian. Port 3 is the data log, port 5 the device's information:
//! neither is telemetry of now.
//!
//! Sources: `shared/sensors/README.md` and the published cases in `tests/data`. The published codec of one LDDS75 gives
//! the battery as the distance; the layout here is the manual's.

use sanimon_domain::Fault;

use super::layout::Number::{I16, U8, U16};
use super::layout::{Cursor, Field, Sentinel, value};
use super::{Frame, FrameEvent, Layout, Model, bad_frame, model_of, once};

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

pub(super) static MODELS: [Model; 9] = [
    model("laq4", &AIR),
    model("ldds04", &FOUR_PROBES),
    model("ldds20-114", &ULTRASONIC),
    model("ldds45", &ULTRASONIC),
    model("ldds75-114", &ULTRASONIC),
    model("lht65", &CLIMATE),
    model("lht65n", &CLIMATE),
    model("llds12", &LIDAR),
    model("lmds200", &MICROWAVE),
];

impl Layout for Fixed {
    fn measures(&self) -> Vec<&'static str> {
        once(self.0.iter().filter_map(Field::name))
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let event = |what| Frame {
            readings: Vec::new(),
            events: vec![FrameEvent { about: "device", what, detail: None }],
        };
        match port {
            TELEMETRY => {}
            DATA_LOG => return Ok(event("data_log")),
            INFORMATION => return Ok(event("information")),
            other => {
                return Err(bad_frame(format!("port {other} is none of Dragino's: telemetry is on port 2")));
            }
        }
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        cursor.fields(self.0, None, &mut frame)?;
        if cursor.is_empty() { Ok(frame) } else { Err(bad_frame("the frame is longer than this model's")) }
    }
}
