//! A publish is judged, and goes to the writer.

use std::hash::BuildHasher;

use sanimon_domain::SessionKey;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::limit::Limit;
use crate::packet::Qos;
use crate::reason::Reason;
use crate::session::{Effect, Offer};
use crate::sessions::lock;

use super::client::Client;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// A publish goes to the writer, or is refused.
    pub(super) fn offer(&mut self, offer: Offer) -> Vec<Effect> {
        let (mut effects, now_ms) = (Vec::new(), self.now_ms);
        let (Some(client), Some(line)) = (&self.admitted, &mut self.line) else { return effects };
        let account = lock(&client.sender.seat).account.clone();
        let topic = &offer.message.topic;
        let mut is_set_aside = false;
        if !self.hub.may_publish(&account, topic) {
            let is_reserved = topic.is_reserved() && !self.hub.is_bound(topic);
            self.hub.ports.notices.denied(&client.key.owner, topic.as_str());
            let closes = !self.machine.is_5() && offer.qos > Qos::AtMostOnce && !is_reserved;
            is_set_aside = closes && self.hub.refuse(&client.key.owner, digest(&client.key, &offer), now_ms);
            if !is_set_aside {
                let mut seat = lock(&client.sender.seat);
                let Some(session) = seat.of(client.sender.generation) else {
                    offer.packet_id.into_iter().for_each(|id| seat.session.incoming.lost(id));
                    return effects;
                };
                if is_reserved && !self.machine.is_5() {
                    // A 3.1.1 client would say it again for ever.
                    self.machine.drop_offer(session, now_ms, offer.ordinal, &mut effects);
                } else {
                    self.machine.denied(session, now_ms, (&offer, Reason::NotAuthorized), &mut effects);
                }
                return effects;
            }
        }
        let bytes = offer.message.payload.len();
        let (published, token) = self.hub.published(client, &account, (offer, is_set_aside));
        self.waiting = line.offer(published, token);
        if let Some(pace) = &client.pace {
            let wait_ms = pace.wait_ms(bytes, now_ms);
            if wait_ms > 0 {
                self.hub.met(Limit::MessagesPerS, &client.key.owner);
                self.read_at_ms = now_ms + wait_ms as i64;
            }
        }
        effects
    }
}

/// By what a message is known when it comes again.
fn digest(key: &SessionKey, offer: &Offer) -> u64 {
    let known = (&key.client_id, offer.message.topic.as_str(), &offer.message.payload[..]);
    foldhash::fast::FixedState::default().hash_one(known)
}
