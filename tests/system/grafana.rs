//! The Grafana dashboards: every query of every panel, against a real InfluxDB with a simulated town in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use sanimon_domain::TimestampMs;
use sanimon_domain::time::DAY_MS;
use sanimon_simulator::{Simulation, Town, publish};

use crate::harness::{BINARY, Site, wait_for};
use crate::influxd::{Influxd, ORG};
use crate::sources::now_ms;

const BUCKET: &str = "grafana";
const DAYS: i64 = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Each query by dashboard and panel, with its variables filled in as Grafana would.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for entry in std::fs::read_dir(root().join("dashboards/grafana/dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let board: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let title = board["title"].as_str().unwrap().to_owned();
        for variable in board["templating"]["list"].as_array().unwrap() {
            if let Some(query) = variable["query"]["query"].as_str() {
                queries.push((format!("{title}, variable {}", variable["name"]), query.to_owned()));
            }
        }
        for panel in board["panels"].as_array().unwrap() {
            let name = panel["title"].as_str().unwrap();
            assert!(
                panel["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{name} explains itself"
            );
            for target in panel["targets"].as_array().unwrap() {
                queries.push((format!("{title}, {name}"), target["query"].as_str().unwrap().to_owned()));
            }
        }
    }
    for (name, query) in &mut queries {
        *query = query.replace("${zone:regex}", ".*").replace("${tz}", "Asia/Shanghai");
        assert!(
            !query.contains('$') || query.contains(")$/"),
            "{name} has a variable that the test does not know: {query}"
        );
    }
    queries
}

/// What Grafana puts before each query; imports must stay first.
fn with_options(query: &str) -> String {
    let options = format!(
        "option v = {{timeRangeStart: -{DAYS}d, timeRangeStop: now(), windowPeriod: 1h, organization: \"{ORG}\", defaultBucket: \"{BUCKET}\"}}\n"
    );
    let imports: Vec<&str> = query.lines().take_while(|line| line.starts_with("import ")).collect();
    let rest: Vec<&str> = query.lines().skip(imports.len()).collect();
    format!("{}\n{options}{}", imports.join("\n"), rest.join("\n"))
}

/// A site whose InfluxDB holds some days of a simulated town, its devices in their zones.
fn town(influxd: &Influxd) -> Site {
    let simulated = Town::new(7, 40);
    let site = Site::new("");
    let mut config = std::fs::read_to_string(site.config()).unwrap();
    config = config.replace("[site]\n", "[site]\nzones = \"zones.toml\"\n");
    std::fs::write(site.config(), config + &influxd.section(BUCKET, site.folder.path())).unwrap();
    let zones: Vec<String> = simulated
        .zones
        .iter()
        .map(|zone| {
            let class = zone.class.as_str();
            format!(
                "[[zone]]\nid = \"{0}\"\nname = {{ en = \"{0}\", zh = \"{0}\" }}\nclass = \"{class}\"\n",
                zone.id
            )
        })
        .collect();
    std::fs::write(site.folder.path().join("zones.toml"), zones.concat()).unwrap();
    let fixed =
        Command::new(BINARY).args(["check", "--fix", "--config"]).arg(site.config()).output().unwrap();
    assert!(fixed.status.success(), "{fixed:?}");
    let mut site = site;
    site.prepare();
    for device in &simulated.devices {
        let zone = simulated.zones[device.zone].id;
        let entry =
            serde_json::json!({ "kind": device.kind.as_str(), "zone": zone, "team": format!("team-{zone}") });
        let path = format!("/api/v1/devices/{}", device.id);
        let (status, _, said) = site.request("PUT", &path, Some(&entry.to_string())).unwrap();
        assert_eq!(status, 200, "{said}");
    }
    let now = TimestampMs(now_ms());
    let mut simulation = Simulation::new(simulated, now.minus_ms(DAYS * DAY_MS));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sent = runtime.block_on(async {
        let publisher = publish::start("127.0.0.1", site.mqtt, "town", None);
        let uplinks = std::iter::from_fn(|| simulation.next_uplink()).take_while(|uplink| uplink.at < now);
        for uplink in uplinks {
            publisher.uplinks.send(uplink).await.unwrap();
        }
        drop(publisher.uplinks);
        publisher.task.await.unwrap()
    });
    assert!(sent > 1_000, "{sent} uplinks");
    wait_for("the town is in InfluxDB", || {
        site.get("/metrics")?.1.contains("sanimon_unsealed_points 0\n").then_some(())
    });
    site
}

#[test]
fn every_panel_answers_with_something() {
    let Some(influxd) = Influxd::start() else { return };
    let _site = town(&influxd);
    let mut bad = BTreeMap::new();
    let queries = queries();
    assert!(queries.len() > 20, "{} queries", queries.len());
    for (name, query) in queries {
        match influxd.query(&with_options(&query)) {
            // A table's rows begin with `,_result,`; an empty answer has none.
            Ok(csv) if csv.lines().any(|line| line.starts_with(",_result,") && !line.contains(",table,")) => {
            }
            Ok(csv) if csv.lines().any(|line| line.starts_with(",,")) => {}
            Ok(csv) => {
                bad.insert(name, format!("is empty: {csv}\n{query}"));
            }
            Err(error) => {
                bad.insert(name, format!("{error}\n{query}"));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn the_compose_file_is_sound_where_docker_can_tell() {
    let version = Command::new("docker").args(["compose", "version"]).output();
    if !version.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: docker compose was not found");
        return;
    }
    let output = Command::new("docker")
        .args(["compose", "--env-file", ".env.example", "config", "--quiet"])
        .envs(
            [
                "INFLUXDB_USERNAME",
                "INFLUXDB_PASSWORD",
                "INFLUXDB_TOKEN",
                "GRAFANA_USERNAME",
                "GRAFANA_PASSWORD",
            ]
            .map(|name| (name, "for-the-test")),
        )
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn sanimon_s_part_of_the_compose_file_is_sound() {
    let output = Command::new(BINARY)
        .args(["check", "--config"])
        .arg(root().join("config/compose.toml"))
        .envs(
            ["ORG", "BUCKET", "TOKEN"]
                .map(|key| (format!("SANIMON_TELEMETRY_INFLUXDB_{key}"), "for-the-test")),
        )
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // There is no InfluxDB of that name here; everything before it is sound.
    assert!(said.contains("compose.toml: sound"), "{said}");
    assert!(said.contains("cannot check InfluxDB at http://influxdb:8086"), "{said}");
}

#[test]
fn no_secret_has_a_default_in_the_compose_file() {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let mut secrets = 0;
    for line in text.lines().filter(|line| ["PASSWORD", "TOKEN"].iter().any(|word| line.contains(word))) {
        assert!(line.contains(":?set it in .env}"), "{line}");
        secrets += 1;
    }
    assert!(secrets >= 5, "{secrets} secrets were seen");
    let example = std::fs::read_to_string(root().join(".env.example")).unwrap();
    for line in example.lines().filter(|line| ["PASSWORD", "TOKEN"].iter().any(|word| line.contains(word))) {
        assert!(line.ends_with('='), "{line}");
    }
}
