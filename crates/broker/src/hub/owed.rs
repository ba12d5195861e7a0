//! A message before its commit: what is stored with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sanimon_domain::mqtt::{MqttPart, Owed, ReceivedBy, Retain};
use sanimon_domain::{SessionKey, TimestampMs};

use crate::account::Account;
use crate::hub::ports::Published;
use crate::limit::Limit;
use crate::message::Message;
use crate::packet::Qos;
use crate::retained::NoRoom;
use crate::session::Offer;
use crate::session::will::End;
use crate::sessions::{DueWill, lock};
use crate::topics::Topic;

use super::attach::Admitted;
use super::rows::written;
use super::token::{Of, Tell};
use super::{Hub, Owner, Token};

/// A publish, with whose it is.
struct Said<'a> {
    message: Message,
    qos: Qos,
    retain: bool,
    key: &'a SessionKey,
    account: &'a Account,
    /// QoS 2 of a kept session.
    received_by: Option<ReceivedBy>,
    /// It is kept for its topic.
    keeps: bool,
}

impl Hub {
    /// An offer of a connection as it goes to the writer.
    pub(crate) fn published(
        self: &Arc<Self>,
        client: &Admitted,
        account: &Account,
        (offer, is_denied): (Offer, bool),
    ) -> (Published, Token) {
        let Offer { ordinal, message, qos, packet_id, dup, retain } = offer;
        let (topic, payload) = (message.topic.clone(), message.payload.clone());
        let qos2 = packet_id.filter(|_| qos == Qos::ExactlyOnce);
        let received_by = qos2.filter(|_| client.is_stored).map(|id| ReceivedBy {
            key: client.key.clone(),
            incarnation: client.incarnation,
            packet_id: id.get(),
        });
        let keeps = retain && !is_denied && self.may_keep(&message, account);
        let is_not_kept = retain && !is_denied && !keeps;
        let said = Said { message, qos, retain, key: &client.key, account, received_by, keeps };
        let (part, tell) = if is_denied { (None, None) } else { self.prepared(said) };
        let token = Token::new(
            self,
            Of::Publish {
                from: client.sender.clone(),
                ordinal,
                is_awaited: qos > Qos::AtMostOnce,
                qos2,
                is_not_kept,
                tell,
            },
        );
        (Published { topic, payload, qos, packet_id, dup, part, is_denied }, token)
    }

    /// Clients do not talk by topics that begin with `$`, unless a format is bound to one.
    pub(crate) fn may_publish(&self, account: &Account, topic: &Topic) -> bool {
        account.rights.may_publish(topic) && (!topic.is_reserved() || self.is_bound(topic))
    }

    /// Whether devices speak by a topic.
    pub(crate) fn is_bound(&self, topic: &Topic) -> bool {
        self.ports.permissions.is_bound(topic.as_str())
    }

    fn prepared(&self, said: Said<'_>) -> (Option<Arc<MqttPart>>, Option<Box<Tell>>) {
        let Said { message, qos, retain, key, account, received_by, keeps } = said;
        let is_heard = self.subscriptions.load(Ordering::Acquire) > 0;
        if !retain && !is_heard && received_by.is_none() {
            return (None, None);
        }
        let owner: Owner = (key.owner.clone(), account.credential);
        let (mut owed, mut chosen) = (Vec::new(), Vec::new());
        if self.kept_subscriptions.load(Ordering::Acquire) > 0 {
            let mut table = self.table();
            for copy in table.sessions.recipients(&message.topic, Some(key), &[]) {
                let lower = copy.qos.min(qos);
                chosen.extend(copy.shared.map(|asked| (asked, copy.key.clone())));
                if lower == Qos::AtMostOnce || !lock(&copy.seat).session.is_kept() {
                    continue;
                }
                owed.push(Owed {
                    key: copy.key,
                    order: self.next_order(),
                    qos: lower as u8,
                    retain: retain && copy.retain_as_published,
                    subscription_ids: copy.subscription_ids.into_iter().map(u32::from).collect(),
                });
            }
        }
        let orders = owed.iter().map(|own| (own.key.clone(), own.order, Qos::of_number(own.qos))).collect();
        let is_stored = keeps || !owed.is_empty() || received_by.is_some();
        let part = is_stored.then(|| {
            let stores_message = keeps || !owed.is_empty();
            Arc::new(MqttPart {
                properties: message.properties.as_deref().filter(|_| stores_message).and_then(written),
                expires_at: message.expires_at_ms.map(|at| TimestampMs(self.to_wall(at))),
                owed_to: owed,
                received_by,
                retained: keeps.then(|| Retain {
                    qos: qos as u8,
                    owner: owner.0.clone(),
                    credential: owner.1,
                }),
            })
        });
        let tell = (is_heard || keeps).then(|| {
            let retain_by = keeps.then_some(owner);
            let publisher = Some(key.clone());
            Box::new(Tell {
                message,
                qos,
                retain: retain_by,
                is_retained: retain,
                publisher,
                owed: orders,
                chosen,
                late: self.next_order(),
            })
        });
        (part, tell)
    }

    /// Whether a message is kept for its topic: an empty one removes what was there, and always may.
    fn may_keep(&self, message: &Message, account: &Account) -> bool {
        if message.payload.is_empty() {
            return true;
        }
        let owner: Owner = (account.owner.clone(), account.credential);
        let table = self.table();
        // What bounds a credential does not bound those without a name.
        let max = if owner.0.is_empty() { usize::MAX } else { self.limits.retained_of(account.is_gateway) };
        let room = table.retained.has_room(&message.topic, message.bytes(), &owner, max);
        drop(table);
        let limit = match room {
            Ok(()) => return true,
            Err(NoRoom::OfOwner) => Limit::RetainedPerCredential,
            Err(NoRoom::OfAll) => Limit::Retained,
        };
        self.met(limit, &owner.0);
        false
    }

    /// A will is due. It is a publish like others, and judged by the rights of now.
    pub(crate) fn publish_will(self: &Arc<Self>, due: DueWill) {
        let DueWill { will, key, account } = due;
        let account = self.ports.permissions.now(&account.owner, account.credential, &key.client_id);
        let (Some(account), Ok(topic)) = (account, Topic::parse(&will.topic)) else {
            return self.forget_will(&key);
        };
        if !self.may_publish(&account, &topic) {
            self.ports.notices.denied(&key.owner, topic.as_str());
            return self.forget_will(&key);
        }
        let now_ms = self.now_ms();
        let message = Message::new(topic.clone(), will.payload.clone(), will.properties, now_ms);
        let (qos, retain) = (will.qos, will.retain);
        let keeps = retain && self.may_keep(&message, &account);
        let said = Said { message, qos, retain, key: &key, account: &account, received_by: None, keeps };
        let (part, tell) = self.prepared(said);
        let published = Published {
            topic,
            payload: will.payload,
            qos,
            packet_id: None,
            dup: false,
            part,
            is_denied: false,
        };
        let mut line = self.ports.intake.open(&key);
        self.wills.fetch_add(1, Ordering::Relaxed);
        if let Some(waiting) = line.offer(published, Token::new(self, Of::Will(tell, key))) {
            tokio::spawn(waiting);
        }
        line.flush();
    }

    /// A will is stored, or cannot be.
    pub(super) fn will_settled(&self) {
        self.wills.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The end of a connection for which nobody gave a reason.
pub(crate) const LOST: End = End::Lost(crate::reason::Reason::Unspecified);

/// What a message is worth keeping on its own: read buffers are shared, and a small part would hold the whole.
pub(super) fn own_payload(payload: &Bytes) -> Bytes {
    const OWN_BUFFER_BYTES: usize = 16 * 1024;
    if payload.len() < OWN_BUFFER_BYTES { Bytes::copy_from_slice(payload) } else { payload.clone() }
}
