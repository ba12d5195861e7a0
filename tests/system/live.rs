//! The live feed over real HTTP, and MQTT over a real WebSocket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Site, free_port, publish, wait_for};

const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";

/// One event of a stream of server-sent events.
#[derive(Debug, Default)]
struct LiveEvent {
    kind: String,
    id: String,
    data: String,
}

/// How long the stream may say nothing; it tells the time more often.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Opens the stream, after an event if there is one, and gives all that it says up to the event of this kind whose data
/// holds the text. Only the time, which is told when nothing else is, is left out.
fn follow(site: &Site, last_event_id: Option<&str>, kind: &str, text: &str) -> Vec<LiveEvent> {
    let stream = site.open(
        "/api/v1/events",
        &last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default(),
    );
    stream.set_read_timeout(Some(SILENCE_MAX)).unwrap();
    let (mut events, mut event) = (Vec::new(), LiveEvent::default());
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        match line.split_once(": ") {
            Some(("event", value)) => value.clone_into(&mut event.kind),
            Some(("id", value)) => value.clone_into(&mut event.id),
            Some(("data", value)) => event.data.push_str(value),
            _ if line.is_empty() => {
                let event = std::mem::take(&mut event);
                let is_last = event.kind == kind && event.data.contains(text);
                if !matches!(event.kind.as_str(), "time" | "") {
                    events.push(event);
                }
                if is_last {
                    return events;
                }
            }
            _ => {}
        }
    }
    panic!("the stream ended without a `{kind}` with {text}: {events:#?}");
}

fn kinds(events: &[LiveEvent]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// The values of all readings in the order in which they were told.
fn values(events: &[LiveEvent]) -> Vec<f64> {
    let changes = events.iter().filter(|event| event.kind == "change");
    changes
        .flat_map(|event| {
            let change: Value = serde_json::from_str(&event.data).unwrap();
            change["readings"].as_array().unwrap().clone()
        })
        .map(|reading| reading["value"].as_f64().unwrap())
        .collect()
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed_in_its_order_once_and_nothing_else() {
    let mut site = Site::started("");
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":10}"#));
    let hello = follow(&site, None, "hello", "").remove(0);
    for missed in [31, 32, 33] {
        assert!(publish(site.mqtt, TOPIC, &format!(r#"{{"fill_pct":{missed}}}"#)));
    }
    let events = follow(&site, Some(&hello.id), "change", "33.0");
    assert_eq!((events[0].kind.as_str(), values(&events)), ("hello", vec![31.0, 32.0, 33.0]), "{events:#?}");
    assert!(kinds(&events)[1..].iter().all(|kind| *kind == "change"), "{events:#?}");

    // It has seen those; the next ones come live.
    let seen = events.last().unwrap().id.clone();
    let events = thread::scope(|scope| {
        let follower = scope.spawn(|| follow(&site, Some(&seen), "change", "35.0"));
        for live in [34, 35] {
            assert!(publish(site.mqtt, TOPIC, &format!(r#"{{"fill_pct":{live}}}"#)));
        }
        follower.join().unwrap()
    });
    assert_eq!(values(&events), [34.0, 35.0], "{events:#?}");

    // Ids of an earlier run mean nothing to this one: load everything anew.
    assert_eq!(site.stop(), 0);
    site.start();
    let events = follow(&site, Some(&hello.id), "reset", "");
    assert_eq!(kinds(&events), ["hello", "reset"], "{events:#?}");
}

#[test]
fn a_sensor_may_publish_over_a_websocket() {
    let port = free_port();
    let site = Site::started(&format!("websocket = \"127.0.0.1:{port}\"\n"));
    let mut stream = wait_for("the WebSocket port", || TcpStream::connect(("127.0.0.1", port)).ok());
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let upgrade = format!(
        "GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("sec-websocket-protocol: mqtt"), "{head}");

    send_frame(&mut stream, &[0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 2, b'w', b's']);
    assert_eq!(read_frame(&mut stream)[0], 0x20, "CONNACK");
    let payload = br#"{"fill_pct":77}"#;
    let mut packet = vec![0x32, (2 + TOPIC.len() + 2 + payload.len()) as u8, 0, TOPIC.len() as u8];
    packet.extend_from_slice(TOPIC.as_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet.extend_from_slice(payload);
    send_frame(&mut stream, &packet);
    assert_eq!(read_frame(&mut stream), [0x40, 2, 0, 1], "PUBACK");
    assert_eq!(site.points("b-1", "fill_pct").last().map(|(_, value)| *value), Some(77.0));
}

/// A short binary frame, masked as a client must (RFC 6455, 5.3); a mask of zeros leaves the bytes readable.
fn send_frame(stream: &mut TcpStream, bytes: &[u8]) {
    let mut frame = vec![0x82, 0x80 | bytes.len() as u8, 0, 0, 0, 0];
    assert!(bytes.len() < 126, "a short frame");
    frame.extend_from_slice(bytes);
    stream.write_all(&frame).unwrap();
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x82, "a whole binary frame");
    let mut bytes = vec![0; usize::from(head[1])];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}
