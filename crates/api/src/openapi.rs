//! The OpenAPI document, from the code.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, Ref, RefOr, Response};

use crate::error::Problem;
use crate::{
    alerts, credentials, devices, duties, events, health, measures, messages, mqtt, photos, quarantine,
    reports, rounds, rules, setup,
    signin::{oidc, session, token},
    site, telemetry, trends, windows,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "sanimon",
        description = "A town's sanitation monitor. Sign in with POST /api/v1/session; the session is a cookie. \
                       Errors are RFC 9457 problem details. Times are RFC 3339 in UTC.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        session::sign_in,
        session::sign_out,
        session::me,
        oidc::leave,
        oidc::come_back,
        token::list,
        token::make,
        token::revoke,
        credentials::list,
        credentials::make,
        credentials::provision,
        credentials::revoke,
        site::site,
        site::zones,
        site::metrics,
        site::remove_metric,
        devices::list,
        devices::one,
        devices::change::put,
        devices::change::retire,
        devices::change::accept,
        devices::change::replace,
        devices::change::calibrate,
        devices::change::cancel_calibration,
        devices::change::cleaned,
        devices::trust::trust,
        devices::table::import,
        devices::table::export,
        site::models,
        devices::latest,
        devices::forecast::forecast,
        telemetry::telemetry,
        trends::trends,
        measures::measures,
        alerts::list::list,
        alerts::list::counts,
        alerts::one,
        alerts::acknowledge,
        alerts::dispatch,
        alerts::arrive,
        alerts::handle,
        alerts::verify,
        alerts::reopen,
        alerts::dismiss,
        alerts::comment,
        rules::of_device,
        rules::in_force,
        rules::versions,
        rules::reload,
        photos::list,
        photos::add,
        photos::one,
        rounds::vehicles,
        rounds::list,
        rounds::one,
        rounds::plan::plan,
        rounds::make,
        rounds::mark,
        rounds::end,
        rounds::export::export,
        setup::read,
        setup::draft,
        setup::save,
        setup::try_rules,
        setup::users::list,
        setup::users::put,
        setup::users::remove,
        setup::users::change_password,
        setup::audit::list,
        windows::list,
        windows::begin,
        windows::end,
        duties::teams,
        messages::channels,
        messages::test,
        messages::list,
        messages::retry,
        reports::of_alert,
        reports::photo_of,
        reports::make_codes,
        reports::signs::signs,
        quarantine::list,
        quarantine::stats,
        mqtt::limits,
        events::events,
        health::healthz,
        health::readyz,
        health::metrics,
    ),
    components(schemas(Problem, events::Change))
)]
struct Document;

/// The document, each operation with a name of its own: handlers are named within their modules, so several are a `list`.
fn described() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    for (path, item) in &mut document.paths.paths {
        let words: Vec<&str> = path
            .trim_start_matches("/api/v1")
            .split(['/', '{', '}'])
            .filter(|word| !word.is_empty())
            .collect();
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                let root = if path.starts_with("/api/v1") { "" } else { "root_" };
                operation.operation_id = Some(format!("{root}{method}_{}", words.join("_")));
                if path.starts_with("/api/v1") {
                    tell_refusals(operation);
                }
            }
        }
    }
    document
}

/// What every endpoint may answer, and that each refusal is a problem of its own content type.
fn tell_refusals(operation: &mut Operation) {
    let mut refusals = vec![
        ("400", "What was sent cannot be understood"),
        ("401", "Nobody is signed in"),
        ("403", "The role, the zone or the token does not suffice, or a page of another site asked"),
        ("404", "There is none, or it is in another zone"),
        ("421", "The site does not answer to this host's name"),
        ("429", "Too many requests from this address; see `Retry-After`"),
        ("503", "The store cannot be read or written now, or sanimon is stopping"),
    ];
    if operation.request_body.is_some() {
        refusals.extend([
            ("413", "The body is too large"),
            ("415", "The body is not of the content type that is expected"),
            ("422", "The body is JSON, but not what is expected"),
        ]);
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in refusals {
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::new(description)));
    }
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && !response.content.contains_key(PROBLEM) {
            let schema = Ref::from_schema_name("Problem");
            response.content.clear();
            response.content.insert(PROBLEM.to_owned(), RefOr::T(Content::new(Some(schema))));
        }
    }
}

/// RFC 9457.
const PROBLEM: &str = "application/problem+json";

/// The document as pretty JSON, as it is checked in.
pub fn openapi() -> String {
    let mut json = described().to_pretty_json().expect("the document is plain data");
    json.push('\n');
    json
}

pub(crate) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(described())
}
