//! Who changed what.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::Problem;
use crate::state::ApiState;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// From the page before.
    cursor: Option<i64>,
    /// 1 to 1000; 100 if left out.
    limit: Option<usize>,
}

/// An entry: it is never rewritten.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditBody {
    id: i64,
    at: String,
    who: String,
    /// `device.put`, `rules.save`, `user.remove`, ...
    what: String,
    /// The id of what was changed; empty: the site.
    about: String,
    #[schema(value_type = Object)]
    detail: serde_json::Value,
}

/// A page of the log, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    items: Vec<AuditBody>,
    next_cursor: Option<i64>,
}

/// Who changed what. Steps of alerts stand in their own histories.
#[utoipa::path(get, path = "/api/v1/audit", tag = "set up", params(AuditQuery), responses(
    (status = 200, body = AuditPage), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<AuditPage>, Problem> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let page = state.read(move |shared| shared.audit(query.cursor, limit)).await?;
    let items = page.items.into_iter().map(|entry| AuditBody {
        id: entry.id,
        at: entry.at.to_string(),
        who: entry.who,
        what: entry.what,
        about: entry.about,
        detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
    });
    Ok(Json(AuditPage { items: items.collect(), next_cursor: page.next_cursor }))
}
