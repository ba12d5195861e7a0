//! The journal's packing: a group of messages as one blob.
//!
//! ```text
//! group   = version u8 = 1, base received_at i64 LE, message*
//! message = device varint, received_at - base zigzag, (readings << 1 | has digest) varint, [digest 16 B], reading*
//! reading = metric varint, observed_at - received_at zigzag, value
//! ```
//!
//! It stands behind a checksum; pack.rs has that, and varint, zigzag and value.

use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::error::Result;
use crate::pack::{Input, seal, unseal, unzigzag, value, varint, zigzag};

const VERSION: u8 = 1;
/// What errors call it.
const WHAT: &str = "a journal row";

/// The first 16 bytes of the SHA-256 of a payload that carried no time of its own.
pub type Digest = [u8; 16];

/// A reading as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JournalReading {
    pub metric: MetricNo,
    pub at: TimestampMs,
    pub value: f64,
}

/// A message's share of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalMessage {
    pub device: DeviceNo,
    pub received_at: TimestampMs,
    pub digest: Option<Digest>,
    pub readings: Vec<JournalReading>,
}

pub(crate) fn encode(messages: &[JournalMessage]) -> Vec<u8> {
    let base = messages.first().map_or(0, |message| message.received_at.0);
    let mut out = Vec::with_capacity(16 + messages.len() * 48);
    out.push(VERSION);
    out.extend_from_slice(&base.to_le_bytes());
    for message in messages {
        varint(&mut out, u64::from(message.device.0));
        varint(&mut out, zigzag(message.received_at.0.wrapping_sub(base)));
        varint(&mut out, (message.readings.len() as u64) << 1 | u64::from(message.digest.is_some()));
        out.extend_from_slice(message.digest.as_ref().map_or(&[], |digest| digest.as_slice()));
        for reading in &message.readings {
            varint(&mut out, u64::from(reading.metric.0));
            varint(&mut out, zigzag(reading.at.0.wrapping_sub(message.received_at.0)));
            value(&mut out, reading.value);
        }
    }
    seal(&out)
}

/// Reads a blob back. Errors say at which byte it stops making sense.
pub(crate) fn decode(blob: &[u8]) -> Result<Vec<JournalMessage>> {
    let mut input = Input::new(unseal(blob, WHAT)?, WHAT);
    if input.byte()? != VERSION {
        return Err(input.damaged("an unknown version"));
    }
    let base = i64::from_le_bytes(input.array()?);
    let mut messages = Vec::new();
    while !input.is_empty() {
        let device = DeviceNo(u32::try_from(input.varint()?).map_err(|_| input.damaged("a device number"))?);
        let received_at = TimestampMs(base.wrapping_add(unzigzag(input.varint()?)));
        let head = input.varint()?;
        let digest = if head & 1 == 1 { Some(input.array()?) } else { None };
        let mut readings = Vec::new();
        for _ in 0..head >> 1 {
            let metric =
                MetricNo(u16::try_from(input.varint()?).map_err(|_| input.damaged("a metric number"))?);
            let at = TimestampMs(received_at.0.wrapping_add(unzigzag(input.varint()?)));
            readings.push(JournalReading { metric, at, value: input.value()? });
        }
        messages.push(JournalMessage { device, received_at, digest, readings });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-100_000_i64..100_000).prop_map(|n| n as f64 / 100.0),
            any::<f64>().prop_filter("readings are finite", |v| v.is_finite()),
        ]
    }

    fn messages() -> impl Strategy<Value = Vec<JournalMessage>> {
        let reading = (any::<u16>(), -10_000_000_000_i64..10_000_000_000, values());
        let message = (
            any::<u32>(),
            0_i64..4_000_000_000_000,
            any::<Option<Digest>>(),
            prop::collection::vec(reading, 0..6),
        );
        let built = message.prop_map(|(device, received, digest, readings)| JournalMessage {
            device: DeviceNo(device),
            received_at: TimestampMs(received),
            digest,
            readings: readings
                .into_iter()
                .map(|(metric, ago, value)| JournalReading {
                    metric: MetricNo(metric),
                    at: TimestampMs(received - ago),
                    value,
                })
                .collect(),
        });
        prop::collection::vec(built, 0..8)
    }

    proptest! {
        #[test]
        fn a_group_comes_back_as_it_was(messages in messages()) {
            let back = decode(&encode(&messages)).expect("our own blob");
            // Debug text tells minus zero from zero, `==` does not.
            prop_assert_eq!(format!("{back:?}"), format!("{messages:?}"));
        }

        #[test]
        fn a_cut_or_foreign_blob_is_an_error_or_a_shorter_group_and_never_a_panic(messages in messages(), cut in 0_usize..200, noise in prop::collection::vec(any::<u8>(), 0..64)) {
            let blob = encode(&messages);
            let _ = decode(&blob[..cut.min(blob.len())]);
            let _ = decode(&noise);
        }
    }

    #[test]
    fn a_typical_reading_takes_at_most_six_bytes() {
        let received_at = TimestampMs(1_772_323_200_000);
        let reading = |metric, value| JournalReading {
            metric: MetricNo(metric),
            at: received_at.minus_ms(1_500),
            value,
        };
        let readings =
            vec![reading(0, 83.0), reading(2, 21.5), reading(36, 3.61), reading(37, -97.0), reading(3, 2.0)];
        let message = JournalMessage { device: DeviceNo(1_999), received_at, digest: None, readings };
        let many = vec![message; 100];
        assert!(encode(&many).len() <= 100 * 5 * 7, "{}", encode(&many).len());
    }
}
