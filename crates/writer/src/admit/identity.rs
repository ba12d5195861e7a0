//! Whether a message was heard before.
//!
//! * An undated message that comes again with MQTT's DUP flag, within ten minutes, is known by client, packet id and payload:
//!   a client sends again under the same packet id (MQTT 3.1.1, 4.4). What comes without DUP, or under another id, is a
//!   message of its own, also when it says the same: a sensor that stands still says the same each time.
//! * A LoRaWAN uplink is known by session, frame counter, port and payload: it may come by several gateways.
//! * A dated reading needs none of this: its time is its identity.

use sanimon_codec::RawFrame;
use sanimon_domain::{DeviceNo, TimestampMs};
use sanimon_store::{Digest, REDELIVERY_WINDOW_MS, RecentMessage};
use sha2::{Digest as _, Sha256};

use super::Batch;
use crate::message::{Connection, Message, Qos};

/// What an undated message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redelivery {
    /// This one came before.
    Known,
    /// Heard for the first time: remember it by this.
    New(Digest),
    /// It can never come again.
    Impossible,
}

impl Batch<'_> {
    pub(super) fn remember_message(&mut self, device: DeviceNo, digest: Digest, received_at: TimestampMs) {
        self.messages.entry(device).or_default().push(RecentMessage { digest, received_at });
    }

    /// An uplink of this session, counter and payload was heard not long ago.
    pub(super) fn is_known_uplink(&self, message: &Message, device: DeviceNo, digest: &Digest) -> bool {
        self.recent_of(message, device).any(|known| known == *digest)
    }

    /// What the DUP flag, the client, the packet id and the payload say of an undated message.
    pub(super) fn redelivery(&self, message: &Message, device: DeviceNo) -> Redelivery {
        let Qos::AtLeastOnce { packet_id, is_dup } = message.qos else { return Redelivery::Impossible };
        let own = message_digest(message, packet_id);
        if is_dup && self.recent_of(message, device).any(|known| known == own) {
            return Redelivery::Known;
        }
        Redelivery::New(own)
    }

    /// Digests of a device's messages that a redelivery may be of, as this group leaves them.
    fn recent_of(&self, message: &Message, device: DeviceNo) -> impl Iterator<Item = Digest> {
        let now = message.received_at;
        let here = self.messages.get(&device).into_iter().flatten();
        let before = self.recent.recent_messages(device).into_iter().flat_map(|known| known.iter().rev());
        here.chain(before)
            .filter(move |known| now.since_ms(known.received_at) <= REDELIVERY_WINDOW_MS)
            .map(|known| known.digest)
    }
}

/// An undated message's digest.
fn message_digest(message: &Message, packet_id: u16) -> Digest {
    let client = match &message.connection {
        Connection::Client { session, .. } => session.as_bytes(),
        Connection::Broker => &[],
    };
    let full = Sha256::new()
        .chain_update(message.source.as_bytes())
        .chain_update([0])
        .chain_update(client)
        .chain_update([0])
        .chain_update(packet_id.to_le_bytes())
        .chain_update(&message.payload)
        .finalize();
    first_bytes(&full)
}

/// What a LoRaWAN uplink is known by, besides its device.
pub(super) fn uplink_digest(frame: &RawFrame) -> Option<Digest> {
    let uplink = frame.uplink.as_ref()?;
    let full = Sha256::new()
        .chain_update(uplink.session.as_bytes())
        .chain_update([0])
        .chain_update(uplink.counter.to_le_bytes())
        .chain_update([frame.port])
        .chain_update(&frame.bytes)
        .finalize();
    Some(first_bytes(&full))
}

/// The first bytes of a SHA-256: chance will not make two alike.
fn first_bytes(full: &[u8]) -> Digest {
    full.first_chunk().copied().expect("a SHA-256 has 32 bytes")
}
