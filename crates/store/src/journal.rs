//! The journal's packing: a group of messages as one blob.
//!
//! ```text
//! group   = version u8 = 2, base received_at i64 LE, message*
//! message = device varint, received_at - base zigzag, head varint, [digest 16 B], reading*
//! head    = readings << 2 | is old news << 1 | has digest; in version 1: readings << 1 | has digest
//! reading = metric varint, observed_at - received_at zigzag, value
//! ```
//!
//! It stands behind a checksum; pack.rs has that, and varint, zigzag and value.

use rusqlite::{Connection, OptionalExtension, params};
use sanimon_domain::{DeviceNo, FaultCode, MetricNo, TimestampMs};

use crate::error::{Result, StoreError};
use crate::pack::{Input, seal, unseal, unzigzag, value, varint, zigzag};
use crate::write::QuarantineEntry;

const VERSION: u8 = 2;
/// Before messages told whether they are news.
const VERSION_WITHOUT_NEWS: u8 = 1;
/// What errors call it.
const WHAT: &str = "a journal row";
/// The quarantine's name for what the store itself found.
const SOURCE: &str = "store";

/// By what a message is known when it comes again (the writer makes it).
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
    /// It was brought again and says nothing newer: no sign of life.
    pub is_old_news: bool,
    pub readings: Vec<JournalReading>,
}

pub(crate) fn encode<'a>(messages: impl Iterator<Item = &'a JournalMessage>) -> Vec<u8> {
    let mut messages = messages.peekable();
    let base = messages.peek().map_or(0, |message| message.received_at.0);
    let mut out = Vec::with_capacity(16 + messages.size_hint().0 * 48);
    out.push(VERSION);
    out.extend_from_slice(&base.to_le_bytes());
    for message in messages {
        varint(&mut out, u64::from(message.device.0));
        varint(&mut out, zigzag(message.received_at.0.wrapping_sub(base)));
        let (is_old_news, has_digest) = (u64::from(message.is_old_news), u64::from(message.digest.is_some()));
        varint(&mut out, (message.readings.len() as u64) << 2 | is_old_news << 1 | has_digest);
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
    let tells_news = match input.byte()? {
        VERSION => true,
        VERSION_WITHOUT_NEWS => false,
        _ => return Err(input.damaged("an unknown version")),
    };
    let base = i64::from_le_bytes(input.array()?);
    let mut messages = Vec::new();
    while !input.is_empty() {
        let device = DeviceNo(u32::try_from(input.varint()?).map_err(|_| input.damaged("a device number"))?);
        let received_at = TimestampMs(base.wrapping_add(unzigzag(input.varint()?)));
        let head = input.varint()?;
        let digest = if head & 1 == 1 { Some(input.array()?) } else { None };
        let (is_old_news, count) = if tells_news { (head & 2 == 2, head >> 2) } else { (false, head >> 1) };
        let mut readings = Vec::new();
        for _ in 0..count {
            let metric =
                MetricNo(u16::try_from(input.varint()?).map_err(|_| input.damaged("a metric number"))?);
            let at = TimestampMs(received_at.0.wrapping_add(unzigzag(input.varint()?)));
            readings.push(JournalReading { metric, at, value: input.value()? });
        }
        messages.push(JournalMessage { device, received_at, digest, is_old_news, readings });
    }
    Ok(messages)
}

/// Moves a row that could not be read, as it is, to where it can be repaired: call it in the transaction that removes
/// the others. Gives what the quarantine tells of it; `None`: there is no such row (any more).
pub(crate) fn set_aside(
    connection: &Connection,
    seq: i64,
    found_at: TimestampMs,
) -> Result<Option<QuarantineEntry>> {
    let doing = || StoreError::doing("keep a damaged journal row");
    let records: Option<Vec<u8>> = connection
        .query_row("SELECT records FROM journal WHERE seq = ?1", [seq], |row| row.get(0))
        .optional()
        .map_err(doing())?;
    let Some(records) = records else { return Ok(None) };
    let why = match decode(&records) {
        Err(error) => error.to_string(),
        // Whoever left it out when it could not be read has not read it since.
        Ok(_) => "it could not be read when it was needed, and can be read now".to_owned(),
    };
    connection
        .execute(
            "INSERT OR IGNORE INTO damaged_journal (seq, committed_at, records, found_at, why)
             SELECT seq, committed_at, records, max(?2, committed_at), ?3 FROM journal WHERE seq = ?1",
            params![seq, found_at.0, why],
        )
        .map_err(doing())?;
    connection.execute("DELETE FROM journal WHERE seq = ?1", [seq]).map_err(doing())?;
    // One cause, one topic: a thousand rows are one entry with a count. Which rows they are is in the table.
    let origin = ("journal", SOURCE.into(), SOURCE);
    Ok(Some(QuarantineEntry::new(origin, (FaultCode::DamagedRecord, &why), &records, found_at)))
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
            any::<(Option<Digest>, bool)>(),
            prop::collection::vec(reading, 0..6),
        );
        let built = message.prop_map(|(device, received, (digest, is_old_news), readings)| JournalMessage {
            device: DeviceNo(device),
            received_at: TimestampMs(received),
            digest,
            is_old_news,
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
            let back = decode(&encode(messages.iter())).expect("our own blob");
            // Debug text tells minus zero from zero, `==` does not.
            prop_assert_eq!(format!("{back:?}"), format!("{messages:?}"));
        }

        #[test]
        fn a_cut_or_foreign_blob_is_an_error_or_a_shorter_group_and_never_a_panic(messages in messages(), cut in 0_usize..200, noise in prop::collection::vec(any::<u8>(), 0..64)) {
            let blob = encode(messages.iter());
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
        let message = JournalMessage {
            device: DeviceNo(1_999),
            received_at,
            digest: None,
            is_old_news: false,
            readings,
        };
        let many = vec![message; 100];
        let bytes = encode(many.iter()).len();
        assert!(bytes <= 100 * 5 * 7, "{bytes}");
    }
}
