//! Maintenance windows and snoozes.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{DeviceNo, RuleId, TimestampMs, ZoneId};
use sanimon_store::{DirectoryState, NewWindow, WindowEntry};
use sanimon_writer::{EndWindow, PutWindow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::User;
use crate::alerts::device_number;
use crate::error::Problem;
use crate::state::ApiState;

/// Windows that are over, shown at most.
const PAST_MAX: usize = 100;
/// A window of a year is a rule that nobody wants.
const LENGTH_MS_MAX: i64 = 366 * DAY_MS;
const REASON_CHARS_MAX: usize = 500;

/// What a person enters. At least one of `device`, `zone` and `rule`; what several name together is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowRequest {
    device: Option<String>,
    zone: Option<String>,
    rule: Option<String>,
    /// RFC 3339; left out: now.
    from: Option<String>,
    /// RFC 3339.
    to: String,
    reason: String,
}

/// A time in which nobody wants to be told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WindowBody {
    id: i64,
    device: Option<String>,
    zone: Option<String>,
    rule: Option<String>,
    from: String,
    to: String,
    reason: String,
    who: String,
    created_at: String,
    /// `planned`, `running` or `over`
    state: String,
    /// Who ended it before its time.
    ended_by: Option<String>,
    /// How many alerts it kept from being raised, and when the last.
    suppressed: i64,
    last_suppressed_at: Option<String>,
}

impl WindowBody {
    fn new(entry: WindowEntry, directory: &DirectoryState, now: TimestampMs) -> Self {
        let window = entry.window;
        let state = match () {
            () if now < window.from => "planned",
            () if now < window.to => "running",
            () => "over",
        };
        let device = window.device.and_then(|device| directory.device(device));
        Self {
            id: window.id,
            device: device.map(|device| device.id.to_string()),
            zone: window.zone.map(|zone| zone.to_string()),
            rule: window.rule.map(|rule| rule.to_string()),
            from: window.from.to_string(),
            to: window.to.to_string(),
            reason: entry.reason,
            who: entry.who,
            created_at: entry.created_at.to_string(),
            state: state.to_owned(),
            ended_by: entry.ended_by,
            suppressed: entry.suppressed,
            last_suppressed_at: entry.last_suppressed_at.map(|at| at.to_string()),
        }
    }
}

/// Maintenance windows: those that run or are planned, and the newest of those that are over.
#[utoipa::path(get, path = "/api/v1/maintenance", tag = "rules", responses((status = 200, body = Vec<WindowBody>), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    user: User,
) -> Result<Json<Vec<WindowBody>>, Problem> {
    let now = state.now();
    let entries = state.read(move |shared| shared.maintenance_windows(now, PAST_MAX)).await?;
    let directory = state.shared.directory.read();
    let sees = |WindowEntry { window, .. }: &WindowEntry| {
        user.sees(zone_of(window.device, window.zone.as_ref(), &directory).as_ref())
    };
    Ok(Json(entries.into_iter().filter(sees).map(|entry| WindowBody::new(entry, &directory, now)).collect()))
}

/// Where a window is; `None`: everywhere, or nowhere.
pub(crate) fn zone_of(
    device: Option<DeviceNo>,
    zone: Option<&ZoneId>,
    directory: &DirectoryState,
) -> Option<ZoneId> {
    match device {
        Some(device) => directory.device(device).and_then(|device| device.zone.clone()),
        None => zone.cloned(),
    }
}

/// The number of a window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WindowNumber {
    id: i64,
}

/// Begins a window, or plans one: no alert is raised in it that it covers. What is open already stays open.
#[utoipa::path(post, path = "/api/v1/maintenance", tag = "rules", request_body = WindowRequest, responses(
    (status = 201, body = WindowNumber), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn begin(
    State(state): State<ApiState>,
    user: User,
    request: Result<Json<WindowRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<WindowNumber>), Problem> {
    let Json(request) = request?;
    let window = checked(&state, &request, user.name.clone())?;
    let zone = zone_of(window.device, window.zone.as_ref(), &state.shared.directory.read());
    user.require_zone(zone.as_ref())?;
    let detail = serde_json::json!({ "to": request.to, "reason": request.reason, "zone": request.zone, "rule": request.rule });
    let audit =
        state.audit(&user, "maintenance.begin", request.device.as_deref().unwrap_or_default(), &detail);
    let id = state.change(audit, PutWindow(window)).await?;
    Ok((StatusCode::CREATED, Json(WindowNumber { id })))
}

fn checked(state: &ApiState, request: &WindowRequest, who: String) -> Result<NewWindow, Problem> {
    let now = state.now();
    let time = |text: &str, name: &str| {
        TimestampMs::parse_rfc3339(text)
            .ok_or_else(|| Problem::bad_request(format!("`{name}` is `{text}`: write RFC 3339")))
    };
    let from = request.from.as_deref().map_or(Ok(now), |text| time(text, "from"))?;
    let to = time(&request.to, "to")?;
    if to <= from.max(now) {
        return Err(Problem::bad_request("`to` must be after `from` and after now"));
    }
    if to.since_ms(from) > LENGTH_MS_MAX {
        return Err(Problem::bad_request("a window lasts at most a year: change the rule instead"));
    }
    let reason = request.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(Problem::bad_request("`reason` says why, in 1 to 500 characters"));
    }
    let device = request.device.as_deref().map(|id| device_number(state, id)).transpose()?;
    let zone = match request.zone.as_deref() {
        None => None,
        Some(id) => {
            let known =
                ZoneId::new(id).ok().filter(|zone| state.shared.directory.read().zone(zone).is_some());
            Some(known.ok_or_else(|| Problem::not_found("zone", id))?)
        }
    };
    let rule = match request.rule.as_deref() {
        None => None,
        Some(id) if state.shared.standing.rules().position(id).is_some() => RuleId::new(id).ok(),
        Some(id) => return Err(Problem::not_found("rule", id)),
    };
    if device.is_none() && zone.is_none() && rule.is_none() {
        return Err(Problem::bad_request("name a `device`, a `zone` or a `rule`"));
    }
    Ok(NewWindow { device, zone, rule, from, to, reason, who })
}

/// Ends a window now: what it kept back is raised if it still holds.
#[utoipa::path(delete, path = "/api/v1/maintenance/{id}", tag = "rules", params(("id" = i64, Path)), responses(
    (status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn end(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<i64>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    let audit = state.audit(&user, "maintenance.end", &id.to_string(), &serde_json::json!({}));
    state.change(audit, EndWindow { id }).await?;
    Ok(StatusCode::NO_CONTENT)
}
