//! A model of the file: what `crates/store` makes of changes and of what a message brings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sanimon_domain::mqtt::{
    MqttPart, OutgoingRow, ReceivedBy, Retain, RetainedRow, SessionChange, SessionRow, StoredMessage,
    StoredSessions, SubscriptionRow,
};
use sanimon_domain::{SessionKey, TimestampMs};

use crate::hub::ports::Published;

/// What survives a crash.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) sessions: BTreeMap<SessionKey, Rows>,
    pub(super) retained: BTreeMap<Arc<str>, RetainedRow>,
    /// Payloads, and how often each was committed.
    pub(super) published: BTreeMap<Vec<u8>, usize>,
    /// Credentials that are good.
    pub(super) credentials: BTreeSet<i64>,
}

#[derive(Debug)]
pub(super) struct Rows {
    pub(super) row: SessionRow,
    pub(super) subscriptions: BTreeMap<Arc<str>, SubscriptionRow>,
    pub(super) outgoing: BTreeMap<u64, OutgoingRow>,
    pub(super) incoming: BTreeSet<u16>,
}

impl File {
    fn is_good(&self, credential: Option<i64>) -> bool {
        credential.is_none_or(|own| self.credentials.contains(&own))
    }

    pub(super) fn change(&mut self, change: &SessionChange) {
        match change {
            SessionChange::Put(row) if self.is_good(row.credential) => {
                let new = || Rows {
                    row: (**row).clone(),
                    subscriptions: BTreeMap::new(),
                    outgoing: BTreeMap::new(),
                    incoming: BTreeSet::new(),
                };
                self.sessions.retain(|key, own| *key != row.key || own.row.incarnation == row.incarnation);
                self.sessions.entry(row.key.clone()).or_insert_with(new).row = (**row).clone();
            }
            SessionChange::Put(_) => {}
            SessionChange::Remove(key) => drop(self.sessions.remove(key)),
            SessionChange::Subscribe(key, row) => self.of(key, |own| {
                own.subscriptions.insert(row.filter.clone(), row.clone());
            }),
            SessionChange::Unsubscribe(key, filter) => self.of(key, |own| {
                own.subscriptions.remove(filter);
            }),
            SessionChange::Owe(row) => self.owe(row),
            SessionChange::Sent { key, order, packet_id } => self.owed(key, *order, |row| {
                row.packet_id = Some(*packet_id);
            }),
            SessionChange::Releasing { key, order } => self.owed(key, *order, |row| row.is_released = true),
            SessionChange::Done { key, order } => self.of(key, |own| {
                own.outgoing.remove(order);
            }),
            SessionChange::Released(key, id) => self.of(key, |own| {
                own.incoming.remove(id);
            }),
            SessionChange::Retain(row) => {
                let RetainedRow { message, qos, owner, credential } = &**row;
                let retain = Retain { qos: *qos, owner: owner.clone(), credential: *credential };
                self.retain(message, &retain);
            }
            SessionChange::ForgetRetained(topic) => drop(self.retained.remove(topic)),
        }
    }

    fn of(&mut self, key: &SessionKey, change: impl FnOnce(&mut Rows)) {
        if let Some(own) = self.sessions.get_mut(key) {
            change(own);
        }
    }

    fn owed(&mut self, key: &SessionKey, order: u64, change: impl FnOnce(&mut OutgoingRow)) {
        self.of(key, |own| {
            if let Some(row) = own.outgoing.get_mut(&order) {
                change(row);
            }
        });
    }

    fn retain(&mut self, message: &StoredMessage, Retain { qos, owner, credential }: &Retain) {
        if message.payload.is_empty() {
            self.retained.remove(&message.topic);
        } else if self.is_good(*credential) {
            let (message, owner) = (message.clone(), owner.clone());
            let row = RetainedRow { message, qos: *qos, owner, credential: *credential };
            self.retained.insert(row.message.topic.clone(), row);
        }
    }

    fn owe(&mut self, row: &OutgoingRow) {
        let order = row.owed.order;
        self.of(&row.owed.key, |own| {
            assert!(own.outgoing.insert(order, row.clone()).is_none(), "an order comes twice");
        });
    }

    /// A message, with all that it brings.
    pub(super) fn publish(&mut self, published: &Published, received_at: TimestampMs) {
        *self.published.entry(published.payload.to_vec()).or_default() += 1;
        let Some(part) = published.part.as_deref() else { return };
        let MqttPart { properties, expires_at, owed_to, received_by, retained } = part;
        let message = Arc::new(StoredMessage {
            topic: published.topic.as_str().into(),
            payload: published.payload.clone(),
            properties: properties.clone(),
            received_at,
            expires_at: *expires_at,
        });
        for owed in owed_to {
            let (owed, message) = (owed.clone(), message.clone());
            self.owe(&OutgoingRow { owed, packet_id: None, is_released: false, message });
        }
        if let Some(ReceivedBy { key, incarnation, packet_id }) = received_by {
            self.of(key, |own| {
                if own.row.incarnation == *incarnation {
                    own.incoming.insert(*packet_id);
                }
            });
        }
        retained.iter().for_each(|retain| self.retain(&message, retain));
    }

    /// A credential is revoked: what came with it goes.
    pub(super) fn revoke(&mut self, credential: i64) {
        self.credentials.remove(&credential);
        self.sessions.retain(|_, own| own.row.credential != Some(credential));
        self.retained.retain(|_, row| row.credential != Some(credential));
    }

    /// What the broker begins with.
    pub(super) fn stored(&self) -> StoredSessions {
        let mut stored = StoredSessions::default();
        for (key, own) in &self.sessions {
            stored.sessions.push(own.row.clone());
            stored.subscriptions.extend(own.subscriptions.values().map(|row| (key.clone(), row.clone())));
            stored.outgoing.extend(own.outgoing.values().cloned());
            stored.incoming.extend(own.incoming.iter().map(|id| (key.clone(), *id)));
            let last = own.outgoing.keys().next_back().copied().unwrap_or(0);
            stored.last_order = stored.last_order.max(last);
        }
        stored.retained.extend(self.retained.values().cloned());
        stored
    }
}
