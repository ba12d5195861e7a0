//! The only two states of a writer: memory equals the file, or memory may be ahead of it.

use std::sync::Arc;

use sanimon_alerting::{Engine, RuleSet};
use sanimon_domain::TimestampMs;
use sanimon_operations::OperationsSettings;
use sanimon_store::{Class, File, Memory, Shared, Store};

use crate::admit::{Clocks, Discoveries};
use crate::failure::Failure;
use crate::gathered::Group;
use crate::job::Slot;
use crate::options::Options;
use crate::outages::Outages;
use crate::outputs::Outputs;
use crate::retention::RetentionPass;

/// Whoever holds it is the one writer of the site's file.
///
/// To one whose memory equals the file an input can be applied:
///
/// ```
/// use sanimon_domain::TimestampMs;
/// use sanimon_writer::{Applied, Input, Live, Writer};
///
/// fn time_goes_on(writer: Writer<Live>, now: TimestampMs) -> Applied<()> {
///     writer.apply(now, Input::Tick)
/// }
/// ```
///
/// To one whose memory may be ahead of it, none can; this does not compile:
///
/// ```compile_fail,E0599
/// use sanimon_domain::TimestampMs;
/// use sanimon_writer::{Applied, Input, Stale, Writer};
///
/// fn time_goes_on(writer: Writer<Stale>, now: TimestampMs) -> Applied<()> {
///     writer.apply(now, Input::Tick)
/// }
/// ```
#[derive(Debug)]
pub struct Writer<S> {
    pub(crate) site: Site,
    pub(crate) state: S,
}

/// Memory equals the file.
#[derive(Debug)]
pub struct Live {
    pub(crate) engine: Engine,
    pub(crate) clocks: Clocks,
}

/// Memory may be ahead of the file: nothing can be applied to it. [`Writer::reload`] leads back.
#[derive(Debug)]
pub struct Stale {
    pub(crate) cause: Failure,
    pub(crate) last_commit: LastCommit,
}

/// What is known of a commit that answered with an error. It is found out before anything else is written: the next
/// transaction may get the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastCommit {
    /// The file has to be asked for the number of its last transaction.
    Unsure {
        no: u64,
    },
    Stored,
    NotStored,
}

/// What a writer has in both states.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) file: File,
    pub(crate) memory: Memory,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) operations: Arc<OperationsSettings>,
    pub(crate) options: Options,
    pub(crate) unsure_settings: UnsureSettings,
    pub(crate) outages: Outages,
    /// When the site was last asked to take something: until then it heard all that was said.
    pub(crate) heard_until: TimestampMs,
    /// Until when the rules have let time go on.
    pub(crate) ticked_at: TimestampMs,
    /// When the next missed deadline is to be told.
    pub(crate) next_escalation_at: Option<TimestampMs>,
    pub(crate) quarantine_rows: i64,
    /// A restore changed alerts of which nobody was told yet.
    pub(crate) has_untold: bool,
    pub(crate) discoveries: Discoveries,
    pub(crate) slot: Slot,
    pub(crate) retention: Option<RetentionPass>,
    /// Held as long as the writer lives: two of them on one directory would tear the memory apart.
    pub(crate) _lock: std::fs::File,
}

/// Settings of a command of which nobody knows whether it is stored: in force if it is.
#[derive(Debug, Default)]
pub(crate) struct UnsureSettings {
    pub(crate) rules: Option<Arc<RuleSet>>,
    pub(crate) operations: Option<Arc<OperationsSettings>>,
}

/// What became of an input.
#[derive(Debug)]
pub enum Applied<A> {
    /// It is on disk.
    Done { writer: Writer<Live>, outputs: Outputs<A> },
    /// The disk refuses. What is not known to be stored comes back.
    Held { writer: Writer<Stale>, outputs: Outputs<A>, rest: Rest<A> },
    /// The file is damaged: nothing may be written any more.
    Fatal { outputs: Outputs<A>, failure: Failure },
}

/// What is left of a group that broke off.
#[derive(Debug)]
pub struct Rest<A> {
    /// Of the transaction that answered with an error and may be stored all the same: the reload decides.
    pub(crate) unsure: Group<A>,
    /// Not stored.
    pub(crate) left: Group<A>,
}

impl<A> Default for Rest<A> {
    fn default() -> Self {
        Self { unsure: Group::default(), left: Group::default() }
    }
}

impl<A> Rest<A> {
    /// Drops messages for which nobody waits any more: they come again. A change of a session does not, and stays.
    pub fn retain(&mut self, is_waited_for: impl Fn(&A) -> bool) {
        self.unsure.messages.retain(|received| is_waited_for(&received.ack));
        self.left.messages.retain(|received| is_waited_for(&received.ack));
    }
}

/// What became of a reload.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub enum Reloaded<A> {
    /// Memory equals the file again. What was stored though its commit had answered with an error is acknowledged; all else
    /// comes back.
    Live {
        writer: Writer<Live>,
        outputs: Outputs<A>,
        rest: Group<A>,
    },
    /// The file cannot be read yet.
    Stale {
        writer: Writer<Stale>,
        rest: Rest<A>,
    },
    Fatal(Failure),
}

impl<S> Writer<S> {
    /// What readers see.
    pub fn reader(&self) -> &Shared {
        self.site.memory.reader()
    }

    /// The writing connection, for tests that let it fail.
    pub fn file_mut(&mut self) -> &mut File {
        &mut self.site.file
    }

    /// Ends the writer; the store can be opened again, or used otherwise.
    pub fn close(self) -> Store {
        let Site { file, memory, _lock: lock, .. } = self.site;
        let shared = memory.reader().clone();
        Store { file, memory, shared, lock }
    }
}

impl Writer<Live> {
    /// The alerts that the engine has open, for comparison with the file.
    pub fn open_alerts(&self) -> Vec<sanimon_domain::AlertId> {
        self.state.engine.open_alerts().into_values().map(|alert| alert.id).collect()
    }

    /// After a failure that may have left memory ahead of the file.
    pub(crate) fn into_stale(self, cause: Failure) -> Writer<Stale> {
        let last_commit = cause.unsure_of.map_or(LastCommit::NotStored, |no| LastCommit::Unsure { no });
        Writer { site: self.site, state: Stale { cause, last_commit } }
    }

    /// How an input ends that a passing or fatal failure broke off, with the group that it was about.
    pub(crate) fn broken_off<A>(self, failure: Failure, outputs: Outputs<A>, group: Group<A>) -> Applied<A> {
        match failure.class {
            Class::Fatal => Applied::Fatal { outputs, failure },
            _ => {
                let rest = match failure.unsure_of {
                    Some(_) => Rest { unsure: group, left: Group::default() },
                    None => Rest { unsure: Group::default(), left: group },
                };
                Applied::Held { writer: self.into_stale(failure), outputs, rest }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sanimon_domain::TimestampMs;
    use sanimon_store::SessionChange;

    use super::*;
    use crate::gathered::Changed;
    use crate::message::{Message, Received};

    #[test]
    fn a_change_of_a_session_is_held_though_nobody_waits_for_it() {
        let group = || Group {
            messages: vec![Received {
                message: Message::native("test".into(), "t".to_owned(), "1".into(), TimestampMs(0)),
                ack: (),
            }],
            sessions: vec![Changed { change: SessionChange::ForgetRetained("t".into()), ack: () }],
        };
        let mut rest = Rest { unsure: group(), left: group() };
        rest.retain(|()| false);
        assert_eq!((rest.unsure.sessions.len(), rest.left.sessions.len()), (1, 1));
        assert!(rest.unsure.messages.is_empty() && rest.left.messages.is_empty());
    }
}
