//! Rows 75 to 80: what a session keeps while its client is away.

use super::bytes::{
    MESSAGE_EXPIRY, PUBACK, PUBCOMP, PUBREC, PUBREL, RECEIVE_MAX, SESSION_EXPIRY, WILL_DELAY, ack, ack_with,
    connect, disconnect_with, u16_property, u32_property, v4, v5,
};
use super::raw::Raw;
use super::site;

#[test]
fn n021_n022_n023_n060_n061_n075_a_session_goes_on_or_begins_anew() {
    let site = site();
    for version in [4, 5] {
        let id = format!("n021-{version}");
        let present = |own| {
            let (raw, connack) = Raw::try_join(site.mqtt, own);
            raw.leave();
            connack.is_present
        };
        let (kept, clean) = (connect(version, &id).kept(60), connect(version, &id));
        assert!(!present(&kept), "none there: a new one");
        assert!(present(&kept));
        assert!(!present(&clean));
        assert!(!present(&kept), "a session without a time ends with its connection");
        // Its subscriptions go with it.
        let mut raw = Raw::join(site.mqtt, &kept);
        let topic = format!("n021/{version}");
        raw.subscribe(&[(&topic, 1)]);
        raw.leave();
        let mut says = Raw::join(site.mqtt, &v4(""));
        says.publish(1, &topic, "kept");
        let mut raw = Raw::join(site.mqtt, &clean);
        says.publish(1, &topic, "nobody's");
        raw.ping();
        raw.subscribe(&[(&topic, 1)]);
        says.publish(1, &topic, "new");
        assert_eq!(raw.take().payload, "new");
    }
}

#[test]
fn n024_n077_n078_qos_1_and_2_are_kept_in_order_and_qos_0_is_not() {
    let site = site();
    for version in [4, 5] {
        let own = connect(version, &format!("n024-{version}")).kept(60);
        let topic = format!("n024/{version}");
        let mut raw = Raw::join(site.mqtt, &own);
        raw.subscribe(&[(&topic, 2)]);
        raw.leave();
        let mut says = Raw::join(site.mqtt, &v5(""));
        for n in 0..9 {
            says.publish(n % 3, &topic, &n.to_string());
        }
        let mut raw = Raw::join(site.mqtt, &own);
        for n in [1, 2, 4, 5, 7, 8] {
            let message = raw.take();
            assert_eq!((message.payload.clone(), message.qos, message.dup), (n.to_string(), n % 3, false));
        }
        says.publish(0, &topic, "here");
        assert_eq!(raw.take().payload, "here");
    }
}

#[test]
fn n075_n076_n088_a_session_ends_with_its_time_and_so_does_the_wills_delay() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v4("n076-hears"));
    hears.subscribe(&[("n076/will", 0)]);
    let own = v5("n076").kept(1).will_with(0, &u32_property(WILL_DELAY, 600), "n076/will", "over");
    let mut raw = Raw::join(site.mqtt, &own);
    raw.subscribe(&[("n076/x", 1)]);
    raw.cut();
    assert_eq!(hears.message().payload, "over");
    // The will comes with the session's end, a moment before it is taken away.
    let mut says = Raw::join(site.mqtt, &v4("n076-says"));
    says.publish(1, "n076/x", "lost");
    let connack = crate::harness::wait_for("the session's end", || {
        let (_raw, connack) = Raw::try_join(site.mqtt, &v5("n076").kept(1));
        (!connack.is_present).then_some(connack)
    });
    assert_eq!(connack.code, 0);
}

#[test]
fn n077_n078_n095_n130_n140_what_is_not_acknowledged_goes_again_only_after_a_reconnect() {
    let site = site();
    for version in [4, 5] {
        let own = connect(version, &format!("n077-{version}")).kept(60);
        let topic = format!("n077/{version}");
        let mut raw = Raw::join(site.mqtt, &own);
        raw.subscribe(&[(&topic, 2)]);
        let mut says = Raw::join(site.mqtt, &v5(""));
        for (qos, payload) in [(1, "one"), (2, "two"), (1, "three"), (2, "four")] {
            says.publish(qos, &topic, payload);
        }
        let sent: Vec<_> = (0..4).map(|_| raw.message()).collect();
        // The second one is received and its release is on the way; the third is acknowledged.
        raw.send(&ack(PUBREC, sent[1].id.unwrap()));
        assert_eq!(raw.ack(PUBREL), (sent[1].id.unwrap(), 0));
        raw.send(&ack(PUBACK, sent[2].id.unwrap()));
        // Whatever else is said: nothing goes again on the same connection.
        raw.ping();
        raw.cut();
        says.publish(1, &topic, "five");

        let mut raw = Raw::join(site.mqtt, &own);
        let again = raw.message();
        assert_eq!((&again.payload[..], again.dup, again.id), ("one", true, sent[0].id));
        assert_eq!(raw.ack(PUBREL), (sent[1].id.unwrap(), 0), "and never its PUBLISH again");
        let last = raw.message();
        assert_eq!((&last.payload[..], last.dup, last.id), ("four", true, sent[3].id));
        let new = raw.message();
        assert_eq!((&new.payload[..], new.dup), ("five", false));
        assert!(
            sent.iter().enumerate().all(|(n, old)| n == 2 || old.id != new.id),
            "an id in use is not given"
        );
        raw.send(&ack(PUBCOMP, sent[1].id.unwrap()));
        [again, last, new].iter().for_each(|message| raw.acknowledge(message));
        raw.leave();
        let mut raw = Raw::join(site.mqtt, &own);
        says.publish(1, &topic, "rest");
        assert_eq!(raw.take().payload, "rest");
    }
}

#[test]
fn n140_what_goes_again_counts_for_the_clients_maximum() {
    let site = site();
    let own = |max| v5("n140").kept(60).with(u16_property(RECEIVE_MAX, max));
    let mut raw = Raw::join(site.mqtt, &own(3));
    raw.subscribe(&[("n140", 1)]);
    let mut says = Raw::join(site.mqtt, &v4("n140-says"));
    (0..5).for_each(|n| says.publish(1, "n140", &n.to_string()));
    (0..3).for_each(|_| drop(raw.message()));
    raw.cut();
    let mut raw = Raw::join(site.mqtt, &own(2));
    let (zero, one) = (raw.message(), raw.message());
    raw.ping();
    raw.acknowledge(&zero);
    assert_eq!((&raw.take().payload[..], one.dup), ("2", true));
    raw.acknowledge(&one);
    assert_eq!([raw.take().payload, raw.take().payload], ["3", "4"]);
}

#[test]
fn n079_a_refusal_ends_a_message() {
    let site = site();
    let own = v5("n079").kept(60).with(u16_property(RECEIVE_MAX, 1));
    let mut raw = Raw::join(site.mqtt, &own);
    raw.subscribe(&[("n079", 2)]);
    let mut says = Raw::join(site.mqtt, &v4("n079-says"));
    [(1, "one"), (2, "two"), (2, "three")]
        .iter()
        .for_each(|(qos, payload)| says.publish(*qos, "n079", payload));
    let one = raw.message();
    raw.send(&ack_with(PUBACK, one.id.unwrap(), 0x80));
    let two = raw.message();
    raw.send(&ack_with(PUBREC, two.id.unwrap(), 0x97));
    // No PUBREL: with a window of one the next message comes at once.
    assert_eq!(raw.message().payload, "three");
    raw.cut();
    assert_eq!(Raw::join(site.mqtt, &own).message().payload, "three", "and the others not again");
}

#[test]
fn n080_answers_to_ids_that_nobody_knows() {
    let site = site();
    for version in [4, 5] {
        let unknown = if version == 5 { 0x92 } else { 0 };
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        raw.send(&ack(PUBACK, 7));
        raw.send(&ack(PUBCOMP, 7));
        raw.ping();
        raw.send(&ack(PUBREC, 7));
        assert_eq!(raw.ack(PUBREL), (7, unknown));
        raw.send(&ack(PUBREL, 7));
        assert_eq!(raw.ack(PUBCOMP), (7, unknown));
        raw.ping();
    }
}

#[test]
fn n025_retained_messages_are_not_the_sessions() {
    let site = site();
    let own = v4("n025").kept(0);
    let mut raw = Raw::join(site.mqtt, &own);
    raw.retain(1, "n025", "stays");
    raw.leave();
    let mut raw = Raw::join(site.mqtt, &v4("n025"));
    raw.subscribe(&[("n025", 0)]);
    assert_eq!(raw.message().brief(), ("stays", 0, true));
}

#[test]
fn n109_n110_n111_time_runs_for_what_waits_and_not_for_what_was_sent() {
    let site = site();
    let own = v5("n109").kept(60);
    let mut raw = Raw::join(site.mqtt, &own);
    raw.subscribe(&[("n109/#", 1)]);
    let mut says = Raw::join(site.mqtt, &v5("n109-says"));
    says.publish_with((1, 0), "n109/sent", &u32_property(MESSAGE_EXPIRY, 1), "sent");
    let sent = raw.message();
    assert_eq!(sent.property(MESSAGE_EXPIRY), Some(&[0, 0, 0, 1][..]), "what is left, rounded up");
    raw.cut();
    says.publish_with((1, 0), "n109/short", &u32_property(MESSAGE_EXPIRY, 1), "short");
    says.publish_with((1, 0), "n109/long", &u32_property(MESSAGE_EXPIRY, 100), "long");
    says.publish_with((1, 1), "n109/kept", &u32_property(MESSAGE_EXPIRY, 1), "kept");
    let mut looks = Raw::join(site.mqtt, &v5("n109-looks"));
    crate::harness::wait_for("a second has passed: the retained one is over", || {
        looks.subscribe(&[("n109/kept", 0)]);
        says.publish(0, "n109/kept", "now");
        let message = looks.message();
        (message.payload == "now").then_some(()).or_else(|| {
            assert_eq!(looks.message().payload, "now");
            None
        })
    });
    let mut raw = Raw::join(site.mqtt, &own);
    let again = raw.take();
    assert_eq!((&again.payload[..], again.dup), ("sent", true));
    let long = raw.take();
    let left = u32::from_be_bytes(long.property(MESSAGE_EXPIRY).unwrap().try_into().unwrap());
    assert!(long.payload == "long" && (90..100).contains(&left), "{long:?}");
}

#[test]
fn n188_n189_how_long_a_session_is_kept_may_be_said_at_the_end() {
    let site = site();
    let expiry = |s| u32_property(SESSION_EXPIRY, s);
    let present = |id| {
        let (raw, connack) = Raw::try_join(site.mqtt, &v5(id).kept(60));
        raw.cut();
        connack.is_present
    };
    for (id, said, at_the_end, is_there) in
        [("n188-a", 60, None, true), ("n188-b", 60, Some(0), false), ("n188-c", 1, Some(60), true)]
    {
        let mut raw = Raw::join(site.mqtt, &v5(id).kept(said));
        raw.send(&disconnect_with(0, &at_the_end.map(expiry).unwrap_or_default()));
        assert_eq!(raw.end(), None);
        assert_eq!(present(id), is_there, "{id}");
    }
    // Who said 0 may not say more.
    let mut hears = Raw::join(site.mqtt, &v4("n189-hears"));
    hears.subscribe(&[("n189", 0)]);
    let mut raw = Raw::join(site.mqtt, &v5("n189").will("n189", "will"));
    raw.send(&disconnect_with(0, &expiry(60)));
    raw.ends(0x82);
    assert_eq!(hears.message().payload, "will");
    assert!(!present("n189"));
}
