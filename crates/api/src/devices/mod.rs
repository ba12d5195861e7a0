//! Devices: the list with newest values, one, and what people change of them.

pub(crate) mod change;
mod entry;
pub(crate) mod forecast;
pub(crate) mod table;
pub(crate) mod trust;

pub use entry::{EntryFault, KnownModels};

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use sanimon_domain::{Condition, DeviceKind, DeviceNo, Severity};
use sanimon_store::{AlertFilter, Device, DeviceState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::User;
use crate::alerts::device_number;
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::{DeviceBody, LatestValue, words};

const PAGE_DEFAULT: usize = 1_000;
const PAGE_MAX: usize = 10_000;
/// Open alerts looked through for the devices' states.
const OPEN_ALERTS_MAX: usize = 100_000;

/// Which devices. Lists of words are separated by commas.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeviceQuery {
    /// `bin`, `drain`, `toilet`
    kind: Option<String>,
    /// Zone ids.
    zone: Option<String>,
    /// `registered`, `discovered`, `retired`; all but retired if left out.
    state: Option<String>,
    /// One of the device's tags.
    tag: Option<String>,
    /// `online`, `late`, `silent`, `faulty`
    health: Option<String>,
    /// A part of the id, the name or the hardware's name, in any case.
    q: Option<String>,
    /// From the page before.
    cursor: Option<u32>,
    /// 1 to 10000; 1000 if left out.
    limit: Option<usize>,
}

/// A page of devices, in the order in which they became known.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DevicePage {
    items: Vec<DeviceBody>,
    next_cursor: Option<u32>,
}

async fn worst_severities(state: &ApiState) -> Result<HashMap<DeviceNo, Severity>, Problem> {
    let filter = AlertFilter { conditions: vec![Condition::Active], ..AlertFilter::default() };
    let page = state.read(move |shared| shared.alerts(&filter, OPEN_ALERTS_MAX)).await?;
    let mut worst: HashMap<DeviceNo, Severity> = HashMap::new();
    for alert in page.items {
        let Some(device) = alert.subject.device() else { continue };
        let entry = worst.entry(device).or_insert(alert.severity);
        *entry = (*entry).max(alert.severity);
    }
    Ok(worst)
}

/// Devices with their newest values.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", params(DeviceQuery), responses(
    (status = 200, body = DevicePage), (status = 400, body = Problem), (status = 401, body = Problem),
))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    user: User,
    query: Result<Query<DeviceQuery>, QueryRejection>,
) -> Result<Json<DevicePage>, Problem> {
    let Query(query) = query?;
    let kinds = words(query.kind.as_deref(), "kind", DeviceKind::parse)?;
    let healths = words(query.health.as_deref(), "health", trust::HealthState::parse)?;
    let states = words(query.state.as_deref(), "state", DeviceState::parse)?;
    let zones: Vec<String> = words(query.zone.as_deref(), "zone", |zone| Some(zone.to_owned()))?;
    let needle = query.q.unwrap_or_default().to_lowercase();
    let wanted = |device: &Device| {
        let state_fits = if states.is_empty() {
            device.state != DeviceState::Retired
        } else {
            states.contains(&device.state)
        };
        state_fits
            && (kinds.is_empty() || kinds.contains(&device.kind))
            && (zones.is_empty()
                || device.zone.as_ref().is_some_and(|z| zones.iter().any(|zone| zone == z.as_str())))
            && (needle.is_empty()
                || device.id.as_str().to_lowercase().contains(&needle)
                || device.name.to_lowercase().contains(&needle)
                || device.hardware_id.as_ref().is_some_and(|id| id.as_str().contains(&needle)))
            && query.tag.as_ref().is_none_or(|tag| device.tags.contains(tag))
            && user.sees_device(device)
    };
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let worst = worst_severities(&state).await?;
    let faults = trust::Faults::load(&state).await?;
    let (directory, hot) = (state.shared.directory.read(), state.shared.hot.read());
    let now = state.now();
    let health = |device: &Device| faults.health(device, &directory, &hot, now);
    let wanted =
        |device: &Device| wanted(device) && (healths.is_empty() || healths.contains(&health(device).state));
    let from = query.cursor.map_or(0, |cursor| cursor as usize + 1);
    let mut selected = directory.devices().iter().skip(from).filter(|device| wanted(device));
    let mut last = None;
    let items = selected
        .by_ref()
        .take(limit)
        .map(|device| {
            last = Some(device.no.0);
            let worst = worst.get(&device.no).copied();
            DeviceBody::new(device, &directory, &hot, worst, health(device).into())
        })
        .collect();
    let next_cursor = if selected.next().is_some() { last } else { None };
    Ok(Json(DevicePage { items, next_cursor }))
}

/// One device.
#[utoipa::path(get, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = DeviceBody), (status = 404, body = Problem),
))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<DeviceBody>, Problem> {
    let Path(id) = id?;
    let no = device_number(&state, &id)?;
    let worst = worst_severities(&state).await?;
    let faults = trust::Faults::load(&state).await?;
    let (directory, hot) = (state.shared.directory.read(), state.shared.hot.read());
    let device = directory.device(no).ok_or_else(|| Problem::not_found("device", &id))?;
    let health = faults.health(device, &directory, &hot, state.now());
    Ok(Json(DeviceBody::new(device, &directory, &hot, worst.get(&no).copied(), health.into())))
}

/// The newest value of each metric. A value without `observed_at` was retained by a broker and may be old.
#[utoipa::path(get, path = "/api/v1/devices/{id}/latest", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = BTreeMap<String, LatestValue>), (status = 404, body = Problem),
))]
pub(crate) async fn latest(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<BTreeMap<String, LatestValue>>, Problem> {
    let Path(id) = id?;
    let no = device_number(&state, &id)?;
    let known = state.read(move |shared| shared.last_known(no)).await?;
    let (directory, hot) = (state.shared.directory.read(), state.shared.hot.read());
    let device = directory.device(no).ok_or_else(|| Problem::not_found("device", &id))?;
    let mut values = crate::wire::latest_values(device, &directory, &hot);
    for old in known {
        if let Some(name) = directory.metric_name(old.metric) {
            values.entry(name.to_owned()).or_insert_with(|| LatestValue {
                value: old.value,
                observed_at: None,
                received_at: old.received_at.to_string(),
            });
        }
    }
    Ok(Json(values))
}
