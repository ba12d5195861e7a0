//! Load: many connections, each with one or some publishes under way, at as little cost as possible.
//!
//! The measured machine also makes the load, so this speaks MQTT 3.1.1 by hand: CONNECT, PUBLISH QoS 1, PUBACK and
//! nothing else (sections 3.1, 3.3 and 3.4 of the OASIS standard). It sends to loopback only.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::publish::Account;

/// What to send.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    pub broker: SocketAddr,
    pub connections: usize,
    pub metrics: usize,
    /// Publishes that a connection has under way.
    pub under_way: usize,
    pub duration: Duration,
    /// Messages a second over all connections; `None`: as many as the broker takes.
    pub rate: Option<f64>,
    /// Sets the part of the device ids that tells runs apart.
    pub run: u32,
    pub door: Door,
}

/// How the load comes in.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// Left out: without a name.
    pub account: Option<Account>,
    /// Left out: plain.
    pub tls: Option<Arc<ClientConfig>>,
}

/// What came back.
#[derive(Debug)]
pub struct LoadOutcome {
    pub sent: u64,
    pub acknowledged: u64,
    pub seconds: f64,
    /// Publish to PUBACK, in microseconds.
    pub puback_us: Histogram<u64>,
}

/// Runs the plan; ends by itself.
pub async fn run(plan: &LoadPlan) -> io::Result<LoadOutcome> {
    if !plan.broker.ip().is_loopback() {
        return Err(io::Error::other("load is only sent to loopback addresses"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let mut streams = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        streams.push(connect(plan.broker, &format!("load-{}-{index}", plan.run), &plan.door).await?);
    }
    let started = Instant::now();
    let tasks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(index, stream)| {
            let publisher = Publisher {
                stream,
                index,
                metrics: plan.metrics,
                under_way: plan.under_way.max(1),
                run: plan.run,
                pause: plan.rate.map(|rate| Duration::from_secs_f64(plan.connections as f64 / rate)),
                started,
                stop: stop.clone(),
                sent: sent.clone(),
                last_ts: 0,
            };
            tokio::spawn(publisher.run())
        })
        .collect();
    tokio::time::sleep(plan.duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut puback_us = histogram();
    for task in tasks {
        let part = task.await.map_err(io::Error::other)??;
        puback_us.add(part).map_err(io::Error::other)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(LoadOutcome { sent: sent.load(Ordering::Relaxed), acknowledged: puback_us.len(), seconds, puback_us })
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3)
        .expect("one microsecond to a minute with three digits is valid")
}

/// Plain or over TLS.
pub type Stream = Box<dyn ReadWrite>;

/// What a connection is to its user.
pub trait ReadWrite: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> ReadWrite for T {}

/// Connects and signs in.
pub async fn connect(broker: SocketAddr, client_id: &str, door: &Door) -> io::Result<Stream> {
    let socket = TcpStream::connect(broker).await?;
    socket.set_nodelay(true)?;
    let mut stream: Stream = match &door.tls {
        None => Box::new(socket),
        Some(config) => {
            let name = ServerName::from(broker.ip());
            Box::new(TlsConnector::from(config.clone()).connect(name, socket).await?)
        }
    };
    stream.write_all(&connect_packet(client_id, door.account.as_ref())).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer == [0x20, 2, 0, 0] {
        Ok(stream)
    } else {
        Err(io::Error::other(format!("the broker answered CONNECT with {answer:02x?}")))
    }
}

/// Protocol MQTT 4, clean session, keep-alive 600 s.
pub(crate) fn connect_packet(client_id: &str, account: Option<&Account>) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let flags = if account.is_some() { 0xc2 } else { 2 };
    let mut body = [&[0, 4][..], b"MQTT", &[4, flags, 0x02, 0x58], &text(client_id)].concat();
    if let Some(Account { username, password }) = account {
        body.extend([text(username), text(password)].concat());
    }
    [vec![0x10, body.len() as u8], body].concat()
}

/// Of MQTT 3.1.1.
const PUBACK_BYTES: usize = 4;

struct Publisher {
    stream: Stream,
    index: usize,
    metrics: usize,
    under_way: usize,
    run: u32,
    pause: Option<Duration>,
    started: Instant,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    last_ts: i64,
}

impl Publisher {
    async fn run(mut self) -> io::Result<Histogram<u64>> {
        let mut latencies = histogram();
        let mut packet = Vec::with_capacity(512);
        let mut number = 0_u32;
        let mut pace = self.pause.map(|pause| {
            // Spread over one pause, so that connections do not beat in step.
            let offset = pause.mul_f64(self.index as f64 % 97.0 / 97.0);
            tokio::time::interval_at((self.started + offset).into(), pause)
        });
        let (mut waiting, mut answers) = (VecDeque::with_capacity(self.under_way), Vec::with_capacity(1_024));
        loop {
            let is_over = self.stop.load(Ordering::Relaxed);
            if is_over && waiting.is_empty() {
                return Ok(latencies);
            }
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            packet.clear();
            while !is_over && waiting.len() < self.under_way {
                number += 1;
                self.encode(&mut packet, number);
                waiting.push_back(Instant::now());
                self.sent.fetch_add(1, Ordering::Relaxed);
            }
            self.stream.write_all(&packet).await?;
            if self.stream.read_buf(&mut answers).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let whole = answers.len() / PUBACK_BYTES * PUBACK_BYTES;
            for answer in answers.drain(..whole).as_slice().chunks(PUBACK_BYTES) {
                let (true, Some(sent_at)) = (answer[..2] == [0x40, 2], waiting.pop_front()) else {
                    return Err(io::Error::other(format!("the broker answered PUBLISH with {answer:02x?}")));
                };
                latencies.saturating_record(sent_at.elapsed().as_micros() as u64);
            }
        }
    }

    fn encode(&mut self, packet: &mut Vec<u8>, number: u32) {
        const NAMES: [&str; 5] = ["fill_pct", "temperature_c", "tilt_deg", "battery_v", "rssi_dbm"];
        let topic = format!("sanitation/bench/bin/load-{}-{}/telemetry", self.run, self.index);
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        // A device's readings have times of their own, also where several go out in one millisecond.
        self.last_ts = (since.as_millis() as i64).max(self.last_ts + 1);
        let ts = self.last_ts;
        let values = [f64::from(number % 60), 20.5, 2.0, 3.61, -97.0];
        let mut payload = format!("{{\"ts\":{ts}");
        for (name, value) in NAMES.iter().zip(values).take(self.metrics) {
            payload.push_str(&format!(",\"{name}\":{value}"));
        }
        payload.push('}');
        packet.push(0x32);
        let mut length = 2 + topic.len() + 2 + payload.len();
        while length >= 0x80 {
            packet.push(length as u8 | 0x80);
            length >>= 7;
        }
        packet.push(length as u8);
        packet.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        packet.extend_from_slice(topic.as_bytes());
        // A packet identifier is never zero.
        packet.extend_from_slice(&((number % 65_535) as u16 + 1).to_be_bytes());
        packet.extend_from_slice(payload.as_bytes());
    }
}
