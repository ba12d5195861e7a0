//! A sensor by hand: QoS 1 over a socket, and the same message again until it is acknowledged.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A publisher of one device. Its messages are acknowledged one after another.
pub(crate) struct Sensor {
    stream: Option<TcpStream>,
    pub(crate) port: u16,
    device: String,
    packet_id: u16,
    account: Option<(String, String)>,
    /// How long an answer is waited for before the connection is given up.
    pub(crate) patience: Duration,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// A packet: its first byte, its length, its body (MQTT 3.1.1, 2.2).
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        packet.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

/// CONNECT with a clean session.
pub(crate) fn connect_packet(client_id: &str, account: Option<(&str, &str)>) -> Vec<u8> {
    let flags = if account.is_some() { 0xc2 } else { 2 };
    let mut body = [&[0, 4][..], b"MQTT", &[4, flags, 0, 60], &text(client_id)].concat();
    if let Some((name, secret)) = account {
        body.extend([text(name), text(secret)].concat());
    }
    packet(0x10, &body)
}

/// PUBLISH with QoS 1.
pub(crate) fn publish_packet(topic: &str, packet_id: u16, payload: &[u8], dup: bool) -> Vec<u8> {
    let body = [&text(topic)[..], &packet_id.to_be_bytes(), payload].concat();
    packet(if dup { 0x3a } else { 0x32 }, &body)
}

impl Sensor {
    pub(crate) fn new(port: u16, device: &str) -> Self {
        let patience = Duration::from_secs(5);
        Self { stream: None, port, device: device.to_owned(), packet_id: 0, account: None, patience }
    }

    pub(crate) fn with_account(self, name: &str, secret: &str) -> Self {
        Self { account: Some((name.to_owned(), secret.to_owned())), ..self }
    }

    fn connect(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(self.patience)).ok()?;
        let account = self.account.as_ref().map(|(name, secret)| (name.as_str(), secret.as_str()));
        stream.write_all(&connect_packet(&format!("sensor-{}", self.device), account)).ok()?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).ok()?;
        (answer == [0x20, 2, 0, 0]).then_some(stream)
    }

    /// One attempt; true when its PUBACK came.
    fn attempt(&mut self, payload: &str, dup: bool) -> bool {
        if self.stream.is_none() {
            self.stream = self.connect();
        }
        let topic = format!("sanitation/east/bin/{}/telemetry", self.device);
        let packet = publish_packet(&topic, self.packet_id, payload.as_bytes(), dup);
        let Some(stream) = &mut self.stream else { return false };
        let mut answer = [0; 4];
        let sent = stream.write_all(&packet).is_ok() && stream.read_exact(&mut answer).is_ok();
        if !sent {
            self.stream = None;
        }
        let [high, low] = self.packet_id.to_be_bytes();
        sent && answer == [0x40, 2, high, low]
    }

    /// Sends until it is acknowledged, or until nobody wants that any more; true when it was.
    pub(crate) fn publish_while(&mut self, payload: &str, wanted: impl Fn() -> bool) -> bool {
        self.packet_id = self.packet_id % 65_000 + 1;
        let mut dup = false;
        while wanted() {
            if self.attempt(payload, dup) {
                return true;
            }
            dup = true;
            std::thread::park_timeout(Duration::from_millis(10));
        }
        false
    }

    pub(crate) fn publish(&mut self, payload: &str) {
        let began = std::time::Instant::now();
        let done = self.publish_while(payload, || began.elapsed() < Duration::from_mins(1));
        assert!(done, "{} waited a minute for an acknowledgement", self.device);
    }
}
