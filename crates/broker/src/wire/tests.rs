//! Raw bytes in, packets or faults out. Numbers (`n014`) are those of the table of behaviours in docs/MQTT.md, section and
//! statement numbers those of the standards.

use proptest::prelude::*;

use super::*;
use crate::packet::{Ack, Connack, Connect, Delivery, PacketId, Qos, RetainHandling, ToClient};
use crate::topics::Topic;

const CONNECT_311: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";
const CONNECT_5: &[u8] = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01c";

/// All packets of what a client sends, or the fault behind them.
fn take_all(bytes: &[u8]) -> Result<Vec<FromClient>, Fault> {
    let (mut wire, mut input) = (Wire::new(WireLimits::default()), BytesMut::from(bytes));
    let mut taken = Vec::new();
    while let Some(packet) = wire.take(&mut input)? {
        taken.push(packet);
    }
    Ok(taken)
}

fn after(connect: &[u8], packet: &[u8]) -> Result<FromClient, Fault> {
    let mut taken = take_all(&[connect, packet].concat())?;
    assert_eq!(taken.len(), 2, "{packet:02x?}");
    Ok(taken.remove(1))
}

fn connect(bytes: &[u8]) -> Result<Connect, Fault> {
    match take_all(bytes)?.remove(0) {
        FromClient::Connect(connect) => Ok(*connect),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Fault>, reason: Reason) {
    let fault = result.expect_err("it is refused");
    assert_eq!((fault.reason, fault.is_silent), (reason, false));
}

#[track_caller]
fn silent<T: std::fmt::Debug>(result: Result<T, Fault>) {
    assert!(result.expect_err("it is refused").is_silent);
}

/// A packet with its length before it.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut rest = body.len();
    loop {
        let more = rest > 0x7F;
        bytes.push((rest & 0x7F) as u8 | if more { 0x80 } else { 0 });
        rest >>= 7;
        if !more {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn connect_5(flags: u8, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let head = [b"\x00\x04MQTT\x05", [flags].as_slice(), b"\x00\x3c", &[properties.len() as u8]].concat();
    packet(0x10, &[&head, properties, payload].concat())
}

fn publish_5(properties: &[u8]) -> Vec<u8> {
    packet(0x30, &[b"\x00\x01a", [properties.len() as u8].as_slice(), properties, b"x"].concat())
}

#[test]
fn n015_the_first_packet_is_a_connect() {
    silent(take_all(b"\xc0\x00"));
    silent(take_all(b"G"));
    silent(take_all(b"GET / HTTP/1.1\r\n"));
    silent(take_all(b"\x12\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"));
}

#[test]
fn n016_a_second_connect_is_an_error() {
    refused(after(CONNECT_5, CONNECT_5), Reason::ProtocolError);
    refused(after(CONNECT_311, CONNECT_311), Reason::ProtocolError);
}

#[test]
fn n017_another_protocol_is_not_answered() {
    silent(take_all(b"\x10\x0d\x00\x04MQTX\x04\x02\x00\x3c\x00\x01c"));
    silent(take_all(b"\x10\x0d\x00\xffMQTT\x04\x02\x00\x3c\x00\x01c"));
    silent(take_all(b"\x10\x00"));
}

#[test]
fn n018_a_level_that_nobody_knows_is_told_so() {
    for (level, version) in [(0, Version::V311), (2, Version::V311), (6, Version::V5), (0x7F, Version::V5)] {
        let (mut wire, mut input) = (Wire::new(WireLimits::default()), BytesMut::from(CONNECT_311));
        input[8] = level;
        refused(wire.take(&mut input), Reason::UnsupportedVersion);
        assert_eq!(wire.version(), Some(version), "the form of the answer");
    }
}

#[test]
fn n018_a_bridge_is_understood_by_its_level() {
    for (level, version) in [(0x84, Version::V311), (0x04, Version::V311)] {
        let mut bytes = CONNECT_311.to_vec();
        bytes[8] = level;
        let connect = connect(&bytes).expect("it is sound");
        assert_eq!((connect.version, connect.is_bridge), (version, level > 0x7F));
    }
}

#[test]
fn n019_mqtt_3_1_is_spoken() {
    let connect = connect(b"\x10\x0f\x00\x06MQIsdp\x03\x00\x00\x3c\x00\x01c").expect("it is sound");
    assert_eq!(
        (connect.version, connect.clean_start, connect.session_expiry_s),
        (Version::V31, false, u32::MAX)
    );
}

#[test]
fn n020_the_reserved_flag_is_zero() {
    refused(connect(&connect_5(0b11, b"", b"\x00\x01c")), Reason::MalformedPacket);
}

#[test]
fn n026_n027_a_will_is_whole_or_not_there() {
    let will = connect(&connect_5(0b0010_1110, b"", b"\x00\x01c\x05\x18\x00\x00\x00\x07\x00\x01w\x00\x02hi"));
    let will = will.expect("it is sound").will.expect("there is one");
    assert_eq!((&*will.topic, will.qos, will.retain, will.delay_s), ("w", Qos::AtLeastOnce, true, 7));
    assert_eq!(&will.payload[..], b"hi");
    for flags in [0b0000_1010, 0b0010_0010] {
        refused(connect(&connect_5(flags, b"", b"\x00\x01c")), Reason::MalformedPacket);
        let mut older = CONNECT_311.to_vec();
        older[9] = flags;
        refused(connect(&older), Reason::MalformedPacket);
    }
    refused(
        connect(&connect_5(0b0001_1110, b"", b"\x00\x01c\x00\x00\x01w\x00\x00")),
        Reason::MalformedPacket,
    );
    refused(connect(&connect_5(0b0000_0110, b"", b"\x00\x01c")), Reason::MalformedPacket);
}

#[test]
fn n029_a_password_alone_is_legal_in_5_only() {
    let connected = connect(&connect_5(0b0100_0010, b"", b"\x00\x01c\x00\x02pw")).expect("it is sound");
    assert_eq!((connected.username, connected.password.as_deref()), (None, Some(b"pw".as_slice())));
    refused(connect(b"\x10\x11\x00\x04MQTT\x04\x42\x00\x3c\x00\x01c\x00\x02pw"), Reason::MalformedPacket);
}

#[test]
fn n035_n036_an_empty_client_id_reaches_the_session() {
    let older = connect(b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00").expect("it is answered, not cut");
    assert_eq!((older.client_id.as_str(), older.clean_start), ("", false));
    let newer = connect(&connect_5(0, b"", b"\x00\x00")).expect("it is legal");
    assert_eq!((newer.client_id.as_str(), newer.clean_start), ("", false));
}

#[test]
fn n043_to_n049_what_a_client_says_of_itself() {
    let properties = b"\x11\x00\x00\x00\x0a\x21\x00\x05\x22\x00\x08\x27\x00\x00\x01\x00\x17\x00";
    let connect = connect(&connect_5(0, properties, b"\x00\x01c")).expect("it is sound");
    assert_eq!((connect.session_expiry_s, connect.receive_max.get(), connect.topic_alias_max), (10, 5, 8));
    assert_eq!(connect.packet_bytes_max.map(u32::from), Some(256));
    assert!(!connect.wants_problem_information && !connect.names_authentication_method);
}

#[test]
fn n001_n002_strings_are_utf_8_without_null() {
    for text in [b"\x00\x01\xff".as_slice(), b"\x00\x03\xed\xa0\x80", b"\x00\x01\x00"] {
        refused(connect(&connect_5(2, b"", text)), Reason::MalformedPacket);
        refused(
            after(CONNECT_5, &packet(0x82, &[b"\x00\x01\x00", text, b"\x00"].concat())),
            Reason::MalformedPacket,
        );
        refused(
            after(CONNECT_311, &packet(0x82, &[b"\x00\x01", text, b"\x00"].concat())),
            Reason::MalformedPacket,
        );
        let user = [b"\x26\x00\x01n", text].concat();
        refused(after(CONNECT_5, &publish_5(&user)), Reason::MalformedPacket);
    }
}

#[test]
fn n011_a_property_is_there_once_and_in_its_packet() {
    refused(connect(&connect_5(2, b"\x21\x00\x05\x21\x00\x05", b"\x00\x01c")), Reason::ProtocolError);
    refused(connect(&connect_5(2, b"\x23\x00\x05", b"\x00\x01c")), Reason::ProtocolError);
    refused(after(CONNECT_5, &publish_5(b"\x11\x00\x00\x00\x05")), Reason::ProtocolError);
    refused(after(CONNECT_5, &publish_5(b"\x7f")), Reason::ProtocolError);
    refused(after(CONNECT_5, b"\xe0\x05\x00\x03\x1c\x00\x00"), Reason::ProtocolError);
    assert!(after(CONNECT_5, &publish_5(b"\x26\x00\x01a\x00\x01b\x26\x00\x01a\x00\x01c")).is_ok());
}

#[test]
fn n045_n051_zero_is_no_maximum_and_a_flag_is_zero_or_one() {
    for properties in [b"\x21\x00\x00".as_slice(), b"\x27\x00\x00\x00\x00", b"\x17\x02", b"\x19\x02"] {
        refused(connect(&connect_5(2, properties, b"\x00\x01c")), Reason::ProtocolError);
    }
}

#[test]
fn n056_what_a_server_sends_comes_from_no_client() {
    for first in [0x20, 0x90, 0xB0, 0xD0] {
        refused(after(CONNECT_5, &packet(first, b"\x00\x01")), Reason::ProtocolError);
        refused(after(CONNECT_311, &packet(first, b"\x00\x01")), Reason::ProtocolError);
    }
}

#[test]
fn n005_n006_flags_and_packet_ids_are_as_they_must_be() {
    for first in [0x41, 0x60, 0x80, 0xA0, 0xC1, 0xE1, 0xF1, 0x00] {
        refused(after(CONNECT_5, &packet(first, b"\x00\x01")), Reason::MalformedPacket);
    }
    refused(after(CONNECT_5, b"\x40\x02\x00\x00"), Reason::MalformedPacket);
    refused(after(CONNECT_311, b"\x82\x06\x00\x00\x00\x01a\x00"), Reason::MalformedPacket);
    refused(after(CONNECT_311, b"\x32\x05\x00\x01a\x00\x00"), Reason::MalformedPacket);
}

#[test]
fn n096_n098_a_publish_says_a_quality_that_there_is() {
    refused(after(CONNECT_5, b"\x38\x04\x00\x01a\x00"), Reason::MalformedPacket);
    refused(after(CONNECT_311, b"\x38\x03\x00\x01a"), Reason::MalformedPacket);
    refused(after(CONNECT_5, b"\x36\x06\x00\x01a\x00\x01\x00"), Reason::MalformedPacket);
}

#[test]
fn n104_to_n122_a_publish_and_its_properties() {
    let properties = b"\x01\x01\x02\x00\x00\x00\x3c\x03\x00\x01t\x08\x00\x01r\x09\x00\x01\x00\x23\x00\x07\x26\x00\x01n\x00\x01v";
    let taken = after(CONNECT_5, &publish_5(properties)).expect("it is sound");
    let FromClient::Publish(publish) = taken else { panic!("{taken:?}") };
    assert_eq!(
        (&*publish.topic, publish.alias.map(u16::from), &publish.payload[..]),
        ("a", Some(7), b"x".as_slice())
    );
    let own = publish.properties.expect("it has some");
    assert_eq!((own.is_utf8, own.expiry_s.map(u32::from)), (true, Some(60)));
    assert_eq!((own.content_type.as_deref(), own.response_topic.as_deref()), (Some("t"), Some("r")));
    assert_eq!(own.user, [("n".to_owned(), "v".to_owned())]);
    refused(after(CONNECT_5, &publish_5(b"\x23\x00\x00")), Reason::TopicAliasInvalid);
    refused(after(CONNECT_5, &publish_5(b"\x0b\x01")), Reason::ProtocolError);
    let bare = after(CONNECT_5, &publish_5(b"")).expect("it is sound");
    assert!(matches!(bare, FromClient::Publish(publish) if publish.properties.is_none()));
}

#[test]
fn n142_to_n145_a_subscribe_asks_for_what_there_is() {
    let taken = after(CONNECT_5, b"\x82\x0d\x00\x02\x02\x0b\x05\x00\x05$a/+b\x2e").expect("it is decoded");
    let FromClient::Subscribe(subscribe) = taken else { panic!("{taken:?}") };
    let (filter, options) = &subscribe.filters[0];
    assert_eq!(
        (subscribe.id.map(u32::from), filter.as_str()),
        (Some(5), "$a/+b"),
        "filters are judged by the session"
    );
    assert_eq!((options.qos, options.retained), (Qos::ExactlyOnce, RetainHandling::DoNotSend));
    assert!(options.no_local && options.retain_as_published);
    for (body, reason) in [
        (b"\x00\x01\x00".as_slice(), Reason::ProtocolError),
        (b"\x00\x01\x00\x00\x01a\x03", Reason::MalformedPacket),
        (b"\x00\x01\x00\x00\x01a\x40", Reason::MalformedPacket),
        (b"\x00\x01\x00\x00\x01a\x30", Reason::ProtocolError),
        (b"\x00\x01\x02\x0b\x00\x00\x01a\x00", Reason::ProtocolError),
        (b"\x00\x01\x00\x00\x01a", Reason::MalformedPacket),
    ] {
        refused(after(CONNECT_5, &packet(0x82, body)), reason);
    }
    refused(after(CONNECT_5, &packet(0xA2, b"\x00\x01\x00")), Reason::ProtocolError);
    refused(after(CONNECT_311, &packet(0xA2, b"\x00\x01")), Reason::ProtocolError);
    refused(after(CONNECT_311, &packet(0x82, b"\x00\x01")), Reason::ProtocolError);
    refused(after(CONNECT_311, &packet(0x82, b"\x00\x01\x00\x01a\x04")), Reason::MalformedPacket);
}

#[test]
fn n184_to_n189_a_disconnect_says_what_a_client_may_say() {
    assert!(
        matches!(after(CONNECT_5, b"\xe0\x00"), Ok(FromClient::Disconnect(own)) if own.reason == Reason::Success)
    );
    let taken = after(CONNECT_5, b"\xe0\x07\x04\x05\x11\x00\x00\x00\x09").expect("it is sound");
    let FromClient::Disconnect(own) = taken else { panic!("{taken:?}") };
    assert_eq!((own.reason, own.session_expiry_s), (Reason::DisconnectWithWill, Some(9)));
    for code in [0x8B, 0x87, 0x8E, 0x9D] {
        refused(after(CONNECT_5, &[0xE0, 1, code]), Reason::ProtocolError);
    }
    refused(after(CONNECT_311, b"\xe0\x01\x00"), Reason::MalformedPacket);
    refused(after(CONNECT_5, b"\xc0\x01\x00"), Reason::MalformedPacket);
    assert_eq!(after(CONNECT_5, b"\xf0\x00"), Ok(FromClient::Auth));
}

#[test]
fn bytes_behind_a_connect_that_belong_to_nothing_are_an_error() {
    refused(connect(&connect_5(2, b"", b"\x00\x01cxx")), Reason::MalformedPacket);
    refused(connect(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x01cxx"), Reason::MalformedPacket);
}

/// Who is told 0x95 must be known: the name and the level are waited for, and nothing else.
#[test]
fn n038_a_connect_that_is_too_large_is_refused_once_it_says_its_version() {
    for (body, version, reason) in [
        (&b"\x00\x04MQTT\x05"[..], Some(Version::V5), Reason::PacketTooLarge),
        (b"\x00\x04MQTT\x04", Some(Version::V311), Reason::PacketTooLarge),
        (b"\x00\x06MQIsdp\x03", Some(Version::V31), Reason::PacketTooLarge),
        (b"\x00\x04MQTT\x06", Some(Version::V5), Reason::UnsupportedVersion),
        (b"\x00\x04MQTX\x05", None, Reason::ProtocolError),
        (b"\x00\x07", None, Reason::ProtocolError),
    ] {
        let mut wire = Wire::new(WireLimits::default());
        let (last, rest) = body.split_last().expect("it is not empty");
        let mut input = BytesMut::from(&b"\x10\xff\xff\x01"[..]);
        for byte in rest {
            assert_eq!(wire.take(&mut input), Ok(None), "{input:x?}");
            input.extend_from_slice(&[*byte]);
        }
        assert_eq!(wire.take(&mut input), Ok(None), "{input:x?}");
        input.extend_from_slice(&[*last]);
        let fault = wire.take(&mut input).expect_err("it is refused");
        let is_too_large = reason == Reason::PacketTooLarge;
        assert_eq!((wire.version(), fault.reason, fault.is_silent), (version, reason, version.is_none()));
        assert_eq!(fault.limit, is_too_large.then_some(Limit::ConnectBytes));
    }
}

#[test]
fn limits_are_met_before_anything_is_decoded_and_named() {
    let limit = |result: Result<FromClient, Fault>| result.map(|_| ()).expect_err("it is refused").limit;
    assert_eq!(limit(after(CONNECT_5, b"\x30\xff\xff\xff\x7f")), Some(Limit::PacketBytes));
    assert_eq!(limit(after(CONNECT_5, b"\x82\xff\xff\x7f")), Some(Limit::ControlBytes));
    let many = b"\x26\x00\x00\x00\x00".repeat(17);
    assert_eq!(
        limit(connect(&connect_5(2, &many, b"\x00\x01c")).map(|_| FromClient::Auth)),
        Some(Limit::UserProperties)
    );
    let ack = [b"\x00\x01\x00".as_slice(), &[many.len() as u8], &many].concat();
    assert_eq!(limit(after(CONNECT_5, &packet(0x40, &ack))), Some(Limit::UserProperties));
    assert!(after(CONNECT_5, &publish_5(&many)).is_ok(), "a message is refused alone");
    let large = b"\x26\x00\x00\x00\x00".repeat(1_700);
    let body = [b"\x00\x01a".as_slice(), &[0xB4, 0x42], &large, b"x"].concat();
    assert_eq!(limit(after(CONNECT_5, &packet(0x30, &body))), Some(Limit::PropertyBytes));
    refused(after(CONNECT_5, b"\x30\xff\xff\xff\xff"), Reason::MalformedPacket);
}

#[test]
fn a_packet_of_exactly_the_limit_is_taken() {
    let limits = WireLimits { packet_bytes: 100, ..WireLimits::default() };
    for (payload, is_taken) in [(94, true), (95, false)] {
        let publish = packet(0x30, &[b"\x00\x01a\x00".as_slice(), &vec![0; payload]].concat());
        let (mut wire, mut input) = (Wire::new(limits), BytesMut::from(CONNECT_5));
        assert!(wire.take(&mut input).is_ok());
        input.extend_from_slice(&publish);
        assert_eq!(publish.len(), payload + 6);
        assert_eq!(wire.take(&mut input).is_ok(), is_taken, "{payload}");
    }
}

/// A wire on which a CONNECT with these properties has come.
fn spoken_5(properties: &[u8]) -> Wire {
    let (mut wire, mut input) =
        (Wire::new(WireLimits::default()), BytesMut::from(&connect_5(2, properties, b"\x00\x01c")[..]));
    assert!(wire.take(&mut input).is_ok());
    wire
}

fn written(wire: &Wire, packet: &ToClient) -> Result<Vec<u8>, TooLarge> {
    let mut output = BytesMut::from("before");
    let result = wire.write(packet, &mut output);
    assert_eq!(&output[..6], b"before");
    assert!(result.is_ok() || output.len() == 6, "nothing is left of what was not written");
    result.map(|()| output[6..].to_vec())
}

const ID: PacketId = PacketId::MIN;

fn delivery(payload: usize) -> ToClient {
    ToClient::Publish(Delivery {
        topic: Some(Topic::parse("a").unwrap()),
        alias: None,
        qos: Qos::AtLeastOnce,
        packet_id: Some(ID),
        dup: false,
        retain: false,
        payload: vec![0; payload].into(),
        properties: None,
        expiry_s: None,
        subscription_ids: Vec::new(),
    })
}

#[test]
fn n046_a_client_gets_packets_of_just_the_size_that_it_takes() {
    let wire = spoken_5(b"\x27\x00\x00\x00\x1e");
    assert_eq!(written(&wire, &delivery(22)).map(|bytes| bytes.len()), Ok(30));
    assert_eq!(written(&wire, &delivery(23)), Err(TooLarge));
}

#[test]
fn n049_n070_reasons_are_told_in_words_where_there_is_room_and_where_they_are_wanted() {
    let refused = |text: &str| {
        ToClient::Puback(Ack { packet_id: ID, reason: Reason::NotAuthorized, text: Some(text.to_owned()) })
    };
    let wanted = spoken_5(b"\x27\x00\x00\x00\x14");
    assert_eq!(
        written(&wanted, &refused("not yours")).unwrap(),
        b"\x40\x10\x00\x01\x87\x0c\x1f\x00\x09not yours"
    );
    assert_eq!(written(&wanted, &refused("not yours, and long")).unwrap(), b"\x40\x04\x00\x01\x87\x00");
    let unwanted = spoken_5(b"\x17\x00");
    assert_eq!(written(&unwanted, &refused("not yours")).unwrap(), b"\x40\x04\x00\x01\x87\x00");
    let bye = ToClient::Disconnect(Reason::ServerShuttingDown, Some("bye".to_owned()));
    assert_eq!(written(&unwanted, &bye).unwrap(), b"\xe0\x08\x8b\x06\x1f\x00\x03bye");
}

#[test]
fn n064_a_refusal_is_told_in_the_clients_own_form() {
    let connack = |reason| {
        ToClient::Connack(Box::new(Connack {
            reason,
            text: None,
            session_present: false,
            session_expiry_s: None,
            assigned_client_id: None,
            keep_alive_s: None,
            receive_max: 64.try_into().unwrap(),
            packet_bytes_max: 1_000,
            topic_alias_max: 16,
        }))
    };
    let (mut older, mut input) = (Wire::new(WireLimits::default()), BytesMut::from(CONNECT_311));
    assert!(older.take(&mut input).is_ok());
    for (reason, code) in [
        (Reason::Success, 0),
        (Reason::UnsupportedVersion, 1),
        (Reason::ClientIdNotValid, 2),
        (Reason::ServerBusy, 3),
        (Reason::ConnectionRateExceeded, 3),
        (Reason::BadUsernameOrPassword, 4),
        (Reason::NotAuthorized, 5),
        (Reason::QuotaExceeded, 5),
    ] {
        assert_eq!(written(&older, &connack(reason)).unwrap(), [0x20, 2, 0, code], "{reason:?}");
        let newer = written(&spoken_5(b""), &connack(reason)).unwrap();
        assert_eq!(newer[3], reason.code());
        assert!(newer.windows(3).any(|bytes| bytes == b"\x21\x00\x40"), "receive maximum");
    }
    assert_eq!(written(&older, &ToClient::Disconnect(Reason::ServerShuttingDown, None)).unwrap(), b"");
    assert_eq!(
        written(&older, &ToClient::Suback(ID, vec![Reason::GrantedQos1, Reason::NotAuthorized])).unwrap(),
        b"\x90\x04\x00\x01\x01\x80"
    );
    assert_eq!(written(&older, &ToClient::Unsuback(ID, vec![Reason::Success])).unwrap(), b"\xb0\x02\x00\x01");
}

proptest! {
    /// Whatever comes, in whatever pieces: a packet or a fault, the same as when it comes at once.
    #[test]
    fn any_bytes_in_any_pieces_are_the_same_packets(
        is_5 in any::<bool>(),
        bytes in prop::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(0), 1 => Just(0x30), 1 => Just(0x82)], 0..200),
        cuts in prop::collection::vec(0_usize..300, 0..6),
    ) {
        let bytes = [if is_5 { CONNECT_5 } else { CONNECT_311 }, &bytes].concat();
        let whole = in_pieces(&[&bytes]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut begin = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[begin..cut]);
            begin = cut;
        }
        prop_assert_eq!(in_pieces(&pieces), whole);
    }
}

fn in_pieces(pieces: &[&[u8]]) -> (Vec<FromClient>, Option<Fault>) {
    let (mut wire, mut input) = (Wire::new(WireLimits::default()), BytesMut::new());
    let mut taken = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match wire.take(&mut input) {
                Ok(Some(packet)) => taken.push(packet),
                Ok(None) => break,
                Err(fault) => return (taken, Some(fault)),
            }
        }
    }
    (taken, None)
}
