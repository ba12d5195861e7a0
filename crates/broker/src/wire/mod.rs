//! Bytes to packets and back. The codec is `rmqtt-codec`; nothing outside this folder knows it.
//!
//! A packet is cut out as a whole, looked through for what the codec does not check ([`raw`]), decoded, and given in types of
//! ours. Bytes of an unfinished packet stay where they are: nothing is reserved for what has not come.

mod from_client;
mod raw;
mod to_client;

use bytes::BytesMut;

use crate::limit::Limit;
use crate::packet::{FromClient, Properties, ToClient, Version};
use crate::reason::Reason;

use raw::{Header, Level};

/// How large packets may be, and what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// A CONNECT. It comes from somebody unknown.
    pub connect_bytes: usize,
    /// A PUBLISH; told to 5.0 clients.
    pub packet_bytes: usize,
    /// Every other packet: of many small parts much memory would be made.
    pub control_bytes: usize,
    /// The properties of a PUBLISH.
    pub property_bytes: usize,
    /// User properties of a packet.
    pub user_properties: usize,
    /// Their bytes.
    pub user_property_bytes: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            connect_bytes: 16 * 1024,
            packet_bytes: 2 * 1024 * 1024,
            control_bytes: 64 * 1024,
            property_bytes: 8 * 1024,
            user_properties: 16,
            user_property_bytes: 4 * 1024,
        }
    }
}

/// What is wrong with a packet: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    pub limit: Option<Limit>,
    /// It is not MQTT, or nobody knows which: nothing is answered.
    pub is_silent: bool,
}

impl Fault {
    const MALFORMED: Self = Self::new(Reason::MalformedPacket);
    const PROTOCOL: Self = Self::new(Reason::ProtocolError);
    const SILENT: Self = Self { is_silent: true, ..Self::PROTOCOL };

    const fn new(reason: Reason) -> Self {
        Self { reason, limit: None, is_silent: false }
    }

    const fn limit(reason: Reason, limit: Limit) -> Self {
        Self { reason, limit: Some(limit), is_silent: false }
    }
}

/// A packet is larger than the client takes: it cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// One connection's way of speaking, which its CONNECT decides.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    limits: WireLimits,
    /// `None`: no CONNECT has come.
    version: Option<Version>,
    /// What the client takes at most (5.0).
    packet_bytes_max: usize,
    wants_problem_information: bool,
}

impl Wire {
    pub const fn new(limits: WireLimits) -> Self {
        Self { limits, version: None, packet_bytes_max: usize::MAX, wants_problem_information: true }
    }

    /// Which MQTT is spoken; `None` before a CONNECT.
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// The largest packet that is taken; told in CONNACK.
    pub const fn packet_bytes(&self) -> usize {
        self.limits.packet_bytes
    }

    /// Whether a message has no more user properties than one may have.
    pub fn takes_user_properties(&self, own: &Properties) -> bool {
        let WireLimits { user_properties, user_property_bytes, .. } = self.limits;
        own.user.len() <= user_properties && own.user_bytes() <= user_property_bytes
    }

    /// Whether the client takes a packet of that size.
    pub fn fits(&self, packet: &ToClient) -> bool {
        self.packet_bytes_max == usize::MAX || self.write(packet, &mut BytesMut::new()).is_ok()
    }

    /// Takes the next packet out of what has come. `None`: it is not whole yet.
    ///
    /// # Errors
    /// What ends the connection. What comes after it must not be looked at.
    pub fn take(&mut self, input: &mut BytesMut) -> Result<Option<FromClient>, Fault> {
        let Some(header) = Header::read(input)? else {
            // What cannot become a CONNECT is told by its first byte.
            return if self.version.is_none() && input.first().is_some_and(|first| *first != raw::CONNECT << 4)
            {
                Err(Fault::SILENT)
            } else {
                Ok(None)
            };
        };
        let is_connect = header.kind() == raw::CONNECT;
        match self.version {
            None if header.first != raw::CONNECT << 4 => return Err(Fault::SILENT),
            Some(_) if is_connect => return Err(Fault::PROTOCOL),
            _ => {}
        }
        if let Err(fault) = header.check(&self.limits) {
            if self.version.is_none() {
                // Which version it is says how it is told.
                let Some(level) = Level::of_begun(&input[header.len..])? else { return Ok(None) };
                self.speak(level)?;
            }
            return Err(fault);
        }
        if input.len() < header.total {
            return Ok(None);
        }
        let frame = input.split_to(header.total);
        match self.version {
            None => self.connect(header, frame).map(Some),
            Some(version) => {
                raw::inspect(version, header, &frame[header.len..], &self.limits)?;
                from_client::decode(version, frame).map(Some)
            }
        }
    }

    /// From now on this version is spoken.
    fn speak(&mut self, level: Level) -> Result<Version, Fault> {
        let Some(version) = level.version else {
            // It is told in the form that it most likely understands.
            self.version = Some(if level.number > 5 { Version::V5 } else { Version::V311 });
            return Err(Fault::new(Reason::UnsupportedVersion));
        };
        self.version = Some(version);
        Ok(version)
    }

    fn connect(&mut self, header: Header, mut frame: BytesMut) -> Result<FromClient, Fault> {
        let level = Level::read(&frame[header.len..])?;
        let version = self.speak(level)?;
        raw::inspect(version, header, &frame[header.len..], &self.limits)?;
        let (level_at, flags_at) = (header.len + level.at, header.len + level.at + 1);
        let Some(flags) = frame.get(flags_at).copied() else { return Err(Fault::MALFORMED) };
        // The codec knows no bridges, and refuses an empty client id without clean start: legal in 5.0, and in 3.1.1 to be
        // answered.
        frame[level_at] = level.number;
        frame[flags_at] |= CLEAN_START;
        let mut connect = from_client::decode_connect(version, frame)?;
        connect.is_bridge = level.is_bridge;
        connect.clean_start = flags & CLEAN_START != 0;
        if version != Version::V5 && !connect.clean_start {
            connect.session_expiry_s = u32::MAX;
        }
        self.packet_bytes_max = connect.packet_bytes_max.map_or(usize::MAX, |max| max.get() as usize);
        self.wants_problem_information = connect.wants_problem_information;
        Ok(FromClient::Connect(Box::new(connect)))
    }
}

const CLEAN_START: u8 = 0b0000_0010;

#[cfg(test)]
mod tests;
