//! Rows 165 to 174: names and filters.

use super::bytes::{PUBACK, connect, v4, v5};
use super::raw::Raw;
use super::site;
use crate::harness::Site;

#[test]
fn n165_n166_n168_n169_n175_filters_that_are_none_are_refused() {
    let site = site();
    for (version, code) in [(4, 0x80), (5, 0x8f)] {
        let mut raw = Raw::join(site.mqtt, &connect(version, ""));
        let long = "x".repeat(1_025);
        let deep = "a/".repeat(32);
        let wrong = [
            "#/n165",
            "n165/#/x",
            "n165#",
            "n165/x#",
            "n166+",
            "n166/+x",
            "n166/x+/y",
            &long,
            &deep,
            "$share/",
            "$share/n175",
            "$share//x",
            "$share/n175/",
            "$share/n+/x",
            "$share/n#/x",
            "$share/n175/x#",
        ];
        let filters: Vec<(&str, u8)> = wrong.iter().map(|filter| (*filter, 1)).collect();
        assert_eq!(raw.subscribe(&filters), vec![code; wrong.len()]);
        let right = ["n165/#", "+", "+/+/n166", "/", "n165//+", &"x".repeat(1_024)];
        let filters: Vec<(&str, u8)> = right.iter().map(|filter| (*filter, 1)).collect();
        assert_eq!(raw.subscribe(&filters), [1; 6]);
    }
    // An empty filter: 3.1.1 forbids the packet, 5.0 is told which.
    let mut raw = Raw::join(site.mqtt, &v4("n168"));
    raw.send_subscribe(&[], &[("", 0)]);
    let end = raw.packet();
    assert!(end.is_none_or(|own| own.first == 0x90 && own.body[2..] == [0x80]));
    let mut raw = Raw::join(site.mqtt, &v5("n168"));
    assert_eq!(raw.subscribe(&[("", 0), ("n168", 1)]), [0x8f, 1]);
}

#[test]
fn n170_n171_n172_what_matches() {
    let site = site();
    for (n, (filter, topic, matches)) in [
        ("n171/a/#", "n171/a", true),
        ("n171/a/#", "n171/a/b/c", true),
        ("n171/a/#", "n171/ab", false),
        ("n171/+", "n171", false),
        ("n171/+", "n171/", true),
        ("n171/+", "n171/a/b", false),
        ("/n172", "n172", false),
        ("/n172", "/n172", true),
        ("+/n172", "/n172", true),
        ("n172//b", "n172/b", false),
        ("n172/+/b", "n172//b", true),
        ("n170/a", "n170/A", false),
        ("n170/a/", "n170/a", false),
        ("n170/é", "n170/e\u{301}", false),
    ]
    .into_iter()
    .enumerate()
    {
        let fence = format!("n170/fence/{n}");
        let mut raw = Raw::join(site.mqtt, &v4(""));
        raw.subscribe(&[(filter, 0), (&fence, 0)]);
        raw.send_publish((0, 0), topic, &[], "x");
        raw.send_publish((0, 0), &fence, &[], "fence");
        let first = raw.message().payload;
        assert_eq!(first, if matches { "x" } else { "fence" }, "{filter} {topic}");
    }
}

#[test]
fn n167_n173_n174_reserved_topics_are_not_for_wildcards_and_not_for_clients() {
    // A site of its own: `#` hears everything.
    let site = Site::started("");
    let mut hears = Raw::join(site.mqtt, &v5("n167"));
    assert_eq!(hears.subscribe(&[("#", 1), ("+/monitor", 1), ("$SYS/#", 1), ("$other/x", 1)]), [1, 1, 1, 1]);
    for (version, flags) in [(4, 0), (4, 1), (5, 0), (5, 1)] {
        let mut says = Raw::join(site.mqtt, &connect(version, ""));
        for topic in ["$SYS/monitor", "$other/x", "$"] {
            let id = says.send_publish((1, flags), topic, &[], "x");
            let code = if version == 5 { 0x87 } else { 0 };
            assert_eq!(says.ack(PUBACK), (id, code), "3.1.1 would say it again for ever");
            says.send_publish((0, flags), topic, &[], "x");
        }
        says.publish(1, "n167", "fence");
        assert_eq!(hears.take().payload, "fence");
    }
    // Nor is anything of it kept.
    let mut later = Raw::join(site.mqtt, &v4("n167-later"));
    later.subscribe(&[("#", 0), ("$SYS/#", 0), ("$other/#", 0)]);
    later.send_publish((0, 0), "n167", &[], "fence");
    assert_eq!(later.message().payload, "fence");
    let refused = site.get("/metrics").unwrap().1;
    assert!(refused.contains("denied") || refused.contains("refused"), "it is counted");
}
