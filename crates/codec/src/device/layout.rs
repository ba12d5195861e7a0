//! Layouts that are tables: fields one behind the other.

use sanimon_domain::{Fault, FaultCode, TimestampMs};

use super::{Frame, FrameEvent, FrameReading};

/// How a number stands in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    U8,
    I8,
    U16,
    I16,
    /// Tenths of a degree: two's complement down to -100 °C; what is below is not, and vendors' converters read the bits
    /// as they are.
    Tenths16,
    U24,
    U32,
    I32,
}

impl Number {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::Tenths16 => 2,
            Self::U24 => 3,
            Self::U32 | Self::I32 => 4,
        }
    }

    /// The number that the bits mean.
    fn whole(self, raw: u32) -> f64 {
        match self {
            Self::I32 => f64::from(raw as i32),
            Self::I8 => f64::from(raw as u8 as i8),
            Self::I16 => f64::from(raw as u16 as i16),
            Self::Tenths16 if (raw as u16 as i16) >= -1_000 => f64::from(raw as u16 as i16),
            Self::U8 | Self::U16 | Self::U24 | Self::U32 | Self::Tenths16 => f64::from(raw),
        }
    }
}

/// A raw value that is none.
pub(super) type Sentinel = (u32, &'static str);

/// A part of an element.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// A value: raw number divided by `per`.
    Value { name: &'static str, number: Number, per: f64, sentinels: &'static [Sentinel] },
    /// A bit of the byte that comes next; the byte is passed by [`Field::Skip`].
    Bit { name: &'static str, bit: u8 },
    /// Some bits of 8.
    MaskedByte { name: &'static str, mask: u8, per: f64, plus: f64 },
    /// Some bits of 16.
    Masked { name: &'static str, mask: u16, per: f64 },
    /// The same where 0 means yes.
    NotBit { name: &'static str, bit: u8 },
    /// 15 bits of two's complement above a flag.
    Above { name: &'static str, per: f64 },
    /// `(raw + offset) * scale`.
    Linear { name: &'static str, number: Number, offset: f64, scale: f64 },
    /// IEEE 754 in four bytes; what is no number is an event.
    Float { name: &'static str },
    /// A text of this many bytes, told as an event; what stands behind its end is padding.
    Text { about: &'static str, bytes: usize },
    /// Bytes that say nothing to us.
    Skip(usize),
    /// A number that stands for a state: 0 says nothing, others are events.
    State { about: &'static str, states: &'static [(u8, &'static str)] },
}

pub(super) const fn value(name: &'static str, number: Number, per: f64) -> Field {
    Field::Value { name, number, per, sentinels: &[] }
}

impl Field {
    pub(super) const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Value { name, .. }
            | Self::Bit { name, .. }
            | Self::NotBit { name, .. }
            | Self::Masked { name, .. }
            | Self::MaskedByte { name, .. }
            | Self::Linear { name, .. }
            | Self::Float { name }
            | Self::Above { name, .. } => Some(name),
            Self::Skip(_) | Self::State { .. } | Self::Text { .. } => None,
        }
    }
}

/// Bytes being read.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    place: usize,
    is_big_endian: bool,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0, is_big_endian: false }
    }

    pub(super) const fn big_endian(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0, is_big_endian: true }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.place >= self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let taken = self.bytes.get(self.place..self.place.saturating_add(count));
        let taken = taken.ok_or_else(|| {
            Fault::new(
                FaultCode::BadFrame,
                format!(
                    "the frame of {} bytes ends in the middle of a value at byte {}",
                    self.bytes.len(),
                    self.place
                ),
            )
        })?;
        self.place += count;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16_be(&mut self) -> Result<u16, Fault> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn f32_le(&mut self) -> Result<f32, Fault> {
        let bytes = self.take(4)?;
        Ok(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn peek(&self) -> Result<u8, Fault> {
        let byte = self.bytes.get(self.place).copied();
        byte.ok_or_else(|| Fault::new(FaultCode::BadFrame, "the frame ends before its flags"))
    }

    /// The bits of a number.
    fn raw(&mut self, number: Number) -> Result<u32, Fault> {
        let bytes = self.take(number.bytes())?;
        let next = |raw: u32, byte: &u8| raw << 8 | u32::from(*byte);
        Ok(if self.is_big_endian { bytes.iter().fold(0, next) } else { bytes.iter().rev().fold(0, next) })
    }

    /// Reads fields into the frame.
    pub(super) fn fields(
        &mut self,
        fields: &[Field],
        at: Option<TimestampMs>,
        frame: &mut Frame,
    ) -> Result<(), Fault> {
        for field in fields {
            self.field(field, at, frame)?;
        }
        Ok(())
    }

    #[inline]
    fn field(&mut self, field: &Field, at: Option<TimestampMs>, frame: &mut Frame) -> Result<(), Fault> {
        let (name, value) = match *field {
            Field::Skip(_) | Field::Text { .. } | Field::State { .. } => return self.untold(field, frame),
            Field::Bit { name, bit } => (name, f64::from(self.peek()? >> bit & 1)),
            Field::NotBit { name, bit } => (name, f64::from(!self.peek()? >> bit & 1)),
            Field::MaskedByte { name, mask, per, plus } => (name, f64::from(self.u8()? & mask) / per + plus),
            Field::Masked { name, mask, per } => {
                (name, f64::from(self.raw(Number::U16)? as u16 & mask) / per)
            }
            Field::Above { name, per } => {
                let raw = self.raw(Number::I16)? as u16 as i16;
                (name, f64::from(raw >> 1) / per)
            }
            Field::Linear { name, number, offset, scale } => {
                (name, (number.whole(self.raw(number)?) + offset) * scale)
            }
            Field::Float { name } => {
                let value = f64::from(f32::from_bits(self.raw(Number::U32)?));
                if !value.is_finite() {
                    frame.events.push(FrameEvent { about: name, what: "not_a_number", detail: None });
                    return Ok(());
                }
                (name, value)
            }
            Field::Value { name, number, per, sentinels } => {
                let raw = self.raw(number)?;
                if let Some((_, what)) = sentinels.iter().find(|(known, _)| *known == raw) {
                    frame.events.push(FrameEvent { about: name, what, detail: None });
                    return Ok(());
                }
                (name, number.whole(raw) / per)
            }
        };
        frame.readings.push(FrameReading { name, value, at });
        Ok(())
    }

    /// Fields that are no reading.
    fn untold(&mut self, field: &Field, frame: &mut Frame) -> Result<(), Fault> {
        match *field {
            Field::State { about, states } => {
                let raw = self.u8()?;
                if let Some((_, what)) = states.iter().find(|(known, _)| *known == raw) {
                    frame.events.push(FrameEvent { about, what, detail: None });
                }
            }
            Field::Text { about, bytes } => {
                let text = self.take(bytes)?;
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                let detail = Some(String::from_utf8_lossy(&text[..end]).trim_end().to_owned());
                frame.events.push(FrameEvent { about, what: "text", detail });
            }
            Field::Skip(count) => {
                self.take(count)?;
            }
            _ => {}
        }
        Ok(())
    }
}
