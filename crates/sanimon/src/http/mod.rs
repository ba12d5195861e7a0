//! HTTP: the API, the console's files for everything else, and the headers that keep browsers careful. [`server`]
//! serves them.

mod server;

pub(crate) use server::Server;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sanimon_api::{MAP_EXTRACT_PATH, MapBackground, OverTls};
use tokio::net::TcpListener;
use tower_http::services::ServeFile;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

/// Everything from here only, and no script or style in the page itself. Pictures that the page makes are blobs. Online tiles are
/// added when they are configured.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{tiles}; \
                   connect-src 'self'{tiles}; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
                   form-action 'self'; frame-ancestors 'none'";

/// A plan of a round or a large import takes some time; more is a fault.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);
/// The longest rest within a request's body.
const BODY_REST_MAX: Duration = Duration::from_secs(20);

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
    let site = api.fallback(move |request: Request| {
        let csp = csp.clone();
        async move { console(&request, csp) }
    });
    site.layer(RequestBodyTimeoutLayer::new(BODY_REST_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, ANSWER_WITHIN))
        .layer(axum::middleware::from_fn(careful))
}

/// Headers that keep browsers careful, where an answer does not have its own.
async fn careful(request: Request, next: Next) -> Response {
    let is_over_tls = request.extensions().get::<OverTls>().is_some();
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::REFERRER_POLICY, "same-origin");
    // What is no page loads nothing, should a browser take it for one.
    add(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox");
    add(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    add(
        HeaderName::from_static("permissions-policy"),
        "camera=(self), geolocation=(self), microphone=(), payment=(), usb=()",
    );
    if is_api {
        add(header::CACHE_CONTROL, "no-store");
    }
    if is_over_tls {
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
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
        // A service worker is bound by the policy that its script came with.
        let policy = (header::CONTENT_SECURITY_POLICY, csp);
        let headers = [(header::CONTENT_TYPE, file.mime), (header::CACHE_CONTROL, keep)];
        return ([policy], headers, file.bytes).into_response();
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
