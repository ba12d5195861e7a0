//! What a client and the broker owe each other. Pure: packets and time in, packets and effects out.
//!
//! * [`Connection`]: lives as long as the socket; [`Session`]: what outlives it
//! * [`Incoming`], [`Outgoing`]: a session's two directions; [`will`]: when a will is due

mod aliases;
mod connection;
mod incoming;
mod outgoing;
pub mod will;

use std::collections::VecDeque;

use crate::packet::{Version, Will};
use crate::subscriptions::Granted;
use crate::topics::{Filter, Topic};

pub use connection::{Admission, Connection, Effect, Offer, Wanted};
pub use incoming::{Incoming, Ordinal, Taken};
pub use outgoing::{Acknowledged, Next, Order, Outgoing, OutgoingLimits, Pushed, Queued, Restored, ToStore};

/// What one connection and its session may do. The names are keys of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    pub client_id_bytes: usize,
    /// The longest silence that is agreed; also for who asks for none (5.0).
    pub keep_alive_max_s: u16,
    pub session_expiry_max_s: u32,
    /// Each way.
    pub topic_aliases: u16,
    pub filters_per_packet: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            client_id_bytes: 256,
            keep_alive_max_s: 3_600,
            session_expiry_max_s: 7 * 24 * 3_600,
            topic_aliases: 16,
            filters_per_packet: 256,
        }
    }
}

/// What outlives a connection, if it is kept.
#[derive(Debug, Clone)]
pub struct Session {
    pub incoming: Incoming,
    pub outgoing: Outgoing,
    /// Of the connection that there is, or was.
    pub will: Option<Box<Will>>,
    /// Which one of its key it is.
    pub incarnation: i64,
    /// How long it is kept once the client is away.
    pub expiry_s: u32,
    /// Which MQTT its client spoke last.
    pub version: Version,
    /// Retained messages that its new subscriptions are owed.
    pub owed_retained: VecDeque<Cursor>,
}

/// What is still to be looked through for retained messages of a new subscription.
#[derive(Debug, Clone)]
pub struct Cursor {
    pub filter: Filter,
    pub granted: Granted,
    /// Behind this one.
    pub after: Option<Topic>,
    /// So many more at most.
    pub left: usize,
}

impl Session {
    pub fn new(limits: OutgoingLimits) -> Self {
        Self {
            incoming: Incoming::default(),
            outgoing: Outgoing::new(limits),
            will: None,
            incarnation: 0,
            expiry_s: 0,
            version: Version::V311,
            owed_retained: VecDeque::new(),
        }
    }

    pub const fn is_kept(&self) -> bool {
        self.expiry_s > 0
    }
}
