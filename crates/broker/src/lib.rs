//! The embedded broker: MQTT 3.1, 3.1.1 and 5.0 over TCP, TLS and WebSocket, acknowledged after the product's commit.
//!
//! ```text
//! serve (a task for each connection) ──▶ session::Connection (the machine) ──▶ hub ──▶ Intake ──▶ the writer
//!        ◀── acknowledgements, messages ── hub::deliver ◀── Token::settle ◀────────────── commit ──┘
//! ```
//!
//! From top to bottom; a module uses what stands below it:
//!
//! * [`Broker`], [`Listener`] (`serve`): sockets, one task for each connection
//! * [`Hub`] (`hub`): what all connections share; its ports are what the product fills: [`Intake`], [`Permissions`], [`Notices`]
//! * [`sessions`]: who is here, who is away and until when, what a newcomer finds; [`account`], [`rights`]: who may what
//! * [`session`]: what a client and the broker owe each other. Pure: packets and time in, packets and effects out
//! * [`Wire`]: bytes to packets and back; [`packet`]: one set of packets for all versions; [`Reason`]: why
//! * [`retained`], [`subscriptions`]: what is kept by topic, and who gets a message
//! * [`Topic`], [`Filter`], [`Asked`]: names, checked (MQTT 5.0, 4.7 and 4.8); [`Tree`]: who asked for what; [`Group`]: whose turn
//!   it is of those who share
//!
//! It does *not* know what a message means, where it is stored, or what a credential is. docs/MQTT.md has the limits and the
//! table of behaviours, by whose numbers tests are named.

#![forbid(unsafe_code)]

pub mod account;
mod hub;
mod limit;
mod limits;
pub mod link;
mod message;
pub mod packet;
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

pub use hub::ports::{Intake, Line, Notices, Permissions, Ports, Published, SignIn, Waiting};
pub use hub::{Hub, Token};
pub use limit::Limit;
pub use limits::Limits;
pub use message::Message;
pub use reason::Reason;
pub use serve::{Broker, Carrier, Listener};
pub use topics::{Asked, Filter, Group, GroupName, Presence, Topic, Tree, Unsound};
pub use topics::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX};
pub use wire::{Fault, TooLarge, Wire, WireLimits};
