//! The Things Stack v3: `v3/{application}@{tenant}/devices/{device}/up`, without `@tenant` in the open-source server.
//!
//! Empty, zero and false fields are always left out: a missing `f_cnt` is 0, a missing payload is empty.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::{Fault, FaultCode};
use serde_json::Value;

use super::{Context, network_time, radio, text, wrong_shape};
use crate::heard::{Decoded, DeviceEvent, Heard, RawFrame, Speaker, Uplink};

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
    let mut speaker = match Speaker::hardware(id) {
        Ok(speaker) => speaker,
        Err(fault) => return Decoded { heard: Vec::new(), faults: vec![fault] },
    };
    speaker.name = text(ids, "device_id").map(Into::into);
    let uplink = &body["uplink_message"];
    // The device repository's model id is what its codec's file is called, and so is ours.
    speaker.model = text(&uplink["version_ids"], "model_id")
        .and_then(crate::device::model)
        .map(|model| model.name.into());
    let mut heard = Heard::new(speaker);
    let mut faults = Vec::new();
    if uplink.is_object() {
        up(&mut heard, body, uplink, &mut faults);
    } else if body["join_accept"].is_object() {
        heard.events.push(DeviceEvent::new("device", "joined", text(ids, "dev_addr")));
    } else if let Some((key, what)) = OTHERS.iter().find(|(key, _)| body.get(key).is_some()) {
        let detail = text(&body[*key]["error"], "name");
        heard.events.push(DeviceEvent::new("device", what, detail));
    } else {
        faults.push(Fault::new(FaultCode::WrongShape, "no message of The Things Stack v3 has these fields"));
    }
    Decoded { heard: vec![heard], faults }
}

fn up(heard: &mut Heard, body: &Value, uplink: &Value, faults: &mut Vec<Fault>) {
    let gateways = uplink["rx_metadata"].as_array().map_or(&[][..], Vec::as_slice);
    let gateway_time = gateways.iter().find_map(|gateway| network_time(&gateway["time"]));
    let at = network_time(&uplink["received_at"]).or(network_time(&body["received_at"])).or(gateway_time);
    let counter = uplink["f_cnt"].as_u64().unwrap_or(0) as u32;
    let mut samples = radio::signal(&uplink["rx_metadata"], counter, at);
    if let Some(battery) = uplink["last_battery_percentage"]["value"].as_f64() {
        let said_at = network_time(&uplink["last_battery_percentage"]["received_at"]);
        samples.value("battery_pct", battery, said_at.or(at));
    }
    heard.add_samples(samples, faults);
    let Some(data) = text(uplink, "frm_payload") else { return };
    match BASE64_STANDARD.decode(data) {
        Ok(bytes) => {
            let session = text(uplink, "session_key_id").or(text(&body["end_device_ids"], "dev_addr"));
            let uplink_id = Uplink { session: session.unwrap_or_default().into(), counter };
            let port = uplink["f_port"].as_u64().and_then(|port| u8::try_from(port).ok()).unwrap_or(0);
            heard.frame = Some(Box::new(RawFrame { port, bytes, at, uplink: Some(uplink_id) }));
        }
        Err(error) => {
            let message = format!("`frm_payload` is not Base64: {error}");
            faults.push(Fault::new(FaultCode::WrongType, message));
        }
    }
}
