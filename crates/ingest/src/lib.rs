//! Sources of messages, the queue to the writer, and the thread that drives it.
//!
//! A source ([`embedded`]: the broker in this process; [`client`]: any external broker) takes a message's places in the
//! [`Queue`], decodes it and puts it into its own line. The [`Driver`], one thread, takes what is waiting, applies it to the writer
//! (`sanimon-writer`) and sends out what was committed. While it commits, the next group gathers: there is no timer.
//!
//! Backpressure: the queue is bounded in messages and in bytes, for each line and for all. When a share is full, the embedded
//! broker reads no more of that connection, and the client of its broker (which keeps what it cannot deliver). A group is filled
//! from all lines in turn.
//!
//! It does *not* decide anything about messages, serve HTTP or know a person.

#![forbid(unsafe_code)]

pub mod client;
mod decode;
mod driver;
pub mod embedded;
mod error;
mod message;
pub mod queue;
mod scripts;
#[cfg(test)]
mod testing;

pub use decode::Decoder;
pub use driver::{Driver, DriverOptions};
pub use error::IngestError;
pub use message::{Ack, AckWay};
pub use queue::{Arrival, Line, Queue, Stopped};
