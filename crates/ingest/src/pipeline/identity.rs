//! Whose time a reading has, and whether its message was heard before.

use sanimon_codec::{RawFrame, RawReading};
use sanimon_domain::time::{ObservedAt, observed_or_received};
use sanimon_domain::{DeviceNo, Fault, FaultCode, Metric, TimestampMs};
use sanimon_store::Digest;
use sha2::{Digest as _, Sha256};

use super::GroupBuilder;
use crate::message::Message;

/// A redelivery with the DUP flag, or an uplink that comes again, is believed to be one for this long (invariant 3).
const DUP_WINDOW_MS: i64 = 10 * 60 * 1000;
/// How far a receipt time may be moved so that two undated messages of one millisecond are two readings.
const BURST_MS_MAX: i64 = 10_000;

/// A reading whose time has been decided.
pub(super) struct Dated {
    pub(super) metric: Metric,
    pub(super) value: f64,
    /// `None`: the receipt's time, to be given.
    pub(super) own: Option<TimestampMs>,
}

impl GroupBuilder<'_> {
    /// Decides whose time a reading has; a clock that cannot be right is named.
    pub(super) fn date(&mut self, message: &Message, device: DeviceNo, raw: &RawReading) -> Dated {
        let observed = observed_or_received(raw.at, message.received_at, self.admission.window);
        let own = match observed {
            ObservedAt::Device(at) => Some(at),
            ObservedAt::Receipt(_) => None,
            ObservedAt::Implausible { claimed, .. } => {
                let side = if claimed > message.received_at { "ahead of" } else { "behind" };
                let text =
                    format!("the device's clock is too far {side} the site's; the time of receipt is used");
                let fault = Fault::new(FaultCode::ClockWrong, text);
                // Once a message: a backlog of a thousand elements has one clock.
                let last = self.group.quarantine.last();
                if last.is_none_or(|entry| entry.fault != fault || entry.topic != message.topic) {
                    self.quarantine(message, fault);
                    self.event(message, device, ("device", "clock_wrong"), Some(side));
                }
                None
            }
        };
        Dated { metric: raw.metric.clone(), value: raw.value, own }
    }

    /// Old news of unknown age: shown as last known, never a reading.
    pub(super) fn remember_undated(&mut self, message: &Message, device: DeviceNo, dated: &[Dated]) {
        for reading in dated.iter().filter(|reading| reading.own.is_none()) {
            if let Some(metric) = self.metric(message, &reading.metric) {
                self.group.last_known.push((device, metric, reading.value, message.received_at));
            }
        }
    }

    pub(super) fn remember_digest(&mut self, device: DeviceNo, digest: Digest, received_at: TimestampMs) {
        self.digests.entry(device).or_default().insert(0, (digest, received_at));
    }

    /// An uplink of this session, counter and payload was heard not long ago.
    pub(super) fn is_known_digest(
        &self,
        device: DeviceNo,
        digest: &Digest,
        received_at: TimestampMs,
    ) -> bool {
        let here = self.digests.get(&device).and_then(|kept| kept.iter().find(|(known, _)| known == digest));
        let known_at = here.map(|(_, at)| *at).or_else(|| self.hot.digest_received(device, digest));
        known_at.is_some_and(|at| received_at.since_ms(at) <= DUP_WINDOW_MS)
    }

    /// MQTT says that it was sent before, it is the payload that this device sent last, and that is not long ago.
    pub(super) fn is_redelivery(&self, message: &Message, device: DeviceNo) -> bool {
        let here = self.digests.get(&device).and_then(|kept| kept.first().copied());
        let last = here.or_else(|| self.hot.digest(device));
        message.dup
            && last.is_some_and(|(digest, received_at)| {
                message.received_at.since_ms(received_at) <= DUP_WINDOW_MS
                    && digest == digest_of(&message.payload)
            })
    }

    /// The receipt's time, moved by milliseconds where this device already has a reading there: two messages
    /// without a time in one millisecond are two readings, not one and a correction.
    pub(super) fn receipt_time(
        &mut self,
        message: &Message,
        device: DeviceNo,
        readings: &[&Dated],
    ) -> TimestampMs {
        let received = message.received_at;
        if readings.iter().all(|reading| reading.own.is_some()) {
            return received;
        }
        let newest = self.hot.latest(device).map(|latest| latest.at).max();
        let newest = newest.max(self.undated_at.get(&device).copied());
        let at = match newest {
            Some(newest) if newest >= received && newest.since_ms(received) < BURST_MS_MAX => {
                newest.plus_ms(1)
            }
            _ => received,
        };
        self.undated_at.insert(device, at);
        at
    }
}

/// The first 16 bytes of the payload's SHA-256: chance will not make two alike.
pub(super) fn digest_of(payload: &[u8]) -> Digest {
    let full = Sha256::digest(payload);
    full.first_chunk().copied().expect("a SHA-256 has 32 bytes")
}

/// What a LoRaWAN uplink is known by, besides its device.
pub(super) fn uplink_digest(frame: &RawFrame) -> Option<Digest> {
    let uplink = frame.uplink.as_ref()?;
    let mut known_by = Vec::with_capacity(uplink.session.len() + frame.bytes.len() + 6);
    known_by.extend_from_slice(uplink.session.as_bytes());
    known_by.push(0);
    known_by.extend_from_slice(&uplink.counter.to_le_bytes());
    known_by.push(frame.port);
    known_by.extend_from_slice(&frame.bytes);
    Some(digest_of(&known_by))
}
