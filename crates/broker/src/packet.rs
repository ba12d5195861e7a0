//! Packets as the sessions see them: one set of types for MQTT 3.1, 3.1.1 and 5.0.
//!
//! What 3.1.1 cannot say has the value by which 5.0 behaves as 3.1.1 does.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::reason::Reason;
use crate::topics::Topic;

pub type PacketId = NonZeroU16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V31,
    V311,
    V5,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

impl Qos {
    /// Of its number; what is above 2 is 2.
    pub const fn of_number(number: u8) -> Self {
        match number {
            0 => Self::AtMostOnce,
            1 => Self::AtLeastOnce,
            _ => Self::ExactlyOnce,
        }
    }
}

impl Version {
    /// As a CONNECT says it.
    pub const fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    pub const fn of_level(level: u8) -> Self {
        match level {
            3 => Self::V31,
            5 => Self::V5,
            _ => Self::V311,
        }
    }
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromClient {
    Connect(Box<Connect>),
    Publish(Publish),
    Puback(Ack),
    Pubrec(Ack),
    Pubrel(Ack),
    Pubcomp(Ack),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Pingreq,
    Disconnect(Disconnect),
    Auth,
}

/// What the broker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToClient {
    Connack(Box<Connack>),
    Publish(Delivery),
    Puback(Ack),
    Pubrec(Ack),
    Pubrel(Ack),
    Pubcomp(Ack),
    Suback(PacketId, Vec<Reason>),
    /// 3.1.1 has no reasons here.
    Unsuback(PacketId, Vec<Reason>),
    Pingresp,
    /// 3.1.1 has no such packet: nothing is written.
    Disconnect(Reason, Option<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a CONNECT has as many flags")]
pub struct Connect {
    pub version: Version,
    /// Bit 7 of the level: a Mosquitto that bridges. It does not want its own messages back, and retained ones with their flag.
    pub is_bridge: bool,
    pub client_id: String,
    /// 3.1.1: clean session.
    pub clean_start: bool,
    pub keep_alive_s: u16,
    pub username: Option<String>,
    pub password: Option<Bytes>,
    pub will: Option<Box<Will>>,
    /// How long the session is to be kept. 3.1.1: 0 with clean session, else without an end.
    pub session_expiry_s: u32,
    /// Publishes of QoS 1 and 2 that the client takes at a time.
    pub receive_max: NonZeroU16,
    pub packet_bytes_max: Option<NonZeroU32>,
    pub topic_alias_max: u16,
    pub wants_problem_information: bool,
    pub names_authentication_method: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    pub topic: Arc<str>,
    pub qos: Qos,
    pub retain: bool,
    pub payload: Bytes,
    pub properties: Option<Box<Properties>>,
    pub delay_s: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// As it was sent: not checked, and empty where an alias stands for it.
    pub topic: Arc<str>,
    pub alias: Option<NonZeroU16>,
    pub qos: Qos,
    /// With QoS 1 and 2.
    pub packet_id: Option<PacketId>,
    pub dup: bool,
    pub retain: bool,
    pub payload: Bytes,
    pub properties: Option<Box<Properties>>,
}

/// A message on its way to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `None`: the alias, which was told before, stands for it.
    pub topic: Option<Topic>,
    pub alias: Option<NonZeroU16>,
    pub qos: Qos,
    pub packet_id: Option<PacketId>,
    pub dup: bool,
    pub retain: bool,
    pub payload: Bytes,
    pub properties: Option<Arc<Properties>>,
    /// What is left of its time.
    pub expiry_s: Option<NonZeroU32>,
    pub subscription_ids: Vec<NonZeroU32>,
}

/// What a message says besides its payload (5.0, 3.3.2.3); handed on as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    pub is_utf8: bool,
    pub expiry_s: Option<NonZeroU32>,
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    pub correlation: Option<Bytes>,
    /// In their order; names may come again.
    pub user: Vec<(String, String)>,
}

impl Properties {
    /// Of names and values of user properties.
    pub fn user_bytes(&self) -> usize {
        self.user.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP. 3.1.1: the reason is [`Reason::Success`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    pub packet_id: PacketId,
    pub reason: Reason,
    pub text: Option<String>,
}

impl Ack {
    pub const fn new(packet_id: PacketId, reason: Reason) -> Self {
        Self { packet_id, reason, text: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    pub packet_id: PacketId,
    pub id: Option<NonZeroU32>,
    /// As they were sent: not checked.
    pub filters: Vec<(String, SubscriptionOptions)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionOptions {
    pub qos: Qos,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retained: RetainHandling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetainHandling {
    Send,
    /// Only if there was no such subscription before.
    SendIfNew,
    DoNotSend,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    pub packet_id: PacketId,
    pub filters: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    pub reason: Reason,
    /// `None`: as before.
    pub session_expiry_s: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connack {
    pub reason: Reason,
    pub text: Option<String>,
    pub session_present: bool,
    /// What differs from what was asked for, and what is always told.
    pub session_expiry_s: Option<u32>,
    pub assigned_client_id: Option<String>,
    pub keep_alive_s: Option<u16>,
    pub receive_max: NonZeroU16,
    pub packet_bytes_max: u32,
    pub topic_alias_max: u16,
}
