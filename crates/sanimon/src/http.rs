//! The HTTP server: the API, and the console's files for everything else.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sanimon_api::{MAP_EXTRACT_PATH, MapBackground};
use tokio::net::TcpListener;
use tower_http::services::ServeFile;

/// Everything from here only, and no script or style in the page itself. Pictures that the page makes are blobs. Online tiles are
/// added when they are configured.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{tiles}; \
                   connect-src 'self'{tiles}; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
                   form-action 'self'; frame-ancestors 'none'";

/// Binds the address; the error says what to do.
pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen for HTTP on {address}: choose another address with --http or [http] listen")
    })
}

/// The API's router with the console behind it.
pub(crate) fn with_console(api: Router, map: Option<MapBackground>) -> Router {
    let (tiles_url, api) = match map {
        Some(MapBackground::Tiles(url)) => (Some(url), api),
        // Parts of it are asked for by their range.
        Some(MapBackground::Extract(path)) => {
            (None, api.route_service(MAP_EXTRACT_PATH, ServeFile::new(path)))
        }
        None => (None, api),
    };
    // Only the origin belongs into the policy.
    let origin = tiles_url.and_then(|url| {
        let (scheme, rest) = url.split_once("://")?;
        Some(format!(" {scheme}://{}", rest.split('/').next()?))
    });
    let csp = CSP.replace("{tiles}", &origin.unwrap_or_default());
    let csp = HeaderValue::from_str(&csp).unwrap_or_else(|_| HeaderValue::from_static("default-src 'self'"));
    api.fallback(move |request: Request| {
        let csp = csp.clone();
        async move { console(&request, csp) }
    })
}

fn console(request: &Request, csp: HeaderValue) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    if let Some(file) = sanimon_console::file(path).filter(|_| path != "index.html" && !path.is_empty()) {
        // Hashed names never change their content.
        let keep =
            if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        return ([(header::CONTENT_TYPE, file.mime), (header::CACHE_CONTROL, keep)], file.bytes)
            .into_response();
    }
    // A file that is not there is not a page; everything else is the console's own route.
    if path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let page = sanimon_console::page();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, csp),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (headers, page).into_response()
}
