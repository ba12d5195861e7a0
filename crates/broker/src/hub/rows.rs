//! Between what lives in memory and what is stored.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use sanimon_domain::mqtt::{SessionChange, SessionRow, StoredMessage, SubscriptionRow, WillRow};
use sanimon_domain::{SessionKey, TimestampMs};

use crate::message::Message;
use crate::packet::{Properties, Qos, Version, Will};
use crate::sessions::{Seat, lock};
use crate::subscriptions::Granted;
use crate::topics::{Asked, Topic};

use super::Hub;

impl Hub {
    pub(super) fn session_row(
        &self,
        key: &SessionKey,
        seat: &Seat,
        away_since_ms: Option<i64>,
    ) -> SessionRow {
        let session = &seat.session;
        let will = session.will.as_ref().map(|own| Box::new(self.will_row(own, away_since_ms)));
        SessionRow {
            key: key.clone(),
            credential: seat.account.credential,
            incarnation: session.incarnation,
            version: session.version.level(),
            expiry_s: session.expiry_s,
            away_since: away_since_ms.map(|at| TimestampMs(self.to_wall(at))),
            will,
        }
    }

    /// A will was published: its session's row no longer has it. Until then it had, for a crash between would lose it.
    pub(super) fn forget_will(&self, key: &SessionKey) {
        let table = self.table();
        // Who has come back wrote another row.
        let (Some(seat), Some(since_ms)) = (table.sessions.seat(key), table.sessions.away_since(key)) else {
            return;
        };
        let seat = lock(seat);
        if seat.is_stored && seat.session.will.is_none() {
            let row = self.session_row(key, &seat, Some(since_ms));
            self.change(SessionChange::Put(Box::new(row)));
        }
    }

    pub(super) fn will_row(&self, will: &Will, away_since_ms: Option<i64>) -> WillRow {
        let due_ms = away_since_ms.map(|at| at + i64::from(will.delay_s) * 1_000);
        WillRow {
            message: StoredMessage {
                topic: will.topic.clone(),
                payload: will.payload.clone(),
                properties: will.properties.as_deref().and_then(written),
                received_at: TimestampMs(self.to_wall(self.now_ms())),
                expires_at: None,
            },
            qos: will.qos as u8,
            retain: will.retain,
            delay_s: will.delay_s,
            due_at: due_ms.map(|at| TimestampMs(self.to_wall(at))),
        }
    }

    pub(super) fn stored_message(&self, message: &Message) -> StoredMessage {
        StoredMessage {
            topic: message.topic.as_str().into(),
            payload: message.payload.clone(),
            properties: message.properties.as_deref().and_then(written),
            received_at: TimestampMs(self.to_wall(message.received_at_ms)),
            expires_at: message.expires_at_ms.map(|at| TimestampMs(self.to_wall(at))),
        }
    }

    /// `None`: its topic is none, which cannot be.
    pub(super) fn message_of(&self, stored: &StoredMessage) -> Option<Message> {
        Some(Message {
            topic: Topic::parse(&stored.topic).ok()?,
            payload: stored.payload.clone(),
            properties: stored.properties.as_ref().and_then(read).map(Arc::new),
            received_at_ms: self.of_wall(stored.received_at.0),
            expires_at_ms: stored.expires_at.map(|at| self.of_wall(at.0)),
        })
    }
}

pub(super) fn will_of(row: &WillRow) -> Will {
    Will {
        topic: row.message.topic.clone(),
        qos: Qos::of_number(row.qos),
        retain: row.retain,
        payload: row.message.payload.clone(),
        properties: row.message.properties.as_ref().and_then(read).map(Box::new),
        delay_s: row.delay_s,
    }
}

pub(super) fn subscription_row(asked: &Asked, granted: Granted) -> SubscriptionRow {
    SubscriptionRow {
        filter: asked.to_string().into(),
        qos: granted.qos as u8,
        no_local: granted.no_local,
        retain_as_published: granted.retain_as_published,
        id: granted.id.map(NonZeroU32::get),
    }
}

pub(super) fn granted_of(row: &SubscriptionRow) -> Granted {
    Granted {
        qos: Qos::of_number(row.qos),
        no_local: row.no_local,
        retain_as_published: row.retain_as_published,
        id: row.id.and_then(NonZeroU32::new),
    }
}

pub(super) fn version_of(row: &SessionRow) -> Version {
    Version::of_level(row.version)
}

/// A message's properties as they are stored: JSON, so that a later version can have more of them.
pub(super) fn written(properties: &Properties) -> Option<Bytes> {
    if *properties == Properties::default() {
        return None;
    }
    serde_json::to_vec(properties).ok().map(Bytes::from)
}

fn read(stored: &Bytes) -> Option<Properties> {
    serde_json::from_slice(stored).ok()
}
