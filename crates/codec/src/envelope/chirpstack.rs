//! ChirpStack v4 with its JSON encoding: `application/ID/device/DEV_EUI/event/EVENT`.
//!
//! Fields that are zero or false may be left out or not, as the server is set up; so a missing frame counter is 0. Version
//! 3's uplinks are understood, too: flat, with the DevEUI in Base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::FaultCode;
use serde_json::Value;

use super::{Context, radio, text, wrong_shape};
use crate::decoded::Decoded;
use crate::report::{RawFrame, Sender, Uplink};
use crate::sample::Samples;
use crate::topic::shown;

pub(super) fn read(context: Context<'_>, body: &Value) -> Decoded {
    let device = &body["deviceInfo"];
    let v3_id = text(body, "devEUI").map(eui_of_v3);
    let Some(id) = text(device, "devEui").or(v3_id.as_deref()).or(context.device) else {
        return wrong_shape("a message of ChirpStack v4 has deviceInfo.devEui");
    };
    let sender = Sender::hardware(id).map(|mut sender| {
        sender.set_name(text(device, "deviceName").or(text(body, "deviceName")));
        sender
    });
    let mut samples = Samples::default();
    match event_of(context.message.topic, body) {
        "up" => up(context, body, &mut samples),
        "status" => status(context, body, &mut samples),
        "join" => samples.event("device", "joined", text(body, "devAddr")),
        "log" => {
            let words = [text(body, "level"), text(body, "code"), text(body, "description")];
            let detail = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
            samples.event("device", "network_log", Some(&detail));
        }
        "ack" => {
            let what = if body["acknowledged"] == true {
                "downlink_acknowledged"
            } else {
                "downlink_not_acknowledged"
            };
            samples.event("device", what, None);
        }
        "txack" => samples.event("device", "downlink_sent", text(body, "gatewayId")),
        "location" => {
            let place = &body["location"];
            let detail = format!("{}, {}", place["latitude"], place["longitude"]);
            samples.event("device", "located", Some(&detail));
        }
        "integration" => {
            samples.event("device", "integration", text(body, "integrationName"));
        }
        other => {
            let message = format!("`{}` is no event of ChirpStack v4", shown(other));
            samples.fault(FaultCode::WrongShape, message);
        }
    }
    Decoded::of(sender, samples)
}

/// Version 3 writes the eight bytes in Base64, or as they are read.
fn eui_of_v3(text: &str) -> String {
    match BASE64_STANDARD.decode(text) {
        Ok(bytes) if bytes.len() == 8 => crate::device::hex(&bytes),
        _ => text.to_owned(),
    }
}

/// The topic's last level, or what the fields tell.
fn event_of<'a>(topic: &'a str, body: &Value) -> &'a str {
    const EVENTS: [&str; 8] = ["up", "status", "join", "log", "ack", "txack", "location", "integration"];
    let last = topic.rsplit('/').next().unwrap_or_default();
    if EVENTS.contains(&last) {
        return last;
    }
    let has = |key: &str| body.get(key).is_some();
    match () {
        () if has("txInfo") && has("downlinkId") => "txack",
        () if has("data") || has("rxInfo") => "up",
        () if has("margin") || has("batteryLevel") => "status",
        () if has("code") => "log",
        () if has("acknowledged") || has("queueItemId") => "ack",
        () if has("location") => "location",
        () if has("integrationName") => "integration",
        () if has("devAddr") => "join",
        () => last,
    }
}

fn up(context: Context<'_>, body: &Value, samples: &mut Samples) {
    // Version 3 has the gateways' times only.
    let at = context.time(&body["time"]).or(context.gateway_time(&body["rxInfo"]));
    let at = samples.time("time", at);
    let counter = body["fCnt"].as_u64().unwrap_or(0) as u32;
    radio::signal(samples, &body["rxInfo"], counter, at);
    let Some(data) = text(body, "data") else { return };
    match BASE64_STANDARD.decode(data) {
        Ok(bytes) => {
            let session = text(body, "devAddr").unwrap_or_default().into();
            let port = body["fPort"].as_u64().and_then(|port| u8::try_from(port).ok()).unwrap_or(0);
            let uplink = Some(Uplink { session, counter });
            samples.frame(RawFrame { port, bytes, at, uplink });
        }
        Err(error) => samples.fault(FaultCode::WrongType, format!("`data` is not Base64: {error}")),
    }
}

fn status(context: Context<'_>, body: &Value, samples: &mut Samples) {
    let at = samples.time("time", context.time(&body["time"]));
    if let Some(margin) = body["margin"].as_f64() {
        samples.value("margin_db", margin, at);
    }
    let has_battery = body["batteryLevelUnavailable"] != true && body["externalPowerSource"] != true;
    if let Some(level) = body["batteryLevel"].as_f64().filter(|_| has_battery) {
        samples.value("battery_pct", level, at);
    }
    if body["externalPowerSource"] == true {
        samples.event("device", "mains_on", None);
    }
}
