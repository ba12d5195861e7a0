//! A device's frame with little or nothing around it: as text, as bytes, or in a report of IoT Creators.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::{FaultCode, TimestampMs};
use serde_json::Value;

use super::{Context, text, wrong_shape};
use crate::formats::Format;
use crate::heard::{Decoded, Heard, RawFrame, Speaker};

/// Bytes from pairs of hexadecimal digits; white space between them is no harm.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    if digits.len() % 2 == 1 {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn heard(name: &str, bytes: Vec<u8>, at: Option<TimestampMs>) -> Decoded {
    match Speaker::named(name) {
        Ok(speaker) => {
            let frame = Some(Box::new(RawFrame { port: 0, bytes, at, uplink: None }));
            Decoded { heard: vec![Heard { frame, ..Heard::new(speaker) }], faults: Vec::new() }
        }
        Err(fault) => Decoded { heard: Vec::new(), faults: vec![fault] },
    }
}

/// Text or bytes; the topic says whose. A text may also stand in a JSON object.
pub(super) fn decode(context: Context<'_>) -> Decoded {
    let Some(name) = context.device else {
        return wrong_shape("the topic does not say whose frame it is: bind it with `{device}`");
    };
    let payload = context.message.payload;
    if context.binding.format == Format::Binary {
        return heard(name, payload.to_vec(), None);
    }
    let Ok(plain) = std::str::from_utf8(payload) else {
        return Decoded::fault(
            FaultCode::WrongType,
            "not a text: bind binary frames with format = \"binary\"",
        );
    };
    let object = serde_json::from_str::<Value>(plain).ok().filter(Value::is_object);
    let inner = object
        .as_ref()
        .and_then(|body| ["hex", "data", "payload", "value"].into_iter().find_map(|key| text(body, key)));
    let plain = inner.unwrap_or(plain).trim();
    let bytes = match context.binding.format {
        Format::Base64 => BASE64_STANDARD.decode(plain).ok(),
        _ => from_hex(plain),
    };
    match bytes {
        Some(bytes) => heard(name, bytes, None),
        None => Decoded::fault(
            FaultCode::WrongType,
            format!("the payload is not written as {}", context.binding.format.as_str()),
        ),
    }
}

/// `{"reports":[{"serialNumber":"IMEI:..","timestamp":..,"value":"hex"}]}`
pub(super) fn iotcreators(_: Context<'_>, body: &Value) -> Decoded {
    let Some(reports) = body["reports"].as_array() else {
        return wrong_shape("a message of IoT Creators has a list of reports");
    };
    let mut all = Decoded::default();
    for report in reports {
        let imei = text(report, "serialNumber").map(|serial| serial.trim_start_matches("IMEI:"));
        let at = report["timestamp"].as_f64().and_then(TimestampMs::from_unix_by_magnitude);
        let one = match (imei, text(report, "value").and_then(from_hex)) {
            (Some(imei), Some(bytes)) => heard(imei, bytes, at),
            _ => wrong_shape("a report of IoT Creators has serialNumber and a value in hexadecimal digits"),
        };
        all.heard.extend(one.heard);
        all.faults.extend(one.faults);
    }
    all
}
