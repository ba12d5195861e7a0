//! Messages: the channels that they go to, and what became of them.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use sanimon_store::{MessageState, OutboxMessage};
use sanimon_writer::{RetryMessage, TestChannel};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::User;
use crate::error::Problem;
use crate::state::ApiState;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// Where messages go.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelBody {
    name: String,
    /// `raised`, `worsened`, `cleared`, `dispatched`, `escalated`, `reopened`, `closed`, `changed`
    events: Vec<String>,
    /// This severity and worse ones.
    least: String,
    zones: Vec<String>,
    teams: Vec<String>,
}

/// The channels of the configuration.
#[utoipa::path(get, path = "/api/v1/channels", tag = "messages", responses((status = 200, body = Vec<ChannelBody>), (status = 401, body = Problem)))]
pub(crate) async fn channels(State(state): State<ApiState>) -> Json<Vec<ChannelBody>> {
    let operations = state.shared.standing.operations();
    let routes = operations.iter().flat_map(|operations| &operations.notification_rules);
    let body = routes.map(|route| ChannelBody {
        name: route.channel.clone(),
        events: route.events.iter().map(|event| event.as_str().to_owned()).collect(),
        least: route.min_severity.to_string(),
        zones: route.zones.iter().map(ToString::to_string).collect(),
        teams: route.teams.clone(),
    });
    Json(body.collect())
}

/// The number of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageNumber {
    id: i64,
}

/// Sends a channel a message that only says that it works. `/messages` tells what became of it.
#[utoipa::path(post, path = "/api/v1/channels/{name}/test", tag = "messages", params(("name" = String, Path)), responses(
    (status = 202, body = MessageNumber), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn test(
    State(state): State<ApiState>,
    user: User,
    name: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<MessageNumber>), Problem> {
    let Path(channel) = name?;
    let audit = state.audit(&user, "channel.test", &channel, &serde_json::json!({}));
    let id = state.change(audit, TestChannel { channel }).await?;
    Ok((StatusCode::ACCEPTED, Json(MessageNumber { id })))
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageQuery {
    /// `waiting`, `sent` or `dead`; left out: all
    state: Option<String>,
    /// From the page before.
    cursor: Option<i64>,
    /// 1 to 1000; 100 if left out.
    limit: Option<usize>,
}

/// A message and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageBody {
    id: i64,
    channel: String,
    /// Null: a test.
    alert: Option<u64>,
    event: String,
    /// When what it tells happened.
    at: String,
    severity: String,
    /// `waiting`, `sent` or `dead` (given up)
    state: String,
    attempts: u32,
    /// When it goes out, or is tried again.
    due_at: String,
    /// When it is given up.
    expires_at: String,
    /// Why it has not gone out. Of one that is `sent`: whom it did not reach, and why.
    error: Option<String>,
    done_at: Option<String>,
}

impl MessageBody {
    fn new(message: OutboxMessage) -> Self {
        Self {
            id: message.id,
            channel: message.channel,
            alert: message.alert.map(|alert| alert.0),
            event: message.event.as_str().to_owned(),
            at: message.at.to_string(),
            severity: message.severity.to_string(),
            state: message.state.as_str().to_owned(),
            attempts: message.attempts,
            due_at: message.due_at.to_string(),
            expires_at: message.expires_at.to_string(),
            error: message.error,
            done_at: message.done_at.map(|at| at.to_string()),
        }
    }
}

/// A page of messages, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessagePage {
    items: Vec<MessageBody>,
    next_cursor: Option<i64>,
    /// All that wait, and all that were given up.
    waiting: i64,
    dead: i64,
}

/// Messages and what became of them, the newest first.
#[utoipa::path(get, path = "/api/v1/messages", tag = "messages", params(MessageQuery), responses(
    (status = 200, body = MessagePage), (status = 400, body = Problem), (status = 401, body = Problem),
))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    query: Result<Query<MessageQuery>, QueryRejection>,
) -> Result<Json<MessagePage>, Problem> {
    let Query(query) = query?;
    let wanted = match query.state.as_deref() {
        None => None,
        Some(word) => Some(MessageState::parse(word).ok_or_else(|| {
            Problem::bad_request(format!("`state` is `{word}`: write waiting, sent or dead"))
        })?),
    };
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let page = state.read(move |shared| shared.messages(wanted, query.cursor, limit)).await?;
    let (waiting, dead) = state.read(sanimon_store::Shared::message_counts).await?;
    let items = page.items.into_iter().map(MessageBody::new).collect();
    Ok(Json(MessagePage { items, next_cursor: page.next_cursor, waiting, dead }))
}

/// Tries a message again that was given up.
#[utoipa::path(post, path = "/api/v1/messages/{id}/retry", tag = "messages", params(("id" = i64, Path)), responses(
    (status = 202), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn retry(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<i64>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    let audit = state.audit(&user, "message.retry", &id.to_string(), &serde_json::json!({}));
    state.change(audit, RetryMessage { id }).await?;
    Ok(StatusCode::ACCEPTED)
}
