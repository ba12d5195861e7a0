//! Missed deadlines: each is told once, to the next in the chain.

use sanimon_domain::{AlertId, TimestampMs};
use sanimon_operations::{Change, missed_deadline};
use sanimon_store::Result;

use super::{Cases, Told, is_of_the_row};

impl Cases<'_> {
    /// Tells the deadlines that were missed by `now`, some at once: the longest overdue first.
    pub(crate) fn escalate(&mut self, now: TimestampMs, limit: usize) -> Result<()> {
        for _ in 0..limit {
            let Some(id) = self.tx.missed_deadlines(now, 1)?.pop() else { return Ok(()) };
            // A damaged one is set aside: its deadline is not asked for again.
            let tx = self.tx;
            match tx.part_tried_twice(|| self.tell_missed_deadline(id, now)) {
                Err(error) if is_of_the_row(&error) => {
                    tx.stop_escalation(id)?;
                    self.set_aside(id, "cannot be escalated", &error);
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn tell_missed_deadline(&mut self, id: AlertId, now: TimestampMs) -> Result<()> {
        let Some(mut alert) = self.read(id)? else { return Ok(()) };
        let zone_class = self.tx.case_setting(&alert.subject)?.zone_class;
        match missed_deadline(&alert.case_state(zone_class), &self.settings.teams, now) {
            Some(deadline) => {
                // The history says when it was told; the message the same.
                let told = Told { at: now, note: Some(deadline.as_str()), ..Told::default() };
                self.follow(&mut alert, Change::DeadlineMissed(deadline), told)?;
            }
            // The teams have changed since the deadline was set.
            None => {
                let next = self.settings.teams.next_escalation(&alert.case_state(zone_class).progress());
                alert.next_escalation_at = next.map(|(at, _)| at);
            }
        }
        self.tx.update_alert(&alert)?;
        self.changed.insert(id, alert);
        Ok(())
    }
}
