//! Rows 31, 39, 82, 124, 183 and 191 by rights: who may what, and how it is told.

use std::io::Write;

use serde_json::json;

use super::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, RECEIVE_MAX, ack, connect};
use super::parse::property_of;
use super::raw::Raw;
use crate::harness::Site;

const OWN: &str = "sanitation/east/bin/b-1/telemetry";
const OTHERS: &str = "sanitation/east/bin/b-2/telemetry";

#[test]
fn n031_two_credentials_with_one_client_id_are_two_sessions() {
    let site = Site::strict("");
    let (_, one) = site.credential(&json!({ "username": "b-1" }));
    let (_, two) = site.credential(&json!({ "username": "b-2" }));
    for version in [4, 5] {
        let mut first = Raw::join(site.mqtt, &connect(version, "same").account("b-1", &one));
        let mut second = Raw::join(site.mqtt, &connect(version, "same").account("b-2", &two));
        first.ping();
        second.ping();
        // Its own it does take over.
        let mut third = Raw::join(site.mqtt, &connect(version, "same").account("b-1", &one));
        first.ends(0x8e);
        third.ping();
        second.ping();
    }
}

#[test]
fn n073_n137_trap_5_trap_19_more_under_way_than_was_told_ends_the_connection_and_says_why() {
    let site = Site::strict("");
    let (_, secret) = site.credential(&json!({ "username": "b-1" }));
    let (mut raw, connack) = Raw::try_join(site.mqtt, &connect(5, "n137").account("b-1", &secret));
    assert_eq!(property_of(&connack.properties, RECEIVE_MAX), Some(&[0, 64][..]));
    // QoS 2 counts until PUBCOMP: 64 that are received and not released are as many as there may be.
    for id in 1..=64 {
        raw.send(&raw.publish_bytes((2, 0), id, OWN, &[], "{}"));
        assert_eq!(raw.ack(PUBREC), (id, 0));
    }
    // One that came before is none more.
    raw.send(&raw.publish_bytes((2, 8), 1, OWN, &[], "{}"));
    assert_eq!(raw.ack(PUBREC), (1, 0));
    raw.send(&ack(PUBREL, 1));
    assert_eq!(raw.ack(PUBCOMP), (1, 0));
    raw.send(&raw.publish_bytes((1, 0), 65, OWN, &[], "{}"));
    assert_eq!(raw.ack(PUBACK), (65, 0));
    raw.send(&raw.publish_bytes((2, 0), 66, OWN, &[], "{}"));
    assert_eq!(raw.ack(PUBREC), (66, 0));
    // With much behind it that nobody reads: no reset may overtake the reason.
    let behind: Vec<u8> =
        (100..400).flat_map(|id| raw.publish_bytes((1, 0), id, OWN, &[], &"x".repeat(1_000))).collect();
    let mut out = raw.stream.try_clone().unwrap();
    let behind_it = std::thread::spawn(move || {
        // The peer may close at any time.
        let _ = out.write_all(&behind);
    });
    raw.ends(0x93);
    behind_it.join().unwrap();
}

#[test]
fn n039_n064_n082_a_refusal_says_why() {
    let site = Site::strict("");
    let (_, secret) = site.credential(&json!({ "username": "b-1" }));
    let wrong = |version| connect(version, "n039").account("b-1", "wrong");
    let nobody = |version| connect(version, "n039").account("nobody", &secret);
    let nameless = |version| connect(version, "n039");
    for (version, password, right) in [(4, 4, 5), (5, 0x86, 0x87)] {
        assert_eq!(Raw::try_join(site.mqtt, &wrong(version)).1.code, password);
        assert_eq!(Raw::try_join(site.mqtt, &nobody(version)).1.code, password, "not told apart");
        let code = Raw::try_join(site.mqtt, &nameless(version)).1.code;
        assert!(code == password || code == right, "{code:#x}");
        // A will is a publish that comes later. The account stands behind it.
        let will = connect(version, "n082").will(OTHERS, "x").account("b-1", &secret);
        assert_eq!(Raw::try_join(site.mqtt, &will).1.code, right);
        let will = connect(version, "n082").will(OWN, "{}").account("b-1", &secret);
        assert_eq!(Raw::try_join(site.mqtt, &will).1.code, 0);
    }
}

#[test]
fn n124_what_is_not_allowed_is_told_by_its_acknowledgement_or_the_end() {
    let site = Site::strict("");
    let (_, secret) = site.credential(&json!({ "username": "b-1" }));
    let own = |version| connect(version, "n124").account("b-1", &secret);
    let mut raw = Raw::join(site.mqtt, &own(5));
    for (qos, kind) in [(1, PUBACK), (2, PUBREC)] {
        let id = raw.send_publish((qos, 0), OTHERS, &[], r#"{"fill_pct":1}"#);
        assert_eq!(raw.ack(kind), (id, 0x87));
    }
    raw.send_publish((0, 0), OTHERS, &[], r#"{"fill_pct":1}"#);
    raw.publish(1, OWN, r#"{"fill_pct":2}"#);
    // 3.1.1: closed, and the third time it is set aside, for it would come for ever.
    let publish = |payload: &str| {
        let mut raw = Raw::join(site.mqtt, &own(4));
        raw.send(&raw.publish_bytes((1, 8), 1, OTHERS, &[], payload));
        raw.packet().map(|own| own.first)
    };
    assert_eq!([publish("a"), publish("a"), publish("b")], [None; 3]);
    assert_eq!(publish("a"), Some(PUBACK));
    assert!(site.points("b-2", "fill_pct").is_empty());
}

#[test]
fn n164_n183_a_subscription_and_its_sharing_need_rights_of_their_own() {
    let site = Site::strict("");
    let (_, plain) =
        site.credential(&json!({ "username": "reads", "publish": [], "subscribe": ["sanitation/#"] }));
    let named = json!({ "username": "shares", "publish": [], "subscribe": ["$share/g/sanitation/#"] });
    let (_, shared) = site.credential(&named);
    for (version, denied) in [(4, 0x80), (5, 0x87)] {
        let mut raw = Raw::join(site.mqtt, &connect(version, "a").account("reads", &plain));
        let codes = raw.subscribe(&[
            ("sanitation/east/#", 1),
            ("$share/g/sanitation/#", 1),
            ("other/#", 1),
            ("#", 1),
        ]);
        assert_eq!(codes, [1, denied, denied, denied]);
        let mut raw = Raw::join(site.mqtt, &connect(version, "b").account("shares", &shared));
        let codes =
            raw.subscribe(&[("$share/g/sanitation/#", 1), ("$share/h/sanitation/#", 1), ("sanitation/#", 1)]);
        assert_eq!(codes, [1, denied, denied]);
    }
}

#[test]
fn n191_whose_credential_is_revoked_is_told_and_loses_its_session_without_a_will() {
    let site = Site::strict("");
    let (_, reads) =
        site.credential(&json!({ "username": "reads", "publish": [], "subscribe": ["sanitation/#"] }));
    let mut hears = Raw::join(site.mqtt, &connect(5, "hears").account("reads", &reads));
    assert_eq!(hears.subscribe(&[("sanitation/#", 1)]), [1]);
    for version in [4, 5] {
        let (id, secret) = site.credential(&json!({ "username": "b-1" }));
        let own = connect(version, "n191").kept(600).will(OWN, "will").account("b-1", &secret);
        let mut raw = Raw::join(site.mqtt, &own);
        raw.retain(1, OWN, r#"{"ts":1,"fill_pct":5}"#);
        assert_eq!(hears.take().qos, 1);
        let gone = site.request("DELETE", &format!("/api/v1/credentials/{id}"), None).unwrap();
        assert!(gone.0 < 300, "{gone:?}");
        raw.ends(0x87);
        assert_ne!(Raw::try_join(site.mqtt, &own).1.code, 0);
        // What it kept is gone with it.
        let mut asks = Raw::join(site.mqtt, &connect(5, "asks").account("reads", &reads));
        asks.subscribe(&[("sanitation/#", 1)]);
        let (_, other) = site.credential(&json!({ "username": format!("b-{}", version + 10) }));
        let name = format!("b-{}", version + 10);
        let topic = format!("sanitation/east/bin/{name}/telemetry");
        Raw::join(site.mqtt, &connect(5, "c").account(&name, &other)).publish(1, &topic, r#"{"fill_pct":1}"#);
        assert_eq!(asks.take().topic, topic);
        assert_eq!(hears.take().topic, topic, "no will");
    }
}
