//! The table of endpoints, walked completely: each endpoint, each role, no session, another zone, tokens; and the
//! table against the router and the document.

use std::collections::BTreeSet;

use axum::http::HeaderValue;
use sanimon_domain::ReportCategory;
use sanimon_store::{NewReport, NewRound, NewSession, NewToken, NewWindow, Place, PlaceCode, PlannedStop};
use sanimon_writer::{MakePlaceCodes, PutRound, PutToken, PutWindow, StartSession, TakeReport};
use sha2::{Digest, Sha256};

use super::*;
use crate::access::table::{ACCESS, Access, Scope, TOKEN_SCOPES, TokenScope};
use crate::access::{ROLES, Role};

const NORTH: &str = "north";
const SOUTH: &str = "south";

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The token of a session or a program of this test.
fn token_of(name: &str) -> String {
    format!("sanimon_{name}")
}

fn zone_id(id: &str) -> ZoneId {
    ZoneId::new(id).expect("a sound id")
}

/// An account of each role for the whole site, and one limited to each zone; tokens of an admin with each scope.
fn enter_people(port: &Port) {
    let later = NOW.plus_ms(DAY_MS);
    for role in ROLES {
        for zone in ["", NORTH, SOUTH] {
            let name = format!("{role}-{zone}");
            let zones = if zone.is_empty() { Vec::new() } else { vec![zone_id(zone)] };
            let account = Account { zones, ..Account::new(&name, "no password".to_owned(), role) };
            port.enter(PutAccount(account));
            let session = NewSession {
                token_sha256: digest(&token_of(&name)),
                account: name,
                now: NOW,
                signed_in_at: NOW,
                expires_at: later,
            };
            port.enter(StartSession { session, replaces: None });
        }
    }
    for scope in TOKEN_SCOPES {
        let token = NewToken {
            token_sha256: digest(&token_of(&format!("key-{scope}"))),
            account: "admin-".to_owned(),
            name: scope.to_owned(),
            scopes: vec![scope.to_owned()],
            now: NOW,
            expires_at: later,
        };
        port.enter(PutToken(token));
    }
}

/// In the south, and only there: a report with its alert and photo, a round, a window. Each has the number 1.
fn enter_work(port: &Port) {
    let code = PlaceCode { code: "CODE".to_owned(), place: Place::Device(DeviceNo(1)) };
    port.enter(MakePlaceCodes(vec![code]));
    let report = NewReport {
        token: "token".to_owned(),
        code: "CODE".to_owned(),
        language: "en".to_owned(),
        category: ReportCategory::Overflow,
        text: None,
        photo: Some(vec![1_u8].into()),
        title: ["Report".to_owned(), "上报".to_owned()],
    };
    assert_eq!(port.enter(TakeReport(report)).alert.0, 1);
    let stop = PlannedStop { device: DeviceNo(1), trip: 0, at: NOW, fill_pct: 80.0 };
    let round = NewRound {
        vehicle: "v".to_owned(),
        team: None,
        from: NOW,
        to: NOW.plus_ms(DAY_MS),
        length_m: 1,
        made_by: "x".to_owned(),
        stops: vec![stop],
    };
    assert_eq!(port.enter(PutRound(round)), 1);
    let window = NewWindow {
        device: None,
        zone: Some(zone_id(SOUTH)),
        rule: None,
        from: NOW,
        to: NOW.plus_ms(DAY_MS),
        reason: "x".to_owned(),
        who: "x".to_owned(),
    };
    assert_eq!(port.enter(PutWindow(window)), 1);
}

fn api() -> Api {
    Api::with(|port| {
        enter_people(port);
        enter_work(port);
    })
}

/// The path of an endpoint, with what exists in the south.
fn path(access: &Access) -> String {
    let id =
        if access.scope == Scope::Device || access.path.starts_with("/api/v1/devices") { "h-2" } else { "1" };
    let path = access.path.replace("{id}", id).replace("{photo}", "1").replace("{n}", "0");
    let path = path.replace("{name}", "somebody").replace("{document}", "rules");
    let query = match access.path {
        "/api/v1/trends" | "/api/v1/devices/{id}/telemetry" => "?metric=fill_pct",
        _ => "",
    };
    path.replace("{code}", "CODE").replace("{token}", "token") + query
}

impl Api {
    async fn ask(&self, access: &Access, proof: Option<(&str, String)>) -> (StatusCode, String) {
        let mut request = Request::builder().method(access.method).uri(path(access));
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some((name, value)) = proof {
            request = request.header(name, value);
        }
        let request = request.body(Body::from("{}")).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a router never fails");
        let status = response.status();
        // A stream of events never ends.
        if response.headers().get(header::CONTENT_TYPE)
            == Some(&HeaderValue::from_static("text/event-stream"))
        {
            return (status, String::new());
        }
        let bytes = to_bytes(response.into_body(), 1 << 24).await.expect("a body");
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn session(name: &str) -> (&'static str, String) {
    ("cookie", format!("sanimon_session={}", token_of(name)))
}

fn bearer(name: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", token_of(name)))
}

/// What is refused for its rights, and not for something else that is forbidden.
fn is_refused(status: StatusCode, body: &str) -> bool {
    let reasons = ["this needs", "about the whole site", "limited to the zones"];
    status == StatusCode::FORBIDDEN && reasons.iter().any(|reason| body.contains(reason))
}

#[tokio::test]
async fn each_endpoint_lets_those_roles_in_that_the_table_names_and_no_other() {
    for access in ACCESS {
        // A fresh one for each: an endpoint may end a session or remove what the next one needs.
        let api = api();
        let (status, body) = api.ask(access, None).await;
        let Some(needed) = access.role else {
            assert!(
                status != StatusCode::UNAUTHORIZED || access.path == "/api/v1/session",
                "{access:?}: {body}"
            );
            continue;
        };
        assert_eq!(status, StatusCode::UNAUTHORIZED, "without a session: {access:?}");
        let forged = api.ask(access, Some(session("nobody"))).await;
        assert_eq!(forged.0, StatusCode::UNAUTHORIZED, "with a made-up session: {access:?}");
        for role in Role::ALL.into_iter().filter(|role| *role < needed) {
            let (status, body) = api.ask(access, Some(session(&format!("{}-", role.as_str())))).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{role:?}: {access:?}: {body}");
        }
        let (status, body) = api.ask(access, Some(session(&format!("{}-", needed.as_str())))).await;
        assert!(
            !is_refused(status, &body) && status != StatusCode::UNAUTHORIZED,
            "{needed:?}: {access:?}: {body}"
        );
        // The table's row leads somewhere.
        let is_routed = !body.contains("no such endpoint") && status != StatusCode::METHOD_NOT_ALLOWED;
        assert!(is_routed, "{access:?}: {status} {body}");
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{access:?}: {body}");
    }
}

#[tokio::test]
async fn what_is_in_another_zone_does_not_exist() {
    for access in ACCESS.iter().filter(|access| access.role.is_some()) {
        let api = api();
        let (status, body) = api.ask(access, Some(session(&format!("admin-{NORTH}")))).await;
        match access.scope {
            Scope::Free => assert!(!is_refused(status, &body), "{access:?}: {body}"),
            Scope::Site => assert_eq!(status, StatusCode::FORBIDDEN, "{access:?}: {body}"),
            Scope::Filtered => {
                for word in ["h-2", "\"south\"", "\"vehicle\":\"v\""] {
                    assert!(!body.contains(word), "{access:?} tells of {word}: {body}");
                }
            }
            _ => assert_eq!(status, StatusCode::NOT_FOUND, "{access:?}: {body}"),
        }
    }
}

#[tokio::test]
async fn what_is_in_ones_own_zone_does() {
    for access in ACCESS.iter().filter(|access| access.role.is_some() && access.scope != Scope::Site) {
        let api = api();
        let (status, body) = api.ask(access, Some(session(&format!("admin-{SOUTH}")))).await;
        assert!(!is_refused(status, &body), "{access:?}: {body}");
        // These have nothing there, whatever zone it is: no such photo, no file of rules.
        let has_none = access.path.contains("{photo}") || access.path.contains("/tokens/");
        assert!(status != StatusCode::NOT_FOUND || has_none, "{access:?}: {body}");
    }
}

#[tokio::test]
async fn a_token_does_what_its_scopes_name_and_nothing_else() {
    for access in ACCESS.iter().filter(|access| access.role.is_some()) {
        let api = api();
        for scope in TOKEN_SCOPES {
            let (status, body) = api.ask(access, Some(bearer(&format!("key-{scope}")))).await;
            let may = access.token != TokenScope::Never && access.token.as_str() == scope;
            assert_eq!(!is_refused(status, &body), may, "{scope}: {access:?}: {status} {body}");
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{scope}: {access:?}");
        }
        // A token is no session, and a session is no token.
        let (status, _) = api.ask(access, Some(session("key-read"))).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{access:?}");
        let (status, _) = api.ask(access, Some(bearer("admin-"))).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{access:?}");
    }
}

#[test]
fn the_table_the_router_and_the_document_know_the_same_endpoints() {
    let document: serde_json::Value = serde_json::from_str(&openapi()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, operations)| {
            let methods = operations.as_object().expect("operations").keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    // Residents' pages are for people, and the document does not describe itself.
    let is_told = |path: &str| !path.starts_with("/r/") && path != "/api/openapi.json";
    let listed: BTreeSet<(String, String)> = ACCESS
        .iter()
        .filter(|access| is_told(access.path))
        .map(|access| (access.method.to_owned(), access.path.to_owned()))
        .collect();
    assert_eq!(described, listed);
    let names: BTreeSet<(&str, &str)> = ACCESS.iter().map(|access| (access.method, access.path)).collect();
    assert_eq!(names.len(), ACCESS.len(), "each endpoint stands once");
}

#[tokio::test]
async fn an_endpoint_that_nobody_entered_into_the_table_is_shut() {
    let api = api();
    let router = api.router.clone();
    // As a handler that somebody adds and forgets to enter.
    let state = api.state.clone();
    let forgotten = axum::Router::new()
        .route("/api/v1/forgotten", axum::routing::get(|| async { "secret" }))
        .route_layer(axum::middleware::from_fn_with_state(state, crate::access::guard::layer))
        .merge(router);
    let request = Request::builder().uri("/api/v1/forgotten").header("cookie", session("admin-").1);
    let response =
        forgotten.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn fewer_rights_end_the_sessions_and_a_removed_person_is_out_at_once() {
    let api = api();
    let me = |name: &'static str| {
        let api = &api;
        async move { api.send("GET", "/api/v1/me", &session(name).1, "").await.status() }
    };
    let admin = session("admin-").1;
    for name in ["crew-", "viewer-", "dispatcher-"] {
        assert_eq!(me(name).await, StatusCode::OK);
    }
    let put = api.send("PUT", "/api/v1/users/crew-", &admin, r#"{"role":"viewer"}"#).await;
    assert_eq!(put.status(), StatusCode::OK);
    let put =
        api.send("PUT", "/api/v1/users/viewer-", &admin, r#"{"role":"viewer","zones":["north"]}"#).await;
    assert_eq!(put.status(), StatusCode::OK);
    assert_eq!(
        api.send("DELETE", "/api/v1/users/dispatcher-", &admin, "").await.status(),
        StatusCode::NO_CONTENT
    );
    for name in ["crew-", "viewer-", "dispatcher-"] {
        assert_eq!(me(name).await, StatusCode::UNAUTHORIZED, "{name}");
    }
    assert_eq!(me("admin-").await, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_never_keeps_a_token_that_was_there_before() {
    let api = Api::new("viewer");
    let planted = "sanimon_session=planted";
    let body = r#"{"username":"test","password":"a long password"}"#;
    let response = api.send("POST", "/api/v1/session", planted, body).await;
    let cookie = response.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
    assert!(!cookie.contains("planted"), "{cookie}");
    assert_eq!(api.send("GET", "/api/v1/me", planted, "").await.status(), StatusCode::UNAUTHORIZED);
    // And a second sign-in ends the first session of the browser.
    let first = cookie.split(';').next().expect("a pair").to_owned();
    let second = api.send("POST", "/api/v1/session", &first, body).await;
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(api.send("GET", "/api/v1/me", &first, "").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_that_is_older_than_an_hour_is_replaced_and_the_session_still_ends_in_time() {
    let signed_in_at = NOW.minus_ms(29 * DAY_MS);
    let api = Api::with(|port| {
        port.enter(PutAccount(Account::new("old", "x".to_owned(), "viewer")));
        let session = NewSession {
            token_sha256: digest("old"),
            account: "old".to_owned(),
            now: NOW.minus_ms(2 * 60 * MINUTE_MS),
            signed_in_at,
            expires_at: signed_in_at.plus_ms(30 * DAY_MS),
        };
        port.enter(StartSession { session, replaces: None });
    });
    let response = api.send("GET", "/api/v1/me", "sanimon_session=old", "").await;
    let cookie = response.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
    assert!(cookie.contains(&format!("Max-Age={}", DAY_MS / 1_000)), "{cookie}");
    let new = cookie.split(';').next().expect("a pair").to_owned();
    // What was under way with the old one still passes; the new one is not replaced again.
    assert_eq!(api.send("GET", "/api/v1/zones", "sanimon_session=old", "").await.status(), StatusCode::OK);
    let again = api.send("GET", "/api/v1/me", &new, "").await;
    assert_eq!(again.status(), StatusCode::OK);
    assert!(again.headers().get(header::SET_COOKIE).is_none());
}

#[tokio::test]
async fn too_many_wrong_passwords_have_to_wait_and_the_log_knows_of_them() {
    let api = Api::new("admin");
    let wrong = r#"{"username":"test","password":"wrong"}"#;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let response = api.send("POST", "/api/v1/session", "", wrong).await;
        statuses.push(response.status());
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
    }
    let (first, last) = (StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(statuses, [first, first, first, first, first, last]);
}
