//! Errors as RFC 9457 problem details. What is internal is logged, not told.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sanimon_operations::lifecycle::NotAllowed;
use sanimon_store::{Class, StoreError};
use sanimon_writer::Refusal;
use serde::Serialize;
use utoipa::ToSchema;

use crate::devices::table::TableFault;

/// One error type for all handlers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem, in short.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What was found, what was expected, what to do.
    pub detail: String,
    /// The steps that are possible, where one was not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Every fault of a table that was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<TableFault>,
    /// For the header `Retry-After`.
    #[serde(skip)]
    pub(crate) retry_after_s: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self {
            title,
            status: status.as_u16(),
            detail: detail.into(),
            allowed: Vec::new(),
            faults: Vec::new(),
            retry_after_s: None,
        }
    }

    /// When it makes sense to try again.
    pub(crate) fn after_s(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} `{id}`"))
    }

    fn store_unavailable() -> Self {
        let detail = "the store cannot be written or read now; /readyz says why";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// For what only the log should know.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something failed inside; the log says what")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Influx { .. }) {
            tracing::warn!(%error, "InfluxDB did not answer");
            let detail = format!(
                "{error}. Readings go on being stored; those that InfluxDB keeps can be read when it is back"
            );
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        }
        if error.class() == Class::Passing {
            tracing::error!(%error, "store not available");
            return Self::store_unavailable();
        }
        Self::internal(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAllowed(not_allowed) => {
                let allowed = not_allowed.allowed().iter().map(|action| action.as_str().to_owned()).collect();
                let status = match not_allowed {
                    NotAllowed::Incomplete { .. } => StatusCode::BAD_REQUEST,
                    _ => StatusCode::CONFLICT,
                };
                Self { allowed, ..Self::new(status, not_allowed.to_string()) }
            }
            Refusal::NotFound { what, id } => Self::not_found(what, &id),
            Refusal::HardwareTaken { .. } | Refusal::Conflict(_) => {
                Self::new(StatusCode::CONFLICT, refusal.to_string())
            }
            Refusal::Unavailable(_) => Self::store_unavailable(),
            Refusal::Failed(why) => Self::internal(why),
            Refusal::Unsure(_) | Refusal::Stopping => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, refusal.to_string())
            }
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_s = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

pub(crate) async fn no_such_endpoint() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such endpoint; /api/openapi.json lists them all")
}

pub(crate) async fn no_such_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this endpoint does not take this method; see /api/openapi.json",
    )
}
