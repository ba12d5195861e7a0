//! Rows 195 to 200: transport. MQTT over TLS stands in tests/system/tls.rs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::bytes::{CONNECT, PINGREQ, PUBLISH, connect, number, text, v4, v5};
use super::raw::Raw;
use crate::harness::{Site, free_port, wait_for};

const BINARY: u8 = 2;
const TEXT: u8 = 1;
const CONTINUED: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LAST: u8 = 0x80;

/// A frame of a client: masked, as RFC 6455 asks.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            bytes.push(0x80 | 0x7e);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 0x7f);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A WebSocket by hand. As a stream it is what its binary frames say.
struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
    /// Frames that are not binary: what they are and what is in them.
    others: Vec<(u8, Vec<u8>)>,
}

impl Socket {
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    /// The next frame: its first byte, and what is in it.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.take(2)?;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.take(2)?.try_into().unwrap())),
            127 => u64::from_be_bytes(self.take(8)?.try_into().unwrap()),
            length => u64::from(length),
        };
        Some((head[0], self.take(length as usize)?))
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.read.is_empty() {
            match self.frame() {
                Some((first, bytes)) if first == LAST | BINARY => self.read = bytes,
                Some((first, bytes)) => {
                    self.others.push((first, bytes));
                    if first == LAST | CLOSE {
                        return Ok(0);
                    }
                }
                None => return Ok(0),
            }
        }
        let number = buffer.len().min(self.read.len());
        buffer[..number].copy_from_slice(&self.read[..number]);
        self.read.drain(..number);
        Ok(number)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write_all(&frame(LAST | BINARY, bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Asks for a WebSocket; what was answered, and the connection.
fn ask(port: u16, path: &str, headers: &str) -> (String, TcpStream) {
    let mut stream = wait_for("the websocket listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    // The head may be refused before it has come whole.
    let _ = stream.write_all(request.as_bytes());
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|number| number == 1) {
        head.push(byte[0]);
    }
    (String::from_utf8(head).unwrap().to_lowercase(), stream)
}

fn open(port: u16, version: u8) -> Raw<Socket> {
    let (head, stream) = ask(port, "/mqtt", "Sec-WebSocket-Protocol: mqtt\r\n");
    assert!(head.starts_with("http/1.1 101") && head.contains("sec-websocket-protocol: mqtt\r\n"), "{head}");
    // The key of the RFC's own example (1.3).
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "n200: no compression");
    Raw::over(Socket { stream, read: Vec::new(), others: Vec::new() }, version)
}

fn site() -> (Site, u16) {
    let port = free_port();
    (Site::started(&format!("websocket = \"127.0.0.1:{port}\"\n")), port)
}

#[test]
fn n195_n197_mqtt_over_websocket_is_as_mqtt() {
    let (_site, port) = site();
    let mut raw = open(port, 5);
    // Packets across frames: one byte in each, then fragments, with a ping between them.
    for byte in v5("n197").bytes() {
        raw.stream.stream.write_all(&frame(LAST | BINARY, &[byte])).unwrap();
    }
    assert_eq!(raw.connack().code, 0);
    let publish = raw.publish_bytes((1, 0), 7, "n197", &[], "in parts");
    let (head, tail) = publish.split_at(5);
    let parts =
        [frame(BINARY, head), frame(LAST | PING, b"are you there"), frame(LAST | CONTINUED, tail)].concat();
    raw.stream.stream.write_all(&parts).unwrap();
    assert_eq!(raw.ack(0x40), (7, 0));
    assert_eq!(raw.stream.others, [(LAST | PONG, b"are you there".to_vec())]);
    // Many packets in one frame, an empty frame, and a large one.
    raw.stream.stream.write_all(&frame(LAST | BINARY, &PINGREQ.repeat(3))).unwrap();
    (0..3).for_each(|_| raw.ping_answer());
    raw.stream.stream.write_all(&frame(LAST | BINARY, b"")).unwrap();
    raw.subscribe(&[("n197/large", 1)]);
    let large = "x".repeat(300_000);
    let id = raw.send_publish((0, 0), "n197/large", &[], &large);
    assert_eq!(id, 0);
    assert_eq!(raw.take().payload.len(), large.len());
    // A close is answered, and the connection is closed.
    raw.stream.stream.write_all(&frame(LAST | CLOSE, &1_000_u16.to_be_bytes())).unwrap();
    assert_eq!(raw.packet(), None);
    assert_eq!(raw.stream.others.last().unwrap().0, LAST | CLOSE);
}

#[test]
fn n195_n083_over_websocket_wills_sessions_and_refusals_are_the_same() {
    let (site, port) = site();
    let mut hears = Raw::join(site.mqtt, &v4("n195-hears"));
    hears.subscribe(&[("n195", 1)]);
    for version in [3, 4, 5] {
        let mut raw = open(port, version);
        raw.send(&connect(version, "n195").will("n195", "will").bytes());
        assert_eq!(raw.connack().code, 0);
        drop(raw);
        assert_eq!(hears.take().payload, "will");
    }
    let mut raw = open(port, 5);
    raw.send(&v5("n195").bytes());
    assert_eq!(raw.connack().code, 0);
    raw.send(&[0, 0]);
    assert_eq!(raw.packet().unwrap().body[0], 0x81, "the reason is told before the end");
    assert_eq!(raw.packet(), None);
}

#[test]
fn n196_a_text_frame_ends_it_with_1003() {
    let (_site, port) = site();
    for is_known in [false, true] {
        let mut raw = open(port, 4);
        if is_known {
            raw.send(&v4("n196").bytes());
            assert_eq!(raw.connack().code, 0);
        }
        raw.stream.stream.write_all(&frame(LAST | TEXT, b"hello")).unwrap();
        assert_eq!(raw.packet(), None);
        let (first, payload) = raw.stream.others.pop().expect("a close frame");
        assert_eq!((first, &payload[..2]), (LAST | CLOSE, &1_003_u16.to_be_bytes()[..]));
    }
}

#[test]
fn n198_n199_n200_what_is_asked_for_and_from_where() {
    let (_site, port) = site();
    let mqtt = "Sec-WebSocket-Protocol: mqtt\r\n";
    for (path, headers, status) in [
        ("/mqtt", mqtt.to_owned(), 101),
        ("/", mqtt.to_owned(), 101),
        ("/mqtt", "Sec-WebSocket-Protocol: chat, mqttv3.1\r\n".to_owned(), 101),
        ("/mqtt", String::new(), 400),
        ("/mqtt", "Sec-WebSocket-Protocol: chat\r\n".to_owned(), 400),
        ("/other", mqtt.to_owned(), 404),
        ("/mqtt", format!("{mqtt}Origin: https://evil.example\r\n"), 403),
        ("/mqtt", format!("{mqtt}Origin: http://127.0.0.1:8080\r\n"), 101),
        ("/mqtt", format!("{mqtt}X-Long: {}\r\n", "x".repeat(9_000)), 431),
    ] {
        let (head, _stream) = ask(port, path, &headers);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path} {headers:.60}: {head}");
    }
    let (head, _stream) = ask(port, "/mqtt", "Sec-WebSocket-Protocol: mqttv3.1\r\n");
    assert!(head.contains("sec-websocket-protocol: mqttv3.1\r\n"), "{head}");
}

/// The first bytes of a frame that says it has `length`, and of what is in it.
fn begun(length: u64, payload: &[u8]) -> Vec<u8> {
    [vec![LAST | BINARY, 0x80 | 0x7f], length.to_be_bytes().to_vec(), vec![0; 4], payload.to_vec()].concat()
}

const MIB: usize = 1024 * 1024;

#[test]
fn n200_a_frame_is_no_way_round_what_a_connect_may_have() {
    let (site, port) = site();
    // The frame does not end, and neither does the CONNECT.
    for version in [4, 5] {
        let mut raw = open(port, version);
        let connect = [&[CONNECT][..], &number(2 * MIB), &text("MQTT"), &[version, 2]].concat();
        raw.stream.stream.write_all(&begun(2 * MIB as u64, &connect)).unwrap();
        if version == 5 {
            assert_eq!(raw.connack().code, 0x95);
        }
        assert_eq!(raw.packet(), None);
        assert_eq!(raw.stream.others, [(LAST | CLOSE, 1_000_u16.to_be_bytes().to_vec())]);
    }
    wait_for("it is counted", || {
        (site.metric("sanimon_mqtt_limit_total{limit=\"connect_bytes\"}") == Some(2)).then_some(())
    });
    // What is no CONNECT ends it with its first byte, whatever the frame says.
    let mut raw = open(port, 4);
    raw.stream.stream.write_all(&begun(2 * MIB as u64, &[PUBLISH])).unwrap();
    assert_eq!(raw.packet(), None);
}

#[test]
fn n200_a_packet_in_a_frame_that_does_not_end_has_its_time_as_over_tcp() {
    let port = free_port();
    let limits = "[mqtt.embedded.limits]\npacket_time = 1\n";
    let site = Site::started(&format!("websocket = \"127.0.0.1:{port}\"\n{limits}"));
    let unfinished = [&[PUBLISH][..], &number(MIB), &text("n200")].concat();
    for version in [4, 5] {
        let mut tcp = Raw::join(site.mqtt, &connect(version, "n200-tcp"));
        tcp.send(&unfinished);
        let mut raw = open(port, version);
        raw.send(&connect(version, "n200").bytes());
        assert_eq!(raw.connack().code, 0);
        raw.stream.stream.write_all(&begun(MIB as u64 + 4, &unfinished)).unwrap();
        tcp.ends(0x8d);
        raw.ends(0x8d);
        assert_eq!(raw.stream.others.len(), 1, "a close frame");
    }
}

#[test]
fn n196_frames_that_break_the_rules_end_it_with_1002() {
    let (_site, port) = site();
    let unmasked = vec![LAST | BINARY, 2, 0xc0, 0];
    for bytes in [unmasked, frame(LAST | 0x40 | BINARY, PINGREQ), frame(LAST | CONTINUED, PINGREQ)] {
        let mut raw = open(port, 4);
        raw.send(&v4("n196-rules").bytes());
        assert_eq!(raw.connack().code, 0);
        raw.stream.stream.write_all(&bytes).unwrap();
        assert_eq!(raw.packet(), None);
        assert_eq!(raw.stream.others, [(LAST | CLOSE, 1_002_u16.to_be_bytes().to_vec())]);
    }
}
