//! How a message is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rumqttc::AsyncClient;
use sanimon_broker::Token;
use tokio::sync::OwnedSemaphorePermit;

/// The token by which a message's sender waits. The writer gives it back after the commit; dropped before, it is a refusal:
/// the sender will send again.
#[derive(Debug)]
pub struct Ack {
    pub(crate) way: AckWay,
    /// The message's places in the queue, free again with the token.
    pub(crate) _places: Option<Places>,
}

/// Places that a message has taken in the queue, until it is dropped: of its line's share, and of all.
#[derive(Debug)]
pub(crate) struct Places {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) const fn of(own: OwnedSemaphorePermit, all: OwnedSemaphorePermit) -> Self {
        Self { _own: own, _all: all }
    }
}

/// The way back to the sender.
#[derive(Debug)]
pub enum AckWay {
    /// QoS 0: nobody waits.
    None,
    /// The embedded broker: acknowledgements go out, and the message to who asked for it.
    Embedded(Token),
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
    /// Nobody waits.
    pub(crate) const fn none() -> Self {
        Self { way: AckWay::None, _places: None }
    }

    /// The embedded broker waits for a change of its own.
    pub(crate) const fn embedded(token: Token) -> Self {
        Self { way: AckWay::Embedded(token), _places: None }
    }

    pub(crate) const fn is_awaited(&self) -> bool {
        !matches!(self.way, AckWay::None)
    }

    /// Tells the sender that its message is on disk; for the embedded broker, which is told of many at once, the token goes to
    /// `settled`. True if there was somebody to tell.
    pub(crate) fn release(self, settled: &mut Vec<Token>) -> bool {
        match self.way {
            AckWay::None => false,
            AckWay::Embedded(token) => {
                let is_awaited = token.is_awaited();
                settled.push(token);
                is_awaited
            }
            AckWay::Client { connection, packet_id, qos } => {
                let mut publish = rumqttc::Publish::new("", qos, Vec::new());
                publish.pkid = packet_id;
                // Never waits: a full request channel would mean more unacknowledged messages than MQTT has ids.
                connection.client.try_ack(&publish).is_ok()
            }
        }
    }

    /// The sender has gone and will send again: the message need not be held for it.
    pub(crate) fn is_gone(&self) -> bool {
        match &self.way {
            AckWay::None => false,
            AckWay::Embedded(token) => token.is_gone(),
            AckWay::Client { connection, .. } => !connection.alive.load(Ordering::Acquire),
        }
    }
}
