//! Packing numbers into few bytes, and telling damaged bytes from sound ones.
//!
//! ```text
//! varint  = 7 bits a byte, low ones first
//! value   = zigzag(value * 1000) << 1      where that is exact and small (sensors send 83, 21.5, 3.61)
//!         | 1, f64 LE                      else
//! span    = seconds << 1                   where the milliseconds are whole seconds
//!         | milliseconds << 1 | 1          else
//! sealed  = CRC-32 of the rest u32 LE, the rest
//! ```

use crate::error::{Result, StoreError};

/// Thousandths up to here are exact as integers and fit their varint into seven bytes.
const MILLIS_MAX: f64 = 1e12;
const CHECKSUM_BYTES: usize = 4;

/// Puts the checksum before the bytes.
pub(crate) fn seal(body: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(CHECKSUM_BYTES + body.len());
    blob.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    blob.extend_from_slice(body);
    blob
}

/// The bytes behind their checksum, if it is theirs. `what` names them in the error.
pub(crate) fn unseal<'a>(blob: &'a [u8], what: &'static str) -> Result<&'a [u8]> {
    let damaged = |detail: &str| StoreError::Damaged { what, detail: detail.to_owned() };
    let (checksum, body) = blob.split_first_chunk().ok_or_else(|| damaged("shorter than its checksum"))?;
    if u32::from_le_bytes(*checksum) == crc32fast::hash(body) {
        return Ok(body);
    }
    Err(damaged("its checksum does not match: bytes have changed on the disk"))
}

pub(crate) fn value(out: &mut Vec<u8>, value: f64) {
    let millis = (value * 1000.0).round();
    // Bits, not `==`: minus zero must come back as minus zero.
    if millis.abs() < MILLIS_MAX && (millis as i64 as f64 / 1000.0).to_bits() == value.to_bits() {
        varint(out, zigzag(millis as i64) << 1);
    } else {
        out.push(1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// A stretch of time that is not negative.
pub(crate) fn span(out: &mut Vec<u8>, ms: i64) {
    let ms = ms as u64;
    varint(out, if ms.is_multiple_of(1_000) { (ms / 1_000) << 1 } else { ms << 1 | 1 });
}

pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn zigzag(number: i64) -> u64 {
    (number.wrapping_shl(1) ^ (number >> 63)) as u64
}

pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Reads packed bytes from the front. Errors name what is read, and the byte at which it stops making sense.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    place: usize,
    what: &'static str,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, place: 0, what }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.place >= self.bytes.len()
    }

    pub(crate) fn damaged(&self, detail: &str) -> StoreError {
        StoreError::Damaged { what: self.what, detail: format!("{detail} at byte {}", self.place) }
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.place).ok_or_else(|| self.damaged("the end"))?;
        self.place += 1;
        Ok(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes.get(self.place..).and_then(|rest| rest.first_chunk());
        let bytes = *bytes.ok_or_else(|| self.damaged("the end"))?;
        self.place += N;
        Ok(bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged("a number without end"))
    }

    pub(crate) fn span_ms(&mut self) -> Result<i64> {
        let number = self.varint()?;
        let ms = if number & 1 == 0 { (number >> 1).saturating_mul(1_000) } else { number >> 1 };
        i64::try_from(ms).map_err(|_| self.damaged("a stretch of time"))
    }

    pub(crate) fn value(&mut self) -> Result<f64> {
        if self.bytes.get(self.place) == Some(&1) {
            self.place += 1;
            return Ok(f64::from_le_bytes(self.array()?));
        }
        Ok(unzigzag(self.varint()? >> 1) as f64 / 1000.0)
    }
}
