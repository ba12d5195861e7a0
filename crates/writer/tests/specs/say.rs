//! What devices say.

use bytes::Bytes;
use sanimon_alerting::{Direction, Level, Rule};
use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{DeviceKind, MetricNo, RuleId, Severity, TimestampMs, Title};
use sanimon_writer::{Connection, Message, Qos};

pub(crate) const START: TimestampMs = TimestampMs(1_772_323_200_000);
pub(crate) const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";

pub(crate) fn minutes(n: i64) -> TimestampMs {
    START.plus_ms(n * MINUTE_MS)
}

pub(crate) fn topic(device: &str) -> String {
    format!("sanitation/east/bin/{device}/telemetry")
}

/// A message that nobody waits for.
pub(crate) fn message(topic: &str, payload: &str, at: TimestampMs) -> Message {
    Message::native("test".into(), topic.to_owned(), Bytes::from(payload.to_owned()), at)
}

/// How full a bin is, in percent, without a time.
pub(crate) fn fill(device: &str, percent: f64, at: TimestampMs) -> Message {
    message(&topic(device), &format!(r#"{{"fill_pct":{percent}}}"#), at)
}

/// The same with a time of the device's own.
pub(crate) fn dated_fill(device: &str, percent: f64, observed: TimestampMs, at: TimestampMs) -> Message {
    message(&topic(device), &format!(r#"{{"ts":{},"fill_pct":{percent}}}"#, observed.0), at)
}

/// A client of the embedded broker, in a session.
pub(crate) fn client(owner: &str, session: &str) -> Connection {
    Connection::Client { owner: owner.into(), session: session.into() }
}

/// The same message as a client of its own sends it, with QoS 1.
pub(crate) fn published(message: Message, packet_id: u16) -> Message {
    let qos = Qos::AtLeastOnce { packet_id, is_dup: false };
    Message { qos, connection: client("b-1", "b-1"), ..message }
}

/// And when it comes again.
pub(crate) fn again(message: Message, packet_id: u16) -> Message {
    Message { qos: Qos::AtLeastOnce { packet_id, is_dup: true }, ..published(message, packet_id) }
}

pub(crate) fn rising(severity: Severity, raise: f64, clear: f64) -> Level {
    Level { severity, direction: Direction::Rising, raise, clear, for_ms: 0 }
}

pub(crate) fn rule(id: &str, metric: MetricNo, levels: Vec<Level>) -> Rule {
    let title = Title { en: id.to_owned(), zh: id.to_owned() };
    Rule::new(RuleId::new(id).expect("a sound id"), title, DeviceKind::Bin, metric, levels)
}
