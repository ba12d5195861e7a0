//! Numbers are those of the table of behaviours.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::packet::{Delivery, Properties, Publish, RetainHandling, Will};
use crate::session::{OutgoingLimits, Pushed, Queued};
use crate::wire::WireLimits;

/// A client at its wire, with the session behind it.
struct Client {
    connection: Connection,
    session: Session,
    now_ms: i64,
    effects: Vec<Effect>,
}

impl Client {
    fn new(session: Session) -> Self {
        let connection = Connection::new(Wire::new(WireLimits::default()), SessionLimits::default(), 0);
        Self { connection, session, now_ms: 0, effects: Vec::new() }
    }

    /// A wire that speaks this version, for a client that takes packets of this size.
    fn wire(version: Version, packet_bytes: u32) -> Wire {
        let mut input = BytesMut::from(match version {
            Version::V31 => b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01c".as_slice(),
            Version::V311 => b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c",
            Version::V5 => b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x05\x27\x00\x00\x00\x00\x00\x01c",
        });
        if version == Version::V5 {
            input[14..18].copy_from_slice(&packet_bytes.to_be_bytes());
        }
        let mut wire = Wire::new(WireLimits::default());
        wire.take(&mut input).expect("it is sound").expect("it is whole");
        wire
    }

    fn packet(&mut self, packet: FromClient) -> Vec<Effect> {
        let wire = self.connection.wire;
        self.connection.packet(&mut self.session, self.now_ms, (wire, packet), &mut self.effects);
        std::mem::take(&mut self.effects)
    }

    fn connect(&mut self, connect: Connect) -> Vec<Effect> {
        self.connection.wire = Self::wire(connect.version, connect.packet_bytes_max.map_or(9_999, u32::from));
        self.packet(FromClient::Connect(Box::new(connect)))
    }

    fn admit(&mut self, receive_max: u16) -> Vec<Effect> {
        let admission = Admission {
            session_present: false,
            assigned_client_id: None,
            receive_max: receive_max.try_into().expect("it is not zero"),
        };
        self.connection.admitted(&mut self.session, self.now_ms, &admission, &mut self.effects);
        std::mem::take(&mut self.effects)
    }

    fn connected(connect: Connect) -> Self {
        let mut client = Self::new(Session::new(OutgoingLimits::default()));
        client.connect(connect);
        client.admit(2);
        client
    }

    fn committed(&mut self, ordinal: Ordinal) -> Vec<Effect> {
        let done = (ordinal, Reason::Success);
        self.connection.committed(&mut self.session, self.now_ms, done, &mut self.effects);
        std::mem::take(&mut self.effects)
    }

    fn deliver(&mut self, topic: &str, payload: usize) -> Vec<Effect> {
        let topic = Topic::parse(topic).expect("it is one");
        let payload = Bytes::from(vec![0; payload]);
        let message =
            Arc::new(Message { topic, payload, properties: None, received_at_ms: 0, expires_at_ms: None });
        let queued = Queued {
            message,
            qos: Qos::AtLeastOnce,
            retain: false,
            subscription_ids: Vec::new(),
            shared: None,
            order: None,
        };
        assert_eq!(self.session.outgoing.push(queued), Pushed::Queued);
        self.connection.flush(&mut self.session, self.now_ms, &mut self.effects);
        std::mem::take(&mut self.effects)
    }
}

fn connect(version: Version) -> Connect {
    Connect {
        version,
        is_bridge: false,
        client_id: "c".to_owned(),
        clean_start: true,
        keep_alive_s: 60,
        username: None,
        password: None,
        will: None,
        session_expiry_s: 0,
        receive_max: NonZeroU16::MAX,
        packet_bytes_max: None,
        topic_alias_max: 0,
        wants_problem_information: true,
        names_authentication_method: false,
    }
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("it is not zero")
}

fn publish(topic: &str, qos: Qos, number: u16) -> Publish {
    Publish {
        topic: topic.into(),
        alias: None,
        qos,
        packet_id: (qos > Qos::AtMostOnce).then(|| id(number)),
        dup: false,
        retain: false,
        payload: Bytes::from_static(b"x"),
        properties: None,
    }
}

fn aliased(topic: &str, alias: u16) -> FromClient {
    FromClient::Publish(Publish { alias: NonZeroU16::new(alias), ..publish(topic, Qos::AtMostOnce, 0) })
}

fn offered(effects: &[Effect]) -> Option<(&str, Ordinal)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Offer(own) => Some((own.message.topic.as_str(), own.ordinal)),
        _ => None,
    })
}

fn connack(effects: &[Effect]) -> &Connack {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Send(ToClient::Connack(own)) => Some(&**own),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("a CONNACK in {effects:?}"))
}

#[track_caller]
fn closed(effects: &[Effect], reason: Reason) {
    assert!(effects.contains(&Effect::Close(End::Lost(reason))), "{effects:?}");
}

fn deliveries(effects: &[Effect]) -> Vec<(Option<&str>, Option<u16>)> {
    let delivery = |effect: &Effect| matches!(effect, Effect::Send(ToClient::Publish(_)));
    let found = effects.iter().filter(|effect| delivery(effect)).map(|effect| match effect {
        Effect::Send(ToClient::Publish(Delivery { topic, alias, .. })) => {
            (topic.as_ref().map(Topic::as_str), alias.map(NonZeroU16::get))
        }
        _ => unreachable!("they were looked for"),
    });
    found.collect()
}

#[test]
fn n057_n042_nothing_is_said_or_read_before_the_client_is_let_in() {
    let mut client = Client::new(Session::new(OutgoingLimits::default()));
    assert!(matches!(&client.connect(connect(Version::V5))[..], [Effect::Admit(_)]));
    assert!(!client.connection.wants_input(&client.session));
    assert_eq!(connack(&client.admit(64)).reason, Reason::Success);
    assert!(client.connection.wants_input(&client.session));
}

#[test]
fn n035_n036_n037_an_empty_client_id_is_given_one_where_the_standard_allows() {
    for (version, clean_start, is_asked) in
        [(Version::V311, true, true), (Version::V311, false, false), (Version::V5, false, true)]
    {
        let mut client = Client::new(Session::new(OutgoingLimits::default()));
        let effects = client.connect(Connect { client_id: String::new(), clean_start, ..connect(version) });
        if is_asked {
            assert!(matches!(effects[..], [Effect::Admit(_)]), "{effects:?}");
        } else {
            assert_eq!(connack(&effects).reason, Reason::ClientIdNotValid);
            closed(&effects, Reason::ClientIdNotValid);
        }
    }
    let mut client = Client::new(Session::new(OutgoingLimits::default()));
    let effects = client.connect(Connect { client_id: "x".repeat(257), ..connect(Version::V5) });
    assert_eq!(connack(&effects).reason, Reason::ClientIdNotValid);
}

#[test]
fn n050_an_authentication_method_is_refused() {
    let mut client = Client::new(Session::new(OutgoingLimits::default()));
    let effects = client.connect(Connect { names_authentication_method: true, ..connect(Version::V5) });
    assert_eq!(connack(&effects).reason, Reason::BadAuthenticationMethod);
    let mut client = Client::connected(connect(Version::V5));
    closed(&client.packet(FromClient::Auth), Reason::ProtocolError);
}

#[test]
fn n044_n054_n072_what_was_not_granted_as_asked_is_told_to_5_0() {
    let mut client = Client::new(Session::new(OutgoingLimits::default()));
    client.connect(Connect { session_expiry_s: u32::MAX, keep_alive_s: 0, ..connect(Version::V5) });
    let effects = client.admit(64);
    let told = connack(&effects);
    assert_eq!((told.session_expiry_s, told.keep_alive_s), (Some(7 * 24 * 3_600), Some(3_600)));
    assert_eq!(
        (told.receive_max.get(), told.topic_alias_max, told.packet_bytes_max),
        (64, 16, 2 * 1024 * 1024)
    );
    client.connect(Connect { session_expiry_s: 60, ..connect(Version::V5) });
    let mut client = Client::new(Session::new(OutgoingLimits::default()));
    client.connect(Connect { session_expiry_s: 60, ..connect(Version::V5) });
    let effects = client.admit(64);
    assert_eq!((connack(&effects).session_expiry_s, connack(&effects).keep_alive_s), (None, None));
}

#[test]
fn n052_n053_who_is_silent_is_gone_after_one_and_a_half_times_what_was_agreed() {
    let mut client = Client::connected(connect(Version::V5));
    client.now_ms = 30_000;
    assert!(matches!(client.packet(FromClient::Pingreq)[..], [Effect::Send(ToClient::Pingresp)]));
    for (now_ms, is_gone) in [(119_999, false), (120_000, true)] {
        client.connection.tick(now_ms, &mut client.effects);
        assert_eq!(client.effects.contains(&Effect::Close(End::Lost(Reason::KeepAliveTimeout))), is_gone);
    }
    let mut patient = Client::connected(Connect { keep_alive_s: 0, ..connect(Version::V311) });
    patient.connection.tick(i64::MAX, &mut patient.effects);
    assert_eq!(patient.effects, []);
}

#[test]
fn n112_to_n116_an_alias_is_a_topic_for_as_long_as_the_connection() {
    let mut client = Client::connected(connect(Version::V5));
    assert_eq!(offered(&client.packet(aliased("a", 1))).map(|own| own.0), Some("a"));
    assert_eq!(offered(&client.packet(aliased("", 1))).map(|own| own.0), Some("a"));
    let mut client = Client::connected(connect(Version::V5));
    assert_eq!(offered(&client.packet(aliased("a", 1))).map(|own| own.1), Some(0));
    client.committed(0);
    assert_eq!(offered(&client.packet(aliased("b", 1))).map(|own| own.0), Some("b"));
    client.committed(1);
    assert_eq!(offered(&client.packet(aliased("", 1))).map(|own| own.0), Some("b"), "given again");
    client.committed(2);
    closed(&client.packet(aliased("", 2)), Reason::ProtocolError);
    let mut client = Client::connected(connect(Version::V5));
    closed(&client.packet(aliased("a", 17)), Reason::TopicAliasInvalid);
    let mut client = Client::connected(connect(Version::V5));
    closed(&client.packet(FromClient::Publish(publish("", Qos::AtMostOnce, 0))), Reason::ProtocolError);
}

#[test]
fn n105_a_topic_that_is_none_is_refused_alone_where_that_can_be_said() {
    let mut client = Client::connected(connect(Version::V5));
    let effects = client.packet(FromClient::Publish(publish("a/#", Qos::AtLeastOnce, 1)));
    assert!(
        matches!(&effects[..], [Effect::Send(ToClient::Puback(ack))] if ack.reason == Reason::TopicNameInvalid),
        "{effects:?}"
    );
    closed(&client.packet(FromClient::Publish(publish("a/#", Qos::AtMostOnce, 0))), Reason::TopicNameInvalid);
    let mut older = Client::connected(connect(Version::V311));
    closed(&older.packet(FromClient::Publish(publish("a/#", Qos::AtLeastOnce, 1))), Reason::TopicNameInvalid);
}

#[test]
fn n118_n120_a_response_topic_is_a_topic_and_user_properties_have_a_number() {
    let with = |properties: Properties, qos| {
        let own = Publish { properties: Some(Box::new(properties)), ..publish("a", qos, 1) };
        Client::connected(connect(Version::V5)).packet(FromClient::Publish(own))
    };
    let wild = Properties { response_topic: Some("a/+".to_owned()), ..Properties::default() };
    closed(&with(wild, Qos::AtLeastOnce), Reason::ProtocolError);
    let many = Properties { user: vec![(String::new(), String::new()); 17], ..Properties::default() };
    let effects = with(many.clone(), Qos::AtLeastOnce);
    assert!(effects.contains(&Effect::Count(Limit::UserProperties)));
    let refused = ToClient::Puback(Ack::new(id(1), Reason::QuotaExceeded));
    assert!(effects.contains(&Effect::Send(refused)), "{effects:?}");
    assert_eq!(with(many, Qos::AtMostOnce), [Effect::Count(Limit::UserProperties)], "dropped, and counted");
}

#[test]
fn n124_what_is_not_allowed_is_told_or_the_connection_ends() {
    for (version, qos, is_closed) in [
        (Version::V5, Qos::AtLeastOnce, false),
        (Version::V5, Qos::ExactlyOnce, false),
        (Version::V5, Qos::AtMostOnce, false),
        (Version::V311, Qos::AtLeastOnce, true),
        (Version::V311, Qos::AtMostOnce, false),
    ] {
        let mut client = Client::connected(connect(version));
        let effects = client.packet(FromClient::Publish(publish("a", qos, 1)));
        let Some(Effect::Offer(offer)) = effects.first() else { panic!("{effects:?}") };
        let denied = (offer, Reason::NotAuthorized);
        client.connection.denied(&mut client.session, 0, denied, &mut client.effects);
        let is_lost = client.effects.contains(&Effect::Close(End::Lost(Reason::NotAuthorized)));
        assert_eq!(is_lost, is_closed, "{version:?} {qos:?} {:?}", client.effects);
    }
}

#[test]
fn n137_more_under_way_than_was_told_ends_a_connection_of_5_0() {
    let mut client = Client::connected(connect(Version::V5));
    for number in 1..3 {
        assert!(
            offered(&client.packet(FromClient::Publish(publish("a", Qos::AtLeastOnce, number)))).is_some()
        );
        assert!(client.connection.wants_input(&client.session), "it must be seen");
    }
    closed(
        &client.packet(FromClient::Publish(publish("a", Qos::AtLeastOnce, 3))),
        Reason::ReceiveMaximumExceeded,
    );
    let mut older = Client::connected(connect(Version::V311));
    for number in 1..3 {
        older.packet(FromClient::Publish(publish("a", Qos::AtLeastOnce, number)));
    }
    assert!(!older.connection.wants_input(&older.session), "it is not read");
}

#[test]
fn n117_our_own_aliases_stay_within_what_the_client_takes() {
    let mut client = Client::connected(Connect { topic_alias_max: 1, ..connect(Version::V5) });
    assert_eq!(deliveries(&client.deliver("a", 1)), [(Some("a"), Some(1))]);
    assert_eq!(deliveries(&client.deliver("a", 1)), [(None, Some(1))]);
    assert_eq!(deliveries(&client.deliver("b", 1)), [(Some("b"), None)]);
}

#[test]
fn n046_a_message_that_the_client_does_not_take_is_dropped_and_the_next_one_goes() {
    let own = Connect { topic_alias_max: 1, packet_bytes_max: 40.try_into().ok(), ..connect(Version::V5) };
    let mut client = Client::connected(own);
    assert_eq!(client.deliver("a", 50), [Effect::Dropped(None, Limit::ClientPacketBytes)]);
    assert_eq!(client.session.outgoing.in_flight(), 0, "it takes no place");
    assert_eq!(deliveries(&client.deliver("a", 1)), [(Some("a"), Some(1))], "nor did it tell a number");
}

#[test]
fn n159_n164_n165_filters_are_judged_one_by_one() {
    let mut client = Client::connected(connect(Version::V5));
    let options = |no_local| SubscriptionOptions {
        qos: Qos::AtLeastOnce,
        no_local,
        retain_as_published: false,
        retained: RetainHandling::Send,
    };
    let subscribe = |texts: &[&str], no_local| {
        let filters = texts.iter().map(|text| ((*text).to_owned(), options(no_local))).collect();
        FromClient::Subscribe(Subscribe { packet_id: id(1), id: None, filters })
    };
    let effects = client.packet(subscribe(&["a/#/b", "a/+", "$share/g/a"], false));
    let [Effect::Subscribe(_, wanted)] = &effects[..] else { panic!("{effects:?}") };
    let filters: Vec<_> = wanted.iter().map(|own| own.filter.as_ref().map(ToString::to_string)).collect();
    assert_eq!(
        filters,
        [Err(&Reason::TopicFilterInvalid), Ok("a/+".to_owned()), Ok("$share/g/a".to_owned())]
    );
    let many = vec!["a"; 257];
    let effects = client.packet(subscribe(&many, false));
    assert!(effects.contains(&Effect::Count(Limit::FiltersPerPacket)));
    closed(&client.packet(subscribe(&["$share/g/a"], true)), Reason::ProtocolError);
}

#[test]
fn n084_n085_n188_n189_how_a_client_leaves() {
    let will = Will {
        topic: "w".into(),
        qos: Qos::AtMostOnce,
        retain: false,
        payload: Bytes::new(),
        properties: None,
        delay_s: 0,
    };
    let leave = |asked: u32, reason, session_expiry_s| {
        let own =
            Connect { session_expiry_s: asked, will: Some(Box::new(will.clone())), ..connect(Version::V5) };
        let mut client = Client::connected(own);
        let effects = client.packet(FromClient::Disconnect(Disconnect { reason, session_expiry_s }));
        (effects.last().cloned(), client.session.expiry_s, client.session.will.is_some())
    };
    assert_eq!(leave(60, Reason::Success, None), (Some(Effect::Close(End::Orderly)), 60, false));
    assert_eq!(leave(60, Reason::Success, Some(0)), (Some(Effect::Close(End::Orderly)), 0, false));
    assert_eq!(leave(60, Reason::DisconnectWithWill, Some(9)), (Some(Effect::Close(End::WithWill)), 9, true));
    let lost = Effect::Close(End::Lost(Reason::ProtocolError));
    assert_eq!(leave(0, Reason::Success, Some(9)), (Some(lost), 0, true));
}

#[test]
fn n191_n012_what_ends_a_connection_is_told_once() {
    let mut client = Client::connected(connect(Version::V5));
    client.connection.taken_over(true, &mut client.effects);
    let told = Effect::Send(ToClient::Disconnect(Reason::SessionTakenOver, None));
    assert_eq!(client.effects, [told, Effect::Close(End::TakenOver { is_clean: true })]);
    client.effects.clear();
    client.connection.close(Reason::ProtocolError, &mut client.effects);
    assert_eq!(client.packet(FromClient::Pingreq), [], "nothing is read after it");
    assert_eq!(client.committed(0), []);
}
