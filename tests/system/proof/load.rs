//! The load: sensors at once, each of which sends a message again until it is acknowledged; and the judgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Site, wait_at_most};
use crate::sensor::Sensor;
use crate::sources::now_ms;

const SENSORS: usize = 4;
/// Between two readings of a sensor, by its own clock.
const STEP_MS: i64 = 1_000;
/// The load's first reading is that old: thousands of steps fit before now.
const PAST_MS: i64 = 20 * 3_600_000;

/// Rules whose alerts follow from the readings alone. With a `for`, a deadline or a silence they would also follow from
/// when readings of the past arrive beside each other, which is what is disturbed here.
const RULES: &str = r#"
[[rule]]
id = "fill"
title = { en = "Bin fills", zh = "满" }
kind = "bin"
metric = "fill_pct"
[[rule.level]]
severity = "minor"
raise = ">= 75"
clear = "< 60"
[[rule.level]]
severity = "major"
raise = ">= 90"
clear = "< 85"
[[rule.level]]
severity = "critical"
raise = ">= 98"
clear = "< 95"
"#;

/// A site with these rules.
pub(crate) fn site_for_load(more: &str) -> Site {
    let site = Site::new(more);
    std::fs::write(site.folder.path().join("rules.toml"), RULES).expect("the rules");
    let text = std::fs::read_to_string(site.config()).expect("the configuration");
    let text = text.replacen("[site]", "[site]\nrules = \"rules.toml\"", 1);
    std::fs::write(site.config(), text).expect("the configuration");
    site
}

/// What was acknowledged, by device: time and value.
pub(crate) type Acknowledged = BTreeMap<String, BTreeMap<i64, f64>>;

/// Sensors that publish until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    sensors: Vec<JoinHandle<(String, BTreeMap<i64, f64>)>>,
}

/// A bin that fills from 0 to 100 and is emptied, over and over, each sensor at its own point.
fn value(n: i64, sensor: usize) -> f64 {
    ((n * 7 + sensor as i64 * 31) % 110).min(100) as f64
}

impl Load {
    /// Begins; with accounts each sensor signs in as itself.
    pub(crate) fn start(port: u16, pause: Duration) -> Self {
        Self::of(port, SENSORS, pause, &|sensor| sensor)
    }

    pub(crate) fn of(port: u16, sensors: usize, pause: Duration, prepare: &dyn Fn(Sensor) -> Sensor) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let start = now_ms() - PAST_MS;
        let sensors = (0..sensors).map(|index| {
            let (stop, count) = (stop.clone(), count.clone());
            let device = format!("b-{index}");
            let mut sensor = Sensor::new(port, &device);
            sensor.patience = Duration::from_secs(3);
            let mut sensor = prepare(sensor);
            std::thread::spawn(move || {
                let mut acknowledged = BTreeMap::new();
                for n in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let (at, value) = (start + n * STEP_MS, value(n, index));
                    // What was begun is ended: the last one, too, is sent until it is acknowledged.
                    sensor.publish(&format!(r#"{{"ts":{at},"fill_pct":{value}}}"#));
                    acknowledged.insert(at, value);
                    count.fetch_add(1, Ordering::AcqRel);
                    std::thread::park_timeout(pause);
                }
                (device, acknowledged)
            })
        });
        let sensors = sensors.collect();
        Self { stop, count, sensors }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until so many more are acknowledged.
    pub(crate) fn wait_for_more(&self, more: u64) {
        let wanted = self.count() + more;
        wait_at_most("acknowledgements", Duration::from_mins(2), || (self.count() >= wanted).then_some(()));
    }

    pub(crate) fn finish(self) -> Acknowledged {
        self.stop.store(true, Ordering::Release);
        self.sensors
            .into_iter()
            .map(|sensor| sensor.join().expect("a sensor got all of its answers"))
            .collect()
    }
}

/// An alert's transition: kind, severity, time.
type Transition = (String, String, String);

/// What became of each device's alerts, in order.
pub(crate) fn transitions(site: &Site) -> BTreeMap<String, Vec<Transition>> {
    let mut all: BTreeMap<String, Vec<Transition>> = BTreeMap::new();
    let mut alerts = site.all_alerts();
    alerts.sort_by_key(|alert| alert["id"].as_u64());
    for alert in alerts {
        let alert = site.json(&format!("/api/v1/alerts/{}", alert["id"]));
        let device = alert["device"]["id"].as_str().unwrap_or_default().to_owned();
        for step in alert["history"].as_array().expect("a history") {
            let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
            // A missed deadline is told when the clock has come to it.
            if text("kind") == "escalated" {
                continue;
            }
            all.entry(device.clone()).or_default().push((text("kind"), text("severity"), text("at")));
        }
    }
    all
}

/// Compares what is stored with what was acknowledged, and the alerts with those of a calm site that got the same.
/// Waits for what an external broker or InfluxDB still brings. The result holds zeros, or the test has failed.
pub(crate) fn judge(site: &Site, acknowledged: &Acknowledged) -> Value {
    let mut judged = json!({ "acknowledged": 0, "lost": 0, "doubled": 0, "changed": 0 });
    let mut add = |key: &str, number: usize| {
        judged[key] = (judged[key].as_u64().unwrap_or_default() + number as u64).into();
    };
    for (device, sent) in acknowledged {
        let stored = wait_at_most("all messages", Duration::from_mins(3), || {
            let stored = site.points(device, "fill_pct");
            (stored.len() >= sent.len()).then_some(stored)
        });
        let unique: BTreeMap<i64, f64> = stored.iter().copied().collect();
        add("acknowledged", sent.len());
        add(
            "doubled",
            stored.len() - unique.len() + unique.keys().filter(|at| !sent.contains_key(at)).count(),
        );
        add("lost", sent.keys().filter(|at| !unique.contains_key(at)).count());
        add(
            "changed",
            sent.iter().filter(|(at, value)| unique.get(at).is_some_and(|own| own != *value)).count(),
        );
    }
    let mut calm = site_for_load("");
    calm.prepare();
    for (device, sent) in acknowledged {
        let mut sensor = Sensor::new(calm.mqtt, device);
        sent.iter().for_each(|(at, value)| sensor.publish(&format!(r#"{{"ts":{at},"fill_pct":{value}}}"#)));
    }
    let (expected, found) = (transitions(&calm), transitions(site));
    assert!(expected.values().any(|steps| steps.len() > 3), "the load must raise alerts");
    assert_eq!(found, expected, "the alerts are those of an undisturbed run");
    judged["alert_steps"] = expected.values().map(Vec::len).sum::<usize>().into();
    judged["alerts_equal"] = true.into();
    for zero in ["lost", "doubled", "changed"] {
        assert_eq!(judged[zero], 0, "{judged}");
    }
    judged
}
