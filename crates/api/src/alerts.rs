//! Alerts: the list ([`list`]), one with its history, and the steps that people take.

pub(crate) mod list;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use sanimon_domain::{AlertId, DeviceId, Handling};
use sanimon_operations::lifecycle::{self, Action, Role};
use sanimon_writer::TakeStep;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::User;
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::AlertBody;

/// A remark's length in characters.
const NOTE_CHARS_MAX: usize = 2_000;
const ASSIGNEE_CHARS_MAX: usize = 64;

/// An entry of an alert's history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StepBody {
    at: String,
    /// `raised`, `severity_changed`, `cleared`, `replaced`, `acknowledged`, `dispatched`, `arrived`, `handled`, `verified`,
    /// `reopened`, `dismissed`, `escalated` (the note says which deadline was missed), `reported`, `commented`
    kind: String,
    /// Null: the engine.
    who: Option<String>,
    severity: String,
    value: Option<f64>,
    note: Option<String>,
    /// To whom the step gave it.
    assignee: Option<String>,
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
pub(crate) struct StepEntry {
    /// Why, or what. `reopen`, `dismiss`, `comment` and handing over need it.
    note: Option<String>,
    /// A team or a person. `dispatch` needs it.
    assignee: Option<String>,
    /// The handling that the person saw: if somebody was quicker, the answer is 409 and nothing is changed.
    seen: Option<String>,
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
            assignee: step.assignee,
        })
        .collect();
    let alert = AlertBody::new(&alert, &state.shared.directory.read());
    Ok(Json(AlertWithHistory { alert, history }))
}

/// Takes an alert on: somebody has seen it.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/acknowledge", tag = "alerts", params(("id" = u64, Path)), request_body = Option<StepEntry>, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn acknowledge(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    act(&state, user, id, Action::Acknowledge, entry).await
}

/// Sends somebody; from `dispatched`, hands it over with a reason.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/dispatch", tag = "alerts", params(("id" = u64, Path)), request_body = Option<StepEntry>, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn dispatch(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    act(&state, user, id, Action::Dispatch, entry).await
}

/// Somebody is on site.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/arrive", tag = "alerts", params(("id" = u64, Path)), request_body = Option<StepEntry>, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn arrive(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    act(&state, user, id, Action::Arrive, entry).await
}

/// It is done. If the sensor says so, too, it is verified by that.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/handle", tag = "alerts", params(("id" = u64, Path)), request_body = Option<StepEntry>, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn handle(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    act(&state, user, id, Action::Handle, entry).await
}

/// Somebody else has looked: it is done.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/verify", tag = "alerts", params(("id" = u64, Path)), request_body = Option<StepEntry>, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn verify(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    act(&state, user, id, Action::Verify, entry).await
}

/// It is not done, or came back. Needs a note.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/reopen", tag = "alerts", params(("id" = u64, Path)), request_body = Option<StepEntry>, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn reopen(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    act(&state, user, id, Action::Reopen, entry).await
}

/// It is no case. Needs a note.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/dismiss", tag = "alerts", params(("id" = u64, Path)), request_body = Option<StepEntry>, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn dismiss(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    act(&state, user, id, Action::Dismiss, entry).await
}

/// Adds a remark.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/comment", tag = "alerts", params(("id" = u64, Path)), request_body = Option<StepEntry>, responses(
    (status = 200, body = AlertBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "Not allowed from here; `allowed` says what is", body = Problem),
))]
pub(crate) async fn comment(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    act(&state, user, id, Action::Comment, entry).await
}

async fn act(
    state: &ApiState,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    action: Action,
    entry: Result<Option<Json<StepEntry>>, JsonRejection>,
) -> Result<Json<AlertBody>, Problem> {
    let Path(id) = id?;
    let StepEntry { note, assignee, seen } = entry?.map(|Json(entry)| entry).unwrap_or_default();
    user.require(needed_role(state, id, action).await?.into())?;
    let seen = match seen.as_deref() {
        None => None,
        Some(word) => Some(
            Handling::parse(word)
                .ok_or_else(|| Problem::bad_request(format!("`seen` is `{word}`, which is no handling")))?,
        ),
    };
    let step = TakeStep {
        note: said(note, "note", NOTE_CHARS_MAX)?,
        assignee: said(assignee, "assignee", ASSIGNEE_CHARS_MAX)?,
        seen,
        ..TakeStep::new(AlertId(id), action)
    };
    let audit = state.audit(&user, audit_word(action), &id.to_string(), &serde_json::json!({}));
    let alert = state.change(audit, step).await?;
    Ok(Json(AlertBody::new(&alert, &state.shared.directory.read())))
}

const fn audit_word(action: Action) -> &'static str {
    match action {
        Action::Acknowledge => "alert.acknowledge",
        Action::Dispatch => "alert.dispatch",
        Action::Arrive => "alert.arrive",
        Action::Handle => "alert.handle",
        Action::Verify => "alert.verify",
        Action::Reopen => "alert.reopen",
        Action::Dismiss => "alert.dismiss",
        Action::Comment => "alert.comment",
    }
}

/// The role that the table asks for from where the alert is; for a step that is not possible there, the lowest that ever
/// takes it, so that the answer says what is possible.
async fn needed_role(state: &ApiState, id: u64, action: Action) -> Result<Role, Problem> {
    let found = state.read(move |shared| shared.alert(AlertId(id))).await?;
    let row = found.and_then(|(alert, _)| lifecycle::find(alert.handling, action));
    Ok(row.map_or_else(|| action.role(), |row| row.role))
}

/// A text that somebody wrote; blanks are nothing.
pub(crate) fn said(text: Option<String>, name: &str, chars_max: usize) -> Result<Option<String>, Problem> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > chars_max) {
        return Err(Problem::bad_request(format!("`{name}` has at most {chars_max} characters")));
    }
    Ok(text)
}
