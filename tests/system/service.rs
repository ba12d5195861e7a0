//! As a service: what a manager is told, and the files that stand for one.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{Process, Site, publish, wait_for};
use crate::proof::SmallDisk;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// What a service manager hears.
struct Manager {
    socket: UnixDatagram,
    told: String,
}

impl Manager {
    /// Of a site that is not started yet; its watchdog waits 1.5 s.
    fn of(site: &mut Site) -> Self {
        let path = site.folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        site.env.push(("NOTIFY_SOCKET".to_owned(), path.display().to_string()));
        site.env.push(("WATCHDOG_USEC".to_owned(), "1500000".to_owned()));
        Self { socket, told: String::new() }
    }

    fn listen(&mut self) {
        let mut buffer = [0; 1024];
        if let Ok(read) = self.socket.recv(&mut buffer) {
            self.told.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    fn hear(&mut self, what: &str, times: usize) {
        wait_for(what, || {
            self.listen();
            (self.told.matches(what).count() >= times).then_some(())
        });
    }
}

#[test]
fn a_service_manager_is_told_when_it_is_ready_alive_and_stopping() {
    let mut site = Site::new("");
    let mut manager = Manager::of(&mut site);
    site.start();
    manager.hear("READY=1", 1);
    manager.hear("WATCHDOG=1", 3);
    manager.hear("STATUS=0 devices", 1);
    assert_eq!(site.stop(), 0);
    manager.hear("STOPPING=1", 1);
}

#[test]
fn a_store_that_refuses_is_told_and_is_no_reason_to_be_restarted() {
    let mut site = Site::new("");
    let Some(_disk) = SmallDisk::mount(&site.data(), 8) else { return };
    let mut manager = Manager::of(&mut site);
    site.prepare();
    manager.hear("READY=1", 1);
    let mut file = std::fs::File::create(site.data().join("ballast")).unwrap();
    let mut waiting = Vec::new();
    // The store's log has some room of its own, which it uses again: messages go on until the disk really says no.
    wait_for("the manager hears why nothing is acknowledged", || {
        while std::io::Write::write_all(&mut file, &[7; 4096]).is_ok() {}
        if site.metric("sanimon_store_ok")? == 1 {
            let port = site.mqtt.to_string();
            let to = ["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "sanitation/east/bin/b-1/telemetry"];
            let sent = Command::new("mosquitto_pub").args(to).args(["-m", r#"{"fill_pct":1}"#]).spawn();
            waiting.push(Process(sent.unwrap()));
        }
        manager.listen();
        manager.told.contains("nothing is acknowledged").then_some(())
    });
    // Alive all the same.
    let alive = manager.told.matches("WATCHDOG=1").count();
    manager.hear("WATCHDOG=1", alive + 2);
}

#[test]
fn every_alert_for_prometheus_asks_for_numbers_that_are_there_and_names_a_page_that_is() {
    let site = Site::started("");
    let metrics = site.get("/metrics").unwrap().1;
    let told = metrics.lines().filter(|line| !line.starts_with('#'));
    let there: BTreeSet<&str> = told.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let rules = std::fs::read_to_string(project("config/prometheus/sanimon-alerts.yml")).unwrap();
    let words = rules.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let asked: BTreeSet<&str> = words.filter(|word| word.starts_with("sanimon_")).collect();
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked {
        assert!(there.contains(name), "{name} is no number of /metrics");
    }
    for page in rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: ")) {
        assert!(project(page).exists(), "{page}");
    }
    let index = std::fs::read_to_string(project("docs/runbook/README.md")).unwrap();
    for entry in std::fs::read_dir(project("docs/runbook")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || index.contains(&format!("({name})")), "{name} is not in the index");
    }
}

#[test]
fn the_promises_are_told_and_hold() {
    let site = Site::started("");
    for n in 0..5 {
        let payload = format!(r#"{{"fill_pct":{n}}}"#);
        assert!(publish(site.mqtt, "sanitation/east/bin/b-1/telemetry", &payload));
    }
    let number = |name: &str| site.metric(&format!("sanimon_messages_{name}_total")).unwrap();
    // The acknowledgement is counted right after it was given.
    wait_for("five acknowledgements", || (number("acknowledged") == 5).then_some(()));
    assert_eq!((number("received"), number("committed"), number("lost")), (5, 5, 0));
}
