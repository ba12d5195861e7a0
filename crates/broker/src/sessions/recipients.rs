//! Who gets a message.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use sanimon_domain::SessionKey;

use crate::packet::Qos;
use crate::subscriptions::Recipient;
use crate::topics::{Asked, Presence as Member, Topic};

use super::{Presence, Sessions, SharedSeat, Slot, lock};

/// One copy of a message, and where it goes.
#[derive(Debug, Clone)]
pub struct Copy {
    pub key: SessionKey,
    pub seat: SharedSeat,
    pub qos: Qos,
    pub retain_as_published: bool,
    pub subscription_ids: Vec<NonZeroU32>,
    /// Of a group: it was this one's turn.
    pub shared: Option<Asked>,
}

/// Whose turn it was in a group when the message was offered: its row is in the message's transaction.
pub type Choice = (Asked, SessionKey);

impl Sessions {
    /// Who gets a message of this publisher, by the rights of now. `chosen`: whose turn it was, for groups in which that is
    /// decided; it stands as long as that session does.
    pub fn recipients(
        &mut self,
        topic: &Topic,
        publisher: Option<&SessionKey>,
        chosen: &[Choice],
    ) -> Vec<Copy> {
        let Self { subscriptions, slots, .. } = self;
        let may_hear = |key: &SessionKey| {
            slots.get(key).is_some_and(|slot| lock(&slot.seat).account.rights.may_hear(topic))
        };
        let presence = presence(slots, topic);
        let found = subscriptions.recipients(topic, publisher, (may_hear, presence), chosen);
        found.into_iter().filter_map(|found| copy(slots, found)).collect()
    }
    /// Whose turn it is in a group, for a message that another one of it did not get.
    pub fn turn(&mut self, asked: &Asked, topic: &Topic) -> Option<Copy> {
        let Self { subscriptions, slots, .. } = self;
        let found = subscriptions.turn(asked, presence(slots, topic))?;
        copy(slots, found)
    }
}

fn copy(slots: &BTreeMap<SessionKey, Slot>, found: Recipient<SessionKey>) -> Option<Copy> {
    let Recipient { key, qos, retain_as_published, ids, shared } = found;
    let seat = slots.get(&key)?.seat.clone();
    Some(Copy { key, seat, qos, retain_as_published, subscription_ids: ids, shared })
}

/// How the members of a group stand.
fn presence<'s>(
    slots: &'s BTreeMap<SessionKey, Slot>,
    topic: &'s Topic,
) -> impl Fn(&SessionKey) -> Member + 's {
    move |key| {
        let Some(slot) = slots.get(key) else { return Member::Barred };
        let seat = lock(&slot.seat);
        match slot.presence {
            _ if !seat.account.rights.may_hear(topic) => Member::Barred,
            Presence::Here(_) => {
                let outgoing = &seat.session.outgoing;
                Member::Here { queued: outgoing.queued() + outgoing.in_flight() }
            }
            Presence::Away { until_ms, .. } => Member::Away { until_ms },
        }
    }
}
