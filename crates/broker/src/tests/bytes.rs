//! MQTT as a client writes and reads it, by hand: the broker is not judged by its own codec.

/// A packet with its length before it.
pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    variable(&mut bytes, body.len());
    bytes.extend_from_slice(body);
    bytes
}

pub(super) fn variable(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let more = number > 0x7F;
        bytes.push((number & 0x7F) as u8 | if more { 0x80 } else { 0 });
        number >>= 7;
        if !more {
            return;
        }
    }
}

pub(super) fn text(bytes: &mut Vec<u8>, own: &[u8]) {
    bytes.extend_from_slice(&(own.len() as u16).to_be_bytes());
    bytes.extend_from_slice(own);
}

/// Properties with their length before them; 3.1.1 has none.
fn properties(bytes: &mut Vec<u8>, is_5: bool, own: &[u8]) {
    if is_5 {
        variable(bytes, own.len());
        bytes.extend_from_slice(own);
    }
}

/// A CONNECT.
#[derive(Debug, Clone, Default)]
pub(super) struct Connect<'a> {
    pub(super) is_5: bool,
    pub(super) client_id: &'a str,
    pub(super) username: Option<&'a str>,
    pub(super) is_clean: bool,
    pub(super) keep_alive_s: u16,
    pub(super) expiry_s: u32,
    pub(super) receive_max: u16,
    pub(super) alias_max: u16,
    pub(super) will: Option<Will<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Will<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a str,
    pub(super) qos: u8,
    pub(super) delay_s: u32,
}

impl Connect<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut body = b"\x00\x04MQTT".to_vec();
        let will = self.will.map_or(0, |own| 0x04 | own.qos << 3);
        let user = if self.username.is_some() { 0x80 } else { 0 };
        body.extend([if self.is_5 { 5 } else { 4 }, u8::from(self.is_clean) << 1 | will | user]);
        body.extend(self.keep_alive_s.to_be_bytes());
        let mut own = vec![0x11];
        own.extend(self.expiry_s.to_be_bytes());
        own.push(0x21);
        own.extend(self.receive_max.to_be_bytes());
        own.push(0x22);
        own.extend(self.alias_max.to_be_bytes());
        properties(&mut body, self.is_5, &own);
        text(&mut body, self.client_id.as_bytes());
        if let Some(will) = self.will {
            let mut own = vec![0x18];
            own.extend(will.delay_s.to_be_bytes());
            properties(&mut body, self.is_5, &own);
            text(&mut body, will.topic.as_bytes());
            text(&mut body, will.payload.as_bytes());
        }
        self.username.into_iter().for_each(|name| text(&mut body, name.as_bytes()));
        packet(0x10, &body)
    }
}

/// A PUBLISH. Its topic is empty where the alias stands for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publish<'a> {
    pub(super) topic: &'a str,
    pub(super) alias: Option<u16>,
    pub(super) qos: u8,
    pub(super) id: u16,
    pub(super) dup: bool,
    pub(super) retain: bool,
    pub(super) expiry_s: Option<u32>,
    pub(super) payload: &'a [u8],
}

impl Publish<'_> {
    pub(super) fn bytes(&self, is_5: bool) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, self.topic.as_bytes());
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        let mut own = Vec::new();
        if let Some(expiry_s) = self.expiry_s {
            own.push(0x02);
            own.extend(expiry_s.to_be_bytes());
        }
        if let Some(alias) = self.alias {
            own.push(0x23);
            own.extend(alias.to_be_bytes());
        }
        properties(&mut body, is_5, &own);
        body.extend_from_slice(self.payload);
        packet(0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain), &body)
    }
}

pub(super) const PUBACK: u8 = 0x40;
pub(super) const PUBREC: u8 = 0x50;
pub(super) const PUBREL: u8 = 0x62;
pub(super) const PUBCOMP: u8 = 0x70;

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub(super) fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

pub(super) fn subscribe(is_5: bool, id: u16, filter: &str, options: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    properties(&mut body, is_5, &[]);
    text(&mut body, filter.as_bytes());
    body.push(options);
    packet(0x82, &body)
}

pub(super) fn unsubscribe(is_5: bool, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    properties(&mut body, is_5, &[]);
    text(&mut body, filter.as_bytes());
    packet(0xA2, &body)
}

/// What the broker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Connack {
        session_present: bool,
        code: u8,
        receive_max: u16,
        expiry_s: Option<u32>,
        alias_max: u16,
    },
    Publish {
        topic: String,
        alias: Option<u16>,
        qos: u8,
        id: u16,
        dup: bool,
        retain: bool,
        payload: Vec<u8>,
    },
    /// PUBACK, PUBREC, PUBREL or PUBCOMP, by its first byte.
    Ack(u8, u16, u8),
    Suback(u16, Vec<u8>),
    Unsuback(u16, Vec<u8>),
    Pingresp,
    Disconnect(u8),
}

/// The whole packet at the front of what has come, and its length.
pub(super) fn heard(is_5: bool, bytes: &[u8]) -> Option<(Heard, usize)> {
    let (length, width) = length(bytes.get(1..)?)?;
    let total = 1 + width + length;
    let body = bytes.get(1 + width..total)?;
    Some((read(is_5, bytes[0], Body(body)).expect("the broker writes packets that can be read"), total))
}

fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, place + 1));
        }
    }
    None
}

struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, number: usize) -> Option<&'a [u8]> {
        let (own, rest) = self.0.split_at_checked(number)?;
        self.0 = rest;
        Some(own)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|own| own[0])
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2).map(|own| u16::from_be_bytes([own[0], own[1]]))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let number = usize::from(self.short()?);
        self.take(number)
    }

    fn variable(&mut self) -> Option<usize> {
        let (number, width) = length(self.0)?;
        self.take(width)?;
        Some(number)
    }

    /// Of properties: each with its number and, where it is one, its value.
    fn properties(&mut self, is_5: bool) -> Option<Vec<(u8, u32)>> {
        let mut found = Vec::new();
        if !is_5 || self.0.is_empty() {
            return Some(found);
        }
        let number = self.variable()?;
        let mut own = Body(self.take(number)?);
        while let Some(id) = own.byte() {
            let value = match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => u32::from(own.byte()?),
                0x13 | 0x21 | 0x22 | 0x23 => u32::from(own.short()?),
                0x02 | 0x11 | 0x18 | 0x27 => u32::from_be_bytes(own.take(4)?.try_into().ok()?),
                0x0B => own.variable()? as u32,
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => own.text()?.len() as u32,
                0x26 => (own.text()?.len() + own.text()?.len()) as u32,
                _ => return None,
            };
            found.push((id, value));
        }
        Some(found)
    }
}

fn read(is_5: bool, first: u8, mut body: Body<'_>) -> Option<Heard> {
    let value = |own: &[(u8, u32)], id: u8| own.iter().find(|(own, _)| *own == id).map(|(_, value)| *value);
    Some(match first & 0xF0 {
        0x20 => {
            let (flags, code) = (body.byte()?, body.byte()?);
            let own = body.properties(is_5)?;
            Heard::Connack {
                session_present: flags == 1,
                code,
                receive_max: value(&own, 0x21).map_or(u16::MAX, |own| own as u16),
                expiry_s: value(&own, 0x11),
                alias_max: value(&own, 0x22).unwrap_or(0) as u16,
            }
        }
        0x30 => {
            let (qos, topic) = (first >> 1 & 3, body.text()?);
            let id = if qos > 0 { body.short()? } else { 0 };
            let own = body.properties(is_5)?;
            Heard::Publish {
                topic: String::from_utf8(topic.to_vec()).ok()?,
                alias: value(&own, 0x23).map(|own| own as u16),
                qos,
                id,
                dup: first & 8 > 0,
                retain: first & 1 > 0,
                payload: body.0.to_vec(),
            }
        }
        0x40 | 0x50 | 0x60 | 0x70 => Heard::Ack(first, body.short()?, body.byte().unwrap_or(0)),
        0x90 | 0xB0 => {
            let id = body.short()?;
            body.properties(is_5)?;
            let codes = body.0.to_vec();
            if first == 0x90 { Heard::Suback(id, codes) } else { Heard::Unsuback(id, codes) }
        }
        0xD0 => Heard::Pingresp,
        0xE0 if is_5 => Heard::Disconnect(body.byte().unwrap_or(0)),
        _ => return None,
    })
}
