//! From a topic and bytes to readings and faults.
//!
//! The entry is [`decode`]: it takes a message and the time of its receipt and gives a [`Decoded`]: who
//! spoke ([`Address`]), what was said ([`Body`]) and what could not be understood (`faults`). Decoding never
//! fails as a whole: a message with one bad field still gives its good ones.
//!
//! It does *not* know the registry (a device's kind and zone), calibration, or whether a time is plausible:
//! those are decided where the device is known, in `ingest`.

pub mod device;
mod json;
mod native;
mod sample;
mod senml;
mod topic;

#[cfg(test)]
mod tests;

pub use sample::{Body, Decoded, RawReading};
pub use topic::{Address, Channel};

use sanimon_domain::{Fault, FaultCode, TimestampMs};

/// Decodes one message of the native contract.
///
/// `received` is only used for SenML's relative times (RFC 8428, section 4.5.3).
pub fn decode(topic: &str, payload: &[u8], received: TimestampMs) -> Decoded {
    match topic::parse(topic) {
        Err(fault) => Decoded { address: None, body: Body::Nothing, faults: vec![fault] },
        Ok(address) => {
            let (body, faults) = match address.channel {
                Channel::Telemetry => native::telemetry(payload, received),
                Channel::Status => status(payload),
            };
            Decoded { address: Some(address), body, faults }
        }
    }
}

fn status(payload: &[u8]) -> (Body, Vec<Fault>) {
    match payload.trim_ascii() {
        b"online" => (Body::Status { online: true }, Vec::new()),
        b"offline" => (Body::Status { online: false }, Vec::new()),
        _ => {
            let fault = Fault::new(FaultCode::BadStatus, "a status is the text `online` or `offline`");
            (Body::Nothing, vec![fault])
        }
    }
}
