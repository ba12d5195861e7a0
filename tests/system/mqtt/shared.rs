//! Rows 175 to 183: shared subscriptions. The right to one stands with credentials.

use std::collections::BTreeSet;

use super::bytes::{PUBREC, PUBREL, RECEIVE_MAX, ack, ack_with, connect, u16_property, v4, v5};
use super::raw::Raw;
use super::site;

#[test]
fn n175_n176_n177_one_of_a_group_gets_it_and_groups_and_plain_ones_are_apart() {
    let site = site();
    // The second one speaks 3.1.1, and has a lower QoS.
    let mut one = Raw::join(site.mqtt, &v5("n176-one"));
    let mut two = Raw::join(site.mqtt, &v4("n176-two"));
    let mut other = Raw::join(site.mqtt, &v5("n176-other"));
    let mut plain = Raw::join(site.mqtt, &v5("n176-plain"));
    assert_eq!(one.subscribe(&[("$share/g/n176/+", 2)]), [2]);
    assert_eq!(two.subscribe(&[("$share/g/n176/+", 1)]), [1]);
    assert_eq!(other.subscribe(&[("$share/h/n176/+", 2)]), [2]);
    assert_eq!(plain.subscribe(&[("n176/x", 2)]), [2]);
    let mut says = Raw::join(site.mqtt, &v4("n176-says"));
    (0..20).for_each(|n| says.publish(2, "n176/x", &n.to_string()));
    for n in 0..20 {
        assert_eq!(other.take().payload, n.to_string());
        assert_eq!(plain.take().payload, n.to_string());
    }
    // In turn: each of the two gets half of them.
    let first: Vec<_> = (0..10).map(|_| one.take()).collect();
    let second: Vec<_> = (0..10).map(|_| two.take()).collect();
    assert!(first.iter().all(|own| own.qos == 2) && second.iter().all(|own| own.qos == 1));
    let all: BTreeSet<String> = first.into_iter().chain(second).map(|own| own.payload).collect();
    assert_eq!(all.len(), 20);
}

#[test]
fn n178_while_all_are_away_it_is_kept_for_one_of_them() {
    let site = site();
    let own = |id: &str| v5(id).kept(60);
    for id in ["n178-one", "n178-two"] {
        let mut raw = Raw::join(site.mqtt, &own(id));
        raw.subscribe(&[("$share/g/n178", 1), (&format!("fence/{id}"), 1)]);
        raw.leave();
    }
    let mut says = Raw::join(site.mqtt, &v4("n178-says"));
    (0..6).for_each(|n| says.publish(1, "n178", &n.to_string()));
    let mut got = BTreeSet::new();
    for id in ["n178-one", "n178-two"] {
        let mut raw = Raw::join(site.mqtt, &own(id));
        let fence = format!("fence/{id}");
        says.publish(1, &fence, "fence");
        loop {
            let message = raw.take();
            if message.topic == fence {
                break raw.ping();
            }
            assert!(got.insert(message.payload), "nothing twice");
        }
        raw.unsubscribe(&["$share/g/n178", &fence]);
        raw.leave();
    }
    assert_eq!(got.len(), 6);
    // One is present and one is away: the present one gets it.
    let mut here = Raw::join(site.mqtt, &v5("n178-here"));
    here.subscribe(&[("$share/p/n178", 1)]);
    let mut away = Raw::join(site.mqtt, &own("n178-away"));
    away.subscribe(&[("$share/p/n178", 1)]);
    away.leave();
    (0..4).for_each(|n| says.publish(1, "n178", &n.to_string()));
    (0..4).for_each(|n| assert_eq!(here.take().payload, n.to_string()));
}

#[test]
fn n179_n180_trap_21_what_was_begun_with_qos_2_stays_and_the_rest_goes_to_another() {
    let site = site();
    let mut one = Raw::join(site.mqtt, &v5("n180-one").with(u16_property(RECEIVE_MAX, 1)));
    one.subscribe(&[("$share/g/n180", 2)]);
    let mut says = Raw::join(site.mqtt, &v4("n180-says"));
    for payload in ["begun", "second", "third"] {
        says.publish(2, "n180", payload);
    }
    let begun = one.message();
    one.send(&ack(PUBREC, begun.id.unwrap()));
    assert_eq!(one.ack(PUBREL).0, begun.id.unwrap());
    let mut two = Raw::join(site.mqtt, &v5("n180-two"));
    two.subscribe(&[("$share/g/n180", 2)]);
    // Its session ends with its connection.
    one.cut();
    assert_eq!([two.take().payload, two.take().payload], ["second", "third"]);
    says.publish(1, "n180", "alone");
    assert_eq!(two.take().payload, "alone");
}

#[test]
fn n180_a_qos_1_message_that_was_sent_goes_to_another() {
    let site = site();
    let mut one = Raw::join(site.mqtt, &v5("n180-q1-one"));
    one.subscribe(&[("$share/g/n180q1", 1)]);
    let mut says = Raw::join(site.mqtt, &v4("n180-q1-says"));
    says.publish(1, "n180q1", "unanswered");
    assert_eq!(one.message().payload, "unanswered");
    let mut two = Raw::join(site.mqtt, &v5("n180-q1-two"));
    two.subscribe(&[("$share/g/n180q1", 1)]);
    one.cut();
    assert_eq!(two.take().payload, "unanswered");
}

#[test]
fn n181_n182_a_refusal_drops_it_and_retained_ones_are_not_for_groups() {
    let site = site();
    let mut says = Raw::join(site.mqtt, &v4("n181-says"));
    says.retain(1, "n181", "kept");
    for version in [4, 5] {
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        raw.subscribe(&[("$share/g/n181", 1)]);
        says.publish(1, "n181", "now");
        assert_eq!(raw.take().brief(), ("now", 1, false));
        raw.unsubscribe(&["$share/g/n181"]);
    }
    let mut one = Raw::join(site.mqtt, &v5("n181-one"));
    let mut two = Raw::join(site.mqtt, &v5("n181-two"));
    one.subscribe(&[("$share/r/n181", 1)]);
    says.publish(1, "n181", "refused");
    let message = one.message();
    two.subscribe(&[("$share/r/n181", 1)]);
    one.send(&ack_with(super::bytes::PUBACK, message.id.unwrap(), 0x83));
    one.ping();
    one.leave();
    says.publish(1, "n181", "next");
    assert_eq!(two.take().payload, "next");
}
