//! How a message is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rumqttc::AsyncClient;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// The token by which a message's sender waits. The writer gives it back after the commit; dropped before, it is a refusal:
/// the sender will send again.
#[derive(Debug)]
pub struct Ack {
    pub(crate) way: AckWay,
    /// The message's places in the queue, free again with the token.
    pub(crate) _places: Places,
}

/// Places that a message has taken in the queue, until it is dropped: of its connection's share, and of all.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) _own: OwnedSemaphorePermit,
    pub(crate) _all: OwnedSemaphorePermit,
}

/// The way back to the sender.
#[derive(Debug)]
pub enum AckWay {
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
        match self.way {
            AckWay::None => false,
            AckWay::Embedded(waiting) => waiting.send(()).is_ok(),
            AckWay::Client { connection, packet_id, qos } => {
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
        match &self.way {
            AckWay::None => false,
            AckWay::Embedded(waiting) => waiting.is_closed(),
            AckWay::Client { connection, .. } => !connection.alive.load(Ordering::Acquire),
        }
    }
}
