//! Attacks on HTTP: slow and endless requests, wrong hosts and origins, paths that climb, formulas, bombs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::{assert_well, take_sockets};
use crate::harness::{Site, http, publish, wait_at_most};
use crate::proof::{scale, told};

/// Sends bytes and reads what comes, as much as the server wants to say.
fn raw(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 || answer.len() > 1 << 20 {
            break;
        }
        answer.extend_from_slice(&buffer[..read]);
        if answer.windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn slow_requests_by_the_hundred_keep_nobody_waiting() {
    take_sockets();
    let site = Site::started("");
    let hostile = scale(600, 3_000) as usize;
    let mut held = Vec::new();
    for n in 0..hostile {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", site.http)) else { continue };
        if n % 2 == 0 {
            let _ = stream.write_all(b"GET /api/v1/devices HTTP/1.1\r\nhost: x\r\nx-slow: ");
        }
        held.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(site.get("/api/v1/devices").unwrap().0, 200);
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", site.process().0.id())).unwrap().count();
    assert!(open < 500, "{open} handles");
    drop(held);
    assert_well(&site);
    told("slow-requests", &json!({ "hostile": hostile, "handles": open, "answered": 20 }));
}

#[test]
fn requests_that_never_end_are_ended() {
    let site = Site::started("");
    let long = "x".repeat(200_000);
    let many = (0..500).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    for (name, request, expected) in [
        ("an endless header", format!("GET / HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"), &[431, 400, 0][..]),
        ("headers by the hundred", format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"), &[431, 400, 0]),
        ("an endless path", format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), &[414, 431, 400, 0]),
        ("no HTTP at all", "hello\r\n\r\n".to_owned(), &[400, 0]),
        (
            "a body of a gigabyte",
            "POST /api/v1/session HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n{".to_owned(),
            // After its patience with a body that does not come.
            &[413, 408, 400],
        ),
        ("two lengths", "POST /api/v1/session HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabc".to_owned(), &[400, 0]),
    ] {
        let answer = raw(site.http, request.as_bytes());
        assert!(expected.contains(&status(&answer)), "{name}: {answer}");
        assert_well(&site);
    }
}

#[test]
fn every_answer_has_headers_that_keep_browsers_careful() {
    let site = Site::started("");
    for path in [
        "/",
        "/api/v1/site",
        "/api/v1/me",
        "/api/v1/nothing",
        "/healthz",
        "/metrics",
        "/assets/none.js",
        "/r/none",
    ] {
        let (_, head, _) = site.request("GET", path, None).unwrap();
        let head = head.to_lowercase();
        for needed in [
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy:",
            "content-security-policy:",
            "cross-origin-opener-policy: same-origin",
            "permissions-policy:",
        ] {
            assert!(head.contains(needed), "{path} lacks {needed}: {head}");
        }
        assert!(!head.contains("\nserver:") && !head.contains("x-powered-by"), "{path}: {head}");
        let policy = head.lines().find(|line| line.starts_with("content-security-policy:")).unwrap();
        for bad in ["unsafe-inline", "unsafe-eval", " *", "http:"] {
            assert!(!policy.contains(bad), "{path}: {policy}");
        }
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
    let (_, head, _) = site.request("GET", "/api/v1/me", None).unwrap();
    assert!(head.contains("cache-control: no-store"), "{head}");
}

#[test]
fn other_names_and_other_sites_are_refused() {
    let site = Site::started("");
    let get =
        |host: &str| raw(site.http, format!("GET /api/v1/site HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes());
    assert_eq!(status(&get("localhost")), 200);
    assert_eq!(status(&get("127.0.0.1:9")), 200);
    assert_eq!(status(&get("rebinding.evil.example")), 421);
    let post = |headers: &str| {
        let body = json!({ "username": "test", "password": crate::harness::PASSWORD }).to_string();
        let headers = format!("content-type: application/json\r\n{headers}");
        http(site.http, "POST", "/api/v1/session", &headers, &body).unwrap().0
    };
    assert_eq!(post("origin: https://evil.example\r\n"), 403);
    assert_eq!(post("origin: null\r\n"), 403);
    assert_eq!(post("sec-fetch-site: cross-site\r\n"), 403);
    assert_eq!(post("origin: http://test\r\n"), 200);
    // A form of another site cannot send JSON, and nothing else is taken.
    let form = http(site.http, "POST", "/api/v1/session", "content-type: text/plain\r\n", "{}").unwrap().0;
    assert_eq!(form, 415);
}

#[test]
fn no_path_climbs_out_and_no_answer_tells_of_the_inside() {
    let site = Site::started("");
    for path in [
        "/../../etc/passwd",
        "/assets/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/map/base.pmtiles/../../etc/passwd",
        "//etc/passwd",
        "/api/v1/setup/..%2fsanimon.toml",
        "/api/v1/devices/..%2f..%2fetc%2fpasswd",
        "/r/..%2f..%2fetc%2fpasswd",
        "/api/v1/alerts/1%00",
        "/api/v1/alerts/99999999999999999999999",
        "/api/v1/alerts/-1",
        "/api/v1/devices/%ff%fe",
        "/api/v1/alerts?cursor=newest.9223372036854775807&limit=1000",
        "/api/v1/alerts?cursor=newest.99999999999999999999",
        "/api/v1/alerts?sort=urgent&cursor=urgent.critical.-9223372036854775808.-1",
        "/api/v1/alerts?sort=id;DROP%20TABLE%20alert",
        "/api/v1/alerts?device=%27%20OR%201=1--",
    ] {
        let (status, body) = site.get(path).unwrap();
        assert!(!body.contains("root:"), "{path}");
        assert!(status < 500, "{path}: {status} {body}");
        for inside in ["rusqlite", "panicked", "src/", "SELECT ", ".rs:"] {
            assert!(!body.contains(inside), "{path} tells of {inside}: {body}");
        }
    }
    assert_well(&site);
}

#[test]
fn what_a_device_calls_itself_is_no_formula_in_a_table() {
    let site = Site::started("");
    let entry = json!({ "kind": "bin", "name": "=HYPERLINK(\"http://evil\")" }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/devices/b-1", Some(&entry)).unwrap().0, 200);
    let (_, table) = site.get("/api/v1/devices/export").unwrap();
    assert!(table.contains("'=HYPERLINK"), "{table}");
    // And it comes back as it was.
    let imported = site.request("POST", "/api/v1/devices/import", Some(&table)).unwrap();
    assert_eq!(imported.0, 200, "{}", imported.2);
    assert_eq!(site.json("/api/v1/devices/b-1")["name"], "=HYPERLINK(\"http://evil\")");
}

#[test]
fn secrets_stand_neither_in_logs_nor_in_addresses() {
    let site = Site::strict("");
    let (_, secret) = site.credential(&json!({ "username": "b-1" }));
    let wrong = json!({ "username": "test", "password": "a wrong password of somebody" }).to_string();
    assert_eq!(site.request("POST", "/api/v1/session", Some(&wrong)).unwrap().0, 401);
    let made = json!({ "name": "feed", "scopes": ["read"] }).to_string();
    let (status, _, made) = site.request("POST", "/api/v1/tokens", Some(&made)).unwrap();
    assert_eq!(status, 201, "{made}");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap();
    let bearer = format!("authorization: Bearer {token}\r\n");
    assert_eq!(http(site.http, "GET", "/api/v1/devices", &bearer, "").unwrap().0, 200);
    assert_eq!(
        http(site.http, "PUT", "/api/v1/devices/b-1", &bearer, "{}").unwrap().0,
        403,
        "it may only read"
    );
    // In an address it is worth nothing.
    assert_eq!(http(site.http, "GET", &format!("/api/v1/devices?token={token}"), "", "").unwrap().0, 401);
    let _ = publish(site.mqtt, "sanitation/east/bin/b-1/telemetry", "{}");
    let audit = site.json("/api/v1/audit").to_string();
    for secret in [secret.as_str(), token, "a wrong password of somebody", crate::harness::PASSWORD] {
        assert!(!site.log().contains(secret) && !audit.contains(secret));
    }
    assert!(audit.contains("session.refused") && audit.contains("token.make"), "{audit}");
    let files = std::fs::read(site.data().join("sanimon.db-wal")).unwrap_or_default();
    let database = [std::fs::read(site.data().join("sanimon.db")).unwrap(), files].concat();
    for secret in [secret.as_str(), token] {
        assert!(
            !database.windows(secret.len()).any(|part| part == secret.as_bytes()),
            "secrets are kept as hashes"
        );
    }
}

#[test]
fn an_address_that_asks_too_much_is_slowed_and_others_are_not() {
    let site = Site::new("[unused]\n");
    let text = std::fs::read_to_string(site.config()).unwrap();
    let text = text
        .replace("[unused]\n", "")
        .replace("[http]\n", "[http]\ntrusted_proxies = [\"127.0.0.1\"]\nrequests_per_s = 5\n");
    std::fs::write(site.config(), text).unwrap();
    let mut site = site;
    site.start();
    let from = |address: &str| {
        let headers = format!("x-forwarded-for: {address}\r\n");
        http(site.http, "GET", "/api/v1/site", &headers, "").unwrap().0
    };
    let statuses: Vec<u16> = (0..60).map(|_| from("203.0.113.7")).collect();
    assert!(statuses.contains(&429) && statuses[..20].iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(from("203.0.113.8"), 200);
    wait_at_most("it is let in again", Duration::from_secs(5), || (from("203.0.113.7") == 200).then_some(()));
}
