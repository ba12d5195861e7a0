//! A group of messages: admitted, written, evaluated, committed, in one transaction.
//!
//! ```text
//! admit ──▶ changes ──▶ BEGIN, rows ──▶ evaluate ──▶ cases ──▶ COMMIT ──▶ memory, outputs
//! ```
//!
//! What fails because the disk refuses is held as a whole. What fails for a reason that a retry will not mend has a culprit:
//! the message whose part of the transaction fails, or whose admission panics. It goes to the quarantine with the cause, and
//! the group is made again without it. A failure that names nobody halves the group until the culprit stands alone.

mod culprits;
mod transaction;

use std::panic::{AssertUnwindSafe, catch_unwind};

use sanimon_domain::TimestampMs;
use sanimon_store::Class;

use crate::admit::{Batch, Clocks};
use crate::change::Change;
use crate::failure::Failure;
use crate::message::Received;
use crate::outputs::Outputs;
use crate::publish;
use crate::state::{Applied, Live, Site, Writer};

use culprits::aside;
pub(crate) use transaction::Time;
use transaction::{GroupFailure, Stored, guarded};

/// How often a group is made again without those that could not be stored, before it is halved.
const ROUNDS_MAX: usize = 6;

impl Writer<Live> {
    /// Sealing has failed for so long that memory would grow without a bound: messages must wait. Everything else goes on.
    pub fn is_full(&self) -> Option<Failure> {
        let site = &self.site;
        let points = site.memory.reader().hot.read().unsealed_points();
        (points >= site.options.thresholds.unsealed_points_max)
            .then(|| Failure::passing(format!("{points} points wait to be sealed, and sealing fails")))
    }

    /// Admits a group, commits it, and makes known what was committed. What cannot be stored is set aside, and the group is
    /// made again. Where time goes on, it ends with a tick.
    pub(crate) fn group<A>(
        mut self,
        (now, time): (TimestampMs, Time),
        messages: Vec<Received<A>>,
    ) -> Applied<A> {
        if let (false, Some(failure)) = (messages.is_empty(), self.is_full()) {
            return self.broken_off(failure, Outputs::default(), messages);
        }
        let mut set_aside: Vec<Option<String>> = vec![None; messages.len()];
        let mut blamed_before = None;
        for _ in 0..ROUNDS_MAX {
            let (changes, panicked) = self.admit(&messages, &set_aside);
            let committed = if panicked.is_empty() {
                guarded(|| self.site.commit_group((now, time), &changes, &mut self.state.engine))
            } else {
                Err(GroupFailure::Culprits(panicked))
            };
            match committed {
                Ok(stored) => return self.committed(now, messages, &changes, stored),
                Err(GroupFailure::Whole(failure)) if failure.class == Class::Permanent => {
                    return self.halved((now, time), messages, &failure);
                }
                Err(GroupFailure::Whole(failure)) => {
                    return self.broken_off(failure, Outputs::default(), messages);
                }
                Err(GroupFailure::Culprits(found)) => {
                    // The group is looked at again: what it said of clocks would count twice.
                    self.state.clocks = Clocks::default();
                    for (place, cause) in found {
                        tracing::error!(topic = messages[place].message.topic, cause, "message set aside");
                        set_aside[place] = Some(cause);
                    }
                }
                Err(GroupFailure::CulpritOfRules(place, cause)) => {
                    // Its rows alone could be stored: it is set aside when it fails a second time.
                    if blamed_before.replace(place) == Some(place) {
                        tracing::error!(topic = messages[place].message.topic, cause, "message set aside");
                        set_aside[place] = Some(cause);
                    }
                    if let Err(failure) = self.put_back(now) {
                        return self.broken_off(failure, Outputs::default(), messages);
                    }
                }
            }
        }
        let failure = Failure::passing("each try to commit this group found another message at fault");
        self.halved((now, time), messages, &failure)
    }

    /// Makes the changes of all messages, and the quarantine's entries of those that are set aside. Also gives those whose
    /// admission panicked.
    fn admit<A>(
        &mut self,
        messages: &[Received<A>],
        set_aside: &[Option<String>],
    ) -> (Vec<Change>, Vec<(usize, String)>) {
        let Site { memory, options, discoveries, .. } = &mut self.site;
        let (directory, recent) = (memory.reader().directory.read(), memory.reader().hot.read());
        let known = (&*directory, &*recent);
        let readings = messages.iter().map(|received| received.message.readings()).sum();
        let mut batch = Batch::new(known, readings, options.acceptance, &mut self.state.clocks, discoveries);
        let mut panicked = Vec::new();
        let mut change = |(place, (received, cause)): (usize, (&Received<A>, &Option<String>))| match cause {
            Some(cause) => aside(&received.message, cause),
            None => {
                let admitted = catch_unwind(AssertUnwindSafe(|| batch.message(&received.message)));
                admitted.unwrap_or_else(|_| {
                    panicked.push((place, "sanimon panicked on it: please report this".to_owned()));
                    Change::default()
                })
            }
        };
        let changes = messages.iter().zip(set_aside).enumerate().map(&mut change).collect();
        (changes, panicked)
    }

    /// What is on disk goes to memory, to the live feed, and back to the senders as their tokens.
    fn committed<A>(
        mut self,
        now: TimestampMs,
        messages: Vec<Received<A>>,
        changes: &[Change],
        stored: Stored,
    ) -> Applied<A> {
        let site = &mut self.site;
        site.file.after_commit();
        site.ticked_at = now;
        site.discoveries.make_room(now);
        for (Received { message, .. }, change) in messages.iter().zip(changes) {
            site.discoveries.add(&message.connection, message.received_at, change.new_devices.len());
        }
        (site.next_escalation_at, site.quarantine_rows) = (stored.next_escalation_at, stored.quarantine_rows);
        let has_alerts = !stored.alerts.is_empty();
        let feed = publish::publish(&mut site.memory, changes, stored.alerts);
        let waited_for = messages.iter().filter(|received| received.message.is_waited_for()).count();
        publish::count(&site.memory, (messages.len(), waited_for), changes, feed.readings.len());
        publish::count_limits(&site.memory, changes, stored.dropped);
        let acknowledged = messages.into_iter().map(|received| received.ack).collect();
        self.with_job(now, Outputs { acknowledged, feed, wake_outbox: has_alerts, ..Outputs::default() })
    }
}
