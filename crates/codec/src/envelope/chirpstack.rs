//! ChirpStack v4 with its JSON encoding: `application/ID/device/DEV_EUI/event/EVENT`.
//!
//! Fields that are zero or false may be left out or not, as the server is set up; so a missing frame counter is 0. Version
//! 3's uplinks are understood, too: flat, with the DevEUI in Base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::{Fault, FaultCode};
use serde_json::Value;

use super::{Context, network_time, radio, text, wrong_shape};
use crate::heard::{Decoded, DeviceEvent, Heard, RawFrame, Speaker, Uplink};
use crate::sample::Samples;

pub(super) fn read(context: Context<'_>, body: &Value) -> Decoded {
    let device = &body["deviceInfo"];
    let v3_id = text(body, "devEUI").map(eui_of_v3);
    let Some(id) = text(device, "devEui").or(v3_id.as_deref()).or(context.device) else {
        return wrong_shape("a message of ChirpStack v4 has deviceInfo.devEui");
    };
    let mut speaker = match Speaker::hardware(id) {
        Ok(speaker) => speaker,
        Err(fault) => return Decoded { heard: Vec::new(), faults: vec![fault] },
    };
    speaker.name = text(device, "deviceName").or(text(body, "deviceName")).map(Into::into);
    let mut heard = Heard::new(speaker);
    let mut faults = Vec::new();
    match event_of(context.message.topic, body) {
        "up" => up(&mut heard, body, &mut faults),
        "status" => status(&mut heard, body, &mut faults),
        "join" => heard.events.push(DeviceEvent::new("device", "joined", text(body, "devAddr"))),
        "log" => {
            let words = [text(body, "level"), text(body, "code"), text(body, "description")];
            let detail = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
            heard.events.push(DeviceEvent::new("device", "network_log", Some(&detail)));
        }
        "ack" => {
            let what = if body["acknowledged"] == true {
                "downlink_acknowledged"
            } else {
                "downlink_not_acknowledged"
            };
            heard.events.push(DeviceEvent::new("device", what, None));
        }
        "txack" => heard.events.push(DeviceEvent::new("device", "downlink_sent", text(body, "gatewayId"))),
        "location" => {
            let place = &body["location"];
            let detail = format!("{}, {}", place["latitude"], place["longitude"]);
            heard.events.push(DeviceEvent::new("device", "located", Some(&detail)));
        }
        "integration" => {
            heard.events.push(DeviceEvent::new("device", "integration", text(body, "integrationName")));
        }
        other => {
            let message = format!("`{other}` is no event of ChirpStack v4");
            faults.push(Fault::new(FaultCode::WrongShape, message));
        }
    }
    Decoded { heard: vec![heard], faults }
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

fn up(heard: &mut Heard, body: &Value, faults: &mut Vec<Fault>) {
    let v3_time = || body["rxInfo"].as_array()?.iter().find_map(|gateway| network_time(&gateway["time"]));
    let at = network_time(&body["time"]).or_else(v3_time);
    let counter = body["fCnt"].as_u64().unwrap_or(0) as u32;
    heard.add_samples(radio::signal(&body["rxInfo"], counter, at), faults);
    let Some(data) = text(body, "data") else { return };
    match BASE64_STANDARD.decode(data) {
        Ok(bytes) => {
            let session = text(body, "devAddr").unwrap_or_default().into();
            let port = body["fPort"].as_u64().and_then(|port| u8::try_from(port).ok()).unwrap_or(0);
            let uplink = Some(Uplink { session, counter });
            heard.frame = Some(Box::new(RawFrame { port, bytes, at, uplink }));
        }
        Err(error) => faults.push(Fault::new(FaultCode::WrongType, format!("`data` is not Base64: {error}"))),
    }
}

fn status(heard: &mut Heard, body: &Value, faults: &mut Vec<Fault>) {
    let at = network_time(&body["time"]);
    let mut samples = Samples::default();
    if let Some(margin) = body["margin"].as_f64() {
        samples.value("margin_db", margin, at);
    }
    let has_battery = body["batteryLevelUnavailable"] != true && body["externalPowerSource"] != true;
    if let Some(level) = body["batteryLevel"].as_f64().filter(|_| has_battery) {
        samples.value("battery_pct", level, at);
    }
    if body["externalPowerSource"] == true {
        samples.events.push(DeviceEvent::new("device", "mains_on", None));
    }
    heard.add_samples(samples, faults);
}
