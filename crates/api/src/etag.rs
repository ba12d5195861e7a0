//! `ETag` for pages that poll: the body's digest, and 304 when the client has it already.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::error::Problem;

/// Lists are bounded by their page size; this is far above the largest.
const BODY_BYTES_MAX: usize = 32 << 20;

pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(error).into_response(),
    };
    let digest = Sha256::digest(&body);
    // Weak: compression may change the bytes on the way.
    let short = digest[..12].iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let tag = HeaderValue::from_str(&format!("W/\"{short:024x}\"")).expect("hex digits are a valid header");
    parts.headers.insert(header::ETAG, tag.clone());
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if known.is_some_and(|known| known == tag) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}
