//! Bad input stops nothing; a bad start is one clear line.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{BINARY, Site, publish, publish_file, wait_for};
use crate::proof::SmallDisk;

/// The entries of the quarantine, by id.
fn quarantine(site: &Site) -> BTreeMap<i64, Value> {
    let page = site.json("/api/v1/quarantine?limit=500");
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| (item["id"].as_i64().unwrap(), item.clone())).collect()
}

#[test]
fn every_kind_of_bad_input_ends_as_a_reading_or_in_the_quarantine() {
    let site = Site::started("");
    let topic = "sanitation/east/bin/b-1/telemetry";
    let long = format!("sanitation/east/bin/{}/telemetry", "x".repeat(500));
    let deep = format!(r#"{{"fill_pct":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
    let mut known = BTreeMap::new();
    for (topic, payload, code, says) in [
        (topic, "hello", "not_json", "JSON"),
        (topic, r#"{"fill_pct":NaN}"#, "not_json", "JSON"),
        (topic, r#"{"fill_pct":1e999}"#, "not_json", "JSON"),
        (topic, r#"{"fill_pct":"full"}"#, "wrong_type", "fill_pct"),
        (topic, deep.as_str(), "wrong_type", "fill_pct"),
        (topic, r#"{"fill_pct":400}"#, "out_of_range", "fill_pct"),
        (topic, "[]", "empty", ""),
        (topic, "17", "wrong_shape", ""),
        ("sanitation/nowhere", "{}", "unknown_topic", "sanitation"),
        (long.as_str(), r#"{"fill_pct":1}"#, "bad_device_id", ""),
        (topic, r#"{"ts":"1970-01-02T00:00:00Z","fill_pct":12}"#, "clock_wrong", "behind"),
        (topic, r#"{"ts":"2100-01-02T00:00:00Z","fill_pct":13}"#, "clock_wrong", "ahead"),
    ] {
        assert!(publish(site.mqtt, topic, payload), "{code} was not acknowledged");
        let now = quarantine(&site);
        // Each of them leaves an entry of its own, and changes none of the others.
        let new: Vec<&Value> =
            now.iter().filter(|(id, entry)| known.get(*id) != Some(*entry)).map(|(_, entry)| entry).collect();
        let [entry] = new[..] else { panic!("{payload}: {new:#?}") };
        assert_eq!((&entry["code"], &entry["count"]), (&json!(code), &json!(1)), "{payload}");
        // A long topic is cut.
        let kept = entry["topic"].as_str().unwrap();
        assert!(topic.starts_with(kept) && kept.len() >= topic.len().min(200), "{entry:#}");
        assert!(entry["message"].as_str().unwrap().contains(says), "{entry:#}");
        known = now;
    }
    // What was good in it was kept, at the time of receipt.
    let values: Vec<f64> = site.points("b-1", "fill_pct").iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [12.0, 13.0]);
    assert!(publish(site.mqtt, topic, r#"{"fill_pct":"64.5","door_angle":12}"#));
    assert_eq!(site.points("b-1", "fill_pct").last().map(|(_, value)| *value), Some(64.5));
    assert_eq!(site.json("/api/v1/stats")["custom_metrics"], serde_json::json!(["door_angle"]));
}

#[test]
fn a_payload_of_a_megabyte_is_stored_to_its_last_reading() {
    let site = Site::started("");
    let start = crate::sources::now_ms() - 100_000_000;
    let elements: Vec<String> =
        (0..30_000).map(|n| format!(r#"{{"ts":{},"fill_pct":{}}}"#, start + n, n % 70)).collect();
    let payload = format!("[{}]", elements.join(","));
    assert!(payload.len() > 1_000_000);
    let file = site.folder.path().join("payload");
    fs::write(&file, payload).unwrap();
    assert!(publish_file(site.mqtt, "sanitation/east/bin/b-1/telemetry", &file));
    assert_eq!(site.json("/api/v1/stats")["readings"], 30_000);
}

#[test]
fn the_same_bad_message_a_hundred_times_is_one_entry_with_a_count() {
    let site = Site::started("");
    for _ in 0..100 {
        assert!(publish(site.mqtt, "sanitation/east/bin/b-1/telemetry", "{"));
    }
    let page = site.json("/api/v1/quarantine");
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["count"], 100);
}

/// Runs `serve` until it ends; gives its exit code and what it said.
fn refused(site: &Site) -> (Option<i32>, String) {
    let output = Command::new(BINARY).args(["serve", "--config"]).arg(site.config()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_taken_port_a_bad_folder_and_a_wrong_configuration_are_one_clear_line_and_code_1() {
    let site = Site::new("");
    let taken = TcpListener::bind(("127.0.0.1", site.http)).unwrap();
    let (code, said) = refused(&site);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot listen for HTTP") && said.contains("--http"), "{said}");
    drop(taken);

    let taken = TcpListener::bind(("127.0.0.1", site.mqtt)).unwrap();
    let (code, said) = refused(&site);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot listen for MQTT") && said.contains("another broker"), "{said}");
    drop(taken);

    let _ = fs::remove_dir_all(site.data());
    fs::write(site.data(), "a file, not a folder").unwrap();
    let (code, said) = refused(&site);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot use the data directory"), "{said}");

    fs::write(site.config(), "[site]\ntime_zone = \"Mars\"\n[htpp]\n").unwrap();
    let (code, said) = refused(&site);
    assert_eq!(code, Some(1));
    assert!(said.contains("sanimon.toml:2: ") && said.contains("sanimon.toml:3: "), "{said}");
}

#[test]
fn wrong_use_is_code_2() {
    let output = Command::new(BINARY).args(["serve", "--no-such-flag"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_stop_by_sigterm_is_clean() {
    let mut site = Site::started("");
    assert!(publish(site.mqtt, "sanitation/east/bin/b-1/telemetry", r#"{"fill_pct":5}"#));
    assert_eq!(site.stop(), 0, "{}", site.log());
}

#[test]
fn a_full_disk_acknowledges_nothing_says_so_and_recovers_without_a_restart() {
    let mut site = Site::new("");
    // Not root: counted as passed, and never so under CI.
    let Some(_disk) = SmallDisk::mount(&site.data(), 4) else { return };
    site.prepare();
    let topic = "sanitation/east/bin/b-1/telemetry";
    assert!(publish(site.mqtt, topic, r#"{"fill_pct":1}"#));
    let ballast = site.data().join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[7; 4096]).is_ok() {}
    drop(file);

    // The WAL may have some room of its own: publish until the disk says no.
    let mut stored = 1;
    let mut waiting = std::process::Command::new("true").spawn().unwrap();
    wait_for("the disk is full", || {
        let _ = waiting.kill();
        let _ = waiting.wait();
        waiting = std::process::Command::new("mosquitto_pub")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &site.mqtt.to_string(),
                "-q",
                "1",
                "-t",
                topic,
                "-m",
                "[{\"fill_pct\":2}]",
            ])
            .spawn()
            .unwrap();
        let answered = wait_for("an answer or a fault", || {
            let ended = waiting.try_wait().unwrap().is_some();
            let faulty =
                site.get("/readyz").is_some_and(|(status, body)| status == 503 && body.contains("full"));
            (ended || faulty).then_some(ended && !faulty)
        });
        if answered {
            stored += 1;
            return None;
        }
        Some(())
    });
    assert!(waiting.try_wait().unwrap().is_none(), "the publisher must still wait for its acknowledgement");
    let (status, body) = site.get("/readyz").unwrap();
    assert_eq!(status, 503);
    assert!(body.contains("full"), "{body}");

    fs::remove_file(&ballast).unwrap();
    wait_for("the waiting publish is acknowledged", || waiting.try_wait().unwrap());
    wait_for("sanimon is ready again", || (site.get("/readyz")?.0 == 200).then_some(()));
    assert_eq!(site.points("b-1", "fill_pct").len(), stored + 1);
}
