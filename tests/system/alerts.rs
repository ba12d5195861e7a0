//! From a reading to an alert that somebody takes on.

use serde_json::{Value, json};

use crate::harness::{Site, publish, wait_for};
use crate::sources::now_ms;

const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";

#[test]
fn an_alert_is_raised_grows_is_acknowledged_and_cleared_with_its_whole_history() {
    let site = Site::started("");
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":91}"#));
    let open = site.alerts("condition=active");
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!((open[0]["rule"].as_str(), open[0]["severity"].as_str()), (Some("bin_fill"), Some("major")));
    let id = open[0]["id"].as_u64().unwrap();

    let path = format!("/api/v1/alerts/{id}/acknowledge");
    assert_eq!(site.request("POST", &path, Some("{}")).unwrap().0, 200);
    let (status, _, body) = site.request("POST", &path, Some("{}")).unwrap();
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("comment"), "the allowed steps are named: {body}");

    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":99}"#));
    assert_eq!(site.alerts("condition=active")[0]["severity"], "critical");
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":3}"#));
    assert!(site.alerts("condition=active").is_empty());

    let alert = site.json(&format!("/api/v1/alerts/{id}"));
    let kinds: Vec<&str> =
        alert["history"].as_array().unwrap().iter().filter_map(|s| s["kind"].as_str()).collect();
    assert_eq!(kinds, ["raised", "acknowledged", "severity_changed", "cleared"]);
}

#[test]
fn a_pending_level_survives_a_restart_and_late_readings_decide_nothing() {
    let mut site = Site::started("");
    let start = now_ms() - 9 * 60_000;
    // Minor needs ten minutes: nine have passed.
    assert!(publish(site.mqtt, TOPIC, &format!(r#"{{"ts":{start},"fill_pct":80}}"#)));
    site.kill();
    site.start();
    assert!(site.alerts("").is_empty());
    // An old empty reading comes late: it is stored, and does not end the wait.
    assert!(publish(site.mqtt, TOPIC, &format!(r#"{{"ts":{},"fill_pct":1}}"#, start - 60_000)));
    // A reading two minutes ahead is within the device's plausible clock: eleven minutes have passed for it.
    assert!(publish(site.mqtt, TOPIC, &format!(r#"{{"ts":{},"fill_pct":81}}"#, start + 11 * 60_000)));
    let open = site.alerts("condition=active");
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0]["severity"], "minor");
    assert_eq!(site.points("b-1", "fill_pct").len(), 3);
}

#[test]
fn the_same_dated_message_many_times_is_one_reading() {
    let site = Site::started("");
    let payload = format!(r#"{{"ts":{},"fill_pct":91}}"#, now_ms());
    for _ in 0..50 {
        assert!(publish(site.mqtt, TOPIC, &payload));
    }
    assert_eq!(site.points("b-1", "fill_pct").len(), 1);
    assert_eq!(site.alerts("").len(), 1);
    assert_eq!(site.json("/api/v1/stats")["duplicates"], 49);
}

#[test]
fn nobody_reads_without_signing_in() {
    let mut site = Site::started("");
    site.kill();
    let stranger = Site::new("");
    drop(stranger);
    site.start();
    for path in [
        "/api/v1/alerts",
        "/api/v1/devices",
        "/api/v1/quarantine",
        "/api/v1/stats",
        "/api/v1/events",
        "/api/v1/me",
    ] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", site.http)).unwrap();
        use std::io::{Read, Write};
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
        assert!(answer.contains("application/problem+json"), "{path}");
    }
}

/// One step by the signed-in person: status and body.
fn step(site: &Site, id: u64, step: &str, entry: &Value) -> (u16, Value) {
    let path = format!("/api/v1/alerts/{id}/{step}");
    let (status, _, body) = site.request("POST", &path, Some(&entry.to_string())).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn a_case_goes_from_raised_to_verified_by_its_sensor_and_every_step_says_who_and_why() {
    let site = Site::started("");
    let entry = json!({ "kind": "bin", "team": "east crew" }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/devices/b-1", Some(&entry)).unwrap().0, 200);
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":91}"#));
    let open = site.alerts("condition=active&team=east%20crew");
    assert_eq!(open.len(), 1, "it belongs to the device's team from the first moment: {open:?}");
    let id = open[0]["id"].as_u64().unwrap();

    let (status, said) = step(&site, id, "dispatch", &json!({}));
    assert_eq!(status, 400, "always to someone: {said}");
    let (status, said) = step(&site, id, "verify", &json!({}));
    assert_eq!((status, &said["allowed"][0]), (409, &"acknowledge".into()), "{said}");
    let (status, said) = step(&site, id, "dispatch", &json!({ "assignee": "truck 2", "seen": "new" }));
    assert_eq!(
        (status, &said["assignee"], &said["handling"]),
        (200, &"truck 2".into(), &"dispatched".into())
    );
    // A colleague who still sees it as new loses nothing, and is told.
    let (status, said) = step(&site, id, "dispatch", &json!({ "assignee": "truck 9", "seen": "new" }));
    assert_eq!(status, 409, "{said}");
    let hand_over = json!({ "assignee": "truck 3", "note": "truck 2 broke down" });
    assert_eq!(step(&site, id, "dispatch", &hand_over).0, 200);
    let (status, said) = step(&site, id, "handle", &json!({ "note": "emptied" }));
    assert_eq!((status, &said["handled_by"], &said["handling"]), (200, &"test".into(), &"handled".into()));
    // Who handled does not verify; the sensor may.
    let (status, said) = step(&site, id, "verify", &json!({}));
    assert_eq!((status, &said["allowed"][0]), (409, &"reopen".into()), "{said}");
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":4}"#));
    let alert = site.json(&format!("/api/v1/alerts/{id}"));
    assert_eq!((&alert["handling"], &alert["condition"]), (&"verified".into(), &"cleared".into()));
    assert!(!alert["closed_at"].is_null());

    assert_eq!(step(&site, id, "reopen", &json!({})).0, 400);
    assert_eq!(step(&site, id, "reopen", &json!({ "note": "still rubbish beside it" })).0, 200);
    let alert = site.json(&format!("/api/v1/alerts/{id}"));
    let history: Vec<(&str, &str)> = alert["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["kind"].as_str().unwrap(), step["who"].as_str().unwrap_or("-")))
        .collect();
    assert_eq!(
        history,
        [
            ("raised", "-"),
            ("dispatched", "test"),
            ("dispatched", "test"),
            ("handled", "test"),
            ("cleared", "-"),
            ("verified", "-"),
            ("reopened", "test"),
        ]
    );
    assert_eq!(alert["history"][2]["assignee"], "truck 3");
    assert_eq!(alert["history"][2]["note"], "truck 2 broke down");
    assert!(alert["handled_by"].is_null());
}

#[test]
fn in_a_town_of_one_the_same_person_may_verify_and_the_history_outlives_a_kill() {
    let mut site = Site::started("[handling]\nsame_person_verifies = \"yes\"\n");
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":91}"#));
    let id = site.alerts("condition=active")[0]["id"].as_u64().unwrap();
    for (name, entry) in [("acknowledge", json!({})), ("handle", json!({})), ("verify", json!({}))] {
        assert_eq!(step(&site, id, name, &entry).0, 200, "{name}");
    }
    site.kill();
    site.start();
    let alert = site.json(&format!("/api/v1/alerts/{id}"));
    assert_eq!((&alert["handling"], &alert["condition"]), (&"verified".into(), &"active".into()));
    assert_eq!(alert["history"].as_array().unwrap().len(), 4);
    assert_eq!(step(&site, id, "dismiss", &json!({ "note": "x" })).0, 409);
}

#[test]
fn a_device_that_falls_silent_is_told_by_its_own_interval_until_it_speaks_again() {
    let mut site = Site::started("");
    let entry = json!({ "kind": "bin", "interval_s": 1 }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/devices/b-1", Some(&entry)).unwrap().0, 200);
    assert!(site.alerts("").is_empty(), "what never spoke is not silent");
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":20}"#));
    let silent = wait_for("three intervals without a word", || site.alerts("condition=active").pop());
    assert_eq!((&silent["rule"], &silent["severity"]), (&json!("bin_silence"), &json!("minor")));
    assert_eq!(silent["metric"], "silence_min");

    site.kill();
    site.start();
    let open = site.alerts("condition=active");
    assert_eq!(open.len(), 1, "a restart is no word of the device: {open:?}");
    assert_eq!(open[0]["id"], silent["id"]);

    // With the interval it is said to have now, it could not fall silent again within this test.
    let longer = json!({ "kind": "bin", "interval_s": 3600 }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/devices/b-1", Some(&longer)).unwrap().0, 200);
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":21}"#));
    assert!(site.alerts("condition=active").is_empty());
    let cleared = site.json(&format!("/api/v1/alerts/{}", silent["id"]));
    assert!(cleared["cleared_at"].is_string(), "{cleared}");
}

#[test]
fn a_bin_that_heats_up_fast_is_told_also_when_the_site_was_down_meanwhile() {
    let mut site = Site::started("");
    let start = now_ms() - 8 * 60_000;
    let at =
        |minute: i64, value: f64| format!(r#"{{"ts":{},"temperature_c":{value}}}"#, start + minute * 60_000);
    assert!(publish(site.mqtt, TOPIC, &at(0, 22.0)));
    assert!(publish(site.mqtt, TOPIC, &at(4, 27.0)));
    assert!(site.alerts("").is_empty());
    site.kill();
    site.start();
    assert!(publish(site.mqtt, TOPIC, &at(8, 32.5)));
    let open = site.alerts("condition=active");
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!((&open[0]["rule"], &open[0]["severity"]), (&json!("bin_temperature_rise"), &json!("major")));
}
