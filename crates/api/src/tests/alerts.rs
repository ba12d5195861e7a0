//! The list of alerts in a storm, and the counts beside it.

use std::collections::BTreeSet;

use rusqlite::Connection;
use sanimon_domain::{AlertId, RuleId, Severity, Subject};
use sanimon_operations::Deadlines;
use sanimon_store::Alert;
use serde_json::Value;

use super::*;

/// So many that they do not fit on one page.
const STORM: u64 = 1_500;
const STORM_I: i64 = STORM as i64;

/// An open alert of a bin in this zone. What is worse than a warning has its promise.
fn alert(id: u64, severity: Severity, zone: &str, raised_at: TimestampMs) -> Alert {
    let acknowledge_by = (severity != Severity::Warning).then(|| raised_at.plus_ms(15 * MINUTE_MS));
    let subject = Subject::Device(DeviceNo(u32::from(zone == "south")));
    let rule = RuleId::new("bin_fill").expect("a sound id");
    Alert {
        title_en: "Bin is full".to_owned(),
        title_zh: "垃圾桶已满".to_owned(),
        zone: ZoneId::new(zone).ok(),
        value: Some(92.0),
        deadlines: Deadlines { acknowledge_by, ..Deadlines::default() },
        ..Alert::new(AlertId(id), subject, rule, severity, raised_at)
    }
}

/// Raised one a minute: the oldest is critical, the others are of all kinds but critical. Two of three are in the north, one of
/// three in the south: so is the critical one.
fn storm(tx: &Tx<'_>) {
    for n in 0..STORM {
        let zone = if n.is_multiple_of(3) { "south" } else { "north" };
        let severity = match n {
            0 => Severity::Critical,
            n if n.is_multiple_of(2) => Severity::Warning,
            _ => Severity::Major,
        };
        let raised_at = NOW.minus_ms((STORM_I - n as i64) * MINUTE_MS);
        tx.insert_alert(&alert(n + 1, severity, zone, raised_at), None).expect("an alert");
    }
}

/// Over a storm, with an account that sees these zones; none: all.
fn api(zones: &[&str]) -> Api {
    let zones = zones.iter().map(|id| ZoneId::new(id).expect("a sound id")).collect();
    Api::over_rows(storm, Account { zones, ..account("viewer") })
}

fn ids(page: &Value) -> Vec<u64> {
    page["items"].as_array().expect("items").iter().filter_map(|alert| alert["id"].as_u64()).collect()
}

async fn pages(api: &Api, cookie: &str, query: &str) -> (Vec<u64>, usize) {
    let (mut all, mut cursor, mut count) = (Vec::new(), String::new(), 0);
    loop {
        let page = api.json(cookie, &format!("/api/v1/alerts?{query}{cursor}")).await;
        all.extend(ids(&page));
        count += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (all, count),
        }
    }
}

#[tokio::test]
async fn in_a_storm_the_oldest_critical_alert_stands_first_and_all_are_counted() {
    let api = api(&[]);
    let cookie = api.sign_in().await;
    let path = "/api/v1/alerts?condition=active&sort=urgent&limit=500";
    let first = api.json(&cookie, path).await;
    assert_eq!((&first["items"][0]["id"], &first["items"][0]["severity"]), (&1.into(), &"critical".into()));
    assert_eq!((&first["total"], &first["total_is_exact"]), (&STORM.into(), &true.into()));
    // The newest thousand do not have it.
    let (newest, _) = pages(&api, &cookie, "condition=active&limit=500").await;
    assert_eq!(newest, (1..=STORM).rev().collect::<Vec<_>>());

    let (urgent, count) = pages(&api, &cookie, "condition=active&sort=urgent&limit=500").await;
    assert_eq!(count, 3);
    let majors = (1..STORM).step_by(2).map(|n| n + 1);
    let warnings = (2..STORM).step_by(2).map(|n| n + 1);
    assert_eq!(urgent, std::iter::once(1).chain(majors).chain(warnings).collect::<Vec<_>>());

    let counts = api.json(&cookie, "/api/v1/alerts/counts").await;
    let expected = serde_json::json!({
        "total": STORM,
        "by_severity": { "critical": 1, "major": STORM / 2, "minor": 0, "warning": STORM / 2 - 1 },
        "unacknowledged": STORM,
        "overdue": counts["overdue"],
    });
    assert_eq!(counts, expected);
    // The one and the majors of more than some minutes have promises that are past; warnings have none.
    let overdue = counts["overdue"].as_u64().expect("a number");
    assert!((1..=STORM / 2 + 1).contains(&overdue), "{overdue}");
    let stats = api.json(&cookie, "/api/v1/stats").await;
    let expected = serde_json::json!({ "critical": 1, "major": STORM / 2, "warning": STORM / 2 - 1 });
    assert_eq!(stats["open_alerts"], expected);
}

#[tokio::test]
async fn an_account_of_some_zones_is_told_only_their_numbers() {
    for (zone, share) in [("north", STORM - STORM / 3), ("south", STORM / 3)] {
        let api = api(&[zone]);
        let cookie = api.sign_in().await;
        let page = api.json(&cookie, "/api/v1/alerts?condition=active&sort=urgent").await;
        assert_eq!(page["total"], share, "{zone}");
        let critical = u64::from(zone == "south");
        let counts = api.json(&cookie, "/api/v1/alerts/counts").await;
        assert_eq!((&counts["total"], &counts["unacknowledged"]), (&share.into(), &share.into()), "{zone}");
        assert_eq!(counts["by_severity"]["critical"], critical, "{zone}");
        let stats = api.json(&cookie, "/api/v1/stats").await;
        let open: u64 =
            stats["open_alerts"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
        assert_eq!(open, share, "{zone}");
        let (listed, _) = pages(&api, &cookie, "sort=urgent&limit=333").await;
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len() as u64, share, "{zone}");
        let other = if zone == "north" { "south" } else { "north" };
        let page = api.json(&cookie, &format!("/api/v1/alerts?zone={other}&sort=urgent")).await;
        assert_eq!((&page["total"], ids(&page)), (&0.into(), vec![]), "{zone} asks for {other}");
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_given_is_refused_and_says_why() {
    let api = api(&[]);
    let cookie = api.sign_in().await;
    let urgent = api.json(&cookie, "/api/v1/alerts?sort=urgent&limit=1").await;
    let urgent = urgent["next_cursor"].as_str().expect("a cursor").to_owned();
    let newest = api.json(&cookie, "/api/v1/alerts?limit=1").await;
    let newest = newest["next_cursor"].as_str().expect("a cursor").to_owned();
    for (query, hint) in [
        ("limit=1001".to_owned(), "1 to 1000"),
        ("limit=0".to_owned(), "1 to 1000"),
        ("sort=oldest".to_owned(), "`newest` or `urgent`"),
        (format!("cursor={urgent}"), "another order"),
        (format!("sort=urgent&cursor={newest}"), "another order"),
        ("cursor=17".to_owned(), "none that was given"),
        ("cursor=urgent.huge.1.1&sort=urgent".to_owned(), "none that was given"),
        ("cursor=newest.1.1".to_owned(), "none that was given"),
        ("cursor=".to_owned(), "none that was given"),
    ] {
        let response = api.send("GET", &format!("/api/v1/alerts?{query}"), &cookie, "").await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let said = text(response).await;
        assert!(said.contains(hint), "{query}: {said}");
    }
}

#[tokio::test]
async fn an_alert_that_cannot_be_understood_takes_no_other_with_it_and_is_told_as_damage() {
    let three = |tx: &Tx<'_>| {
        for id in 1..=3 {
            tx.insert_alert(&alert(id, Severity::Major, "north", NOW), None).expect("an alert");
        }
    };
    let api = Api::over_rows(three, account("viewer"));
    let cookie = api.sign_in().await;
    let file = Connection::open(api.folder.path().join("sanimon.db")).expect("the file");
    file.execute("UPDATE alert SET handling = 'xyz' WHERE id = 2", []).expect("damage");
    for _ in 0..2 {
        let page = api.json(&cookie, "/api/v1/alerts?condition=active&sort=urgent").await;
        assert_eq!((ids(&page), &page["total"]), (vec![1, 3], &2.into()));
        assert_eq!(api.json(&cookie, "/api/v1/alerts/counts").await["total"], 2);
        // And the measures, which look at them all.
        api.json(&cookie, "/api/v1/measures").await;
    }
    let metrics = text(api.send("GET", "/metrics", "", "").await).await;
    assert!(metrics.lines().any(|line| line == "sanimon_damaged_places 1"), "{metrics}");
}

#[test]
fn the_document_names_the_longest_page_that_is_given() {
    let document: Value = serde_json::from_str(&openapi()).expect("JSON");
    let parameters = document["paths"]["/api/v1/alerts"]["get"]["parameters"].as_array().expect("parameters");
    let limit = parameters.iter().find(|parameter| parameter["name"] == "limit").expect("a limit");
    let bounds = (&limit["schema"]["minimum"], &limit["schema"]["maximum"]);
    assert_eq!(bounds, (&1.into(), &crate::alerts::list::PAGE_MAX.into()));
}
