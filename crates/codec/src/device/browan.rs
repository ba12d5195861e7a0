//! Browan: one short layout a model, little-endian, on a port of its own.
//!
//! The battery's low nibble is tenths of a volt above 2.5 V; temperatures are whole degrees above -32 °C. Sources: the
//! published cases in `tests/data`.

use sanimon_domain::Fault;

use super::layout::Number::{U8, U16, U24};
use super::layout::{Cursor, Field, value};
use super::{Frame, Layout, Model, bad_frame, model_of, once};

#[derive(Debug)]
struct OnPort {
    port: u8,
    fields: &'static [Field],
}

const fn degrees(name: &'static str) -> Field {
    Field::MaskedByte { name, mask: 0x7F, per: 1.0, plus: -32.0 }
}

const fn bit(name: &'static str, bit: u8) -> Field {
    Field::Bit { name, bit }
}

const BATTERY: Field = Field::MaskedByte { name: "battery_v", mask: 0x0F, per: 10.0, plus: 2.5 };
const BATTERY_CD10: Field = Field::MaskedByte { name: "battery_v", mask: 0x0F, per: 10.0, plus: 2.1 };
const BOARD: Field = degrees("board_temperature_c");

static WATER_LEAK: OnPort = OnPort {
    port: 106,
    fields: &[
        bit("leak", 0),
        Field::Skip(1),
        BATTERY,
        BOARD,
        value("humidity_pct", U8, 1.0),
        degrees("temperature_c"),
    ],
};
static MOTION: OnPort = OnPort {
    port: 102,
    fields: &[
        bit("occupied", 0),
        Field::Skip(1),
        BATTERY,
        BOARD,
        value("minutes_since", U16, 1.0),
        value("events_total", U24, 1.0),
    ],
};
static DOOR: OnPort = OnPort {
    port: 100,
    fields: &[
        bit("door_open", 0),
        Field::Skip(1),
        BATTERY,
        BOARD,
        value("minutes_since", U16, 1.0),
        value("events_total", U24, 1.0),
    ],
};
static HUMIDITY: OnPort = OnPort {
    port: 103,
    fields: &[
        bit("status", 3),
        Field::Skip(1),
        BATTERY,
        degrees("temperature_c"),
        value("humidity_pct", U8, 1.0),
        Field::Skip(4),
    ],
};
static AIR: OnPort = OnPort {
    port: 103,
    fields: &[
        bit("status", 0),
        Field::Skip(1),
        BATTERY,
        BOARD,
        value("humidity_pct", U8, 1.0),
        value("co2_ppm", U16, 1.0),
        value("voc", U16, 1.0),
        value("air_quality_index", U16, 1.0),
        degrees("temperature_c"),
    ],
};
static LIGHT: OnPort = OnPort {
    port: 104,
    fields: &[
        bit("darker", 0),
        bit("lighter", 1),
        Field::Skip(1),
        BATTERY,
        BOARD,
        value("light_lux", U16, 100.0),
        Field::Skip(1),
    ],
};
static BUTTON: OnPort =
    OnPort { port: 147, fields: &[bit("call_button", 0), Field::Skip(1), BATTERY, BOARD, Field::Skip(5)] };
static CO2: OnPort = OnPort {
    port: 127,
    fields: &[
        bit("status", 0),
        Field::Skip(1),
        BATTERY_CD10,
        value("temperature_c", U16, 10.0),
        value("humidity_pct", U8, 1.0),
        value("co2_ppm", U16, 1.0),
    ],
};

pub(super) static MODELS: [Model; 8] = [
    model_of("browan", "cd10", &CO2),
    model_of("browan", "tbam100", &LIGHT),
    model_of("browan", "tbdw100", &DOOR),
    model_of("browan", "tbhh100", &HUMIDITY),
    model_of("browan", "tbhv110", &AIR),
    model_of("browan", "tbms100", &MOTION),
    model_of("browan", "tbpb100", &BUTTON),
    model_of("browan", "tbwl100", &WATER_LEAK),
];

impl Layout for OnPort {
    fn measures(&self) -> Vec<&'static str> {
        once(self.fields.iter().filter_map(Field::name))
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        if port != self.port {
            return Err(bad_frame(format!("this model reports on port {}, not {port}", self.port)));
        }
        let mut cursor = Cursor::new(bytes);
        let mut frame = Frame::default();
        cursor.fields(self.fields, None, &mut frame)?;
        if cursor.is_empty() { Ok(frame) } else { Err(bad_frame("the frame is longer than this model's")) }
    }
}
