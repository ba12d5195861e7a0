//! A connection: packets and time in, packets and effects out.
//!
//! ```text
//! Opening ── CONNECT ──▶ Asking ── admitted ──▶ Connected ──▶ Closing
//! ```
//!
//! It reads no clock and no socket, and it knows no rights: it asks by an [`Effect`], and is told by a call.

mod publish;

use std::num::NonZeroU16;

use crate::limit::Limit;
use crate::message::Message;
use crate::packet::{
    Ack, Connack, Connect, Disconnect, FromClient, PacketId, Qos, Subscribe, SubscriptionOptions, ToClient,
    Unsubscribe, Version,
};
use crate::reason::Reason;
use crate::topics::{Asked, Topic};
use crate::wire::{Fault, Wire};

use super::aliases::{Given, Own};
use super::incoming::{Ordinal, Taken};
use super::outgoing::{Acknowledged, Next, Order, ToStore};
use super::will::End;
use super::{Session, SessionLimits};

/// What follows from a packet, a commit or the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Send(ToClient),
    /// Who is it, and may it? [`Connection::admitted`] or [`Connection::refused`] answers.
    Admit(Box<Connect>),
    /// For the writer, if the rights allow it. [`Connection::committed`] answers.
    Offer(Offer),
    /// The id of a QoS 2 publish needs no longer be stored. [`Connection::committed`] answers.
    Forget(Ordinal, PacketId),
    /// [`Connection::subscribed`] answers.
    Subscribe(PacketId, Vec<Wanted>),
    /// [`Connection::unsubscribed`] answers.
    Unsubscribe(PacketId, Vec<String>),
    /// What is stored of a message to this client can go, or has come further.
    Acknowledged(Acknowledged),
    /// A stored message goes to the client for the first time, under this id.
    Sent(Order, PacketId),
    /// A stored message goes no further before this is on disk. [`Outgoing::stored`] answers.
    ///
    /// [`Outgoing::stored`]: super::Outgoing::stored
    Store(ToStore),
    /// A message's time was over before it was sent, or the client does not take its size.
    Dropped(Option<Order>, Limit),
    Count(Limit),
    /// Nothing is read any more. What was sent before is still written.
    Close(End),
}

/// A publish on its way to the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub ordinal: Ordinal,
    pub message: Message,
    pub qos: Qos,
    pub packet_id: Option<PacketId>,
    pub dup: bool,
    pub retain: bool,
}

/// One entry of a SUBSCRIBE. What is no filter is refused, and the others stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub filter: Result<Asked, Reason>,
    pub options: SubscriptionOptions,
    pub id: Option<std::num::NonZeroU32>,
}

/// What a client is let in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    pub session_present: bool,
    /// It had none.
    pub assigned_client_id: Option<String>,
    /// Publishes of QoS 1 and 2 that it may have under way.
    pub receive_max: NonZeroU16,
}

#[derive(Debug)]
enum State {
    Opening,
    Asking(Box<Connect>),
    Connected,
    Closing,
}

/// One connection. What outlives it is in its [`Session`].
#[derive(Debug)]
pub struct Connection {
    state: State,
    limits: SessionLimits,
    wire: Wire,
    /// What the client said: what a DISCONNECT says later is measured by it (3.14.2.2.2).
    asked_expiry_s: u32,
    keep_alive_s: u16,
    heard_at_ms: i64,
    /// What it may have under way, and what it takes.
    receive_max: usize,
    takes_max: usize,
    /// How much of messages may be sent before the caller says again how much room there is.
    room_bytes: usize,
    given: Given,
    own: Own,
    /// Answers to packet ids that nobody knows.
    strays: u32,
}

/// What a PUBLISH is besides its payload, about.
const PUBLISH_BYTES: usize = 64;

impl Connection {
    pub fn new(wire: Wire, limits: SessionLimits, now_ms: i64) -> Self {
        Self {
            state: State::Opening,
            limits,
            wire,
            asked_expiry_s: 0,
            keep_alive_s: 0,
            heard_at_ms: now_ms,
            receive_max: 0,
            takes_max: 0,
            room_bytes: usize::MAX,
            given: Given::default(),
            own: Own::new(0),
            strays: 0,
        }
    }

    /// Whether more is to be read: not while it is asked who this is (what was sent before CONNACK waits, 3.1.4), and not
    /// while too much is under way.
    pub fn wants_input(&self, session: &Session) -> bool {
        match self.state {
            State::Opening => true,
            State::Asking(_) | State::Closing => false,
            State::Connected => !session.incoming.is_full(self.receive_max, self.is_5()),
        }
    }

    /// How much of messages the socket's buffer takes now. Answers are always sent.
    pub const fn set_room(&mut self, bytes: usize) {
        self.room_bytes = bytes;
    }

    pub const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    pub(crate) fn is_5(&self) -> bool {
        self.wire.version() == Some(Version::V5)
    }

    /// When [`Connection::tick`] has something to do, if nothing is heard before.
    pub fn deadline_ms(&self) -> Option<i64> {
        let allowed_ms = i64::from(self.keep_alive_s) * 1_500;
        (matches!(self.state, State::Connected) && allowed_ms > 0).then_some(self.heard_at_ms + allowed_ms)
    }

    /// Something may have come, and was not read: silence is counted from now on.
    pub(crate) const fn note_heard(&mut self, now_ms: i64) {
        self.heard_at_ms = now_ms;
    }

    /// The time goes on: who is silent for one and a half times what was agreed is gone (3.1.2-22).
    pub fn tick(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        if self.deadline_ms().is_some_and(|at| at <= now_ms) {
            self.close(Reason::KeepAliveTimeout, effects);
        }
    }

    /// Ends the connection for a reason, which a 5.0 client is told.
    pub fn close(&mut self, reason: Reason, effects: &mut Vec<Effect>) {
        self.end(reason, End::Lost(reason), effects);
    }

    /// The same client has come again.
    pub fn taken_over(&mut self, is_clean: bool, effects: &mut Vec<Effect>) {
        self.end(Reason::SessionTakenOver, End::TakenOver { is_clean }, effects);
    }

    /// Its credential was taken away, or may no longer do what it did.
    pub fn revoked(&mut self, effects: &mut Vec<Effect>) {
        self.end(Reason::NotAuthorized, End::Revoked, effects);
    }

    pub fn stopping(&mut self, effects: &mut Vec<Effect>) {
        self.end(Reason::ServerShuttingDown, End::Stopping, effects);
    }

    fn end(&mut self, reason: Reason, end: End, effects: &mut Vec<Effect>) {
        if matches!(self.state, State::Closing) {
            return;
        }
        let is_connected = matches!(self.state, State::Connected);
        self.state = State::Closing;
        if is_connected {
            effects.push(Effect::Send(ToClient::Disconnect(reason, None)));
        }
        effects.push(Effect::Close(end));
    }

    /// Bytes that are no packet. `wire`: as it stands after them.
    pub fn fault(&mut self, wire: Wire, fault: Fault, effects: &mut Vec<Effect>) {
        self.wire = wire;
        effects.extend(fault.limit.map(Effect::Count));
        if matches!(self.state, State::Opening) && !fault.is_silent {
            return self.refused(fault.reason, effects);
        }
        self.close(fault.reason, effects);
    }

    /// A CONNECT is refused: told, and closed.
    pub fn refused(&mut self, reason: Reason, effects: &mut Vec<Effect>) {
        // 3.1.1 has no word for what is wrong with the packet itself.
        if self.is_5()
            || !matches!(reason, Reason::MalformedPacket | Reason::ProtocolError | Reason::PacketTooLarge)
        {
            effects.push(Effect::Send(ToClient::Connack(Box::new(self.connack(reason, None)))));
        }
        self.state = State::Closing;
        effects.push(Effect::Close(End::Lost(reason)));
    }

    fn connack(&self, reason: Reason, admission: Option<&Admission>) -> Connack {
        Connack {
            reason,
            text: None,
            session_present: admission.is_some_and(|own| own.session_present),
            session_expiry_s: None,
            assigned_client_id: admission.and_then(|own| own.assigned_client_id.clone()),
            keep_alive_s: None,
            receive_max: admission.map_or(NonZeroU16::MAX, |own| own.receive_max),
            packet_bytes_max: self.wire.packet_bytes() as u32,
            topic_alias_max: self.limits.topic_aliases,
        }
    }

    /// A packet. `wire`: as it stands after it.
    pub fn packet(
        &mut self,
        session: &mut Session,
        now_ms: i64,
        (wire, packet): (Wire, FromClient),
        effects: &mut Vec<Effect>,
    ) {
        (self.wire, self.heard_at_ms) = (wire, now_ms);
        match (&self.state, packet) {
            (State::Opening, FromClient::Connect(connect)) => self.connect(connect, effects),
            (State::Connected, FromClient::Publish(publish)) => {
                self.publish(session, now_ms, publish, effects);
            }
            (State::Connected, FromClient::Pubrel(ack)) => {
                self.strays += u32::from(!session.incoming.has_received(ack.packet_id));
                if let Taken::Offer(ordinal) = session.incoming.release(ack.packet_id, session.is_kept()) {
                    effects.push(Effect::Forget(ordinal, ack.packet_id));
                }
            }
            (State::Connected, FromClient::Puback(Ack { packet_id, .. })) => {
                self.acknowledged(session.outgoing.puback(packet_id), effects);
            }
            (State::Connected, FromClient::Pubrec(Ack { packet_id, reason, .. })) => {
                self.acknowledged(session.outgoing.pubrec(packet_id, reason), effects);
            }
            (State::Connected, FromClient::Pubcomp(Ack { packet_id, .. })) => {
                self.acknowledged(session.outgoing.pubcomp(packet_id), effects);
            }
            (State::Connected, FromClient::Subscribe(subscribe)) => self.subscribe(subscribe, effects),
            (State::Connected, FromClient::Unsubscribe(Unsubscribe { packet_id, filters })) => {
                effects.push(Effect::Unsubscribe(packet_id, filters));
            }
            (State::Connected, FromClient::Pingreq) => effects.push(Effect::Send(ToClient::Pingresp)),
            (State::Connected, FromClient::Disconnect(disconnect)) => {
                self.disconnect(session, &disconnect, effects);
            }
            // No method was agreed (4.12.0-6).
            (State::Connected, FromClient::Auth | FromClient::Connect(_)) => {
                self.close(Reason::ProtocolError, effects);
            }
            (State::Opening | State::Asking(_) | State::Closing, _) => {}
        }
        self.flush(session, now_ms, effects);
    }

    fn connect(&mut self, connect: Box<Connect>, effects: &mut Vec<Effect>) {
        let reason = match &*connect {
            own if own.names_authentication_method => Reason::BadAuthenticationMethod,
            own if own.client_id.len() > self.limits.client_id_bytes => Reason::ClientIdNotValid,
            own if own.client_id.is_empty() && !own.clean_start && own.version != Version::V5 => {
                Reason::ClientIdNotValid
            }
            own if own.will.as_ref().is_some_and(|will| Topic::parse(&will.topic).is_err()) => {
                Reason::TopicNameInvalid
            }
            _ => {
                effects.push(Effect::Admit(connect.clone()));
                self.state = State::Asking(connect);
                return;
            }
        };
        self.refused(reason, effects);
    }

    /// The client is let in. What it was told is what holds from now on.
    pub fn admitted(
        &mut self,
        session: &mut Session,
        now_ms: i64,
        admission: &Admission,
        effects: &mut Vec<Effect>,
    ) {
        let State::Asking(connect) = std::mem::replace(&mut self.state, State::Connected) else { return };
        let is_5 = connect.version == Version::V5;
        self.asked_expiry_s = connect.session_expiry_s;
        session.expiry_s = connect.session_expiry_s.min(self.limits.session_expiry_max_s);
        self.keep_alive_s = match connect.keep_alive_s {
            // 3.1.1 has no way to say another one.
            own if !is_5 => own,
            0 => self.limits.keep_alive_max_s,
            own => own.min(self.limits.keep_alive_max_s),
        };
        self.receive_max = usize::from(admission.receive_max.get());
        self.takes_max = usize::from(connect.receive_max.get());
        self.own = Own::new(connect.topic_alias_max.min(self.limits.topic_aliases));
        let differs = |own: u32, asked: u32| (is_5 && own != asked).then_some(own);
        effects.push(Effect::Send(ToClient::Connack(Box::new(Connack {
            session_expiry_s: differs(session.expiry_s, connect.session_expiry_s),
            keep_alive_s: (is_5 && self.keep_alive_s != connect.keep_alive_s).then_some(self.keep_alive_s),
            ..self.connack(Reason::Success, Some(admission))
        }))));
        (session.will, session.version) = (connect.will, connect.version);
        session.incoming.reconnect();
        session.outgoing.connect();
        self.flush(session, now_ms, effects);
    }

    fn subscribe(&mut self, subscribe: Subscribe, effects: &mut Vec<Effect>) {
        let Subscribe { packet_id, id, filters } = subscribe;
        let mut wanted = Vec::with_capacity(filters.len());
        for (place, (text, options)) in filters.into_iter().enumerate() {
            let filter = match Asked::parse(&text) {
                _ if place >= self.limits.filters_per_packet => {
                    effects.push(Effect::Count(Limit::FiltersPerPacket));
                    Err(Reason::QuotaExceeded)
                }
                // Who shares cannot leave its own messages out (3.8.3-4).
                Ok(Asked::Shared(..)) if options.no_local => {
                    return self.close(Reason::ProtocolError, effects);
                }
                Ok(asked) => Ok(asked),
                Err(_) => Err(Reason::TopicFilterInvalid),
            };
            wanted.push(Wanted { filter, options, id });
        }
        effects.push(Effect::Subscribe(packet_id, wanted));
    }

    /// What became of a SUBSCRIBE: a reason for each filter, in order.
    pub fn subscribed(&mut self, packet_id: PacketId, reasons: Vec<Reason>, effects: &mut Vec<Effect>) {
        self.send(ToClient::Suback(packet_id, reasons), effects);
    }

    pub fn unsubscribed(&mut self, packet_id: PacketId, reasons: Vec<Reason>, effects: &mut Vec<Effect>) {
        self.send(ToClient::Unsuback(packet_id, reasons), effects);
    }

    fn send(&self, packet: ToClient, effects: &mut Vec<Effect>) {
        if matches!(self.state, State::Connected) {
            effects.push(Effect::Send(packet));
        }
    }

    fn disconnect(&mut self, session: &mut Session, disconnect: &Disconnect, effects: &mut Vec<Effect>) {
        if let Some(expiry_s) = disconnect.session_expiry_s {
            // What CONNECT said, not what was granted (3.14.2.2.2).
            if self.asked_expiry_s == 0 && expiry_s > 0 {
                session.expiry_s = 0;
                return self.close(Reason::ProtocolError, effects);
            }
            session.expiry_s = expiry_s.min(self.limits.session_expiry_max_s);
        }
        self.state = State::Closing;
        let is_orderly = disconnect.reason == Reason::Success;
        if is_orderly {
            session.will = None;
        }
        effects.push(Effect::Close(if is_orderly { End::Orderly } else { End::WithWill }));
    }

    /// What became of an offer, or of an id that was to be forgotten.
    pub fn committed(
        &mut self,
        session: &mut Session,
        now_ms: i64,
        (ordinal, reason): (Ordinal, Reason),
        effects: &mut Vec<Effect>,
    ) {
        session.incoming.committed(ordinal, reason, None);
        self.flush(session, now_ms, effects);
    }

    /// An offer is not stored, and answered as if it were.
    pub fn drop_offer(
        &mut self,
        session: &mut Session,
        now_ms: i64,
        ordinal: Ordinal,
        effects: &mut Vec<Effect>,
    ) {
        session.incoming.drop_offer(ordinal);
        self.flush(session, now_ms, effects);
    }

    /// Sends what is due: answers in order, then messages as the client takes them.
    pub fn flush(&mut self, session: &mut Session, now_ms: i64, effects: &mut Vec<Effect>) {
        if !matches!(self.state, State::Connected) {
            return;
        }
        while let Some(answer) = session.incoming.answer() {
            effects.push(Effect::Send(answer));
        }
        let mut expired = Vec::new();
        while self.room_bytes > 0
            && let Some(Next { mut packet, first }) =
                session.outgoing.next(now_ms, self.takes_max, &mut expired)
        {
            if let ToClient::Publish(delivery) = &mut packet {
                self.room_bytes = self.room_bytes.saturating_sub(delivery.payload.len() + PUBLISH_BYTES);
                self.own.shorten(delivery);
                if !self.wire.fits(&packet) {
                    let ToClient::Publish(delivery) = &packet else { continue };
                    self.own.forget(delivery);
                    let order = delivery.packet_id.and_then(|id| session.outgoing.abandon(id));
                    effects.push(Effect::Dropped(order, Limit::ClientPacketBytes));
                    continue;
                }
            }
            effects.extend(first.map(|(order, id)| Effect::Sent(order, id)));
            effects.push(Effect::Send(packet));
        }
        effects.extend(std::iter::from_fn(|| session.outgoing.to_store()).map(Effect::Store));
        effects.extend(expired.into_iter().map(|order| Effect::Dropped(order, Limit::Expiry)));
    }

    fn acknowledged(&mut self, acknowledged: Acknowledged, effects: &mut Vec<Effect>) {
        self.strays += u32::from(matches!(acknowledged, Acknowledged::Unknown(_)));
        match acknowledged {
            Acknowledged::Unknown(Some(answer)) | Acknowledged::Released(answer) => {
                effects.push(Effect::Send(answer));
            }
            // `to_store` has it.
            Acknowledged::Unknown(None) | Acknowledged::Releasing => {}
            done @ Acknowledged::Done(_) => effects.push(Effect::Acknowledged(done)),
        }
    }

    /// How many there were since this was asked.
    pub const fn take_strays(&mut self) -> u32 {
        std::mem::replace(&mut self.strays, 0)
    }
}

#[cfg(test)]
mod tests;
