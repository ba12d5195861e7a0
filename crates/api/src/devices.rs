//! Devices: the list with newest values, one, its entry in the registry.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use sanimon_domain::{Calibration, Condition, DeviceId, DeviceKind, DeviceNo, Severity, ZoneId};
use sanimon_store::{AlertFilter, Command, Device, DeviceState, LatLon};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::alerts::device_number;
use crate::auth::User;
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
    /// A part of the id or the name, in any case.
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

/// What a person enters of a device. What is left out is emptied.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceEntry {
    /// `bin`, `drain` or `toilet`
    kind: String,
    #[serde(default)]
    name: String,
    zone: Option<String>,
    /// Who looks after it.
    team: Option<String>,
    lat: Option<f64>,
    lon: Option<f64>,
    /// How often it is expected to report, in seconds.
    interval_s: Option<i64>,
    /// What the sensor measures when empty, in millimetres.
    empty_mm: Option<f64>,
    /// What it measures when full, in millimetres.
    full_mm: Option<f64>,
}

async fn worst_severities(state: &ApiState) -> Result<HashMap<DeviceNo, Severity>, Problem> {
    let filter = AlertFilter { conditions: vec![Condition::Active], ..AlertFilter::default() };
    let page = state.read(move |shared| shared.alerts(&filter, OPEN_ALERTS_MAX)).await?;
    let mut worst: HashMap<DeviceNo, Severity> = HashMap::new();
    for alert in page.items {
        let entry = worst.entry(alert.device).or_insert(alert.severity);
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
    _user: User,
    query: Result<Query<DeviceQuery>, QueryRejection>,
) -> Result<Json<DevicePage>, Problem> {
    let Query(query) = query?;
    let kinds = words(query.kind.as_deref(), "kind", DeviceKind::parse)?;
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
                || device.name.to_lowercase().contains(&needle))
    };
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let worst = worst_severities(&state).await?;
    let (directory, hot) = (state.shared.directory.read(), state.shared.hot.read());
    let from = query.cursor.map_or(0, |cursor| cursor as usize + 1);
    let mut selected = directory.devices().iter().skip(from).filter(|device| wanted(device));
    let mut last = None;
    let items = selected
        .by_ref()
        .take(limit)
        .map(|device| {
            last = Some(device.no.0);
            DeviceBody::new(device, &directory, &hot, worst.get(&device.no).copied())
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
    _user: User,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<DeviceBody>, Problem> {
    let Path(id) = id?;
    let no = device_number(&state, &id)?;
    let worst = worst_severities(&state).await?;
    let (directory, hot) = (state.shared.directory.read(), state.shared.hot.read());
    let device = directory.device(no).ok_or_else(|| Problem::not_found("device", &id))?;
    Ok(Json(DeviceBody::new(device, &directory, &hot, worst.get(&no).copied())))
}

/// The newest value of each metric. A value without `observed_at` was retained by a broker and may be old.
#[utoipa::path(get, path = "/api/v1/devices/{id}/latest", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = BTreeMap<String, LatestValue>), (status = 404, body = Problem),
))]
pub(crate) async fn latest(
    State(state): State<ApiState>,
    _user: User,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<BTreeMap<String, LatestValue>>, Problem> {
    let Path(id) = id?;
    let no = device_number(&state, &id)?;
    let known = state.read(move |shared| shared.last_known(no)).await?;
    let (directory, hot) = (state.shared.directory.read(), state.shared.hot.read());
    let device = directory.device(no).ok_or_else(|| Problem::not_found("device", &id))?;
    let mut values = DeviceBody::new(device, &directory, &hot, None).latest;
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

/// Enters a device, accepts a discovered one, or changes an entry.
#[utoipa::path(put, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = String, Path)), request_body = DeviceEntry, responses(
    (status = 200, body = DeviceBody), (status = 400, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn put(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
    entry: Result<Json<DeviceEntry>, JsonRejection>,
) -> Result<Json<DeviceBody>, Problem> {
    user.require("manager")?;
    let Path(id) = id?;
    let Json(entry) = entry?;
    let device = checked(&state, &id, entry)?;
    state.command(|reply| Command::PutDevices(vec![device], reply)).await?;
    one(State(state), user, Ok(Path(id))).await
}

fn checked(state: &ApiState, id: &str, entry: DeviceEntry) -> Result<Device, Problem> {
    let id = DeviceId::new(id).map_err(|error| Problem::bad_request(error.to_string()))?;
    let kind = DeviceKind::parse(&entry.kind)
        .ok_or_else(|| Problem::bad_request(format!("`{}` is none of bin, drain and toilet", entry.kind)))?;
    let directory = state.shared.directory.read();
    let zone = match entry.zone.as_deref() {
        None => None,
        Some(zone) => {
            let known = ZoneId::new(zone).ok().filter(|zone| directory.zone(zone).is_some());
            Some(known.ok_or_else(|| Problem::bad_request(format!("there is no zone `{zone}`")))?)
        }
    };
    let place = match (entry.lat, entry.lon) {
        (None, None) => None,
        (Some(lat), Some(lon)) if lat.abs() <= 90.0 && lon.abs() <= 180.0 => Some(LatLon { lat, lon }),
        _ => return Err(Problem::bad_request("`lat` (-90..90) and `lon` (-180..180) go together")),
    };
    let calibration = match (entry.empty_mm, entry.full_mm) {
        (None, None) => None,
        (Some(empty), Some(full)) => Some(Calibration::new(empty, full).ok_or_else(|| {
            Problem::bad_request(
                "`empty_mm` must be larger than `full_mm`: the sensor looks down from the top",
            )
        })?),
        _ => return Err(Problem::bad_request("`empty_mm` and `full_mm` go together")),
    };
    if entry.interval_s.is_some_and(|seconds| !(1..=31_536_000).contains(&seconds)) {
        return Err(Problem::bad_request("`interval_s` is between 1 second and a year"));
    }
    if entry.name.chars().count() > 200 || entry.name.chars().any(char::is_control) {
        return Err(Problem::bad_request("`name` has at most 200 characters and no control characters"));
    }
    if entry.team.as_deref().is_some_and(|team| !is_label(team)) {
        return Err(Problem::bad_request("`team` has 1 to 64 characters and no control characters"));
    }
    let known = directory.number(&id).and_then(|no| directory.device(no));
    Ok(Device {
        // The store gives the number of a device that is new.
        no: known.map_or(DeviceNo(0), |device| device.no),
        name: entry.name,
        kind,
        zone,
        team: entry.team,
        district: known.map(|device| device.district.clone()).unwrap_or_default(),
        state: DeviceState::Registered,
        place,
        interval_ms: entry.interval_s.map(|seconds| seconds * 1000),
        calibration,
        first_seen_at: known.map_or(state.now(), |device| device.first_seen_at),
        online: known.and_then(|device| device.online),
        id,
    })
}

fn is_label(text: &str) -> bool {
    (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Takes a device out of sight: its alerts are cleared, its history stays.
#[utoipa::path(delete, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = String, Path)), responses(
    (status = 204, description = "Retired"), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn retire(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    user.require("manager")?;
    let Path(id) = id?;
    let id = DeviceId::new(&id).map_err(|_| Problem::not_found("device", &id))?;
    state.command(|reply| Command::RetireDevice(id, reply)).await?;
    Ok(StatusCode::NO_CONTENT)
}
