//! Milesight's LoRaWAN frames: `{channel, type, value}` one behind the other, little-endian.
//!
//! Channel FF tells of the device itself (at a join, mostly): never telemetry. Records of the history, `20 CE`, bring
//! their own time. Sources: the vendor's user guides, by way of `shared/sensors/README.md`, and the published cases in
//! `tests/data`. What differs by model stands in the model's own table, before the shared ones.

mod nbiot;
mod tables;

use sanimon_domain::{Fault, TimestampMs};

use self::tables::{PERIODS, TOTALS};
use super::layout::{Cursor, Field};
use super::{Frame, FrameEvent, FrameReading, Layout, bad_frame, hex, once};

pub(super) use tables::MODELS;

/// An element: what stands behind a channel and a type.
#[derive(Debug)]
struct Element {
    channel: u8,
    kind: u8,
    fields: &'static [Field],
}

/// What a model sends.
#[derive(Debug)]
struct Tlv {
    tables: &'static [&'static [Element]],
    history: Records,
}

/// What stands behind a record's time.
#[derive(Debug)]
enum Records {
    None,
    Fields(&'static [Field]),
    /// A byte says whether totals follow the periods.
    People,
}

const fn element(channel: u8, kind: u8, fields: &'static [Field]) -> Element {
    Element { channel, kind, fields }
}

/// Answers to a downlink: they repeat what was set.
const ANSWERS: [u8; 3] = [0xF8, 0xF9, 0xFE];
const OF_THE_DEVICE: u8 = 0xFF;
const HISTORY: (u8, u8) = (0x20, 0xCE);

impl Tlv {
    fn element(&self, channel: u8, kind: u8) -> Option<&'static Element> {
        self.tables
            .iter()
            .flat_map(|table| table.iter())
            .find(|element| element.channel == channel && element.kind == kind)
    }

    /// A record: its time in Unix seconds, then values.
    fn record(&self, cursor: &mut Cursor<'_>, frame: &mut Frame) -> Result<(), Fault> {
        let seconds = cursor.take(4)?.iter().rev().fold(0_i64, |all, byte| all << 8 | i64::from(*byte));
        let at = Some(TimestampMs(seconds * 1_000));
        match self.history {
            Records::None => Err(bad_frame("a record of a history that this model does not have")),
            Records::Fields(fields) => cursor.fields(fields, at, frame),
            Records::People => match cursor.u8()? {
                0 => cursor.fields(&PERIODS, at, frame),
                1 => {
                    cursor.fields(&PERIODS, at, frame)?;
                    cursor.fields(&TOTALS, at, frame)
                }
                other => Err(bad_frame(format!("a record of the unknown kind {other}"))),
            },
        }
    }
}

impl Layout for Tlv {
    fn measures(&self) -> Vec<&'static str> {
        let elements = self.tables.iter().flat_map(|table| table.iter());
        once(elements.flat_map(|element| element.fields).filter_map(Field::name))
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::new(bytes);
        let mut frame = Frame::default();
        while !cursor.is_empty() {
            let (channel, kind) = (cursor.u8()?, cursor.u8()?);
            if (channel, kind) == HISTORY && !matches!(self.history, Records::None) {
                self.record(&mut cursor, &mut frame)?;
            } else if let Some(element) = self.element(channel, kind) {
                cursor.fields(element.fields, None, &mut frame)?;
            } else if channel == OF_THE_DEVICE {
                of_the_device(kind, &mut cursor, &mut frame)?;
            } else if ANSWERS.contains(&channel) {
                frame.events.push(FrameEvent { about: "device", what: "answered_a_command", detail: None });
                return Ok(frame);
            } else if frame == Frame::default() {
                return Err(bad_frame(format!("channel {channel:02x}{kind:02x} is not of this model")));
            } else {
                // A newer firmware may say more: how long it is, nobody knows, so the rest is left.
                let detail = Some(format!("{channel:02x}{kind:02x}"));
                frame.events.push(FrameEvent { about: "device", what: "unknown_channel", detail });
                return Ok(frame);
            }
        }
        Ok(frame)
    }
}

/// Serial numbers, versions, joins, buttons.
fn of_the_device(kind: u8, cursor: &mut Cursor<'_>, frame: &mut Frame) -> Result<(), Fault> {
    let mut event = |what, bytes: &[u8]| {
        frame.events.push(FrameEvent { about: "device", what, detail: Some(hex(bytes)) });
    };
    match kind {
        0x01 => event("protocol_version", cursor.take(1)?),
        0x08 => event("serial_number", cursor.take(6)?),
        0x09 => event("hardware_version", cursor.take(2)?),
        0x0A => event("firmware_version", cursor.take(2)?),
        0x0B => event("powered_on", cursor.take(1)?),
        0x0F => event("lorawan_class", cursor.take(1)?),
        0x15 => event("modbus_fault", cursor.take(1)?),
        0x16 => event("serial_number", cursor.take(8)?),
        0x1F => event("firmware_version", cursor.take(4)?),
        0x3F => event("gas_sensor_state", cursor.take(1)?),
        0xFE => event("reset", cursor.take(1)?),
        0xFF => event("tsl_version", cursor.take(2)?),
        0x2E | 0x34 => {
            // 1 short, 2 long, 3 double; or which button.
            let press = cursor.u8()?;
            frame.readings.push(FrameReading { name: "call_button", value: 1.0, at: None });
            frame.readings.push(FrameReading { name: "button_press", value: f64::from(press), at: None });
        }
        0x29 => {
            let switches = cursor.u8()?;
            let names = ["switch_1", "switch_2", "switch_3"].into_iter().zip([0, 1, 2]);
            let changes =
                ["switch_1_change", "switch_2_change", "switch_3_change"].into_iter().zip([4, 5, 6]);
            for (name, bit) in names.chain(changes) {
                frame.readings.push(FrameReading { name, value: f64::from(switches >> bit & 1), at: None });
            }
        }
        other => {
            return Err(bad_frame(format!("channel ff{other:02x} is not known")));
        }
    }
    Ok(())
}
