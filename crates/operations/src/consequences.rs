//! What follows for people when a case changes: who owns it, by when it must be where, who is told.
//!
//! A pure function: the case as the change left it, the change, the site's settings and the time at which sanimon knew of
//! it in; decisions out, in the order in which they are to be stored. Every deadline, escalation and message counts from
//! `known_at`, never from the time of an old sample: nobody can act before anybody knows.

use sanimon_domain::{AlertEvent, Condition, Handling, Severity, TimestampMs, ZoneClass, ZoneId};

use crate::deadlines::{Deadline, Deadlines, Progress};
use crate::lifecycle::{self, Action};
use crate::routing::{Due, Notification};
use crate::settings::OperationsSettings;
use crate::teams::{Facts, Teams};

/// A case as far as its consequences depend on it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseState {
    pub severity: Severity,
    pub condition: Condition,
    pub handling: Handling,
    pub zone: Option<ZoneId>,
    pub zone_class: Option<ZoneClass>,
    /// `None`: it is new, and nobody has been named yet.
    pub owner: Option<String>,
    pub deadlines: Deadlines,
    pub is_acknowledged: bool,
    pub has_arrived: bool,
    /// How often a missed deadline was told, and when last.
    pub escalations: u32,
    pub escalated_at: Option<TimestampMs>,
}

/// What happened to a case.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    Raised(Facts<'a>),
    SeverityChanged {
        from: Severity,
        to: Severity,
    },
    Cleared,
    /// A wider alert stands for it from now on.
    Superseded,
    /// A person took a step.
    Step(Action),
    /// A deadline has passed: [`missed_deadline`] says which.
    DeadlineMissed(Deadline),
}

/// What is to be done about it, in the transaction of the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Assign(String),
    SetDeadlines(Deadlines),
    /// The sensor says what a person would have to look at: it is verified.
    Verify,
    Escalate {
        deadline: Deadline,
        to: String,
    },
    /// When the next missed deadline is to be told; `None`: nothing is waited for.
    SetNextEscalation(Option<TimestampMs>),
    Notify(Message),
}

/// A message to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub channel: String,
    pub event: AlertEvent,
    pub severity: Severity,
    /// To whom it was escalated.
    pub to: Option<String>,
    pub due: Due,
    pub expires_at: TimestampMs,
}

impl CaseState {
    /// How far it has come, as deadlines see it.
    pub const fn progress(&self) -> Progress {
        Progress {
            condition: self.condition,
            handling: self.handling,
            deadlines: self.deadlines,
            arrived: self.has_arrived,
            escalations: self.escalations,
            escalated_at: self.escalated_at,
        }
    }
}

/// What follows from a change of a case. `case` is as the change left it.
pub fn consequences(
    case: &CaseState,
    change: Change<'_>,
    settings: &OperationsSettings,
    known_at: TimestampMs,
) -> Vec<Decision> {
    let mut follow_up = FollowUp { case: case.clone(), decisions: Vec::new() };
    let teams = &settings.teams;
    let mut escalated_to = None;
    match change {
        Change::Raised(facts) => {
            follow_up.decide(Decision::Assign(teams.team_for(facts).to_owned()), known_at);
            follow_up.start_deadlines(teams, known_at);
        }
        Change::SeverityChanged { .. } => follow_up.tighten_deadlines(teams, known_at),
        Change::Step(Action::Reopen) => follow_up.start_deadlines(teams, known_at),
        Change::DeadlineMissed(deadline) => {
            let to = teams.escalation_target(case.escalations).to_owned();
            escalated_to = Some(to.clone());
            follow_up.decide(Decision::Escalate { deadline, to }, known_at);
        }
        Change::Cleared | Change::Superseded | Change::Step(_) => {}
    }
    if matches!(change, Change::Cleared | Change::Step(_))
        && lifecycle::verified_by_sensor(case.handling, case.condition)
    {
        follow_up.decide(Decision::Verify, known_at);
    }
    let next = teams.next_escalation(&follow_up.case.progress()).map(|(at, _)| at);
    follow_up.decide(Decision::SetNextEscalation(next), known_at);
    follow_up.notify(settings, change, escalated_to.as_deref(), known_at);
    follow_up.decisions
}

/// The deadline that has passed by `now` and that nobody was told of yet.
pub fn missed_deadline(case: &CaseState, teams: &Teams, now: TimestampMs) -> Option<Deadline> {
    teams.next_escalation(&case.progress()).filter(|(at, _)| *at <= now).map(|(_, deadline)| deadline)
}

/// The case as the decisions so far leave it.
struct FollowUp {
    case: CaseState,
    decisions: Vec<Decision>,
}

impl FollowUp {
    fn decide(&mut self, decision: Decision, known_at: TimestampMs) {
        match &decision {
            Decision::Assign(owner) => self.case.owner = Some(owner.clone()),
            Decision::SetDeadlines(deadlines) => self.case.deadlines = *deadlines,
            Decision::Verify => self.case.handling = Handling::Verified,
            Decision::Escalate { .. } => {
                self.case.escalations += 1;
                self.case.escalated_at = Some(known_at);
            }
            Decision::SetNextEscalation(_) | Decision::Notify(_) => {}
        }
        self.decisions.push(decision);
    }

    /// All of them begin, or begin anew.
    fn start_deadlines(&mut self, teams: &Teams, known_at: TimestampMs) {
        let deadlines = teams.deadlines(self.case.severity, self.case.zone_class, known_at);
        self.decide(Decision::SetDeadlines(deadlines), known_at);
    }

    /// Those of the new severity count where they are sooner; those of a milder one stay.
    fn tighten_deadlines(&mut self, teams: &Teams, known_at: TimestampMs) {
        let new = teams.deadlines(self.case.severity, self.case.zone_class, known_at);
        let sooner = |old: Option<TimestampMs>, new: Option<TimestampMs>| old.into_iter().chain(new).min();
        let old = self.case.deadlines;
        let acknowledge_by = if self.case.is_acknowledged {
            old.acknowledge_by
        } else {
            sooner(old.acknowledge_by, new.acknowledge_by)
        };
        let tightened = Deadlines {
            acknowledge_by,
            arrive_by: sooner(old.arrive_by, new.arrive_by),
            resolve_by: sooner(old.resolve_by, new.resolve_by),
        };
        if tightened != old {
            self.decide(Decision::SetDeadlines(tightened), known_at);
        }
    }

    fn notify(
        &mut self,
        settings: &OperationsSettings,
        change: Change<'_>,
        to: Option<&str>,
        known_at: TimestampMs,
    ) {
        let event = self.event(change);
        let notification = Notification {
            event,
            severity: self.case.severity,
            zone: self.case.zone.as_ref(),
            owner: self.case.owner.as_deref(),
            to,
            at: known_at,
        };
        for rule in &settings.notification_rules {
            let Some(due) = rule.due(settings.teams.calendar, &notification) else { continue };
            self.decisions.push(Decision::Notify(Message {
                channel: rule.channel.clone(),
                event,
                severity: self.case.severity,
                to: to.map(str::to_owned),
                due,
                expires_at: due.at.plus_ms(rule.expires_ms),
            }));
        }
    }

    /// What messages call the change.
    fn event(&self, change: Change<'_>) -> AlertEvent {
        match change {
            Change::Raised(_) => AlertEvent::Raised,
            Change::SeverityChanged { from, to } if to > from => AlertEvent::Worsened,
            Change::SeverityChanged { .. } => AlertEvent::Changed,
            Change::Cleared | Change::Superseded => AlertEvent::Cleared,
            Change::DeadlineMissed(_) => AlertEvent::Escalated,
            Change::Step(_) if self.decisions.contains(&Decision::Verify) => AlertEvent::Closed,
            Change::Step(action) => match action {
                Action::Dispatch => AlertEvent::Dispatched,
                Action::Reopen => AlertEvent::Reopened,
                Action::Verify | Action::Dismiss => AlertEvent::Closed,
                Action::Acknowledge | Action::Arrive | Action::Handle | Action::Comment => {
                    AlertEvent::Changed
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
