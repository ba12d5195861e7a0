//! The one transaction of a group.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sanimon_alerting::{Effect, Engine, Input as EngineInput};
use sanimon_domain::{AlertId, TimestampMs};
use sanimon_store::{Alert, Class, Memory, SessionChange};

use crate::cases::Cases;
use crate::change::{Change, Dropped, RowWriter};
use crate::evaluate::evaluate;
use crate::failure::Failure;
use crate::outages::Outages;
use crate::state::Site;

/// Whether what is due by now is done with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    GoesOn,
    /// More of the same group follows.
    StandsStill,
}

/// Why a group was not committed.
pub(super) enum GroupFailure {
    /// The whole of it: the disk, or a reason that names nobody.
    Whole(Failure),
    /// The rules have seen nothing yet.
    Culprits(Culprits),
    /// The rules have seen this message, and some before it.
    CulpritOfRules(usize, String),
}

/// What cannot be stored, by its places, each with its cause.
#[derive(Default)]
pub(super) struct Culprits {
    pub(super) sessions: Vec<(usize, String)>,
    pub(super) messages: Vec<(usize, String)>,
}

impl<E: Into<Failure>> From<E> for GroupFailure {
    fn from(error: E) -> Self {
        Self::Whole(error.into())
    }
}

/// What a committed group left.
pub(super) struct Stored {
    pub(super) alerts: BTreeMap<AlertId, Alert>,
    pub(super) next_escalation_at: Option<TimestampMs>,
    pub(super) quarantine_rows: i64,
    pub(super) dropped: Dropped,
}

/// What panics while a group is stored fails for a reason that names nobody.
pub(super) fn guarded(work: impl FnOnce() -> Result<Stored, GroupFailure>) -> Result<Stored, GroupFailure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let text = "sanimon panicked while it stored a group: please report this".to_owned();
        Err(GroupFailure::Whole(Failure { class: Class::Permanent, text, unsure_of: None }))
    })
}

impl Site {
    /// One transaction: changes of sessions, rows, what the rules say of them, and what follows for people. After an error
    /// the engine may have seen what is not stored.
    pub(super) fn commit_group(
        &mut self,
        (now, time): (TimestampMs, Time),
        (sessions, changes): (&[&SessionChange], &[Change]),
        engine: &mut Engine,
    ) -> Result<Stored, GroupFailure> {
        let goes_on = time == Time::GoesOn;
        let is_escalation_due = goes_on && self.next_escalation_at.is_some_and(|at| at <= now);
        let has_rows = !sessions.is_empty() || changes.iter().any(|change| !change.is_empty());
        // Without rows the rules are asked first: most often they have nothing to say, and nothing is to be stored.
        let asked = if has_rows {
            None
        } else {
            Some(evaluate_all(engine, (&self.memory, &self.outages), (now, time), changes)?)
        };
        if asked.as_ref().is_some_and(|asked| asked.effects.is_empty()) && !is_escalation_due {
            return Ok(self.nothing_stored());
        }
        let tx = self.file.begin()?;
        let mut rows = RowWriter::new(&tx, self.options.quarantine, self.quarantine_rows, now);
        let written = sessions.iter().try_for_each(|change| tx.put_session_change(change));
        if let Err(error) = written.and_then(|()| rows.write(changes.iter())) {
            if error.class() != Class::Permanent {
                return Err(error.into());
            }
            drop(tx);
            return Err(self.culprits(now, (sessions, changes), error.into()));
        }
        let evaluated = match asked {
            Some(evaluated) => evaluated,
            None => evaluate_all(engine, (&self.memory, &self.outages), (now, time), changes)?,
        };
        let mut cases = Cases::new(&tx, &self.rules, &self.operations, now);
        evaluated.store(&mut cases, changes)?;
        if is_escalation_due {
            cases.escalate(now, self.options.thresholds.escalations_per_step)?;
        }
        let Cases { changed: alerts, damaged, not_raised, .. } = cases;
        rows.quarantine(damaged.iter())?;
        let has_changed = !alerts.is_empty() || !damaged.is_empty() || is_escalation_due;
        let next_escalation_at = if has_changed { tx.next_escalation()? } else { self.next_escalation_at };
        let (quarantine_rows, dropped) = (rows.quarantine_rows, rows.dropped);
        tx.commit()?;
        not_raised.iter().for_each(|(subject, rule)| engine.forget_alert(subject, *rule));
        Ok(Stored { alerts, next_escalation_at, quarantine_rows, dropped })
    }

    fn nothing_stored(&self) -> Stored {
        Stored {
            alerts: BTreeMap::new(),
            next_escalation_at: self.next_escalation_at,
            quarantine_rows: self.quarantine_rows,
            dropped: Dropped::default(),
        }
    }
}

/// What the rules say of a group: the effects of each message, and those of the tick behind them.
struct Evaluated {
    effects: Vec<Effect>,
    /// Where each message's effects end.
    ends: Vec<usize>,
}

fn evaluate_all(
    engine: &mut Engine,
    (memory, outages): (&Memory, &Outages),
    (now, time): (TimestampMs, Time),
    changes: &[Change],
) -> Result<Evaluated, GroupFailure> {
    let directory = memory.reader().directory.read();
    let mut evaluated = Evaluated { effects: Vec::new(), ends: Vec::with_capacity(changes.len()) };
    for (place, change) in changes.iter().enumerate() {
        let effects = &mut evaluated.effects;
        let seen = AssertUnwindSafe(|| evaluate(engine, (&directory, outages), now, change, effects));
        catch_unwind(seen).map_err(|_| culprit(place, "the rules panicked on it: please report this"))?;
        evaluated.ends.push(evaluated.effects.len());
    }
    if time == Time::GoesOn {
        engine.apply(now, EngineInput::Tick, &mut evaluated.effects);
    }
    Ok(evaluated)
}

impl Evaluated {
    fn store(&self, cases: &mut Cases<'_>, changes: &[Change]) -> Result<(), GroupFailure> {
        let now = cases.known_at;
        let mut start = 0;
        for (place, (end, change)) in self.ends.iter().zip(changes).enumerate() {
            let own = &self.effects[start..*end];
            cases.known_at = change.known_at;
            cases.apply(own).map_err(|error| blamed(place, error.into()))?;
            start = *end;
        }
        cases.known_at = now;
        Ok(cases.apply_each(&self.effects[start..])?)
    }
}

fn culprit(place: usize, cause: &str) -> GroupFailure {
    GroupFailure::CulpritOfRules(place, cause.to_owned())
}

/// What a message's alerts could not be stored for: the disk's fault, or the message's.
fn blamed(place: usize, failure: Failure) -> GroupFailure {
    match failure.class {
        Class::Permanent => culprit(place, &failure.text),
        Class::Passing | Class::Fatal => GroupFailure::Whole(failure),
    }
}
