//! HTTP: the JSON API under `/api/v1`, live events, sign-in, health and metrics.
//!
//! [`router`] takes an [`ApiState`] and gives an axum router; the caller adds the console and serves it. Reads are
//! snapshots of the store off the async threads; every change is a [`sanimon_writer::Command`] to the one writer.
//! [`openapi`] is the document that is checked in as `docs/openapi.json`.
//!
//! It does *not* know where messages come from, and it does not serve the console's files.

#![forbid(unsafe_code)]

mod access;
mod alerts;
mod cells;
mod credentials;
mod devices;
mod duties;
mod error;
mod etag;
mod events;
mod health;
mod limits;
mod measures;
mod messages;
mod mqtt;
mod openapi;
mod photos;
mod quarantine;
mod reports;
mod rounds;
mod rules;
mod setup;
mod signin;
mod site;
mod state;
mod telemetry;
mod trends;
mod windows;
mod wire;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use tower_http::compression::CompressionLayer;

pub use access::client::{OverTls, Reached};
pub use access::table::{ACCESS, Access, Scope, TokenScope};
pub use access::{ROLES, Role};
pub use credentials::provisioned;
pub use devices::table::{TableFault, read as read_device_table, write as write_device_table};
pub use devices::{EntryFault, KnownModels};
pub use error::Problem;
pub use limits::REQUESTS_PER_S;
pub use openapi::openapi;
pub use rules::rules_again;
pub use setup::source::{
    Checked, Edit, SetupDocument, SetupSource, StagedFile, Tried, TriedAlert, TriedRule,
};
pub use signin::oidc::{OIDC_CALLBACK_PATH, OidcOptions};
pub use signin::password::{hash_password, random_password, random_text, valid_account_name};
pub use site::{MAP_EXTRACT_PATH, MapBackground, MapSource, ModelInfo, Planner, SiteInfo};
pub use state::{ApiState, WriterPort};

use signin::{oidc, session, token};

/// A table of devices at most: a province's, at 100 bytes a line.
const TABLE_BYTES_MAX: usize = 128 << 20;

/// All routes but the console's.
pub fn router(state: ApiState) -> Router {
    let polled = Router::new()
        .route("/devices", get(devices::list))
        .route("/alerts", get(alerts::list::list))
        .route("/zones", get(site::zones))
        .layer(axum::middleware::from_fn(etag::layer));
    let api = Router::new()
        .route("/session", post(session::sign_in).delete(session::sign_out))
        .route("/session/oidc", get(oidc::leave))
        .route("/session/oidc/callback", get(oidc::come_back))
        .route("/me", get(session::me))
        .route("/site", get(site::site))
        .route("/metrics", get(site::metrics))
        .route("/metrics/{name}", delete(site::remove_metric))
        .route("/devices/{id}", get(devices::one).put(devices::change::put).delete(devices::change::retire))
        .route("/devices/import", post(devices::table::import).layer(DefaultBodyLimit::max(TABLE_BYTES_MAX)))
        .route("/devices/export", get(devices::table::export))
        .route("/devices/{id}/cleaned", post(devices::change::cleaned))
        .route("/devices/{id}/accept", post(devices::change::accept))
        .route("/devices/{id}/replace", post(devices::change::replace))
        .route(
            "/devices/{id}/calibrate",
            post(devices::change::calibrate).delete(devices::change::cancel_calibration),
        )
        .route("/devices/{id}/trust", get(devices::trust::trust))
        .route("/devices/{id}/forecast", get(devices::forecast::forecast))
        .route("/devices/{id}/rules", get(rules::of_device))
        .route("/rules", get(rules::in_force))
        .route("/rules/versions", get(rules::versions))
        .route("/rules/reload", post(rules::reload))
        .route("/maintenance", get(windows::list).post(windows::begin))
        .route("/maintenance/{id}", axum::routing::delete(windows::end))
        .route("/teams", get(duties::teams))
        .route("/channels", get(messages::channels))
        .route("/channels/{name}/test", post(messages::test))
        .route("/messages", get(messages::list))
        .route("/messages/{id}/retry", post(messages::retry))
        .route("/models", get(site::models))
        .route("/devices/{id}/latest", get(devices::latest))
        .route("/devices/{id}/telemetry", get(telemetry::telemetry))
        .route("/reports/{id}/photo", get(reports::photo_of))
        .route("/places/codes", post(reports::make_codes))
        .route("/places/signs", get(reports::signs))
        .route("/measures", get(measures::measures))
        .route("/trends", get(trends::trends))
        .route("/quarantine", get(quarantine::list))
        .route("/stats", get(quarantine::stats))
        .route("/mqtt/limits", get(mqtt::limits))
        .route("/events", get(events::events))
        .merge(setup_routes())
        .merge(alert_routes())
        .merge(polled)
        .fallback(error::no_such_endpoint)
        .method_not_allowed_fallback(error::no_such_method);
    Router::new()
        .nest("/api/v1", api)
        .nest("/r", public_routes())
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/{*rest}", axum::routing::any(error::no_such_endpoint))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        // Beneath the routes, so that it knows which one a request is for.
        .route_layer(axum::middleware::from_fn_with_state(state.clone(), access::guard::layer))
        .layer(CompressionLayer::new())
        .with_state(state)
}

/// One alert and what is done with it.
fn alert_routes() -> Router<ApiState> {
    Router::new()
        .route("/alerts/counts", get(alerts::list::counts))
        .route("/alerts/{id}", get(alerts::one))
        .route("/alerts/{id}/reports", get(reports::of_alert))
        .route(
            "/alerts/{id}/photos",
            get(photos::list).post(photos::add).layer(DefaultBodyLimit::max(photos::PHOTO_BYTES_MAX)),
        )
        .route("/alerts/{id}/photos/{photo}", get(photos::one))
        .route("/alerts/{id}/acknowledge", post(alerts::acknowledge))
        .route("/alerts/{id}/dispatch", post(alerts::dispatch))
        .route("/alerts/{id}/arrive", post(alerts::arrive))
        .route("/alerts/{id}/handle", post(alerts::handle))
        .route("/alerts/{id}/verify", post(alerts::verify))
        .route("/alerts/{id}/reopen", post(alerts::reopen))
        .route("/alerts/{id}/dismiss", post(alerts::dismiss))
        .route("/alerts/{id}/comment", post(alerts::comment))
}

/// What people set up and plan.
fn setup_routes() -> Router<ApiState> {
    Router::new()
        .route("/setup/rules/try", post(setup::try_rules))
        .route("/setup/{document}", get(setup::read).put(setup::save))
        .route("/setup/{document}/draft", post(setup::draft))
        .route("/users", get(setup::users::list))
        .route("/users/{name}", axum::routing::put(setup::users::put).delete(setup::users::remove))
        .route("/me/password", post(setup::users::change_password))
        .route("/tokens", get(token::list).post(token::make))
        .route("/tokens/{id}", axum::routing::delete(token::revoke))
        .route("/credentials", get(credentials::list).post(credentials::make))
        .route(
            "/credentials/provision",
            post(credentials::provision).layer(DefaultBodyLimit::max(TABLE_BYTES_MAX)),
        )
        .route("/credentials/{id}", axum::routing::delete(credentials::revoke))
        .route("/audit", get(setup::audit::list))
        .route("/vehicles", get(rounds::vehicles))
        .route("/rounds", get(rounds::list).post(rounds::make))
        .route("/rounds/plan", post(rounds::plan::plan))
        .route("/rounds/{id}", get(rounds::one).delete(rounds::end))
        .route("/rounds/{id}/export", get(rounds::export::export))
        .route("/rounds/{id}/stops/{n}", post(rounds::mark))
}

/// For residents: no account.
fn public_routes() -> Router<ApiState> {
    Router::new()
        .route("/page.css", get(reports::style))
        .route("/{code}", get(reports::form).post(reports::submit))
        .route("/{code}/{token}", get(reports::state_of))
        .route("/{code}/{token}/rate", post(reports::rate))
        .layer(DefaultBodyLimit::max(reports::FORM_BYTES_MAX))
}

#[cfg(test)]
mod tests;
