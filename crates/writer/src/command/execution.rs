//! A command that is being carried out: what it sees, what it may change, and what is visible after the commit.

use std::sync::Arc;

use sanimon_alerting::{Effect, Engine, RuleSet};
use sanimon_domain::{MetricNo, TimestampMs};
use sanimon_operations::OperationsSettings;
use sanimon_operations::lifecycle::NotAllowed;
use sanimon_store::{Credential, Device, Memory, StoreError, Tx, Zone};

use super::Refusal;
use crate::cases::Cases;
use crate::entry::Author;
use crate::failure::Failure;
use crate::outages::Outages;
use crate::restore::RestoreFrom;

/// Why a command ended before its commit.
pub(crate) enum Stopped {
    Refused(Refusal),
    Failed(Failure),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NotAllowed> for Stopped {
    fn from(refusal: NotAllowed) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A command that is being carried out.
pub(crate) struct Execution<'a> {
    pub(crate) tx: &'a Tx<'a>,
    pub(crate) now: TimestampMs,
    pub(crate) author: &'a Author,
    pub(crate) memory: &'a Memory,
    pub(crate) settings: &'a OperationsSettings,
    /// How late a reading may come: windows that are over are kept for so long.
    pub(crate) late_ms: i64,
    pub(crate) outages: &'a Outages,
    pub(crate) cases: Cases<'a>,
    /// Reached by [`Execution::engine`] only, so that it is known whether memory is ahead of the file.
    pub(crate) engine: &'a mut Engine,
    pub(crate) is_engine_ahead: bool,
    pub(crate) after: After,
}

/// What is visible after the commit.
#[derive(Default)]
pub(crate) struct After {
    pub(crate) devices: Vec<Device>,
    /// Entered out of sight.
    pub(crate) staged: Vec<Device>,
    pub(crate) zones: Option<Vec<Zone>>,
    pub(crate) credentials: Option<Vec<Credential>>,
    pub(crate) is_access_changed: bool,
    pub(crate) rules: Option<(Arc<RuleSet>, Engine)>,
    pub(crate) operations: Option<Arc<OperationsSettings>>,
    pub(crate) removed_metric: Option<MetricNo>,
    pub(crate) wake_outbox: bool,
}

impl<'a> Execution<'a> {
    /// The rules' engine, for a change. From here on memory is ahead of the file.
    pub(super) fn engine(&mut self) -> &mut Engine {
        self.is_engine_ahead = true;
        self.engine
    }

    pub(super) fn store_effects(&mut self, effects: &[Effect]) -> Result<(), Stopped> {
        Ok(self.cases.apply(effects)?)
    }

    /// For rules that come into force now.
    pub(super) fn restore_from(&self) -> RestoreFrom<'_> {
        RestoreFrom { memory: self.memory, outages: self.outages, late_ms: self.late_ms, at: self.now }
    }

    pub(super) fn who(&self) -> &'a str {
        self.author.name()
    }
}

/// A condition without which there is nothing to change.
pub(super) fn found(
    is_there: bool,
    what: &'static str,
    id: &(impl ToString + ?Sized),
) -> Result<(), Refusal> {
    if is_there { Ok(()) } else { Err(Refusal::NotFound { what, id: id.to_string() }) }
}
