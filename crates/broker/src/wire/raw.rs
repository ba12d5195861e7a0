//! What is looked at in the bytes of a packet before they are decoded: the codec does not check it, or makes much of little.

use crate::limit::Limit;
use crate::packet::Version;
use crate::reason::Reason;

use super::{Fault, WireLimits};

pub(super) const CONNECT: u8 = 1;
pub(super) const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;
const AUTH: u8 = 15;

/// Where a packet begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) first: u8,
    /// Bytes of the header itself.
    pub(super) len: usize,
    /// Bytes of the whole packet.
    pub(super) total: usize,
}

impl Header {
    /// `None`: more bytes are needed.
    pub(super) fn read(input: &[u8]) -> Result<Option<Self>, Fault> {
        let Some((first, rest)) = input.split_first() else { return Ok(None) };
        let mut reader = Reader(rest);
        let Some(body) = reader.variable() else {
            // Four bytes are all that a length has (1.5.5).
            return if rest.len() < 4 { Ok(None) } else { Err(Fault::MALFORMED) };
        };
        let len = input.len() - reader.0.len();
        Ok(Some(Self { first: *first, len, total: len + body as usize }))
    }

    pub(super) const fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// Whether the packet may be as large as it says.
    pub(super) fn check(&self, limits: &WireLimits) -> Result<(), Fault> {
        let (limit, max) = match self.kind() {
            CONNECT => (Limit::ConnectBytes, limits.connect_bytes),
            PUBLISH => (Limit::PacketBytes, limits.packet_bytes),
            _ => (Limit::ControlBytes, limits.control_bytes.min(limits.packet_bytes)),
        };
        if self.total > max { Err(Fault::limit(Reason::PacketTooLarge, limit)) } else { Ok(()) }
    }
}

/// Of a protocol's name, `MQIsdp`.
const NAME_MAX: usize = 6;

/// What the level byte of a CONNECT says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// `None`: one that we do not know.
    pub(super) version: Option<Version>,
    pub(super) is_bridge: bool,
    /// Where it stands in the body.
    pub(super) at: usize,
    pub(super) number: u8,
}

impl Level {
    /// The same of a body that has not come whole. `None`: more bytes are needed, and never more than a few.
    pub(super) fn of_begun(body: &[u8]) -> Result<Option<Self>, Fault> {
        let Some(length) = body.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length))) else {
            return Ok(None);
        };
        if length > NAME_MAX {
            return Err(Fault::SILENT);
        }
        if body.len() < 2 + length + 1 { Ok(None) } else { Self::read(body).map(Some) }
    }

    pub(super) fn read(body: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader(body);
        let name = reader.text().ok_or(Fault::SILENT)?;
        let at = body.len() - reader.0.len();
        let level = reader.byte().ok_or(Fault::SILENT)?;
        let version = match (name, level & 0x7F) {
            (b"MQIsdp", 3) => Some(Version::V31),
            (b"MQTT", 4) => Some(Version::V311),
            (b"MQTT", 5) => Some(Version::V5),
            (b"MQTT" | b"MQIsdp", _) => None,
            _ => return Err(Fault::SILENT),
        };
        Ok(Self { version, is_bridge: level & 0x80 != 0, at, number: level & 0x7F })
    }
}

/// Looks through a whole packet.
pub(super) fn inspect(
    version: Version,
    header: Header,
    body: &[u8],
    limits: &WireLimits,
) -> Result<(), Fault> {
    let reader = Reader(body);
    // Where the bytes end too soon, the codec says so.
    let looked = match (version, header.kind()) {
        (_, CONNECT) => connect(version, reader, limits),
        (_, PINGREQ) if !body.is_empty() => Err(Stop::Fault(Fault::MALFORMED)),
        (Version::V5, PUBLISH) => publish(header.first, reader, limits),
        (_, PUBLISH) => head_of_publish(header.first, &mut Reader(body)),
        (Version::V5, 4..=7) => acknowledgement(reader, limits),
        (Version::V5, SUBSCRIBE) => subscribe(reader, limits),
        (Version::V5, UNSUBSCRIBE) => unsubscribe(reader, limits),
        (Version::V5, DISCONNECT) => with_reason(reader, DISCONNECT_PROPERTIES, limits),
        (Version::V5, AUTH) => with_reason(reader, AUTH_PROPERTIES, limits),
        (_, DISCONNECT) if !body.is_empty() => Err(Stop::Fault(Fault::MALFORMED)),
        (_, SUBSCRIBE) => requested_qos(reader),
        // What only a server sends (3.1.1 and 5.0, 2.1.2).
        (_, 2 | 9 | 11 | 13) => Err(Stop::Fault(Fault::PROTOCOL)),
        _ => Ok(()),
    };
    match looked {
        Err(Stop::Fault(fault)) => Err(fault),
        Ok(()) | Err(Stop::TooShort) => Ok(()),
    }
}

enum Stop {
    TooShort,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

type Looked = Result<(), Stop>;

const WILL_FLAG: u8 = 0b0000_0100;
const WILL_DETAILS: u8 = 0b0011_1000;
const USERNAME: u8 = 0b1000_0000;
const PASSWORD: u8 = 0b0100_0000;

fn connect(version: Version, mut reader: Reader<'_>, limits: &WireLimits) -> Looked {
    let is_5 = version == Version::V5;
    reader.text().ok_or(Stop::TooShort)?;
    reader.byte().ok_or(Stop::TooShort)?;
    let flags = reader.byte().ok_or(Stop::TooShort)?;
    if flags & WILL_FLAG == 0 && flags & WILL_DETAILS != 0 {
        return Err(Fault::MALFORMED.into());
    }
    // A password alone is legal in 5.0 only (3.1.1: 3.1.2-22).
    if !is_5 && flags & (USERNAME | PASSWORD) == PASSWORD {
        return Err(Fault::MALFORMED.into());
    }
    reader.take(2).ok_or(Stop::TooShort)?;
    if is_5 {
        properties(&mut reader, CONNECT_PROPERTIES, limits)?;
    }
    string(&mut reader)?;
    if flags & WILL_FLAG != 0 {
        if is_5 {
            properties(&mut reader, WILL_PROPERTIES, limits)?;
        }
        string(&mut reader)?;
        reader.text().ok_or(Stop::TooShort)?;
    }
    if flags & USERNAME != 0 {
        string(&mut reader)?;
    }
    if flags & PASSWORD != 0 {
        reader.text().ok_or(Stop::TooShort)?;
    }
    if reader.0.is_empty() { Ok(()) } else { Err(Fault::MALFORMED.into()) }
}

/// What all versions have: DUP belongs to QoS 1 and 2 (3.3.1-2), and a topic is a string.
fn head_of_publish(first: u8, reader: &mut Reader<'_>) -> Looked {
    if first & 0b1110 == 0b1000 {
        return Err(Fault::MALFORMED.into());
    }
    string(reader)
}

fn publish(first: u8, mut reader: Reader<'_>, limits: &WireLimits) -> Looked {
    head_of_publish(first, &mut reader)?;
    if first & 0b0110 != 0 {
        reader.take(2).ok_or(Stop::TooShort)?;
    }
    let bytes = Reader(reader.0).variable().ok_or(Stop::TooShort)?;
    if bytes as usize > limits.property_bytes {
        return Err(Fault::limit(Reason::PacketTooLarge, Limit::PropertyBytes).into());
    }
    // User properties are counted where the message can be refused alone.
    let limits = WireLimits { user_properties: usize::MAX, user_property_bytes: usize::MAX, ..*limits };
    properties(&mut reader, PUBLISH_PROPERTIES, &limits)
}

/// Packet id, and then a reason and properties if there is more.
fn acknowledgement(mut reader: Reader<'_>, limits: &WireLimits) -> Looked {
    reader.take(2).ok_or(Stop::TooShort)?;
    with_reason(reader, ACK_PROPERTIES, limits)
}

fn with_reason(mut reader: Reader<'_>, allowed: &[u8], limits: &WireLimits) -> Looked {
    reader.byte().ok_or(Stop::TooShort)?;
    properties(&mut reader, allowed, limits)
}

fn subscribe(mut reader: Reader<'_>, limits: &WireLimits) -> Looked {
    reader.take(2).ok_or(Stop::TooShort)?;
    properties(&mut reader, SUBSCRIBE_PROPERTIES, limits)?;
    if reader.0.is_empty() {
        return Err(Fault::PROTOCOL.into());
    }
    while !reader.0.is_empty() {
        reader.text().ok_or(Stop::TooShort)?;
        let options = reader.byte().ok_or(Stop::TooShort)?;
        if options & 0b1100_0000 != 0 || options & 0b11 == 0b11 {
            return Err(Fault::MALFORMED.into());
        }
        // Retain handling 3 (3.8.3.1).
        if options & 0b0011_0000 == 0b0011_0000 {
            return Err(Fault::PROTOCOL.into());
        }
    }
    Ok(())
}

fn unsubscribe(mut reader: Reader<'_>, limits: &WireLimits) -> Looked {
    reader.take(2).ok_or(Stop::TooShort)?;
    properties(&mut reader, USER_ONLY, limits)?;
    if reader.0.is_empty() { Err(Fault::PROTOCOL.into()) } else { Ok(()) }
}

/// 3.1.1: the upper six bits beside a filter are reserved (3-8.3-4).
fn requested_qos(mut reader: Reader<'_>) -> Looked {
    reader.take(2).ok_or(Stop::TooShort)?;
    while !reader.0.is_empty() {
        reader.text().ok_or(Stop::TooShort)?;
        if reader.byte().ok_or(Stop::TooShort)? > 2 {
            return Err(Fault::MALFORMED.into());
        }
    }
    Ok(())
}

/// A string without U+0000 (1.5.4-2). Whether it is UTF-8 is the codec's question.
fn string(reader: &mut Reader<'_>) -> Looked {
    let text = reader.text().ok_or(Stop::TooShort)?;
    if text.contains(&0) { Err(Fault::MALFORMED.into()) } else { Ok(()) }
}

const CONNECT_PROPERTIES: &[u8] = &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27];
const WILL_PROPERTIES: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26];
/// Without a subscription's identifier, which only the broker says (3.3.4-6).
const PUBLISH_PROPERTIES: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26];
const ACK_PROPERTIES: &[u8] = &[0x1F, USER];
const SUBSCRIBE_PROPERTIES: &[u8] = &[0x0B, USER];
const USER_ONLY: &[u8] = &[USER];
const DISCONNECT_PROPERTIES: &[u8] = &[0x11, 0x1F, USER];
const AUTH_PROPERTIES: &[u8] = &[0x15, 0x16, 0x1F, USER];
const USER: u8 = 0x26;

/// Walks through properties (5.0, 2.2.2): each that the packet may have, once, with a value that it may have.
fn properties(reader: &mut Reader<'_>, allowed: &[u8], limits: &WireLimits) -> Looked {
    let len = reader.variable().ok_or(Stop::TooShort)?;
    let mut own = Reader(reader.take(len as usize).ok_or(Stop::TooShort)?);
    let (mut seen, mut users, mut user_bytes) = (0_u64, 0, 0);
    while let Some(id) = own.byte() {
        if !allowed.contains(&id) {
            return Err(Fault::PROTOCOL.into());
        }
        if id == USER {
            let before = own.0.len();
            string(&mut own)?;
            string(&mut own)?;
            (users, user_bytes) = (users + 1, user_bytes + before - own.0.len());
            if users > limits.user_properties || user_bytes > limits.user_property_bytes {
                return Err(Fault::limit(Reason::QuotaExceeded, Limit::UserProperties).into());
            }
            continue;
        }
        if seen & (1 << id) != 0 {
            return Err(Fault::PROTOCOL.into());
        }
        seen |= 1 << id;
        value(id, &mut own)?;
    }
    // Authentication data is there with a method only (3.1.2.11.10).
    if seen & (1 << 0x15 | 1 << 0x16) == 1 << 0x16 { Err(Fault::PROTOCOL.into()) } else { Ok(()) }
}

fn value(id: u8, own: &mut Reader<'_>) -> Looked {
    let is_sound = match id {
        // Yes or no.
        0x01 | 0x17 | 0x19 => own.byte().ok_or(Stop::TooShort)? <= 1,
        // An alias that is none has a reason of its own (3.3.2-8).
        0x23 if own.number(2).ok_or(Stop::TooShort)? == 0 => {
            return Err(Fault::new(Reason::TopicAliasInvalid).into());
        }
        0x23 => true,
        // Receive maximum, packet size: zero is none.
        0x21 => own.number(2).ok_or(Stop::TooShort)? > 0,
        0x27 => own.number(4).ok_or(Stop::TooShort)? > 0,
        0x22 => own.number(2).is_some(),
        0x02 | 0x11 | 0x18 => own.number(4).is_some(),
        0x0B => own.variable().ok_or(Stop::TooShort)? > 0,
        0x09 | 0x16 => own.text().is_some(),
        _ => {
            string(own)?;
            true
        }
    };
    if is_sound { Ok(()) } else { Err(Fault::PROTOCOL.into()) }
}

/// Reads from the front; `None`: there is not enough.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self, len: usize) -> Option<u32> {
        self.take(len).map(|bytes| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Two bytes of length and what they count: a string, or binary data.
    fn text(&mut self) -> Option<&'b [u8]> {
        let len = self.number(2)?;
        self.take(len as usize)
    }

    /// A number in one to four bytes (1.5.5).
    fn variable(&mut self) -> Option<u32> {
        let mut number = 0;
        for place in 0..4 {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
