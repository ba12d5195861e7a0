//! People, the audit log and rounds. The site's files are the binary's: `tests/system/setup.rs` looks at those.

use std::sync::Arc;

use sanimon_alerting::RuleSet;
use sanimon_domain::collection::{RoundTask, Route, RouteStop};
use sanimon_store::{Shared, Zone};

use super::*;
use crate::setup::source::{Checked, Edit, SetupDocument, SetupSource, StagedFile, Tried};
use crate::{Planner, TableFault};

/// A site whose files cannot be read.
#[derive(Debug)]
pub(super) struct NoFiles;

impl SetupSource for NoFiles {
    fn name(&self, document: SetupDocument) -> String {
        format!("{}.toml", document.as_str())
    }

    fn text(&self, document: SetupDocument, _: &[Arc<Zone>]) -> Result<String, String> {
        Err(format!("{}.toml cannot be read", document.as_str()))
    }
    fn check(&self, _: SetupDocument, _: &str) -> Result<Checked, Vec<TableFault>> {
        Err(Vec::new())
    }
    fn entries(&self, _: &str) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn edit(&self, text: &str, _: &[Edit]) -> Result<String, String> {
        Ok(text.to_owned())
    }
    fn file_digest(&self, _: SetupDocument) -> Option<[u8; 32]> {
        None
    }
    fn stage(&self, _: SetupDocument, _: &str) -> Result<Box<dyn StagedFile>, String> {
        Err("nowhere".to_owned())
    }
    fn try_rules(
        &self,
        _: &Shared,
        _: [Arc<RuleSet>; 2],
        _: (TimestampMs, TimestampMs),
    ) -> Result<Tried, String> {
        Err("no history".to_owned())
    }
}

/// Visits in the order in which they come.
pub(super) const PLANNER: Planner =
    Planner { plan: |task| driven(task, &(0..task.visits.len()).collect::<Vec<_>>()), follow: driven };

fn driven(task: &RoundTask, order: &[usize]) -> Route {
    let stops = order.iter().map(|visit| RouteStop { visit: *visit, trip: 0, at: task.from });
    Route { stops: stops.collect(), length_m: 1_000.0, ends_at: task.to, ..Route::default() }
}

#[tokio::test]
async fn an_admin_enters_people_and_the_log_remembers_who_did() {
    let api = Api::new("admin");
    let cookie = api.sign_in().await;
    let response = api.send("PUT", "/api/v1/users/wang", &cookie, r#"{"role":"crew"}"#).await;
    assert_eq!(response.status(), StatusCode::OK);
    let entered: serde_json::Value = serde_json::from_str(&text(response).await).expect("JSON");
    let password = entered["password"].as_str().expect("shown once").to_owned();
    assert_eq!(password.len(), 16);
    let users = api.json(&cookie, "/api/v1/users").await;
    assert_eq!((&users[1]["name"], &users[1]["role"]), (&"wang".into(), &"crew".into()));
    let log = api.json(&cookie, "/api/v1/audit").await;
    let newest = &log["items"][0];
    assert_eq!(
        (&newest["who"], &newest["what"], &newest["about"]),
        (&"test".into(), &"user.put".into(), &"wang".into())
    );
    assert!(!log.to_string().contains(&password), "the log holds no secret");
    assert_eq!(api.send("DELETE", "/api/v1/users/wang", &cookie, "").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(api.send("DELETE", "/api/v1/users/wang", &cookie, "").await.status(), StatusCode::NOT_FOUND);
    let log = api.json(&cookie, "/api/v1/audit").await;
    let entries = log["items"].as_array().into_iter().flatten().filter(|entry| entry["who"] == "test");
    let what: Vec<&str> = entries.filter_map(|entry| entry["what"].as_str()).collect();
    assert_eq!(what, ["user.remove", "user.put", "session.start"], "what was refused left no entry");
}

#[tokio::test]
async fn the_last_admin_stays_and_a_weak_password_is_refused() {
    let api = Api::new("admin");
    let cookie = api.sign_in().await;
    for (method, path, body, expected) in [
        ("DELETE", "/api/v1/users/test", "", StatusCode::CONFLICT),
        ("PUT", "/api/v1/users/test", r#"{"role":"viewer"}"#, StatusCode::CONFLICT),
        ("PUT", "/api/v1/users/li", r#"{"role":"king"}"#, StatusCode::BAD_REQUEST),
        ("PUT", "/api/v1/users/a%20b", r#"{"role":"crew"}"#, StatusCode::BAD_REQUEST),
        ("PUT", "/api/v1/users/li", r#"{"role":"crew","password":"short"}"#, StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(api.send(method, path, &cookie, body).await.status(), expected, "{method} {path} {body}");
    }
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_the_sessions() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    let change = |old: &str| format!(r#"{{"old":"{old}","new":"another long one"}}"#);
    let wrong = api.send("POST", "/api/v1/me/password", &cookie, &change("no")).await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    let right = api.send("POST", "/api/v1/me/password", &cookie, &change("a long password")).await;
    assert_eq!(right.status(), StatusCode::NO_CONTENT);
    assert_eq!(api.send("GET", "/api/v1/me", &cookie, "").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn set_up_is_for_managers_and_people_for_admins() {
    for (role, setup, users) in [
        ("dispatcher", StatusCode::FORBIDDEN, StatusCode::FORBIDDEN),
        ("manager", StatusCode::CONFLICT, StatusCode::FORBIDDEN),
        ("admin", StatusCode::CONFLICT, StatusCode::OK),
    ] {
        let api = Api::new(role);
        let cookie = api.sign_in().await;
        // The files of this site cannot be read: a conflict that says so.
        assert_eq!(api.send("GET", "/api/v1/setup/rules", &cookie, "").await.status(), setup, "{role}");
        assert_eq!(api.send("GET", "/api/v1/users", &cookie, "").await.status(), users, "{role}");
    }
}

#[tokio::test]
async fn alerts_are_asked_for_by_kind_metric_and_time() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    let query = "kind=bin&metric=fill_pct&rule=bin_fill&from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z";
    let page = api.json(&cookie, &format!("/api/v1/alerts?{query}")).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(0));
    for wrong in ["kind=lamp", "metric=no_such", "from=yesterday"] {
        let response = api.send("GET", &format!("/api/v1/alerts?{wrong}"), &cookie, "").await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn measures_come_as_a_workbook_too() {
    let api = Api::new("manager");
    let cookie = api.sign_in().await;
    let response = api.send("GET", "/api/v1/measures?format=xlsx&group_by=zone", &cookie, "").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers()[header::CONTENT_TYPE].to_str().expect("text").contains("spreadsheetml"));
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    assert!(bytes.starts_with(b"PK"), "a workbook is a zip");
    let wrong = api.send("GET", "/api/v1/measures?format=pdf", &cookie, "").await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}
