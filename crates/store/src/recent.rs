//! Messages by which a redelivery is known: of each device those of the last minutes.
//!
//! An undated message that was in flight when its connection broke comes again with MQTT's DUP flag, and a LoRaWAN uplink
//! comes again by another way: each entry stands for one message. The file packs a device's entries as
//! `(digest 16 B, received_at i64 LE)*`, the oldest first.

use std::collections::VecDeque;

use sanimon_domain::TimestampMs;
use sanimon_domain::time::MINUTE_MS;

use crate::journal::Digest;

/// A message that comes again is believed to be the same one for this long (DESIGN, invariant 3).
pub const REDELIVERY_WINDOW_MS: i64 = 10 * MINUTE_MS;
/// Entries of a device: more than a client may have in flight to it. The oldest go first.
pub const RECENT_MESSAGES_MAX: usize = 512;

const ENTRY_BYTES: usize = size_of::<Digest>() + 8;

/// A message that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentMessage {
    pub digest: Digest,
    pub received_at: TimestampMs,
}

/// Those of a device, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecentMessages(VecDeque<RecentMessage>);

impl RecentMessages {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &RecentMessage> {
        self.0.iter()
    }

    /// Remembers one more, and forgets those that are too old or too many.
    pub(crate) fn add(&mut self, message: RecentMessage) {
        let is_old =
            |known: &RecentMessage| message.received_at.since_ms(known.received_at) > REDELIVERY_WINDOW_MS;
        let old = self.0.iter().take_while(|known| is_old(known)).count();
        let excess = (self.0.len() + 1 - old).saturating_sub(RECENT_MESSAGES_MAX);
        self.0.drain(..old + excess);
        self.0.push_back(message);
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY_BYTES);
        for RecentMessage { digest, received_at } in &self.0 {
            bytes.extend_from_slice(digest);
            bytes.extend_from_slice(&received_at.0.to_le_bytes());
        }
        bytes
    }

    /// A blob that is cut or garbled gives what can be read: the worst that follows is a redelivery that is not known.
    pub(crate) fn unpack(bytes: &[u8]) -> Self {
        let entry = |chunk: &[u8]| {
            let (digest, at) = chunk.split_first_chunk::<16>()?;
            let at = i64::from_le_bytes(at.try_into().ok()?);
            Some(RecentMessage { digest: *digest, received_at: TimestampMs(at) })
        };
        Self(bytes.chunks_exact(ENTRY_BYTES).filter_map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u8, minute: i64) -> RecentMessage {
        RecentMessage { digest: [n; 16], received_at: TimestampMs(minute * MINUTE_MS) }
    }

    #[test]
    fn entries_are_forgotten_by_age_and_by_number_and_come_back_from_the_file() {
        let mut recent = RecentMessages::default();
        (0..30).for_each(|n| recent.add(message(n, i64::from(n))));
        assert_eq!(recent.iter().count(), 11, "ten minutes and the newest");
        (0..2 * RECENT_MESSAGES_MAX).for_each(|_| recent.add(message(7, 29)));
        assert_eq!(recent.iter().count(), RECENT_MESSAGES_MAX);
        assert_eq!(RecentMessages::unpack(&recent.pack()), recent);
        let cut = &recent.pack()[..50];
        assert_eq!(RecentMessages::unpack(cut).iter().count(), 2);
    }
}
