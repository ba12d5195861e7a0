//! What a client and the broker owe each other. Pure: packets and time in, packets and effects out.

mod incoming;
mod outgoing;

pub use incoming::{Incoming, Ordinal, Taken};
pub use outgoing::{Acknowledged, Outgoing, OutgoingLimits, Pushed, Queued};
