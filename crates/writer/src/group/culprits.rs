//! Which message it is that a group cannot be committed with, or which change of a session.

use sanimon_domain::{FaultCode, TimestampMs};
use sanimon_store::{Class, QuarantineEntry, Result, SessionChange};

use super::transaction::{Culprits, GroupFailure, Time, guarded};
use crate::change::{Change, RowWriter};
use crate::failure::Failure;
use crate::gathered::Group;
use crate::message::Message;
use crate::outputs::Outputs;
use crate::state::{Applied, Live, Rest, Site, Writer};

impl Writer<Live> {
    /// Commits the halves one after the other. What stands alone is the culprit, if the group is sound without it.
    pub(super) fn halved<A>(
        mut self,
        (now, time): (TimestampMs, Time),
        mut group: Group<A>,
        failure: &Failure,
    ) -> Applied<A> {
        if let Err(failure) = self.put_back(now) {
            return self.broken_off(failure, Outputs::default(), group);
        }
        match group.len() {
            // Nothing but time has passed: it is nobody's fault, and it is tried again.
            0 => self.broken_off(Failure::passing(&failure.text), Outputs::default(), group),
            1 => self.alone((now, time), group, failure),
            length => {
                let second = group.split_off(length / 2);
                // Nothing is due before all that has arrived is heard.
                match self.group((now, Time::StandsStill), group) {
                    Applied::Done { writer, outputs } => writer.group((now, time), second).after(outputs),
                    Applied::Held { writer, outputs, mut rest } => {
                        rest.left.extend(second);
                        Applied::Held { writer, outputs, rest }
                    }
                    fatal @ Applied::Fatal { .. } => fatal,
                }
            }
        }
    }

    /// A group of one that cannot be committed: set aside, or left out, unless nothing can be committed without it, either.
    fn alone<A>(
        self,
        (now, time): (TimestampMs, Time),
        mut group: Group<A>,
        failure: &Failure,
    ) -> Applied<A> {
        match self.group((now, time), Group::<A>::default()) {
            Applied::Done { writer, outputs } if group.messages.is_empty() => {
                writer.leave_out(&mut group.sessions, vec![(0, failure.text.clone())]);
                Applied::Done { writer, outputs }
            }
            Applied::Done { mut writer, outputs } => {
                let changes: Vec<Change> =
                    group.messages.iter().map(|received| aside(&received.message, &failure.text)).collect();
                let Writer { site, state } = &mut writer;
                match guarded(|| site.commit_group((now, time), (&[], &changes), &mut state.engine)) {
                    Ok(stored) => writer.committed(now, group, &changes, stored).after(outputs),
                    Err(GroupFailure::Whole(failure)) => {
                        let failure = Failure { class: held_class(failure.class), ..failure };
                        writer.broken_off(failure, outputs, group)
                    }
                    Err(GroupFailure::Culprits(_) | GroupFailure::CulpritOfRules(..)) => {
                        let failure = Failure::passing("the quarantine cannot be written");
                        writer.broken_off(failure, outputs, group)
                    }
                }
            }
            Applied::Held { writer, outputs, .. } => {
                Applied::Held { writer, outputs, rest: Rest { unsure: Group::default(), left: group } }
            }
            fatal @ Applied::Fatal { .. } => fatal,
        }
    }
}

impl<A> Applied<A> {
    /// Adds what was sent out before.
    fn after(self, mut before: Outputs<A>) -> Self {
        match self {
            Self::Done { writer, outputs } => {
                before.join(outputs);
                Self::Done { writer, outputs: before }
            }
            Self::Held { writer, outputs, rest } => {
                before.join(outputs);
                Self::Held { writer, outputs: before, rest }
            }
            Self::Fatal { outputs, failure } => {
                before.join(outputs);
                Self::Fatal { outputs: before, failure }
            }
        }
    }
}

/// Where nothing is left to be set aside, what is permanent is waited for as well.
const fn held_class(class: Class) -> Class {
    match class {
        Class::Permanent => Class::Passing,
        other => other,
    }
}

/// A message that could not be stored, as an entry of the quarantine.
pub(super) fn aside(message: &Message, cause: &str) -> Change {
    let text = format!("it cannot be stored: {cause}");
    let origin = (&*message.topic, message.source.clone(), message.sender());
    let entry =
        QuarantineEntry::new(origin, (FaultCode::CannotStore, &text), &message.payload, message.received_at);
    Change { known_at: message.known_at, quarantine: Some(Box::new(entry)), ..Change::default() }
}

impl Site {
    /// What fails by itself: each in a part of its own, in a transaction that is not committed.
    pub(super) fn culprits(
        &mut self,
        now: TimestampMs,
        (sessions, changes): (&[&SessionChange], &[Change]),
        failure: Failure,
    ) -> GroupFailure {
        match self.find_culprits(now, sessions, changes) {
            Ok(Culprits { sessions, messages }) if sessions.is_empty() && messages.is_empty() => {
                GroupFailure::Whole(failure)
            }
            Ok(found) => GroupFailure::Culprits(found),
            Err(error) => error.into(),
        }
    }

    fn find_culprits(
        &mut self,
        now: TimestampMs,
        sessions: &[&SessionChange],
        changes: &[Change],
    ) -> Result<Culprits> {
        let mut found = Culprits::default();
        let tx = self.file.begin()?;
        for (place, change) in sessions.iter().enumerate() {
            let written = tx.part_tried_twice(|| tx.put_session_change(change));
            blame(&mut found.sessions, place, written)?;
        }
        let mut rows = RowWriter::new(&tx, self.options.quarantine, self.quarantine_rows, now);
        for (place, change) in changes.iter().enumerate() {
            let written = tx.part_tried_twice(|| rows.write(std::iter::once(change)));
            rows.journal_no += 1;
            blame(&mut found.messages, place, written)?;
        }
        Ok(found)
    }
}

/// What will never succeed is somebody's fault; everything else is the disk's.
fn blame(found: &mut Vec<(usize, String)>, place: usize, written: Result<()>) -> Result<()> {
    match written {
        Err(error) if error.class() == Class::Permanent => {
            found.push((place, error.to_string()));
            Ok(())
        }
        other => other,
    }
}
