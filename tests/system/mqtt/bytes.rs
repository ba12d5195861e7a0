//! Packets as bytes, written by hand from the standards: the product's codec is judged by something else.

pub(super) const CONNECT: u8 = 0x10;
pub(super) const CONNACK: u8 = 0x20;
pub(super) const PUBLISH: u8 = 0x30;
pub(super) const PUBACK: u8 = 0x40;
pub(super) const PUBREC: u8 = 0x50;
pub(super) const PUBREL: u8 = 0x62;
pub(super) const PUBCOMP: u8 = 0x70;
pub(super) const SUBSCRIBE: u8 = 0x82;
pub(super) const SUBACK: u8 = 0x90;
pub(super) const UNSUBSCRIBE: u8 = 0xa2;
pub(super) const UNSUBACK: u8 = 0xb0;
pub(super) const PINGREQ: &[u8] = &[0xc0, 0];
pub(super) const PINGRESP: u8 = 0xd0;
pub(super) const DISCONNECT: u8 = 0xe0;
pub(super) const AUTH: u8 = 0xf0;

pub(super) const FORMAT: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION: u8 = 0x09;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0b;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_ID: u8 = 0x12;
pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(super) const AUTH_METHOD: u8 = 0x15;
pub(super) const PROBLEM_INFORMATION: u8 = 0x17;
pub(super) const WILL_DELAY: u8 = 0x18;
pub(super) const RESPONSE_INFORMATION: u8 = 0x19;
pub(super) const RECEIVE_MAX: u8 = 0x21;
pub(super) const ALIAS_MAX: u8 = 0x22;
pub(super) const ALIAS: u8 = 0x23;
pub(super) const USER: u8 = 0x26;
pub(super) const PACKET_MAX: u8 = 0x27;

/// A variable byte integer, in as few bytes as it needs.
pub(super) fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = value > 127;
        bytes.push((value % 128) as u8 | if more { 0x80 } else { 0 });
        value /= 128;
        if !more {
            return bytes;
        }
    }
}

/// Bytes after their length in two.
pub(super) fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// Bytes after their length.
pub(super) fn counted(bytes: &[u8]) -> Vec<u8> {
    [&number(bytes.len()), bytes].concat()
}

pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first], &counted(body)[..]].concat()
}

pub(super) fn property(name: u8, value: impl AsRef<[u8]>) -> Vec<u8> {
    [&[name], value.as_ref()].concat()
}

pub(super) fn u16_property(name: u8, value: u16) -> Vec<u8> {
    property(name, value.to_be_bytes())
}

pub(super) fn u32_property(name: u8, value: u32) -> Vec<u8> {
    property(name, value.to_be_bytes())
}

pub(super) fn text_property(name: u8, value: &str) -> Vec<u8> {
    property(name, text(value))
}

pub(super) fn user(name: &str, value: &str) -> Vec<u8> {
    property(USER, [text(name), text(value)].concat())
}

/// An answer with a packet id. 3.1.1 has no more; 5.0 may leave out the reason 0.
pub(super) fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

pub(super) fn ack_with(first: u8, id: u16, reason: u8) -> Vec<u8> {
    packet(first, &[&id.to_be_bytes()[..], &[reason]].concat())
}

/// A CONNECT.
#[derive(Clone)]
pub(super) struct Connect {
    pub(super) version: u8,
    pub(super) name: &'static str,
    pub(super) level: u8,
    pub(super) flags: u8,
    pub(super) keep_alive: u16,
    pub(super) properties: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

pub(super) const CLEAN: u8 = 0x02;
pub(super) const WILL: u8 = 0x04;

/// A client that starts clean.
pub(super) fn connect(version: u8, id: &str) -> Connect {
    Connect {
        version,
        name: if version == 3 { "MQIsdp" } else { "MQTT" },
        level: version,
        flags: CLEAN,
        keep_alive: 60,
        properties: Vec::new(),
        payload: text(id),
    }
}

pub(super) fn v5(id: &str) -> Connect {
    connect(5, id)
}

pub(super) fn v4(id: &str) -> Connect {
    connect(4, id)
}

impl Connect {
    /// It asks for the session that it had; 5.0: for so long.
    pub(super) fn kept(mut self, expiry_s: u32) -> Self {
        self.flags &= !CLEAN;
        if self.version == 5 { self.with(u32_property(SESSION_EXPIRY, expiry_s)) } else { self }
    }

    /// A new session that is to be kept (5.0).
    pub(super) fn anew(self, expiry_s: u32) -> Self {
        let mut own = self.kept(expiry_s);
        own.flags |= CLEAN;
        own
    }

    pub(super) fn with(mut self, property: Vec<u8>) -> Self {
        self.properties.extend(property);
        self
    }

    pub(super) const fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    pub(super) fn will(self, topic: &str, payload: &str) -> Self {
        self.will_with(0, &[], topic, payload)
    }

    /// `flags`: its QoS and retain as they stand in the packet.
    pub(super) fn will_with(mut self, flags: u8, properties: &[u8], topic: &str, payload: &str) -> Self {
        self.flags |= WILL | flags;
        if self.version == 5 {
            self.payload.extend(counted(properties));
        }
        self.payload.extend([text(topic), text(payload)].concat());
        self
    }

    pub(super) fn account(mut self, name: &str, password: &str) -> Self {
        self.flags |= 0xc0;
        self.payload.extend([text(name), text(password)].concat());
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut body = [text(self.name), vec![self.level, self.flags]].concat();
        body.extend(self.keep_alive.to_be_bytes());
        if self.version == 5 {
            body.extend(counted(&self.properties));
        }
        body.extend(&self.payload);
        packet(CONNECT, &body)
    }
}

pub(super) fn disconnect_with(reason: u8, properties: &[u8]) -> Vec<u8> {
    packet(DISCONNECT, &[vec![reason], counted(properties)].concat())
}

pub(super) const LEAVE: &[u8] = &[DISCONNECT, 0];
