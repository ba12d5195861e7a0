//! The one thread that owns the writer and the engine: group after group, as fast as the disk syncs.
//!
//! Failure cases:
//! * A commit fails (the disk is full, say): nothing of the group is stored and nothing is acknowledged. The engine is
//!   ahead of the file, so memory and engine are rebuilt from it, and the same messages are tried again until there is
//!   room; senders that gave up meanwhile are left out, for they will send again. `/readyz` says why.
//! * The process is killed: what was committed was synced; what was not was not acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sanimon_alerting::RuleSet;
use sanimon_codec::Formats;
use sanimon_codec::script::Script;
use sanimon_domain::{Clock, TimestampMs};
use sanimon_operations::OperationsSettings;
use sanimon_store::{Command, CommandError, Counters, Reply, SetupCommand, Shared, Store, StoreError};
use tokio::sync::mpsc;

use crate::core::Core;
use crate::decode::Decoder;
use crate::error::IngestError;
use crate::message::Message;
use crate::pipeline::Admission;
use crate::queue::{Queue, Work};

/// Messages in a group at most: bounds the memory of a group and the loss of time when its commit fails.
const GROUP_MESSAGES_MAX: usize = 4_096;
/// Readings in a group after which no further message joins: backlogs are large.
const GROUP_READINGS_MAX: usize = 100_000;
/// Between two tries to commit a group that the disk refuses.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// Points go to InfluxDB, where there is one, about twice a second, and sooner when many wait.
const DELIVER_EVERY: Duration = Duration::from_millis(500);
const DELIVER_AT_POINTS: usize = 10_000;

/// What the committer is started with.
#[derive(Debug)]
pub struct CommitterOptions {
    pub rules: Arc<RuleSet>,
    pub clock: Arc<dyn Clock>,
    pub admission: Admission,
    /// Who is responsible, who is told.
    pub operations: Arc<OperationsSettings>,
    /// The text of the rules: it is kept with their version.
    pub rules_text: String,
    /// How long what residents wrote and showed is kept.
    pub reports_kept_ms: i64,
    pub formats: Formats,
    /// Codecs of the configuration.
    pub scripts: Vec<Script>,
}

/// The running committer.
#[derive(Debug)]
pub struct Committer {
    pub queue: Queue,
    pub shared: Shared,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Committer {
    /// Restores the engine and starts the thread.
    pub fn start(store: Store, options: CommitterOptions) -> Result<Self, IngestError> {
        let CommitterOptions {
            rules,
            clock,
            admission,
            operations,
            rules_text,
            reports_kept_ms,
            formats,
            scripts,
        } = options;
        let shared = store.shared.clone();
        let decoder = Decoder::new(formats, scripts, shared.directory.clone());
        let (queue, receiver) = Queue::new(clock.clone(), decoder);
        let stopping = Arc::new(AtomicBool::new(false));
        let Store { mut writer, lock, .. } = store;
        writer.use_conduct(operations);
        writer.mirror_open_alerts(clock.now())?;
        let version = writer.adopt_rules(&rules_text, clock.now())?;
        let rules = Arc::new(RuleSet::clone(&rules).with_version(version));
        let core = Core::new(writer, rules, admission, clock.now())?;
        let mut worker = Worker {
            core,
            reports_kept_ms,
            clock,
            receiver,
            queue: queue.clone(),
            stopping: stopping.clone(),
            last_now: TimestampMs(i64::MIN),
            last_delivery: Instant::now(),
            delivers_backlog: false,
        };
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || {
            worker.run();
            drop(lock);
        });
        let thread = thread.map_err(|source| IngestError::Thread { what: "committer", source })?;
        Ok(Self { queue, shared, stopping, thread })
    }

    /// Commits what is waiting and stops. Sources must be stopped before: what they still send is refused.
    pub async fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        // Refused only if the thread has gone already.
        let _ = self.queue.send(Work::Stop).await;
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

struct Worker {
    core: Core,
    reports_kept_ms: i64,
    clock: Arc<dyn Clock>,
    receiver: mpsc::Receiver<Work>,
    queue: Queue,
    stopping: Arc<AtomicBool>,
    last_now: TimestampMs,
    last_delivery: Instant,
    /// Blocks of an outage, or of an embedded past, are on their way: no pause between them.
    delivers_backlog: bool,
}

/// What ended the gathering of a group.
enum Next {
    /// Nothing else was waiting, or the group is full.
    Idle,
    Then(Work),
}

impl Worker {
    fn run(&mut self) {
        while let Some(work) = self.receiver.blocking_recv() {
            self.core.writer.shared().health.beat();
            let is_tick = matches!(work, Work::Tick);
            let next = match work {
                Work::Message(message) => self.group(Some(*message)),
                Work::Tick => self.group(None),
                other => Next::Then(other),
            };
            if let Next::Then(work) = next
                && self.other(work)
            {
                return;
            }
            self.begin_seal();
            self.begin_delivery();
            if is_tick {
                self.tidy();
            }
        }
    }

    /// A step of retention or vacuum when nobody waits.
    fn tidy(&mut self) {
        if !self.receiver.is_empty() || self.core.writer.shared().health.store_fault().is_some() {
            return;
        }
        let now = self.now();
        if let Err(error) = self.core.writer.tidy(now) {
            tracing::warn!(%error, "tidying failed, will be tried again");
        }
        let before = now.minus_ms(self.reports_kept_ms);
        if let Err(error) = self.core.writer.forget_reports(before, now) {
            tracing::warn!(%error, "forgetting old reports failed, will be tried again");
        }
    }

    /// The site's time, never stepping back.
    fn now(&mut self) -> TimestampMs {
        self.last_now = self.last_now.max(self.clock.now());
        self.last_now
    }

    /// Gathers what is waiting, commits it and releases the acknowledgements.
    fn group(&mut self, first: Option<Message>) -> Next {
        let mut readings = 0;
        let mut messages: Vec<Message> = first.into_iter().collect();
        let mut next = Next::Idle;
        while messages.len() < GROUP_MESSAGES_MAX && readings < GROUP_READINGS_MAX {
            match self.receiver.try_recv() {
                Ok(Work::Message(message)) => {
                    readings +=
                        message.decoded.heard.iter().map(|heard| heard.readings().len()).sum::<usize>();
                    messages.push(*message);
                }
                // Each group ends with a tick of its own.
                Ok(Work::Tick) => {}
                Ok(other) => {
                    next = Next::Then(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let received = messages.len() as u64;
        Counters::add(&self.core.writer.shared().health.counters.received, received);
        if self.commit_until_stored(&mut messages) {
            let acknowledged = messages.into_iter().map(|message| message.ack.release());
            let count = acknowledged.filter(|told| *told).count();
            Counters::add(&self.core.writer.shared().health.counters.acknowledged, count as u64);
        }
        next
    }

    /// True when the messages are on disk; false when sanimon is stopping and the disk still refuses.
    fn commit_until_stored(&mut self, messages: &mut Vec<Message>) -> bool {
        loop {
            let now = self.now();
            let Err(error) = self.core.commit_messages(now, messages) else {
                self.core.writer.shared().health.set_store_fault(None);
                return true;
            };
            self.note_failure(&error);
            if !self.rebuild_while_running() {
                return false;
            }
            messages.retain(|message| !message.ack.is_gone());
        }
    }

    fn note_failure(&self, error: &StoreError) {
        let health = &self.core.writer.shared().health;
        Counters::add(&health.counters.commit_failures, 1);
        if health.store_fault().is_none() {
            tracing::error!(%error, "commit failed, holding messages without acknowledgement");
        }
        health.set_store_fault(Some(error.to_string()));
    }

    /// Waits, then rebuilds memory and engine from the file. False when sanimon is stopping.
    fn rebuild_while_running(&mut self) -> bool {
        loop {
            std::thread::sleep(RETRY_EVERY);
            self.core.writer.shared().health.beat();
            if self.stopping.load(Ordering::Acquire) {
                tracing::error!("stopping while the store refuses: messages are left unacknowledged");
                return false;
            }
            let now = self.now();
            match self.core.reload(now) {
                Ok(()) => return true,
                Err(error) => self.note_failure(&error),
            }
        }
    }

    /// Everything that is not a message. True when the thread must end.
    fn other(&mut self, work: Work) -> bool {
        match work {
            Work::Stop => {
                // What InfluxDB does not have yet waits on disk for the next start.
                self.core.writer.stop_delivery();
                return true;
            }
            Work::Delivered(step) => {
                self.delivers_backlog = step.is_backlog();
                if let Err(error) = self.core.writer.apply_delivery_step(&step) {
                    self.seal_failed(&error.to_string());
                }
            }
            Work::DeliveryBrokeOff(generation) => self.core.writer.delivery_broke_off(generation),
            Work::Command(command) => self.command(*command),
            Work::Seal(step) => {
                if let Err(error) = self.core.writer.apply_seal_step(&step) {
                    self.seal_failed(&error.to_string());
                }
            }
            Work::SealFailed => self.seal_failed("the sealer stopped"),
            Work::Message(_) | Work::Tick => unreachable!("messages and ticks are gathered into groups"),
        }
        false
    }

    /// A seal that fails costs nothing: the journal still has it all. The reload makes its other steps void.
    fn seal_failed(&mut self, why: &str) {
        tracing::warn!(why, "sealing failed, will be tried again");
        let now = self.now();
        if let Err(error) = self.core.reload(now) {
            self.note_failure(&error);
        }
    }

    fn begin_seal(&mut self) {
        let job = match self.core.writer.begin_seal_if_due() {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "cannot begin to seal"),
        };
        let queue = self.queue.clone();
        let sealer = move || {
            let outcome = job.run(|step| queue.blocking_send(Work::Seal(Box::new(step))).is_ok());
            if let Err(error) = outcome {
                tracing::warn!(%error, "sealer stopped");
                let _ = queue.blocking_send(Work::SealFailed);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("sealer".to_owned()).spawn(sealer) {
            tracing::warn!(%error, "cannot start the sealer");
        }
    }

    fn begin_delivery(&mut self) {
        let waiting = self.core.writer.shared().hot.read().unsealed_points();
        let is_soon = self.last_delivery.elapsed() < DELIVER_EVERY && waiting < DELIVER_AT_POINTS;
        if is_soon && !self.delivers_backlog {
            return;
        }
        let job = match self.core.writer.begin_delivery_if_due() {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "cannot begin to deliver"),
        };
        self.last_delivery = Instant::now();
        let (queue, clock, generation) = (self.queue.clone(), self.clock.clone(), job.generation);
        let deliverer = move || {
            let work = match job.run(|| clock.now()) {
                Ok(Some(step)) => Work::Delivered(Box::new(step)),
                Ok(None) => Work::DeliveryBrokeOff(generation),
                Err(error) => {
                    tracing::warn!(%error, "delivery stopped, will be tried again");
                    Work::DeliveryBrokeOff(generation)
                }
            };
            let _ = queue.blocking_send(work);
        };
        if let Err(error) = std::thread::Builder::new().name("deliverer".to_owned()).spawn(deliverer) {
            tracing::warn!(%error, "cannot start the deliverer");
            self.core.writer.delivery_broke_off(generation);
        }
    }

    fn command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Alert(action, reply) => answer(reply, self.core.writer.act(&action, now)),
            Command::PutWindow(window, reply) => {
                let outcome = self.core.put_window(now, &window);
                self.answer_change(reply, outcome.map_err(CommandError::from));
            }
            Command::EndWindow { id, who, reply } => {
                let ended = self.core.writer.end_window(id, &who, now);
                let outcome = ended.and_then(|()| Ok(self.core.tell_windows(now)?));
                self.answer_change(reply, outcome);
            }
            Command::PutRules(rules, reply) => {
                let outcome = self.core.put_rules(now, rules);
                self.answer_change(reply, outcome.map_err(CommandError::from));
            }
            Command::Report(report, reply) => {
                let outcome = self.core.report(now, &report);
                self.answer_change(reply, outcome);
            }
            Command::TestChannel { channel, reply } => {
                answer(reply, self.core.writer.test_channel(&channel, now));
            }
            Command::Delivered(outcomes, reply) => {
                answer(reply, self.core.writer.note_deliveries(&outcomes, now).map_err(CommandError::from));
            }
            Command::RetryMessage { id, reply } => answer(reply, self.core.writer.retry_message(id, now)),
            Command::RateReport { token, satisfaction, reply } => {
                answer(reply, self.core.writer.rate_report(&token, satisfaction, now));
            }
            Command::MakePlaceCodes { codes, reply } => {
                answer(reply, self.core.writer.put_place_codes(&codes, now));
            }
            Command::PutDevices(devices, reply) => {
                let outcome = self.core.put_devices(now, devices);
                self.answer_change(reply, outcome.map_err(CommandError::from));
            }
            Command::RetireDevice(id, reply) => {
                let number = self.core.writer.shared().directory.read().number(&id);
                let mut outcome = self.core.writer.retire_device(&id, now);
                if let (Ok(()), Some(device)) = (&outcome, number) {
                    outcome = self.core.place(now, &[device]).map_err(CommandError::from);
                }
                self.answer_change(reply, outcome);
            }
            Command::Audited(entry, command) => {
                self.core.writer.begin_audited(entry);
                self.command(*command);
                self.core.writer.end_audited();
            }
            Command::Setup(setup) => self.set_up(now, setup),
            Command::Access(access) => self.core.writer.access(access, now),
        }
    }

    fn set_up(&mut self, now: TimestampMs, setup: SetupCommand) {
        match setup {
            SetupCommand::SetZones(zones, reply) => {
                let outcome = self.core.writer.set_zones(zones).and_then(|()| self.core.place_all(now));
                self.answer_change(reply, outcome.map_err(CommandError::from));
            }
            SetupCommand::PutDuties(duties, reply) => {
                answer(reply, self.core.writer.use_duties(*duties).map_err(CommandError::from));
            }
            SetupCommand::PutRound(round, reply) => {
                answer(reply, self.core.writer.put_round(&round, now).map_err(CommandError::from));
            }
            SetupCommand::MarkStop(mark, reply) => answer(reply, self.core.writer.mark_stop(&mark, now)),
            SetupCommand::EndRound { id, who, reply } => {
                answer(reply, self.core.writer.end_round(id, &who, now));
            }
            SetupCommand::AddPhoto(photo, reply) => answer(reply, self.core.writer.add_photo(&photo, now)),
            SetupCommand::NoteEvent(event, reply) => {
                let outcome = self.core.note_event(now, event);
                self.answer_change(reply, outcome.map_err(CommandError::from));
            }
        }
    }

    /// Answers a change that also went through the engine: if it failed half-way, memory is ahead of the file.
    fn answer_change<T>(&mut self, reply: Reply<T>, outcome: Result<T, CommandError>) {
        if matches!(&outcome, Err(CommandError::Store(_))) {
            let now = self.now();
            if let Err(error) = self.core.reload(now) {
                self.note_failure(&error);
            }
        }
        answer(reply, outcome);
    }
}

/// The asker may have gone; the change was made all the same.
fn answer<T>(reply: Reply<T>, outcome: Result<T, CommandError>) {
    let _ = reply.send(outcome);
}
