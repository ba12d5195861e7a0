//! What devices send, and send again until they hear that it was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use sanimon_domain::TimestampMs;
use sanimon_domain::time::MINUTE_MS;
use sanimon_writer::{Connection, Message, Qos};

use super::dice::Dice;
use super::setting::DEVICES;

/// A message's number, by which the town knows it; each says it as a value of its own.
pub(crate) type No = u64;

/// The metric that holds it.
pub(crate) const SEQ: &str = "seq";
/// What a frozen sensor says again and again.
pub(crate) const SAME: &str = "same";

/// A redelivery without a time is known for ten minutes.
const KNOWN_FOR_MS: i64 = 10 * MINUTE_MS - 1_000;
/// Packet ids come again soon.
const PACKET_IDS: u64 = 30;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Dated {
        at: TimestampMs,
        fill_pct: f64,
        temperature_c: f64,
    },
    Undated,
    /// Without a number: the same payload as the one before.
    Frozen,
    /// Its rows are refused.
    Poison,
}

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) no: No,
    pub(crate) device: String,
    pub(crate) kind: Kind,
    pub(crate) payload: String,
    packet_id: u16,
    /// When sanimon first saw it.
    pub(crate) first_received: Option<TimestampMs>,
}

impl Sent {
    pub(crate) fn topic(&self) -> String {
        format!("sanitation/x/bin/{}/telemetry", self.device)
    }

    pub(crate) fn message(&self, now: TimestampMs) -> Message {
        let device: Arc<str> = self.device.as_str().into();
        Message {
            qos: Qos::AtLeastOnce { packet_id: self.packet_id, is_dup: self.first_received.is_some() },
            connection: Connection::Client { owner: device.clone(), session: device },
            ..Message::native("town".into(), self.topic(), Bytes::from(self.payload.clone()), now)
        }
    }
}

/// All devices of the town.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    next: No,
    /// Never acknowledged as far as their senders know: they come again.
    pub(crate) waiting: BTreeMap<No, Sent>,
    /// All that was ever sent.
    pub(crate) all: BTreeMap<No, Sent>,
    packets: BTreeMap<String, u16>,
    times: BTreeSet<(String, TimestampMs)>,
    /// Devices of a gateway that is down say nothing.
    pub(crate) down: [bool; 2],
}

impl Senders {
    /// What arrives now: what waits, and new reports. Their senders wait for all of it.
    pub(crate) fn arriving(&mut self, now: TimestampMs, dice: &mut Dice) -> Vec<Sent> {
        let mut arriving: Vec<Sent> = self.waiting.values().cloned().collect();
        for n in 0..DEVICES {
            if self.down[n as usize % 2] || dice.once_in(6) {
                continue;
            }
            for _ in 0..=dice.below(2) {
                arriving.push(self.report(&format!("b-{n}"), now, dice));
            }
        }
        if dice.once_in(12) {
            let device = if dice.once_in(2) { format!("poison-{}", self.next) } else { "b-6".to_owned() };
            arriving.push(self.send(device, Kind::Poison, |no| {
                format!(r#"{{"ts":{},"humidity_pct":95,"seq":{no}}}"#, now.0)
            }));
        }
        // A broker sends something again that was acknowledged: its time is its identity.
        let dated: Vec<No> = self.all.values().filter(|sent| is_dated(sent)).map(|sent| sent.no).collect();
        if dice.once_in(3)
            && let Some(old) = dice.pick(&dated).and_then(|no| self.all.get(no))
            && !self.waiting.contains_key(&old.no)
        {
            arriving.push(old.clone());
        }
        dice.shuffle(&mut arriving);
        arriving
    }

    fn report(&mut self, device: &str, now: TimestampMs, dice: &mut Dice) -> Sent {
        match dice.below(6) {
            0 => self.send(device.to_owned(), Kind::Undated, |no| format!(r#"{{"seq":{no}}}"#)),
            1 => self.send(device.to_owned(), Kind::Frozen, |_| r#"{"same":7}"#.to_owned()),
            _ => {
                // Most reports are of now; some are late.
                let late_min = if dice.once_in(8) { dice.below(90) as i64 } else { 0 };
                let mut at = now.minus_ms(late_min * MINUTE_MS + dice.below(60_000) as i64);
                // A second reading of the same time would be a correction.
                while !self.times.insert((device.to_owned(), at)) {
                    at = at.plus_ms(-1);
                }
                let fill_pct = dice.below(101) as f64;
                let temperature_c = if dice.once_in(12) { 75.0 } else { 20.0 };
                self.send(device.to_owned(), Kind::Dated { at, fill_pct, temperature_c }, |no| {
                    format!(
                        r#"{{"ts":{},"fill_pct":{fill_pct},"temperature_c":{temperature_c},"seq":{no}}}"#,
                        at.0
                    )
                })
            }
        }
    }

    fn send(&mut self, device: String, kind: Kind, payload: impl Fn(No) -> String) -> Sent {
        self.next += 1;
        let no = self.next;
        let packet = self.packets.entry(device.clone()).or_default();
        *packet = (*packet % PACKET_IDS as u16) + 1;
        let sent = Sent { no, device, kind, payload: payload(no), packet_id: *packet, first_received: None };
        self.all.insert(no, sent.clone());
        self.waiting.insert(no, sent.clone());
        sent
    }

    /// sanimon has seen these.
    pub(crate) fn received(&mut self, messages: &[Sent], now: TimestampMs) {
        for sent in messages {
            if let Some(waiting) = self.waiting.get_mut(&sent.no) {
                waiting.first_received.get_or_insert(now);
            }
            if let Some(known) = self.all.get_mut(&sent.no) {
                known.first_received.get_or_insert(now);
            }
        }
    }

    pub(crate) fn acknowledged(&mut self, no: No) {
        self.waiting.remove(&no);
    }

    /// How long the town may do something else before what waits must be sent again to be known.
    pub(crate) fn patience_ms(&self, now: TimestampMs) -> i64 {
        let undated = self.waiting.values().filter(|sent| !is_dated(sent));
        let left = undated.filter_map(|sent| sent.first_received).map(|at| KNOWN_FOR_MS - now.since_ms(at));
        left.min().unwrap_or(i64::MAX).max(0)
    }
}

fn is_dated(sent: &Sent) -> bool {
    matches!(sent.kind, Kind::Dated { .. } | Kind::Poison)
}
