//! Sheets of signs to print: a QR code for each place.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use sanimon_domain::DeviceKind;
use sanimon_store::Place;
use serde::Deserialize;
use utoipa::IntoParams;

use super::page::escape;
use super::place_words;
use crate::error::Problem;
use crate::state::ApiState;

/// Which signs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SignQuery {
    /// `bin`, `drain` or `toilet`; left out: all places that have a code.
    kind: Option<String>,
    /// A zone's id.
    zone: Option<String>,
}

/// A page of signs to print and cut: place, QR code, and the address in words. Places get their codes by
/// `POST /api/v1/places/codes`.
#[utoipa::path(get, path = "/api/v1/places/signs", tag = "reports", params(SignQuery), responses(
    (status = 200, description = "text/html"), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn signs(
    State(state): State<ApiState>,
    headers: HeaderMap,
    query: Result<Query<SignQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let kind = match query.kind.as_deref() {
        None => None,
        Some(word) => Some(
            DeviceKind::parse(word).ok_or_else(|| Problem::bad_request(format!("`{word}` is no kind")))?,
        ),
    };
    let codes = state.read(sanimon_store::Shared::place_codes).await?;
    let base = base_url(&state, &headers);
    let mut body = String::new();
    for code in codes {
        let words = place_words(&state, &code.place);
        let zone = match &code.place {
            Place::Zone(zone) => Some(zone.clone()),
            Place::Device(device) => {
                state.shared.directory.read().device(*device).and_then(|device| device.zone.clone())
            }
        };
        let is_wanted = kind.is_none_or(|kind| words.kind == Some(kind))
            && query
                .zone
                .as_deref()
                .is_none_or(|wanted| zone.as_ref().is_some_and(|zone| zone.as_str() == wanted));
        if is_wanted {
            body.push_str(&sign(&format!("{base}/r/{}", code.code), &words.name)?);
        }
    }
    let html = format!(
        "<!doctype html><html lang=\"zh\"><meta charset=\"utf-8\"><title>{site}</title>\
         <link rel=\"stylesheet\" href=\"/r/page.css\"><body class=\"signs\">{body}</body></html>",
        site = escape(&state.site.name)
    );
    let policy =
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";
    let headers = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))];
    Ok((headers, Html(html)).into_response())
}

/// The console's address of the configuration, or the one by which this page was asked for.
fn base_url(state: &ApiState, headers: &HeaderMap) -> String {
    if let Some(url) = &state.site.url {
        return url.clone();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".:-[]".contains(*c)).collect();
    format!("http://{host}")
}

fn sign(url: &str, name: &[String; 2]) -> Result<String, Problem> {
    let code = QrCode::with_error_correction_level(url, EcLevel::M).map_err(Problem::internal)?;
    let picture = code.render::<svg::Color<'_>>().min_dimensions(180, 180).build();
    // The picture alone, without what belongs at the beginning of a file.
    let picture = picture.find("<svg").map_or(picture.as_str(), |start| &picture[start..]);
    Ok(format!(
        "<section class=\"sign\">{picture}<h2>{}</h2><h3>{}</h3><p>有问题？扫码告诉我们<br>Something wrong? Scan and tell us</p><small>{}</small></section>",
        escape(&name[1]),
        escape(&name[0]),
        escape(url)
    ))
}
