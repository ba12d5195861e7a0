//! Set up from the console: the site's files are drafted, tried, saved, in force at once and after a restart, and remembered with
//! who changed them.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Site, http, publish, wait_for};

pub(crate) fn send(site: &Site, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let (status, _, text) = site.request(method, path, Some(&body.to_string())).unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// Changes a part of a document and saves it.
fn save(site: &Site, document: &str, edit: &Value) -> Value {
    let path = format!("/api/v1/setup/{document}");
    let now = site.json(&path);
    let (status, draft) =
        send(site, "POST", &format!("{path}/draft"), &json!({ "text": now["text"], "edits": [edit] }));
    assert_eq!((status, &draft["faults"]), (200, &json!([])), "{draft}");
    let (status, saved) =
        send(site, "PUT", &path, &json!({ "text": draft["text"], "version": now["version"] }));
    assert_eq!(status, 200, "{saved}");
    saved
}

#[test]
fn what_is_saved_is_in_force_at_once_and_after_a_restart() {
    let mut site = Site::started("");
    let zone = json!({ "id": "harbour", "name": { "en": "Harbour", "zh": "港区" }, "class": "market",
        "inhabitants": 800, "outline": [[119.64, 30.22], [119.65, 30.22], [119.65, 30.23]] });
    save(&site, "zones", &json!({ "table": "zone", "id": "harbour", "entry": zone }));
    assert_eq!(site.json("/api/v1/zones")[0]["inhabitants"], 800);

    let team = json!({ "id": "port", "name": { "en": "Port crew", "zh": "港口班组" }, "members": ["test"] });
    save(&site, "teams", &json!({ "table": "team", "id": "port", "entry": team }));
    assert_eq!(site.json("/api/v1/me")["teams"], json!(["port"]));

    // A rule that speaks at 50 %, where the built-in one is silent.
    let level = json!({ "severity": "minor", "raise": ">= 50", "clear": "< 40" });
    let rule = json!({ "id": "bin_fill", "title": { "en": "Bin is full", "zh": "垃圾桶已满" }, "kind": "bin",
        "metric": "fill_pct", "level": [level] });
    save(&site, "rules", &json!({ "table": "rule", "id": "bin_fill", "entry": rule }));
    assert!(publish(site.mqtt, "sanitation/east/bin/b-1/telemetry", r#"{"fill_pct":55}"#));
    let raised = wait_for("the new rule raises", || site.alerts("").first().cloned());
    assert_eq!((&raised["rule"], &raised["assignee"]), (&json!("bin_fill"), &json!("port")));

    let text = fs::read_to_string(site.data().join("rules.toml")).unwrap();
    assert!(text.contains("# The rules of sanimon") && text.contains("\">= 50\""), "comments stay");
    site.stop();
    site.start();
    site.sign_in();
    assert_eq!(site.json("/api/v1/zones")[0]["id"], "harbour");
    assert_eq!(site.json("/api/v1/me")["teams"], json!(["port"]));
    assert_eq!(site.alerts("condition=active").len(), 1, "the alert is still open under the saved rules");
    assert_eq!(saved(&site), ["rules.save", "teams.save", "zones.save"]);
}

/// What the log tells of saved documents, the newest first.
fn saved(site: &Site) -> Vec<String> {
    let log = site.json("/api/v1/audit");
    let told = log["items"].as_array().unwrap().iter().filter_map(|entry| entry["what"].as_str());
    told.filter(|what| what.split('.').next_back() == Some("save")).map(str::to_owned).collect()
}

#[test]
fn faults_are_named_with_their_lines_and_nothing_of_a_faulty_document_counts() {
    let site = Site::started("");
    let now = site.json("/api/v1/setup/rules");
    let faulty = format!("{}\n[[rule]]\nid = \"x\"\n", now["text"].as_str().unwrap());
    let (status, refused) =
        send(&site, "PUT", "/api/v1/setup/rules", &json!({ "text": faulty, "version": now["version"] }));
    assert_eq!(status, 400);
    let line = refused["faults"][0]["line"].as_u64().unwrap();
    assert!(line > 100, "{refused}");
    assert_eq!(site.json("/api/v1/setup/rules")["version"], now["version"]);
    assert_eq!(saved(&site), [""; 0], "what was refused changed nothing");
}

#[test]
fn who_saves_an_older_version_is_told_and_overwrites_nothing() {
    let site = Site::started("");
    let first = site.json("/api/v1/setup/zones");
    let zone = |id: &str| {
        format!("[[zone]]\nid = \"{id}\"\nname = {{ en = \"A\", zh = \"甲\" }}\nclass = \"street\"\n")
    };
    let put = |text: String, version: &Value| {
        send(&site, "PUT", "/api/v1/setup/zones", &json!({ "text": text, "version": version })).0
    };
    assert_eq!(put(zone("one"), &first["version"]), 200);
    assert_eq!(put(zone("two"), &first["version"]), 409);
    assert_eq!(site.json("/api/v1/zones")[0]["id"], "one");
}

#[test]
fn a_file_that_the_configuration_names_is_the_one_that_is_changed() {
    let mut site = Site::new("");
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), config.replace("[site]\n", "[site]\nzones = \"mine.toml\"\n")).unwrap();
    let mine = "# Ours\n[[zone]]\nid = \"a\"\nname = { en = \"A\", zh = \"甲\" }\nclass = \"street\"\n";
    fs::write(site.folder.path().join("mine.toml"), mine).unwrap();
    site.prepare();
    save(&site, "zones", &json!({ "table": "zone", "id": "a" }));
    assert_eq!(fs::read_to_string(site.folder.path().join("mine.toml")).unwrap().trim(), "# Ours");
    assert_eq!(site.json("/api/v1/zones"), json!([]), "a zone that is gone is gone");
}

#[test]
fn a_draft_of_the_rules_is_tried_on_what_was_stored() {
    let site = Site::started("");
    for (device, fill) in [("b-1", 60), ("b-2", 80), ("b-3", 20)] {
        let topic = format!("sanitation/east/bin/{device}/telemetry");
        assert!(publish(site.mqtt, &topic, &format!("{{\"fill_pct\":{fill}}}")));
    }
    let text = site.json("/api/v1/setup/rules")["text"].as_str().unwrap().to_owned();
    let level = json!({ "severity": "minor", "raise": ">= 50", "clear": "< 40" });
    let rule = json!({ "id": "bin_fill", "title": { "en": "F", "zh": "满" }, "kind": "bin", "metric": "fill_pct", "level": [level] });
    let edit = json!({ "table": "rule", "id": "bin_fill", "entry": rule });
    let (_, draft) =
        send(&site, "POST", "/api/v1/setup/rules/draft", &json!({ "text": text, "edits": [edit] }));
    let tried = wait_for("both bins would have raised", || {
        let (status, tried) =
            send(&site, "POST", "/api/v1/setup/rules/try", &json!({ "text": draft["text"], "hours": 1 }));
        assert_eq!(status, 200, "{tried}");
        (tried["more"].as_array()?.len() == 2).then_some(tried)
    });
    let mut about: Vec<&str> =
        tried["more"].as_array().unwrap().iter().filter_map(|alert| alert["about"].as_str()).collect();
    about.sort_unstable();
    assert_eq!(about, ["b-1", "b-2"], "80 % would be minor after ten minutes only under the rules in force");
    assert!(site.alerts("condition=active").is_empty(), "trying raises nothing");
}

#[test]
fn a_map_of_the_sites_own_is_served_in_parts() {
    let mut site = Site::new("[map]\npmtiles = \"town.pmtiles\"\nattribution = \"© OpenStreetMap\"\n");
    let mut archive = b"PMTiles\x03".to_vec();
    archive.extend((0..1_000_u32).map(|n| (n % 251) as u8));
    fs::write(site.folder.path().join("town.pmtiles"), &archive).unwrap();
    site.prepare();
    assert_eq!(site.json("/api/v1/site")["map"]["pmtiles_url"], "/map/base.pmtiles");
    let (status, head, body) =
        http(site.http, "GET", "/map/base.pmtiles", "range: bytes=0-6\r\n", "").unwrap();
    assert_eq!((status, body.as_str()), (206, "PMTiles"), "{head}");
}

#[test]
fn a_round_leaves_the_bins_of_another_one_alone_and_comes_as_gpx() {
    let site = Site::started("");
    let teams = include_str!("../../config/teams.toml");
    let version = site.json("/api/v1/setup/teams")["version"].clone();
    assert_eq!(
        send(&site, "PUT", "/api/v1/setup/teams", &json!({ "text": teams, "version": version })).0,
        200
    );
    for n in 1..=4 {
        let entry =
            json!({ "kind": "bin", "lat": 30.23, "lon": 119.65 + f64::from(n) * 0.001, "volume_l": 660 });
        assert_eq!(send(&site, "PUT", &format!("/api/v1/devices/b-{n}"), &entry).0, 200);
        let fill = if n == 4 { 20 } else { 90 };
        let topic = format!("sanitation/east/bin/b-{n}/telemetry");
        assert!(publish(site.mqtt, &topic, &format!("{{\"fill_pct\":{fill}}}")));
    }
    let wanted = json!({ "vehicle": "truck-1" });
    let (status, plan) = send(&site, "POST", "/api/v1/rounds/plan", &wanted);
    assert_eq!(status, 200, "{plan}");
    let stops: Vec<&str> =
        plan["stops"].as_array().unwrap().iter().filter_map(|s| s["device"].as_str()).collect();
    assert_eq!(stops.len(), 3, "the full ones: {stops:?}");
    assert!(!stops.contains(&"b-4"));
    assert!(plan["bound_m"].as_f64().unwrap() <= plan["length_m"].as_f64().unwrap() + 1.0);
    assert_eq!(plan["fixed"]["stops"], 4);
    assert_eq!(plan["load_l"], 1_782.0, "three bins of 660 litres at 90 %");
    let (status, made) = send(&site, "POST", "/api/v1/rounds", &wanted);
    assert_eq!(status, 201, "{made}");
    let (_, again) = send(&site, "POST", "/api/v1/rounds/plan", &json!({ "vehicle": "truck-2" }));
    assert_eq!(again["stops"], json!([]), "each bin is somebody's already");
    let gpx = site.get(&format!("/api/v1/rounds/{}/export", made["id"])).unwrap().1;
    assert_eq!(gpx.matches("<rtept ").count(), 3);
}
