//! A group of messages and of changes of MQTT sessions: admitted, written, evaluated, committed, in one transaction.
//!
//! ```text
//! admit ──▶ changes ──▶ BEGIN, sessions, rows ──▶ evaluate ──▶ cases ──▶ COMMIT ──▶ memory, outputs
//! ```
//!
//! What fails because the disk refuses is held as a whole. What fails for a reason that a retry will not mend has a culprit:
//! the message whose part of the transaction fails, or whose admission panics. It goes to the quarantine with the cause, and
//! the group is made again without it. A failure that names nobody halves the group until the culprit stands alone.
//!
//! A change of a session that can never be stored is left out alone, too: its token is dropped, which the broker takes as a no.

mod culprits;
mod transaction;

use std::panic::{AssertUnwindSafe, catch_unwind};

use sanimon_domain::TimestampMs;
use sanimon_store::{Class, SessionChange};

use crate::admit::{Batch, Clocks};
use crate::change::Change;
use crate::failure::Failure;
use crate::gathered::{Changed, Group};
use crate::message::Received;
use crate::outputs::Outputs;
use crate::publish;
use crate::state::{Applied, Live, Site, Writer};

use culprits::aside;
pub(crate) use transaction::Time;
use transaction::{Culprits, GroupFailure, Stored, guarded};

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
    pub(crate) fn group<A>(mut self, (now, time): (TimestampMs, Time), mut group: Group<A>) -> Applied<A> {
        if let (false, Some(failure)) = (group.messages.is_empty(), self.is_full()) {
            return self.broken_off(failure, Outputs::default(), group);
        }
        let mut set_aside: Vec<Option<String>> = vec![None; group.messages.len()];
        let mut blamed_before = None;
        for _ in 0..ROUNDS_MAX {
            let (changes, panicked) = self.admit(&group.messages, &set_aside);
            let committed = if panicked.is_empty() {
                let sessions: Vec<&SessionChange> =
                    group.sessions.iter().map(|changed| &changed.change).collect();
                let engine = &mut self.state.engine;
                guarded(|| self.site.commit_group((now, time), (&sessions, &changes), engine))
            } else {
                Err(GroupFailure::Culprits(Culprits { messages: panicked, ..Culprits::default() }))
            };
            match committed {
                Ok(stored) => return self.committed(now, group, &changes, stored),
                Err(GroupFailure::Whole(failure)) if failure.class == Class::Permanent => {
                    return self.halved((now, time), group, &failure);
                }
                Err(GroupFailure::Whole(failure)) => {
                    return self.broken_off(failure, Outputs::default(), group);
                }
                Err(GroupFailure::Culprits(found)) => {
                    // The group is looked at again: what it said of clocks would count twice.
                    self.state.clocks = Clocks::default();
                    self.leave_out(&mut group.sessions, found.sessions);
                    for (place, cause) in found.messages {
                        tracing::error!(
                            topic = &*group.messages[place].message.topic,
                            cause,
                            "message set aside"
                        );
                        set_aside[place] = Some(cause);
                    }
                }
                Err(GroupFailure::CulpritOfRules(place, cause)) => {
                    // Its rows alone could be stored: it is set aside when it fails a second time.
                    if blamed_before.replace(place) == Some(place) {
                        tracing::error!(
                            topic = &*group.messages[place].message.topic,
                            cause,
                            "message set aside"
                        );
                        set_aside[place] = Some(cause);
                    }
                    if let Err(failure) = self.put_back(now) {
                        return self.broken_off(failure, Outputs::default(), group);
                    }
                }
            }
        }
        let failure = Failure::passing("each try to commit this group found another message at fault");
        self.halved((now, time), group, &failure)
    }

    /// Changes of sessions that can never be stored go, by their places, with their tokens.
    fn leave_out<A>(&self, sessions: &mut Vec<Changed<A>>, found: Vec<(usize, String)>) {
        for (place, cause) in found.into_iter().rev() {
            let Changed { change, .. } = sessions.remove(place);
            tracing::error!(%change, cause, "change of an MQTT session left out: please report this");
            publish::count_session_change(&self.site.memory);
        }
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
                let admitted = catch_unwind(AssertUnwindSafe(|| {
                    let mut change = batch.message(&received.message);
                    change.mqtt = received.message.mqtt_rows();
                    change
                }));
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
        group: Group<A>,
        changes: &[Change],
        stored: Stored,
    ) -> Applied<A> {
        let site = &mut self.site;
        site.file.after_commit();
        site.ticked_at = now;
        site.discoveries.make_room(now);
        let messages = &group.messages;
        for (Received { message, .. }, change) in messages.iter().zip(changes) {
            site.discoveries.add(&message.connection, message.received_at, change.new_devices.len());
        }
        (site.next_escalation_at, site.quarantine_rows) = (stored.next_escalation_at, stored.quarantine_rows);
        let has_alerts = !stored.alerts.is_empty();
        let feed = publish::publish(&mut site.memory, changes, stored.alerts);
        let waited_for = messages.iter().filter(|received| received.message.is_waited_for()).count();
        publish::count(&site.memory, (messages.len(), waited_for), changes, feed.readings.len());
        publish::count_limits(&site.memory, changes, stored.dropped);
        let acknowledged = group.into_acks().collect();
        self.with_job(now, Outputs { acknowledged, feed, wake_outbox: has_alerts, ..Outputs::default() })
    }
}
