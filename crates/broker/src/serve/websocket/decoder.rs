//! The frames of a WebSocket's client (RFC 6455, 5.2), taken apart as their bytes come.
//!
//! Nothing is collected but a frame's head and what is in a control frame: how much of a packet may lie here is the business of
//! who reads packets, whatever frames they come in.

/// A head is at most so long: two bytes, a length of eight, a mask of four.
const HEAD_MAX: usize = 14;
/// What is in a control frame is at most so long (5.5).
const CONTROL_MAX: u8 = 125;

const LAST: u8 = 0x80;
const RESERVED: u8 = 0x70;
const KIND: u8 = 0x0F;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7F;

pub(super) const CONTINUED: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// Why a WebSocket ends (7.4).
pub(super) const NORMAL: u16 = 1_000;
const PROTOCOL_ERROR: u16 = 1_002;
/// MQTT comes in binary frames.
pub(super) const UNSUPPORTED: u16 = 1_003;
const NOT_UTF_8: u16 = 1_007;

/// What a client says beside its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    Ping(&'a [u8]),
    /// It is over, and to be answered by a close with that code; a close without one is answered without one. Nothing
    /// that comes after is looked at.
    End(Option<u16>),
}

#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// What has come of a frame's head, and its first byte until the frame's end.
    head: [u8; HEAD_MAX],
    head_len: u8,
    /// The head is whole: what is in the frame comes now.
    is_inside: bool,
    /// How much is still to come of it.
    left: u64,
    /// The next byte's mask is the first.
    mask: [u8; 4],
    /// A message of several frames has not come to its last one.
    is_continued: bool,
    is_over: bool,
    /// What has come of a control frame.
    control: Vec<u8>,
}

impl Decoder {
    /// Takes what has come. What was in binary frames then stands at the beginning of `bytes`: how much that is, is answered.
    pub(super) fn decode(&mut self, bytes: &mut [u8], mut heard: impl FnMut(Heard<'_>)) -> usize {
        let (mut at, mut kept) = (0, 0);
        while !self.is_over && at < bytes.len() {
            if self.is_inside {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let end = bytes.len().min(at.saturating_add(left));
                self.unmask(&mut bytes[at..end]);
                if self.is_control() {
                    self.control.extend_from_slice(&bytes[at..end]);
                } else {
                    bytes.copy_within(at..end, kept);
                    kept += end - at;
                }
                self.left -= (end - at) as u64;
                at = end;
            } else {
                let byte = bytes[at];
                at += 1;
                if let Err(code) = self.head(byte) {
                    self.is_over = true;
                    heard(Heard::End(Some(code)));
                }
            }
            if self.is_inside && self.left == 0 {
                self.ended(&mut heard);
            }
        }
        kept
    }

    const fn kind(&self) -> u8 {
        self.head[0] & KIND
    }

    const fn is_control(&self) -> bool {
        self.kind() >= CLOSE
    }

    /// One byte more of the head.
    fn head(&mut self, byte: u8) -> Result<(), u16> {
        let at = usize::from(self.head_len);
        self.head[at] = byte;
        self.head_len += 1;
        match at {
            0 => return self.begins(byte),
            1 if byte & MASKED == 0 => return Err(PROTOCOL_ERROR),
            1 if self.is_control() && byte & LENGTH > CONTROL_MAX => return Err(PROTOCOL_ERROR),
            _ => {}
        }
        let long = &self.head[2..];
        // Where not all of it has come, the head is not whole, either.
        let (length, digits) = match self.head[1] & LENGTH {
            126 => (u64::from(long.first_chunk().map_or(0, |own| u16::from_be_bytes(*own))), 2),
            127 => (long.first_chunk().map_or(0, |own| u64::from_be_bytes(*own)), 8),
            short => (u64::from(short), 0),
        };
        if at + 1 < 2 + digits + 4 {
            return Ok(());
        }
        let is_longer_than_needed = match digits {
            2 => length < 126,
            8 => u16::try_from(length).is_ok(),
            _ => false,
        };
        if length >> 63 != 0 || is_longer_than_needed {
            return Err(PROTOCOL_ERROR);
        }
        self.mask.copy_from_slice(&self.head[2 + digits..][..4]);
        (self.is_inside, self.left) = (true, length);
        Ok(())
    }

    /// What its first byte says: no extension was agreed, and messages do not come into each other (5.4).
    const fn begins(&self, first: u8) -> Result<(), u16> {
        let is_last = first & LAST != 0;
        match first & KIND {
            _ if first & RESERVED != 0 => Err(PROTOCOL_ERROR),
            CONTINUED if self.is_continued => Ok(()),
            BINARY if !self.is_continued => Ok(()),
            TEXT if !self.is_continued => Err(UNSUPPORTED),
            CLOSE | PING | PONG if is_last => Ok(()),
            _ => Err(PROTOCOL_ERROR),
        }
    }

    fn unmask(&mut self, bytes: &mut [u8]) {
        let mask = self.mask;
        bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte ^= mask[n % 4]);
        self.mask.rotate_left(bytes.len() % 4);
    }

    fn ended(&mut self, heard: &mut impl FnMut(Heard<'_>)) {
        (self.is_inside, self.head_len) = (false, 0);
        // Given back: most of them are silent most of the time.
        let control = std::mem::take(&mut self.control);
        match self.kind() {
            CLOSE => {
                self.is_over = true;
                heard(Heard::End(answer(&control)));
            }
            PING => heard(Heard::Ping(&control)),
            PONG => {}
            _ => self.is_continued = self.head[0] & LAST == 0,
        }
    }
}

/// With what a close is answered: its own code, if that may be said at all (7.4).
fn answer(close: &[u8]) -> Option<u16> {
    match close {
        [] => None,
        [a, b, reason @ ..] => Some(match u16::from_be_bytes([*a, *b]) {
            1_000..=1_003 | 1_007..=1_014 | 3_000..=4_999 if std::str::from_utf8(reason).is_err() => {
                NOT_UTF_8
            }
            code @ (1_000..=1_003 | 1_007..=1_014 | 3_000..=4_999) => code,
            _ => PROTOCOL_ERROR,
        }),
        _ => Some(PROTOCOL_ERROR),
    }
}

#[cfg(test)]
mod tests;
