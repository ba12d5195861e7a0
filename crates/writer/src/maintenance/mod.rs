//! Work beside the messages: sealing, and delivery to InfluxDB. One job at a time, and a job that is lost blocks nothing.
//!
//! A job runs on a thread of the driver's and sends its steps back as inputs. Until its last step is committed the journal
//! has everything, so a job may fail, hang, panic or be lost at any place: what it had put aside is taken by the next one.

mod steps;

use sanimon_domain::TimestampMs;
use sanimon_store::{Class, Counters, Delivery};

use crate::failure::Failure;
use crate::gathered::Group;
use crate::job::{Job, JobId, JobOutcome, Work};
use crate::outputs::Outputs;
use crate::state::{Applied, Live, Site, Writer};

impl Site {
    /// A job, when one is due and none is under way.
    pub(crate) fn begin_job(&mut self, now: TimestampMs) -> Option<Job> {
        if self.is_seal_due() {
            // A delivery that cannot keep up gives way: its points go to blocks, and are delivered from there.
            self.slot.end_delivery();
            if !self.slot.is_free(now) {
                return None;
            }
            return self.begin_seal(now);
        }
        if self.memory.has_influx() && self.slot.is_free(now) && self.is_delivery_due(now) {
            return self.begin_delivery(now);
        }
        None
    }

    fn is_seal_due(&self) -> bool {
        let limits = self.options.thresholds;
        let recent = self.memory.reader().hot.read();
        let by_series = recent.series_with_points() * limits.seal_at_points_per_series;
        recent.unsealed_points() >= by_series.clamp(limits.seal_at_points, limits.seal_at_points_max)
    }

    /// A job over everything that the journal holds, whatever its size.
    pub(crate) fn begin_seal(&mut self, now: TimestampMs) -> Option<Job> {
        let up_to_seq = match self.file.last_journal_row() {
            Ok(seq) => seq,
            Err(error) => {
                tracing::warn!(%error, "cannot begin to seal");
                self.slot.rest(now);
                return None;
            }
        };
        let job = self.memory.begin_seal(up_to_seq)?;
        Some(Job { id: self.slot.take(None), work: Work::Seal(job) })
    }

    fn is_delivery_due(&self, now: TimestampMs) -> bool {
        let limits = self.options.thresholds;
        let is_long_ago =
            self.slot.delivered_at.is_none_or(|at| now.since_ms(at) >= limits.deliver_every_ms || now < at);
        let waiting = || self.memory.reader().hot.read().unsealed_points();
        is_long_ago || self.slot.is_backlog || waiting() >= limits.deliver_at_points
    }

    fn begin_delivery(&mut self, now: TimestampMs) -> Option<Job> {
        let has_blocks = self.file.has_blocks();
        let what = match has_blocks.and_then(|has| Ok((has, self.file.last_journal_row()?))) {
            Ok((true, _)) => Delivery::Blocks,
            Ok((false, 0)) => return None,
            Ok((false, up_to_seq)) => Delivery::Journal { up_to_seq },
            Err(error) => {
                tracing::warn!(%error, "cannot begin to deliver");
                self.slot.rest(now);
                return None;
            }
        };
        let job = self.memory.begin_delivery(what)?;
        self.slot.delivered_at = Some(now);
        Some(Job { id: self.slot.take(Some(job.void())), work: Work::Deliver(job) })
    }
}

impl Writer<Live> {
    /// Commits what a job has done so far.
    pub(crate) fn maintenance<A>(mut self, now: TimestampMs, id: JobId, outcome: JobOutcome) -> Applied<A> {
        if !self.site.slot.is_waited_for(id) {
            return self.with_job(now, Outputs::default());
        }
        let site = &mut self.site;
        let done = match outcome {
            JobOutcome::Sealed(step) => site.store_sealed(now, &step),
            JobOutcome::Delivered(step) => site.store_delivered(now, &step),
            JobOutcome::GaveWay => {
                site.slot.free();
                Ok(())
            }
            JobOutcome::Failed(why) => Err(Failure::passing(why)),
            JobOutcome::Lost => Err(Failure::passing("its thread ended without a word")),
        };
        match done {
            Ok(()) => self.with_job(now, Outputs::default()),
            Err(failure) => {
                // Nothing is lost: the journal has what it was about.
                tracing::warn!(%failure, "a job beside the writer failed, will be tried again");
                Counters::add(&self.site.memory.health().counters.job_failures, 1);
                self.site.slot.rest(now);
                match failure {
                    Failure { class: Class::Passing, unsure_of: None, .. } => {
                        Applied::Done { writer: self, outputs: Outputs::default() }
                    }
                    failure => self.broken_off(failure, Outputs::default(), Group::default()),
                }
            }
        }
    }

    /// Begins a job if one is due.
    pub(crate) fn with_job<A>(mut self, now: TimestampMs, mut outputs: Outputs<A>) -> Applied<A> {
        outputs.job = self.site.begin_job(now);
        Applied::Done { writer: self, outputs }
    }

    /// A delivery of what waits, whether it is due or not; `None`: nothing waits, or a job is under way.
    pub fn begin_delivery(&mut self, now: TimestampMs) -> Option<Job> {
        let site = &mut self.site;
        if site.memory.has_influx() && site.slot.is_free(now) { site.begin_delivery(now) } else { None }
    }

    /// For the stop: nobody waits for the answer of an InfluxDB that is away. What it does not have waits on disk.
    pub fn end_delivery(&mut self) {
        self.site.slot.end_delivery();
    }

    /// Seals everything that waits, on this thread: for commands that have nothing else to do meanwhile.
    pub fn seal_all(mut self, now: TimestampMs) -> Result<Self, Failure> {
        self.end_delivery();
        let Some(Job { id, work: Work::Seal(job) }) = self.site.begin_seal(now) else { return Ok(self) };
        let mut steps = Vec::new();
        job.run(|step| {
            steps.push(step);
            true
        })?;
        for step in steps {
            match self.maintenance::<()>(now, id, JobOutcome::Sealed(step)) {
                Applied::Done { writer, .. } => self = writer,
                Applied::Held { writer, .. } => return Err(writer.cause().clone()),
                Applied::Fatal { failure, .. } => return Err(failure),
            }
        }
        // The last step has begun a delivery that nobody here runs.
        self.end_delivery();
        Ok(self)
    }
}
