//! What could not be understood, and the counts of what was.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sanimon_store::{Counters, DeviceState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::User;
use crate::error::Problem;
use crate::state::ApiState;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// From the page before.
    cursor: Option<i64>,
    /// 1 to 1000; 100 if left out.
    limit: Option<usize>,
}

/// Something that could not be understood, once for each topic and cause.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuarantineBody {
    id: i64,
    topic: String,
    source: String,
    /// The cause, as it is counted.
    code: String,
    message: String,
    /// The newest payload as text, cut to 4096 bytes; what is not UTF-8 is replaced.
    payload: String,
    /// Of the whole payload.
    payload_bytes: i64,
    count: i64,
    first_at: String,
    last_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuarantinePage {
    items: Vec<QuarantineBody>,
    next_cursor: Option<i64>,
}

/// The quarantine, the newest entries first.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = "data health", params(PageQuery), responses(
    (status = 200, body = QuarantinePage), (status = 401, body = Problem),
))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<QuarantinePage>, Problem> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let page = state.read(move |shared| shared.quarantine(query.cursor, limit)).await?;
    let items = page.items.into_iter().map(|entry| QuarantineBody {
        id: entry.id,
        topic: entry.topic,
        source: entry.source,
        code: entry.code,
        message: entry.message,
        payload: String::from_utf8_lossy(&entry.payload).into_owned(),
        payload_bytes: entry.payload_bytes,
        count: entry.count,
        first_at: entry.first_at.to_string(),
        last_at: entry.last_at.to_string(),
    });
    Ok(Json(QuarantinePage { items: items.collect(), next_cursor: page.next_cursor }))
}

/// Counts since the start of the process, and what is open now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    messages_received: u64,
    messages_acknowledged: u64,
    readings: u64,
    duplicates: u64,
    corrections: u64,
    quarantined: u64,
    commit_failures: u64,
    sealed_points: u64,
    unsealed_points: usize,
    devices: usize,
    discovered_devices: usize,
    /// Metrics that no table knows, kept under their own names.
    custom_metrics: Vec<String>,
    /// Open alerts by severity.
    open_alerts: BTreeMap<String, usize>,
}

/// Counts.
#[utoipa::path(get, path = "/api/v1/stats", tag = "data health", responses(
    (status = 200, body = Stats), (status = 401, body = Problem),
))]
pub(crate) async fn stats(State(state): State<ApiState>, user: User) -> Result<Json<Stats>, Problem> {
    let (zones, now) = (user.own_zones(), state.now());
    let open = state.read(move |shared| shared.open_alert_counts(&zones, now)).await?;
    let open_alerts =
        open.by_severity.iter().map(|(severity, count)| (severity.to_string(), *count as usize)).collect();
    let counters = &state.shared.health.counters;
    let directory = state.shared.directory.read();
    let mut custom_metrics: Vec<String> = directory.custom_metrics().map(str::to_owned).collect();
    custom_metrics.sort();
    Ok(Json(Stats {
        messages_received: Counters::get(&counters.received),
        messages_acknowledged: Counters::get(&counters.acknowledged),
        readings: Counters::get(&counters.readings),
        duplicates: Counters::get(&counters.duplicates),
        corrections: Counters::get(&counters.corrections),
        quarantined: Counters::get(&counters.quarantined),
        commit_failures: Counters::get(&counters.commit_failures),
        sealed_points: Counters::get(&counters.sealed_points),
        unsealed_points: state.shared.hot.read().unsealed_points(),
        devices: directory
            .devices()
            .iter()
            .filter(|device| device.state != DeviceState::Retired && user.sees_device(device))
            .count(),
        discovered_devices: directory.discovered_count(),
        custom_metrics,
        open_alerts,
    }))
}
