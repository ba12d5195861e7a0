//! What people may do with an alert, as a table.

use sanimon_domain::{Handling, StepKind};

/// A step that a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Acknowledge,
    Comment,
}

/// The step is not allowed from here; these are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the alert is {from} already: {action:?} is not possible")]
pub struct NotAllowed {
    pub action: Action,
    pub from: Handling,
    pub allowed: Vec<Action>,
}

/// Each allowed step: from, action, to.
const STEPS: &[(Handling, Action, Handling)] = &[
    (Handling::New, Action::Acknowledge, Handling::Acknowledged),
    (Handling::Reopened, Action::Acknowledge, Handling::Acknowledged),
];

/// The steps that are possible from here.
pub fn allowed(from: Handling) -> Vec<Action> {
    let steps = STEPS.iter().filter(|(state, ..)| *state == from).map(|(_, action, _)| *action);
    // A remark is possible at any time and changes nothing.
    steps.chain([Action::Comment]).collect()
}

/// The state after a step, and the step's name in the history.
pub fn step(from: Handling, action: Action) -> Result<(Handling, StepKind), NotAllowed> {
    if action == Action::Comment {
        return Ok((from, StepKind::Commented));
    }
    STEPS
        .iter()
        .find(|(state, allowed, _)| *state == from && *allowed == action)
        .map(|(_, _, to)| (*to, StepKind::Acknowledged))
        .ok_or_else(|| NotAllowed { action, from, allowed: allowed(from) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_alert_is_acknowledged_once() {
        let (state, name) = step(Handling::New, Action::Acknowledge).expect("allowed from new");
        assert_eq!((state, name), (Handling::Acknowledged, StepKind::Acknowledged));
        let refused = step(state, Action::Acknowledge).expect_err("not twice");
        assert_eq!(refused.allowed, vec![Action::Comment]);
    }

    #[test]
    fn a_remark_is_always_possible_and_changes_nothing() {
        for from in Handling::ALL {
            assert_eq!(step(*from, Action::Comment), Ok((*from, StepKind::Commented)));
        }
    }
}
