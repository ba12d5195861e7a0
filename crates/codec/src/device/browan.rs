//! Browan: one short layout a model, little-endian, on a port of its own.
//!
//! The battery's low nibble is tenths of a volt above 2.5 V; temperatures are whole degrees above -32 °C. Sources: the
//! published cases in `tests/data`.

use super::layout::Number::{U8, U16, U24};
use super::layout::{Field, value};
use super::on_port::OnPort;
use super::{Model, model_of};

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
    is_big_endian: false,
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
    is_big_endian: false,
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
    is_big_endian: false,
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
    is_big_endian: false,
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
    is_big_endian: false,
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
    is_big_endian: false,
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
static BUTTON: OnPort = OnPort {
    port: 147,
    is_big_endian: false,
    fields: &[bit("call_button", 0), Field::Skip(1), BATTERY, BOARD, Field::Skip(5)],
};
static CO2: OnPort = OnPort {
    port: 127,
    is_big_endian: false,
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
