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
use std::time::Duration;

use sanimon_alerting::{Effect, Engine, Input, RuleSet};
use sanimon_domain::{AlertId, Clock, DeviceNo, TimestampMs};
use sanimon_store::{
    Command, CommandError, Counters, Device, DeviceState, Group, Reply, Shared, Store, StoreError, Writer,
};
use tokio::sync::mpsc;

use crate::error::IngestError;
use crate::message::Message;
use crate::pipeline::{Admission, GroupBuilder};
use crate::queue::{Queue, Work};

/// Messages in a group at most: bounds the memory of a group and the loss of time when its commit fails.
const GROUP_MESSAGES_MAX: usize = 4_096;
/// Readings in a group after which no further message joins: backlogs are large.
const GROUP_READINGS_MAX: usize = 100_000;
/// Between two tries to commit a group that the disk refuses.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// What the committer is started with.
#[derive(Debug)]
pub struct CommitterOptions {
    pub rules: Arc<RuleSet>,
    pub clock: Arc<dyn Clock>,
    pub admission: Admission,
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
        let (queue, receiver) = Queue::new(options.clock.clone());
        let shared = store.shared.clone();
        let stopping = Arc::new(AtomicBool::new(false));
        let Store { writer, lock, .. } = store;
        let mut worker = Worker {
            engine: Engine::new(options.rules.clone(), AlertId(1)),
            writer,
            options,
            receiver,
            queue: queue.clone(),
            stopping: stopping.clone(),
            last_now: TimestampMs(i64::MIN),
        };
        worker.restore()?;
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
    writer: Writer,
    engine: Engine,
    options: CommitterOptions,
    receiver: mpsc::Receiver<Work>,
    queue: Queue,
    stopping: Arc<AtomicBool>,
    last_now: TimestampMs,
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
        }
    }

    /// The site's time, never stepping back.
    fn now(&mut self) -> TimestampMs {
        self.last_now = self.last_now.max(self.options.clock.now());
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
                    if let sanimon_codec::Body::Telemetry(telemetry) = &message.decoded.body {
                        readings += telemetry.len();
                    }
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
        if self.commit_until_stored(&mut messages) {
            let acknowledged = messages.into_iter().map(|message| message.ack.release());
            let count = acknowledged.filter(|told| *told).count();
            Counters::add(&self.writer.shared().health.counters.acknowledged, count as u64);
        }
        next
    }

    /// True when the messages are on disk; false when sanimon is stopping and the disk still refuses.
    fn commit_until_stored(&mut self, messages: &mut Vec<Message>) -> bool {
        loop {
            let now = self.now();
            let group = self.build(now, messages);
            let Err(error) = self.writer.commit(&group, self.engine.rules(), now) else {
                self.writer.shared().health.set_store_fault(None);
                return true;
            };
            self.note_failure(&error);
            if !self.rebuild_while_running() {
                return false;
            }
            messages.retain(|message| !message.ack.is_gone());
        }
    }

    fn build(&mut self, now: TimestampMs, messages: &[Message]) -> Group {
        let shared = self.writer.shared().clone();
        let (directory, hot) = (shared.directory.read(), shared.hot.read());
        let mut builder = GroupBuilder::new(&directory, &hot, &mut self.engine, self.options.admission);
        messages.iter().for_each(|message| builder.message(now, message));
        builder.tick(now);
        builder.group
    }

    fn note_failure(&self, error: &StoreError) {
        let health = &self.writer.shared().health;
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
            if self.stopping.load(Ordering::Acquire) {
                tracing::error!("stopping while the store refuses: messages are left unacknowledged");
                return false;
            }
            match self.writer.reload().and_then(|()| self.restore()) {
                Ok(()) => return true,
                Err(error) => self.note_failure(&error),
            }
        }
    }

    /// The engine as the file remembers it, brought in line with today's rules.
    fn restore(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        let rules = self.options.rules.clone();
        let memory = self.writer.engine_memory(&rules)?;
        let mut engine = Engine::new(rules.clone(), AlertId(memory.next_alert));
        let mut effects = Vec::new();
        {
            let shared = self.writer.shared();
            let (directory, hot) = (shared.directory.read(), shared.hot.read());
            for device in directory.devices() {
                if device.state != DeviceState::Retired {
                    let placement = directory.placement(device);
                    let input = Input::Device { device: device.no, id: &device.id, placement: &placement };
                    engine.apply(now, input, &mut effects);
                }
                for latest in hot.latest(device.no) {
                    engine.restore_latest(device.no, latest.metric, latest.at, latest.value);
                }
            }
        }
        engine.restore(&memory.levels, &memory.open);
        engine.settle_all(now, &mut effects);
        let open = engine.open_alerts();
        let unplaced = memory.open.iter().filter(|(device, rule, _)| !open.contains_key(&(*device, *rule)));
        let abandoned = unplaced.map(|(_, _, alert)| alert.id).filter(|id| !was_cleared(&effects, *id));
        let lost: Vec<AlertId> = memory.orphans.iter().copied().chain(abandoned).collect();
        effects.extend(lost.into_iter().map(|alert| Effect::Cleared { alert, at: now, value: f64::NAN }));
        self.engine = engine;
        if !effects.is_empty() {
            self.writer.commit(&Group { effects, ..Group::default() }, &rules, now)?;
        }
        Ok(())
    }

    /// Everything that is not a message. True when the thread must end.
    fn other(&mut self, work: Work) -> bool {
        match work {
            Work::Stop => return true,
            Work::Command(command) => self.command(*command),
            Work::Seal(step) => {
                if let Err(error) = self.writer.apply_seal_step(&step) {
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
        if let Err(error) = self.writer.reload().and_then(|()| self.restore()) {
            self.note_failure(&error);
        }
    }

    fn begin_seal(&mut self) {
        let job = match self.writer.begin_seal_if_due() {
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

    fn command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Alert(action, reply) => answer(reply, self.writer.act(&action, now)),
            Command::PutDevices(devices, reply) => {
                let outcome = self.put_devices(now, devices);
                answer(reply, outcome.map_err(CommandError::from));
            }
            Command::RetireDevice(id, reply) => {
                let outcome = self.writer.retire_device(&id);
                let number = self.writer.shared().directory.read().number(&id);
                if let (Ok(()), Some(device)) = (&outcome, number) {
                    let mut effects = Vec::new();
                    self.engine.apply(now, Input::Retired { device }, &mut effects);
                    self.commit_effects(now, effects);
                }
                answer(reply, outcome);
            }
            Command::PutZones(zones, reply) => {
                let outcome = self.writer.put_zones(zones).map_err(CommandError::from);
                let all = self.writer.shared().directory.read().devices().to_vec();
                self.place(now, &all.iter().map(|device| device.no).collect::<Vec<_>>());
                answer(reply, outcome);
            }
            Command::PutAccount(account, at, reply) => {
                answer(reply, self.writer.put_account(&account, at).map_err(CommandError::from));
            }
            Command::StartSession { token_sha256, account, now, expires_at, reply } => {
                let outcome = self.writer.start_session(&token_sha256, &account, now, expires_at);
                answer(reply, outcome.map_err(CommandError::from));
            }
            Command::EndSession { token_sha256, reply } => {
                answer(reply, self.writer.end_session(&token_sha256).map_err(CommandError::from));
            }
        }
    }

    fn put_devices(&mut self, now: TimestampMs, devices: Vec<Device>) -> Result<(), StoreError> {
        let stored = self.writer.put_devices(devices)?;
        self.place(now, &stored.iter().map(|device| device.no).collect::<Vec<_>>());
        Ok(())
    }

    /// Tells the engine where devices are now, and stores what follows from it.
    fn place(&mut self, now: TimestampMs, devices: &[DeviceNo]) {
        let shared = self.writer.shared().clone();
        let mut effects = Vec::new();
        {
            let directory = shared.directory.read();
            for device in devices.iter().filter_map(|no| directory.device(*no)) {
                let placement = directory.placement(device);
                let input = match device.state {
                    DeviceState::Retired => Input::Retired { device: device.no },
                    _ => Input::Device { device: device.no, id: &device.id, placement: &placement },
                };
                self.engine.apply(now, input, &mut effects);
            }
        }
        self.commit_effects(now, effects);
    }

    fn commit_effects(&mut self, now: TimestampMs, effects: Vec<Effect>) {
        let group = Group { effects, ..Group::default() };
        if let Err(error) = self.writer.commit(&group, self.engine.rules(), now) {
            self.note_failure(&error);
            self.rebuild_while_running();
        }
    }
}

fn was_cleared(effects: &[Effect], id: AlertId) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Cleared { alert, .. } if *alert == id))
}

/// The asker may have gone; the change was made all the same.
fn answer<T>(reply: Reply<T>, outcome: Result<T, CommandError>) {
    let _ = reply.send(outcome);
}
