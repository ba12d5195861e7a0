//! Rows 184 to 194: DISCONNECT and AUTH. How wills and sessions see it stands with those.

use super::bytes::{AUTH, DISCONNECT, LEAVE, connect, disconnect_with, packet, text_property, v4, v5};
use super::raw::Raw;
use super::site;
use crate::harness::Site;

#[test]
fn n185_nothing_is_read_after_a_disconnect() {
    let site = site();
    for version in [4, 5] {
        let topic = format!("n185/{version}");
        let mut hears = Raw::join(site.mqtt, &v4(""));
        hears.subscribe(&[(&topic, 1)]);
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        let before = raw.publish_bytes((0, 0), 0, &topic, &[], "before");
        let after = raw.publish_bytes((0, 0), 0, &topic, &[], "after");
        raw.send(&[&before[..], LEAVE, &after, &[0xc0, 0]].concat());
        assert_eq!(raw.packet(), None);
        let mut says = Raw::join(site.mqtt, &v4(""));
        says.publish(1, &topic, "another's");
        assert_eq!([hears.take().payload, hears.take().payload], ["before", "another's"]);
    }
}

#[test]
fn n186_n187_n190_what_a_client_may_not_say_at_the_end() {
    let site = site();
    for (bytes, reason) in [
        // Codes that only a server may send, and one that nobody may.
        (disconnect_with(0x8b, &[]), 0x82),
        (disconnect_with(0x8e, &[]), 0x82),
        (disconnect_with(0x9d, &[]), 0x82),
        (disconnect_with(0x01, &[]), 0x82),
        // A server reference is a server's.
        (disconnect_with(0, &text_property(0x1c, "elsewhere")), 0x82),
    ] {
        let mut raw = Raw::join(site.mqtt, &v5(""));
        raw.send(&bytes);
        let end = raw.end();
        assert!(end == Some(reason) || end == Some(0x81), "{bytes:x?}: {end:x?}");
    }
    // A reason string and user properties are anybody's.
    let mut raw = Raw::join(site.mqtt, &v5("n190"));
    raw.send(&disconnect_with(0, &[text_property(0x1f, "bye"), super::bytes::user("a", "b")].concat()));
    assert_eq!(raw.end(), None);
}

#[test]
fn n186_nothing_is_said_before_connack() {
    let site = site();
    let mut raw = Raw::open(site.mqtt, 5);
    raw.send(LEAVE);
    assert_eq!(raw.packet(), None);
}

#[test]
fn n193_an_auth_without_a_method_is_an_error() {
    let site = site();
    for bytes in [
        vec![AUTH, 0],
        packet(AUTH, &[0x19, 0]),
        packet(AUTH, &[&[0x18, 4][..], &text_property(0x15, "x")].concat()),
    ] {
        let mut raw = Raw::join(site.mqtt, &v5(""));
        raw.send(&bytes);
        raw.ends(0x82);
    }
    let mut raw = Raw::open(site.mqtt, 5);
    raw.send(&[AUTH, 0]);
    assert_eq!(raw.packet(), None);
}

#[test]
fn n191_a_stop_is_told() {
    let mut site = Site::started("");
    let mut new = Raw::join(site.mqtt, &v5("n191").kept(60));
    let mut old = Raw::join(site.mqtt, &v4("n191-old"));
    new.publish(1, "n191", "x");
    let stops = std::thread::spawn(move || assert_eq!(site.stop(), 0));
    new.ends(0x8b);
    old.ends(0x8b);
    stops.join().unwrap();
}

#[test]
fn n184_a_disconnect_of_3_1_1_is_two_bytes() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v4("n184"));
    raw.send(&[DISCONNECT, 1, 0]);
    raw.ends(0x81);
}
