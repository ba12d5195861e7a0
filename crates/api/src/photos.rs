//! Photos that crews add to an alert: how it was found, what was done.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sanimon_domain::AlertId;
use sanimon_store::NewPhoto;
use sanimon_writer::AddPhoto;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::User;
use crate::error::Problem;
use crate::reports::clean_photo;
use crate::state::ApiState;

/// A phone's photo.
pub(crate) const PHOTO_BYTES_MAX: usize = 16 << 20;
/// Photos of an alert at most.
const PHOTOS_MAX: usize = 20;

/// A photo.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhotoBody {
    id: i64,
    at: String,
    who: String,
    /// Where it is.
    photo: String,
}

/// The photos of an alert, the oldest first.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/photos", tag = "alerts", params(("id" = u64, Path)), responses(
    (status = 200, body = Vec<PhotoBody>), (status = 401, body = Problem),
))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Json<Vec<PhotoBody>>, Problem> {
    let Path(alert) = id?;
    let photos = state.read(move |shared| shared.photos_of(AlertId(alert))).await?;
    let body = photos.into_iter().map(|photo| PhotoBody {
        id: photo.id,
        at: photo.at.to_string(),
        who: photo.who,
        photo: format!("/api/v1/alerts/{alert}/photos/{}", photo.id),
    });
    Ok(Json(body.collect()))
}

/// Adds a photo: JPEG, PNG or what else a browser's camera gives. It is encoded anew, without what the phone wrote into it.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/photos", tag = "alerts", params(("id" = u64, Path)), request_body(content = String, content_type = "image/jpeg"), responses(
    (status = 201, description = "Added"), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn add(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
    photo: Bytes,
) -> Result<StatusCode, Problem> {
    let Path(alert) = id?;
    let alert = AlertId(alert);
    let known = state.read(move |shared| shared.photos_of(alert)).await?;
    if known.len() >= PHOTOS_MAX {
        return Err(Problem::bad_request(format!("an alert has at most {PHOTOS_MAX} photos")));
    }
    let cleaned = clean_photo(photo.into()).await;
    let photo =
        cleaned.ok_or_else(|| Problem::bad_request("this is no photo that can be read: send JPEG or PNG"))?;
    let audit = state.audit(&user, "photo.add", &alert.0.to_string(), &serde_json::json!({}));
    let new = NewPhoto { alert, who: user.name, photo };
    state.change(audit, AddPhoto(new)).await?;
    Ok(StatusCode::CREATED)
}

/// A photo, as JPEG.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/photos/{photo}", tag = "alerts", params(("id" = u64, Path), ("photo" = i64, Path)), responses(
    (status = 200, description = "image/jpeg"), (status = 401, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    path: Result<Path<(u64, i64)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((alert, id)) = path?;
    let photo = state.read(move |shared| shared.photo(AlertId(alert), id)).await?;
    let photo = photo.ok_or_else(|| Problem::not_found("photo", &id.to_string()))?;
    Ok(jpeg(photo))
}

/// A photo that no cache keeps.
pub(crate) fn jpeg(photo: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "private, no-store")], photo)
        .into_response()
}
