//! A real browser: each user's main path, and every page in its looks. The steps are in `dashboards/console/tests`; here the real
//! sanimon and Mosquitto are started for them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::harness::{
    BINARY, Mosquitto, PASSWORD, Process, Site, free_port, http, publish, wait_at_most, wait_for,
};

fn console_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards/console/tests")
}

/// Runs a script of the console's tests; what it says is shown when it fails.
fn run(script: &str, port: u16, more: &[(&str, String)], log: impl Fn() -> String) {
    let output = Command::new("node")
        .arg(console_tests().join(script))
        .env("SANIMON_URL", format!("http://127.0.0.1:{port}"))
        .env("SANIMON_PASSWORD", PASSWORD)
        .envs(more.iter().map(|(name, value)| (*name, value.as_str())))
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", log());
}

#[test]
fn a_dispatcher_sees_what_is_published_sends_somebody_and_is_told_of_a_lost_connection() {
    let broker = Mosquitto::start();
    let site = Site::started(&broker.broker_section());
    wait_for("the broker is connected", || (site.get("/readyz")?.0 == 200).then_some(()));
    let ports = [("EMBEDDED_PORT", site.mqtt.to_string()), ("MOSQUITTO_PORT", broker.port.to_string())];
    run("board.mjs", site.http, &ports, || site.log());
}

#[test]
fn in_a_storm_the_most_urgent_stand_on_top_and_the_counts_are_of_all() {
    let gateway =
        "[[mqtt.format]]\nformat = \"thingsboard\"\ntopics = [\"v1/gateway/telemetry\"]\nkind = \"bin\"\n";
    let site = Site::started(gateway);
    run("storm.mjs", site.http, &[("MQTT_PORT", site.mqtt.to_string())], || site.log());
}

#[test]
fn a_crew_does_a_job_in_a_dead_spot_and_a_round_whose_bins_tick_themselves() {
    let site = Site::started("");
    let person = site.request("PUT", "/api/v1/users/wang", Some(r#"{"role":"crew"}"#)).unwrap();
    assert_eq!(person.0, 200, "{}", person.2);
    let entered: serde_json::Value = serde_json::from_str(&person.2).unwrap();
    let teams = include_str!("../../config/teams.toml");
    let version = site.json("/api/v1/setup/teams")["version"].clone();
    let saved = json!({ "text": teams, "version": version }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/setup/teams", Some(&saved)).unwrap().0, 200);
    for (device, lon) in [("near", 119.6506), ("stop-1", 119.652), ("stop-2", 119.653)] {
        let entry = json!({ "kind": "bin", "lat": 30.23, "lon": lon }).to_string();
        assert_eq!(site.request("PUT", &format!("/api/v1/devices/{device}"), Some(&entry)).unwrap().0, 200);
    }
    for device in ["stop-1", "stop-2"] {
        assert!(publish(site.mqtt, &format!("sanitation/east/bin/{device}/telemetry"), r#"{"fill_pct":80}"#));
    }
    wait_for("the bins are known to be full", || {
        (site.json("/api/v1/devices/stop-2/latest")["fill_pct"]["value"] == 80.0).then_some(())
    });
    let wanted = r#"{"vehicle":"truck-1","order":["stop-1","stop-2"]}"#;
    let (status, _, made) = site.request("POST", "/api/v1/rounds", Some(wanted)).unwrap();
    assert_eq!(status, 201, "{made}");
    let round: serde_json::Value = serde_json::from_str(&made).unwrap();
    let more = [
        ("EMBEDDED_PORT", site.mqtt.to_string()),
        ("CREW_PASSWORD", entered["password"].as_str().unwrap().to_owned()),
        ("ROUND", round["id"].to_string()),
    ];
    run("crew.mjs", site.http, &more, || site.log());
}

#[test]
fn a_manager_sets_the_site_up_and_reviews_it() {
    let site = Site::started("");
    run("manager.mjs", site.http, &[("EMBEDDED_PORT", site.mqtt.to_string())], || site.log());
}

/// A demo: a town with a past and much to show.
struct Demo {
    http: u16,
    _process: Process,
    _data: tempfile::TempDir,
}

impl Demo {
    fn start(devices: &str) -> Self {
        let (data, http_port, mqtt) = (tempfile::tempdir().unwrap(), free_port(), free_port());
        let child = Command::new(BINARY)
            .args(["demo", "--devices", devices, "--speed", "1", "--data"])
            .arg(data.path())
            .args(["--http", &format!("127.0.0.1:{http_port}"), "--mqtt", &format!("127.0.0.1:{mqtt}")])
            .env("SANIMON_DEMO_PASSWORD", PASSWORD)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let demo = Self { http: http_port, _process: Process(child), _data: data };
        let credentials = json!({ "username": "demo", "password": PASSWORD }).to_string();
        wait_at_most("the demo takes its visitor", Duration::from_mins(3), || {
            let header = "content-type: application/json\r\n";
            let (status, ..) = http(demo.http, "POST", "/api/v1/session", header, &credentials)?;
            (status == 200).then_some(())
        });
        demo
    }
}

#[test]
fn every_page_is_accessible_asks_nobody_else_and_fits_its_screen() {
    let demo = Demo::start("40");
    run("pages.mjs", demo.http, &[("SANIMON_NAME", "demo".to_owned())], String::new);
}

/// The pictures of the README. They are written to `SANIMON_SCREENS`, or to a folder that nobody keeps.
#[test]
fn the_pictures_of_the_readme_can_be_taken() {
    // A whole township for pictures that are kept.
    let is_kept = std::env::var_os("SANIMON_SCREENS").is_some();
    // So many that some alert is open at whatever time of the day this runs.
    let demo = Demo::start(if is_kept { "300" } else { "150" });
    let folder = tempfile::tempdir().unwrap();
    let target = std::env::var("SANIMON_SCREENS").map_or_else(|_| folder.path().to_owned(), PathBuf::from);
    let more = [("SANIMON_NAME", "demo".to_owned()), ("SCREENS", target.display().to_string())];
    run("screens.mjs", demo.http, &more, String::new);
    let pictures = std::fs::read_dir(&target).unwrap().filter_map(Result::ok);
    let pictures = pictures.filter(|file| file.path().extension().is_some_and(|ending| ending == "png"));
    assert!(pictures.count() >= 6);
}
