//! Rows 52 to 56: keep alive and PING.

use std::time::Instant;

use super::bytes::{PINGREQ, RECEIVE_MAX, connect, packet, u16_property, v4, v5};
use super::raw::Raw;
use super::site;

#[test]
fn n052_n083_who_is_silent_for_one_and_a_half_times_its_keep_alive_is_gone_with_its_will() {
    let site = site();
    for version in [4, 5] {
        let topic = format!("n052/{version}");
        let mut hears = Raw::join(site.mqtt, &v4(&format!("n052-hears-{version}")));
        hears.subscribe(&[(&topic, 0)]);
        let own = connect(version, &format!("n052-{version}")).keep_alive(1).will(&topic, "silent");
        let mut raw = Raw::join(site.mqtt, &own);
        let begin = Instant::now();
        // Bytes that are no whole packet are no sign of life.
        raw.send(&PINGREQ[..1]);
        raw.ends(0x8d);
        let took = begin.elapsed().as_secs_f64();
        assert!((1.4..4.0).contains(&took), "{took}");
        assert_eq!(hears.message().payload, "silent");
    }
}

#[test]
fn n052_n053_n055_whoever_pings_or_has_no_keep_alive_stays() {
    let site = site();
    let mut none = Raw::join(site.mqtt, &v4("n053").keep_alive(0));
    let mut pings = Raw::join(site.mqtt, &v5("n052-pings").keep_alive(2));
    // Others are the clock: three of them go, one after the other. That is longer than the three seconds of who pings.
    for _ in 0..3 {
        Raw::join(site.mqtt, &v5("n052-clock").keep_alive(1)).ends(0x8d);
        pings.ping();
    }
    none.ping();
}

#[test]
fn n055_a_ping_is_answered_also_when_no_message_may_be_sent() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v5("n055").with(u16_property(RECEIVE_MAX, 1)));
    raw.subscribe(&[("n055", 1)]);
    let mut says = Raw::join(site.mqtt, &v4("n055-says"));
    says.publish(1, "n055", "one");
    says.publish(1, "n055", "two");
    let one = raw.message();
    raw.ping();
    raw.ping();
    raw.acknowledge(&one);
    assert_eq!(raw.take().payload, "two");
}

#[test]
fn n056_what_a_server_sends_comes_from_no_client() {
    let site = site();
    for version in [4, 5] {
        for own in [&[0xd0, 0][..], &packet(0x20, &[0, 0]), &packet(0x90, &[0, 1, 0]), &packet(0xb0, &[0, 1])]
        {
            let mut raw = Raw::join(site.mqtt, &connect(version, ""));
            raw.send(own);
            raw.ends(0x82);
        }
    }
}
