//! A message on its way, and how it is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rumqttc::AsyncClient;
use sanimon_codec::Decoded;
use sanimon_domain::TimestampMs;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// What MQTT promises for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// May be lost between the sensor and the commit.
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

/// A decoded message that waits for its commit.
#[derive(Debug)]
pub struct Message {
    /// The source's name, for the quarantine.
    pub source: Arc<str>,
    pub topic: String,
    pub payload: Bytes,
    pub received_at: TimestampMs,
    /// MQTT's DUP flag: the sender has sent this before.
    pub dup: bool,
    /// Delivered because it was retained, not because it was just said.
    pub retained: bool,
    pub decoded: Decoded,
    pub ack: Ack,
    /// Its share of the queue's bytes, given back when the message is dropped.
    pub(crate) _share: Option<OwnedSemaphorePermit>,
}

impl Message {
    /// Decodes a message of the native contract that nobody waits for.
    pub fn decode(source: Arc<str>, topic: String, payload: Bytes, received_at: TimestampMs) -> Self {
        let decoded = sanimon_codec::decode(&topic, &payload, received_at);
        Self::new(source, topic, payload, received_at, decoded)
    }

    pub(crate) fn new(
        source: Arc<str>,
        topic: String,
        payload: Bytes,
        received_at: TimestampMs,
        decoded: Decoded,
    ) -> Self {
        Self {
            source,
            topic,
            payload,
            received_at,
            dup: false,
            retained: false,
            decoded,
            ack: Ack::None,
            _share: None,
        }
    }
}

/// The way back to the sender. Dropping it unreleased is a refusal: the sender will send again.
#[derive(Debug)]
pub enum Ack {
    /// QoS 0: nobody waits.
    None,
    /// A session of the embedded broker waits in its hook.
    Embedded(oneshot::Sender<()>),
    /// An external broker's connection.
    Client { connection: Arc<Connection>, packet_id: u16, qos: rumqttc::QoS },
}

/// One connection to an external broker. An acknowledgement belongs to its connection: each has a client of its
/// own, so after a reconnect those of the old one lead nowhere.
#[derive(Debug)]
pub struct Connection {
    pub(crate) client: AsyncClient,
    pub(crate) alive: AtomicBool,
}

impl Ack {
    /// Tells the sender that its message is on disk. True if there was somebody to tell.
    pub(crate) fn release(self) -> bool {
        match self {
            Self::None => false,
            Self::Embedded(waiting) => waiting.send(()).is_ok(),
            Self::Client { connection, packet_id, qos } => {
                let mut publish = rumqttc::Publish::new("", qos, Vec::new());
                publish.pkid = packet_id;
                // The request channel is larger than the packet ids that can be unacknowledged, so it is never full;
                // closed means that the connection has gone and the broker will send again.
                connection.client.try_ack(&publish).is_ok()
            }
        }
    }

    /// The sender has gone and will send again: the message need not be held for it.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::None => false,
            Self::Embedded(waiting) => waiting.is_closed(),
            Self::Client { connection, .. } => !connection.alive.load(Ordering::Acquire),
        }
    }
}
