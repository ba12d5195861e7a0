//! Which message it is that a group cannot be committed with.

use sanimon_domain::{FaultCode, TimestampMs};
use sanimon_store::{Class, QuarantineEntry};

use super::transaction::{GroupFailure, Time, guarded};
use crate::change::{Change, RowWriter};
use crate::failure::Failure;
use crate::message::{Message, Received};
use crate::outputs::Outputs;
use crate::state::{Applied, Live, Rest, Site, Writer};

impl Writer<Live> {
    /// Commits the halves one after the other. A message that stands alone is the culprit, if the group is sound without it.
    pub(super) fn halved<A>(
        mut self,
        (now, time): (TimestampMs, Time),
        mut messages: Vec<Received<A>>,
        failure: &Failure,
    ) -> Applied<A> {
        if let Err(failure) = self.put_back(now) {
            return self.broken_off(failure, Outputs::default(), messages);
        }
        match messages.len() {
            // Nothing but time has passed: it is nobody's fault, and it is tried again.
            0 => self.broken_off(Failure::passing(&failure.text), Outputs::default(), Vec::new()),
            1 => self.alone((now, time), messages, failure),
            length => {
                let second = messages.split_off(length / 2);
                // Nothing is due before all that has arrived is heard.
                match self.group((now, Time::StandsStill), messages) {
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

    /// A group of one that cannot be committed: set aside, unless nothing can be committed without it, either.
    fn alone<A>(
        self,
        (now, time): (TimestampMs, Time),
        messages: Vec<Received<A>>,
        failure: &Failure,
    ) -> Applied<A> {
        match self.group((now, time), Vec::<Received<A>>::new()) {
            Applied::Done { mut writer, outputs } => {
                let changes: Vec<Change> =
                    messages.iter().map(|received| aside(&received.message, &failure.text)).collect();
                let Writer { site, state } = &mut writer;
                match guarded(|| site.commit_group((now, time), &changes, &mut state.engine)) {
                    Ok(stored) => writer.committed(now, messages, &changes, stored).after(outputs),
                    Err(GroupFailure::Whole(failure)) => {
                        let failure = Failure { class: held_class(failure.class), ..failure };
                        writer.broken_off(failure, outputs, messages)
                    }
                    Err(GroupFailure::Culprits(_) | GroupFailure::CulpritOfRules(..)) => {
                        let failure = Failure::passing("the quarantine cannot be written");
                        writer.broken_off(failure, outputs, messages)
                    }
                }
            }
            Applied::Held { writer, outputs, .. } => {
                Applied::Held { writer, outputs, rest: Rest { unsure: Vec::new(), left: messages } }
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
    let origin = (message.topic.as_str(), message.source.clone(), message.sender());
    let entry =
        QuarantineEntry::new(origin, (FaultCode::CannotStore, &text), &message.payload, message.received_at);
    Change { known_at: message.known_at, quarantine: Some(Box::new(entry)), ..Change::default() }
}

impl Site {
    /// Which changes fail by themselves: each in a part of its own, in a transaction that is not committed.
    pub(super) fn culprits(
        &mut self,
        now: TimestampMs,
        changes: &[Change],
        failure: Failure,
    ) -> GroupFailure {
        let tx = match self.file.begin() {
            Ok(tx) => tx,
            Err(error) => return error.into(),
        };
        let mut rows = RowWriter::new(&tx, self.options.quarantine, self.quarantine_rows, now);
        let mut found = Vec::new();
        for (place, change) in changes.iter().enumerate() {
            let written = tx.part_tried_twice(|| rows.write(std::iter::once(change)));
            rows.journal_no += 1;
            match written {
                Ok(()) => {}
                Err(error) if error.class() == Class::Permanent => found.push((place, error.to_string())),
                Err(error) => return error.into(),
            }
        }
        if found.is_empty() { GroupFailure::Whole(failure) } else { GroupFailure::Culprits(found) }
    }
}
