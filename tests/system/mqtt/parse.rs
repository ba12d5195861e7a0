//! What came, taken apart.

use super::bytes::{
    ALIAS, FORMAT, MESSAGE_EXPIRY, PACKET_MAX, PUBLISH, SERVER_KEEP_ALIVE, SESSION_EXPIRY, SUBSCRIPTION_ID,
    USER, number,
};

pub(super) type Properties = Vec<(u8, Vec<u8>)>;

/// Cuts the front off; panics where there is less.
pub(super) fn cut<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (front, back) = rest.split_at_checked(length).expect("a packet that is whole");
    *rest = back;
    front
}

pub(super) fn cut_u16(rest: &mut &[u8]) -> u16 {
    u16::from_be_bytes(cut(rest, 2).try_into().expect("two bytes"))
}

fn cut_text<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = cut_u16(rest);
    cut(rest, usize::from(length))
}

pub(super) fn cut_number(rest: &mut &[u8]) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = cut(rest, 1)[0];
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            // As few bytes as needed (1.5.5-1).
            assert!(byte != 0 || shift == 7, "a length is longer than it need be");
            return value;
        }
    }
}

/// Properties by their names; a value is as it stands, texts without their length.
pub(super) fn properties(rest: &mut &[u8]) -> Properties {
    let length = cut_number(rest);
    let mut own = cut(rest, length);
    let mut all = Vec::new();
    while !own.is_empty() {
        let name = cut(&mut own, 1)[0];
        let value = match name {
            FORMAT | 0x24 | 0x25 | 0x28..=0x2a => cut(&mut own, 1).to_vec(),
            SERVER_KEEP_ALIVE | 0x21 | 0x22 | ALIAS => cut(&mut own, 2).to_vec(),
            MESSAGE_EXPIRY | SESSION_EXPIRY | PACKET_MAX => cut(&mut own, 4).to_vec(),
            SUBSCRIPTION_ID => number(cut_number(&mut own)),
            USER => [cut_text(&mut own), b"=", cut_text(&mut own)].concat(),
            0x03 | 0x08 | 0x09 | 0x12 | 0x16 | 0x1a | 0x1c | 0x1f => cut_text(&mut own).to_vec(),
            name => panic!("no property of a server: {name:#x}"),
        };
        all.push((name, value));
    }
    all
}

/// A packet that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) first: u8,
    pub(super) body: Vec<u8>,
}

/// A PUBLISH that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) dup: bool,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) topic: String,
    pub(super) id: Option<u16>,
    pub(super) properties: Properties,
    pub(super) payload: String,
    /// Of the whole packet.
    pub(super) size: usize,
}

impl Message {
    pub(super) fn of(packet: &Packet, version: u8) -> Self {
        let size = packet.body.len() + 1 + number(packet.body.len()).len();
        let first = packet.first;
        assert_eq!(first & 0xf0, PUBLISH, "{packet:x?}");
        let (dup, qos, retain) = (first & 8 != 0, first >> 1 & 3, first & 1 != 0);
        let mut rest = &packet.body[..];
        let topic = String::from_utf8(cut_text(&mut rest).to_vec()).unwrap();
        let id = (qos > 0).then(|| cut_u16(&mut rest));
        assert_ne!(id, Some(0));
        assert!(qos > 0 || !dup, "DUP with QoS 0");
        let properties = if version == 5 { properties(&mut rest) } else { Vec::new() };
        let payload = String::from_utf8_lossy(rest).into_owned();
        Self { dup, qos, retain, topic, id, properties, payload, size }
    }

    pub(super) fn property(&self, name: u8) -> Option<&[u8]> {
        property_of(&self.properties, name)
    }

    pub(super) fn all(&self, name: u8) -> Vec<&[u8]> {
        self.properties.iter().filter(|(own, _)| *own == name).map(|(_, value)| &value[..]).collect()
    }

    /// What is asked for most: payload, QoS, retain.
    pub(super) fn brief(&self) -> (&str, u8, bool) {
        (&self.payload, self.qos, self.retain)
    }
}

pub(super) fn property_of(properties: &Properties, name: u8) -> Option<&[u8]> {
    properties.iter().find(|(own, _)| *own == name).map(|(_, value)| &value[..])
}

/// What a CONNACK says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connack {
    pub(super) is_present: bool,
    pub(super) code: u8,
    pub(super) properties: Properties,
}
