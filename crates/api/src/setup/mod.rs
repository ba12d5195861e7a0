//! Set up: rules, zones and teams as documents that are drafted, tried and saved; people; who changed what.

pub(crate) mod audit;
mod saving;
pub(crate) mod source;
pub(crate) mod users;

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sanimon_alerting::RuleSet;
use sanimon_domain::time::HOUR_MS;
use sanimon_store::Zone;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::access::User;
use crate::devices::table::TableFault;
use crate::error::Problem;
use crate::state::ApiState;
use source::{Checked, Edit, SetupDocument, Tried};

/// A document is a page or ten of text.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// A week of a town's history is tried in some seconds.
const TRY_HOURS_MAX: i64 = 24 * 31;
const TRY_HOURS_DEFAULT: i64 = 24;

/// A document as it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentBody {
    /// TOML
    text: String,
    /// Names this text: who saves says which one was changed.
    version: String,
    /// What the text says.
    #[schema(value_type = Object)]
    entries: serde_json::Value,
    faults: Vec<TableFault>,
}

/// A draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    text: String,
    #[serde(default)]
    edits: Vec<Edit>,
}

/// A document to be saved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    text: String,
    /// Which text was changed: if somebody was quicker, the answer is 409 and nothing is changed.
    version: String,
}

/// A draft of rules to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    text: String,
    /// How much history; 24 if left out, 744 at most.
    hours: Option<i64>,
}

fn document(name: &str) -> Result<SetupDocument, Problem> {
    SetupDocument::parse(name).ok_or_else(|| Problem::not_found("document (rules, zones or teams)", name))
}

fn version(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn current(state: &ApiState, document: SetupDocument) -> Result<String, Problem> {
    // What was saved and is not in its file yet is what is in force.
    let saved = state.shared.document(document.as_str())?.filter(|saved| !saved.is_in_file);
    if let Some(saved) = saved {
        return Ok(saved.text);
    }
    let zones: Vec<Arc<Zone>> = state.shared.directory.read().zones().to_vec();
    state.site.setup.text(document, &zones).map_err(|why| Problem::new(StatusCode::CONFLICT, why))
}

fn described(state: &ApiState, document: SetupDocument, text: String) -> DocumentBody {
    let faults = state.site.setup.check(document, &text).err().unwrap_or_default();
    DocumentBody { version: version(&text), entries: state.site.setup.entries(&text), faults, text }
}

fn refuse(faults: Vec<TableFault>) -> Problem {
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Problem { faults, ..Problem::bad_request(told.join("\n")) }
}

fn bounded(text: &str) -> Result<(), Problem> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Problem::bad_request(format!("a document has at most {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Rules, zones or teams: the text, and what it says.
#[utoipa::path(get, path = "/api/v1/setup/{document}", tag = "set up", params(("document" = String, Path, description = "`rules`, `zones`, `teams`")), responses(
    (status = 200, body = DocumentBody), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn read(
    State(state): State<ApiState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<DocumentBody>, Problem> {
    let document = document(&name?.0)?;
    Ok(Json(described(&state, document, current(&state, document)?)))
}

/// Changes a draft and says what is wrong with it. Nothing is saved.
#[utoipa::path(post, path = "/api/v1/setup/{document}/draft", tag = "set up", params(("document" = String, Path)), request_body = Draft, responses(
    (status = 200, body = DocumentBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn draft(
    State(state): State<ApiState>,
    name: Result<Path<String>, PathRejection>,
    body: Result<Json<Draft>, JsonRejection>,
) -> Result<Json<DocumentBody>, Problem> {
    let document = document(&name?.0)?;
    let Json(draft) = body?;
    bounded(&draft.text)?;
    let text = state.site.setup.edit(&draft.text, &draft.edits).map_err(Problem::bad_request)?;
    Ok(Json(described(&state, document, text)))
}

/// Saves a document and puts it in force. A faulty one is refused whole; what is in force stays.
#[utoipa::path(put, path = "/api/v1/setup/{document}", tag = "set up", params(("document" = String, Path)), request_body = Saved, responses(
    (status = 200, body = DocumentBody), (status = 400, body = Problem, description = "Every fault with its line"),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem, description = "Somebody else changed it, or the file cannot be written"),
))]
pub(crate) async fn save(
    State(state): State<ApiState>,
    user: User,
    name: Result<Path<String>, PathRejection>,
    body: Result<Json<Saved>, JsonRejection>,
) -> Result<Json<DocumentBody>, Problem> {
    let document = document(&name?.0)?;
    let Json(saved) = body?;
    bounded(&saved.text)?;
    let text = saving::save(state.clone(), user, document, saved).await?;
    Ok(Json(described(&state, document, text)))
}

/// Runs a draft of the rules over real history, beside the rules in force: what more it would have raised, and what not.
#[utoipa::path(post, path = "/api/v1/setup/rules/try", tag = "set up", request_body = Trial, responses(
    (status = 200, body = Tried), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 429, body = Problem, description = "Another draft is being tried"),
))]
pub(crate) async fn try_rules(
    State(state): State<ApiState>,
    body: Result<Json<Trial>, JsonRejection>,
) -> Result<Json<Tried>, Problem> {
    let Json(trial) = body?;
    bounded(&trial.text)?;
    let hours = trial.hours.unwrap_or(TRY_HOURS_DEFAULT);
    if !(1..=TRY_HOURS_MAX).contains(&hours) {
        return Err(Problem::bad_request(format!("`hours` is between 1 and {TRY_HOURS_MAX}")));
    }
    let Checked::Rules(rules) = state.site.setup.check(SetupDocument::Rules, &trial.text).map_err(refuse)?
    else {
        return Err(Problem::internal("a text of rules was read as something else"));
    };
    let busy = || Problem::new(StatusCode::TOO_MANY_REQUESTS, "another draft is being tried: wait a moment");
    let permit = state.trials.clone().try_acquire_owned().map_err(|_| busy())?;
    let (now, in_force) = (state.now(), state.shared.standing.rules());
    let (shared, setup) = (state.shared.clone(), state.site.setup.clone());
    let tried = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let both: [Arc<RuleSet>; 2] = [in_force, Arc::new(rules.rules)];
        setup.try_rules(&shared, both, (now.minus_ms(hours * HOUR_MS), now))
    });
    let tried = tried.await.map_err(Problem::internal)?;
    tried.map(Json).map_err(Problem::internal)
}
