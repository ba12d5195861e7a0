//! A site's data on the move: backup and restore, export and import, to InfluxDB and back.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{BINARY, Site, publish};
use crate::influxd::Influxd;
use crate::setup::send;
use crate::sources::now_ms;

fn sanimon(args: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(args);
    for (flag, path) in paths {
        if !flag.is_empty() {
            command.arg(flag);
        }
        command.arg(path);
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A running site with some readings of two devices.
fn site() -> (Site, Vec<(i64, f64)>) {
    let site = Site::started("");
    let start = now_ms() - 86_400_000;
    let mut expected = Vec::new();
    for n in 0..50 {
        let (at, value) = (start + n * 60_000, n as f64 / 2.0);
        let payload = format!(r#"{{"ts":{at},"fill_pct":{value},"door_angle":{n}}}"#);
        assert!(publish(site.mqtt, "sanitation/east/bin/b-1/telemetry", &payload));
        expected.push((at, value));
    }
    assert!(publish(site.mqtt, "sanitation/east/toilet/厕所-1/telemetry", r#"{"nh3_ppm":1.25}"#));
    (site, expected)
}

#[test]
fn a_backup_is_made_while_the_site_runs_and_brings_everything_back() {
    let (mut site, expected) = site();
    let file = site.folder.path().join("town.backup");
    let made = sanimon(&["backup"], &[("", &file), ("--data", &site.data())]);
    assert!(made.status.success(), "{}", text(&made));
    let again = sanimon(&["backup"], &[("", &file), ("--data", &site.data())]);
    assert!(!again.status.success() && text(&again).contains("exists already"), "{}", text(&again));

    // What comes after the backup is not in it.
    assert!(publish(site.mqtt, "sanitation/east/bin/b-1/telemetry", r#"{"fill_pct":99}"#));
    let running = sanimon(&["restore", "--force"], &[("", &file), ("--data", &site.data())]);
    assert!(!running.status.success() && text(&running).contains("another sanimon"), "{}", text(&running));
    assert_eq!(site.stop(), 0);
    let refused = sanimon(&["restore"], &[("", &file), ("--data", &site.data())]);
    assert!(!refused.status.success() && text(&refused).contains("--force"), "{}", text(&refused));
    let forced = sanimon(&["restore", "--force"], &[("", &file), ("--data", &site.data())]);
    assert!(forced.status.success(), "{}", text(&forced));

    site.start();
    // The accounts are in the backup, the session too.
    assert_eq!(site.points("b-1", "fill_pct"), expected);
}

#[test]
fn what_was_saved_in_the_console_comes_back_with_a_backup() {
    let mut site = Site::started("");
    let file = site.folder.path().join("town.backup");
    let zones = "[[zone]]\nid = \"one\"\nname = { en = \"A\", zh = \"甲\" }\nclass = \"street\"\n";
    let rules = site.json("/api/v1/setup/rules");
    let changed = rules["text"].as_str().unwrap().replacen(">= 75", ">= 70", 1);
    let zones_now = site.json("/api/v1/setup/zones");
    for (document, text, before) in [("zones", zones, &zones_now), ("rules", &changed, &rules)] {
        let body = serde_json::json!({ "text": text, "version": before["version"] });
        assert_eq!(send(&site, "PUT", &format!("/api/v1/setup/{document}"), &body).0, 200, "{document}");
    }
    let made = sanimon(&["backup"], &[("", &file), ("--data", &site.data())]);
    assert!(made.status.success(), "{}", text(&made));
    assert_eq!(site.stop(), 0);

    // The machine is gone, and the files with it.
    std::fs::remove_dir_all(site.data()).unwrap();
    let restored = sanimon(&["restore"], &[("", &file), ("--data", &site.data())]);
    assert!(restored.status.success() && text(&restored).contains("zones.toml"), "{}", text(&restored));
    site.start();
    assert_eq!(site.json("/api/v1/zones")[0]["id"], "one");
    assert_eq!(site.json("/api/v1/setup/rules")["text"], changed);
    assert!(!site.log().contains("is gone"), "{}", site.log());
}

#[test]
fn what_is_no_backup_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no.backup");
    std::fs::write(&file, "something else entirely").unwrap();
    let refused = sanimon(&["restore"], &[("", &file), ("--data", &folder.path().join("data"))]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("no backup of sanimon"), "{}", text(&refused));
    assert!(!folder.path().join("data/sanimon.db").exists());
}

#[test]
fn an_export_of_either_form_is_an_import() {
    let (mut site, expected) = site();
    for form in ["csv", "line"] {
        let file = site.folder.path().join(format!("town.{form}"));
        let made = sanimon(&["export", "--format", form], &[("--output", &file), ("--data", &site.data())]);
        assert!(
            made.status.success() && text(&made).contains("101 readings of 2 devices"),
            "{}",
            text(&made)
        );

        let mut other = Site::new("");
        let stored = sanimon(&["import"], &[("", &file), ("--data", &other.data())]);
        assert!(stored.status.success() && text(&stored).contains("101 readings"), "{}", text(&stored));
        // Again: nothing changes.
        assert!(sanimon(&["import"], &[("", &file), ("--data", &other.data())]).status.success());
        other.prepare();
        assert_eq!(other.points("b-1", "fill_pct"), expected);
        assert_eq!(other.points("b-1", "door_angle").len(), 50);
        assert_eq!(other.points("%E5%8E%95%E6%89%80-1", "nh3_ppm").len(), 1);
        assert!(other.alerts("").is_empty(), "history raises no alert");
    }
    assert_eq!(site.stop(), 0);
}

#[test]
fn an_import_names_the_line_that_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, hint) in [
        ("a.csv", "device,kind,zone,team,metric,time,value\nb-1,bin,,,fill_pct,yesterday,1\n", "`yesterday`"),
        (
            "b.csv",
            "device,kind,zone,team,metric,time,value\nb-1,bin,,,fill_pct,2026-01-01T00:00:00Z,full\n",
            "line: 2",
        ),
        ("c.line", "bin,device=b-1 fill_pct=1 1\nbin fill_pct=1 1\n", "line 2: it has no tag `device`"),
        ("d.line", "lamp,device=b-1 fill_pct=1 1\n", "line 1: `lamp` is none of"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        let refused = sanimon(&["import"], &[("", &file), ("--data", &folder.path().join("data"))]);
        assert_eq!(refused.status.code(), Some(1), "{name}");
        assert!(text(&refused).contains(hint), "{name}: {}", text(&refused));
    }
}

#[test]
fn a_site_moves_to_influxdb_and_back() {
    let Some(influxd) = Influxd::start() else { return };
    let (mut site, expected) = site();
    assert_eq!(site.stop(), 0);
    // To InfluxDB: the configuration says so, and what is here is delivered.
    let embedded = std::fs::read_to_string(site.config()).unwrap();
    let section = influxd.section("town", site.folder.path());
    std::fs::write(site.config(), embedded.clone() + &section).unwrap();
    let fixed = sanimon(&["check", "--fix"], &[("--config", &site.config())]);
    assert!(fixed.status.success(), "{}", text(&fixed));
    site.start();
    crate::harness::wait_for("everything is in InfluxDB", || {
        site.get("/metrics")?.1.contains("sanimon_unsealed_points 0\n").then_some(())
    });
    assert_eq!(site.points("b-1", "fill_pct"), expected);

    // And back: exported from there, imported here.
    let file = site.folder.path().join("town.line");
    let made = sanimon(&["export", "--format", "line"], &[("--output", &file), ("--config", &site.config())]);
    assert!(made.status.success() && text(&made).contains("101 readings"), "{}", text(&made));
    assert_eq!(site.stop(), 0);
    std::fs::write(site.config(), embedded).unwrap();
    let stored = sanimon(&["import"], &[("", &file), ("--config", &site.config())]);
    assert!(stored.status.success(), "{}", text(&stored));
    site.start();
    assert_eq!(site.points("b-1", "fill_pct"), expected);
}

#[test]
fn damaged_data_are_named_by_check_and_the_rest_answers() {
    let (mut site, expected) = site();
    assert_eq!(site.stop(), 0);
    let sound = sanimon(&["check"], &[("--config", &site.config())]);
    assert!(sound.status.success() && text(&sound).contains("101 points"), "{}", text(&sound));

    let database = rusqlite::Connection::open(site.data().join("sanimon.db")).unwrap();
    let flip = "UPDATE journal SET records = CAST(substr(records, 1, 12) || x'ff' || substr(records, 14) AS BLOB) WHERE seq = 7";
    assert_eq!(database.execute(flip, []).unwrap(), 1);
    drop(database);
    let named = sanimon(&["check"], &[("--config", &site.config())]);
    assert_eq!(named.status.code(), Some(1));
    assert!(
        text(&named).contains("journal row 7: ") && text(&named).contains("checksum"),
        "{}",
        text(&named)
    );
    site.start();
    let points = site.points("b-1", "fill_pct");
    assert_eq!(points.len(), expected.len() - 1);
    assert!(points.iter().all(|point| expected.contains(point)));
}

#[test]
fn a_torn_end_of_the_log_costs_at_most_what_was_being_written() {
    let (mut site, expected) = site();
    site.kill();
    let wal = site.data().join("sanimon.db-wal");
    let length = std::fs::metadata(&wal).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&wal).unwrap().set_len(length - 1_000).unwrap();
    site.start();
    // The toilet's message was the last one written.
    assert_eq!(site.points("b-1", "fill_pct"), expected);
}
