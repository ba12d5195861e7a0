//! The writer for a command, while no sanimon runs: inputs one after another, jobs on this thread.

use anyhow::{Context, bail};
use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::{Shared, Store};
use sanimon_writer::{
    Applied, Ask, Entry, Input, Job, JobOutcome, Live, Message, Options, Outputs, Received, Refusal, Work,
    Writer,
};

use crate::clock::RealClock;

/// Owns the store until [`Offline::close`].
#[derive(Debug)]
pub(crate) struct Offline {
    /// `None`: an input could not be stored. There is nobody to hold it for, so the command ends.
    writer: Option<Writer<Live>>,
}

impl Offline {
    pub(crate) fn open(store: Store, options: Options, now: TimestampMs) -> anyhow::Result<Self> {
        let writer = Writer::open(store, options, now).map_err(|failure| anyhow::anyhow!("{failure}"))?;
        Ok(Self { writer: Some(writer) })
    }

    fn writer(&self) -> anyhow::Result<&Writer<Live>> {
        self.writer.as_ref().context("an earlier change could not be stored")
    }

    pub(crate) fn shared(&self) -> anyhow::Result<&Shared> {
        Ok(self.writer()?.reader())
    }

    /// Applies an input, and the jobs that it makes due.
    pub(crate) fn apply(&mut self, now: TimestampMs, input: Input<()>) -> anyhow::Result<Outputs<()>> {
        let mut outputs = self.step(now, input)?;
        while let Some(job) = outputs.job.take() {
            outputs.job = self.run(now, job)?;
        }
        Ok(outputs)
    }

    /// Applies an input; a job that it makes due is the caller's.
    pub(crate) fn step(&mut self, now: TimestampMs, input: Input<()>) -> anyhow::Result<Outputs<()>> {
        let writer = self.writer.take().context("an earlier change could not be stored")?;
        match writer.apply(now, input) {
            Applied::Done { writer, outputs } => {
                self.writer = Some(writer);
                Ok(outputs)
            }
            Applied::Held { writer, .. } => bail!("{}", writer.cause()),
            Applied::Fatal { failure, .. } => bail!("{failure}"),
        }
    }

    /// Runs a job; gives the one that follows.
    pub(crate) fn run(&mut self, now: TimestampMs, Job { id, work }: Job) -> anyhow::Result<Option<Job>> {
        match work {
            Work::Seal(job) => {
                let mut outcome = Ok(None);
                job.run(|step| {
                    outcome = self.step(now, Input::Maintenance(id, JobOutcome::Sealed(step))).map(|o| o.job);
                    outcome.is_ok()
                })?;
                outcome
            }
            Work::Deliver(job) => {
                let outcome = match job.run(|| RealClock.now())? {
                    Some(step) => JobOutcome::Delivered(step),
                    None => JobOutcome::GaveWay,
                };
                Ok(self.step(now, Input::Maintenance(id, outcome))?.job)
            }
        }
    }

    /// Everything that arrived up to `now`. Nobody waits for an acknowledgement.
    pub(crate) fn messages(&mut self, now: TimestampMs, messages: Vec<Message>) -> anyhow::Result<()> {
        let received = messages.into_iter().map(|message| Received { message, ack: () });
        let _outputs = self.apply(now, Input::Messages(received.collect()))?;
        Ok(())
    }

    /// Asks for a change; what is refused is an answer, too.
    pub(crate) fn try_ask<C: Ask>(
        &mut self,
        now: TimestampMs,
        entry: Entry,
        command: C,
    ) -> anyhow::Result<Result<C::Answer, Refusal>> {
        let outputs = self.apply(now, Input::Command(entry, command.command()))?;
        let answer = outputs.answer.context("a command is always answered")?;
        let of_other_kind = || Refusal::Failed("the answer is of another kind".to_owned());
        Ok(answer.and_then(|done| C::answer(done).ok_or_else(of_other_kind)))
    }

    /// Asks for a change that must be made.
    pub(crate) fn ask<C: Ask>(
        &mut self,
        now: TimestampMs,
        entry: Entry,
        command: C,
    ) -> anyhow::Result<C::Answer> {
        Ok(self.try_ask(now, entry, command)??)
    }

    /// Seals everything that waits, whatever its size.
    pub(crate) fn seal_all(&mut self, now: TimestampMs) -> anyhow::Result<()> {
        let writer = self.writer.take().context("an earlier change could not be stored")?;
        self.writer = Some(writer.seal_all(now).map_err(|failure| anyhow::anyhow!("{failure}"))?);
        Ok(())
    }

    /// Delivers everything that waits to InfluxDB, for as long as it takes.
    pub(crate) fn deliver_all(&mut self, now: TimestampMs) -> anyhow::Result<()> {
        let mut next = None;
        loop {
            let begun = self.writer.as_mut().and_then(|writer| writer.begin_delivery(now));
            let Some(job) = next.take().or(begun) else { return Ok(()) };
            next = self.run(now, job)?;
        }
    }

    /// The store goes on to whoever uses it next.
    pub(crate) fn close(self) -> anyhow::Result<Store> {
        Ok(self.writer.context("an earlier change could not be stored")?.close())
    }
}
