//! Rows 142 to 164: SUBSCRIBE and UNSUBSCRIBE. Retained messages stand by themselves.

use super::bytes::{SUBACK, SUBSCRIBE, SUBSCRIPTION_ID, UNSUBSCRIBE, connect, packet, text, v4, v5};
use super::raw::Raw;
use super::site;

const NO_LOCAL: u8 = 0x04;

#[test]
fn n143_n144_n145_n159_n160_what_ends_the_connection() {
    let site = site();
    let subscribe = |properties: &[u8], filter: &str, options: u8| {
        packet(SUBSCRIBE, &[&[0, 1], properties, &text(filter), &[options]].concat())
    };
    for (version, bytes, reason) in [
        (4, packet(SUBSCRIBE, &[0, 1]), 0x82),
        (5, packet(SUBSCRIBE, &[0, 1, 0]), 0x82),
        (4, packet(UNSUBSCRIBE, &[0, 1]), 0x82),
        (5, packet(UNSUBSCRIBE, &[0, 1, 0]), 0x82),
        (4, subscribe(&[], "n144", 3), 0x81),
        (4, subscribe(&[], "n144", 0x80), 0x81),
        (4, subscribe(&[], "n144", 0x04), 0x81),
        (5, subscribe(&[0], "n144", 3), 0x81),
        (5, subscribe(&[0], "n144", 0x40), 0x81),
        (5, subscribe(&[0], "n144", 0x80), 0x81),
        (5, subscribe(&[0], "n145", 0x30), 0x82),
        (5, subscribe(&[0], "$share/n159/x", NO_LOCAL), 0x82),
        (5, subscribe(&[2, SUBSCRIPTION_ID, 0], "n160", 0), 0x82),
        (5, subscribe(&[4, SUBSCRIPTION_ID, 1, SUBSCRIPTION_ID, 2], "n160", 0), 0x82),
        // A filter without its options, and one that is cut off.
        (4, packet(SUBSCRIBE, &[&[0, 1], &text("n143")[..]].concat()), 0x81),
        (5, packet(SUBSCRIBE, &[&[0, 1, 0], &b"\0\x09short"[..]].concat()), 0x81),
    ] {
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        raw.send(&bytes);
        raw.ends(reason);
    }
}

#[test]
fn n146_n153_n154_n155_many_filters_are_granted_one_after_another_in_order() {
    let site = site();
    for (version, kept) in [(4, false), (4, true), (5, false), (5, true)] {
        let own = connect(version, &format!("n146-{version}-{kept}"));
        let mut raw = Raw::join(site.mqtt, &if kept { own.kept(60) } else { own });
        let bad = if version == 5 { 0x8f } else { 0x80 };
        let at = |name: &str| format!("n146/{version}/{kept}/{name}");
        let codes =
            raw.subscribe(&[(&at("a"), 2), (&at("b#"), 1), (&at("c"), 0), (&at("d"), 1), (&at("a"), 1)]);
        assert_eq!(codes, [2, bad, 0, 1, 1]);
        let mut says = Raw::join(site.mqtt, &v4(""));
        for (name, granted) in [("a", 1), ("c", 0), ("d", 1)] {
            for qos in 0..3 {
                says.publish(qos, &at(name), "x");
                assert_eq!(raw.take().qos, qos.min(granted), "n155: the lower of both");
            }
        }
        // Several SUBSCRIBEs under way at a time, each with its own answer, in order.
        let ids: Vec<u16> = (0..5).map(|n| raw.send_subscribe(&[], &[(&at(&n.to_string()), 1)])).collect();
        ids.into_iter().for_each(|id| assert_eq!(raw.codes(SUBACK, id), [1]));
    }
}

#[test]
fn n147_the_same_filter_is_replaced_and_nothing_is_lost_meanwhile() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v4("n147"));
    raw.subscribe(&[("n147", 1)]);
    let port = site.mqtt;
    let writer = std::thread::spawn(move || {
        let mut says = Raw::join(port, &v4("n147-says"));
        (0..100).for_each(|n| says.publish(1, "n147", &n.to_string()));
    });
    let mut next = 0;
    for round in 0..20 {
        let id = raw.send_subscribe(&[], &[("n147", round % 2 + 1)]);
        // Messages and the answer come as each is due.
        loop {
            let packet = raw.packet().unwrap();
            if packet.first == SUBACK {
                assert_eq!(packet.body[..2], id.to_be_bytes());
                break;
            }
            let message = super::parse::Message::of(&packet, 4);
            assert_eq!((message.payload.clone(), message.qos), (next.to_string(), 1));
            next += 1;
            raw.acknowledge(&message);
        }
    }
    while next < 100 {
        assert_eq!(raw.take().payload, next.to_string());
        next += 1;
    }
    writer.join().unwrap();
}

#[test]
fn n156_n157_filters_that_overlap_make_one_copy_with_the_highest_qos_and_all_ids() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v5("n156"));
    raw.subscribe_with(&[SUBSCRIPTION_ID, 1], &[("n156/#", 0)]);
    raw.subscribe_with(&[SUBSCRIPTION_ID, 0xff, 0xff, 0xff, 0x7f], &[("n156/+", 2)]);
    raw.subscribe(&[("n156/x", 1)]);
    let mut old = Raw::join(site.mqtt, &v4("n156-old"));
    old.subscribe(&[("n156/#", 0), ("n156/+", 1)]);
    let mut says = Raw::join(site.mqtt, &v4("n156-says"));
    for payload in ["one", "two"] {
        says.publish(2, "n156/x", payload);
        let message = raw.take();
        assert_eq!(message.brief(), (payload, 2, false));
        let mut ids = message.all(SUBSCRIPTION_ID);
        ids.sort_unstable();
        assert_eq!(ids, [&[1][..], &[0xff, 0xff, 0xff, 0x7f]]);
        assert_eq!(old.take().brief(), (payload, 1, false));
    }
    // The same filter again: with another id, then with none.
    raw.subscribe_with(&[SUBSCRIPTION_ID, 9], &[("n156/+", 2)]);
    raw.subscribe(&[("n156/#", 0)]);
    says.publish(2, "n156/x", "three");
    assert_eq!(raw.take().all(SUBSCRIPTION_ID), [[9]]);
}

#[test]
fn n158_who_wants_no_own_messages_gets_none_whatever_its_connection() {
    let site = site();
    let own = v5("n158").kept(60);
    let mut raw = Raw::join(site.mqtt, &own);
    raw.subscribe(&[("n158", 1 | NO_LOCAL)]);
    raw.publish(1, "n158", "mine");
    raw.leave();
    let mut raw = Raw::join(site.mqtt, &own);
    raw.publish(1, "n158", "mine again");
    let mut says = Raw::join(site.mqtt, &v5("n158-says"));
    says.publish(1, "n158", "another's");
    assert_eq!(raw.take().payload, "another's");
}

#[test]
fn n161_n162_n163_unsubscribe_takes_out_what_is_named_letter_by_letter() {
    let site = site();
    for (version, kept) in [(4, false), (5, false), (5, true)] {
        let own = connect(version, &format!("n161-{version}-{kept}"));
        let mut raw = Raw::join(site.mqtt, &if kept { own.kept(60) } else { own });
        let at = |name: &str| format!("n161/{version}/{kept}/{name}");
        raw.subscribe(&[(&at("+"), 1), (&at("x"), 1), (&at("y"), 1)]);
        let codes = raw.unsubscribe(&[&at("x"), &at("#"), &at("X"), &at("y")]);
        assert_eq!(codes, if version == 5 { vec![0, 0x11, 0x11, 0] } else { vec![] });
        let mut says = Raw::join(site.mqtt, &v4(""));
        says.publish(1, &at("x"), "by the other filter");
        // What was begun is finished: the message is there, and the subscription goes before its acknowledgement.
        let message = raw.message();
        raw.unsubscribe(&[&at("+")]);
        raw.acknowledge(&message);
        says.publish(1, &at("x"), "nobody's");
        raw.subscribe(&[(&at("z"), 0)]);
        says.publish(1, &at("z"), "fence");
        assert_eq!(raw.take().payload, "fence");
        // Not even one of them: it is answered all the same.
        assert_eq!(raw.unsubscribe(&["n161/never"]).len(), usize::from(version == 5));
    }
}

#[test]
fn n154_n164_limits_and_rights_refuse_one_filter_and_leave_the_others() {
    let site = site();
    for (version, quota, denied) in [(4, 0x80, 0x80), (5, 0x97, 0x87)] {
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        // The product's own alerts are told to credentials only.
        let codes = raw.subscribe(&[
            ("n164/a", 1),
            ("sanitation/alerts", 1),
            ("sanitation/alerts/#", 1),
            ("n164/b", 1),
        ]);
        assert_eq!(codes, [1, denied, denied, 1]);
        // 257 filters in one packet: one more than are looked at.
        let names: Vec<String> = (0..257).map(|n| format!("n154/{n}")).collect();
        let filters: Vec<(&str, u8)> = names.iter().map(|name| (&name[..], 0)).collect();
        let codes = raw.subscribe(&filters);
        assert_eq!(codes, [&[0; 256][..], &[quota]].concat());
    }
}
