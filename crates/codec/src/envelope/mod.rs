//! What network servers and platforms put around a device's words.
//!
//! One file a server or platform. Each says who spoke, what the network knows (time, signal, joins), and hands a device's own
//! binary frame on as it is. A server's own decoding of the frame is not looked at: its names change with its codec's
//! version. Sources: `shared/sensors/README.md`, and the samples in `tests/data/envelopes` with their own sources.

mod chirpstack;
mod frames;
mod platforms;
mod radio;
mod tasmota;
mod tts;
mod values;

pub use frames::from_hex;

use sanimon_domain::{FaultCode, SiteCalendar, TimestampMs};
use serde_json::Value;

use crate::formats::{Binding, Format, Incoming};
use crate::heard::Decoded;

/// What the readers of all formats are given.
#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    binding: &'a Binding,
    /// The level of the topic that names the device.
    device: Option<&'a str>,
    message: Incoming<'a>,
    calendar: SiteCalendar,
}

pub(crate) fn decode(
    binding: &Binding,
    device: Option<&str>,
    message: Incoming<'_>,
    calendar: SiteCalendar,
) -> Decoded {
    let context = Context { binding, device, message, calendar };
    match binding.format {
        Format::Hex | Format::Base64 | Format::Binary => frames::decode(context),
        Format::Tasmota if message.topic.ends_with("/LWT") => tasmota::last_will(context),
        format => match serde_json::from_slice::<Value>(message.payload) {
            Err(error) => Decoded::fault(FaultCode::NotJson, format!("not JSON: {error}")),
            Ok(body) => read(format, context, &body),
        },
    }
}

fn read(format: Format, context: Context<'_>, body: &Value) -> Decoded {
    match format {
        Format::Chirpstack => chirpstack::read(context, body),
        Format::Tts => tts::read(context, body),
        Format::Tasmota => tasmota::read(context, body),
        Format::Iotcreators => frames::iotcreators(context, body),
        Format::Thingsboard => platforms::thingsboard(context, body),
        Format::Huawei => platforms::huawei(context, body),
        Format::Aliyun | Format::Onenet => platforms::alink(context, body),
        Format::Ctwing => platforms::ctwing(context, body),
        Format::Json | Format::Hex | Format::Base64 | Format::Binary => platforms::any_json(context, body),
    }
}

/// A body of another shape than the format has.
fn wrong_shape(message: &str) -> Decoded {
    Decoded::fault(FaultCode::WrongShape, message)
}

fn text<'a>(body: &'a Value, key: &str) -> Option<&'a str> {
    body[key].as_str().filter(|text| !text.is_empty())
}

/// A network server's time.
fn network_time(body: &Value) -> Option<TimestampMs> {
    TimestampMs::parse_rfc3339(body.as_str()?)
}

#[cfg(test)]
mod tests;
