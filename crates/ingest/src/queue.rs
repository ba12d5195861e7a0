//! The bounded way from the sources to the writer: messages, what people ask for, what jobs report.
//!
//! Places are taken before a message is decoded, first of its connection's share and then of all: a client that floods fills
//! its own share, and the others go on. Waiting for a place is the back-pressure. People's commands have a lane of their own:
//! they pass the messages that wait, and while the disk refuses they are answered at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sanimon_codec::Incoming;
use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::DeliveryOutcome;
use sanimon_writer::{
    Answer, Ask, Command, Connection, Entry, JobId, JobOutcome, Message, Qos, Received, Refusal,
};
use tokio::sync::{Semaphore, oneshot};

use crate::decode::Decoder;
use crate::message::{Ack, AckWay, Places};

/// Places of messages that wait: some groups' worth. More would only add to the wait.
const PLACES_MAX: usize = 4_096;
/// A message takes a place for each so many bytes of its payload that begin: large ones cannot fill the memory either.
const BYTES_OF_PLACE: usize = 16 * 1024;
/// What one client's connection may take: a sixteenth of the places.
const PLACES_OF_CLIENT_MAX: usize = PLACES_MAX / 16;
/// Commands waiting at most: each is a person's click, or a channel's report.
const COMMANDS_MAX: usize = 64;
/// Steps of jobs waiting at most: each may hold a megabyte.
const REPORTS_MAX: usize = 2;
/// Messages in a group at most: bounds the memory of a group and the loss of time when its commit fails.
const GROUP_MESSAGES_MAX: usize = 4_096;
/// Readings in a group after which no further message joins: backlogs are large.
const GROUP_READINGS_MAX: usize = 100_000;

/// The way of an answer back to who asked.
pub(crate) type Reply = oneshot::Sender<Answer>;

/// One task for the driver.
#[derive(Debug)]
pub(crate) enum Work {
    /// What was waiting; empty: time went on.
    Messages(Vec<Received<Ack>>),
    Asked(Asked),
    Job(JobId, JobOutcome),
    /// The last one: what came before is committed, what comes after is refused.
    Stop,
}

/// What somebody asked for, and who waits for the answer.
#[derive(Debug)]
pub(crate) enum Asked {
    Command(Entry, Box<Command>, Reply),
    Deliveries(Vec<DeliveryOutcome>, Reply),
}

impl Asked {
    pub(crate) fn refuse(self, refusal: Refusal) {
        let (Self::Command(.., reply) | Self::Deliveries(_, reply)) = self;
        // The asker may have gone.
        let _ = reply.send(Err(refusal));
    }
}

/// How far the queue has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Phase {
    #[default]
    Open,
    /// What waits is still taken.
    Stopping,
    /// Nobody takes anything any more.
    Closed,
}

#[derive(Debug, Default)]
struct Lanes {
    messages: VecDeque<Received<Ack>>,
    asked: VecDeque<Asked>,
    reports: VecDeque<(JobId, JobOutcome)>,
    has_tick: bool,
    phase: Phase,
    /// Messages had to wait for what was asked: they are next.
    are_messages_next: bool,
    /// Set by the driver before it sleeps, taken by who wakes it: a call of the kernel, too dear for each message. One too many
    /// does no harm.
    is_driver_asleep: bool,
}

#[derive(Debug)]
struct Inner {
    lanes: Mutex<Lanes>,
    /// Something arrived.
    arrived: Condvar,
    /// A report was taken: there is room for the next one.
    taken: Condvar,
    places: Arc<Semaphore>,
    commands: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    decoder: Decoder,
}

/// The queue; cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Inner>);

/// The writer has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sanimon is stopping")]
pub struct Stopped;

/// What one connection may take of the queue's places; a clone is the same share.
#[derive(Debug, Clone)]
pub struct Share {
    places: Arc<Semaphore>,
    max: usize,
}

impl Share {
    /// Of a client of its own: a device, or a gateway.
    pub fn of_client() -> Self {
        Self::new(PLACES_OF_CLIENT_MAX)
    }

    /// Of an external broker, which brings the messages of a town: all that there is.
    pub fn of_broker() -> Self {
        Self::new(PLACES_MAX)
    }

    fn new(max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(max)), max }
    }
}

/// What a source knows of a message before it is decoded.
#[derive(Debug)]
pub struct Arrival<'a> {
    pub source: Arc<str>,
    pub topic: String,
    pub payload: Bytes,
    pub qos: Qos,
    pub is_retained: bool,
    pub connection: Connection,
    pub share: &'a Share,
    /// Who published it, where a format's topic does not say it.
    pub client_id: Option<&'a str>,
    pub ack: AckWay,
}

impl Arrival<'_> {
    fn incoming(&self, received: TimestampMs) -> Incoming<'_> {
        Incoming { topic: &self.topic, payload: &self.payload, received, client_id: self.client_id }
    }
}

impl Queue {
    pub(crate) fn new(clock: Arc<dyn Clock>, decoder: Decoder) -> Self {
        Self(Arc::new(Inner {
            lanes: Mutex::default(),
            arrived: Condvar::new(),
            taken: Condvar::new(),
            places: Arc::new(Semaphore::new(PLACES_MAX)),
            commands: Arc::new(Semaphore::new(COMMANDS_MAX)),
            clock,
            decoder,
        }))
    }

    pub fn decoder(&self) -> &Decoder {
        &self.0.decoder
    }

    pub fn now(&self) -> TimestampMs {
        self.0.clock.now()
    }

    /// Takes a message's places, decodes it and puts it into the queue. The wait is the back-pressure.
    pub async fn message(&self, arrival: Arrival<'_>) -> Result<(), Stopped> {
        let places = self.places(arrival.share, arrival.payload.len()).await?;
        let received_at = self.now();
        let decoded = self.0.decoder.decode(arrival.incoming(received_at)).await;
        let Arrival { source, topic, payload, qos, is_retained, connection, ack, .. } = arrival;
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
            mqtt: None,
        };
        self.push(|lanes| {
            lanes.messages.push_back(Received { message, ack: Ack { way: ack, _places: places } });
        })
    }

    async fn places(&self, share: &Share, bytes: usize) -> Result<Places, Stopped> {
        // One message alone always finds room in its share.
        let number = (bytes / BYTES_OF_PLACE + 1).min(share.max) as u32;
        let own = share.places.clone().acquire_many_owned(number).await.map_err(|_| Stopped)?;
        let all = self.0.places.clone().acquire_many_owned(number).await.map_err(|_| Stopped)?;
        Ok(Places { _own: own, _all: all })
    }

    /// Asks for a change and waits for the answer.
    pub async fn ask(&self, entry: Entry, command: Command) -> Answer {
        self.asked(|reply| Asked::Command(entry, Box::new(command), reply)).await
    }

    /// The same, with the answer's own type.
    pub async fn ask_for<C: Ask>(&self, entry: Entry, command: C) -> Result<C::Answer, Refusal> {
        let done = self.ask(entry, command.command()).await?;
        C::answer(done).ok_or_else(|| Refusal::Failed("the answer is of another kind".to_owned()))
    }

    /// Reports what became of messages to people.
    pub async fn deliveries(&self, outcomes: Vec<DeliveryOutcome>) -> Answer {
        self.asked(|reply| Asked::Deliveries(outcomes, reply)).await
    }

    async fn asked(&self, asked: impl FnOnce(Reply) -> Asked) -> Answer {
        let stopping = || Refusal::Stopping;
        let place = self.0.commands.clone().acquire_owned().await.map_err(|_| stopping())?;
        let (reply, answer) = oneshot::channel();
        self.push(|lanes| lanes.asked.push_back(asked(reply))).map_err(|_| stopping())?;
        let answer = answer.await;
        drop(place);
        answer.map_err(|_| stopping())?
    }

    /// Time went on.
    pub fn tick(&self) -> Result<(), Stopped> {
        self.push(|lanes| lanes.has_tick = true)
    }

    /// A job's report. Blocks while others wait: a job is no faster than the writer.
    pub(crate) fn report(&self, id: JobId, outcome: JobOutcome) -> Result<(), Stopped> {
        let mut lanes = self.lanes();
        while lanes.reports.len() >= REPORTS_MAX && lanes.phase < Phase::Closed {
            lanes = self.0.taken.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
        if lanes.phase == Phase::Closed {
            return Err(Stopped);
        }
        lanes.reports.push_back((id, outcome));
        self.wake(lanes);
        Ok(())
    }

    /// What waits is committed, then the driver ends.
    pub(crate) fn stop(&self) {
        let mut lanes = self.lanes();
        lanes.phase = lanes.phase.max(Phase::Stopping);
        self.wake(lanes);
    }

    /// How many messages and commands wait.
    pub fn depth(&self) -> usize {
        let lanes = self.lanes();
        lanes.messages.len() + lanes.asked.len()
    }

    fn push(&self, put: impl FnOnce(&mut Lanes)) -> Result<(), Stopped> {
        let mut lanes = self.lanes();
        if lanes.phase == Phase::Closed {
            return Err(Stopped);
        }
        put(&mut lanes);
        self.wake(lanes);
        Ok(())
    }

    /// Wakes the driver if it sleeps: the first of many that arrive meanwhile is enough.
    fn wake(&self, mut lanes: MutexGuard<'_, Lanes>) {
        let is_asleep = std::mem::take(&mut lanes.is_driver_asleep);
        drop(lanes);
        if is_asleep {
            self.0.arrived.notify_one();
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver's end.
impl Queue {
    /// The next task; waits for one. `takes_messages`: false where there is no room for readings; time goes on.
    pub(crate) fn next(&self, takes_messages: bool) -> Work {
        let mut lanes = self.lanes();
        loop {
            if let Some(work) = lanes.take(takes_messages) {
                if matches!(work, Work::Job(..)) {
                    self.0.taken.notify_all();
                }
                return work;
            }
            lanes.is_driver_asleep = true;
            lanes = self.0.arrived.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether a message waits.
    pub(crate) fn has_messages(&self) -> bool {
        !self.lanes().messages.is_empty()
    }

    /// For as long as the disk refuses: waits for what is asked, and gives it to be refused. Reports of jobs are dropped:
    /// what they were about is in the journal. True: sanimon is stopping.
    pub(crate) fn asked_within(&self, wait: Duration) -> (Vec<Asked>, bool) {
        let lanes = self.lanes();
        let is_quiet = |lanes: &mut Lanes| {
            lanes.is_driver_asleep = lanes.asked.is_empty() && lanes.phase == Phase::Open;
            lanes.is_driver_asleep
        };
        let waited = self.0.arrived.wait_timeout_while(lanes, wait, is_quiet);
        let (mut lanes, _) = waited.unwrap_or_else(PoisonError::into_inner);
        lanes.reports.clear();
        self.0.taken.notify_all();
        (lanes.asked.drain(..).collect(), lanes.phase > Phase::Open)
    }

    /// Refuses what is still waiting, and all that comes.
    pub(crate) fn close(&self) {
        let mut lanes = self.lanes();
        lanes.phase = Phase::Closed;
        lanes.messages.clear();
        let asked: Vec<Asked> = lanes.asked.drain(..).collect();
        drop(lanes);
        asked.into_iter().for_each(|asked| asked.refuse(Refusal::Stopping));
        self.0.taken.notify_all();
        for semaphore in [&self.0.places, &self.0.commands] {
            semaphore.close();
        }
    }
}

impl Lanes {
    fn take(&mut self, takes_messages: bool) -> Option<Work> {
        let has_messages = takes_messages && !self.messages.is_empty();
        if let Some((id, outcome)) = self.reports.pop_front() {
            return Some(Work::Job(id, outcome));
        }
        if !(has_messages && self.are_messages_next)
            && let Some(asked) = self.asked.pop_front()
        {
            self.are_messages_next = true;
            return Some(Work::Asked(asked));
        }
        if has_messages || self.has_tick {
            (self.has_tick, self.are_messages_next) = (false, false);
            return Some(Work::Messages(if takes_messages { self.group() } else { Vec::new() }));
        }
        (self.phase > Phase::Open).then_some(Work::Stop)
    }

    /// What waits, up to a group's size.
    fn group(&mut self) -> Vec<Received<Ack>> {
        let mut sum = 0;
        let fits = self.messages.iter().take(GROUP_MESSAGES_MAX).take_while(|received| {
            let is_room = sum < GROUP_READINGS_MAX;
            sum += received.message.readings();
            is_room
        });
        let count = fits.count();
        // The room stays: to grow it anew for each group would cost more than to move what was in it.
        self.messages.drain(..count).collect()
    }
}
