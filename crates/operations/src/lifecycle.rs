//! What people may do with an alert, as a table: from where, to where, who, and what they must say.
//!
//! The process is that of digital urban management (数字城管): accept, dispatch, handle, verify. Two dimensions, as in X.733
//! practice: what the sensor says ([`Condition`]) clears by itself; what people do about it ([`Handling`]) is this table. They
//! meet in one place: a handled alert whose condition is cleared has been verified by the sensor ([`verified_by_sensor`]).

use sanimon_domain::{Condition, Handling, StepKind};

/// A step that a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Somebody has seen it.
    Acknowledge,
    /// A team or a person is sent; from `dispatched`, it is handed over.
    Dispatch,
    /// Somebody is on site.
    Arrive,
    /// It is done, says who did it.
    Handle,
    /// Somebody else has looked: it is done.
    Verify,
    /// It is not done, or came back.
    Reopen,
    /// It is no case.
    Dismiss,
    /// A remark.
    Comment,
}

/// Who may take a step: this role or a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Crew,
    Dispatcher,
}

/// What a step must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// Why, or what.
    Note,
    /// To whom it goes.
    Assignee,
    /// To whom it goes, and why.
    AssigneeAndNote,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    pub from: Handling,
    pub action: Action,
    pub to: Handling,
    pub role: Role,
    pub needs: Needs,
}

const fn row(from: Handling, action: Action, to: Handling, role: Role, needs: Needs) -> Allowed {
    Allowed { from, action, to, role, needs }
}

use Action::{Acknowledge, Arrive, Comment, Dismiss, Dispatch, Handle, Reopen, Verify};
use Handling::{Acknowledged, Dismissed, Dispatched, Handled, New, Reopened, Verified};
use Needs::{Assignee, AssigneeAndNote, Note, Nothing};
use Role::{Crew, Dispatcher};

/// Each allowed step. A remark is possible at any time and stands in no row.
pub const STEPS: [Allowed; 20] = [
    row(New, Acknowledge, Acknowledged, Crew, Nothing),
    row(New, Dispatch, Dispatched, Dispatcher, Assignee),
    row(New, Dismiss, Dismissed, Dispatcher, Note),
    row(Reopened, Acknowledge, Acknowledged, Crew, Nothing),
    row(Reopened, Dispatch, Dispatched, Dispatcher, Assignee),
    row(Reopened, Arrive, Dispatched, Crew, Nothing),
    row(Reopened, Handle, Handled, Crew, Nothing),
    row(Reopened, Dismiss, Dismissed, Dispatcher, Note),
    row(Acknowledged, Dispatch, Dispatched, Dispatcher, Assignee),
    row(Acknowledged, Arrive, Dispatched, Crew, Nothing),
    // Who is there and does it need not be sent first.
    row(Acknowledged, Handle, Handled, Crew, Nothing),
    row(Acknowledged, Dismiss, Dismissed, Dispatcher, Note),
    // Handing over: always to someone, and always with a reason.
    row(Dispatched, Dispatch, Dispatched, Crew, AssigneeAndNote),
    row(Dispatched, Arrive, Dispatched, Crew, Nothing),
    row(Dispatched, Handle, Handled, Crew, Nothing),
    row(Dispatched, Dismiss, Dismissed, Dispatcher, Note),
    row(Handled, Verify, Verified, Dispatcher, Nothing),
    row(Handled, Reopen, Reopened, Dispatcher, Note),
    row(Verified, Reopen, Reopened, Dispatcher, Note),
    row(Dismissed, Reopen, Reopened, Dispatcher, Note),
];

/// What the site has decided about the cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Who handled does not verify.
    pub another_verifies: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { another_verifies: true }
    }
}

/// Where an alert is when a step is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case<'a> {
    pub handling: Handling,
    /// Who handled it last.
    pub handled_by: Option<&'a str>,
}

/// A step as a person asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    pub action: Action,
    pub who: &'a str,
    pub note: Option<&'a str>,
    pub assignee: Option<&'a str>,
    /// Where the person saw the alert; somebody else may have been quicker.
    pub seen: Option<Handling>,
}

/// Why a step was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("`{}` is not possible: the alert is {from}", action.as_str())]
    FromHere { action: Action, from: Handling, allowed: Vec<Action> },
    #[error("somebody was quicker: the alert is {now}, no longer {seen}")]
    Moved { seen: Handling, now: Handling, allowed: Vec<Action> },
    #[error("{who} handled it, and who handled does not verify: somebody else has to look")]
    SamePerson { who: String, allowed: Vec<Action> },
    #[error("`{}` needs {}", action.as_str(), needs.as_str())]
    Incomplete { action: Action, needs: Needs },
}

impl Action {
    pub const ALL: [Self; 8] = [Acknowledge, Dispatch, Arrive, Handle, Verify, Reopen, Dismiss, Comment];

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Acknowledge => "acknowledge",
            Dispatch => "dispatch",
            Arrive => "arrive",
            Handle => "handle",
            Verify => "verify",
            Reopen => "reopen",
            Dismiss => "dismiss",
            Comment => "comment",
        }
    }

    /// Whoever may take it anywhere: the lowest role in the table.
    pub fn role(self) -> Role {
        STEPS.iter().filter(|row| row.action == self).map(|row| row.role).min().unwrap_or(Crew)
    }

    /// The step's name in the history.
    const fn kind(self) -> StepKind {
        match self {
            Acknowledge => StepKind::Acknowledged,
            Dispatch => StepKind::Dispatched,
            Arrive => StepKind::Arrived,
            Handle => StepKind::Handled,
            Verify => StepKind::Verified,
            Reopen => StepKind::Reopened,
            Dismiss => StepKind::Dismissed,
            Comment => StepKind::Commented,
        }
    }
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Crew => "crew",
            Dispatcher => "dispatcher",
        }
    }
}

impl Needs {
    const fn as_str(self) -> &'static str {
        match self {
            Nothing => "nothing",
            Note => "a `note` that says why",
            Assignee => "an `assignee`: always to someone",
            AssigneeAndNote => "an `assignee`, and a `note` that says why it is handed over",
        }
    }

    const fn is_met_by(self, request: &Request<'_>) -> bool {
        let (note, assignee) = (request.note.is_some(), request.assignee.is_some());
        match self {
            Nothing => true,
            Note => note,
            Assignee => assignee,
            AssigneeAndNote => note && assignee,
        }
    }
}

impl NotAllowed {
    /// What is possible instead.
    pub fn allowed(&self) -> &[Action] {
        match self {
            Self::FromHere { allowed, .. }
            | Self::Moved { allowed, .. }
            | Self::SamePerson { allowed, .. } => allowed,
            Self::Incomplete { .. } => &[],
        }
    }
}

/// The steps that are possible from here, a remark included.
pub fn allowed(from: Handling) -> Vec<Action> {
    let mut actions: Vec<Action> =
        STEPS.iter().filter(|row| row.from == from).map(|row| row.action).collect();
    actions.push(Comment);
    actions
}

/// The row for an action from here.
pub fn find(from: Handling, action: Action) -> Option<&'static Allowed> {
    STEPS.iter().find(|row| row.from == from && row.action == action)
}

/// Where an alert is after a step, and the step's name in the history.
pub fn step(
    case: Case<'_>,
    request: Request<'_>,
    policy: Policy,
) -> Result<(Handling, StepKind), NotAllowed> {
    let (from, action) = (case.handling, request.action);
    if action == Comment {
        let needs = Note;
        return if needs.is_met_by(&request) {
            Ok((from, action.kind()))
        } else {
            Err(NotAllowed::Incomplete { action, needs })
        };
    }
    if let Some(seen) = request.seen.filter(|seen| *seen != from) {
        return Err(NotAllowed::Moved { seen, now: from, allowed: allowed(from) });
    }
    let Some(row) = find(from, action) else {
        return Err(NotAllowed::FromHere { action, from, allowed: allowed(from) });
    };
    if action == Verify && policy.another_verifies && case.handled_by == Some(request.who) {
        let allowed = allowed(from).into_iter().filter(|action| *action != Verify).collect();
        return Err(NotAllowed::SamePerson { who: request.who.to_owned(), allowed });
    }
    if !row.needs.is_met_by(&request) {
        return Err(NotAllowed::Incomplete { action, needs: row.needs });
    }
    Ok((row.to, action.kind()))
}

/// Handled, says a person; clear, says the sensor: nobody need go and look.
pub const fn verified_by_sensor(handling: Handling, condition: Condition) -> bool {
    matches!((handling, condition), (Handled, Condition::Cleared))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(action: Action) -> Request<'static> {
        Request { action, who: "lin", note: Some("why"), assignee: Some("team a"), seen: None }
    }

    fn at(handling: Handling) -> Case<'static> {
        Case { handling, handled_by: None }
    }

    #[test]
    fn the_way_of_a_case_leads_from_new_to_verified() {
        let mut handling = New;
        for (action, to) in [
            (Acknowledge, Acknowledged),
            (Dispatch, Dispatched),
            (Dispatch, Dispatched),
            (Handle, Handled),
            (Verify, Verified),
        ] {
            let (next, kind) = step(at(handling), ask(action), Policy::default()).expect("allowed");
            assert_eq!((next, kind), (to, action.kind()));
            handling = next;
        }
        assert_eq!(step(at(Verified), ask(Reopen), Policy::default()).map(|(to, _)| to), Ok(Reopened));
    }

    #[test]
    fn a_step_that_is_not_in_the_table_is_refused_with_those_that_are() {
        for from in Handling::ALL {
            for action in Action::ALL.into_iter().filter(|action| *action != Comment) {
                let outcome = step(at(*from), ask(action), Policy::default());
                match find(*from, action) {
                    Some(row) => assert_eq!(outcome, Ok((row.to, action.kind())), "{from} {action:?}"),
                    None => {
                        let refused = outcome.expect_err("not in the table");
                        assert_eq!(refused.allowed(), allowed(*from), "{from} {action:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_step_needs_is_asked_for() {
        for (from, action, note, assignee, is_complete) in [
            (New, Dispatch, None, None, false),
            (New, Dispatch, None, Some("team a"), true),
            (Dispatched, Dispatch, None, Some("team b"), false),
            (Dispatched, Dispatch, Some("their street"), Some("team b"), true),
            (New, Dismiss, None, None, false),
            (New, Dismiss, Some("a test"), None, true),
            (Verified, Reopen, None, None, false),
            (New, Comment, None, None, false),
            (New, Comment, Some("on my way"), None, true),
        ] {
            let request = Request { note, assignee, ..ask(action) };
            let outcome = step(at(from), request, Policy::default());
            assert_eq!(outcome.is_ok(), is_complete, "{from} {action:?}: {outcome:?}");
        }
    }

    #[test]
    fn who_handled_does_not_verify_unless_the_site_says_so() {
        let case = Case { handling: Handled, handled_by: Some("lin") };
        let refused = step(case, ask(Verify), Policy::default()).expect_err("the same person");
        assert_eq!(refused.allowed(), [Reopen, Comment]);
        assert!(step(case, Request { who: "wang", ..ask(Verify) }, Policy::default()).is_ok());
        assert!(step(case, ask(Verify), Policy { another_verifies: false }).is_ok());
    }

    #[test]
    fn two_at_once_are_one_step_and_one_conflict() {
        let request = Request { seen: Some(New), ..ask(Dispatch) };
        let (moved, _) = step(at(New), request, Policy::default()).expect("the first");
        let refused = step(at(moved), request, Policy::default()).expect_err("the second");
        assert!(matches!(refused, NotAllowed::Moved { seen: New, now: Dispatched, .. }), "{refused}");
    }

    #[test]
    fn no_case_gets_stuck_and_every_state_is_reached() {
        for from in Handling::ALL {
            assert!(STEPS.iter().any(|row| row.from == *from), "{from} leads nowhere");
            assert!(*from == New || STEPS.iter().any(|row| row.to == *from), "{from} is never reached");
        }
    }

    proptest! {
        #[test]
        fn whatever_people_try_an_alert_is_where_its_last_step_led(tries in prop::collection::vec((0_usize..8, any::<bool>(), any::<bool>()), 0..40)) {
            let (mut handling, mut history) = (New, Vec::new());
            for (action, has_note, has_assignee) in tries {
                let action = Action::ALL[action];
                let request = Request {
                    note: has_note.then_some("why"),
                    assignee: has_assignee.then_some("team a"),
                    ..ask(action)
                };
                if let Ok((to, kind)) = step(at(handling), request, Policy::default()) {
                    history.push((handling, kind, to));
                    handling = to;
                }
            }
            prop_assert!(history.windows(2).all(|pair| pair[0].2 == pair[1].0));
            prop_assert_eq!(history.last().map_or(New, |last| last.2), handling);
        }
    }
}
