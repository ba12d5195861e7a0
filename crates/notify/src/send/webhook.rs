//! A POST of JSON with an idempotency key, signed with HMAC-SHA256.

use hmac::{Hmac, KeyInit, Mac};
use sanimon_domain::{Subject, TimestampMs, metric};
use sanimon_store::{Alert, OutboxMessage};
use serde_json::{Value, json};
use sha2::Sha256;
use ureq::Agent;

use super::OutgoingMessage;
use super::http::{by_status, post};
use crate::failure::Failure;

/// `Sanimon-Signature: t=<Unix seconds>,v1=<hex of HMAC-SHA256(secret, "t.body")>`: the time keeps old messages from being
/// played again.
fn signature(secret: &str, at: TimestampMs, body: &str) -> String {
    let seconds = at.0.div_euclid(1_000);
    let tag = hmac_sha256(secret.as_bytes(), format!("{seconds}.{body}").as_bytes());
    tag.iter().fold(format!("t={seconds},v1="), |text, byte| format!("{text}{byte:02x}"))
}

pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn send(
    agent: &Agent,
    url: &str,
    secret: Option<&str>,
    now: TimestampMs,
    outgoing: &OutgoingMessage<'_>,
) -> Result<(), Failure> {
    let body = body(outgoing).to_string();
    let mut headers = vec![("Idempotency-Key", outgoing.key.to_owned())];
    if let Some(secret) = secret {
        headers.push(("Sanimon-Signature", signature(secret, now, &body)));
    }
    let answer = post(agent, url, &headers, &body)?;
    by_status(answer.status).map_or(Ok(()), |cause| Err(answer.failure(cause)))
}

fn body(outgoing: &OutgoingMessage<'_>) -> Value {
    let events = outgoing.about.iter().zip(outgoing.devices);
    let events: Vec<Value> =
        events.map(|((message, alert), device)| event(message, alert, device.as_deref())).collect();
    json!({
        "key": outgoing.key,
        "site": outgoing.site_name,
        "subject": outgoing.text.subject,
        "text": outgoing.text.body,
        "is_test": outgoing.about.is_empty(),
        "events": events,
    })
}

/// An event of an alert, and the alert as it stands now. Also what the open state on MQTT says.
pub(super) fn event(message: &OutboxMessage, alert: &Alert, device: Option<&str>) -> Value {
    let time = |at: Option<TimestampMs>| at.map(|at| at.to_string());
    let group = match &alert.subject {
        Subject::Group(key) => Some(json!({ "kind": key.kind.as_str(), "id": key.id })),
        Subject::Device(_) => None,
    };
    let info = metric::info(alert.metric);
    json!({
        "event": message.event.as_str(),
        "at": message.at.to_string(),
        "who": message.who,
        "note": message.note,
        "escalated_to": message.escalated_to,
        "alert": {
            "id": alert.id.0,
            "rule": alert.rule.as_str(),
            "rules_version": alert.rules_version,
            "title": { "en": alert.title_en, "zh": alert.title_zh },
            "device": device,
            "group": group,
            "zone": alert.zone.as_ref().map(sanimon_domain::ZoneId::as_str),
            "metric": info.map(|info| info.name),
            "unit": info.map(|info| info.unit),
            "value": message.value.or(alert.value),
            "severity": alert.severity.as_str(),
            "condition": alert.condition.as_str(),
            "handling": alert.handling.as_str(),
            "raised_at": alert.raised_at.to_string(),
            "cleared_at": time(alert.cleared_at),
            "acknowledge_by": time(alert.deadlines.acknowledge_by),
            "arrive_by": time(alert.deadlines.arrive_by),
            "resolve_by": time(alert.deadlines.resolve_by),
            "assignee": alert.assignee,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha256 -hmac secret` over `1772323200.{"a":1}`.
    #[test]
    fn the_signature_is_what_openssl_says() {
        let at = TimestampMs(1_772_323_200_500);
        assert_eq!(signature("secret", at, "{\"a\":1}"), EXPECTED);
    }

    const EXPECTED: &str = "t=1772323200,v1=eeccb51fb334faff70d79b7af0160b53f88943b4729882e0f166a98b87b8d784";
}
