//! Packets in any order, cut anywhere, through [`Wire`], [`Connection`] and [`Session`], with commits answered in any order: no
//! panic, answers only of the kinds that the table allows, and nothing after the end. Also for `fuzz/`, which takes this file
//! as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use ::bytes::{Bytes, BytesMut};

use super::broker::packet::{FromClient, PacketId, Qos, ToClient, Version};
use super::broker::session::{
    Acknowledged, Admission, Connection, Effect, Offer, Ordinal, OutgoingLimits, Queued, Session,
    SessionLimits, ToStore,
};
use super::broker::{Message, Reason, Topic, Wire, WireLimits};
use super::bytes;
use super::grammar::{self, Chance};

/// Packets of one connection at most.
const PACKETS_MAX: usize = 60;
const RECEIVE_MAX: u16 = 4;
const OUTGOING: OutgoingLimits = OutgoingLimits { queue_messages: 20, queue_bytes: 10_000, in_flight_out: 5 };

/// What waits for the writer.
#[derive(Debug)]
enum Waits {
    Offer(Offer),
    Forget(Ordinal),
    Suback(PacketId, usize),
    Unsuback(PacketId, usize),
    Store(ToStore),
}

/// What a client has asked and was answered, by kind and packet id.
#[derive(Debug, Default)]
struct Account(BTreeMap<(&'static str, u16), usize>);

impl Account {
    fn asks(&mut self, answer: &'static str, id: PacketId) {
        *self.0.entry((answer, id.get())).or_default() += 1;
    }

    fn is_answered(&mut self, answer: &'static str, id: PacketId) {
        let asked = self.0.get_mut(&(answer, id.get())).filter(|asked| **asked > 0);
        *asked.unwrap_or_else(|| panic!("{answer} of {id} was not asked for")) -= 1;
    }
}

/// One client's connection.
struct Played {
    connection: Connection,
    wire: Wire,
    waits: Vec<Waits>,
    account: Account,
    now_ms: i64,
    has_connack: bool,
    is_over: bool,
    output: BytesMut,
    said: BTreeSet<&'static str>,
}

/// Connections of one client, one after another, until chance is over or so many packets were sent. Gives how many were, and
/// what kinds of packets the broker said.
pub(super) fn play(chance: &mut Chance<'_>, packets: usize) -> (usize, BTreeSet<&'static str>) {
    let mut said = BTreeSet::new();
    let mut session = Session::new(OUTGOING);
    let (mut sent, mut now_ms) = (0, 0);
    while sent < packets && !chance.is_over() {
        if !session.is_kept() || chance.once_in(10) {
            session = Session::new(OUTGOING);
        }
        let wire =
            Wire::new(WireLimits { packet_bytes: 4_096, control_bytes: 1_024, ..WireLimits::default() });
        let connection = Connection::new(wire, SessionLimits::default(), now_ms);
        let mut played = Played {
            connection,
            wire,
            waits: Vec::new(),
            account: Account::default(),
            now_ms,
            has_connack: false,
            is_over: false,
            output: BytesMut::new(),
            said: BTreeSet::new(),
        };
        sent += played.run(&mut session, chance);
        now_ms = played.now_ms;
        said.append(&mut played.said);
        session.outgoing.disconnect();
        // What was under way is decided after the connection, too.
        for waits in played.waits {
            decided(&mut session, &waits, chance);
        }
    }
    (sent, said)
}

fn decided(session: &mut Session, waits: &Waits, chance: &mut Chance<'_>) {
    match waits {
        Waits::Offer(Offer { packet_id: Some(id), qos: Qos::ExactlyOnce, .. }) => {
            if chance.below(2) > 0 {
                session.incoming.received_before(*id);
            } else {
                session.incoming.lost(*id);
            }
        }
        Waits::Store(stage) if chance.below(2) > 0 => session.outgoing.stored(*stage),
        _ => {}
    }
}

impl Played {
    fn run(&mut self, session: &mut Session, chance: &mut Chance<'_>) -> usize {
        let first =
            if chance.once_in(30) { grammar::packet(chance, false) } else { grammar::connect(chance) };
        let (mut input, mut line) = (BytesMut::new(), first);
        let mut sent = 1;
        while sent < PACKETS_MAX && !self.is_over && !chance.is_over() {
            // A part of what the client has said arrives.
            let number = 1 + chance.below(line.len().max(1));
            input.extend(line.drain(..number.min(line.len())));
            self.take(session, &mut input, chance);
            self.happens(session, chance);
            if line.is_empty() {
                let is_5 = self.wire.version() == Some(Version::V5);
                line = grammar::packet(chance, is_5);
                sent += 1;
            }
        }
        if self.is_over {
            self.look_after_the_end(session, chance);
        }
        sent
    }

    fn take(&mut self, session: &mut Session, input: &mut BytesMut, chance: &mut Chance<'_>) {
        while !self.is_over && self.connection.wants_input(session) {
            let mut effects = Vec::new();
            match self.wire.take(input) {
                Ok(None) => return,
                Ok(Some(packet)) => {
                    self.asks(&packet);
                    self.connection.packet(session, self.now_ms, (self.wire, packet), &mut effects);
                }
                Err(fault) => self.connection.fault(self.wire, fault, &mut effects),
            }
            self.apply(session, effects, chance);
        }
    }

    /// What its packets may be answered by.
    fn asks(&mut self, packet: &FromClient) {
        match packet {
            FromClient::Publish(own) => match (own.qos, own.packet_id) {
                (Qos::AtLeastOnce, Some(id)) => self.account.asks("PUBACK", id),
                (Qos::ExactlyOnce, Some(id)) => self.account.asks("PUBREC", id),
                _ => {}
            },
            FromClient::Pubrel(own) => self.account.asks("PUBCOMP", own.packet_id),
            FromClient::Pubrec(own) => self.account.asks("PUBREL", own.packet_id),
            FromClient::Subscribe(own) => self.account.asks("SUBACK", own.packet_id),
            FromClient::Unsubscribe(own) => self.account.asks("UNSUBACK", own.packet_id),
            FromClient::Pingreq => self.account.asks("PINGRESP", PacketId::MIN),
            FromClient::Connect(_)
            | FromClient::Puback(_)
            | FromClient::Pubcomp(_)
            | FromClient::Disconnect(_)
            | FromClient::Auth => {}
        }
    }

    /// A commit comes, a message, or only time.
    fn happens(&mut self, session: &mut Session, chance: &mut Chance<'_>) {
        let mut effects = Vec::new();
        match chance.below(12) {
            0..5 if !self.waits.is_empty() => {
                let waits = self.waits.swap_remove(chance.below(self.waits.len()));
                self.settle(session, waits, chance, &mut effects);
            }
            5..8 => {
                let _ = session.outgoing.push(message(chance, self.now_ms));
                self.connection.flush(session, self.now_ms, &mut effects);
            }
            8 => {
                self.now_ms += chance.below(4_000) as i64;
                self.connection.tick(self.now_ms, &mut effects);
            }
            9 => {
                self.connection.set_room([0, 1, usize::MAX][chance.below(3)]);
                self.connection.flush(session, self.now_ms, &mut effects);
            }
            10 if chance.once_in(60) => match chance.below(3) {
                0 => self.connection.taken_over(chance.below(2) > 0, &mut effects),
                1 => self.connection.revoked(&mut effects),
                _ => self.connection.stopping(&mut effects),
            },
            _ => {}
        }
        self.apply(session, effects, chance);
    }

    fn settle(
        &mut self,
        session: &mut Session,
        waits: Waits,
        chance: &mut Chance<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let now_ms = self.now_ms;
        match waits {
            Waits::Offer(offer) if chance.once_in(8) => {
                self.connection.denied(session, now_ms, (&offer, Reason::NotAuthorized), effects);
            }
            Waits::Offer(Offer { ordinal, .. }) | Waits::Forget(ordinal) => {
                self.connection.committed(session, now_ms, (ordinal, Reason::Success), effects);
            }
            Waits::Suback(id, number) => {
                let reason = [Reason::Success, Reason::GrantedQos2, Reason::NotAuthorized][chance.below(3)];
                self.connection.subscribed(id, vec![reason; number], effects);
            }
            Waits::Unsuback(id, number) => {
                self.connection.unsubscribed(id, vec![Reason::NoSubscriptionExisted; number], effects);
            }
            Waits::Store(stage) => {
                session.outgoing.stored(stage);
                self.connection.flush(session, now_ms, effects);
            }
        }
    }

    fn apply(&mut self, session: &mut Session, effects: Vec<Effect>, chance: &mut Chance<'_>) {
        for effect in effects {
            assert!(!self.is_over, "after the end: {effect:?}");
            match effect {
                Effect::Send(packet) => self.judge(&packet),
                Effect::Admit(_) => self.admit(session, chance),
                Effect::Offer(offer) => self.waits.push(Waits::Offer(offer)),
                Effect::Forget(ordinal, _) => self.waits.push(Waits::Forget(ordinal)),
                Effect::Subscribe(id, wanted) => self.waits.push(Waits::Suback(id, wanted.len())),
                Effect::Unsubscribe(id, filters) => self.waits.push(Waits::Unsuback(id, filters.len())),
                Effect::Store(stage) => self.waits.push(Waits::Store(stage)),
                Effect::Acknowledged(own) => assert!(matches!(own, Acknowledged::Done(_)), "{own:?}"),
                Effect::Close(_) => self.is_over = true,
                Effect::Sent(..) | Effect::Dropped(..) | Effect::Count(_) => {}
            }
        }
        let (waits, line) = (self.waits.len(), session.incoming.under_way());
        assert!(line <= usize::from(RECEIVE_MAX), "{line} are under way");
        assert!(session.outgoing.in_flight() <= OUTGOING.in_flight_out);
        assert!(waits <= PACKETS_MAX * 2, "{waits} wait for the writer");
    }

    fn admit(&mut self, session: &mut Session, chance: &mut Chance<'_>) {
        let mut effects = Vec::new();
        if chance.once_in(20) {
            self.connection.refused(Reason::NotAuthorized, &mut effects);
        } else {
            let admission = Admission {
                session_present: chance.below(2) > 0,
                assigned_client_id: None,
                receive_max: NonZeroU16::new(RECEIVE_MAX).expect("it is not zero"),
            };
            self.connection.admitted(session, self.now_ms, &admission, &mut effects);
        }
        self.apply(session, effects, chance);
    }

    /// Whether an answer is due, and can be read by its client.
    fn judge(&mut self, packet: &ToClient) {
        let is_5 = self.wire.version() == Some(Version::V5);
        assert!(
            matches!(packet, ToClient::Connack(_)) != self.has_connack,
            "CONNACK comes first, and once: {packet:?}"
        );
        self.has_connack = true;
        self.said.insert(kind(packet));
        match packet {
            ToClient::Puback(own) => self.account.is_answered("PUBACK", own.packet_id),
            ToClient::Pubrec(own) => self.account.is_answered("PUBREC", own.packet_id),
            ToClient::Pubcomp(own) => self.account.is_answered("PUBCOMP", own.packet_id),
            ToClient::Suback(id, _) => self.account.is_answered("SUBACK", *id),
            ToClient::Unsuback(id, _) => self.account.is_answered("UNSUBACK", *id),
            ToClient::Pingresp => self.account.is_answered("PINGRESP", PacketId::MIN),
            // One that was begun on an earlier connection goes again without being asked for.
            ToClient::Pubrel(_) | ToClient::Connack(_) | ToClient::Publish(_) => {}
            ToClient::Disconnect(reason, _) => assert!(reason.is_failure(), "{reason:?}"),
        }
        self.output.clear();
        let written = self.wire.write(packet, &mut self.output);
        let is_small = !matches!(packet, ToClient::Publish(_)) || self.wire.fits(packet);
        assert!(written.is_ok() && is_small, "it cannot be written: {packet:?}");
        if self.output.is_empty() {
            assert!(!is_5 && matches!(packet, ToClient::Disconnect(..)), "nothing is written of {packet:?}");
        } else {
            let read = bytes::heard(is_5, &self.output).map(|(_, total)| total);
            assert_eq!(read, Some(self.output.len()), "{packet:?}");
        }
    }

    /// Whatever still comes changes nothing.
    fn look_after_the_end(&mut self, session: &mut Session, chance: &mut Chance<'_>) {
        let before = format!("{session:?}");
        let is_5 = self.wire.version() == Some(Version::V5);
        for _ in 0..3 {
            assert!(!self.connection.wants_input(session));
            let mut input = BytesMut::from(&grammar::packet(chance, is_5)[..]);
            let mut effects = Vec::new();
            match self.wire.take(&mut input) {
                Ok(Some(packet)) => {
                    self.connection.packet(session, self.now_ms, (self.wire, packet), &mut effects);
                }
                Ok(None) => {}
                Err(fault) => self.connection.fault(self.wire, fault, &mut effects),
            }
            self.connection.tick(self.now_ms + 1_000_000, &mut effects);
            self.connection.flush(session, self.now_ms, &mut effects);
            effects.retain(|effect| !matches!(effect, Effect::Count(_)));
            assert_eq!(effects, [], "after the end");
        }
        assert_eq!(format!("{session:?}"), before, "it grows after its end");
    }
}

const fn kind(packet: &ToClient) -> &'static str {
    match packet {
        ToClient::Connack(own) if own.reason.is_failure() => "refusal",
        ToClient::Connack(_) => "CONNACK",
        ToClient::Publish(own) if own.dup => "PUBLISH again",
        ToClient::Publish(_) => "PUBLISH",
        ToClient::Puback(_) => "PUBACK",
        ToClient::Pubrec(_) => "PUBREC",
        ToClient::Pubrel(_) => "PUBREL",
        ToClient::Pubcomp(_) => "PUBCOMP",
        ToClient::Suback(..) => "SUBACK",
        ToClient::Unsuback(..) => "UNSUBACK",
        ToClient::Pingresp => "PINGRESP",
        ToClient::Disconnect(..) => "DISCONNECT",
    }
}

/// Of them all.
#[cfg_attr(not(test), expect(dead_code, reason = "a fuzzer's input need not have them all"))]
pub(super) const KINDS: usize = 12;

fn message(chance: &mut Chance<'_>, now_ms: i64) -> Queued {
    let topic = Topic::parse(chance.pick(&["a", "a/b", "a/long/topic"])).expect("it is one");
    let payload = Bytes::from_static(&[b'y'; 60][..chance.below(60)]);
    let expires_at_ms = chance.once_in(6).then(|| now_ms + chance.below(3_000) as i64);
    let message = Message { topic, payload, properties: None, received_at_ms: now_ms, expires_at_ms };
    Queued {
        message: Arc::new(message),
        qos: Qos::of_number(chance.below(3) as u8),
        retain: chance.below(2) > 0,
        subscription_ids: Vec::new(),
        shared: None,
        order: chance.once_in(2).then(|| chance.below(250) as u64),
    }
}
