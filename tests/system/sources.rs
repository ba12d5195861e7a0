//! A publish to either broker becomes a stored reading, and is acknowledged only then.

use crate::harness::{Mosquitto, Site, publish, publish_with, wait_for};

const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";

#[test]
fn the_embedded_broker_acknowledges_what_is_stored() {
    let mut site = Site::started("");
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":43}"#));
    // The acknowledgement has come: no waiting, and a kill right now must not lose it.
    site.kill();
    site.start();
    let values: Vec<f64> = site.points("b-1", "fill_pct").iter().map(|(_, value)| *value).collect();
    assert!(values.contains(&43.0), "{values:?}");
}

#[test]
fn an_external_mosquitto_is_followed_and_its_messages_are_stored() {
    let broker = Mosquitto::start();
    let site = Site::started(&broker.broker_section());
    wait_for("the broker is connected", || (site.get("/readyz")?.0 == 200).then_some(()));
    // The subscription is made right after the connection; a message before it has no subscriber.
    wait_for("a reading arrives", || {
        assert!(publish(broker.port, TOPIC, r#"{"fill_pct":61}"#));
        site.points("b-1", "fill_pct").last().copied()
    });
}

#[test]
fn messages_that_came_while_sanimon_was_away_arrive_when_it_is_back() {
    let broker = Mosquitto::start();
    let mut site = Site::started(&broker.broker_section());
    wait_for("a reading arrives", || {
        assert!(publish(broker.port, TOPIC, r#"{"fill_pct":1}"#));
        site.points("b-1", "fill_pct").last().copied()
    });
    assert_eq!(site.stop(), 0);
    let ts = now_ms();
    for n in 0..20 {
        assert!(publish(broker.port, TOPIC, &format!(r#"{{"ts":{},"fill_pct":{}}}"#, ts - 20 + n, 50 + n)));
    }
    site.start();
    let all = wait_for("the backlog arrives", || {
        let late = site.points("b-1", "fill_pct").into_iter().filter(|(_, value)| *value >= 50.0).count();
        (late == 20).then_some(late)
    });
    assert_eq!(all, 20);
}

#[test]
fn an_undated_retained_message_is_shown_as_last_known_and_never_stored() {
    let broker = Mosquitto::start();
    assert!(publish_with(broker.port, TOPIC, r#"{"fill_pct":99}"#, &["-r"]));
    let site = Site::started(&broker.broker_section());
    let latest = wait_for("the retained value is known", || {
        let (status, body) = site.get("/api/v1/devices/b-1/latest")?;
        (status == 200 && body.contains("fill_pct")).then_some(body)
    });
    let latest: serde_json::Value = serde_json::from_str(&latest).unwrap();
    assert!(latest["fill_pct"]["observed_at"].is_null(), "{latest}");
    assert!(site.points("b-1", "fill_pct").is_empty());
    assert!(site.alerts("condition=active").is_empty());
}

#[test]
fn a_status_message_is_the_device_s_connection_state() {
    let site = Site::started("");
    assert!(publish(site.mqtt, "sanitation/east/bin/b-1/status", "online"));
    assert_eq!(site.json("/api/v1/devices/b-1")["online"], true);
    assert!(publish(site.mqtt, "sanitation/east/bin/b-1/status", "offline"));
    assert_eq!(site.json("/api/v1/devices/b-1")["online"], false);
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// An RFC 3339 time in milliseconds.
pub(crate) fn parse_ms(text: &str) -> i64 {
    sanimon_domain::TimestampMs::parse_rfc3339(text).unwrap().0
}
