//! A person who is limited to one zone walks all ids, lists and streams: nothing of another zone is seen or changed.

use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Site, http, publish, wait_for};

const ZONES: &str = r#"
[[zone]]
id = "mine"
name = { en = "Mine", zh = "我的" }
class = "street"
outline = [[120.0, 30.0], [120.1, 30.0], [120.1, 30.1], [120.0, 30.0]]
[[zone]]
id = "theirs"
name = { en = "Theirs", zh = "别人的" }
class = "street"
outline = [[121.0, 31.0], [121.1, 31.0], [121.1, 31.1], [121.0, 31.0]]
"#;

fn site() -> Site {
    let site = Site::new("");
    std::fs::write(site.folder.path().join("zones.toml"), ZONES).unwrap();
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), text.replacen("[site]", "[site]\nzones = \"zones.toml\"", 1)).unwrap();
    let mut site = site;
    site.prepare();
    for (device, zone) in [("own-1", "mine"), ("secret-1", "theirs"), ("secret-2", "theirs")] {
        let entry = json!({ "kind": "bin", "name": device, "zone": zone }).to_string();
        assert_eq!(site.request("PUT", &format!("/api/v1/devices/{device}"), Some(&entry)).unwrap().0, 200);
        assert!(publish(site.mqtt, &format!("sanitation/east/bin/{device}/telemetry"), r#"{"fill_pct":99}"#));
    }
    let entry = json!({ "role": "manager", "password": PASSWORD, "zones": ["mine"] }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/users/limited", Some(&entry)).unwrap().0, 200);
    site
}

/// Signs somebody in; the cookie's header.
fn cookie_of(site: &Site, name: &str) -> String {
    let body = json!({ "username": name, "password": PASSWORD }).to_string();
    let (status, head, answer) =
        http(site.http, "POST", "/api/v1/session", "content-type: application/json\r\n", &body).unwrap();
    assert_eq!(status, 200, "{answer}");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    format!("cookie: {}\r\n", cookie.split(';').next().unwrap())
}

#[test]
fn walking_ids_lists_and_streams_finds_nothing_of_another_zone() {
    let site = site();
    let limited = cookie_of(&site, "limited");
    let headers = format!("{limited}content-type: application/json\r\n");
    let ask = |method: &str, path: &str, body: &str| http(site.http, method, path, &headers, body).unwrap();
    // Everything that the document lists, with small numbers and known names for every id.
    let document: Value = serde_json::from_str(&site.get("/api/openapi.json").unwrap().1).unwrap();
    let mut walked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            if path.contains("session") || path.contains("/events") || path == "/metrics" {
                continue;
            }
            for id in ["secret-1", "1", "2", "3", "4"] {
                let place = path.replace("{id}", id).replace("{photo}", "1").replace("{n}", "0");
                let place = place.replace("{name}", "limited").replace("{document}", "rules");
                let query = if path.contains("telemetry") || path.contains("trends") {
                    "?metric=fill_pct&group_by=device"
                } else {
                    ""
                };
                let query = if path.contains("telemetry") { "?metric=fill_pct" } else { query };
                let query = if path.contains("measures") { "?group_by=device" } else { query };
                let (status, _, answer) = ask(&method.to_uppercase(), &format!("{place}{query}"), "{}");
                assert!(status < 500, "{method} {place}: {status} {answer}");
                // What is asked for may be named in the refusal; what is told of it may not.
                let told = answer.replace(id, "");
                assert!(
                    !told.contains("secret-") && !told.contains("theirs"),
                    "{method} {place} tells: {answer}"
                );
                walked += 1;
            }
        }
    }
    assert!(walked > 300, "{walked}");
    // Nothing was changed either: who sees all still sees all.
    for device in ["secret-1", "secret-2"] {
        assert_eq!(site.json(&format!("/api/v1/devices/{device}"))["state"], "registered");
    }
    assert_eq!(site.alerts("condition=active&zone=theirs").len(), 2);
    // Nothing can be moved into sight, or out of it.
    for (device, zone) in [("secret-1", "mine"), ("own-1", "theirs"), ("new-1", "theirs")] {
        let entry = json!({ "kind": "bin", "zone": zone }).to_string();
        assert_eq!(ask("PUT", &format!("/api/v1/devices/{device}"), &entry).0, 403, "{device} to {zone}");
    }
}

#[test]
fn the_live_stream_tells_of_ones_own_zone_and_ends_with_the_session() {
    let site = site();
    let limited = cookie_of(&site, "limited");
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", site.http)).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{limited}\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut heard = String::new();
    let mut listen = |until: &str| {
        wait_for(until, || {
            let mut buffer = [0; 8192];
            match stream.read(&mut buffer) {
                Ok(0) => return Some(false),
                Ok(read) => heard.push_str(&String::from_utf8_lossy(&buffer[..read])),
                Err(_) => {}
            }
            heard.contains(until).then_some(true)
        })
    };
    assert!(listen("hello"));
    for device in ["secret-1", "own-1"] {
        assert!(publish(site.mqtt, &format!("sanitation/east/bin/{device}/telemetry"), r#"{"fill_pct":55}"#));
    }
    assert!(listen("own-1"));
    // The account's rights change: the stream does not go on with the old ones.
    let entry = json!({ "role": "viewer", "zones": ["mine"] }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/users/limited", Some(&entry)).unwrap().0, 200);
    assert!(!listen("never said"), "the stream ends");
    assert!(!heard.contains("secret-"), "{heard}");
}
