//! The way back to a writer whose memory equals the file.

use sanimon_alerting::Engine;
use sanimon_domain::TimestampMs;
use sanimon_store::{Class, Committed};

use crate::admit::Clocks;
use crate::failure::Failure;
use crate::gathered::Group;
use crate::outputs::Outputs;
use crate::state::{LastCommit, Live, Reloaded, Rest, Stale, UnsureSettings, Writer};

impl Writer<Stale> {
    /// Why it is stale.
    pub fn cause(&self) -> &Failure {
        &self.state.cause
    }

    /// Writes the least that can be written: whether the disk takes it again. Memory is not touched.
    pub fn probe(&mut self) -> Result<(), Failure> {
        let probed = self.find_out().and_then(|_| Ok(self.site.file.probe()?));
        probed.map_err(|failure| self.note(failure))
    }

    /// Reads memory and engine from the file again. `held`: what could not be committed.
    pub fn reload<A>(mut self, now: TimestampMs, held: Rest<A>) -> Reloaded<A> {
        match self.try_reload(now) {
            Ok((engine, was_stored)) => {
                let writer = Writer { site: self.site, state: Live { engine, clocks: Clocks::default() } };
                // What an unsure commit stored was told to nobody.
                let feed = Committed { is_incomplete: true, ..Committed::default() };
                let mut outputs = Outputs { feed, wake_outbox: true, ..Outputs::default() };
                let Rest { unsure, left } = held;
                let mut rest = Group::default();
                if was_stored {
                    outputs.acknowledged = unsure.into_acks().collect();
                } else {
                    rest = unsure;
                }
                rest.extend(left);
                // Nobody could act on them before.
                rest.messages.iter_mut().for_each(|received| received.message.known_at = now);
                Reloaded::Live { writer, outputs, rest }
            }
            Err(failure) if failure.class == Class::Fatal => Reloaded::Fatal(failure),
            Err(failure) => {
                self.note(failure);
                Reloaded::Stale { writer: self, rest: held }
            }
        }
    }

    fn try_reload(&mut self, now: TimestampMs) -> Result<(Engine, bool), Failure> {
        let was_stored = self.find_out()?;
        // Nobody waits for a job of before: what it was about is in the journal, and is read from there.
        self.site.slot.reset();
        self.site.memory.reload(&self.site.file)?;
        self.site.outages.add(self.site.heard_until, now);
        let engine = self.site.start(now)?;
        Ok((engine, was_stored))
    }

    /// Whether the transaction is stored that answered with an error.
    fn find_out(&mut self) -> Result<bool, Failure> {
        if let LastCommit::Unsure { no } = self.state.last_commit {
            let is_stored = self.site.file.committed_no()? == no;
            self.state.last_commit = if is_stored { LastCommit::Stored } else { LastCommit::NotStored };
            let UnsureSettings { rules, operations } = std::mem::take(&mut self.site.unsure_settings);
            if is_stored {
                self.site.rules = rules.unwrap_or_else(|| self.site.rules.clone());
                self.site.operations = operations.unwrap_or_else(|| self.site.operations.clone());
            }
        }
        Ok(self.state.last_commit == LastCommit::Stored)
    }

    fn note(&mut self, failure: Failure) -> Failure {
        self.state.cause = failure.clone();
        failure
    }
}
