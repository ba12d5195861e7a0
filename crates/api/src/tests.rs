//! The API as its users see it, on a real store without a network.

use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use sanimon_domain::time::{DAY_MS, MINUTE_MS};
use sanimon_domain::{
    Clock, DeviceId, DeviceKind, DeviceNo, MetricNo, SiteCalendar, TimestampMs, ZoneClass, ZoneId,
};
use sanimon_operations::OperationsSettings;
use sanimon_store::{Account, Device, Durability, JournalMessage, JournalReading, Store, Tx, Zone};
use sanimon_writer::{History, Input, Options, PutAccount, SetZones};
use tokio::sync::watch;
use tower::ServiceExt;

use self::port::Port;
use self::registry::models;
use self::setup::{NoFiles, PLANNER};
use crate::{ApiState, OidcOptions, Reached, SiteInfo, hash_password, openapi, router};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs(1_772_323_200_000)
    }
}

const NOW: TimestampMs = TimestampMs(1_772_323_200_000);
const HISTORY_DAYS: i64 = 20;

/// Two bins in zones and teams of their own, a toilet without: a reading each 10 minutes for 20 days before now. Bin `b-1`
/// says 10, `b-2` 30.
fn history(port: &Port) {
    let zone = |id: &str| Zone {
        id: ZoneId::new(id).expect("a sound id"),
        name_en: id.to_owned(),
        name_zh: id.to_owned(),
        class: ZoneClass::Street,
        outline: Vec::new(),
        inhabitants: None,
    };
    port.enter(SetZones { zones: vec![zone("north"), zone("south")], document: None });
    let device = |no: u32, id: &str, kind, zone: Option<&str>| Device {
        no: DeviceNo(no),
        zone: zone.map(|zone| ZoneId::new(zone).expect("a sound id")),
        team: zone.map(|zone| format!("team {zone}")),
        ..Device::new(DeviceId::new(id).expect("a sound id"), kind, NOW)
    };
    let new_devices = vec![
        device(0, "h-1", DeviceKind::Bin, Some("north")),
        device(1, "h-2", DeviceKind::Bin, Some("south")),
        device(2, "h-3", DeviceKind::Toilet, None),
    ];
    let steps = HISTORY_DAYS * DAY_MS / (10 * MINUTE_MS);
    let message = |step: i64, no: u32| {
        let at = NOW.minus_ms((steps - step) * 10 * MINUTE_MS);
        let value = [10.0, 30.0, 0.5][no as usize];
        let metric = if no == 2 { MetricNo(20) } else { MetricNo(0) };
        let readings = vec![JournalReading { metric, at, value }];
        JournalMessage { device: DeviceNo(no), received_at: at, digest: None, is_old_news: false, readings }
    };
    let messages = (0..steps).flat_map(|step| (0..3).map(move |no| message(step, no))).collect();
    let history = History { new_devices, messages, ..History::default() };
    let _outputs = port.apply(Input::History(history));
}

/// An API over a store with a history, and the real writer.
struct Api {
    router: axum::Router,
    state: ApiState,
    folder: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

/// The account that [`Api::sign_in`] signs in with.
fn account(role: &str) -> Account {
    Account::new("test", hash_password("a long password").expect("a hash"), role)
}

impl Api {
    fn new(role: &str) -> Self {
        Self::with(|port| port.enter(PutAccount(account(role))))
    }

    /// Over a store with the history and what is entered besides.
    fn with(enter: impl FnOnce(&Port)) -> Self {
        Self::of(enter, None)
    }

    /// The same with an OpenID provider.
    fn of(enter: impl FnOnce(&Port), oidc: Option<OidcOptions>) -> Self {
        let (folder, store) = Self::store();
        let operations = Arc::new(OperationsSettings::standard(store.shared.calendar));
        let port = Port::open(store, Options::new(Arc::default(), operations));
        Self::over(folder, port, enter, oidc)
    }

    /// Over rows that no rule of this site raised, and that none clears.
    fn over_rows(rows: impl FnOnce(&Tx<'_>), account: Account) -> Self {
        let (folder, mut store) = Self::store();
        let tx = store.file.begin().expect("a transaction");
        rows(&tx);
        tx.commit().expect("a commit");
        let options = Options::of_rows_only(store.shared.calendar);
        Self::over(folder, Port::open(store, options), |port| port.enter(PutAccount(account)), None)
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let shanghai = SiteCalendar::named("Asia/Shanghai");
        let mut store = Store::open(folder.path(), shanghai).expect("a store");
        // The folder goes with the test: nothing waits for the disk.
        store.file.set_durability(Durability::Rebuildable).expect("a setting");
        (folder, store)
    }

    fn over(
        folder: tempfile::TempDir,
        port: Port,
        enter: impl FnOnce(&Port),
        oidc: Option<OidcOptions>,
    ) -> Self {
        history(&port);
        enter(&port);
        let shared = port.shared();
        let (stop, stopped) = watch::channel(false);
        let site = SiteInfo {
            name: "T".to_owned(),
            time_zone: chrono_tz::UTC,
            simulation_speed: None,
            map: None,
            models: models(),
            url: None,
            reached: Reached::default(),
            requests_per_s: crate::REQUESTS_PER_S,
            oidc,
            setup: Arc::new(NoFiles),
            planner: PLANNER,
        };
        let state = ApiState::new(shared, Arc::new(Fixed), site, Arc::new(port), stopped);
        Self { router: router(state.clone()), state, folder, _stop: stop }
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
async fn a_crew_does_its_work_and_decides_nothing() {
    let api = Api::new("crew");
    let cookie = api.sign_in().await;
    for (step, expected) in [
        ("acknowledge", StatusCode::NOT_FOUND),
        ("handle", StatusCode::NOT_FOUND),
        ("comment", StatusCode::NOT_FOUND),
        ("verify", StatusCode::FORBIDDEN),
        ("reopen", StatusCode::FORBIDDEN),
        ("dismiss", StatusCode::FORBIDDEN),
    ] {
        let body = r#"{"note":"a note","assignee":"team a"}"#;
        let response = api.send("POST", &format!("/api/v1/alerts/1/{step}"), &cookie, body).await;
        assert_eq!(response.status(), expected, "{step}");
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

impl Api {
    async fn json(&self, cookie: &str, path: &str) -> serde_json::Value {
        let response = self.send("GET", path, cookie, "").await;
        let status = response.status();
        let said = text(response).await;
        assert_eq!(status, StatusCode::OK, "{path}: {said}");
        serde_json::from_str(&said).expect("JSON")
    }
}

#[tokio::test]
async fn a_day_is_the_site_s_day() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    let path = "/api/v1/devices/h-1/telemetry?metric=fill_pct&every=1d&fn=count&from=2026-02-20T00:00:00%2B08:00&to=2026-02-22T00:00:00%2B08:00";
    let answer = api.json(&cookie, path).await;
    assert_eq!(answer["every"], "1d");
    assert_eq!(answer["coarsened"], false);
    let midnight = TimestampMs::parse_rfc3339("2026-02-20T00:00:00+08:00").expect("a time").0;
    assert_eq!(answer["points"], serde_json::json!([[midnight, 144.0], [midnight + DAY_MS, 144.0]]));
}

#[tokio::test]
async fn an_answer_with_too_many_points_is_coarsened_and_says_so() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    let range = "metric=fill_pct&from=2026-02-10T00:00:00Z&to=2026-02-20T00:00:00Z";
    let whole = api.json(&cookie, &format!("/api/v1/devices/h-1/telemetry?{range}")).await;
    assert_eq!((whole["every"].is_null(), whole["points"].as_array().map(Vec::len)), (true, Some(1_441)));
    let coarse = api.json(&cookie, &format!("/api/v1/devices/h-1/telemetry?{range}&points_max=100")).await;
    assert_eq!((&coarse["every"], &coarse["coarsened"]), (&"3h".into(), &true.into()));
    assert!(coarse["points"].as_array().expect("points").len() <= 100);
    // More than is held in memory at once comes slice by slice, and is the same.
    let streamed =
        api.json(&cookie, &format!("/api/v1/devices/h-1/telemetry?{range}&points_max=1000000")).await;
    assert_eq!(streamed["points"], whole["points"]);
    let later = "metric=fill_pct&from=2026-05-01T00:00:00Z&to=2027-01-01T00:00:00Z&points_max=1000000";
    let later = api.json(&cookie, &format!("/api/v1/devices/h-1/telemetry?{later}")).await;
    assert_eq!(later["points"], serde_json::json!([]));
}

#[tokio::test]
async fn trends_are_grouped_as_asked() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    let range = "from=2026-02-12T00:00:00%2B08:00&to=2026-02-14T00:00:00%2B08:00";
    let groups = |answer: &serde_json::Value| -> Vec<(serde_json::Value, serde_json::Value, f64)> {
        let trends = answer["trends"].as_array().expect("trends").clone();
        let first = |trend: &serde_json::Value| trend["points"][0][1].as_f64().unwrap_or(f64::MIN);
        trends.iter().map(|trend| (trend["group"].clone(), trend["devices"].clone(), first(trend))).collect()
    };
    for (more, expected) in [
        ("", vec![(serde_json::Value::Null, 3.into(), 20.0)]),
        (
            "&group_by=zone",
            vec![
                (serde_json::Value::Null, 1.into(), f64::MIN),
                ("north".into(), 1.into(), 10.0),
                ("south".into(), 1.into(), 30.0),
            ],
        ),
        ("&group_by=kind&kind=bin&fn=sum", vec![("bin".into(), 2.into(), 144.0 * 40.0)]),
        ("&group_by=team&zone=south", vec![("team south".into(), 1.into(), 30.0)]),
        (
            "&group_by=device&zone=north,south&fn=max",
            vec![("h-1".into(), 1.into(), 10.0), ("h-2".into(), 1.into(), 30.0)],
        ),
    ] {
        let answer = api.json(&cookie, &format!("/api/v1/trends?metric=fill_pct&{range}{more}")).await;
        assert_eq!(groups(&answer), expected, "{more}");
        assert_eq!(answer["every"], "1d");
    }
    for (query, status) in [
        ("metric=nothing", StatusCode::NOT_FOUND),
        ("metric=fill_pct&zone=nowhere", StatusCode::NOT_FOUND),
        ("metric=fill_pct&group_by=colour", StatusCode::BAD_REQUEST),
        ("metric=fill_pct&every=7h", StatusCode::BAD_REQUEST),
        ("metric=fill_pct&fn=median", StatusCode::BAD_REQUEST),
        ("metric=fill_pct&from=2026-03-01T00:00:00Z&to=2026-02-01T00:00:00Z", StatusCode::BAD_REQUEST),
    ] {
        let response = api.send("GET", &format!("/api/v1/trends?{query}"), &cookie, "").await;
        assert_eq!(response.status(), status, "{query}");
    }
}
mod access;
mod alerts;
mod mqtt;
mod oidc;
mod port;
mod registry;
mod setup;
