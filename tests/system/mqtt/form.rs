//! Rows 1 to 14: the form of packets.

use super::bytes::{
    AUTH, CONTENT_TYPE, DISCONNECT, FORMAT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE,
    UNSUBSCRIBE, ack, connect, counted, packet, property, text, text_property, user, v4, v5,
};
use super::raw::Raw;
use super::site;

/// A client of this version that says something wrong: it is told why, where that is possible, and the connection ends.
#[track_caller]
fn ends(version: u8, bytes: &[u8], reason: u8) {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &connect(version, ""));
    raw.send(bytes);
    raw.ends(reason);
}

#[test]
fn n001_n002_n012_strings_are_utf_8_without_null() {
    for bad in [&b"a\xff"[..], b"\xed\xa0\x80", b"\xc0\xaf", b"a\0b"] {
        let publish = |properties: &[u8]| packet(PUBLISH, &[&text(bad), properties, b"x"].concat());
        ends(4, &publish(b""), 0x81);
        ends(5, &publish(&[0]), 0x81);
        let subscribe =
            |properties: &[u8]| packet(SUBSCRIBE, &[&[0, 1], properties, &text(bad), &[0]].concat());
        ends(4, &subscribe(b""), 0x81);
        ends(5, &subscribe(&[0]), 0x81);
        let in_property = property(CONTENT_TYPE, text(bad));
        ends(5, &packet(PUBLISH, &[text("n001"), counted(&in_property)].concat()), 0x81);
        let in_pair = property(0x26, [text("a"), text(bad)].concat());
        ends(5, &packet(PUBLISH, &[text("n001"), counted(&in_pair)].concat()), 0x81);
        let site = site();
        for version in [4, 5] {
            let mut own = connect(version, "");
            own.payload = text(bad);
            let mut raw = Raw::open(site.mqtt, version);
            raw.send(&own.bytes());
            if version == 5 {
                assert_eq!(raw.connack().code, 0x81);
            } else {
                assert_eq!(raw.packet(), None);
            }
        }
    }
}

#[test]
fn n003_a_byte_order_mark_is_a_character() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v4("n003"));
    raw.subscribe(&[("n003/\u{feff}x", 0)]);
    raw.send_publish((0, 0), "n003/x", &[], "without");
    raw.send_publish((0, 0), "n003/\u{feff}x", &[], "with");
    let message = raw.message();
    assert_eq!((&message.topic[..], &message.payload[..]), ("n003/\u{feff}x", "with"));
}

#[test]
fn n004_a_length_may_be_longer_than_needed_and_ours_is_not() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v5("n004"));
    raw.send(&[0xc0, 0x80, 0x80, 0]);
    // Lengths that come are looked at wherever they are read.
    raw.ping_answer();
    // Five bytes are none (1.5.5).
    raw.send(&[0xc0, 0x80, 0x80, 0x80, 0x80, 1]);
    raw.ends(0x81);
}

#[test]
fn n005_n142_n184_n192_reserved_flags_are_as_they_must_be() {
    let answer = [0, 1];
    let subscribe4 = [&answer[..], &text("n005"), &[0]].concat();
    let subscribe5 = [&answer[..], &[0], &text("n005"), &[0]].concat();
    for first in [PUBACK | 1, PUBREC | 2, PUBREL & 0xf0, PUBREL | 1, PUBCOMP | 8] {
        ends(4, &packet(first, &answer), 0x81);
        ends(5, &packet(first, &answer), 0x81);
    }
    for first in [SUBSCRIBE & 0xf0, SUBSCRIBE | 1] {
        ends(4, &packet(first, &subscribe4), 0x81);
        ends(5, &packet(first, &subscribe5), 0x81);
    }
    for first in [UNSUBSCRIBE & 0xf0, UNSUBSCRIBE | 4] {
        ends(4, &packet(first, &subscribe4[..subscribe4.len() - 1]), 0x81);
        ends(5, &packet(first, &subscribe5[..subscribe5.len() - 1]), 0x81);
    }
    for first in [0xc1, DISCONNECT | 2] {
        ends(4, &[first, 0], 0x81);
        ends(5, &[first, 0], 0x81);
    }
    ends(5, &[AUTH | 1, 0], 0x81);
    // Type 0, and 15 in 3.1.1, are no packets.
    ends(4, &[0, 0], 0x81);
    ends(5, &[0, 0], 0x81);
    ends(4, &[AUTH, 0], 0x81);
}

#[test]
fn n006_a_packet_id_is_not_zero_where_one_is_due() {
    let none = [0, 0];
    for first in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        ends(4, &packet(first, &none), 0x81);
        ends(5, &packet(first, &none), 0x81);
    }
    for qos in [1, 2] {
        ends(4, &packet(PUBLISH | qos << 1, &[&text("n006")[..], &none, b"x"].concat()), 0x81);
        ends(5, &packet(PUBLISH | qos << 1, &[&text("n006")[..], &none, &[0], b"x"].concat()), 0x81);
    }
    ends(4, &packet(SUBSCRIBE, &[&none[..], &text("n006"), &[0]].concat()), 0x81);
    ends(5, &packet(SUBSCRIBE, &[&none[..], &[0], &text("n006"), &[0]].concat()), 0x81);
    ends(4, &packet(UNSUBSCRIBE, &[&none[..], &text("n006")].concat()), 0x81);
    ends(5, &packet(UNSUBSCRIBE, &[&none[..], &[0], &text("n006")].concat()), 0x81);
}

#[test]
fn n007_n010_qos_0_has_no_packet_id_and_no_properties_are_a_length_of_zero() {
    let site = site();
    for version in [4, 5] {
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        let topic = format!("n007/{version}");
        raw.subscribe(&[(&topic, 0)]);
        raw.send_publish((0, 0), &topic, &[], "\0\u{1}is no id");
        let message = raw.message();
        assert_eq!((&message.payload[..], message.id), ("\0\u{1}is no id", None));
    }
    // Without the length itself it is cut short.
    ends(5, &packet(PUBLISH, &text("n010")), 0x81);
}

#[test]
fn n008_n009_n127_n128_our_ids_are_free_ones_and_answers_carry_the_id_of_the_question() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v5("n008-hears"));
    let mut says = Raw::join(site.mqtt, &v5("n008-says"));
    hears.subscribe(&[("n008/#", 2)]);
    for n in 0..20 {
        says.publish(n % 3, "n008/x", &n.to_string());
    }
    let messages: Vec<_> = (0..20).map(|_| hears.message()).collect();
    assert_eq!(
        messages.iter().map(|own| u64::from(own.qos)).collect::<Vec<_>>(),
        (0..20).map(|n| n % 3).collect::<Vec<_>>()
    );
    let mut ids: Vec<u16> = messages.iter().filter_map(|own| own.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 13, "QoS 1 and 2 share their ids");
    messages.iter().for_each(|message| hears.acknowledge(message));
    // The largest id is one like others.
    let mut raw = Raw::join(site.mqtt, &v4("n009"));
    raw.send(&packet(SUBSCRIBE, &[&[0xff, 0xff][..], &text("n009"), &[1]].concat()));
    assert_eq!(raw.codes(SUBACK, 0xffff), [1]);
    raw.send(&raw.publish_bytes((1, 0), 0xfffe, "n009/y", &[], "x"));
    assert_eq!(raw.ack(PUBACK), (0xfffe, 0));
    raw.send(&raw.publish_bytes((2, 0), 0xfffd, "n009/y", &[], "x"));
    assert_eq!(raw.ack(PUBREC), (0xfffd, 0));
    raw.send(&ack(PUBREL, 0xfffd));
    assert_eq!(raw.ack(PUBCOMP), (0xfffd, 0));
}

#[test]
fn n011_a_property_is_there_once_and_in_its_packet() {
    let publish = |properties: &[u8]| packet(PUBLISH, &[text("n011"), counted(properties)].concat());
    let twice = |own: Vec<u8>| [own.clone(), own].concat();
    ends(5, &publish(&twice(property(FORMAT, [1]))), 0x82);
    ends(5, &publish(&twice(text_property(CONTENT_TYPE, "x"))), 0x82);
    // Session expiry and a reason string are for other packets.
    ends(5, &publish(&[0x11, 0, 0, 0, 9]), 0x82);
    ends(5, &publish(&text_property(0x1f, "x")), 0x82);
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v5("n011"));
    raw.subscribe(&[("n011/x", 0)]);
    raw.send_publish((0, 0), "n011/x", &twice(user("a", "b")), "x");
    assert_eq!(raw.message().all(0x26), [b"a=b", b"a=b"]);
}
