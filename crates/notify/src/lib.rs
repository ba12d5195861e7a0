//! Delivery of the outbox: each message goes out at least once, or is given up with its reason for all to see.
//!
//! What is to be told, to which channel and when, was decided in the transaction of the change
//! (`sanimon_operations::routing`). [`start`] runs [`run_channel`] for each [`Channel`]: it takes the most urgent message,
//! sends it, and hands what became of it to an [`OutcomeSink`]. Whose trouble a failure is, the message's or the
//! channel's, is for the policy to say; it is a state machine without a clock and without input or output.
//!
//! It does *not* decide who is told, and it writes nothing itself.

#![forbid(unsafe_code)]

mod channel;
mod delivery;
mod failure;
mod outcomes;
mod pass;
mod policy;
mod send;
mod text;
mod worker;

pub use channel::{
    BrokerTls, Channel, ChannelKind, ChatBot, Credentials, Language, MqttServer, PublishState, StateBroker,
    Tls,
};
pub use delivery::{ChannelDelivery, DeliveryParts, Site};
pub use outcomes::{OutcomeSink, Recording};
pub use text::{PLACEHOLDERS, Templates};
pub use worker::run_channel;
