//! The bounded way from the sources to the committer.

use std::sync::Arc;

use bytes::Bytes;
use sanimon_codec::Incoming;
use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::Command;
use tokio::sync::{Semaphore, mpsc};

use crate::decode::Decoder;
use crate::message::{Ack, Message};

/// Messages waiting at most: some groups' worth. More would only add to the wait.
const MESSAGES_MAX: usize = 4_096;
/// Payload kilobytes waiting at most, so that large messages cannot fill the memory either.
const KILOBYTES_MAX: usize = 64 * 1024;

/// One task for the committer.
#[derive(Debug)]
pub enum Work {
    Message(Box<Message>),
    Command(Box<Command>),
    /// Time went on.
    Tick,
    /// A step of a running seal.
    Seal(Box<sanimon_store::SealStep>),
    /// The seal broke off; the reason is logged where it broke.
    SealFailed,
    /// What InfluxDB has accepted.
    Delivered(Box<sanimon_store::DeliveryStep>),
    /// A delivery of this generation ended without a step.
    DeliveryBrokeOff(u64),
    /// The last one: what came before is committed, what comes after is refused.
    Stop,
}

/// The sending side; cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    sender: mpsc::Sender<Work>,
    kilobytes: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    decoder: Decoder,
}

/// The committer has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sanimon is stopping")]
pub struct Stopped;

/// What a source knows of a message before it is decoded.
#[derive(Debug)]
pub struct Arrival {
    pub source: Arc<str>,
    pub topic: String,
    pub payload: Bytes,
    pub dup: bool,
    pub retained: bool,
    /// Who published it, where the source knows: a client of the embedded broker.
    pub client_id: Option<Arc<str>>,
    pub ack: Ack,
}

impl Queue {
    pub(crate) fn new(clock: Arc<dyn Clock>, decoder: Decoder) -> (Self, mpsc::Receiver<Work>) {
        let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
        (Self { sender, kilobytes: Arc::new(Semaphore::new(KILOBYTES_MAX)), clock, decoder }, receiver)
    }

    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    /// Decodes a message and waits for its place in the queue. The wait is the backpressure.
    pub async fn message(&self, arrival: Arrival) -> Result<(), Stopped> {
        let Arrival { source, topic, payload, dup, retained, client_id, ack } = arrival;
        let kilobytes = (payload.len() / 1024 + 1).min(KILOBYTES_MAX) as u32;
        let share = self.kilobytes.clone().acquire_many_owned(kilobytes).await.map_err(|_| Stopped)?;
        let received_at = self.clock.now();
        let client_id = client_id.as_deref();
        let incoming = Incoming { topic: &topic, payload: &payload, received: received_at, client_id };
        let decoded = self.decoder.decode(incoming).await;
        let message = Message::new(source, topic, payload, received_at, decoded);
        let message = Message { dup, retained, ack, _share: Some(share), ..message };
        self.sender.send(Work::Message(Box::new(message))).await.map_err(|_| Stopped)
    }

    pub async fn command(&self, command: Command) -> Result<(), Stopped> {
        self.sender.send(Work::Command(Box::new(command))).await.map_err(|_| Stopped)
    }

    pub async fn send(&self, work: Work) -> Result<(), Stopped> {
        self.sender.send(work).await.map_err(|_| Stopped)
    }

    pub(crate) fn blocking_send(&self, work: Work) -> Result<(), Stopped> {
        self.sender.blocking_send(work).map_err(|_| Stopped)
    }

    /// How many tasks wait.
    pub fn depth(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }
}
