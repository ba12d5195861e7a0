//! What the embedded broker says of those who met its limits.

use serde_json::json;

use super::*;

#[tokio::test]
async fn limits_that_were_met_are_told_with_who_met_them_last_and_when() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    let health = &api.state.shared.health;
    // Made known, as at the start, and not met.
    health.mqtt_limits.count("packet_bytes", 0);
    assert_eq!(api.json(&cookie, "/api/v1/mqtt/limits").await, json!({ "items": [] }));

    health.note_mqtt_limit("connections", "b-1", NOW);
    health.note_mqtt_limit("connections", "b-2", NOW.plus_ms(1_000));
    health.note_mqtt_limit("connect_bytes", "192.0.2.7", NOW.plus_ms(3_000));
    health.note_mqtt_limit("queue_messages", "", NOW.plus_ms(2_000));
    let expected = json!({ "items": [
        { "name": "connect_bytes", "count": 1, "last_by": "192.0.2.7", "last_at": "2026-03-01T00:00:03.000Z" },
        { "name": "queue_messages", "count": 1, "last_by": null, "last_at": "2026-03-01T00:00:02.000Z" },
        { "name": "connections", "count": 2, "last_by": "b-2", "last_at": "2026-03-01T00:00:01.000Z" },
    ] });
    assert_eq!(api.json(&cookie, "/api/v1/mqtt/limits").await, expected);
}

/// Names of devices outside of somebody's zones are nothing for them.
#[tokio::test]
async fn who_is_limited_to_zones_is_not_told_who_met_limits() {
    let zones = vec![ZoneId::new("north").expect("a sound id")];
    let api = Api::with(|port| port.enter(PutAccount(Account { zones, ..account("manager") })));
    let cookie = api.sign_in().await;
    let response = api.send("GET", "/api/v1/mqtt/limits", &cookie, "").await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}
