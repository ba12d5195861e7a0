//! One source's way into the queue.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use sanimon_codec::{Decoded, Incoming};
use sanimon_domain::{FaultCode, TimestampMs};
use sanimon_store::MqttPart;
use sanimon_writer::{Connection, Message, Qos, Received};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::decode::Begun;
use crate::message::{Ack, AckWay, Places};

use super::{LineNo, Queue, Stopped};

/// A message takes a place for each so many bytes of its payload that begin: large ones cannot fill the memory either.
const BYTES_OF_PLACE: usize = 16 * 1024;

/// A source's own line: its messages are committed in their order.
#[derive(Debug)]
pub struct Line {
    queue: Queue,
    entered: Arc<Entered>,
    /// Offered, and not yet put in: what comes together goes in together, and is one group's.
    batch: Vec<Received<Ack>>,
    places: Arc<Semaphore>,
    places_max: usize,
}

/// A place among the lines, as long as somebody may still add to it.
#[derive(Debug)]
struct Entered {
    queue: Queue,
    no: LineNo,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.queue.lanes().lines.close(self.no);
    }
}

/// What a source knows of a message before it is decoded.
#[derive(Debug)]
pub struct Arrival {
    pub source: Arc<str>,
    pub topic: Arc<str>,
    pub payload: Bytes,
    pub qos: Qos,
    pub is_retained: bool,
    pub connection: Connection,
    /// Who published it, where a format's topic does not say it.
    pub client_id: Option<Arc<str>>,
    /// What the embedded broker stores with it.
    pub mqtt: Option<Arc<MqttPart>>,
    /// Why it is not to be understood: it is set aside.
    pub refused: Option<&'static str>,
    pub ack: AckWay,
}

impl Arrival {
    fn incoming(&self, received: TimestampMs) -> Incoming<'_> {
        let client_id = self.client_id.as_deref();
        Incoming { topic: &self.topic, payload: &self.payload, received, client_id }
    }

    fn received(self, received_at: TimestampMs, decoded: Decoded, places: Places) -> Received<Ack> {
        let Self { source, topic, payload, qos, is_retained, connection, mqtt, ack, .. } = self;
        let message = Message {
            source,
            topic,
            payload,
            received_at,
            known_at: received_at,
            qos,
            is_retained,
            connection,
            decoded,
            mqtt,
        };
        Received { message, ack: Ack { way: ack, _places: Some(places) } }
    }
}

type Waiting = Pin<Box<dyn Future<Output = Result<(), Stopped>> + Send>>;

impl Line {
    pub(super) fn new(queue: Queue, places_max: usize) -> Self {
        let no = queue.lanes().lines.open();
        let entered = Arc::new(Entered { queue: queue.clone(), no });
        let (batch, places) = (Vec::new(), Arc::new(Semaphore::new(places_max)));
        Self { queue, entered, batch, places, places_max }
    }

    /// Takes a message's places, decodes it and puts it into the queue. The wait is the back-pressure.
    pub async fn message(&mut self, arrival: Arrival) -> Result<(), Stopped> {
        match self.offer(arrival) {
            Ok(()) => self.flush(),
            Err(waiting) => waiting.await,
        }
    }

    /// The same, at once where it can be: there is room, and no decoder has to be waited for. It is put into the queue by
    /// [`Line::flush`]. `Err`: what is to be waited for before the next one; what was offered before is put in.
    pub fn offer(&mut self, arrival: Arrival) -> Result<(), Waiting> {
        let number = self.number(&arrival);
        let own = self.places.clone().try_acquire_many_owned(number);
        let all = self.queue.0.places.clone().try_acquire_many_owned(number);
        let (Ok(own), Ok(all)) = (own, all) else {
            let _ = self.flush();
            return Err(self.wait(arrival));
        };
        let received_at = self.queue.now();
        match begin(&self.queue, &arrival, received_at) {
            Begun::Done(decoded) => {
                self.batch.push(arrival.received(received_at, decoded, Places::of(own, all)));
                Ok(())
            }
            begun @ Begun::Scripted(..) => {
                let _ = self.flush();
                let (queue, line) = (self.queue.clone(), self.entered.clone());
                Err(Box::pin(finish(queue, line, arrival, (received_at, begun), (own, all))))
            }
        }
    }

    /// Puts what was offered into the queue.
    pub fn flush(&mut self) -> Result<(), Stopped> {
        if self.batch.is_empty() {
            return Ok(());
        }
        // Most lines are silent most of the time: the list is not kept.
        let batch = std::mem::take(&mut self.batch);
        let no = self.entered.no;
        self.queue.push(|lanes| batch.into_iter().for_each(|received| lanes.lines.push(no, received)))
    }

    /// One message alone always finds room in its share.
    fn number(&self, arrival: &Arrival) -> u32 {
        (arrival.payload.len() / BYTES_OF_PLACE + 1).min(self.places_max) as u32
    }

    fn wait(&self, arrival: Arrival) -> Waiting {
        let number = self.number(&arrival);
        let (queue, line, own) = (self.queue.clone(), self.entered.clone(), self.places.clone());
        Box::pin(async move {
            let own = own.acquire_many_owned(number).await.map_err(|_| Stopped)?;
            let all = queue.0.places.clone().acquire_many_owned(number).await.map_err(|_| Stopped)?;
            let received_at = queue.now();
            let begun = begin(&queue, &arrival, received_at);
            finish(queue, line, arrival, (received_at, begun), (own, all)).await
        })
    }
}

fn begin(queue: &Queue, arrival: &Arrival, received_at: TimestampMs) -> Begun {
    match arrival.refused {
        Some(why) => Begun::Done(Decoded::fault(FaultCode::NotAllowed, why)),
        None => queue.decoder().begin(arrival.incoming(received_at)),
    }
}

async fn finish(
    queue: Queue,
    line: Arc<Entered>,
    arrival: Arrival,
    (received_at, begun): (TimestampMs, Begun),
    (own, all): (OwnedSemaphorePermit, OwnedSemaphorePermit),
) -> Result<(), Stopped> {
    let decoded = queue.decoder().finish(begun, received_at).await;
    push(&queue, &line, arrival.received(received_at, decoded, Places::of(own, all)))
}

fn push(queue: &Queue, line: &Entered, received: Received<Ack>) -> Result<(), Stopped> {
    queue.push(|lanes| lanes.lines.push(line.no, received))
}
