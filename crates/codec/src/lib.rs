//! From a topic and bytes to readings, events and faults.
//!
//! [`Formats::decode`] takes a message and gives a [`Decoded`]: who spoke ([`Sender`]), what was said ([`Body`], events) and
//! what could not be understood (`faults`). Decoding never fails as a whole: a message with one bad field still gives its
//! good ones. Two stages, since a binary frame means nothing without its model, and models are the registry's:
//!
//! 1. the format of the topic: the native contract, or an envelope that the site has bound to it ([`envelope`])
//! 2. a device's own frame, by its model: [`device::decode_frame`], or a published codec in [`script`];
//!    [`Decoded::add_frame`] and [`Decoded::add_samples`] take what it says
//!
//! What one message costs is bounded and linear in its bytes, in every format: [`budget`] has the limits.
//!
//! It does *not* know the registry (a device's kind and zone), calibration, or whether a time is plausible:
//! those are decided where the device is known, in `ingest`.

#![forbid(unsafe_code)]

pub mod budget;
mod decoded;
pub mod device;
mod envelope;
mod formats;
mod json;
mod native;
mod report;
mod sample;
pub mod script;
mod senml;
mod topic;
mod tree;

#[cfg(test)]
mod judge;
#[cfg(test)]
mod tests;

pub use budget::LimitCounts;
pub use decoded::Decoded;
pub use envelope::from_hex as bytes_from_hex;
pub use formats::{Binding, Format, Formats, Incoming, Mapping, TopicPattern};
pub use report::{Body, DeviceEvent, DeviceReport, RawFrame, Sender, Uplink};
pub use sample::{RawReading, SampleTime, Samples};

use sanimon_domain::TimestampMs;

/// Decodes one message of the native contract.
///
/// `received` is only used for SenML's relative times (RFC 8428, section 4.5.3).
pub fn decode(topic: &str, payload: &[u8], received: TimestampMs) -> Decoded {
    Formats::default().decode(Incoming { topic, payload, received, client_id: None })
}
