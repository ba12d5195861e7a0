//! A client's PUBLISH: its topic, what is wrong with it, its place in the line.

use std::num::NonZeroU16;

use crate::limit::Limit;
use crate::message::Message;
use crate::packet::{Properties, Publish, Qos};
use crate::reason::Reason;
use crate::session::Session;
use crate::session::incoming::{Ordinal, Taken};
use crate::topics::{Topic, Unsound};

use super::{Connection, Effect, Offer};

impl Connection {
    pub(super) fn publish(
        &mut self,
        session: &mut Session,
        now_ms: i64,
        publish: Publish,
        effects: &mut Vec<Effect>,
    ) {
        let Publish { topic, alias, qos, packet_id, dup, retain, payload, properties } = publish;
        let topic = match self.topic(&topic, alias) {
            Ok(topic) => topic,
            Err(reason) => return self.close(reason, effects),
        };
        if properties.as_deref().is_some_and(|own| !is_sound_response(own)) {
            return self.close(Reason::ProtocolError, effects);
        }
        let refusal = topic.as_ref().err().copied().map(|unsound| (Reason::TopicNameInvalid, Some(unsound)));
        let has_too_many = properties.as_deref().is_some_and(|own| !self.wire.takes_user_properties(own));
        let refusal = refusal.or(has_too_many.then_some((Reason::QuotaExceeded, None)));
        if has_too_many {
            effects.push(Effect::Count(Limit::UserProperties));
        }
        let ordinal = match session.incoming.publish(qos, packet_id, self.receive_max) {
            Taken::Offer(ordinal) => ordinal,
            Taken::Answered => return,
            Taken::Exceeded => {
                effects.push(Effect::Count(Limit::ReceiveMax));
                return self.close(Reason::ReceiveMaximumExceeded, effects);
            }
        };
        match (topic, refusal) {
            (Ok(topic), None) => {
                let message = Message::new(topic, payload, properties, now_ms);
                effects.push(Effect::Offer(Offer { ordinal, message, qos, packet_id, dup, retain }));
            }
            (_, refusal) => {
                let (reason, unsound) = refusal.unwrap_or((Reason::TopicNameInvalid, None));
                self.refuse_publish(
                    session,
                    (ordinal, qos),
                    reason,
                    unsound.map(|why| why.to_string()),
                    effects,
                );
            }
        }
    }

    /// A publish is refused: by its acknowledgement where there is one that can say so, else by closing.
    fn refuse_publish(
        &mut self,
        session: &mut Session,
        (ordinal, qos): (Ordinal, Qos),
        reason: Reason,
        text: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        let is_told = self.is_5() && qos > Qos::AtMostOnce;
        // A message without an answer that is merely too much is dropped and counted; a name that is none is a fault.
        let is_dropped = qos == Qos::AtMostOnce && reason != Reason::TopicNameInvalid;
        if is_told || is_dropped {
            session.incoming.committed(ordinal, reason, text);
        } else {
            // Nothing is answered any more, and what comes under its id is new.
            session.incoming.committed(ordinal, reason, None);
            self.close(reason, effects);
        }
    }

    /// The full topic of a publish. The outer error ends the connection; the inner one refuses the message.
    fn topic(&mut self, text: &str, alias: Option<NonZeroU16>) -> Result<Result<Topic, Unsound>, Reason> {
        let max = self.limits.topic_aliases;
        let Some(alias) = alias else {
            return if text.is_empty() { Err(Reason::ProtocolError) } else { Ok(Topic::parse(text)) };
        };
        if text.is_empty() {
            return self.given.topic(alias, max).map(Ok);
        }
        let topic = match Topic::parse(text) {
            Ok(topic) => topic,
            Err(unsound) => return Ok(Err(unsound)),
        };
        self.given.set(alias, max, &topic)?;
        Ok(Ok(topic))
    }

    /// The rights do not allow what was offered. 3.1.1 can only be told by closing.
    pub fn denied(
        &mut self,
        session: &mut Session,
        now_ms: i64,
        (offer, reason): (&Offer, Reason),
        effects: &mut Vec<Effect>,
    ) {
        self.refuse_publish(session, (offer.ordinal, offer.qos), reason, None, effects);
        self.flush(session, now_ms, effects);
    }
}

/// A response topic is a topic (3.3.2-14).
fn is_sound_response(properties: &Properties) -> bool {
    properties.response_topic.as_deref().is_none_or(|text| Topic::parse(text).is_ok())
}
