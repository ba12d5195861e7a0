//! Rows 99 to 103 and 147 to 152: what is kept for a topic.

use super::bytes::{MESSAGE_EXPIRY, USER, connect, u32_property, user, v4, v5};
use super::raw::Raw;
use super::site;
use crate::harness::{Mosquitto, Site, publish, publish_with, wait_for};

/// Subscription options of 5.0.
const NO_RETAINED: u8 = 0x20;
const IF_NEW: u8 = 0x10;
const AS_PUBLISHED: u8 = 0x08;

#[test]
fn n099_to_n102_n151_the_last_one_is_kept_and_an_empty_one_removes_it() {
    let site = site();
    for version in [4, 5] {
        for qos in 0..3 {
            let topic = format!("n099/{version}/{qos}");
            let mut says = Raw::join(site.mqtt, &connect(version, ""));
            let mut hears = Raw::join(site.mqtt, &v4(""));
            hears.subscribe(&[(&topic, 2)]);
            says.retain(qos, &topic, "first");
            says.retain(qos, &topic, "second");
            // Without the flag nothing is kept and nothing is removed.
            says.publish(qos, &topic, "passing");
            says.publish(qos, &topic, "");
            for payload in ["first", "second", "passing", ""] {
                assert_eq!(hears.take().brief(), (payload, qos, false), "n152: later ones have no flag");
            }
            let kept = |hears: &mut Raw, expected: Option<&str>| {
                let mut asks = Raw::join(site.mqtt, &v4(""));
                asks.subscribe(&[(&topic, 2)]);
                if let Some(expected) = expected {
                    assert_eq!(asks.take().brief(), (expected, qos, true));
                }
                asks.send_publish((0, 0), &topic, &[], "end");
                assert_eq!(asks.take().payload, "end");
                assert_eq!(hears.take().payload, "end");
            };
            kept(&mut hears, Some("second"));
            says.retain(qos, &topic, "");
            assert_eq!(hears.take().brief(), ("", qos, false), "n101: it is handed on");
            kept(&mut hears, None);
        }
    }
}

#[test]
fn n103_here_the_flag_means_keep_it_and_from_another_broker_that_it_is_old() {
    let site = site();
    let mut says = Raw::join(site.mqtt, &v4("n103"));
    says.retain(1, "sanitation/east/bin/n103/telemetry", r#"{"fill_pct":1}"#);
    assert_eq!(site.points("n103", "fill_pct").len(), 1, "the device is speaking now");

    let broker = Mosquitto::start();
    let topic = "sanitation/east/bin/n103-old/telemetry";
    assert!(publish_with(broker.port, topic, r#"{"fill_pct":1}"#, &["-r"]));
    let follower = Site::started(&broker.broker_section());
    follower.wait_for_subscription(broker.port);
    // It came before what was waited for.
    assert!(publish(broker.port, topic, r#"{"fill_pct":2}"#));
    wait_for("a reading of now", || {
        follower.points("n103-old", "fill_pct").last().filter(|own| own.1 == 2.0).copied()
    });
    assert_eq!(follower.points("n103-old", "fill_pct").len(), 1);
}

#[test]
fn n147_to_n150_retain_handling() {
    let site = site();
    let mut says = Raw::join(site.mqtt, &v5("n148-says"));
    says.retain(1, "n148", "kept");
    let mut raw = Raw::join(site.mqtt, &v5("n148"));
    // Options, and whether the retained message comes.
    for (options, comes) in
        [(IF_NEW, true), (IF_NEW, false), (0, true), (1, true), (NO_RETAINED, false), (IF_NEW | 1, false)]
    {
        raw.subscribe(&[("n148", options)]);
        if comes {
            assert_eq!(raw.take().brief(), ("kept", options & 1, true));
        }
        says.publish(0, "n148", "fence");
        assert_eq!(raw.take().payload, "fence", "{options:#x}");
    }
    raw.unsubscribe(&["n148"]);
    raw.subscribe(&[("n148", NO_RETAINED)]);
    says.publish(0, "n148", "fence");
    assert_eq!(raw.take().payload, "fence");
    // 3.1.1: every SUBSCRIBE.
    let mut raw = Raw::join(site.mqtt, &v4("n148-old"));
    for _ in 0..2 {
        raw.subscribe(&[("n148", 1)]);
        assert_eq!(raw.take().brief(), ("kept", 1, true));
    }
}

#[test]
fn n152_later_ones_have_the_flag_where_it_is_asked_for() {
    let site = site();
    let mut says = Raw::join(site.mqtt, &v5("n152-says"));
    let mut plain = Raw::join(site.mqtt, &v5("n152-plain"));
    let mut same = Raw::join(site.mqtt, &v5("n152-same"));
    plain.subscribe(&[("n152", 0)]);
    same.subscribe(&[("n152", AS_PUBLISHED)]);
    says.retain(1, "n152", "kept");
    says.publish(1, "n152", "passing");
    assert_eq!((plain.message().retain, same.message().retain), (false, true));
    assert_eq!((plain.message().retain, same.message().retain), (false, false));
    // A new subscription: the flag, either way.
    plain.subscribe(&[("n152", 0)]);
    assert_eq!(plain.message().brief(), ("kept", 0, true));
}

#[test]
fn n110_n157_trap_25_what_is_kept_says_what_it_said_with_the_subscriptions_id() {
    let site = site();
    let mut says = Raw::join(site.mqtt, &v5("n157-says"));
    let more = [u32_property(MESSAGE_EXPIRY, 100), user("k", "v")].concat();
    says.publish_with((1, 1), "n157/kept", &more, "kept");
    let mut raw = Raw::join(site.mqtt, &v5("n157"));
    raw.subscribe_with(&[0x0b, 0xac, 2], &[("n157/#", 1)]);
    let message = raw.take();
    assert_eq!(message.brief(), ("kept", 1, true));
    assert_eq!(message.all(0x0b), [[0xac, 2]]);
    assert_eq!(message.all(USER), [b"k=v"]);
    let left = u32::from_be_bytes(message.property(MESSAGE_EXPIRY).unwrap().try_into().unwrap());
    assert!((90..=100).contains(&left), "{left}");
}

#[test]
fn trap_11_what_is_over_is_not_told_any_more() {
    let site = site();
    let mut says = Raw::join(site.mqtt, &v5("trap11"));
    says.publish_with((1, 1), "trap11/over", &u32_property(MESSAGE_EXPIRY, 1), "over");
    says.publish_with((1, 1), "trap11/stays", &[], "stays");
    wait_for("it is over", || {
        let mut asks = Raw::join(site.mqtt, &v5(""));
        asks.subscribe(&[("trap11/#", 0)]);
        (asks.message().payload == "stays").then_some(())
    });
}

#[test]
fn trap_14_a_large_retained_set_comes_whole_and_in_time_for_others() {
    let site = site();
    const NUMBER: usize = 2_500;
    let mut says = Raw::join(site.mqtt, &v5("trap14-says"));
    for n in 0..NUMBER {
        says.send_publish((0, 1), &format!("trap14/{n}"), &[], "x");
    }
    says.ping();
    says.publish(1, "trap14/last", "x");
    // More than the queue of a session holds, QoS 0 and QoS 1, and a small window.
    for own in [v5("trap14-a"), v5("trap14-b").with(super::bytes::u16_property(0x21, 3))] {
        let mut raw = Raw::join(site.mqtt, &own);
        raw.subscribe(&[("trap14/#", 1)]);
        let mut seen: std::collections::BTreeSet<String> = (0..NUMBER).map(|_| raw.take().topic).collect();
        assert_eq!(seen.len(), NUMBER);
        assert!(seen.remove("trap14/0"));
        raw.ping();
    }
}
