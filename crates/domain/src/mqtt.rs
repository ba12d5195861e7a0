//! What of MQTT sessions must survive a restart: the same words in the broker, the writer and the file.

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
    /// The number of the credential that its client signed in with.
    pub credential: Option<i64>,
    /// 3, 4 (3.1.1) or 5.
    pub version: u8,
    pub expiry_s: u32,
    /// Since when its client is away; `None`: connected when this was written.
    pub away_since: Option<TimestampMs>,
    pub will: Option<Box<WillRow>>,
}

/// A will of a kept session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WillRow {
    pub message: StoredMessage,
    pub qos: u8,
    pub retain: bool,
    pub delay_s: u32,
    pub due_at: Option<TimestampMs>,
}

/// A subscription of a kept session, as it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    pub filter: Arc<str>,
    pub qos: u8,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub id: Option<u32>,
}

/// A message that waits for somebody, or is kept for its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    pub topic: Arc<str>,
    pub payload: Bytes,
    /// As the broker writes them.
    pub properties: Option<Bytes>,
    pub received_at: TimestampMs,
    pub expires_at: Option<TimestampMs>,
}

/// A message that a kept session must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub key: SessionKey,
    /// Its place among all that are owed; it grows, and never comes again.
    pub order: u64,
    pub qos: u8,
    pub retain: bool,
    pub subscription_ids: Vec<u32>,
}

/// The same, as it is in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRow {
    pub owed: Owed,
    /// It was sent under this.
    pub packet_id: Option<u16>,
    /// QoS 2: PUBREC came.
    pub is_released: bool,
    pub message: Arc<StoredMessage>,
}

/// A retained message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedRow {
    pub message: StoredMessage,
    pub qos: u8,
    /// Whose it is; revoked, it goes.
    pub owner: Arc<str>,
    pub credential: Option<i64>,
}

/// What a publish brings besides its readings; in the transaction of the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MqttPart {
    pub properties: Option<Bytes>,
    pub expires_at: Option<TimestampMs>,
    pub owed_to: Vec<Owed>,
    /// The packet id of a QoS 2 publish of a kept session: seen until it is released.
    pub received_by: Option<(SessionKey, u16)>,
    /// It is kept for its topic; an empty payload removes what was kept.
    pub retained: Option<Retain>,
}

/// Who keeps a message for its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retain {
    pub qos: u8,
    pub owner: Arc<str>,
    pub credential: Option<i64>,
}

/// A change of what is stored of sessions. One of something that is not there does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionChange {
    /// The row itself: its subscriptions and messages stay.
    Put(Box<SessionRow>),
    /// With its subscriptions, and all that it is owed.
    Remove(SessionKey),
    Subscribe(SessionKey, SubscriptionRow),
    Unsubscribe(SessionKey, Arc<str>),
    Sent {
        key: SessionKey,
        order: u64,
        packet_id: u16,
    },
    Releasing {
        key: SessionKey,
        order: u64,
    },
    Done {
        key: SessionKey,
        order: u64,
    },
    /// A QoS 2 packet id of a client is free again.
    Released(SessionKey, u16),
    /// An empty payload removes what was kept.
    Retain(Box<RetainedRow>),
    ForgetRetained(Arc<str>),
}

/// All that is stored of sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredSessions {
    pub sessions: Vec<SessionRow>,
    pub subscriptions: Vec<(SessionKey, SubscriptionRow)>,
    /// By session, by order.
    pub outgoing: Vec<OutgoingRow>,
    pub incoming: Vec<(SessionKey, u16)>,
    pub retained: Vec<RetainedRow>,
    pub last_order: u64,
}
