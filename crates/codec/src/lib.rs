//! From a topic and bytes to readings, events and faults.
//!
//! [`Formats::decode`] takes a message and gives a [`Decoded`]: who spoke ([`Speaker`]), what was said ([`Body`], events) and
//! what could not be understood (`faults`). Decoding never fails as a whole: a message with one bad field still gives its
//! good ones. Two stages, since a binary frame means nothing without its model, and models are the registry's:
//!
//! 1. the format of the topic: the native contract, or an envelope that the site has bound to it ([`envelope`])
//! 2. a device's own frame, by its model: [`device::decode_frame`], or a published codec in [`script`]
//!
//! It does *not* know the registry (a device's kind and zone), calibration, or whether a time is plausible:
//! those are decided where the device is known, in `ingest`.

#![forbid(unsafe_code)]

pub mod device;
mod envelope;
mod formats;
mod heard;
mod json;
mod native;
mod sample;
pub mod script;
mod senml;
mod topic;

#[cfg(test)]
mod judge;
#[cfg(test)]
mod tests;

pub use envelope::from_hex as bytes_from_hex;
pub use formats::{Binding, Format, Formats, Incoming, Mapping, TopicPattern};
pub use heard::{Body, Decoded, DeviceEvent, Heard, RawFrame, Speaker, Uplink};
pub use sample::RawReading;

use sanimon_domain::TimestampMs;

/// Decodes one message of the native contract.
///
/// `received` is only used for SenML's relative times (RFC 8428, section 4.5.3).
pub fn decode(topic: &str, payload: &[u8], received: TimestampMs) -> Decoded {
    Formats::default().decode(Incoming { topic, payload, received, client_id: None })
}
