//! Alerts: the list, one with its history, and the steps that people take.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use sanimon_alerting::lifecycle::Action;
use sanimon_domain::{AlertId, Condition, DeviceId, Handling, Severity};
use sanimon_store::{AlertAction, AlertFilter, Command};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::User;
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::{AlertBody, words};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;
/// A remark's length in characters.
const NOTE_CHARS_MAX: usize = 2_000;

/// Which alerts. Lists of words are separated by commas.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertQuery {
    /// `active`, `cleared`
    condition: Option<String>,
    /// `new`, `acknowledged`, ...
    handling: Option<String>,
    /// `critical`, `major`, `minor`, `warning`
    severity: Option<String>,
    /// Zone ids.
    zone: Option<String>,
    /// A device's id.
    device: Option<String>,
    /// From the page before.
    cursor: Option<i64>,
    /// 1 to 1000; 100 if left out.
    limit: Option<usize>,
}

/// A page of alerts, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertPage {
    items: Vec<AlertBody>,
    next_cursor: Option<i64>,
}

/// An entry of an alert's history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StepBody {
    at: String,
    /// `raised`, `severity_changed`, `cleared`, `acknowledged`, `commented`
    kind: String,
    /// Null: the engine.
    who: Option<String>,
    severity: String,
    value: Option<f64>,
    note: Option<String>,
}

/// An alert with its whole history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertWithHistory {
    #[serde(flatten)]
    alert: AlertBody,
    history: Vec<StepBody>,
}

/// What a person says with a step.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    note: Option<String>,
}

/// Alerts, the newest first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertQuery), responses(
    (status = 200, body = AlertPage), (status = 400, body = Problem), (status = 401, body = Problem),
))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    _user: User,
    query: Result<Query<AlertQuery>, QueryRejection>,
) -> Result<Json<AlertPage>, Problem> {
    let Query(query) = query?;
    let device = match query.device.as_deref() {
        None => None,
        Some(id) => Some(device_number(&state, id)?),
    };
    let filter = AlertFilter {
        conditions: words(query.condition.as_deref(), "condition", Condition::parse)?,
        handlings: words(query.handling.as_deref(), "handling", Handling::parse)?,
        severities: words(query.severity.as_deref(), "severity", Severity::parse)?,
        zones: words(query.zone.as_deref(), "zone", |zone| Some(zone.to_owned()))?,
        device,
        before: query.cursor,
    };
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let page = state.read(move |shared| shared.alerts(&filter, limit)).await?;
    let directory = state.shared.directory.read();
    let items = page.items.iter().map(|alert| AlertBody::new(alert, &directory)).collect();
    Ok(Json(AlertPage { items, next_cursor: page.next_cursor }))
}

pub(crate) fn device_number(state: &ApiState, id: &str) -> Result<sanimon_domain::DeviceNo, Problem> {
    let known = DeviceId::new(id).ok().and_then(|id| state.shared.directory.read().number(&id));
    known.ok_or_else(|| Problem::not_found("device", id))
}

/// One alert with its whole history.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", tag = "alerts", params(("id" = u64, Path)), responses(
    (status = 200, body = AlertWithHistory), (status = 404, body = Problem),
))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    _user: User,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Json<AlertWithHistory>, Problem> {
    let Path(id) = id?;
    let found = state.read(move |shared| shared.alert(AlertId(id))).await?;
    let (alert, steps) = found.ok_or_else(|| Problem::not_found("alert", &id.to_string()))?;
    let history = steps
        .into_iter()
        .map(|step| StepBody {
            at: step.at.to_string(),
            kind: step.kind.to_string(),
            who: step.who,
            severity: step.severity.to_string(),
            value: step.value,
            note: step.note,
        })
        .collect();
    let alert = AlertBody::new(&alert, &state.shared.directory.read());
    Ok(Json(AlertWithHistory { alert, history }))
}

/// Takes an alert on: somebody has seen it.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/acknowledge", tag = "alerts", params(("id" = u64, Path)), request_body = Option<Note>, responses(
    (status = 200, body = AlertBody), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn acknowledge(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    note: Result<Option<Json<Note>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    let Path(id) = id?;
    act(&state, user, id, Action::Acknowledge, note?).await
}

/// Adds a remark.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/comment", tag = "alerts", params(("id" = u64, Path)), request_body = Note, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn comment(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    note: Result<Json<Note>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    let Path(id) = id?;
    let note = note?;
    if note.note.as_deref().is_none_or(|text| text.trim().is_empty()) {
        return Err(Problem::bad_request("a remark needs a `note`"));
    }
    act(&state, user, id, Action::Comment, Some(note)).await
}

async fn act(
    state: &ApiState,
    user: User,
    id: u64,
    action: Action,
    note: Option<Json<Note>>,
) -> Result<Json<AlertBody>, Problem> {
    user.require("crew")?;
    let note = note
        .and_then(|Json(note)| note.note)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    if note.as_ref().is_some_and(|text| text.chars().count() > NOTE_CHARS_MAX) {
        return Err(Problem::bad_request(format!("a note has at most {NOTE_CHARS_MAX} characters")));
    }
    let action = AlertAction { alert: AlertId(id), action, who: user.name, note };
    let alert = state.command(|reply| Command::Alert(action, reply)).await?;
    Ok(Json(AlertBody::new(&alert, &state.shared.directory.read())))
}
