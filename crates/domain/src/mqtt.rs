//! What the embedded broker keeps over a restart: sessions, what they must still get, retained messages.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::time::TimestampMs;

/// A client id belongs to its credential: the key is both. One type for it, from the socket to the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// The username, or another name that no username can be. All nameless clients are one.
    pub owner: Arc<str>,
    pub client_id: Arc<str>,
}

/// A kept session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub key: SessionKey,
    /// The number of its device's credential; `None`: it has none of those.
    pub credential: Option<i64>,
    /// Which session of this key: the next one after a clean start has another number.
    pub incarnation: i64,
    /// 3, 4, 5
    pub version: u8,
    pub expiry_s: u32,
    /// Since when its client is away; `None`: connected when this was written.
    pub away_since: Option<TimestampMs>,
    pub will: Option<Box<WillRow>>,
}

/// What is published for a client that goes without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WillRow {
    pub message: StoredMessage,
    pub qos: u8,
    pub retain: bool,
    pub delay_s: u32,
    /// `None`: its client is there.
    pub due_at: Option<TimestampMs>,
}

/// A subscription as it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    pub filter: Arc<str>,
    pub qos: u8,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub id: Option<u32>,
}

/// A message as the broker keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    pub topic: Arc<str>,
    pub payload: Bytes,
    /// As the broker encodes them.
    pub properties: Option<Bytes>,
    pub received_at: TimestampMs,
    pub expires_at: Option<TimestampMs>,
}

/// A message that a kept session must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub key: SessionKey,
    /// Given by the broker; it grows.
    pub order: u64,
    pub qos: u8,
    pub retain: bool,
    pub subscription_ids: Vec<u32>,
}

/// How far a message has come on its way to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRow {
    pub owed: Owed,
    /// `None`: it was not sent yet.
    pub packet_id: Option<u16>,
    /// QoS 2: PUBREL was sent, and never again the message.
    pub is_released: bool,
    /// One for all sessions that must get it.
    pub message: Arc<StoredMessage>,
}

/// A message that is kept for its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedRow {
    pub message: StoredMessage,
    pub qos: u8,
    pub owner: Arc<str>,
    /// The number of the device's credential that it came with; `None`: it had none of those.
    pub credential: Option<i64>,
}

/// What a publish brings besides its readings; in the transaction of the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MqttPart {
    /// As the broker encodes them.
    pub properties: Option<Bytes>,
    pub expires_at: Option<TimestampMs>,
    pub owed_to: Vec<Owed>,
    /// A QoS 2 publish of a kept session.
    pub received_by: Option<ReceivedBy>,
    /// It is kept for its topic; an empty payload removes what was kept.
    pub retained: Option<Retain>,
}

/// A packet id of a QoS 2 publish: its session has seen it until it is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedBy {
    pub key: SessionKey,
    /// A later session of this key has not seen it.
    pub incarnation: i64,
    pub packet_id: u16,
}

/// Whose a retained message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retain {
    pub qos: u8,
    pub owner: Arc<str>,
    pub credential: Option<i64>,
}

/// A change of what the broker keeps. One that is about an unknown row does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionChange {
    /// The session's own row is new, or another one; its subscriptions and messages stay.
    Put(Box<SessionRow>),
    /// With its subscriptions and all that it was to get.
    Remove(SessionKey),
    Subscribe(SessionKey, SubscriptionRow),
    Unsubscribe(SessionKey, Arc<str>),
    /// A message is owed to a session that was not before its commit: the session asked for it meanwhile, or it was retained.
    Owe(Box<OutgoingRow>),
    /// A message has its packet id.
    Sent {
        key: SessionKey,
        order: u64,
        packet_id: u16,
    },
    /// QoS 2: the client has the message, and PUBREL follows.
    Releasing {
        key: SessionKey,
        order: u64,
    },
    /// A message needs no memory any more.
    Done {
        key: SessionKey,
        order: u64,
    },
    /// A QoS 2 packet id of a client is free again.
    Released(SessionKey, u16),
    /// Also the product's own alert states. An empty payload removes what was kept.
    Retain(Box<RetainedRow>),
    /// By topic.
    ForgetRetained(Arc<str>),
}

/// What it is about, for the log: no payload.
impl fmt::Display for SessionChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(row) => write!(f, "put {:?}", row.key),
            Self::Remove(key) => write!(f, "remove {key:?}"),
            Self::Subscribe(key, row) => write!(f, "subscribe {key:?} to {:?}", row.filter),
            Self::Unsubscribe(key, filter) => write!(f, "unsubscribe {key:?} from {filter:?}"),
            Self::Owe(row) => write!(f, "owe {} to {:?}", row.owed.order, row.owed.key),
            Self::Sent { key, order, packet_id } => write!(f, "sent {order} as {packet_id} to {key:?}"),
            Self::Releasing { key, order } => write!(f, "releasing {order} of {key:?}"),
            Self::Done { key, order } => write!(f, "done with {order} of {key:?}"),
            Self::Released(key, packet_id) => write!(f, "released {packet_id} of {key:?}"),
            Self::Retain(row) => write!(f, "retain {:?}", row.message.topic),
            Self::ForgetRetained(topic) => write!(f, "forget what is retained for {topic:?}"),
        }
    }
}

/// All that the broker begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredSessions {
    pub sessions: Vec<SessionRow>,
    pub subscriptions: Vec<(SessionKey, SubscriptionRow)>,
    /// By session, by order.
    pub outgoing: Vec<OutgoingRow>,
    pub incoming: Vec<(SessionKey, u16)>,
    pub retained: Vec<RetainedRow>,
    /// The highest order of a message that is still owed; 0: there is none.
    pub last_order: u64,
}
