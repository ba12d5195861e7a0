//! Alive, ready, and the counters for Prometheus.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sanimon_store::Counters;
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
    /// InfluxDB: `ok`, or why it takes no points now; null: the store is embedded. Without it sanimon is ready all the
    /// same, for points wait on disk.
    influxdb: Option<String>,
}

/// Ready: started, the store can be written, every source is connected.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = Readiness), (status = 503, description = "Not ready, and why", body = Readiness),
))]
pub(crate) async fn readyz(State(state): State<ApiState>) -> Response {
    let health = &state.shared.health;
    let fault = health.store_fault();
    let sources = health.sources();
    let connected = sources.values().all(|source| source.connected);
    let ready = health.is_ready() && fault.is_none() && connected;
    let body = Readiness {
        ready,
        store: fault.unwrap_or_else(|| "ok".to_owned()),
        sources: sources
            .into_iter()
            .map(|(name, source)| (name, if source.connected { "ok".to_owned() } else { source.detail }))
            .collect(),
        influxdb: health.backend().map(|state| state.detail),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// Counters in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "Prometheus text format")))]
pub(crate) async fn metrics(State(state): State<ApiState>) -> Response {
    let health = &state.shared.health;
    let c = &health.counters;
    let counters = [
        ("messages_received_total", "messages handed over by sources", &c.received),
        ("messages_acknowledged_total", "acknowledgements released after the synced commit", &c.acknowledged),
        ("readings_total", "readings written to the journal", &c.readings),
        ("groups_total", "transactions of messages", &c.groups),
        ("duplicates_total", "readings received again with the same value", &c.duplicates),
        ("corrections_total", "readings replaced by another value", &c.corrections),
        ("quarantined_total", "faults put into the quarantine", &c.quarantined),
        ("commit_failures_total", "commits that the disk refused", &c.commit_failures),
        ("sealed_points_total", "points sealed into blocks", &c.sealed_points),
        ("delivered_points_total", "points that InfluxDB has accepted", &c.delivered_points),
        ("expired_points_total", "points removed by retention; their days' sums stay", &c.expired_points),
    ];
    let mut text = String::new();
    for (name, help, counter) in counters {
        text.push_str(&format!(
            "# HELP sanimon_{name} {help}\n# TYPE sanimon_{name} counter\nsanimon_{name} {}\n",
            Counters::get(counter)
        ));
    }
    let gauges = [
        (
            "unsealed_points",
            "points in memory that are not sealed yet",
            state.shared.hot.read().unsealed_points(),
        ),
        (
            "damaged_places",
            "places in the file where telemetry was found damaged since the start",
            state.shared.damaged_places(),
        ),
        ("live_followers", "open event streams", state.shared.feed.followers()),
        ("devices", "devices known", state.shared.directory.read().devices().len()),
        ("store_ok", "1 when commits succeed", usize::from(health.store_fault().is_none())),
    ];
    for (name, help, value) in gauges {
        text.push_str(&format!(
            "# HELP sanimon_{name} {help}\n# TYPE sanimon_{name} gauge\nsanimon_{name} {value}\n"
        ));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
