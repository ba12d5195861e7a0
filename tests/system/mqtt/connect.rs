//! Rows 15 to 51: CONNECT.

use super::bytes::{
    ALIAS_MAX, ASSIGNED_ID, AUTH_METHOD, CONNECT, PACKET_MAX, PINGREQ, PROBLEM_INFORMATION, PUBACK, PUBREC,
    RECEIVE_MAX, RESPONSE_INFORMATION, SESSION_EXPIRY, SUBACK, WILL, connect, number, packet, property, text,
    text_property, u16_property, u32_property, v4, v5,
};
use super::parse::property_of;
use super::raw::Raw;
use super::site;

/// A CONNECT that is not answered, or by this code.
#[track_caller]
fn refused(version: u8, bytes: &[u8], code: Option<u8>) {
    let site = site();
    let mut raw = Raw::open(site.mqtt, version);
    raw.send(bytes);
    match code {
        Some(code) => assert_eq!(raw.connack().code, code),
        None => assert_eq!(raw.packet(), None),
    }
}

#[test]
fn n015_the_first_packet_is_a_connect_and_nothing_else_is_answered() {
    let site = site();
    let publish = Raw::open(site.mqtt, 4).publish_bytes((1, 0), 1, "n015", &[], "x");
    for bytes in
        [PINGREQ, &publish, b"GET / HTTP/1.1\r\n\r\n", &[0x20, 2, 0, 0], &[CONNECT | 1, 0], &[0xf0, 0]]
    {
        refused(4, bytes, None);
    }
}

#[test]
fn n016_a_second_connect_ends_the_connection_and_the_will_is_published() {
    let site = site();
    for version in [4, 5] {
        let topic = format!("n016/{version}");
        let mut hears = Raw::join(site.mqtt, &v4(&format!("n016-hears-{version}")));
        hears.subscribe(&[(&topic, 0)]);
        let own = connect(version, &format!("n016-{version}")).will(&topic, "twice");
        let mut raw = Raw::join(site.mqtt, &own);
        raw.send(&own.bytes());
        raw.ends(0x82);
        assert_eq!(hears.message().payload, "twice");
    }
}

#[test]
fn n017_n018_n019_protocols_and_levels() {
    for name in ["hj", "mqtt", "MQTT\0", "MQIsdq"] {
        let mut own = v4("n017");
        own.name = name;
        refused(4, &own.bytes(), None);
    }
    for (level, version, code) in [(2, 4, 1), (0, 4, 1), (6, 5, 0x84), (99, 5, 0x84)] {
        let mut own = v4("n018");
        own.level = level;
        refused(version, &own.bytes(), Some(code));
    }
    // MQTT 3.1, with an id that is longer than it allows, speaks as 3.1.1 does.
    let site = site();
    let mut raw = Raw::join(site.mqtt, &connect(3, &"n019".repeat(50)));
    assert_eq!(raw.subscribe(&[("n019/#", 2)]), [2]);
    raw.send(&raw.publish_bytes((1, 0), 7, "n019/x", &[], "old"));
    assert_eq!(raw.ack(PUBACK), (7, 0));
    assert_eq!(raw.take().brief(), ("old", 1, false));
}

#[test]
fn n020_n026_n027_n028_n029_n030_n032_n038_flags_say_what_follows() {
    let flagged = |version: u8, set: u8, payload: &[&[u8]]| {
        let mut own = connect(version, "n020");
        own.flags |= set;
        payload.iter().for_each(|part| own.payload.extend(*part));
        own.bytes()
    };
    for version in [4, 5] {
        let code = (version == 5).then_some(0x81);
        let no_properties: &[u8] = if version == 5 { &[0] } else { &[] };
        let (topic, payload) = (&text("n026")[..], &text("x")[..]);
        // The reserved flag.
        refused(version, &flagged(version, 1, &[]), code);
        // A will whose QoS is 3; one that is not there, or only half of it.
        refused(version, &flagged(version, WILL | 0x18, &[no_properties, topic, payload]), code);
        refused(version, &flagged(version, WILL, &[]), code);
        refused(version, &flagged(version, WILL, &[no_properties, topic]), code);
        // A QoS or a retain flag of no will.
        refused(version, &flagged(version, 0x08, &[]), code);
        refused(version, &flagged(version, 0x20, &[]), code);
        // A name and a password that are not there.
        refused(version, &flagged(version, 0x80, &[]), code);
        refused(version, &flagged(version, 0xc0, &[&text("name")]), code);
        // A name that is not UTF-8, a will's topic with a null.
        refused(version, &flagged(version, 0x80, &[&text(b"a\xff")]), code);
        refused(version, &flagged(version, WILL, &[no_properties, &text("a\0b"), payload]), code);
        // No client id at all; cut off in the middle.
        let mut own = connect(version, "");
        own.payload.clear();
        refused(version, &own.bytes(), code);
        refused(version, &packet(CONNECT, &[&text("MQTT")[..], &[version, 2]].concat()), code);
    }
    // A password alone: legal in 5.0 only.
    refused(4, &flagged(4, 0x40, &[&text("secret")]), None);
    let site = site();
    let mut raw = Raw::open(site.mqtt, 5);
    raw.send(&flagged(5, 0x40, &[&text("secret")]));
    assert_eq!(raw.connack().code, 0x87, "its form is sound, and nobody is meant by it");
}

#[test]
fn n033_n037_a_client_id_has_up_to_256_bytes() {
    let site = site();
    for version in [4, 5] {
        for id in [
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "a",
            "a b/#+$",
            &"x".repeat(256),
        ] {
            Raw::join(site.mqtt, &connect(version, id)).leave();
        }
        let code = if version == 5 { 0x85 } else { 2 };
        refused(version, &connect(version, &"x".repeat(257)).bytes(), Some(code));
    }
}

/// 3.1.1 has no word for it. The rest is not waited for.
#[test]
fn n038_a_connect_that_is_too_large_is_told_so() {
    let _site = site();
    for (version, code) in [(3, None), (4, None), (5, Some(0x95))] {
        let mut own = connect(version, "n038");
        own.flags |= 0x80;
        own.payload.extend(text("x".repeat(16 * 1024)));
        refused(version, &own.bytes(), code);
        // Its length, and what tells the version: a byte of the header, three of the length, the name and the level.
        let head = 1 + 3 + 2 + own.name.len() + 1;
        refused(version, &own.bytes()[..head], code);
    }
    refused(5, &[&[0x10][..], &number(17_000), &text("MQTT"), &[6]].concat(), Some(0x84));
    refused(5, &[&[0x10][..], &number(17_000), &text("HTTP"), &[5]].concat(), None);
}

#[test]
fn n034_n035_n036_n068_who_has_no_client_id_is_given_one() {
    let site = site();
    Raw::join(site.mqtt, &v4("")).leave();
    refused(4, &v4("").kept(0).bytes(), Some(2));
    let mut given = Vec::new();
    for own in [v5(""), v5("").kept(0), v5("").kept(60)] {
        let (raw, connack) = Raw::try_join(site.mqtt, &own);
        assert_eq!((connack.code, connack.is_present), (0, false));
        let id = property_of(&connack.properties, ASSIGNED_ID).expect("it is told its id").to_vec();
        given.push(String::from_utf8(id).unwrap());
        raw.leave();
    }
    assert!(
        given[0] != given[1] && given[1] != given[2] && given.iter().all(|id| id.len() == 32),
        "{given:?}"
    );
    // By the id that it was given it finds its session.
    let (_raw, connack) = Raw::try_join(site.mqtt, &v5(&given[2]).kept(60));
    assert!(connack.is_present && property_of(&connack.properties, ASSIGNED_ID).is_none());
}

#[test]
fn n041_n062_n063_nothing_is_looked_at_after_a_refusal() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v4("n041-hears"));
    hears.subscribe(&[("n041", 0)]);
    for version in [4, 5] {
        let mut raw = Raw::open(site.mqtt, version);
        let publish = raw.publish_bytes((0, 0), 0, "n041", &[], "looked at");
        let refused = connect(version, &"x".repeat(257)).will("n041", "a will");
        raw.send(&[refused.bytes(), publish].concat());
        assert_ne!(raw.connack().code, 0);
    }
    let mut says = Raw::join(site.mqtt, &v4("n041-says"));
    says.publish(1, "n041", "after");
    assert_eq!(hears.message().payload, "after");
    // A kept session is no reason to say that it is there.
    Raw::join(site.mqtt, &v5("n062").kept(60)).leave();
    let with_method = v5("n062").kept(60).with(text_property(AUTH_METHOD, "SCRAM"));
    refused(5, &with_method.bytes(), Some(0x8c));
}

#[test]
fn n042_n057_n058_what_is_sent_before_connack_is_done_after_it_in_order() {
    let site = site();
    for (version, kept) in [(4, false), (4, true), (5, false), (5, true)] {
        let own = connect(version, &format!("n042-{version}-{kept}"));
        let own = if kept { own.kept(60) } else { own };
        let mut raw = Raw::open(site.mqtt, version);
        let topic = format!("n042/{version}/{kept}");
        let properties: &[u8] = if version == 5 { &[0] } else { &[] };
        let subscribe = packet(0x82, &[&[0, 9], properties, &text(&topic), &[1]].concat());
        let publish = raw.publish_bytes((2, 0), 5, &topic, &[], "early");
        raw.send(&[&own.bytes()[..], &subscribe, &publish, PINGREQ].concat());
        assert_eq!(raw.connack().code, 0);
        // A ping's answer, an acknowledgement and a message come as each is due.
        let mut kinds: Vec<u8> = (0..4).map(|_| raw.packet().unwrap().first).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, [0x32, PUBREC, SUBACK, 0xd0], "and no second CONNACK");
    }
}

#[test]
fn n043_n044_n054_n065_to_n074_connack_tells_what_holds() {
    let site = site();
    let told = |own: &super::bytes::Connect| Raw::try_join(site.mqtt, own).1.properties;
    let always = |all: Vec<(u8, Vec<u8>)>| {
        let mut own = vec![
            // Who has no name is bounded as a gateway is.
            (RECEIVE_MAX, vec![4, 0]),
            (ALIAS_MAX, vec![0, 16]),
            (PACKET_MAX, (2_u32 * 1024 * 1024).to_be_bytes().to_vec()),
        ];
        own.extend(all);
        own.sort();
        own
    };
    let sorted = |mut own: Vec<(u8, Vec<u8>)>| {
        own.sort();
        own
    };
    assert_eq!(sorted(told(&v5("n065"))), always(vec![]), "and nothing of what is offered anyway");
    assert_eq!(sorted(told(&v5("n043").kept(60))), always(vec![]));
    let week = (SESSION_EXPIRY, 604_800_u32.to_be_bytes().to_vec());
    assert_eq!(sorted(told(&v5("n044").kept(u32::MAX))), always(vec![week.clone()]));
    assert_eq!(sorted(told(&v5("n044").kept(604_801))), always(vec![week]));
    let hour = (0x13, 3_600_u16.to_be_bytes().to_vec());
    assert_eq!(sorted(told(&v5("n054").keep_alive(0))), always(vec![hour.clone()]));
    assert_eq!(sorted(told(&v5("n054").keep_alive(3_601))), always(vec![hour]));
    assert_eq!(sorted(told(&v5("n054").keep_alive(3_600))), always(vec![]));
    // Never given, even where it is asked for.
    assert_eq!(sorted(told(&v5("n048").with(property(RESPONSE_INFORMATION, [1])))), always(vec![]));
}

#[test]
fn n045_n050_n051_what_no_client_may_say_of_itself() {
    for wrong in [
        u16_property(RECEIVE_MAX, 0),
        u32_property(PACKET_MAX, 0),
        property(PROBLEM_INFORMATION, [2]),
        property(RESPONSE_INFORMATION, [2]),
    ] {
        refused(5, &v5("n045").with(wrong).bytes(), Some(0x82));
    }
    refused(5, &v5("n050").with(text_property(AUTH_METHOD, "x")).bytes(), Some(0x8c));
    // Its data without it (3.1.2.11.10).
    refused(5, &v5("n050").with(text_property(0x16, "x")).bytes(), Some(0x82));
}

#[test]
fn n047_n117_our_aliases_stay_within_the_clients_maximum() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v5("n047").with(u16_property(ALIAS_MAX, 2)));
    let mut none = Raw::join(site.mqtt, &v5("n047-none"));
    let mut says = Raw::join(site.mqtt, &v5("n047-says"));
    hears.subscribe(&[("n047/#", 0)]);
    none.subscribe(&[("n047/#", 0)]);
    for topic in ["a", "b", "c", "a", "b", "c"] {
        says.publish(0, &format!("n047/{topic}"), topic);
    }
    let mut known = std::collections::BTreeMap::<u16, String>::new();
    for topic in ["a", "b", "c", "a", "b", "c"] {
        let (message, plain) = (hears.message(), none.message());
        assert_eq!((&message.payload[..], &plain.topic[..]), (topic, &format!("n047/{topic}")[..]));
        assert_eq!(plain.property(0x23), None);
        let alias = message.property(0x23).map(|own| u16::from_be_bytes([own[0], own[1]]));
        assert!(alias.is_none_or(|own| (1..=2).contains(&own)), "{alias:?}");
        let full = match alias {
            Some(alias) if message.topic.is_empty() => known[&alias].clone(),
            Some(alias) => known.entry(alias).or_insert(message.topic.clone()).clone(),
            None => message.topic.clone(),
        };
        assert_eq!(full, format!("n047/{topic}"));
    }
    assert_eq!(known.len(), 2);
}
