//! The embedded broker's own parts: pure, without a thread, a clock or a socket.
//!
//! * [`Wire`]: bytes to packets and back; [`packet`]: one set of packets for all versions; [`Reason`]: why
//! * [`session`]: what a client and the broker owe each other
//! * [`sessions`]: who is here, who is away and until when, what a newcomer finds
//! * [`retained`], [`subscriptions`]: what is kept by topic, and who gets a message
//! * [`Topic`], [`Filter`], [`Asked`]: names, checked (MQTT 5.0, 4.7 and 4.8)
//! * [`Tree`]: who asked for what, found by a topic; [`Group`]: whose turn it is of those who share

#![forbid(unsafe_code)]

pub mod account;
mod hub;
mod limits;
pub mod link;
mod message;
pub mod packet;
mod ports;
mod reason;
pub mod retained;
pub mod rights;
mod serve;
pub mod session;
pub mod sessions;
pub mod subscriptions;
#[cfg(test)]
mod tests;
mod topics;
mod wire;

pub use hub::{Hub, Token};
pub use limits::{Limit, Limits};
pub use message::Message;
pub use ports::{Intake, Line, Notices, Permissions, Ports, Published, SignIn, Waiting};
pub use reason::Reason;
pub use serve::{Broker, Carrier, Listener};
pub use topics::{Asked, Filter, Group, GroupName, Presence, Topic, Tree, Unsound};
pub use topics::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX};
pub use wire::{Fault, TooLarge, Wire, WireLimits};
