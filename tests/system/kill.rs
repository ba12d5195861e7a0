//! `kill -9` at random instants under load: what was acknowledged is there, once, and the alerts are those of an
//! undisturbed run.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Mosquitto, Site, publish, wait_for};
use crate::sources::now_ms;

/// The instants at which the process is killed, as numbers of acknowledged messages: spread by a fixed generator.
const KILLS: usize = 20;
const MESSAGES_BETWEEN: u64 = 40;

/// A publisher of one device that sends the same message again until it is acknowledged, as a sensor does.
struct Sensor {
    stream: Option<TcpStream>,
    port: u16,
}

impl Sensor {
    fn connect(port: u16) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let id = b"sensor-1";
        let mut packet =
            vec![0x10, 12 + id.len() as u8, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, id.len() as u8];
        packet.extend_from_slice(id);
        stream.write_all(&packet).ok()?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).ok()?;
        (answer[0] == 0x20).then_some(stream)
    }

    /// One QoS 1 publish; true when its PUBACK came.
    fn publish(&mut self, packet_id: u16, payload: &str, dup: bool) -> bool {
        if self.stream.is_none() {
            self.stream = Self::connect(self.port);
        }
        let Some(stream) = &mut self.stream else { return false };
        let topic = b"sanitation/east/bin/b-1/telemetry";
        let length = 2 + topic.len() + 2 + payload.len();
        let mut packet =
            vec![if dup { 0x3a } else { 0x32 }, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
        packet.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        packet.extend_from_slice(topic);
        packet.extend_from_slice(&packet_id.to_be_bytes());
        packet.extend_from_slice(payload.as_bytes());
        let mut answer = [0; 4];
        let sent = stream.write_all(&packet).is_ok() && stream.read_exact(&mut answer).is_ok();
        if !sent {
            self.stream = None;
        }
        sent && answer == [0x40, 2, (packet_id >> 8) as u8, packet_id as u8]
    }
}

/// A bin that fills from 0 to 100 and is emptied, over and over.
fn value(n: u64) -> f64 {
    ((n * 7) % 110).min(100) as f64
}

/// The alerts' transitions, as `(kind, severity, time)`.
fn transitions(site: &Site) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut alerts = site.alerts("");
    alerts.sort_by_key(|alert| alert["id"].as_u64());
    for alert in alerts {
        let alert = site.json(&format!("/api/v1/alerts/{}", alert["id"]));
        for step in alert["history"].as_array().unwrap() {
            let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
            all.push((text("kind"), text("severity"), text("at")));
        }
    }
    all
}

#[test]
fn twenty_kills_under_load_lose_nothing_double_nothing_and_change_no_alert() {
    let start = now_ms() - 3_600_000;
    let total = KILLS as u64 * MESSAGES_BETWEEN;
    let payload = |n: u64| format!(r#"{{"ts":{},"fill_pct":{}}}"#, start + n as i64 * 1_000, value(n));

    let calm = Site::started("");
    let mut sensor = Sensor { stream: None, port: calm.mqtt };
    for n in 0..total {
        wait_for("an acknowledgement", || {
            sensor.publish((n % 65_000) as u16 + 1, &payload(n), false).then_some(())
        });
    }
    let expected = transitions(&calm);
    assert!(expected.len() > 20, "the load must raise alerts: {expected:?}");

    let mut site = Site::started("");
    let mut sensor = Sensor { stream: None, port: site.mqtt };
    let mut acknowledged: BTreeMap<i64, f64> = BTreeMap::new();
    let mut seed = 0x5EED_u64;
    let mut kill_at = 7;
    for n in 0..total {
        if n == kill_at {
            // In the middle of a publish: it is written, and the process is gone before or after its answer.
            site.process().signal("-KILL");
            site.kill();
            site.start();
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            kill_at = n + 1 + (seed >> 33) % (2 * MESSAGES_BETWEEN - 1);
        }
        let mut dup = false;
        wait_for("an acknowledgement", || {
            let done = sensor.publish((n % 65_000) as u16 + 1, &payload(n), dup);
            dup = true;
            done.then_some(())
        });
        acknowledged.insert(start + n as i64 * 1_000, value(n));
    }
    site.kill();
    site.start();
    let stored: Vec<(i64, f64)> = site.points("b-1", "fill_pct");
    assert_eq!(stored, acknowledged.into_iter().collect::<Vec<_>>());
    assert_eq!(transitions(&site), expected);
}

#[test]
fn kills_while_an_external_broker_is_followed_lose_nothing_and_double_nothing() {
    let broker = Mosquitto::start();
    let mut site = Site::started(&broker.broker_section());
    wait_for("the subscription", || {
        assert!(publish(broker.port, "sanitation/east/bin/b-0/telemetry", r#"{"fill_pct":1}"#));
        site.points("b-0", "fill_pct").last().copied()
    });
    let start = now_ms() - 3_600_000;
    let mut expected = Vec::new();
    for n in 0..150 {
        let at = start + n * 1_000;
        let payload = format!(r#"{{"ts":{at},"fill_pct":{}}}"#, value(n as u64));
        assert!(publish(broker.port, "sanitation/east/bin/b-1/telemetry", &payload));
        expected.push((at, value(n as u64)));
        if n % 30 == 17 {
            // Right behind a publish: received or not, stored or not, acknowledged to the broker or not.
            site.kill();
            site.start();
        }
    }
    wait_for("all messages", || (site.points("b-1", "fill_pct").len() >= expected.len()).then_some(()));
    assert_eq!(site.points("b-1", "fill_pct"), expected);
}
