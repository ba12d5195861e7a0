//! Messages of one thing only, each to every format.

use proptest::prelude::*;

use super::*;

/// Messages of one thing only.
fn hostile(bytes: usize) -> Vec<(&'static str, String)> {
    let nested = |open: &str, close: &str| {
        let depth = bytes / (open.len() + close.len()) - 1;
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    let long = "x".repeat(bytes / 20);
    vec![
        ("nulls", filled(bytes, OBJECT, |n| format!(r#""k{n}":null"#))),
        ("numbers", filled(bytes, OBJECT, |n| format!(r#""k{n}":1"#))),
        ("numbers of one name", filled(bytes, OBJECT, |_| r#""fill_pct":1"#.to_owned())),
        ("texts", filled(bytes, OBJECT, |n| format!(r#""k{n}":"x""#))),
        ("escaped names", filled(bytes, OBJECT, |n| format!(r#""\u006b{n}":null"#))),
        ("objects", filled(bytes, LIST, |n| format!(r#"{{"k{n}":null}}"#))),
        ("samples", filled(bytes, LIST, |n| format!(r#"{{"ts":{n},"fill_pct":1}}"#))),
        ("empty objects", filled(bytes, LIST, |_| "{}".to_owned())),
        ("numbers in a list", filled(bytes, LIST, |_| "1".to_owned())),
        ("lists of lists", filled(bytes, LIST, |_| "[[[[1]]]]".to_owned())),
        ("chains of objects", filled(bytes, LIST, |_| r#"{"":{"":{"":{"":{"":{"":0}}}}}}"#.to_owned())),
        ("deep lists", nested("[", "]")),
        ("deep objects", nested(r#"{"a":"#, "}")),
        ("deep fields", filled(bytes, OBJECT, |n| format!(r#""k{n}":[[[[[[[[[[1]]]]]]]]]]"#))),
        ("long names", filled(bytes, OBJECT, |n| format!(r#""{n}{long}":1"#))),
        ("names as long as a path", filled(bytes, OBJECT, |n| format!(r#""{n:0250}":{{"a":1,"b":2}}"#))),
        ("long texts", filled(bytes, OBJECT, |n| format!(r#""k{n}":"{long}""#))),
        ("times that are none", filled(bytes, LIST, |n| format!(r#"{{"ts":"{n}x","fill_pct":1}}"#))),
        ("SenML", filled(bytes, LIST, |n| format!(r#"{{"n":"k{n}","v":1}}"#))),
        (
            "SenML with a long base",
            filled(bytes, [&format!(r#"[{{"bn":"{long}"}},"#), "]"], |n| format!(r#"{{"n":"k{n}","v":1}}"#)),
        ),
        (
            "SenML of a wrong type",
            filled(bytes, [r#"[{"n":"a","v":1},"#, "]"], |_| format!(r#"{{"n":"k","v":"{long}"}}"#)),
        ),
        ("digits", "01".repeat(bytes / 2)),
        ("a frame in JSON", format!(r#"{{"hex":"{}"}}"#, "01".repeat(bytes / 2 - 5))),
    ]
}

/// Messages of one thing only, in the shapes of servers and platforms.
fn hostile_envelopes(bytes: usize) -> Vec<(&'static str, String)> {
    vec![
        ("a gateway's devices", filled(bytes, OBJECT, |n| format!(r#""d-{n}":[{{"fill_pct":1}}]"#))),
        ("a gateway's wrong devices", filled(bytes, OBJECT, |n| format!(r#""d {n}!":[{{"a b {n}":1}}]"#))),
        (
            "Huawei's devices",
            filled(bytes, [r#"{"devices":["#, "]}"], |n| {
                format!(r#"{{"device_id":"d-{n}","services":[{{"properties":{{"fill_pct":1}}}}]}}"#)
            }),
        ),
        (
            "Huawei's devices without services",
            filled(bytes, [r#"{"devices":["#, "]}"], |n| format!(r#"{{"device_id":"d-{n}"}}"#)),
        ),
        (
            "Huawei's services",
            filled(bytes, [r#"{"services":["#, "]}"], |n| {
                format!(r#"{{"service_id":"s{n}","properties":{{"fill_pct":1}},"event_time":"x"}}"#)
            }),
        ),
        (
            "Alink's values",
            filled(bytes, [r#"{"params":{"#, "}}"], |n| format!(r#""k{n}":{{"value":1,"time":"x"}}"#)),
        ),
        ("Tasmota's sensors", filled(bytes, OBJECT, |n| format!(r#""s{n}":{{"Temperature":1}}"#))),
        (
            "reports",
            filled(bytes, [r#"{"reports":["#, "]}"], |n| {
                format!(r#"{{"serialNumber":"IMEI:{n}","value":"00"}}"#)
            }),
        ),
        ("wrong reports", filled(bytes, [r#"{"reports":["#, "]}"], |_| "{}".to_owned())),
        ("metrics", filled(bytes, [r#"{"metrics":["#, "]}"], |n| format!(r#"{{"name":"k{n}","value":1}}"#))),
        (
            "gateways",
            filled(bytes, [r#"{"deviceInfo":{"devEui":"1000000000000001"},"rxInfo":["#, "]}"], |_| {
                r#"{"rssi":1,"time":"x"}"#.to_owned()
            }),
        ),
    ]
}

fn all(bytes: usize) -> Vec<(&'static str, String)> {
    [hostile(bytes), hostile_envelopes(bytes)].concat()
}

#[test]
fn no_message_gives_more_than_the_limits_in_any_format_and_each_limit_is_told_once() {
    for (name, payload) in all(PAYLOAD_BYTES / 8) {
        for format in formats() {
            check(&decode(format, payload.as_bytes()), payload.len(), &format!("{name} to {format:?}"));
        }
    }
}

#[test]
fn twice_the_bytes_are_twice_the_work_at_most() {
    let sizes = [PAYLOAD_BYTES / 64, PAYLOAD_BYTES / 32];
    let [small, large] = sizes.map(all);
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        for format in formats() {
            let work = |payload: &str| {
                let Work { fields, comparisons, nodes } = decode(format, payload.as_bytes()).work();
                fields + comparisons + nodes
            };
            let (small, large) = (work(small), work(large));
            // Comparisons grow until as many faults are kept as can be.
            let first_faults = (FAULTS_MAX * FAULTS_MAX) as u64;
            assert!(large <= 2 * small + small / 10 + first_faults, "{name} to {format:?}: {small}, {large}");
        }
    }
}

proptest! {
    #[test]
    fn no_json_like_text_gets_beyond_the_limits(
        payload in r#"(\{"|\}|\[|\]|:|,|"|ts|values|devices|services|metrics|null|true|1|-5|1e300|"n"|x){0,200}"#,
        format in 0..=Format::ALL.len(),
    ) {
        let format = formats().nth(format).flatten();
        check(&decode(format, payload.as_bytes()), payload.len().max(1), &payload);
    }
}
