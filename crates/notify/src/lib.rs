//! Delivery of the outbox: each message goes out at least once, or is given up with its reason for all to see.
//!
//! What is to be told, to which channel and when, was decided in the transaction of the change
//! (`sanimon_operations::routing`). [`start`] runs one task a [`Channel`]: it takes what is due, sends it, and tells the
//! writer what became of it. A channel that fails is left alone for a while that doubles; a message that is
//! refused for what it is, or older than its time, is given up.
//!
//! It does *not* decide who is told, and it writes nothing itself.

#![forbid(unsafe_code)]

mod channel;
mod send;
mod text;
mod worker;

pub use channel::{BrokerTls, Channel, ChannelKind, Credentials, Language, MqttServer, Robot, Tls};
pub use send::SendError;
pub use text::{PLACEHOLDERS, Templates};
pub use worker::{Notifier, Site, start};
