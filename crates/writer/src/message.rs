//! A message that waits for its commit, and the token by which its sender waits.

use std::sync::Arc;

use bytes::Bytes;
use sanimon_codec::Decoded;
use sanimon_domain::TimestampMs;
use sanimon_store::{MqttPart, StoredMessage};

/// A message with the token by which its sender waits. The token comes back in [`crate::Outputs`] only.
#[derive(Debug)]
pub struct Received<A> {
    pub message: Message,
    pub ack: A,
}

/// A decoded message that waits for its commit.
#[derive(Debug, Clone)]
pub struct Message {
    /// The source's name, for the quarantine.
    pub source: Arc<str>,
    pub topic: Arc<str>,
    pub payload: Bytes,
    pub received_at: TimestampMs,
    /// When sanimon could first act on it: the receipt, or the end of a time in which the disk refused. Deadlines and messages
    /// that follow from it count from here.
    pub known_at: TimestampMs,
    pub qos: Qos,
    /// Delivered because it was retained, not because it was just said.
    pub is_retained: bool,
    pub connection: Connection,
    pub decoded: Decoded,
    /// What it brings besides its readings: of the embedded broker's messages only.
    pub mqtt: Option<Arc<MqttPart>>,
}

impl Message {
    /// Whether its sender has sent it before.
    pub(crate) fn is_dup(&self) -> bool {
        matches!(self.qos, Qos::AtLeastOnce { is_dup: true, .. })
    }

    /// How many readings it brings.
    pub fn readings(&self) -> usize {
        self.decoded.reports.iter().map(|report| report.readings().len()).sum()
    }

    /// Whether its sender waits for an acknowledgement.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.qos != Qos::AtMostOnce
    }
}

/// What MQTT promises for a message, and by what it is known when it comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// QoS 0, or no MQTT at all: it never comes again.
    AtMostOnce,
    /// QoS 1 and 2. `is_dup`: the sender has sent it before.
    AtLeastOnce { packet_id: u16, is_dup: bool },
}

/// Whose share of what is bounded a message takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// A client of its own. `owner`: whose share it takes, the account or else the client; `session`: in which its packet ids
    /// are its own.
    Client { owner: Arc<str>, session: Arc<str> },
    /// An external broker, which brings the messages of many.
    Broker,
}

impl Message {
    /// A message of the native contract that nobody waits for: from a simulated past, a test.
    pub fn native(source: Arc<str>, topic: String, payload: Bytes, received_at: TimestampMs) -> Self {
        let decoded = sanimon_codec::decode(&topic, &payload, received_at);
        Self {
            source,
            topic: topic.into(),
            payload,
            received_at,
            known_at: received_at,
            qos: Qos::AtMostOnce,
            is_retained: false,
            connection: Connection::Broker,
            decoded,
            mqtt: None,
        }
    }

    /// The message as the broker keeps it, where it brings something besides its readings.
    pub(crate) fn mqtt_rows(&self) -> Option<Box<(StoredMessage, Arc<MqttPart>)>> {
        let part = self.mqtt.as_ref()?;
        let message = StoredMessage {
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            properties: part.properties.clone(),
            received_at: self.received_at,
            expires_at: part.expires_at,
        };
        Some(Box::new((message, part.clone())))
    }

    /// Whose share of the quarantine it takes when no device is known.
    pub(crate) fn sender(&self) -> &str {
        match &self.connection {
            Connection::Client { owner, .. } => owner,
            Connection::Broker => &self.source,
        }
    }
}
