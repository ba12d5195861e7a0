//! A client that is a socket: sends bytes, and tells what came.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::bytes::{
    CONNACK, Connect, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK,
    SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, ack, counted, packet, text,
};
use super::parse::{Connack, Message, Packet, Properties, cut, cut_number, cut_u16, properties};

/// Longer than anything takes that a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(super) struct Raw<S = TcpStream> {
    pub(super) stream: S,
    pub(super) version: u8,
    pub(super) input: Vec<u8>,
    /// Messages that came while another one's exchange went on.
    later: VecDeque<Packet>,
    last_id: u16,
}

impl Raw {
    /// Connects, and says nothing.
    pub(super) fn open(port: u16, version: u8) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, version)
    }

    /// Sends a CONNECT, and gives what was answered.
    pub(super) fn try_join(port: u16, connect: &Connect) -> (Self, Connack) {
        let mut raw = Self::open(port, connect.version);
        raw.send(&connect.bytes());
        let connack = raw.connack();
        (raw, connack)
    }

    /// A client that is let in.
    pub(super) fn join(port: u16, connect: &Connect) -> Self {
        let (raw, connack) = Self::try_join(port, connect);
        assert_eq!(connack.code, 0, "{connack:?}");
        raw
    }

    /// Cuts the connection without a word.
    pub(super) fn cut(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Leaves in order, and waits until the broker has closed.
    pub(super) fn leave(mut self) {
        self.send(super::bytes::LEAVE);
        assert_eq!(self.end(), None);
    }
}

impl<S: Read + Write> Raw<S> {
    pub(super) const fn over(stream: S, version: u8) -> Self {
        Self { stream, version, input: Vec::new(), later: VecDeque::new(), last_id: 0 }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next packet; `None`: the broker has closed.
    pub(super) fn packet(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.whole() {
                return Some(packet);
            }
            let mut buffer = [0; 8 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(number) => self.input.extend(&buffer[..number]),
                // A reset would overtake what was said before it.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => panic!("a reset"),
                Err(error) => panic!("waited {PATIENCE:?}: {error}"),
            }
        }
    }

    fn whole(&mut self) -> Option<Packet> {
        let digits = self.input.iter().skip(1).take(4).position(|byte| byte & 0x80 == 0)? + 1;
        let length = cut_number(&mut &self.input[1..]);
        let end = 1 + digits + length;
        if self.input.len() < end {
            return None;
        }
        let bytes: Vec<u8> = self.input.drain(..end).collect();
        Some(Packet { first: bytes[0], body: bytes[1 + digits..].to_vec() })
    }

    fn expect(&mut self, kind: u8) -> Packet {
        let packet = self.packet().unwrap_or_else(|| panic!("closed instead of {kind:#x}"));
        assert_eq!(packet.first, kind, "{packet:x?}");
        packet
    }

    pub(super) fn connack(&mut self) -> Connack {
        let packet = self.expect(CONNACK);
        let mut rest = &packet.body[..];
        let (flags, code) = (cut(&mut rest, 1)[0], cut(&mut rest, 1)[0]);
        assert!(flags < 2, "reserved flags");
        let properties = if self.version == 5 { properties(&mut rest) } else { Vec::new() };
        assert!(rest.is_empty());
        if code != 0 {
            assert_eq!((flags, self.packet()), (0, None), "a refusal has no session and nothing after it");
        }
        Connack { is_present: flags == 1, code, properties }
    }

    /// How the connection ends: by a DISCONNECT with a reason, or without a word.
    pub(super) fn end(&mut self) -> Option<u8> {
        let packet = self.packet()?;
        assert_eq!(packet.first, DISCONNECT, "{packet:x?}");
        assert_eq!(self.version, 5, "3.1.1 knows no DISCONNECT of a server");
        assert_eq!(self.packet(), None, "something after DISCONNECT");
        Some(packet.body.first().copied().unwrap_or_default())
    }

    /// The connection ends: 5.0 is told this reason.
    pub(super) fn ends(&mut self, reason: u8) {
        let told = (self.version == 5).then_some(reason);
        assert_eq!(self.end(), told, "expected {reason:#x}");
    }

    /// An answer: its packet id and reason, and its properties.
    pub(super) fn full_ack(&mut self, kind: u8) -> (u16, u8, Properties) {
        let packet = self.expect(kind);
        let mut rest = &packet.body[..];
        let id = cut_u16(&mut rest);
        if self.version != 5 {
            assert!(rest.is_empty());
        }
        let reason = if rest.is_empty() { 0 } else { cut(&mut rest, 1)[0] };
        let properties = if rest.is_empty() { Vec::new() } else { properties(&mut rest) };
        (id, reason, properties)
    }

    pub(super) fn ack(&mut self, kind: u8) -> (u16, u8) {
        let (id, reason, _) = self.full_ack(kind);
        (id, reason)
    }

    pub(super) fn message(&mut self) -> Message {
        let later = self.later.pop_front();
        let packet = later.or_else(|| self.packet()).expect("a message, and not the end");
        Message::of(&packet, self.version)
    }

    /// The next message, acknowledged to its end.
    pub(super) fn take(&mut self) -> Message {
        let message = self.message();
        self.acknowledge(&message);
        message
    }

    pub(super) fn acknowledge(&mut self, message: &Message) {
        let Some(id) = message.id else { return };
        if message.qos == 1 {
            return self.send(&ack(PUBACK, id));
        }
        self.send(&ack(PUBREC, id));
        while let Some(packet) = self.packet() {
            if packet.first & 0xf0 == PUBLISH {
                self.later.push_back(packet);
                continue;
            }
            assert_eq!((packet.first, &packet.body[..2]), (PUBREL, &id.to_be_bytes()[..]));
            return self.send(&ack(PUBCOMP, id));
        }
        panic!("closed in the middle of an exchange");
    }

    pub(super) fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    /// A PUBLISH as bytes. `flags`: retain and DUP as they stand in the packet.
    pub(super) fn publish_bytes(
        &self,
        (qos, flags): (u8, u8),
        id: u16,
        topic: &str,
        more: &[u8],
        payload: &str,
    ) -> Vec<u8> {
        let mut body = text(topic);
        if qos > 0 {
            body.extend(id.to_be_bytes());
        }
        if self.version == 5 {
            body.extend(counted(more));
        }
        body.extend(payload.as_bytes());
        packet(PUBLISH | qos << 1 | flags, &body)
    }

    /// Sends a PUBLISH, with properties where it is 5.0; gives its packet id.
    pub(super) fn send_publish(
        &mut self,
        qos_and_flags: (u8, u8),
        topic: &str,
        more: &[u8],
        payload: &str,
    ) -> u16 {
        let id = if qos_and_flags.0 > 0 { self.next_id() } else { 0 };
        self.send(&self.publish_bytes(qos_and_flags, id, topic, more, payload));
        id
    }

    /// Publishes to the end of the exchange.
    pub(super) fn publish(&mut self, qos: u8, topic: &str, payload: &str) {
        self.publish_with((qos, 0), topic, &[], payload);
    }

    pub(super) fn retain(&mut self, qos: u8, topic: &str, payload: &str) {
        self.publish_with((qos, 1), topic, &[], payload);
    }

    pub(super) fn publish_with(&mut self, (qos, flags): (u8, u8), topic: &str, more: &[u8], payload: &str) {
        let id = self.send_publish((qos, flags), topic, more, payload);
        match qos {
            0 => self.ping(),
            1 => assert_eq!(self.ack(PUBACK), (id, 0)),
            _ => {
                assert_eq!(self.ack(PUBREC), (id, 0));
                self.send(&ack(PUBREL, id));
                assert_eq!(self.ack(PUBCOMP), (id, 0));
            }
        }
    }

    /// A ping, and its answer next.
    pub(super) fn ping(&mut self) {
        self.send(PINGREQ);
        self.ping_answer();
    }

    pub(super) fn ping_answer(&mut self) {
        assert_eq!(self.packet(), Some(Packet { first: PINGRESP, body: Vec::new() }));
    }

    /// Sends a SUBSCRIBE; options are QoS for 3.1.1.
    pub(super) fn send_subscribe(&mut self, more: &[u8], filters: &[(&str, u8)]) -> u16 {
        let id = self.next_id();
        let mut body = id.to_be_bytes().to_vec();
        if self.version == 5 {
            body.extend(counted(more));
        }
        filters.iter().for_each(|(filter, options)| body.extend([text(filter), vec![*options]].concat()));
        self.send(&packet(SUBSCRIBE, &body));
        id
    }

    /// Subscribes, and gives the codes of the SUBACK.
    pub(super) fn subscribe(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        self.subscribe_with(&[], filters)
    }

    pub(super) fn subscribe_with(&mut self, more: &[u8], filters: &[(&str, u8)]) -> Vec<u8> {
        let id = self.send_subscribe(more, filters);
        self.codes(SUBACK, id)
    }

    pub(super) fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let id = self.next_id();
        let mut body = id.to_be_bytes().to_vec();
        if self.version == 5 {
            body.push(0);
        }
        filters.iter().for_each(|filter| body.extend(text(filter)));
        self.send(&packet(UNSUBSCRIBE, &body));
        self.codes(UNSUBACK, id)
    }

    pub(super) fn codes(&mut self, kind: u8, id: u16) -> Vec<u8> {
        let packet = self.expect(kind);
        let mut rest = &packet.body[..];
        assert_eq!(cut_u16(&mut rest), id);
        if self.version == 5 {
            properties(&mut rest);
        }
        rest.to_vec()
    }
}
