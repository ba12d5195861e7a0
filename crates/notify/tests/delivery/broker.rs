//! A stand-in for a broker.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A broker that keeps in order what is published to it.
pub(crate) struct Broker {
    pub(crate) port: u16,
    published: Arc<Mutex<Vec<String>>>,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let published = Arc::<Mutex<Vec<String>>>::default();
        let kept = published.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || acknowledge(stream, &kept));
            }
        });
        Self { port, published }
    }

    /// The payloads, in order.
    pub(crate) fn published(&self) -> Vec<String> {
        self.published.lock().unwrap().clone()
    }
}

/// MQTT 3.1.1 as far as a publisher with QoS 1 speaks it.
fn acknowledge(mut stream: TcpStream, published: &Mutex<Vec<String>>) -> std::io::Result<()> {
    loop {
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            length |= usize::from(byte[0] & 0x7F) << shift;
            shift += 7;
            if byte[0] < 0x80 {
                break;
            }
        }
        let mut packet = vec![0; length];
        stream.read_exact(&mut packet)?;
        match kind[0] >> 4 {
            // CONNECT
            1 => stream.write_all(&[0x20, 2, 0, 0])?,
            // PUBLISH: topic, number, payload
            3 => {
                let topic = 2 + usize::from(u16::from_be_bytes([packet[0], packet[1]]));
                let payload = String::from_utf8_lossy(&packet[topic + 2..]).into_owned();
                published.lock().unwrap().push(payload);
                stream.write_all(&[0x40, 2, packet[topic], packet[topic + 1]])?;
            }
            // PINGREQ
            12 => stream.write_all(&[0xD0, 0])?,
            _ => return Ok(()),
        }
    }
}
