//! Elsys: `{type, value}` one behind the other, big-endian; every model of the vendor uses the same list.
//!
//! Sources: the vendor's published payload description, by way of the cases in `tests/data`.

use sanimon_domain::Fault;

use super::layout::Number::{I8, I16, U8, U16, U32};
use super::layout::{Cursor, Field, value};
use super::{Frame, FrameEvent, Layout, Model, bad_frame, model_of, once};

/// An element by its type.
static ELEMENTS: [(u8, &[Field]); 27] = [
    (0x01, &[value("temperature_c", I16, 10.0)]),
    (0x02, &[value("humidity_pct", U8, 1.0)]),
    (
        0x03,
        &[
            value("acceleration_x", I8, 1.0),
            value("acceleration_y", I8, 1.0),
            value("acceleration_z", I8, 1.0),
        ],
    ),
    (0x04, &[value("light_lux", U16, 1.0)]),
    (0x05, &[value("motion", U8, 1.0)]),
    (0x06, &[value("co2_ppm", U16, 1.0)]),
    (0x07, &[value("battery_v", U16, 1_000.0)]),
    (0x08, &[value("analog_1_mv", U16, 1.0)]),
    (0x09, &[Field::Skip(6)]),
    (0x0A, &[value("pulses_1", U16, 1.0)]),
    (0x0B, &[value("pulses_1_total", U32, 1.0)]),
    (0x0C, &[value("external_temperature_c", I16, 10.0)]),
    (0x0D, &[value("digital_1", U8, 1.0)]),
    (0x0E, &[value("distance_mm", U16, 1.0)]),
    (0x0F, &[value("acceleration_motion", U8, 1.0)]),
    (0x10, &[value("infrared_internal_c", I16, 10.0), value("infrared_external_c", I16, 10.0)]),
    (0x11, &[value("occupancy_state", U8, 1.0)]),
    (0x12, &[value("water_level_raw", U8, 1.0)]),
    (0x13, &[Field::Skip(65)]),
    (0x14, &[value("pressure_hpa", U32, 1_000.0)]),
    (0x15, &[value("sound_peak_db", U8, 1.0), value("sound_mean_db", U8, 1.0)]),
    (0x16, &[value("pulses_2", U16, 1.0)]),
    (0x17, &[value("pulses_2_total", U32, 1.0)]),
    (0x18, &[value("analog_2_mv", U16, 1.0)]),
    (0x19, &[value("external_temperature_2_c", I16, 10.0)]),
    (0x1A, &[value("digital_2", U8, 1.0)]),
    (0x1C, &[value("tvoc_ppb", U16, 1.0)]),
];

/// Settings, told after a change: not telemetry, and not of a length that is known.
const SETTINGS: u8 = 0x3E;

#[derive(Debug)]
struct Elements;

static LAYOUT: Elements = Elements;

const fn model(name: &'static str) -> Model {
    model_of("elsys", name, &LAYOUT)
}

pub(super) static MODELS: [Model; 19] = [
    model("elsys"),
    model("elt-ultrasonic"),
    model("ems"),
    model("ems-desk"),
    model("ems-door"),
    model("ems-lite"),
    model("ers"),
    model("ers-co2"),
    model("ers-co2-lite"),
    model("ers-eye"),
    model("ers-lite"),
    model("ers-sound"),
    model("ers-voc"),
    model("ers2"),
    model("ers2_co2"),
    model("ers2_co2_lite"),
    model("ers2_lite"),
    model("ers2_sound"),
    model("ers2_voc"),
];

impl Layout for Elements {
    fn measures(&self) -> Vec<&'static str> {
        once(ELEMENTS.iter().flat_map(|(_, fields)| fields.iter()).filter_map(Field::name))
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        let mut frame = Frame::default();
        while !cursor.is_empty() {
            let kind = cursor.u8()?;
            if kind == SETTINGS {
                frame.events.push(FrameEvent { about: "device", what: "settings", detail: None });
                return Ok(frame);
            }
            let Some((_, fields)) = ELEMENTS.iter().find(|(known, _)| *known == kind) else {
                return Err(bad_frame(format!("the type {kind:02x} is not Elsys's")));
            };
            cursor.fields(fields, None, &mut frame)?;
        }
        Ok(frame)
    }
}
