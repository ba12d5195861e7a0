//! The Things Stack v3: `v3/{application}@{tenant}/devices/{device}/up`, without `@tenant` in the open-source server.
//!
//! Empty, zero and false fields are always left out: a missing `f_cnt` is 0, a missing payload is empty.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::FaultCode;
use serde_json::Value;

use super::{Context, radio, text, wrong_shape};
use crate::decoded::Decoded;
use crate::report::{RawFrame, Sender, Uplink};
use crate::sample::Samples;

/// Messages about downlinks and services: they say that something happened, and nothing that was measured.
const OTHERS: [(&str, &str); 9] = [
    ("downlink_ack", "downlink_acknowledged"),
    ("downlink_nack", "downlink_not_acknowledged"),
    ("downlink_sent", "downlink_sent"),
    ("downlink_failed", "downlink_failed"),
    ("downlink_queued", "downlink_queued"),
    ("downlinks", "downlink_queued"),
    ("downlink_queue_invalidated", "downlink_queue_invalidated"),
    ("location_solved", "located"),
    ("service_data", "integration"),
];

pub(super) fn read(context: Context<'_>, body: &Value) -> Decoded {
    let ids = &body["end_device_ids"];
    let Some(id) = text(ids, "dev_eui").or(text(ids, "device_id")).or(context.device) else {
        return wrong_shape("a message of The Things Stack v3 has end_device_ids");
    };
    let uplink = &body["uplink_message"];
    let sender = Sender::hardware(id).map(|mut sender| {
        sender.set_name(text(ids, "device_id"));
        // The device repository's model id is what its codec's file is called, and so is ours.
        let model = text(&uplink["version_ids"], "model_id").and_then(crate::device::model);
        sender.model = model.map(|model| model.name.into());
        sender
    });
    let mut samples = Samples::default();
    if uplink.is_object() {
        up(context, body, &mut samples);
    } else if body["join_accept"].is_object() {
        samples.event("device", "joined", text(ids, "dev_addr"));
    } else if let Some((key, what)) = OTHERS.iter().find(|(key, _)| body.get(key).is_some()) {
        let detail = text(&body[*key]["error"], "name");
        samples.event("device", what, detail);
    } else {
        samples.fault(FaultCode::WrongShape, "no message of The Things Stack v3 has these fields");
    }
    Decoded::of(sender, samples)
}

fn up(context: Context<'_>, body: &Value, samples: &mut Samples) {
    let uplink = &body["uplink_message"];
    let at = context.time(&uplink["received_at"]).or(context.time(&body["received_at"]));
    let at = samples.time("received_at", at.or(context.gateway_time(&uplink["rx_metadata"])));
    let counter = uplink["f_cnt"].as_u64().unwrap_or(0) as u32;
    radio::signal(samples, &uplink["rx_metadata"], counter, at);
    let battery = &uplink["last_battery_percentage"];
    if let Some(percent) = battery["value"].as_f64() {
        samples.value("battery_pct", percent, context.time(&battery["received_at"]).or(at));
    }
    let Some(data) = text(uplink, "frm_payload") else { return };
    match BASE64_STANDARD.decode(data) {
        Ok(bytes) => {
            let session = text(uplink, "session_key_id").or(text(&body["end_device_ids"], "dev_addr"));
            let uplink_id = Uplink { session: session.unwrap_or_default().into(), counter };
            let port = uplink["f_port"].as_u64().and_then(|port| u8::try_from(port).ok()).unwrap_or(0);
            samples.frame(RawFrame { port, bytes, at, uplink: Some(uplink_id) });
        }
        Err(error) => samples.fault(FaultCode::WrongType, format!("`frm_payload` is not Base64: {error}")),
    }
}
