//! Rows 82 to 94: wills. Those at a take-over stand with it, those after a restart with that.

use super::bytes::{
    CONTENT_TYPE, CORRELATION, FORMAT, LEAVE, MESSAGE_EXPIRY, RESPONSE_TOPIC, USER, WILL_DELAY, connect,
    disconnect_with, property, text, text_property, u32_property, user, v4, v5,
};
use super::raw::Raw;
use super::site;

#[test]
fn n082_to_n086_a_will_comes_after_any_end_but_an_orderly_one() {
    let site = site();
    // What is sent last; none: the connection is cut.
    let rows: [(u8, &str, Option<Vec<u8>>, bool); 9] = [
        (4, "cut", None, true),
        (5, "cut", None, true),
        (4, "left", Some(LEAVE.to_vec()), false),
        (5, "left", Some(LEAVE.to_vec()), false),
        (5, "code 0", Some(disconnect_with(0, &[])), false),
        (5, "with will", Some(disconnect_with(4, &[])), true),
        (5, "unspecified", Some(disconnect_with(0x80, &[])), true),
        (5, "quota", Some(vec![0xe0, 1, 0x97]), true),
        (4, "a fault", Some(vec![0, 0]), true),
    ];
    for (n, (version, what, last, is_published)) in rows.into_iter().enumerate() {
        let topic = format!("n082/{n}");
        let mut hears = Raw::join(site.mqtt, &v4(&format!("n082-hears-{n}")));
        hears.subscribe(&[(&topic, 1)]);
        let mut raw =
            Raw::join(site.mqtt, &connect(version, &format!("n082-{n}")).will_with(0x08, &[], &topic, what));
        match last {
            None => raw.cut(),
            Some(bytes) => {
                raw.send(&bytes);
                assert_eq!(raw.packet(), None);
            }
        }
        if is_published {
            assert_eq!(hears.take().brief(), (what, 1, false));
        }
        // Its end is known: what is published now comes after.
        let mut says = Raw::join(site.mqtt, &connect(version, &format!("n082-{n}")));
        says.publish(1, &topic, "after");
        assert_eq!(hears.take().payload, "after", "{what} of {version}");
    }
}

#[test]
fn n087_a_will_is_retained_as_it_says() {
    let site = site();
    for (flags, retain) in [(0x00, false), (0x20, true), (0x30, true)] {
        let topic = format!("n087/{flags}");
        let mut hears = Raw::join(site.mqtt, &v4(&format!("n087-hears-{flags}")));
        hears.subscribe(&[(&topic, 2)]);
        Raw::join(site.mqtt, &v4(&format!("n087-{flags}")).will_with(flags, &[], &topic, "will")).cut();
        assert_eq!(hears.take().brief(), ("will", flags >> 3 & 3, false));
        let mut later = Raw::join(site.mqtt, &v4(&format!("n087-later-{flags}")));
        later.subscribe(&[(&topic, 2)]);
        if retain {
            assert_eq!(later.take().brief(), ("will", flags >> 3 & 3, true));
        }
        later.send_publish((0, 0), &topic, &[], "now");
        assert_eq!(later.take().payload, "now");
    }
}

#[test]
fn n088_n089_a_delayed_will_waits_and_a_return_takes_it_back() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v4("n088-hears"));
    hears.subscribe(&[("n088/#", 0)]);
    let delayed = |id: &str, delay_s| {
        let topic = format!("n088/{id}");
        v5(id).kept(600).will_with(0, &u32_property(WILL_DELAY, delay_s), &topic, id)
    };
    Raw::join(site.mqtt, &delayed("back", 1)).cut();
    Raw::join(site.mqtt, &delayed("away", 2)).cut();
    Raw::join(site.mqtt, &delayed("soon", 1)).cut();
    // It is back, without a will.
    let _back = Raw::join(site.mqtt, &v5("back").kept(600));
    assert_eq!(hears.message().payload, "soon");
    assert_eq!(hears.message().payload, "away");
}

#[test]
fn n091_n092_what_a_will_says_besides_its_payload() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v5("n091-hears"));
    hears.subscribe(&[("n091", 0)]);
    let properties = [
        u32_property(WILL_DELAY, 1),
        u32_property(MESSAGE_EXPIRY, 2),
        property(FORMAT, [1]),
        text_property(CONTENT_TYPE, "text/plain"),
        text_property(RESPONSE_TOPIC, "n091/answer"),
        property(CORRELATION, text(b"\x00\xff")),
        user("z", "1"),
        user("a", "2"),
        user("z", "1"),
    ]
    .concat();
    Raw::join(site.mqtt, &v5("n091").kept(60).will_with(0, &properties, "n091", "will")).cut();
    let message = hears.message();
    assert_eq!(message.property(MESSAGE_EXPIRY), Some(&[0, 0, 0, 2][..]), "it runs from the publishing");
    assert_eq!(message.all(USER), [b"z=1", b"a=2", b"z=1"]);
    assert_eq!(message.property(FORMAT), Some(&[1][..]));
    assert_eq!(message.property(CONTENT_TYPE), Some(&b"text/plain"[..]));
    assert_eq!(message.property(RESPONSE_TOPIC), Some(&b"n091/answer"[..]));
    assert_eq!(message.property(CORRELATION), Some(&[0, 255][..]));
    assert_eq!(message.property(WILL_DELAY), None);
}

#[test]
fn n026_n082_a_wills_topic_is_a_topic() {
    let site = site();
    for version in [4, 5] {
        for topic in ["n082/+", "#", ""] {
            let mut raw = Raw::open(site.mqtt, version);
            raw.send(&connect(version, "n082-topic").will(topic, "x").bytes());
            match version {
                5 => assert_eq!(raw.connack().code, 0x90, "{topic}"),
                // 3.1.1 has no word for it: a code, or none at all.
                _ => {
                    let answer = raw.packet();
                    assert!(answer.is_none_or(|own| own.first == 0x20 && own.body[1] != 0), "{topic}");
                }
            }
        }
    }
}

#[test]
fn n094_a_will_may_be_a_devices_message_and_is_stored() {
    let site = site();
    let topic = "sanitation/east/bin/n094/telemetry";
    let mut hears = Raw::join(site.mqtt, &v4("n094-hears"));
    hears.subscribe(&[(topic, 1)]);
    Raw::join(site.mqtt, &v4("n094").will(topic, r#"{"fill_pct":33}"#)).cut();
    // It is told after its commit.
    assert_eq!(hears.take().payload, r#"{"fill_pct":33}"#);
    assert_eq!(site.points("n094", "fill_pct").last().map(|(_, value)| *value), Some(33.0));
}
