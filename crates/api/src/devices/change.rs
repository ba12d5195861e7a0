//! What people change of devices.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sanimon_domain::{Calibration, DeviceId, HardwareId, MetricNo, metric};
use sanimon_store::{CalibrationPoint, Device, DeviceEvent, DeviceState};
use sanimon_writer::{NoteEvent, PutDevices, RetireDevice};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::entry::{DeviceEntry, EntryFault};
use super::one;
use crate::access::User;
use crate::alerts::device_number;
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::DeviceBody;

impl From<EntryFault> for Problem {
    fn from(fault: EntryFault) -> Self {
        Self::bad_request(fault.to_string())
    }
}

/// Enters a device, accepts a discovered one, or changes an entry.
#[utoipa::path(put, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = String, Path)), request_body = DeviceEntry, responses(
    (status = 200, body = DeviceBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem),
))]
pub(crate) async fn put(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
    entry: Result<Json<DeviceEntry>, JsonRejection>,
) -> Result<Json<DeviceBody>, Problem> {
    let Path(id) = id?;
    let Json(entry) = entry?;
    let now = state.now();
    let device = entry.device(&id, &state.shared.directory.read(), &state.site.models, now)?;
    // Neither from another zone, nor into one.
    user.require_zone(device.zone.as_ref())?;
    if let Some(before) = known(&state, &id).ok().filter(|before| before.state == DeviceState::Registered) {
        user.require_zone(before.zone.as_ref())?;
    }
    store(state, user, "device.put", device).await
}

/// Stores an entry and answers with what the device is now.
async fn store(
    state: ApiState,
    user: User,
    what: &'static str,
    device: Device,
) -> Result<Json<DeviceBody>, Problem> {
    let id = device.id.to_string();
    let detail = json!({
        "name": device.name,
        "kind": device.kind.as_str(),
        "zone": device.zone.as_ref().map(sanimon_domain::ZoneId::as_str),
        "hardware_id": device.hardware_id.as_ref().map(HardwareId::as_str),
    });
    let audit = state.audit(&user, what, &id, &detail);
    state.change(audit, PutDevices(vec![device])).await?;
    one(State(state), Ok(Path(id))).await
}

fn known(state: &ApiState, id: &str) -> Result<Device, Problem> {
    let no = device_number(state, id)?;
    let directory = state.shared.directory.read();
    directory.device(no).map(|device| Device::clone(device)).ok_or_else(|| Problem::not_found("device", id))
}

/// Takes a device out of sight: its alerts are cleared, its history stays, its hardware is free.
#[utoipa::path(delete, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = String, Path)), responses(
    (status = 204, description = "Retired"), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn retire(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    let id = DeviceId::new(&id).map_err(|_| Problem::not_found("device", &id))?;
    let audit = state.audit(&user, "device.retire", id.as_str(), &json!({}));
    state.change(audit, RetireDevice(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accepts a discovered device as it is.
#[utoipa::path(post, path = "/api/v1/devices/{id}/accept", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = DeviceBody), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn accept(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<DeviceBody>, Problem> {
    let Path(id) = id?;
    let device = Device { state: DeviceState::Registered, ..known(&state, &id)? };
    store(state, user, "device.accept", device).await
}

/// New hardware for a place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replacement {
    /// Its DevEUI, IMEI or platform's name.
    hardware_id: String,
    /// Left out: the same model as before.
    model: Option<String>,
}

/// Puts new hardware in a device's place. Its history stays; what was discovered under the new hardware's name is taken over.
#[utoipa::path(post, path = "/api/v1/devices/{id}/replace", tag = "devices", params(("id" = String, Path)), request_body = Replacement, responses(
    (status = 200, body = DeviceBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
))]
pub(crate) async fn replace(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
    body: Result<Json<Replacement>, JsonRejection>,
) -> Result<Json<DeviceBody>, Problem> {
    let (Path(id), Json(body)) = (id?, body?);
    let device = known(&state, &id)?;
    let hardware_id = HardwareId::new(&body.hardware_id)
        .map_err(|error| Problem::bad_request(format!("`hardware_id`: {error}")))?;
    let model = match body.model.as_deref() {
        None => device.model.clone(),
        Some(model) => match state.site.models.find(model) {
            Some(known) => Some(known.to_owned()),
            None => {
                let text = format!("`model`: `{model}` is not known: GET /api/v1/models lists all");
                return Err(Problem::bad_request(text));
            }
        },
    };
    let device = Device { hardware_id: Some(hardware_id), model, ..device };
    store(state, user, "device.replace", device).await
}

/// What a reading stands for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CalibrationStep {
    /// `empty` or `full`
    point: String,
    /// `next` (if left out): the next reading; `last`: the one that was heard last.
    take: Option<String>,
}

/// Guided calibration: empty the bin, ask for this, and the next distance is taken as `empty`.
#[utoipa::path(post, path = "/api/v1/devices/{id}/calibrate", tag = "devices", params(("id" = String, Path)), request_body = CalibrationStep, responses(
    (status = 200, body = DeviceBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
))]
pub(crate) async fn calibrate(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
    body: Result<Json<CalibrationStep>, JsonRejection>,
) -> Result<Json<DeviceBody>, Problem> {
    let (Path(id), Json(body)) = (id?, body?);
    let point = CalibrationPoint::parse(&body.point)
        .ok_or_else(|| Problem::bad_request(format!("`point` is `{}`: write empty or full", body.point)))?;
    let device = known(&state, &id)?;
    let device = match body.take.as_deref() {
        None | Some("next") => Device { calibrate_next: Some(point), ..device },
        Some("last") => calibrated_by_last(&state, device, point)?,
        Some(other) => {
            return Err(Problem::bad_request(format!("`take` is `{other}`: write next or last")));
        }
    };
    store(state, user, "device.calibrate", device).await
}

fn calibrated_by_last(state: &ApiState, device: Device, point: CalibrationPoint) -> Result<Device, Problem> {
    let last = |metric: MetricNo| state.shared.hot.read().latest_of(device.no, metric);
    let Some(distance) = last(metric::DISTANCE_MM) else {
        let text = "the device has not said a distance yet: ask for the next one";
        return Err(Problem::new(StatusCode::CONFLICT, text));
    };
    let before = device.calibration.clone();
    let calibration = match point {
        CalibrationPoint::Empty => Calibration { empty_mm: Some(distance.value), ..before },
        CalibrationPoint::Full => Calibration { full_mm: Some(distance.value), ..before },
    };
    calibration.check().map_err(|fault| Problem::new(StatusCode::CONFLICT, fault.to_string()))?;
    Ok(Device { calibration, calibrate_next: None, ..device })
}

/// A crew has cleaned it: visits are counted from now on.
#[utoipa::path(post, path = "/api/v1/devices/{id}/cleaned", tag = "devices", params(("id" = String, Path)), responses(
    (status = 204, description = "Remembered"), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn cleaned(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    let (device, now) = (device_number(&state, &id)?, state.now());
    let event = DeviceEvent {
        device,
        about: "device".into(),
        what: DeviceEvent::CLEANED.into(),
        detail: Some(user.name.as_str().into()),
        count: 1,
        first_at: now,
        last_at: now,
    };
    let audit = state.audit(&user, "device.cleaned", &id, &json!({}));
    state.change(audit, NoteEvent(event)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// No longer waits for a reading to calibrate by.
#[utoipa::path(delete, path = "/api/v1/devices/{id}/calibrate", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = DeviceBody), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn cancel_calibration(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<DeviceBody>, Problem> {
    let Path(id) = id?;
    let device = Device { calibrate_next: None, ..known(&state, &id)? };
    store(state, user, "device.calibrate", device).await
}
