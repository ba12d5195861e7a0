//! Sources of messages and their whole way to the store.
//!
//! A source ([`broker`]: the rmqtt broker in this process; [`client`]: any external broker) decodes a message and
//! puts it into the [`Queue`]. The [`Committer`], one thread, takes what is waiting, resolves devices, applies the
//! rules and commits all of it in one synced transaction; only then it releases the acknowledgements. While it
//! commits, the next group gathers: there is no timer.
//!
//! Backpressure: the queue is bounded in messages and in bytes. When it is full, the embedded broker's sessions
//! wait in their publish hook (and so the sensor's TCP connection), and the client stops reading (and so its broker
//! keeps what it cannot deliver).
//!
//! It does *not* serve HTTP and knows no person; what people ask for arrives as [`sanimon_store::Command`].

#![forbid(unsafe_code)]

mod backfill;
pub mod broker;
pub mod client;
mod committer;
mod core;
mod decode;
mod error;
mod meaning;
mod message;
mod pipeline;
pub mod queue;
mod scripts;
mod trust;

pub use backfill::Backfill;
pub use committer::{Committer, CommitterOptions};
pub use decode::Decoder;
pub use error::IngestError;
pub use message::{Ack, Message, Qos};
pub use pipeline::{Admission, SiteLimits};
pub use queue::{Queue, Work};

#[cfg(test)]
mod tests;
