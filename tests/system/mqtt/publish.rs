//! Rows 95 to 126: PUBLISH, but for retained ones and properties.

use super::bytes::{
    ALIAS, DISCONNECT, PUBACK, PUBLISH, PUBREC, RESPONSE_TOPIC, SUBSCRIPTION_ID, connect, counted, packet,
    text, text_property, u16_property, user, v4, v5,
};
use super::parse::property_of;
use super::raw::Raw;
use super::site;

#[test]
fn n096_n098_a_publish_says_a_quality_that_there_is() {
    let site = site();
    for version in [4, 5] {
        let properties: &[u8] = if version == 5 { &[0] } else { &[] };
        let body = |id: &[u8]| [&text("n096")[..], id, properties, b"x"].concat();
        for bytes in [
            packet(PUBLISH | 0x08, &body(&[])),
            packet(PUBLISH | 0x06, &body(&[0, 1])),
            packet(PUBLISH | 0x0e, &body(&[0, 1])),
        ] {
            let mut raw = Raw::join(site.mqtt, &connect(version, ""));
            raw.send(&bytes);
            raw.ends(0x81);
        }
    }
}

#[test]
fn n097_a_double_is_not_told_as_such() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v4("n097-hears"));
    hears.subscribe(&[("n097", 2)]);
    let mut says = Raw::join(site.mqtt, &v4("n097-says"));
    says.publish_with((1, 8), "n097", &[], "again");
    says.publish_with((2, 8), "n097", &[], "and again");
    assert!(!hears.take().dup);
    assert!(!hears.take().dup);
}

#[test]
fn n104_n106_a_publish_names_its_topic() {
    let site = site();
    for (version, body) in [
        (4, text("")),
        (4, b"\0\x09short".to_vec()),
        (5, b"\0\x09short".to_vec()),
        (4, vec![0]),
        (5, [text("n104"), vec![9]].concat()),
    ] {
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        raw.send(&packet(PUBLISH, &body));
        raw.ends(0x81);
    }
    let mut raw = Raw::join(site.mqtt, &v5("n106"));
    raw.send_publish((1, 0), "", &[], "x");
    raw.ends(0x82);
}

#[test]
fn n105_n079_a_topic_that_is_none_is_refused_alone_where_that_can_be_said() {
    let site = site();
    for topic in ["n105/+", "n105/#", "#", "+", "n105/\u{1}", &"x".repeat(1_025), &"a/".repeat(32)] {
        let mut raw = Raw::join(site.mqtt, &v5(""));
        for (qos, kind) in [(1, PUBACK), (2, PUBREC), (2, PUBREC)] {
            let id = raw.send_publish((qos, 0), topic, &[], "x");
            assert_eq!(raw.ack(kind), (id, 0x90), "{topic}");
        }
        // The connection goes on, and so do the ids (row 133).
        raw.publish(2, "n105/fine", "x");
        raw.send_publish((0, 0), topic, &[], "x");
        raw.ends(0x90);
        for qos in 0..3 {
            let mut raw = Raw::join(site.mqtt, &v4(""));
            raw.send_publish((qos, 0), topic, &[], "x");
            raw.ends(0);
        }
    }
}

#[test]
fn n107_n170_a_message_comes_under_the_topic_that_it_was_sent_under() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v5("n107-hears"));
    hears.subscribe(&[("n107/#", 0)]);
    let mut says = Raw::join(site.mqtt, &v4("n107-says"));
    for topic in ["n107/A", "n107/a", "n107//a/", "n107/é", "n107/e\u{301}", "n107/ a "] {
        says.publish(0, topic, "x");
        assert_eq!(hears.message().topic, topic);
    }
}

#[test]
fn n112_to_n116_an_alias_is_a_topic_for_as_long_as_the_connection() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v5("n112-hears"));
    hears.subscribe(&[("n112/#", 1)]);
    let own = v5("n112").kept(60);
    let mut says = Raw::join(site.mqtt, &own);
    let alias = |n| u16_property(ALIAS, n);
    for (topic, n, heard) in [
        ("n112/a", 1, "n112/a"),
        ("", 1, "n112/a"),
        ("n112/b", 16, "n112/b"),
        ("n112/c", 1, "n112/c"),
        ("", 1, "n112/c"),
        ("", 16, "n112/b"),
    ] {
        says.publish_with((1, 0), topic, &alias(n), "x");
        let message = hears.take();
        assert_eq!((&message.topic[..], message.property(ALIAS)), (heard, None));
    }
    // Another connection, and the same session: none of them.
    says.leave();
    for (topic, n, reason) in [("", 1, 0x82), ("n112/x", 0, 0x94), ("n112/x", 17, 0x94), ("", 17, 0x94)] {
        let mut says = Raw::join(site.mqtt, &own);
        says.send_publish((1, 0), topic, &alias(n), "x");
        says.ends(reason);
    }
}

#[test]
fn trap_17_aliases_are_resolved_when_they_are_read() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v5("trap17-hears"));
    hears.subscribe(&[("trap17/#", 1)]);
    // All in one write: the alias changes while earlier messages wait for their commit.
    let mut says = Raw::join(site.mqtt, &v5("trap17"));
    let alias = u16_property(ALIAS, 3);
    let topics = ["trap17/a", "", "trap17/b", "", "", "trap17/c", ""];
    let bytes: Vec<u8> = topics
        .iter()
        .zip(1..)
        .flat_map(|(topic, id)| says.publish_bytes((1, 0), id, topic, &alias, "x"))
        .collect();
    says.send(&[&bytes[..], &[DISCONNECT, 0]].concat());
    for topic in ["a", "a", "b", "b", "b", "c", "c"] {
        assert_eq!(hears.take().topic, format!("trap17/{topic}"));
    }
}

#[test]
fn n118_n122_what_a_clients_publish_may_not_say() {
    let site = site();
    for (more, reason) in [
        (text_property(RESPONSE_TOPIC, "n118/+"), 0x82),
        (text_property(RESPONSE_TOPIC, "#"), 0x82),
        ([vec![SUBSCRIPTION_ID], vec![1]].concat(), 0x82),
    ] {
        let mut raw = Raw::join(site.mqtt, &v5(""));
        raw.send_publish((1, 0), "n118", &more, "x");
        raw.ends(reason);
    }
}

#[test]
fn n120_n126_too_many_user_properties_are_told_by_the_acknowledgement() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v5("n120-hears"));
    hears.subscribe(&[("n120", 0)]);
    let mut raw = Raw::join(site.mqtt, &v5("n120"));
    let id = raw.send_publish((1, 0), "n120", &user("a", "b").repeat(17), "17");
    assert_eq!(raw.ack(PUBACK), (id, 0x97));
    let id = raw.send_publish((2, 0), "n120", &user("a", &"b".repeat(4_200)), "long");
    assert_eq!(raw.ack(PUBREC), (id, 0x97));
    raw.publish_with((1, 0), "n120", &user("a", "b").repeat(16), "16");
    let message = hears.message();
    assert_eq!((&message.payload[..], message.all(super::bytes::USER).len()), ("16", 16));
}

#[test]
fn n123_n125_the_answer_comes_after_the_commit_and_never_says_that_nobody_listens() {
    let site = site();
    let mut raw = Raw::join(site.mqtt, &v5("n123"));
    let topic = "sanitation/east/bin/n123/telemetry";
    for n in 1..=5 {
        raw.publish(1, topic, &format!("{{\"fill_pct\":{n}}}"));
        let last = site.points("n123", "fill_pct").last().map(|(_, value)| *value);
        assert_eq!(last, Some(f64::from(n)), "it is stored when PUBACK has come");
    }
    let id = raw.send_publish((1, 0), "n125/nobody", &[], "x");
    let (own, reason, properties) = raw.full_ack(PUBACK);
    assert_eq!((own, reason, property_of(&properties, 0x1f)), (id, 0, None));
}

#[test]
fn n012_n067_a_packet_above_the_size_that_was_told_ends_the_connection() {
    let site = site();
    for version in [4, 5] {
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        let properties: &[u8] = if version == 5 { &[0] } else { &[] };
        let head = [&text("n067/x")[..], &[0, 1], properties].concat();
        // Just as large as told: the first byte and three of length count.
        let largest = 2 * 1024 * 1024 - 4 - head.len();
        raw.send(&packet(PUBLISH | 2, &[&head[..], &vec![b'x'; largest]].concat()));
        assert_eq!(raw.ack(PUBACK), (1, 0));
        // One more is refused by its head: the rest is never sent.
        let too_large = packet(PUBLISH | 2, &[&head[..], &vec![b'x'; largest + 2]].concat());
        raw.send(&too_large[..64]);
        raw.ends(0x95);
    }
    // The properties of a PUBLISH, and any other packet.
    let mut raw = Raw::join(site.mqtt, &v5("n067-properties"));
    let many = user("a", &"b".repeat(9_000));
    raw.send(&packet(PUBLISH, &[text("n067/y"), counted(&many)].concat()));
    raw.ends(0x95);
}
