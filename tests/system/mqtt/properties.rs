//! Rows 108 and 118 to 121: what is handed on besides the payload. Rows 46, 49 and 70: what the client takes.

use super::bytes::{
    CONTENT_TYPE, CORRELATION, FORMAT, MESSAGE_EXPIRY, PACKET_MAX, PROBLEM_INFORMATION, PUBACK, RECEIVE_MAX,
    RESPONSE_TOPIC, USER, property, text, text_property, u16_property, u32_property, user, v4, v5,
};
use super::parse::property_of;
use super::raw::Raw;
use super::site;

#[test]
fn n108_n110_n118_to_n121_a_message_says_what_it_said() {
    let site = site();
    let more = [
        property(FORMAT, [1]),
        u32_property(MESSAGE_EXPIRY, 600),
        text_property(CONTENT_TYPE, "application/\u{feff}json"),
        text_property(RESPONSE_TOPIC, "n108/answer"),
        property(CORRELATION, text(b"\0\xff\x80")),
        user("b", "2"),
        user("a", "1"),
        user("b", "2"),
        user("", ""),
    ]
    .concat();
    for qos in 0..3 {
        let topic = format!("n108/{qos}");
        let mut hears = Raw::join(site.mqtt, &v5(""));
        let mut old = Raw::join(site.mqtt, &v4(""));
        hears.subscribe(&[(&topic, 2)]);
        old.subscribe(&[(&topic, 2)]);
        let mut says = Raw::join(site.mqtt, &v5(""));
        // The format says UTF-8, and it is not: that is between the clients.
        says.publish_with((qos, 0), &topic, &more, "x");
        let message = hears.take();
        assert_eq!(message.brief(), ("x", qos, false));
        assert_eq!(message.property(FORMAT), Some(&[1][..]));
        assert_eq!(message.property(CONTENT_TYPE), Some("application/\u{feff}json".as_bytes()));
        assert_eq!(message.property(RESPONSE_TOPIC), Some(&b"n108/answer"[..]));
        assert_eq!(message.property(CORRELATION), Some(&b"\0\xff\x80"[..]));
        assert_eq!(message.all(USER), [&b"b=2"[..], b"a=1", b"b=2", b"="]);
        let left = u32::from_be_bytes(message.property(MESSAGE_EXPIRY).unwrap().try_into().unwrap());
        assert!((590..=600).contains(&left), "{left}");
        // A 3.1.1 client gets the message alone.
        assert_eq!(old.take().brief(), ("x", qos, false));
    }
}

#[test]
fn n108_a_payload_is_bytes() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v5("n108-bytes"));
    hears.subscribe(&[("n108/bytes", 0)]);
    let mut says = Raw::join(site.mqtt, &v4("n108-bytes-says"));
    says.send(&super::bytes::packet(0x30, &[&text("n108/bytes")[..], b"\xff\0\xfe"].concat()));
    let packet = hears.packet().unwrap();
    assert!(packet.body.ends_with(b"\xff\0\xfe"), "{packet:?}");
    // And it may be nothing.
    says.send(&super::bytes::packet(0x30, &text("n108/bytes")));
    assert_eq!(hears.message().payload, "");
}

#[test]
fn n046_n117_trap_12_what_does_not_fit_leaves_the_alias_untold() {
    let site = site();
    let own = v5("trap12").with(u32_property(0x27, 60)).with(super::bytes::u16_property(0x22, 1));
    let mut hears = Raw::join(site.mqtt, &own);
    hears.subscribe(&[("trap12/#", 1)]);
    let mut says = Raw::join(site.mqtt, &v4("trap12-says"));
    says.publish(1, "trap12/a", &"x".repeat(200));
    says.publish(1, "trap12/a", "fits");
    says.publish(1, "trap12/a", "again");
    let first = hears.take();
    assert_eq!((&first.topic[..], &first.payload[..]), ("trap12/a", "fits"), "its alias was not told before");
    assert_eq!(first.property(0x23), Some(&[0, 1][..]));
    let second = hears.take();
    assert_eq!((&second.topic[..], &second.payload[..]), ("", "again"));
}

#[test]
fn n046_a_client_gets_no_packet_above_its_size_and_one_of_just_that_size() {
    let site = site();
    let mut hears = Raw::join(
        site.mqtt,
        &v5("n046").with(u32_property(PACKET_MAX, 40)).with(u16_property(RECEIVE_MAX, 1)),
    );
    let mut says = Raw::join(site.mqtt, &v5("n046-says"));
    hears.subscribe(&[("n046", 1)]);
    for length in [29, 28, 5_000, 27] {
        says.publish(1, "n046", &"x".repeat(length));
    }
    // With a window of one: what is left out takes nothing of it.
    let first = hears.take();
    assert_eq!((first.payload.len(), first.size), (28 + 1, 40));
    assert_eq!(hears.take().payload.len(), 28);
    assert_eq!(hears.take().payload.len(), 27);
}

#[test]
fn n049_n070_reasons_are_told_in_words_where_they_are_wanted_and_fit() {
    let site = site();
    for (more, has_words) in [
        (vec![], true),
        (property(PROBLEM_INFORMATION, [1]), true),
        (property(PROBLEM_INFORMATION, [0]), false),
        (u32_property(PACKET_MAX, 20), false),
    ] {
        let mut raw = Raw::join(site.mqtt, &v5("n049").with(more));
        let id = raw.send_publish((1, 0), "n049/+", &[], "x");
        let (own, reason, properties) = raw.full_ack(PUBACK);
        assert_eq!((own, reason), (id, 0x90));
        assert_eq!(property_of(&properties, 0x1f).is_some(), has_words);
    }
}

#[test]
fn n046_an_answer_that_the_client_does_not_take_ends_the_connection() {
    let site = site();
    // Its own id is too long for it.
    let mut raw = Raw::open(site.mqtt, 5);
    raw.send(&v5("").with(u32_property(PACKET_MAX, 30)).bytes());
    assert_eq!(raw.packet(), None, "CONNACK is the first packet, or there is none");
    // Sixty codes are.
    let mut raw = Raw::join(site.mqtt, &v5("n046-codes").with(u32_property(PACKET_MAX, 30)));
    raw.send_subscribe(&[], &[("n046/codes", 0); 60]);
    raw.ends(0x95);
}
