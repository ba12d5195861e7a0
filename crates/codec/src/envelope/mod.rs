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

use sanimon_domain::{FaultCode, TimeReader};
use serde_json::Value;

use crate::budget;
use crate::decoded::Decoded;
use crate::formats::{Binding, Format, Incoming};
use crate::sample::SampleTime;
use crate::tree::{self, Outermost};

/// What the readers of all formats are given.
#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    binding: &'a Binding,
    /// The level of the topic that names the device.
    device: Option<&'a str>,
    message: Incoming<'a>,
    times: TimeReader,
    /// What was left out of ThingsBoard's outermost object: fields, or a gateway's devices.
    left_out: u32,
}

pub(crate) fn decode(
    binding: &Binding,
    device: Option<&str>,
    message: Incoming<'_>,
    times: TimeReader,
) -> Decoded {
    let mut context = Context { binding, device, message, times, left_out: 0 };
    let outermost = match binding.format {
        Format::Hex | Format::Base64 | Format::Binary => return frames::decode(context),
        Format::Tasmota if message.topic.ends_with("/LWT") => return tasmota::last_will(context),
        Format::Thingsboard => Outermost::FieldsOrDevices,
        _ => Outermost::Fields,
    };
    match tree::read(message.payload, outermost) {
        Err(error) => Decoded::fault(FaultCode::NotJson, format!("not JSON: {}", budget::brief(&error))),
        Ok(tree) => {
            context.left_out = tree.left_out;
            let mut decoded = read(binding.format, context, &tree.body);
            decoded.add_budget(tree.budget);
            decoded
        }
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

impl Context<'_> {
    /// A time as any server or platform writes it.
    fn time(&self, value: &Value) -> SampleTime {
        match value {
            Value::Null => SampleTime::Missing,
            Value::Number(number) => SampleTime::read(number.as_f64().and_then(|at| self.times.number(at))),
            Value::String(text) => SampleTime::read(self.times.text(text)),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => SampleTime::Unreadable,
        }
    }

    /// The first time that one of the gateways of an uplink gives.
    fn gateway_time(&self, gateways: &Value) -> SampleTime {
        let times = gateways.as_array().into_iter().flatten().map(|gateway| self.time(&gateway["time"]));
        times.fold(SampleTime::Missing, SampleTime::or)
    }
}

#[cfg(test)]
mod tests;
