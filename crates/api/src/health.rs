//! Alive, ready, and the counters for Prometheus.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sanimon_store::{Counters, Health};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::ApiState;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "ok")))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether messages can be taken and acknowledged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    ready: bool,
    /// `ok`, or why commits fail.
    store: String,
    /// Each source: `ok`, or what it says of itself.
    sources: BTreeMap<String, String>,
    /// Threads and tasks that the promises depend on: `ok`, or what is wrong with one.
    parts: BTreeMap<String, String>,
    /// InfluxDB: `ok`, or why it takes no points now; null: the store is embedded. Without it sanimon is ready all the
    /// same, for points wait on disk.
    influxdb: Option<String>,
}

/// Ready: started, the store can be written, every source is connected, every part of sanimon lives.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = Readiness), (status = 503, description = "Not ready, and why", body = Readiness),
))]
pub(crate) async fn readyz(State(state): State<ApiState>) -> Response {
    let health = &state.shared.health;
    let fault = health.store_fault();
    let sources = health.sources();
    let connected = sources.values().all(|source| source.connected);
    let parts: BTreeMap<String, Option<String>> =
        health.parts.all().into_iter().map(|(name, part)| (name, part.fault())).collect();
    let are_well = parts.values().all(Option::is_none);
    let ready = health.is_ready() && fault.is_none() && connected && are_well;
    let body = Readiness {
        ready,
        store: fault.unwrap_or_else(|| "ok".to_owned()),
        sources: sources
            .into_iter()
            .map(|(name, source)| (name, if source.connected { "ok".to_owned() } else { source.detail }))
            .collect(),
        parts: parts
            .into_iter()
            .map(|(name, fault)| (name, fault.unwrap_or_else(|| "ok".to_owned())))
            .collect(),
        influxdb: health.backend().map(|state| state.detail),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// Counters in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "Prometheus text format")))]
pub(crate) async fn metrics(State(state): State<ApiState>) -> Response {
    let mut text = String::new();
    counters(&mut text, &state.shared.health);
    gauges(&mut text, &state);
    limits(&mut text, &state.shared.health);
    parts(&mut text, &state.shared.health);
    // When the file cannot be read, the rest is told all the same.
    if let Ok((waiting, dead)) = state.read(sanimon_store::Shared::message_counts).await {
        write(&mut text, "gauge", "outbox_waiting", "messages to people that wait to be sent", waiting);
        write(&mut text, "gauge", "outbox_dead", "messages to people that were given up", dead);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn write(text: &mut String, kind: &str, name: &str, help: &str, value: impl std::fmt::Display) {
    text.push_str(&format!(
        "# HELP sanimon_{name} {help}\n# TYPE sanimon_{name} {kind}\nsanimon_{name} {value}\n"
    ));
}

/// What has happened since the start. The first four are the promise: what is acknowledged was committed, what is
/// committed is forwarded, and nothing is lost.
fn counters(text: &mut String, health: &Health) {
    let c = &health.counters;
    let (acknowledged, committed) = (Counters::get(&c.acknowledged), Counters::get(&c.committed));
    // Two witnesses: the writer counts commits, the sources count what they told their senders.
    let out = Counters::get(&c.acknowledgements_out);
    let lost = out.saturating_sub(Counters::get(&c.committed_qos1));
    for (name, help, value) in [
        ("messages_acknowledged_total", "acknowledgements released after the synced commit", acknowledged),
        ("acknowledgements_out_total", "acknowledgements that sources gave out, counted there", out),
        ("messages_committed_total", "messages whose transaction was synced", committed),
        ("points_forwarded_total", "points that InfluxDB has accepted", Counters::get(&c.delivered_points)),
        ("messages_lost_total", "acknowledgements given out without a commit; always 0", lost),
        ("messages_received_total", "messages handed over by sources", Counters::get(&c.received)),
    ] {
        write(text, "counter", name, help, value);
    }
    for (name, help, counter) in [
        ("readings_total", "readings written to the journal", &c.readings),
        ("groups_total", "transactions of messages", &c.groups),
        ("duplicates_total", "readings received again with the same value", &c.duplicates),
        ("corrections_total", "readings replaced by another value", &c.corrections),
        ("quarantined_total", "messages of which something was quarantined", &c.quarantined),
        ("faults_total", "what was wrong with messages, each cause counted", &c.faults),
        (
            "engine_restores_total",
            "times that the rules' memory was read from the file again",
            &c.engine_restores,
        ),
        (
            "job_failures_total",
            "jobs beside the writer that failed or were lost, and are tried again",
            &c.job_failures,
        ),
        ("commit_failures_total", "commits that the disk refused", &c.commit_failures),
        ("sealed_points_total", "points sealed into blocks", &c.sealed_points),
        ("delivered_points_total", "points that InfluxDB has accepted", &c.delivered_points),
        ("expired_points_total", "points removed by retention; their days' sums stay", &c.expired_points),
        ("mqtt_connections_total", "connections to the embedded broker", &c.mqtt_connections),
        ("mqtt_not_signed_in_total", "connections that ended before a sign-in", &c.mqtt_not_signed_in),
        ("mqtt_evicted_total", "connections that lost their place before a sign-in", &c.mqtt_evicted),
        ("mqtt_refused_total", "sign-ins to the broker that were refused", &c.mqtt_refused),
        ("mqtt_denied_total", "messages and subscriptions without a right to them", &c.mqtt_denied),
        ("mqtt_slowed_total", "messages that waited, their username being too fast", &c.mqtt_slowed),
    ] {
        write(text, "counter", name, help, Counters::get(counter));
    }
}

/// How things stand now.
fn gauges(text: &mut String, state: &ApiState) {
    let (shared, health) = (&state.shared, &state.shared.health);
    let points = shared.hot.read().unsealed_points();
    let devices = shared.directory.read().devices().len();
    let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let flag = |holds: bool| i64::from(holds);
    let sources = health.sources();
    let connected = sources.values().filter(|source| source.connected).count();
    let signed_in = i64::try_from(Counters::get(&health.counters.mqtt_signed_in)).unwrap_or(i64::MAX);
    for (name, help, value) in [
        ("unsealed_points", "points in memory that are not sealed yet", number(points)),
        (
            "damaged_places",
            "places in the file found damaged since the start",
            number(shared.damaged_places()),
        ),
        ("live_followers", "open event streams", number(shared.feed.followers())),
        ("devices", "devices known", number(devices)),
        ("store_ok", "1 when commits succeed", flag(health.store_fault().is_none())),
        ("sources", "sources of messages", number(sources.len())),
        ("sources_connected", "sources that are connected", number(connected)),
        ("influxdb_ok", "1 when InfluxDB takes points, or there is none", flag(is_backend_well(health))),
        ("mqtt_signed_in", "clients signed in to the embedded broker", signed_in),
        ("tls_expires_at_seconds", "when the certificate expires, 0: none", load(&health.tls_expires_at_s)),
        ("tls_fault", "1 when changed certificate files cannot be used", flag(is_set(&health.tls_fault))),
        ("last_commit_at_ms", "the site's clock at the last commit", load(&health.last_commit_at)),
    ] {
        write(text, "gauge", name, help, value);
    }
}

/// How often each limit was met, by its name.
fn limits(text: &mut String, health: &Health) {
    let (name, help) = ("limit_met_total", "what was left out because of a limit");
    labelled(text, ("counter", name, help), "limit", health.limits.all());
    let (name, help) = ("mqtt_limit_total", "how often a limit of the embedded broker was met");
    labelled(text, ("counter", name, help), "limit", health.mqtt_limits.all());
}

/// Whether each part of sanimon lives.
fn parts(text: &mut String, health: &Health) {
    let all = health.parts.all().into_iter().map(|(name, part)| (name, u64::from(part.fault().is_none())));
    labelled(text, ("gauge", "part_ok", "1 when the thread or task works"), "part", all);
}

fn labelled(
    text: &mut String,
    (kind, name, help): (&str, &str, &str),
    label: &str,
    values: impl IntoIterator<Item = (impl AsRef<str>, u64)>,
) {
    text.push_str(&format!("# HELP sanimon_{name} {help}\n# TYPE sanimon_{name} {kind}\n"));
    for (of, value) in values {
        // A name comes from the configuration: it may have quotes.
        let of = of.as_ref().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
        text.push_str(&format!("sanimon_{name}{{{label}=\"{of}\"}} {value}\n"));
    }
}

fn load(number: &AtomicI64) -> i64 {
    number.load(Ordering::Relaxed)
}

fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

fn is_backend_well(health: &Health) -> bool {
    health.backend().is_none_or(|backend| backend.connected)
}
