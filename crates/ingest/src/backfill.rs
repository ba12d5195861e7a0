//! The past, stored through the same pipeline and the same engine, with a clock that the caller moves.
//!
//! Used before the committer starts: a demo's first month, a replay into an empty store.

use std::sync::Arc;

use sanimon_alerting::RuleSet;
use sanimon_domain::{AlertId, TimestampMs};
use sanimon_store::{AlertAction, CommandError, Device, NewWindow, Shared, Store, Zone};

use crate::core::Core;
use crate::error::IngestError;
use crate::message::Message;
use crate::pipeline::Admission;

/// A store on its way through its past.
#[derive(Debug)]
pub struct Backfill {
    core: Core,
    lock: std::fs::File,
}

impl Backfill {
    pub fn start(
        store: Store,
        rules: Arc<RuleSet>,
        admission: Admission,
        now: TimestampMs,
    ) -> Result<Self, IngestError> {
        let Store { writer, lock, .. } = store;
        Ok(Self { core: Core::new(writer, rules, admission, now)?, lock })
    }

    pub fn shared(&self) -> &Shared {
        self.core.writer.shared()
    }

    /// Enters zones, then devices.
    pub fn enter(
        &mut self,
        now: TimestampMs,
        zones: Vec<Zone>,
        devices: Vec<Device>,
    ) -> Result<(), IngestError> {
        self.core.writer.put_zones(zones)?;
        self.core.put_devices(now, devices)?;
        Ok(())
    }

    /// One group: everything that arrived up to `now`.
    pub fn group(&mut self, now: TimestampMs, messages: &[Message]) -> Result<(), IngestError> {
        self.core.commit_messages(now, messages)?;
        if let Some(job) = self.core.writer.begin_seal_if_due()? {
            self.core.writer.seal_here(job)?;
        }
        Ok(())
    }

    /// What a person did then.
    pub fn act(&mut self, now: TimestampMs, action: &AlertAction) -> Result<(), CommandError> {
        self.core.writer.act(action, now).map(|_| ())
    }

    /// Enters a maintenance window.
    pub fn put_window(&mut self, now: TimestampMs, window: &NewWindow) -> Result<i64, IngestError> {
        Ok(self.core.put_window(now, window)?)
    }

    /// Enters or changes devices.
    pub fn put_devices(&mut self, now: TimestampMs, devices: Vec<Device>) -> Result<(), IngestError> {
        Ok(self.core.put_devices(now, devices)?)
    }

    /// The alerts that the engine has open.
    pub fn open_alerts(&self) -> Vec<AlertId> {
        self.core.open_alerts()
    }

    /// A group whose commit the disk refuses: nothing is stored, and the engine is made anew from the file.
    #[cfg(test)]
    pub(crate) fn fail_commit(&mut self, now: TimestampMs, messages: &[Message]) -> Result<(), IngestError> {
        drop(self.core.build(now, messages));
        Ok(self.core.reload(now)?)
    }

    /// Remembers a word about the site as a whole.
    pub fn remember(&mut self, key: &str, value: &str) -> Result<(), IngestError> {
        Ok(self.core.writer.put_meta(key, value)?)
    }

    /// The past is stored; the store goes on to the committer.
    pub fn finish(self) -> Store {
        let shared = self.core.writer.shared().clone();
        Store { writer: self.core.writer, shared, lock: self.lock }
    }
}
