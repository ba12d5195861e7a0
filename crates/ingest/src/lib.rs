//! Sources of messages, the queue to the writer, and the thread that drives it.
//!
//! A source ([`broker`]: the rmqtt broker in this process; [`client`]: any external broker) takes a message's places in the
//! [`Queue`], decodes it and puts it in. The [`Driver`], one thread, takes what is waiting, applies it to the writer
//! (`sanimon-writer`) and sends out what was committed. While it commits, the next group gathers: there is no timer.
//!
//! Backpressure: the queue is bounded in messages and in bytes, for each connection and for all. When a share is full, the
//! embedded broker's session waits in its publish hook (and so the sensor's TCP connection), and the client stops reading
//! (and so its broker keeps what it cannot deliver).
//!
//! It does *not* decide anything about messages, serve HTTP or know a person.

#![forbid(unsafe_code)]

pub mod broker;
pub mod client;
mod decode;
mod driver;
mod error;
mod message;
pub mod queue;
mod scripts;

pub use decode::Decoder;
pub use driver::{Driver, DriverOptions};
pub use error::IngestError;
pub use message::{Ack, AckWay};
pub use queue::{Queue, Share, Stopped};
