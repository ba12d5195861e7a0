//! The bounded way from the sources to the writer: messages, what people ask for, what jobs report.
//!
//! Each source has a [`Line`] of its own. A group is filled from all of them in turn, so whoever has much waiting delays others
//! by little ([`lines`]). Places are taken before a message is decoded, first of its line's share and then of all: a client that
//! floods fills its own share, and the others go on. Waiting for a place is the back-pressure. People's commands have a lane of
//! their own: they pass the messages that wait, and while the disk refuses they are answered at once.

mod line;
mod lines;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::{DeliveryOutcome, SessionChange};
use sanimon_writer::{Answer, Ask, Changed, Command, Entry, Group, JobId, JobOutcome, Refusal};
use tokio::sync::{Semaphore, oneshot};

use crate::decode::Decoder;
use crate::message::Ack;

pub use line::{Arrival, Line};
use lines::{LineNo, Lines};

/// Places of messages that wait: some groups' worth. More would only add to the wait.
const PLACES_MAX: usize = 4_096;
/// What one client's line may take: a quarter of the places, as many as a gateway may have under way.
const PLACES_OF_CLIENT_MAX: usize = PLACES_MAX / 4;
/// Commands waiting at most: each is a person's click, or a channel's report.
const COMMANDS_MAX: usize = 64;
/// Steps of jobs waiting at most: each may hold a megabyte.
const REPORTS_MAX: usize = 2;
/// Changes of sessions in a group at most. While more wait, groups have no messages: what a message is stored for must be there.
const SESSION_CHANGES_OF_GROUP_MAX: usize = 2_048;
/// When so many changes of sessions wait, no client of the embedded broker is read any further.
const SESSION_CHANGES_CROWD: usize = 16_384;
/// Changes of sessions waiting at most. What lies above the crowd is for what comes from no client: connections that end, and
/// messages that were committed meanwhile.
const SESSION_CHANGES_MAX: usize = 131_072;

/// The way of an answer back to who asked.
pub(crate) type Reply = oneshot::Sender<Answer>;

/// One task for the driver.
#[derive(Debug)]
pub(crate) enum Work {
    /// What was waiting; empty: time went on.
    Messages(Group<Ack>),
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
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
struct Lanes {
    lines: Lines,
    sessions: VecDeque<Changed<Ack>>,
    /// Somebody waits for one of these changes, or more are left than a group takes.
    are_changes_due: bool,
    /// A change found no room, and that was told.
    is_overflow_told: bool,
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
    /// Of [`SESSION_CHANGES_CROWD`]: it is asked for each packet, without the lock.
    is_crowded: AtomicBool,
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

impl Queue {
    pub(crate) fn new(clock: Arc<dyn Clock>, decoder: Decoder) -> Self {
        Self(Arc::new(Inner {
            lanes: Mutex::default(),
            arrived: Condvar::new(),
            taken: Condvar::new(),
            is_crowded: AtomicBool::new(false),
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

    /// A line of its own for a source that speaks for itself: a device, a gateway.
    pub fn line(&self) -> Line {
        Line::new(self.clone(), PLACES_OF_CLIENT_MAX)
    }

    /// One for an external broker, which brings the messages of a town: it may take all the places that there are.
    pub fn line_of_broker(&self) -> Line {
        Line::new(self.clone(), PLACES_MAX)
    }

    /// A change of what the embedded broker keeps, in the next group. Where nobody waits for it, it does not make one. A change
    /// for which there is no room is refused: its acknowledgement is dropped.
    pub(crate) fn change(&self, change: SessionChange, ack: Ack) {
        let is_awaited = ack.is_awaited();
        let mut lanes = self.lanes();
        if lanes.phase == Phase::Closed {
            // At the end nobody stores anything any more: what this is about is found out at the start.
            return drop(lanes);
        }
        if lanes.sessions.len() >= SESSION_CHANGES_MAX {
            let is_told = std::mem::replace(&mut lanes.is_overflow_told, true);
            drop(lanes);
            if !is_told {
                tracing::error!(%change, "changes of MQTT sessions are not stored: too many wait for the disk");
            }
            return;
        }
        lanes.sessions.push_back(Changed { change, ack });
        if lanes.sessions.len() == SESSION_CHANGES_CROWD {
            let was_crowded = self.0.is_crowded.swap(true, Ordering::Relaxed);
            if !was_crowded {
                tracing::warn!(
                    "the disk does not keep up with the changes of MQTT sessions: no client is read before it has"
                );
            }
        }
        if is_awaited {
            lanes.are_changes_due = true;
            self.wake(lanes);
        }
    }

    /// So many changes wait that nobody may cause more.
    pub(crate) fn is_crowded(&self) -> bool {
        self.0.is_crowded.load(Ordering::Relaxed)
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
        lanes.lines.len() + lanes.asked.len()
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
                if lanes.sessions.len() < SESSION_CHANGES_CROWD / 2 {
                    self.0.is_crowded.store(false, Ordering::Relaxed);
                }
                return work;
            }
            lanes.is_driver_asleep = true;
            lanes = self.0.arrived.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether a message waits.
    pub(crate) fn has_messages(&self) -> bool {
        self.lanes().has_messages(true)
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
        let dropped = (lanes.lines.clear(), std::mem::take(&mut lanes.sessions));
        let asked: Vec<Asked> = lanes.asked.drain(..).collect();
        drop(lanes);
        // Whoever waits is told outside of the lock.
        drop(dropped);
        asked.into_iter().for_each(|asked| asked.refuse(Refusal::Stopping));
        self.0.taken.notify_all();
        for semaphore in [&self.0.places, &self.0.commands] {
            semaphore.close();
        }
    }
}

impl Lanes {
    fn has_messages(&self, takes_messages: bool) -> bool {
        let are_changes_due = self.are_changes_due || self.phase > Phase::Open && !self.sessions.is_empty();
        are_changes_due || takes_messages && !self.lines.is_empty()
    }

    fn take(&mut self, takes_messages: bool) -> Option<Work> {
        let has_messages = self.has_messages(takes_messages);
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
            return Some(Work::Messages(self.group(takes_messages)));
        }
        (self.phase > Phase::Open).then_some(Work::Stop)
    }

    fn group(&mut self, takes_messages: bool) -> Group<Ack> {
        let number = self.sessions.len().min(SESSION_CHANGES_OF_GROUP_MAX);
        let sessions: Vec<_> = self.sessions.drain(..number).collect();
        self.are_changes_due = !self.sessions.is_empty();
        if self.are_changes_due {
            return Group { messages: Vec::new(), sessions };
        }
        self.sessions.shrink_to(SESSION_CHANGES_OF_GROUP_MAX);
        self.is_overflow_told = false;
        Group { messages: if takes_messages { self.lines.group() } else { Vec::new() }, sessions }
    }
}

#[cfg(test)]
mod tests {
    use sanimon_domain::SessionKey;

    use super::*;
    use crate::testing::queue;

    fn released(number: usize) -> SessionChange {
        SessionChange::Released(SessionKey { owner: "".into(), client_id: "c".into() }, number as u16)
    }

    fn group(queue: &Queue) -> Group<Ack> {
        match queue.next(true) {
            Work::Messages(group) => group,
            other => panic!("{other:?}"),
        }
    }

    /// Many changes are many groups, in order, and messages come when all of them are in: they may be about these sessions.
    #[tokio::test]
    async fn changes_of_sessions_are_bounded_in_a_group_and_go_before_messages() {
        let (queue, ..) = queue();
        let number = 2 * SESSION_CHANGES_OF_GROUP_MAX + 1;
        (0..number).for_each(|own| queue.change(released(own), Ack::none()));
        let arrival = Arrival {
            source: "test".into(),
            topic: "sanitation/z/bin/b/telemetry".into(),
            payload: "1".into(),
            qos: sanimon_writer::Qos::AtMostOnce,
            is_retained: false,
            connection: sanimon_writer::Connection::Broker,
            client_id: None,
            mqtt: None,
            refused: None,
            ack: crate::message::AckWay::None,
        };
        queue.line().message(arrival).await.expect("it is open");
        let groups: Vec<Group<Ack>> = (0..3).map(|_| group(&queue)).collect();
        let sizes: Vec<_> = groups.iter().map(|own| (own.sessions.len(), own.messages.len())).collect();
        assert_eq!(sizes, [(SESSION_CHANGES_OF_GROUP_MAX, 0), (SESSION_CHANGES_OF_GROUP_MAX, 0), (1, 1)]);
        let changes = groups.into_iter().flat_map(|own| own.sessions).map(|own| own.change);
        assert!(changes.eq((0..number).map(released)), "in their order");
    }

    #[test]
    fn a_crowd_of_changes_is_told_and_is_over_when_half_of_it_is_taken() {
        let (queue, ..) = queue();
        (0..SESSION_CHANGES_CROWD - 1).for_each(|own| queue.change(released(own), Ack::none()));
        assert!(!queue.is_crowded());
        queue.change(released(0), Ack::none());
        assert!(queue.is_crowded());
        queue.tick().expect("it is open");
        let mut left = SESSION_CHANGES_CROWD;
        while queue.is_crowded() {
            left -= group(&queue).sessions.len();
        }
        assert!(left < SESSION_CHANGES_CROWD / 2 && left > SESSION_CHANGES_CROWD / 4, "{left}");
    }

    #[test]
    fn what_nobody_waits_for_is_still_written_when_sanimon_stops() {
        let (queue, ..) = queue();
        queue.change(released(1), Ack::none());
        queue.stop();
        assert_eq!(group(&queue).sessions.len(), 1);
        assert!(matches!(queue.next(true), Work::Stop));
    }
}
