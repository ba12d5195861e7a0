//! Rows 127 to 136: what a client and the broker owe each other.

use super::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, ack_with, connect, v4, v5};
use super::raw::Raw;
use super::site;

#[test]
fn n129_after_puback_the_id_is_new() {
    let site = site();
    for version in [4, 5] {
        let topic = format!("n129/{version}");
        let mut hears = Raw::join(site.mqtt, &v4(""));
        hears.subscribe(&[(&topic, 1)]);
        let mut says = Raw::join(site.mqtt, &connect(version, ""));
        for payload in ["one", "two", "two"] {
            says.send(&says.publish_bytes((1, 0), 7, &topic, &[], payload));
            assert_eq!(says.ack(PUBACK), (7, 0));
            assert_eq!(hears.take().payload, payload);
        }
    }
}

#[test]
fn n131_n132_n134_trap_7_a_qos_2_message_is_delivered_once_however_often_it_comes() {
    let site = site();
    for (version, kept) in [(4, false), (4, true), (5, false), (5, true)] {
        let topic = format!("n132/{version}/{kept}");
        let mut hears = Raw::join(site.mqtt, &v4(""));
        hears.subscribe(&[(&topic, 2)]);
        let own = connect(version, &format!("n132-{version}-{kept}"));
        let own = if kept { own.kept(60) } else { own };
        let mut says = Raw::join(site.mqtt, &own);
        for flags in [0, 8, 0, 8, 8] {
            says.send(&says.publish_bytes((2, flags), 9, &topic, &[], "once"));
            assert_eq!(says.ack(PUBREC), (9, 0));
        }
        if kept {
            // Over a reconnect as well, three more times.
            says.cut();
            says = Raw::join(site.mqtt, &own);
            for _ in 0..3 {
                says.send(&says.publish_bytes((2, 8), 9, &topic, &[], "once"));
                assert_eq!(says.ack(PUBREC), (9, 0));
            }
        }
        for _ in 0..2 {
            // The second release finds nothing.
            says.send(&ack(PUBREL, 9));
        }
        assert_eq!(says.ack(PUBCOMP), (9, 0));
        let (id, reason) = says.ack(PUBCOMP);
        assert!(id == 9 && (reason == 0 || reason == 0x92), "{reason:#x}");
        // After PUBCOMP it is new.
        says.send(&says.publish_bytes((2, 0), 9, &topic, &[], "new"));
        assert_eq!(says.ack(PUBREC), (9, 0));
        assert_eq!([hears.take().payload, hears.take().payload], ["once", "new"]);
    }
}

#[test]
fn n132_doubles_that_come_before_the_commit_are_one_message() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v4("n132-burst-hears"));
    hears.subscribe(&[("n132/burst", 2)]);
    for version in [4, 5] {
        let mut says = Raw::join(site.mqtt, &connect(version, ""));
        let one = says.publish_bytes((2, 0), 9, "n132/burst", &[], "once");
        says.send(&[one.repeat(5), ack(PUBREL, 9)].concat());
        let mut answers: Vec<_> = (0..6).map(|_| says.packet().unwrap()).collect();
        let last = answers.pop().unwrap();
        assert!(answers.iter().all(|own| own.first == PUBREC));
        assert_eq!(last.first, PUBCOMP);
        says.publish(2, "n132/burst", "next");
        assert_eq!([hears.take().payload, hears.take().payload], ["once", "next"]);
    }
}

#[test]
fn n133_after_a_refusal_the_id_is_new() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v4("n133-hears"));
    hears.subscribe(&[("n133", 2)]);
    let mut says = Raw::join(site.mqtt, &v5("n133"));
    says.send(&says.publish_bytes((2, 0), 9, "n133/+", &[], "refused"));
    assert_eq!(says.ack(PUBREC), (9, 0x90));
    says.send(&says.publish_bytes((2, 0), 9, "n133", &[], "taken"));
    assert_eq!(says.ack(PUBREC), (9, 0));
    assert_eq!(hears.take().payload, "taken");
}

#[test]
fn n130_qos_2_out_goes_by_pubrec_pubrel_pubcomp() {
    let site = site();
    for version in [4, 5] {
        let topic = format!("n130/{version}");
        let mut hears = Raw::join(site.mqtt, &connect(version, ""));
        hears.subscribe(&[(&topic, 2)]);
        let mut says = Raw::join(site.mqtt, &v4(""));
        says.publish(2, &topic, "x");
        let message = hears.message();
        let id = message.id.unwrap();
        for _ in 0..2 {
            // Said twice, answered twice, and the PUBLISH does not come again.
            hears.send(&ack(PUBREC, id));
            assert_eq!(hears.ack(PUBREL), (id, 0));
        }
        hears.send(&ack(PUBCOMP, id));
        hears.send(&ack(PUBREC, id));
        let (own, reason) = hears.ack(PUBREL);
        assert!(own == id && reason == if version == 5 { 0x92 } else { 0 });
        says.publish(1, &topic, "after");
        assert_eq!(hears.take().payload, "after");
    }
}

#[test]
fn n135_n136_acknowledgements_and_messages_are_in_order_across_qos() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v4("n135-hears").kept(0));
    hears.subscribe(&[("n135", 2)]);
    let mut says = Raw::join(site.mqtt, &v5("n135"));
    let qos = |n: u16| (n * 7 % 3) as u8;
    for burst in 0..6 {
        let ids = burst * 40 + 1..=burst * 40 + 40;
        let bytes: Vec<u8> = ids
            .clone()
            .flat_map(|n| says.publish_bytes((qos(n), 0), n, "n135", &[], &n.to_string()))
            .collect();
        says.send(&bytes);
        for n in ids.clone().filter(|n| qos(*n) > 0) {
            assert_eq!(says.ack(if qos(n) == 1 { PUBACK } else { PUBREC }), (n, 0));
        }
        for n in ids.clone().filter(|n| qos(*n) == 2) {
            says.send(&ack(PUBREL, n));
            assert_eq!(says.ack(PUBCOMP), (n, 0));
        }
        for n in ids {
            assert_eq!(hears.take().brief(), (&n.to_string()[..], qos(n), false));
        }
    }
}

#[test]
fn n187_a_code_that_only_a_server_may_say_is_an_error() {
    let site = site();
    // 0x10 (nobody listens) is a server's own in PUBACK; 0x99 and others are anybody's.
    let mut raw = Raw::join(site.mqtt, &v5("n187"));
    raw.send(&ack_with(PUBACK, 7, 0x99));
    raw.ping();
    raw.send(&ack_with(PUBACK, 7, 0x42));
    let end = raw.end();
    assert!(end == Some(0x82) || end == Some(0x81), "{end:?}");
}
