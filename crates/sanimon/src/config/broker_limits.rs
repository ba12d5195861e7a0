//! `[mqtt.embedded.limits]`: each limit of the embedded broker by its name (docs/MQTT.md lists them with their defaults).

use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::time::Duration;

use sanimon_broker::Limits;
use sanimon_net::Allowance;

use super::reader::Section;

const KIB: i64 = 1024;
const MIB: i64 = 1024 * KIB;
const GIB: i64 = 1024 * MIB;

/// How many times a second's worth of control packets may come at once.
const CONTROL_BURST: f64 = 10.0;

pub(super) fn broker_limits(section: &mut Section<'_>) -> Limits {
    let mut limits = Limits::default();
    sizes(section, &mut limits);
    counts(section, &mut limits);
    times(section, &mut limits);
    rates(section, &mut limits);
    limits
}

/// The ranges are within what the limits' types hold.
fn put<T: TryFrom<i64>>(
    section: &mut Section<'_>,
    key: &'static str,
    range: RangeInclusive<i64>,
    limit: &mut T,
) {
    let value = section.integer(key, range).and_then(|value| T::try_from(value).ok());
    if let Some(value) = value {
        *limit = value;
    }
}

fn sizes(section: &mut Section<'_>, limits: &mut Limits) {
    let Limits { wire, session, sessions, retained, .. } = limits;
    let outgoing = &mut sessions.outgoing;
    put(section, "connect_bytes", 256..=MIB, &mut wire.connect_bytes);
    put(section, "packet_bytes", KIB..=16 * MIB, &mut wire.packet_bytes);
    put(section, "control_bytes", KIB..=MIB, &mut wire.control_bytes);
    put(section, "property_bytes", 256..=MIB, &mut wire.property_bytes);
    put(section, "user_properties", 0..=1_000, &mut wire.user_properties);
    put(section, "user_property_bytes", 0..=MIB, &mut wire.user_property_bytes);
    put(section, "client_id_bytes", 23..=KIB, &mut session.client_id_bytes);
    put(section, "filters_per_packet", 1..=10_000, &mut session.filters_per_packet);
    put(section, "queue_messages", 1..=1_000_000, &mut outgoing.queue_messages);
    put(section, "queue_bytes", KIB..=GIB, &mut outgoing.queue_bytes);
    put(section, "in_flight_out", 1..=65_535, &mut outgoing.in_flight_out);
    put(section, "websocket_head_bytes", 256..=MIB, &mut limits.websocket_head_bytes);
    put(section, "partial_bytes", MIB..=16 * GIB, &mut limits.partial_bytes);
    put(section, "queue_bytes_total", MIB..=64 * GIB, &mut limits.queue_bytes_total);
    put(section, "queue_bytes_stored", MIB..=16 * GIB, &mut limits.queue_bytes_stored);
    put(section, "retained_bytes", 0..=16 * GIB, &mut retained.retained_bytes);
}

fn counts(section: &mut Section<'_>, limits: &mut Limits) {
    put(section, "failed_per_address", 1..=1_000_000, &mut limits.failed_per_address);
    put(section, "waiting_per_address", 1..=100_000, &mut limits.admission.waiting_per_address);
    put(section, "waiting", 1..=1_000_000, &mut limits.admission.waiting);
    put(section, "connections_total", 1..=1_000_000, &mut limits.connections_total);
    put(section, "connections_per_address", 1..=1_000_000, &mut limits.connections_per_address);
    put(section, "connections", 1..=10_000, &mut limits.connections);
    put(section, "sessions_kept", 0..=1_000_000, &mut limits.sessions.sessions_kept);
    put(
        section,
        "sessions_kept_per_credential",
        0..=10_000,
        &mut limits.sessions.sessions_kept_per_credential,
    );
    put(section, "sessions_kept_per_gateway", 0..=100_000, &mut limits.sessions.sessions_kept_per_gateway);
    put(section, "subscriptions", 1..=100_000, &mut limits.sessions.subscriptions);
    put(section, "subscriptions_per_gateway", 1..=1_000_000, &mut limits.sessions.subscriptions_of_gateway);
    put(
        section,
        "subscriptions_per_credential",
        1..=10_000_000,
        &mut limits.sessions.subscriptions_per_credential,
    );
    put(section, "subscriptions_total", 1..=10_000_000, &mut limits.sessions.subscriptions_total);
    put(section, "retained_per_subscribe", 0..=1_000_000, &mut limits.retained_per_subscribe);
    put(section, "retained", 0..=1_000_000, &mut limits.retained.retained);
    put(section, "retained_per_credential", 0..=100_000, &mut limits.retained_per_credential);
    put(section, "takeovers", 1..=10_000, &mut limits.sessions.takeovers);
    put(section, "topic_aliases", 0..=65_535, &mut limits.session.topic_aliases);
    for (key, limit) in [
        ("receive_max", &mut limits.receive_max),
        ("receive_max_per_gateway", &mut limits.receive_max_of_gateway),
    ] {
        let value = section.integer(key, 1..=65_535).and_then(|value| NonZeroU16::new(value as u16));
        *limit = value.unwrap_or(*limit);
    }
}

/// In seconds.
fn times(section: &mut Section<'_>, limits: &mut Limits) {
    for (key, most, limit) in [
        ("connect_time", 600, &mut limits.connect_time),
        ("packet_time", 3_600, &mut limits.packet_time),
        ("slow_reader", 3_600, &mut limits.slow_reader),
    ] {
        if let Some(seconds) = section.integer(key, 1..=most) {
            *limit = Duration::from_secs(seconds as u64);
        }
    }
    put(section, "keep_alive_max", 10..=65_535, &mut limits.session.keep_alive_max_s);
    put(section, "session_expiry_max", 0..=i64::from(u32::MAX), &mut limits.session.session_expiry_max_s);
}

fn rates(section: &mut Section<'_>, limits: &mut Limits) {
    if let Some(per_s) = section.integer("control_packets_per_s", 1..=1_000_000) {
        let per_s = per_s as f64;
        limits.control_packets = Allowance { per_s, burst: per_s * CONTROL_BURST };
    }
    for (key, most, limit) in [
        ("messages_per_s", 1_000_000, &mut limits.messages_per_s),
        ("bytes_per_s", 1_000_000_000, &mut limits.bytes_per_s),
        ("gateway_factor", 10_000, &mut limits.gateway_factor),
    ] {
        if let Some(value) = section.integer(key, 1..=most) {
            *limit = value as f64;
        }
    }
}
