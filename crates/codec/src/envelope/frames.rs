//! A device's frame with little or nothing around it: as text, as bytes, or in a report of IoT Creators.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::{Fault, FaultCode};
use serde_json::Value;

use super::{Context, text, wrong_shape};
use crate::decoded::Decoded;
use crate::formats::Format;
use crate::report::{RawFrame, Sender};
use crate::sample::{SampleTime, Samples};
use crate::tree::{self, Outermost};

/// Bytes from pairs of hexadecimal digits; white space between them is no harm.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    if digits.len() % 2 == 1 {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// A device's frame without anything around it.
fn bare(bytes: Vec<u8>, at: SampleTime) -> Samples {
    let mut samples = Samples::default();
    samples.frame(RawFrame { port: 0, bytes, at, uplink: None });
    samples
}

/// Text or bytes; the topic says whose. A text may also stand in a JSON object.
pub(super) fn decode(context: Context<'_>) -> Decoded {
    let Some(name) = context.device else {
        return wrong_shape("the topic does not say whose frame it is: bind it with `{device}`");
    };
    let payload = context.message.payload;
    if context.binding.format == Format::Binary {
        return Decoded::of(Sender::named(name), bare(payload.to_vec(), SampleTime::Missing));
    }
    let Ok(plain) = std::str::from_utf8(payload) else {
        return Decoded::fault(
            FaultCode::WrongType,
            "not a text: bind binary frames with format = \"binary\"",
        );
    };
    let object =
        plain.trim_start().starts_with('{').then(|| tree::read(payload, Outermost::Fields).ok()).flatten();
    let inner = object.as_ref().and_then(|tree| {
        ["hex", "data", "payload", "value"].into_iter().find_map(|key| text(&tree.body, key))
    });
    let plain = inner.unwrap_or(plain).trim();
    let bytes = match context.binding.format {
        Format::Base64 => BASE64_STANDARD.decode(plain).ok(),
        _ => from_hex(plain),
    };
    let mut decoded = match bytes {
        Some(bytes) => Decoded::of(Sender::named(name), bare(bytes, SampleTime::Missing)),
        None => Decoded::fault(
            FaultCode::WrongType,
            format!("the payload is not written as {}", context.binding.format.as_str()),
        ),
    };
    decoded.add_budget(object.map(|tree| tree.budget).unwrap_or_default());
    decoded
}

/// `{"reports":[{"serialNumber":"IMEI:..","timestamp":..,"value":"hex"}]}`
pub(super) fn iotcreators(context: Context<'_>, body: &Value) -> Decoded {
    let Some(reports) = body["reports"].as_array() else {
        return wrong_shape("a message of IoT Creators has a list of reports");
    };
    let mut all = Decoded::default();
    for report in reports {
        if !all.has_room_for_device() {
            continue;
        }
        let imei = text(report, "serialNumber").map(|serial| serial.trim_start_matches("IMEI:"));
        match (imei, text(report, "value").and_then(from_hex)) {
            (Some(imei), Some(bytes)) => {
                let mut samples = Samples::default();
                let at = samples.time("timestamp", context.time(&report["timestamp"]));
                samples.frame(RawFrame { port: 0, bytes, at, uplink: None });
                all.add(Sender::named(imei), samples);
            }
            _ => all.add_fault(Fault::new(
                FaultCode::WrongShape,
                "a report of IoT Creators has serialNumber and a value in hexadecimal digits",
            )),
        }
    }
    all
}
