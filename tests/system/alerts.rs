//! From a reading to an alert that somebody takes on.

use crate::harness::{Site, publish};
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
