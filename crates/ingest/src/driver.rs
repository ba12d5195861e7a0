//! The thread that drives the writer: takes what waits, applies it, sends out what was committed.
//!
//! While one group commits, the next gathers: there is no timer. While the disk refuses, messages are held without an
//! acknowledgement, people are told at once, and a small write is tried now and then; memory is read from the file again
//! once it succeeds.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use sanimon_broker::Token;
use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::{Counters, Part, Shared, Store};
use sanimon_writer::{
    Applied, Failure, Group, Input, Job, JobId, JobOutcome, Live, Options, Outputs, Refusal, Reloaded, Rest,
    Stale, Work as JobWork, Writer,
};
use tokio::sync::oneshot;

use crate::decode::Decoder;
use crate::error::IngestError;
use crate::message::Ack;
use crate::queue::{Asked, Queue, Reply, Work};

/// Where messages never stop, a step of tidying comes after so many groups.
const GROUPS_PER_TIDY: u32 = 256;
/// Between two tries to write while the disk refuses: short at first, for most of it is over soon.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(4);

/// What the driver is started with.
#[derive(Debug)]
pub struct DriverOptions {
    pub writer: Options,
    pub clock: Arc<dyn Clock>,
    pub decoder: Decoder,
}

/// The running writer.
#[derive(Debug)]
pub struct Driver {
    pub queue: Queue,
    pub shared: Shared,
    thread: JoinHandle<()>,
    ended: Option<oneshot::Receiver<()>>,
}

impl Driver {
    /// Takes the store over and starts the thread.
    pub fn start(store: Store, options: DriverOptions) -> Result<Self, IngestError> {
        let DriverOptions { writer, clock, decoder } = options;
        let shared = store.shared.clone();
        let writer = Writer::open(store, writer, clock.now()).map_err(IngestError::Writer)?;
        let queue = Queue::new(clock.clone(), decoder);
        let mut worker = Worker {
            queue: queue.clone(),
            shared: shared.clone(),
            clock,
            part: shared.health.parts.part("writer"),
            last_now: TimestampMs(i64::MIN),
            held: Group::default(),
            is_idle: false,
            groups_since_tidy: 0,
        };
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            // Dropped however the thread ends: a panic, too.
            let _end = end;
            worker.run(writer);
        });
        let thread = thread.map_err(|source| IngestError::Thread { what: "writer", source })?;
        Ok(Self { queue, shared, thread, ended: Some(ended) })
    }

    /// Resolves when the thread has ended, in order or not. Can be taken once.
    pub fn ended(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let ended = self.ended.take();
        async move {
            match ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        }
    }

    /// Commits what is waiting and stops. Sources must be stopped before: what they still send is refused.
    pub async fn stop(self) {
        self.queue.stop();
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

struct Worker {
    queue: Queue,
    shared: Shared,
    clock: Arc<dyn Clock>,
    part: Arc<Part>,
    last_now: TimestampMs,
    /// What was held: it goes first.
    held: Group<Ack>,
    /// Nothing was waiting: if that is still so, the writer tidies up.
    is_idle: bool,
    groups_since_tidy: u32,
}

/// Refuses what comes, however the thread ends: nobody waits for an answer that nobody will give.
struct CloseAtEnd(Queue);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Worker {
    /// The way of everything: taken from the queue, applied, sent out.
    fn run(&mut self, mut writer: Writer<Live>) {
        let _close = CloseAtEnd(self.queue.clone());
        while let Some((input, mut reply)) = self.take(&writer) {
            writer = match writer.apply(self.now(), input) {
                Applied::Done { writer, outputs } => {
                    self.send(outputs, &mut reply);
                    self.shared.health.set_store_fault(writer.is_full().map(|failure| failure.text));
                    writer
                }
                Applied::Held { writer, outputs, rest } => {
                    self.send(outputs, &mut reply);
                    let Some((writer, rest)) = self.hold(writer, rest) else { return };
                    self.held = rest;
                    writer
                }
                Applied::Fatal { outputs, failure } => {
                    self.send(outputs, &mut reply);
                    return self.end(&failure);
                }
            };
        }
        writer.end_delivery();
    }

    /// What is to be applied next, and who waits for the answer. `None`: the thread is to stop.
    fn take(&mut self, writer: &Writer<Live>) -> Option<(Input<Ack>, Option<Reply>)> {
        // While the writer is full, what it holds waits with what comes: a seal must come first.
        if !self.held.is_empty() && writer.is_full().is_none() {
            return Some((Input::Messages(std::mem::take(&mut self.held)), None));
        }
        let is_idle = std::mem::take(&mut self.is_idle) && !self.queue.has_messages();
        if is_idle || self.groups_since_tidy >= GROUPS_PER_TIDY {
            self.groups_since_tidy = 0;
            return Some((Input::Tidy, None));
        }
        self.part.heartbeat.waiting();
        let work = self.queue.next(writer.is_full().is_none());
        self.part.heartbeat.working();
        match work {
            Work::Messages(messages) => {
                self.is_idle = messages.is_empty();
                self.groups_since_tidy += u32::from(!self.is_idle);
                Counters::add(&self.shared.health.counters.received, messages.messages.len() as u64);
                Some((Input::Messages(messages), None))
            }
            Work::Asked(Asked::Command(entry, command, reply)) => {
                Some((Input::Command(entry, *command), Some(reply)))
            }
            Work::Asked(Asked::Deliveries(outcomes, reply)) => {
                Some((Input::Deliveries(outcomes), Some(reply)))
            }
            Work::Job(id, outcome) => Some((Input::Maintenance(id, outcome), None)),
            Work::Stop => None,
        }
    }

    /// Waits until the disk takes something again. Gives what is still to be applied.
    fn hold(&mut self, mut writer: Writer<Stale>, mut rest: Rest<Ack>) -> Option<(Writer<Live>, Group<Ack>)> {
        let mut pause = RETRY_FIRST;
        loop {
            self.note(writer.cause());
            self.part.heartbeat.waiting();
            let (asked, is_stopping) = self.queue.asked_within(pause);
            self.part.heartbeat.working();
            let refusal = || Refusal::Unavailable(writer.cause().text.clone());
            asked.into_iter().for_each(|asked| asked.refuse(refusal()));
            if is_stopping {
                tracing::error!("stopping while the store refuses: messages are left unacknowledged");
                return None;
            }
            // Senders that gave up meanwhile will send again.
            rest.retain(|ack| !ack.is_gone());
            pause = (pause * 2).min(RETRY_MAX);
            if writer.probe().is_err() {
                continue;
            }
            match writer.reload(self.now(), rest) {
                Reloaded::Live { writer, outputs, rest } => {
                    self.send(outputs, &mut None);
                    if rest.is_empty() {
                        self.shared.health.set_store_fault(None);
                    }
                    return Some((writer, rest));
                }
                Reloaded::Stale { writer: stale, rest: held } => (writer, rest) = (stale, held),
                Reloaded::Fatal(failure) => {
                    self.end(&failure);
                    return None;
                }
            }
        }
    }

    fn end(&self, failure: &Failure) {
        tracing::error!(%failure, "the database is damaged: run `sanimon check`, restore a backup");
        self.shared.health.set_store_fault(Some(failure.text.clone()));
    }

    fn note(&self, cause: &Failure) {
        let health = &self.shared.health;
        Counters::add(&health.counters.commit_failures, 1);
        if health.store_fault().is_none() {
            tracing::error!(%cause, "commit failed, holding messages without acknowledgement");
        }
        health.set_store_fault(Some(cause.text.clone()));
    }

    /// Sends out what was committed. None of it can fail.
    fn send(&self, outputs: Outputs<Ack>, reply: &mut Option<Reply>) {
        let Outputs { acknowledged, answer, feed, wake_outbox, job } = outputs;
        // Before the acknowledgements: who has one and looks at once sees what it sent.
        self.shared.feed.publish(feed);
        let mut settled = Vec::new();
        let count =
            acknowledged.into_iter().map(|ack| ack.release(&mut settled)).filter(|told| *told).count();
        Token::settle(settled);
        Counters::add(&self.shared.health.counters.acknowledged, count as u64);
        if wake_outbox {
            self.shared.wake_outbox();
        }
        if let (Some(answer), Some(reply)) = (answer, reply.take()) {
            // The asker may have gone; the change was made all the same.
            let _ = reply.send(answer);
        }
        if let Some(job) = job {
            self.start_job(job);
        }
        let now = self.last_now.0;
        self.shared.health.last_commit_at.store(now, std::sync::atomic::Ordering::Relaxed);
    }

    /// Runs a job on a thread of its own. However it ends, the writer hears of it.
    fn start_job(&self, Job { id, work }: Job) {
        let name = if matches!(work, JobWork::Seal(_)) { "sealer" } else { "deliverer" };
        let part = self.shared.health.parts.part(name);
        let report = JobReport { queue: self.queue.clone(), id, part, is_told: false };
        let clock = self.clock.clone();
        let run = move || run_job(work, report, &*clock);
        if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(run) {
            tracing::warn!(%error, name, "cannot start a job's thread, will be tried again");
        }
    }

    /// The site's time, never stepping back.
    fn now(&mut self) -> TimestampMs {
        self.last_now = self.last_now.max(self.clock.now());
        self.last_now
    }
}

/// A job's way back: when it is dropped without a last word, the job is lost.
struct JobReport {
    queue: Queue,
    id: JobId,
    part: Arc<Part>,
    is_told: bool,
}

impl JobReport {
    /// False: nobody waits for it any more.
    fn step(&self, outcome: JobOutcome) -> bool {
        self.part.heartbeat.waiting();
        let is_waited_for = self.queue.report(self.id, outcome).is_ok();
        self.part.heartbeat.working();
        is_waited_for
    }

    fn end(mut self, outcome: Option<JobOutcome>) {
        if let Some(outcome) = outcome {
            self.step(outcome);
        }
        self.part.heartbeat.waiting();
        self.part.recover();
        // Not before: what breaks off until here is still told.
        self.is_told = true;
    }
}

impl Drop for JobReport {
    fn drop(&mut self) {
        if !self.is_told {
            self.part.fail("panicked");
            self.part.heartbeat.waiting();
            let _ = self.queue.report(self.id, JobOutcome::Lost);
        }
    }
}

fn run_job(work: JobWork, report: JobReport, clock: &dyn Clock) {
    report.part.heartbeat.working();
    match work {
        JobWork::Seal(job) => {
            let outcome = job.run(|step| report.step(JobOutcome::Sealed(step)));
            report.end(outcome.err().map(|error| JobOutcome::Failed(error.to_string())));
        }
        JobWork::Deliver(job) => {
            // InfluxDB may be slow: each request has a limit of its own.
            report.part.heartbeat.waiting();
            let outcome = match job.run(|| clock.now()) {
                Ok(Some(step)) => JobOutcome::Delivered(step),
                Ok(None) => JobOutcome::GaveWay,
                Err(error) => JobOutcome::Failed(error.to_string()),
            };
            report.end(Some(outcome));
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use sanimon_domain::Trap;

    use super::*;
    use crate::testing::queue;

    #[test]
    fn a_driver_that_sleeps_is_woken_by_whatever_arrives() {
        let (queue, ..) = queue();
        let driver = queue.clone();
        let (taken, was_taken) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            while !matches!(driver.next(true), Work::Stop) {
                taken.send(()).expect("somebody listens");
            }
        });
        for round in 0..2_000 {
            match round % 2 {
                0 => queue.tick().expect("it is open"),
                _ => queue.report(JobId(1), JobOutcome::GaveWay).expect("it is open"),
            }
            was_taken.recv_timeout(Duration::from_secs(30)).expect("it was woken");
        }
        queue.stop();
        thread.join().expect("it ends");
    }

    #[test]
    fn a_job_that_panics_while_it_tells_of_its_end_is_named_and_told_as_lost() {
        let (queue, shared, _folder) = queue();
        let part = shared.health.parts.part("deliverer");
        let report = JobReport { queue: queue.clone(), id: JobId(1), part: part.clone(), is_told: false };
        part.heartbeat.set_trap(Trap::Panic);
        let ended = catch_unwind(AssertUnwindSafe(|| report.end(Some(JobOutcome::GaveWay))));
        assert!(ended.is_err());
        assert_eq!(part.fault().as_deref(), Some("panicked"));
        queue.tick().expect("it is open");
        assert!(matches!(queue.next(true), Work::Job(JobId(1), JobOutcome::Lost)));
    }
}
