//! Who hears of a missed deadline, and when.

use sanimon_domain::TimestampMs;
use sanimon_domain::time::MINUTE_MS;

use crate::deadlines::{Deadline, Progress};
use crate::teams::{DEFAULT_TEAM, Teams};

/// A missed deadline goes on to the next in the chain after this long.
const ESCALATE_AGAIN_MS: i64 = 30 * MINUTE_MS;

impl Teams {
    /// When somebody must be told that a promise was not kept, and which; `None` when no clock runs. A promise that stays
    /// broken goes on to the next in the chain after half an hour, until the chain ends.
    pub fn next_escalation(&self, progress: &Progress) -> Option<(TimestampMs, Deadline)> {
        let open = progress.deadlines.open(progress);
        let first = open.into_iter().flatten().min_by_key(|(at, _)| *at)?;
        let Some(told_at) = progress.escalated_at else { return Some(first) };
        // What was missed since the last word is told at once; what had been told already goes on, later.
        let fresh = open.into_iter().flatten().filter(|(at, _)| *at > told_at).min_by_key(|(at, _)| *at);
        let goes_on = (first.0 <= told_at && (progress.escalations as usize) < self.escalation.len())
            .then(|| (told_at.plus_ms(ESCALATE_AGAIN_MS), first.1));
        fresh.into_iter().chain(goes_on).min_by_key(|(at, _)| *at)
    }

    /// Who hears of it, the `n`th time.
    pub fn escalation_target(&self, n: u32) -> &str {
        let index = (n as usize).min(self.escalation.len().saturating_sub(1));
        self.escalation.get(index).map_or(DEFAULT_TEAM, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use sanimon_domain::time::HOUR_MS;
    use sanimon_domain::{Condition, Handling, Severity};

    use super::*;
    use crate::teams::tests::{at, teams};

    #[test]
    fn a_broken_promise_climbs_the_chain_and_ends_with_it() {
        let teams = teams();
        let start = at("2026-03-05T12:00:00+08:00");
        let mut progress = Progress {
            condition: Condition::Active,
            handling: Handling::New,
            deadlines: teams.deadlines(Severity::Critical, None, start),
            arrived: false,
            escalations: 0,
            escalated_at: None,
        };
        let mut told = Vec::new();
        while let Some((at, promise)) = teams.next_escalation(&progress) {
            told.push((
                at.since_ms(start) / MINUTE_MS,
                promise.as_str(),
                teams.escalation_target(progress.escalations),
            ));
            progress = Progress { escalations: progress.escalations + 1, escalated_at: Some(at), ..progress };
        }
        assert_eq!(told, [(5, "acknowledge", "chief"), (30, "arrive", "mayor"), (240, "resolve", "mayor")]);
    }

    #[test]
    fn who_acted_in_time_is_not_told_and_a_cleared_condition_stops_the_clocks() {
        let teams = teams();
        let start = at("2026-03-05T12:00:00+08:00");
        let progress = Progress {
            condition: Condition::Active,
            handling: Handling::Acknowledged,
            deadlines: teams.deadlines(Severity::Critical, None, start),
            arrived: true,
            escalations: 0,
            escalated_at: None,
        };
        let next =
            teams.next_escalation(&progress).map(|(at, promise)| (at.since_ms(start) / HOUR_MS, promise));
        assert_eq!(next, Some((4, Deadline::Resolve)));
        let handled = Progress { handling: Handling::Handled, ..progress };
        assert_eq!(teams.next_escalation(&handled), None);
        assert_eq!(teams.next_escalation(&Progress { condition: Condition::Cleared, ..progress }), None);
    }
}
