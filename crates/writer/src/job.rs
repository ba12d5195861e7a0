//! Work for a thread beside the writer, and the place where the one job is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sanimon_domain::TimestampMs;
use sanimon_store::{DeliveryJob, DeliveryStep, SealJob, SealStep, Series};

/// After a job that failed: this long, doubled with each further one.
const REST_MS_FIRST: i64 = 1_000;
const REST_MS_MAX: i64 = 5 * 60 * 1_000;

/// The number of a job: steps of one that is no longer waited for are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobId(pub u64);

/// Work for a thread beside the writer.
#[derive(Debug)]
pub struct Job {
    pub id: JobId,
    pub work: Work,
}

/// What a job does.
#[derive(Debug)]
pub enum Work {
    Seal(SealJob),
    Deliver(DeliveryJob),
}

/// What a job sends back.
#[derive(Debug)]
pub enum JobOutcome {
    Sealed(SealStep),
    Delivered(DeliveryStep),
    /// A delivery that nobody waited for any more.
    GaveWay,
    Failed(String),
    /// Its thread ended without a word, or could not be started.
    Lost,
}

/// Where the one job is.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    last_id: u64,
    pub(crate) running: Option<Running>,
    rests_until: Option<TimestampMs>,
    failures: u32,
    pub(crate) delivered_at: Option<TimestampMs>,
    /// Blocks of an outage, or of an embedded past, are on their way: no pause between them.
    pub(crate) is_backlog: bool,
}

#[derive(Debug)]
pub(crate) struct Running {
    id: JobId,
    /// A delivery's: set to end it.
    void: Option<Arc<AtomicBool>>,
    /// Series that this seal could not seal.
    pub(crate) left_out: Vec<Series>,
}

impl Slot {
    /// No job is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_none()
    }

    /// Nor does it rest after one that failed.
    pub(crate) fn is_free(&self, now: TimestampMs) -> bool {
        self.running.is_none() && self.rests_until.is_none_or(|until| until <= now)
    }

    pub(crate) fn take(&mut self, void: Option<Arc<AtomicBool>>) -> JobId {
        self.last_id += 1;
        let id = JobId(self.last_id);
        self.running = Some(Running { id, void, left_out: Vec::new() });
        id
    }

    pub(crate) fn is_waited_for(&self, id: JobId) -> bool {
        self.running.as_ref().is_some_and(|running| running.id == id)
    }

    /// The job is over, and all is well.
    pub(crate) fn free(&mut self) {
        (self.running, self.rests_until, self.failures) = (None, None, 0);
    }

    /// The job is over, and is not begun again at once.
    pub(crate) fn rest(&mut self, now: TimestampMs) {
        let pause_ms = (REST_MS_FIRST << self.failures.min(16)).min(REST_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        (self.running, self.rests_until) = (None, Some(now.plus_ms(pause_ms)));
    }

    /// No job is waited for any more.
    pub(crate) fn reset(&mut self) {
        self.end_delivery();
        (self.running, self.is_backlog) = (None, false);
    }

    /// Ends a delivery that is under way; what it sent will be sent again. False: there is none.
    pub(crate) fn end_delivery(&mut self) -> bool {
        let Some(void) = self.running.as_ref().and_then(|running| running.void.clone()) else { return false };
        void.store(true, Ordering::Release);
        self.running = None;
        true
    }
}
