//! Rules that change, windows, escalation and reports, on the running binary.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{BINARY, Site, http, publish, wait_for};
use crate::sources::now_ms;

const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";
const RULE: &str = "[[rule]]\nid = \"full\"\ntitle = { en = \"Full\", zh = \"满\" }\nkind = \"bin\"\nmetric = \"fill_pct\"\n\
                    [[rule.level]]\nseverity = \"major\"\nraise = \">= 90\"\nclear = \"< 80\"\n";

fn with_rules(text: &str) -> Site {
    let mut site = Site::new("");
    let config =
        fs::read_to_string(site.config()).unwrap().replace("[site]\n", "[site]\nrules = \"rules.toml\"\n");
    fs::write(site.config(), config).unwrap();
    fs::write(site.folder.path().join("rules.toml"), text).unwrap();
    site.prepare();
    site
}

#[test]
fn rules_are_read_again_while_sanimon_runs_and_alerts_name_their_version() {
    let site = with_rules(RULE);
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":70}"#));
    assert!(site.alerts("").is_empty());
    let rules = site.folder.path().join("rules.toml");

    fs::write(&rules, RULE.replace("< 80", "< 95")).unwrap();
    let (status, _, said) = site.request("POST", "/api/v1/rules/reload", None).unwrap();
    assert_eq!(status, 400);
    assert!(said.contains("rules.toml:1: rule `full`: the major level clears at 95"), "{said}");
    assert_eq!(site.json("/api/v1/rules")["version"], 1, "those in force stay");

    fs::write(&rules, RULE.replace(">= 90", ">= 60").replace("< 80", "< 50")).unwrap();
    assert_eq!(site.request("POST", "/api/v1/rules/reload", None).unwrap().0, 200);
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":71}"#));
    let open = site.alerts("condition=active");
    assert_eq!((open.len(), &open[0]["rules_version"]), (1, &json!(2)), "{open:?}");

    // By a signal, too; the alert of a rule that is gone is cleared, not forgotten.
    fs::write(&rules, RULE.replace("\"full\"", "\"fuller\"")).unwrap();
    site.process().signal("-HUP");
    wait_for("version 3", || (site.json("/api/v1/rules")["version"] == 3).then_some(()));
    assert!(site.alerts("condition=active").is_empty());
    assert_eq!(site.json("/api/v1/rules/versions").as_array().unwrap().len(), 3);
}

#[test]
fn a_device_is_told_which_rules_speak_for_it_by_the_api_and_by_the_command() {
    let text = format!(
        "{RULE}[[rule.override]]\ntags = [\"quay\"]\n[[rule.override.level]]\nseverity = \"minor\"\nraise = \">= 40\"\nclear = \"< 30\"\n"
    );
    let site = with_rules(&text);
    let entry = json!({ "kind": "bin", "tags": ["quay"] }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/devices/b-1", Some(&entry)).unwrap().0, 200);
    let told = site.json("/api/v1/devices/b-1/rules");
    assert_eq!((&told[0]["verdict"], &told[0]["levels"][0]["raise"]), (&json!("speaks"), &json!(">= 40")));
    let output =
        Command::new(BINARY).args(["rules", "explain", "b-1", "--config"]).arg(site.config()).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.contains("the override for tags quay") && said.contains(">= 40 %"), "{said}");
}

#[test]
fn a_snooze_keeps_alerts_back_says_so_and_gives_them_when_it_ends() {
    let site = Site::started("");
    let entry = json!({ "kind": "bin" }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/devices/b-1", Some(&entry)).unwrap().0, 200);
    let nothing = json!({ "to": "2099-01-01T00:00:00Z", "reason": "x" }).to_string();
    assert_eq!(site.request("POST", "/api/v1/maintenance", Some(&nothing)).unwrap().0, 400);
    let hour = json!({ "device": "b-1", "to": later(), "reason": "the lid is mended" }).to_string();
    let (status, _, body) = site.request("POST", "/api/v1/maintenance", Some(&hour)).unwrap();
    assert_eq!(status, 201, "{body}");
    let id = serde_json::from_str::<Value>(&body).unwrap()["id"].as_i64().unwrap();
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":95}"#));
    assert!(site.alerts("").is_empty());
    let window = &site.json("/api/v1/maintenance")[0];
    assert_eq!(
        (&window["suppressed"], &window["who"], &window["state"]),
        (&json!(1), &json!("test"), &json!("running"))
    );
    assert_eq!(site.request("DELETE", &format!("/api/v1/maintenance/{id}"), None).unwrap().0, 204);
    assert_eq!(site.alerts("condition=active").len(), 1);
    assert_eq!(site.json("/api/v1/maintenance")[0]["ended_by"], "test");
}

fn later() -> String {
    sanimon_time(now_ms() + 3_600_000)
}

fn sanimon_time(ms: i64) -> String {
    sanimon_domain::TimestampMs(ms).to_string()
}

#[test]
fn a_missed_deadline_climbs_the_chain_and_everything_has_an_owner() {
    let mut site = Site::new("");
    let config =
        fs::read_to_string(site.config()).unwrap().replace("[site]\n", "[site]\nteams = \"teams.toml\"\n");
    fs::write(site.config(), config).unwrap();
    let teams = "[[team]]\nid = \"crew\"\nname = { en = \"Crew\", zh = \"班组\" }\nmembers = [\"wang\"]\n[[team]]\nid = \"chief\"\n\
                 name = { en = \"Chief\", zh = \"站长\" }\n[escalation]\nchain = [\"chief\"]\n\
                 [[deadline]]\nseverity = \"major\"\nacknowledge = \"1s\"\narrive = \"1h\"\nresolve = \"2h\"\naround_the_clock = \"yes\"\n";
    fs::write(site.folder.path().join("teams.toml"), teams).unwrap();
    site.prepare();
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":91}"#));
    let alert =
        wait_for("the escalation", || site.alerts("").into_iter().find(|alert| alert["escalations"] == 1));
    assert_eq!((&alert["assignee"], &alert["escalated_to"]), (&json!("crew"), &json!("chief")));
    let history = site.json(&format!("/api/v1/alerts/{}", alert["id"]));
    let escalated =
        history["history"].as_array().unwrap().iter().find(|step| step["kind"] == "escalated").cloned();
    assert_eq!(escalated.unwrap()["note"], "acknowledge");
    assert_eq!(site.json("/api/v1/teams")[0]["on_duty"], json!(["wang"]));
}

/// A form as a browser sends it.
fn multipart(fields: &[(&str, &str)]) -> (String, String) {
    let boundary = "sanimon-test-boundary";
    let part = |(name, value): &(&str, &str)| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = fields.iter().map(part).collect::<String>() + &format!("--{boundary}--\r\n");
    (format!("content-type: multipart/form-data; boundary={boundary}\r\n"), body)
}

#[test]
fn a_resident_reports_without_an_account_sees_it_done_and_says_how_satisfied() {
    let site = Site::started("");
    let entry = json!({ "kind": "toilet", "name": "Park toilet" }).to_string();
    assert_eq!(site.request("PUT", "/api/v1/devices/t-1", Some(&entry)).unwrap().0, 200);
    assert_eq!(site.request("POST", "/api/v1/places/codes", Some("{}")).unwrap().0, 200);
    let (status, signs) = site.get("/api/v1/places/signs").unwrap();
    assert!(status == 200 && signs.contains("<svg") && signs.contains("Park toilet"), "{status}");
    let code = signs.split("/r/").nth(2).unwrap().chars().take(8).collect::<String>();

    let path = format!("/r/{code}");
    let (status, head, form) = http(site.http, "GET", &path, "accept-language: zh-CN\r\n", "").unwrap();
    assert!(status == 200 && form.contains("这里有什么问题") && form.contains("Park toilet"));
    assert!(head.contains("default-src 'none'"), "{head}");
    let stamp = form.split("name=\"stamp\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let send = |stamp: &str| {
        let fields = [
            ("category", "supplies"),
            ("text", "no paper <b>"),
            ("stamp", stamp),
            ("website", ""),
            ("lang", "en"),
        ];
        let (headers, body) = multipart(&fields);
        http(site.http, "POST", &path, &headers, &body).unwrap()
    };
    assert_eq!(send(&stamp).0, 400, "nobody fills a form in that quickly");
    let (_, head, _) =
        wait_for("the form is old enough", || Some(send(&stamp)).filter(|answer| answer.0 == 303));
    let own = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();

    let alert = site.alerts("condition=active")[0].clone();
    assert_eq!(
        (&alert["rule"], &alert["title"]["en"]),
        (&json!("resident_report"), &json!("Resident: no paper or soap"))
    );
    let reports = site.json(&format!("/api/v1/alerts/{}/reports", alert["id"]));
    assert_eq!(reports[0]["text"], "no paper <b>");
    // A second report joins the open case.
    assert_eq!(send(&stamp).0, 303);
    assert_eq!(site.alerts("condition=active").len(), 1);

    for (step, body) in [("acknowledge", "{}"), ("handle", "{}"), ("verify", "{}")] {
        let path = format!("/api/v1/alerts/{}/{step}", alert["id"]);
        let (status, _, said) = site.request("POST", &path, Some(body)).unwrap();
        // Who handled does not verify.
        assert_eq!(status, if step == "verify" { 409 } else { 200 }, "{said}");
    }
    let dismiss = format!("/api/v1/alerts/{}/reopen", alert["id"]);
    assert_eq!(site.request("POST", &dismiss, Some(r#"{"note":"look again"}"#)).unwrap().0, 200);
    let dismiss = format!("/api/v1/alerts/{}/dismiss", alert["id"]);
    assert_eq!(site.request("POST", &dismiss, Some(r#"{"note":"there is paper"}"#)).unwrap().0, 200);
    assert!(site.alerts("condition=active").is_empty());
    let (_, _, page) = http(site.http, "GET", &own, "", "").unwrap();
    assert!(page.contains("This report is closed") && page.contains("How satisfied"), "{page}");
    let own = own.split('?').next().unwrap();
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    assert_eq!(
        http(site.http, "POST", &format!("{own}/rate"), form, "satisfaction=4&lang=en").unwrap().0,
        303
    );
    assert_eq!(site.json(&format!("/api/v1/alerts/{}/reports", alert["id"]))[0]["satisfaction"], 4);
    assert_eq!(http(site.http, "GET", "/r/XXXXXXXX", "", "").unwrap().0, 404);
}

#[test]
fn new_rules_are_tried_on_what_was_stored() {
    let site = with_rules(RULE);
    let start = now_ms() - 3_600_000;
    for (minute, fill) in [(0, 50), (10, 92), (20, 70), (30, 65), (40, 20)] {
        let payload = format!(r#"{{"ts":{},"fill_pct":{fill}}}"#, start + minute * 60_000);
        assert!(publish(site.mqtt, TOPIC, &payload));
    }
    let new = site.folder.path().join("new.toml");
    fs::write(&new, RULE.replace(">= 90", ">= 60").replace("< 80", "< 40")).unwrap();
    let output = Command::new(BINARY)
        .args(["replay", "--json", "--config"])
        .arg(site.config())
        .arg("--rules")
        .arg(&new)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["rules"]["full"],
        json!({ "then": 1, "now": 1, "both": 1, "only_then": 0, "only_now": 0 })
    );
    let (then, now) = (&report["both"][0]["then"], &report["both"][0]["now"]);
    assert_eq!(then["cleared_at"], json!(sanimon_time(start + 20 * 60_000)));
    assert_eq!(now["cleared_at"], json!(sanimon_time(start + 40 * 60_000)));
    // The replay of the rules in force is what really happened.
    let real = &site.alerts("")[0];
    assert_eq!((&real["raised_at"], &real["cleared_at"]), (&then["raised_at"], &then["cleared_at"]));
}
