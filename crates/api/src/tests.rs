//! The API as its users see it, on a real store without a network.

use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::{Account, Command, Store};
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

use crate::{ApiState, SiteInfo, hash_password, openapi, router};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs(1_772_323_200_000)
    }
}

/// An API over an empty store with one account of this role, and a writer that carries out sessions.
struct Api {
    router: axum::Router,
    _folder: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

impl Api {
    fn new(role: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let Store { mut writer, shared, lock } = Store::open(folder.path(), None).expect("a store");
        let password_hash = hash_password("a long password").expect("a hash");
        let account = Account { name: "test".to_owned(), password_hash, role: role.to_owned() };
        writer.put_account(&account, Fixed.now()).expect("an account");
        let (commands, mut receiver) = mpsc::channel(8);
        std::thread::spawn(move || {
            let _lock = lock;
            while let Some(command) = receiver.blocking_recv() {
                match command {
                    Command::StartSession { token_sha256, account, now, expires_at, reply } => {
                        let outcome = writer.start_session(&token_sha256, &account, now, expires_at);
                        let _ = reply.send(outcome.map_err(Into::into));
                    }
                    Command::PutDevices(devices, reply) => {
                        let _ = reply.send(writer.put_devices(devices).map(|_| ()).map_err(Into::into));
                    }
                    Command::EndSession { token_sha256, reply } => {
                        let _ = reply.send(writer.end_session(&token_sha256).map_err(Into::into));
                    }
                    Command::Alert(action, reply) => {
                        let _ = reply.send(writer.act(&action, Fixed.now()));
                    }
                    other => panic!("not expected here: {other:?}"),
                }
            }
        });
        let (stop, stopped) = watch::channel(false);
        let site =
            SiteInfo { name: "T".to_owned(), time_zone: chrono_tz::UTC, simulation_speed: None, map: None };
        let state = ApiState::new(shared, Arc::new(Fixed), site, commands, stopped);
        Self { router: router(state), _folder: folder, _stop: stop }
    }

    async fn send(&self, method: &str, path: &str, cookie: &str, body: &str) -> Response {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .expect("a request");
        self.router.clone().oneshot(request).await.expect("a router never fails")
    }

    async fn sign_in(&self) -> String {
        let body = r#"{"username":"test","password":"a long password"}"#;
        let response = self.send("POST", "/api/v1/session", "", body).await;
        assert_eq!(response.status(), StatusCode::OK);
        let cookie = response.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        cookie.split(';').next().expect("a pair").to_owned()
    }
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn the_openapi_document_that_is_checked_in_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let checked_in = std::fs::read_to_string(file).expect("the document");
    assert!(checked_in == openapi(), "run: cargo run -- openapi > docs/openapi.json");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_say_the_same() {
    let api = Api::new("viewer");
    let mut said = Vec::new();
    for body in [r#"{"username":"test","password":"wrong"}"#, r#"{"username":"nobody","password":"wrong"}"#] {
        let response = api.send("POST", "/api/v1/session", "", body).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        said.push(text(response).await);
    }
    assert_eq!(said[0], said[1]);
}

#[tokio::test]
async fn a_session_ends_when_its_owner_signs_out() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    assert_eq!(api.send("GET", "/api/v1/me", &cookie, "").await.status(), StatusCode::OK);
    assert_eq!(api.send("DELETE", "/api/v1/session", &cookie, "").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(api.send("GET", "/api/v1/me", &cookie, "").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_may_only_look_changes_nothing() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    for (method, path, body) in [
        ("PUT", "/api/v1/devices/b-1", r#"{"kind":"bin"}"#),
        ("DELETE", "/api/v1/devices/b-1", ""),
        ("POST", "/api/v1/alerts/1/acknowledge", "{}"),
    ] {
        assert_eq!(
            api.send(method, path, &cookie, body).await.status(),
            StatusCode::FORBIDDEN,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_device_entry_is_checked_and_each_fault_says_what_to_write() {
    let api = Api::new("manager");
    let cookie = api.sign_in().await;
    for (body, hint) in [
        (r#"{"kind":"lamp"}"#, "bin, drain and toilet"),
        (r#"{"kind":"bin","zone":"nowhere"}"#, "no zone"),
        (r#"{"kind":"bin","lat":10}"#, "go together"),
        (r#"{"kind":"bin","empty_mm":100,"full_mm":900}"#, "must be larger"),
        (r#"{"kind":"bin","interval_s":0}"#, "interval_s"),
        (r#"{"kind":"bin","colour":"red"}"#, "colour"),
    ] {
        let response = api.send("PUT", "/api/v1/devices/b-1", &cookie, body).await;
        assert!(response.status().is_client_error(), "{body}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let said = text(response).await;
        assert!(said.contains(hint), "{body}: {said}");
    }
    let entry = r#"{"kind":"bin","name":"Bin 1","empty_mm":1200,"full_mm":200,"interval_s":1800}"#;
    let response = api.send("PUT", "/api/v1/devices/b-1", &cookie, entry).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(text(response).await.contains(r#""state":"registered""#));
}

#[tokio::test]
async fn what_was_not_asked_for_rightly_is_a_problem_with_its_cause() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    for (path, status) in [
        ("/api/v1/nothing", StatusCode::NOT_FOUND),
        ("/api/nothing", StatusCode::NOT_FOUND),
        ("/api/v1/alerts/999", StatusCode::NOT_FOUND),
        ("/api/v1/alerts/x", StatusCode::BAD_REQUEST),
        ("/api/v1/alerts?severity=huge", StatusCode::BAD_REQUEST),
        ("/api/v1/alerts?colour=red", StatusCode::BAD_REQUEST),
        ("/api/v1/devices/none", StatusCode::NOT_FOUND),
        ("/api/v1/devices/none/telemetry?metric=fill_pct", StatusCode::NOT_FOUND),
    ] {
        let response = api.send("GET", path, &cookie, "").await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn a_page_that_polls_gets_304_for_what_it_has() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    let first = api.send("GET", "/api/v1/devices", &cookie, "").await;
    let tag = first.headers()[header::ETAG].clone();
    let request = Request::builder()
        .uri("/api/v1/devices")
        .header(header::COOKIE, &cookie)
        .header(header::IF_NONE_MATCH, tag)
        .body(Body::empty())
        .expect("a request");
    let again = api.router.clone().oneshot(request).await.expect("a router never fails");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}
