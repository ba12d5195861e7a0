//! A step of an alert's life that a person takes.

use sanimon_domain::{AlertId, Condition, Handling, TimestampMs};
use sanimon_operations::Change;
use sanimon_operations::lifecycle::{self, Action, Case, Request};
use sanimon_store::{Alert, NewStep};

use super::{Done, Execution, Refusal, Stopped};
use crate::cases::Told;

/// Who takes it stands in the entry of the audit log.
#[derive(Debug, Clone)]
pub struct TakeStep {
    pub alert: AlertId,
    pub action: Action,
    pub note: Option<String>,
    /// To whom it goes.
    pub assignee: Option<String>,
    /// Where the person saw it.
    pub seen: Option<Handling>,
}

impl TakeStep {
    /// A step without anything said.
    pub fn new(alert: AlertId, action: Action) -> Self {
        Self { alert, action, note: None, assignee: None, seen: None }
    }

    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let not_found = || Refusal::NotFound { what: "alert", id: self.alert.0.to_string() };
        let mut alert = work.tx.alert(self.alert)?.ok_or_else(not_found)?;
        let (who, note, assignee) = (work.who(), self.note.as_deref(), self.assignee.as_deref());
        let case = Case { handling: alert.handling, handled_by: alert.handled_by.as_deref() };
        let request = Request { action: self.action, who, note, assignee, seen: self.seen };
        let (handling, kind) = lifecycle::step(case, request, work.settings.policy)?;
        self.change(&mut alert, handling, who, work.now);
        let severity = alert.severity;
        let step = NewStep {
            alert: alert.id,
            at: work.now,
            kind,
            who: Some(who),
            severity,
            value: None,
            note,
            assignee,
        };
        work.tx.append_step(&step)?;
        let told = Told { at: work.now, value: None, who: Some(who), note };
        work.cases.follow(&mut alert, Change::Step(self.action), told)?;
        work.tx.update_alert(&alert)?;
        work.cases.changed.insert(alert.id, alert.clone());
        Ok(Done::Alert(Box::new(alert)))
    }

    /// What a step makes of an alert.
    fn change(&self, alert: &mut Alert, handling: Handling, who: &str, now: TimestampMs) {
        if self.action == Action::Comment {
            return;
        }
        alert.handling = handling;
        alert.changed_at = alert.changed_at.max(now);
        if self.action != Action::Reopen {
            // Who sends somebody, does it or throws it out has seen it.
            alert.acknowledged_at = alert.acknowledged_at.or(Some(now));
        }
        match self.action {
            Action::Dispatch => alert.assignee.clone_from(&self.assignee),
            Action::Arrive => alert.arrived_at = alert.arrived_at.or(Some(now)),
            Action::Handle => (alert.handled_by, alert.handled_at) = (Some(who.to_owned()), Some(now)),
            Action::Verify | Action::Dismiss => alert.closed_at = Some(now),
            Action::Reopen => {
                (alert.handled_by, alert.handled_at) = (None, None);
                (alert.arrived_at, alert.closed_at) = (None, None);
            }
            Action::Acknowledge | Action::Comment => {}
        }
        if alert.is_report {
            // No sensor: its condition is what people say.
            alert.condition = if alert.closed_at.is_some() { Condition::Cleared } else { Condition::Active };
            alert.cleared_at = alert.closed_at;
        }
    }
}
