//! Rows 138 to 141: flow control. What we allow (row 137) stands with credentials.

use std::io::Write;

use super::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, RECEIVE_MAX, ack, packet, text, u16_property, v4, v5};
use super::raw::Raw;
use super::site;

#[test]
fn n138_n139_trap_6_we_keep_to_the_clients_maximum_and_other_packets_go_on() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v5("n138").with(u16_property(RECEIVE_MAX, 1)));
    raw.subscribe(&[("n138", 2)]);
    let mut says = Raw::join(site.mqtt, &v4("n138-says"));
    for (qos, payload) in [(2, "one"), (1, "two"), (0, "three"), (2, "four"), (1, "five")] {
        says.publish(qos, "n138", payload);
    }
    let one = raw.message();
    let id = one.id.unwrap();
    // At quota zero: all that is no message of QoS 1 or 2.
    raw.ping();
    assert_eq!(raw.subscribe(&[("n138/other", 1)]), [1]);
    assert_eq!(raw.unsubscribe(&["n138/other"]), [0]);
    raw.publish(2, "n138/own", "x");
    raw.send(&ack(PUBREC, id));
    assert_eq!(raw.ack(PUBREL), (id, 0));
    raw.ping();
    raw.send(&ack(PUBCOMP, id));
    let rest: Vec<_> = (0..4).map(|_| raw.take().payload).collect();
    assert_eq!(rest, ["two", "three", "four", "five"]);
}

#[test]
fn n141_a_client_of_3_1_1_may_have_more_under_way_and_is_read_as_there_is_room() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v4("n141"));
    let bytes: Vec<u8> = (1..=500).flat_map(|id| raw.publish_bytes((1, 0), id, "n141", &[], "x")).collect();
    let mut out = raw.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || out.write_all(&bytes).unwrap());
    (1..=500).for_each(|id| assert_eq!(raw.ack(PUBACK), (id, 0)));
    writer.join().unwrap();
    // Out: 64 at a time.
    let mut hears = Raw::join(site.mqtt, &v4("n141-hears"));
    hears.subscribe(&[("n141/out", 1)]);
    (0..70).for_each(|_| raw.publish(1, "n141/out", "x"));
    let sent: Vec<_> = (0..64).map(|_| hears.message()).collect();
    hears.ping();
    sent.iter().for_each(|message| hears.acknowledge(message));
    (0..6).for_each(|_| drop(hears.take()));
}

#[test]
fn trap_13_control_packets_are_answered_when_the_queue_is_full() {
    let site = site();
    // Nothing is acknowledged, and more waits for it than its queue holds: QoS 0 is left out, the rest ends the connection.
    let mut raw = Raw::join(site.mqtt, &v5("trap13").with(u16_property(RECEIVE_MAX, 1)));
    raw.subscribe(&[("trap13", 1), ("trap13/other", 0)]);
    let mut says = Raw::join(site.mqtt, &v4("trap13-says"));
    (0..900).for_each(|_| says.publish(1, "trap13", "x"));
    drop(raw.message());
    assert_eq!(raw.unsubscribe(&["trap13/other"]), [0]);
    assert_eq!(raw.subscribe(&[("trap13/third", 1)]), [1]);
    raw.ping();
    (0..200).for_each(|_| says.publish(1, "trap13", "x"));
    raw.ends(0x97);
}

#[test]
fn trap_18_nothing_is_acknowledged_before_it_is_stored() {
    // What a kill leaves is the proof of it: tests/system/proof/kills.rs. Here: an acknowledged one is there at once.
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v4("trap18"));
    let body = [&text("sanitation/east/bin/trap18/telemetry")[..], &[0, 1], br#"{"fill_pct":77}"#].concat();
    raw.send(&packet(0x32, &body));
    assert_eq!(raw.ack(PUBACK), (1, 0));
    assert_eq!(site.points("trap18", "fill_pct").len(), 1);
}
