//! Attacks on the broker: fuzzed packets, silent and slow connections by the thousand, storms, oversized packets, and a
//! stolen credential.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::{assert_well, take_sockets};
use crate::devices::publish_as;
use crate::harness::{Site, wait_at_most, wait_for};
use crate::proof::{Dice, scale, told};
use crate::sensor::{Sensor, connect_packet, packet, publish_packet};

/// A site whose broker is reached from outside, so that everything passes its front.
fn open_site(more: &str) -> Site {
    take_sockets();
    let site = Site::configured(more);
    let text = std::fs::read_to_string(site.config()).unwrap();
    let text = text.replace(&format!("127.0.0.1:{}", site.mqtt), &format!("0.0.0.0:{}", site.mqtt));
    std::fs::write(site.config(), text).unwrap();
    let mut site = site;
    site.prepare();
    site
}

fn handles(site: &Site) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", site.process().0.id())).unwrap().count()
}

/// An honest device that goes on publishing; the count of its acknowledgements, and the end of it.
struct Honest {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Honest {
    fn start(site: &Site, secret: &str) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut sensor = Sensor::new(site.mqtt, "honest").with_account("honest", secret);
        let (own_stop, own_count) = (stop.clone(), count.clone());
        let start = crate::sources::now_ms() - 10_000_000;
        let thread = std::thread::spawn(move || {
            let mut n = 0;
            while !own_stop.load(Ordering::Acquire) {
                sensor.publish(&format!(r#"{{"ts":{},"fill_pct":{}}}"#, start + n * 1_000, n % 60));
                n += 1;
                own_count.fetch_add(1, Ordering::AcqRel);
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        Self { stop, count, thread: Some(thread) }
    }

    fn wait_for_more(&self, more: u64) {
        let wanted = self.count.load(Ordering::Acquire) + more;
        wait_at_most("the honest device is served", Duration::from_mins(1), || {
            (self.count.load(Ordering::Acquire) >= wanted).then_some(())
        });
    }

    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.thread.take().unwrap().join().expect("the honest device got all of its answers");
        self.count.load(Ordering::Acquire)
    }
}

/// A packet as somebody might send it who has read half of the standard.
fn fuzzed(dice: &mut Dice) -> Vec<u8> {
    let topics = [
        "sanitation/east/bin/fuzz/telemetry",
        "sanitation/east/bin/other/telemetry",
        "#",
        "",
        "$SYS/x",
        "v1/devices/me/telemetry",
    ];
    let payloads: [&[u8]; 6] = [
        br#"{"fill_pct":1}"#,
        b"{",
        b"[[[[[[",
        b"\xff\xfe\x00",
        br#"[{"bn":"x","n":"fill_pct","v":1}]"#,
        b"",
    ];
    let topic = topics[dice.below(6) as usize];
    let mut bytes = match dice.below(8) {
        0 | 1 => publish_packet(
            topic,
            dice.below(65_536) as u16,
            payloads[dice.below(6) as usize],
            dice.below(2) == 1,
        ),
        2 => packet(
            0x82,
            &[&[0, 1][..], &(topic.len() as u16).to_be_bytes(), topic.as_bytes(), &[dice.below(256) as u8]]
                .concat(),
        ),
        3 => packet((dice.below(16) << 4) as u8, &[0, dice.below(256) as u8]),
        4 => vec![0xc0, 0],
        5 => connect_packet("fuzz", Some(("fuzz", "x"))),
        // PUBREL, PUBCOMP, UNSUBSCRIBE of nothing.
        6 => packet([0x62, 0x70, 0xa2][dice.below(3) as usize], &[dice.below(256) as u8, 1]),
        _ => (0..dice.below(40)).map(|_| dice.below(256) as u8).collect(),
    };
    for _ in 0..dice.below(4) {
        if bytes.is_empty() {
            break;
        }
        let place = dice.below(bytes.len() as u64) as usize;
        match dice.below(4) {
            0 => bytes[place] = dice.below(256) as u8,
            1 => bytes[place] ^= 1 << dice.below(8),
            2 => bytes.truncate(place),
            _ => bytes.insert(place, dice.below(256) as u8),
        }
    }
    bytes
}

/// Sends fuzzed packets over signed-in connections until so many have gone; gives the number of connections.
fn fuzz(port: u16, secret: &str, seed: u64, packets: u64) -> u64 {
    let mut dice = Dice(seed);
    let (mut sent, mut connections) = (0, 0);
    let mut version = 4;
    while sent < packets {
        connections += 1;
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
        let mut connect = connect_packet("fuzz", Some(("fuzz", secret)));
        // Every other one speaks MQTT 5: its CONNECT has properties before the client id.
        version = 9 - version;
        if version == 5 {
            connect[8] = 5;
            connect.insert(12, 0);
            connect[1] += 1;
        }
        if stream.write_all(&connect).is_err() {
            continue;
        }
        let mut answer = [0; 512];
        let _ = stream.read(&mut answer);
        let _ = stream.set_nonblocking(true);
        // Some hundred packets, unless the broker has had enough.
        for _ in 0..200 {
            let bytes = fuzzed(&mut dice);
            sent += 1;
            if stream.write_all(&bytes).is_err() {
                break;
            }
            if matches!(stream.read(&mut answer), Ok(0)) {
                break;
            }
        }
    }
    connections
}

#[test]
fn fuzzed_packets_break_nothing_and_reach_nobody_elses_topics() {
    let site = open_site("");
    let (_, honest) = site.credential(&json!({ "username": "honest" }));
    let (_, secret) = site.credential(&json!({ "username": "fuzz" }));
    let honest = Honest::start(&site, &honest);
    let (packets, seed) = (scale(20_000, 1_000_000), Dice::new().0);
    let threads: Vec<_> = (0..2)
        .map(|n| {
            let (port, secret) = (site.mqtt, secret.clone());
            std::thread::spawn(move || fuzz(port, &secret, seed + n, packets / 2))
        })
        .collect();
    honest.wait_for_more(20);
    let connections: u64 = threads.into_iter().map(|thread| thread.join().expect("a fuzzer")).sum();
    honest.wait_for_more(20);
    let served = honest.end();
    assert_well(&site);
    assert_eq!(site.points("honest", "fill_pct").len() as u64, served, "all that was acknowledged, once");
    let devices = site.json("/api/v1/devices?limit=1000");
    let known: Vec<&str> =
        devices["items"].as_array().unwrap().iter().filter_map(|d| d["id"].as_str()).collect();
    assert!(known.iter().all(|id| ["honest", "fuzz"].contains(id)), "{known:?}");
    told(
        "fuzzed-packets",
        &json!({ "packets": packets, "connections": connections, "honest_served": served, "panics": 0, "seed": seed }),
    );
}

#[test]
fn connections_that_say_nothing_are_given_up_and_hold_nothing() {
    let site = open_site("");
    let (_, honest) = site.credential(&json!({ "username": "honest" }));
    let honest = Honest::start(&site, &honest);
    honest.wait_for_more(5);
    let before = handles(&site);
    let hostile = scale(1_500, 5_000) as usize;
    let mut held = Vec::new();
    for n in 0..hostile {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", site.mqtt)) else { continue };
        // A third says nothing, a third the beginning of CONNECT, a third what is no MQTT.
        match n % 3 {
            0 => {}
            1 => drop(stream.write_all(&[0x10, 0x7f, 0])),
            _ => drop(stream.write_all(b"GET / HTTP/1.1\r\n")),
        }
        held.push(stream);
    }
    honest.wait_for_more(30);
    // Never more of one address than its share, however many come.
    let now = handles(&site);
    assert!(now < before + 400, "{before} handles before, {now} under attack");
    assert!(site.metric("sanimon_mqtt_evicted_total").unwrap() > 0);
    drop(held);
    wait_at_most("all are let go", Duration::from_secs(40), || (handles(&site) <= before + 10).then_some(()));
    let served = honest.end();
    assert_well(&site);
    told(
        "silent-connections",
        &json!({ "hostile": hostile, "handles_before": before, "handles_under_attack": now, "honest_served": served }),
    );
}

#[test]
fn a_storm_of_connections_and_of_guessed_secrets() {
    let site = open_site("");
    let (_, secret) = site.credential(&json!({ "username": "honest" }));
    let honest = Honest::start(&site, &secret);
    let storms = scale(1_000, 50_000);
    let guess = connect_packet("honest", Some(("honest", "a secret that is wrong")));
    for n in 0..storms {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", site.mqtt)) else { continue };
        if n % 2 == 0 {
            let _ = stream.write_all(&guess);
        }
    }
    honest.wait_for_more(10);
    // Many wrong secrets shut nobody out.
    assert!(publish_as(
        site.mqtt,
        ("honest", &secret),
        "sanitation/east/bin/honest/telemetry",
        r#"{"fill_pct":2}"#
    ));
    let served = honest.end();
    assert_well(&site);
    told("connection-storm", &json!({ "connections": storms, "honest_served": served }));
}

#[test]
fn packets_without_an_end_and_topics_without_a_bottom() {
    let site = open_site("");
    let (_, secret) = site.credential(&json!({ "username": "honest" }));
    let connect = connect_packet("big", Some(("honest", &secret)));
    let deep = format!("sanitation/east/bin/honest/{}", "x/".repeat(20_000));
    let long = vec![b'x'; 3 << 20];
    let endless: &[u8] = &[0x30, 0xff, 0xff, 0xff, 0x7f];
    for (name, bytes) in [
        (
            "a payload of three megabytes",
            publish_packet("sanitation/east/bin/honest/telemetry", 1, &long, false),
        ),
        ("a length of 256 MB", endless.to_vec()),
        ("a topic of twenty thousand levels", publish_packet(&deep, 1, b"{}", false)),
        ("a length of five bytes", vec![0x30, 0x80, 0x80, 0x80, 0x80, 0x01]),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", site.mqtt)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&connect).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        let _ = stream.write_all(&bytes);
        // Refused by the end of the connection; for what has no end, memory must not wait for it.
        if name.contains("256") {
            let _ = stream.write_all(&vec![0; 1 << 20]);
        }
        let ended = wait_for(name, || match stream.read(&mut answer) {
            Ok(0) | Err(_) => Some(true),
            Ok(_) => None,
        });
        assert!(ended);
        assert_well(&site);
    }
    let rss = std::fs::read_to_string(format!("/proc/{}/status", site.process().0.id())).unwrap();
    let line = rss.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let megabytes: u64 = line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024;
    assert!(megabytes < 250, "{megabytes} MB at most");
}

#[test]
fn a_stolen_credential_reaches_one_device_and_is_worth_nothing_once_revoked() {
    let site = open_site("");
    let (id, stolen) = site.credential(&json!({ "username": "b-1" }));
    let (_, other) = site.credential(&json!({ "username": "b-2" }));
    let thief = ("b-1", stolen.as_str());
    let of = |device: &str| format!("sanitation/east/bin/{device}/telemetry");
    assert!(publish_as(site.mqtt, ("b-2", &other), &of("b-2"), r#"{"fill_pct":22}"#));
    for topic in [
        of("b-2"),
        of("b-2") + "/",
        "sanitation/east/bin/b-2/status".into(),
        of("+"),
        "sanitation/alerts/x/1".into(),
    ] {
        publish_as(site.mqtt, thief, &topic, r#"{"fill_pct":99}"#);
    }
    let values: Vec<f64> = site.points("b-2", "fill_pct").iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [22.0]);
    // A retained lie is not kept: who comes later does not hear it.
    let lie = ["-u", "b-1", "-P", &stolen, "-r"];
    assert!(crate::harness::publish_with(site.mqtt, &of("b-1"), r#"{"fill_pct":50}"#, &lie));
    assert_eq!(site.request("DELETE", &format!("/api/v1/credentials/{id}"), None).unwrap().0, 204);
    assert!(!publish_as(site.mqtt, thief, &of("b-1"), r#"{"fill_pct":99}"#));
}
