//! Every endpoint, the role that it needs and what a zone has to do with it. An endpoint that does not stand here is
//! refused; the tests walk the whole table with each role, with another zone, and without a session.

use super::Role;

/// What a zone has to do with an endpoint, for accounts that are limited to some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Free,
    /// The answer holds only what is in the account's zones, or the handler judges what is asked for.
    Filtered,
    /// `{id}` is a device: one of another zone does not exist.
    Device,
    /// `{id}` is an alert: one of another zone does not exist.
    Alert,
    /// `{id}` is a resident's report: likewise.
    Report,
    /// `{id}` is a round: one that stops in no zone of the account does not exist.
    Round,
    /// `{id}` is a maintenance window: likewise.
    Window,
    /// Only accounts of the whole site.
    Site,
}

/// Which right of a token an endpoint needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    Read,
    Alerts,
    Devices,
    Setup,
    /// No token may.
    Never,
}

/// The scopes that a token can have, with what they stand for.
pub(crate) const TOKEN_SCOPES: [&str; 4] = ["read", "alerts", "devices", "setup"];

impl TokenScope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Alerts => "alerts",
            Self::Devices => "devices",
            Self::Setup => "setup",
            Self::Never => "",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    pub method: &'static str,
    /// As axum matches it.
    pub path: &'static str,
    /// `None`: everybody, without a session.
    pub role: Option<Role>,
    pub scope: Scope,
    pub token: TokenScope,
}

const fn row(
    method: &'static str,
    path: &'static str,
    role: Role,
    scope: Scope,
    token: TokenScope,
) -> Access {
    Access { method, path, role: Some(role), scope, token }
}

const fn open(method: &'static str, path: &'static str) -> Access {
    Access { method, path, role: None, scope: Scope::Free, token: TokenScope::Never }
}

use Role::{Admin, Crew, Dispatcher, Manager, Viewer};
use Scope::{Alert, Device, Filtered, Free, Report, Round, Site, Window};
use TokenScope::{Alerts, Devices, Never, Read, Setup};

/// The table. Steps on alerts need the role of `lifecycle::STEPS` beside the one that stands here.
#[rustfmt::skip]
pub const ACCESS: &[Access] = &[
    open("GET", "/healthz"),
    open("GET", "/readyz"),
    open("GET", "/metrics"),
    open("GET", "/api/openapi.json"),
    open("GET", "/r/page.css"),
    open("GET", "/r/{code}"),
    open("POST", "/r/{code}"),
    open("GET", "/r/{code}/{token}"),
    open("POST", "/r/{code}/{token}/rate"),
    open("GET", "/api/v1/site"),
    open("POST", "/api/v1/session"),
    open("GET", "/api/v1/session/oidc"),
    open("GET", "/api/v1/session/oidc/callback"),
    row("DELETE", "/api/v1/session", Viewer, Free, Never),
    row("GET", "/api/v1/me", Viewer, Free, Read),
    row("POST", "/api/v1/me/password", Viewer, Free, Never),
    row("GET", "/api/v1/tokens", Viewer, Free, Never),
    row("POST", "/api/v1/tokens", Viewer, Free, Never),
    row("DELETE", "/api/v1/tokens/{id}", Viewer, Free, Never),

    row("GET", "/api/v1/metrics", Viewer, Free, Read),
    row("DELETE", "/api/v1/metrics/{name}", Manager, Site, Setup),
    row("GET", "/api/v1/models", Viewer, Free, Read),
    row("GET", "/api/v1/teams", Viewer, Free, Read),
    row("GET", "/api/v1/vehicles", Viewer, Free, Read),
    row("GET", "/api/v1/zones", Viewer, Filtered, Read),
    row("GET", "/api/v1/stats", Viewer, Filtered, Read),
    row("GET", "/api/v1/events", Viewer, Filtered, Read),
    row("GET", "/api/v1/measures", Viewer, Filtered, Read),
    row("GET", "/api/v1/trends", Viewer, Filtered, Read),

    row("GET", "/api/v1/devices", Viewer, Filtered, Read),
    row("GET", "/api/v1/devices/export", Viewer, Filtered, Read),
    row("POST", "/api/v1/devices/import", Manager, Site, Devices),
    row("GET", "/api/v1/devices/{id}", Viewer, Device, Read),
    row("PUT", "/api/v1/devices/{id}", Manager, Filtered, Devices),
    row("DELETE", "/api/v1/devices/{id}", Manager, Device, Devices),
    row("GET", "/api/v1/devices/{id}/latest", Viewer, Device, Read),
    row("GET", "/api/v1/devices/{id}/telemetry", Viewer, Device, Read),
    row("GET", "/api/v1/devices/{id}/trust", Viewer, Device, Read),
    row("GET", "/api/v1/devices/{id}/forecast", Viewer, Device, Read),
    row("GET", "/api/v1/devices/{id}/rules", Viewer, Device, Read),
    row("POST", "/api/v1/devices/{id}/cleaned", Crew, Device, Devices),
    row("POST", "/api/v1/devices/{id}/accept", Manager, Device, Devices),
    row("POST", "/api/v1/devices/{id}/replace", Crew, Device, Devices),
    row("POST", "/api/v1/devices/{id}/calibrate", Crew, Device, Devices),
    row("DELETE", "/api/v1/devices/{id}/calibrate", Crew, Device, Devices),

    row("GET", "/api/v1/credentials", Manager, Site, Never),
    row("POST", "/api/v1/credentials", Manager, Site, Never),
    row("POST", "/api/v1/credentials/provision", Manager, Site, Never),
    row("DELETE", "/api/v1/credentials/{id}", Manager, Site, Never),

    row("GET", "/api/v1/alerts", Viewer, Filtered, Read),
    row("GET", "/api/v1/alerts/counts", Viewer, Filtered, Read),
    row("GET", "/api/v1/alerts/{id}", Viewer, Alert, Read),
    row("GET", "/api/v1/alerts/{id}/reports", Viewer, Alert, Read),
    row("GET", "/api/v1/alerts/{id}/photos", Viewer, Alert, Read),
    row("POST", "/api/v1/alerts/{id}/photos", Crew, Alert, Alerts),
    row("GET", "/api/v1/alerts/{id}/photos/{photo}", Viewer, Alert, Read),
    row("POST", "/api/v1/alerts/{id}/acknowledge", Crew, Alert, Alerts),
    row("POST", "/api/v1/alerts/{id}/dispatch", Dispatcher, Alert, Alerts),
    row("POST", "/api/v1/alerts/{id}/arrive", Crew, Alert, Alerts),
    row("POST", "/api/v1/alerts/{id}/handle", Crew, Alert, Alerts),
    row("POST", "/api/v1/alerts/{id}/verify", Dispatcher, Alert, Alerts),
    row("POST", "/api/v1/alerts/{id}/reopen", Dispatcher, Alert, Alerts),
    row("POST", "/api/v1/alerts/{id}/dismiss", Dispatcher, Alert, Alerts),
    row("POST", "/api/v1/alerts/{id}/comment", Crew, Alert, Alerts),
    row("GET", "/api/v1/reports/{id}/photo", Viewer, Report, Read),

    row("GET", "/api/v1/rounds", Viewer, Filtered, Read),
    row("POST", "/api/v1/rounds", Dispatcher, Filtered, Alerts),
    row("POST", "/api/v1/rounds/plan", Dispatcher, Filtered, Read),
    row("GET", "/api/v1/rounds/{id}", Viewer, Round, Read),
    row("DELETE", "/api/v1/rounds/{id}", Crew, Round, Alerts),
    row("GET", "/api/v1/rounds/{id}/export", Viewer, Round, Read),
    row("POST", "/api/v1/rounds/{id}/stops/{n}", Crew, Round, Alerts),

    row("GET", "/api/v1/maintenance", Viewer, Filtered, Read),
    row("POST", "/api/v1/maintenance", Dispatcher, Filtered, Alerts),
    row("DELETE", "/api/v1/maintenance/{id}", Dispatcher, Window, Alerts),

    row("GET", "/api/v1/rules", Viewer, Free, Read),
    row("GET", "/api/v1/rules/versions", Manager, Site, Read),
    row("POST", "/api/v1/rules/reload", Manager, Site, Setup),
    row("POST", "/api/v1/setup/rules/try", Manager, Site, Read),
    row("GET", "/api/v1/setup/{document}", Manager, Site, Read),
    row("PUT", "/api/v1/setup/{document}", Manager, Site, Setup),
    row("POST", "/api/v1/setup/{document}/draft", Manager, Site, Read),
    row("POST", "/api/v1/places/codes", Manager, Site, Setup),
    row("GET", "/api/v1/places/signs", Manager, Site, Read),
    row("GET", "/api/v1/audit", Manager, Site, Read),
    row("GET", "/api/v1/channels", Viewer, Site, Read),
    row("POST", "/api/v1/channels/{name}/test", Manager, Site, Setup),
    row("GET", "/api/v1/messages", Viewer, Site, Read),
    row("POST", "/api/v1/messages/{id}/retry", Manager, Site, Setup),
    row("GET", "/api/v1/quarantine", Viewer, Site, Read),
    row("GET", "/api/v1/mqtt/limits", Viewer, Site, Read),

    row("GET", "/api/v1/users", Admin, Site, Never),
    row("PUT", "/api/v1/users/{name}", Admin, Site, Never),
    row("DELETE", "/api/v1/users/{name}", Admin, Site, Never),
];

/// The row of an endpoint. HEAD is a GET without its body.
pub(super) fn find(method: &str, path: &str) -> Option<&'static Access> {
    let method = if method == "HEAD" { "GET" } else { method };
    ACCESS.iter().find(|access| access.method == method && access.path == path)
}
