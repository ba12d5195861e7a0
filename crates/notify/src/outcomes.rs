//! What became of messages, until it is written down.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;

use sanimon_domain::TimestampMs;
use sanimon_domain::time::SECOND_MS;
use sanimon_store::{DeliveryOutcome, DeliveryResult};

/// Outcomes that wait for the disk at most. Above that a channel sends nothing more: rather late than twice.
const UNRECORDED_MAX: usize = 1_000;
/// Outcomes that are written down together while there is more to send: each writing is a synced transaction.
const RECORD_TOGETHER_MAX: usize = 20;
/// ... but none waits for longer, so that people see what became of a message.
const RECORD_AFTER_MS: i64 = SECOND_MS;
/// After the writer could not take them.
const RECORD_AGAIN_MS: i64 = 5 * SECOND_MS;

/// What an [`OutcomeSink`] answers; the error is for the log.
pub type Recording<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Writes down what became of messages.
pub trait OutcomeSink: Send + Sync + fmt::Debug {
    /// All or none. What failed is asked again later, also when the answer got lost: the same outcome twice must count
    /// once.
    fn record(&self, outcomes: Vec<DeliveryOutcome>) -> Recording<'_>;
}

/// Outcomes that are not written down yet. They outlive a panic of the channel: a message whose outcome is known is not
/// sent again.
#[derive(Debug, Default)]
pub(crate) struct Unrecorded {
    by_message: BTreeMap<i64, DeliveryOutcome>,
    since: Option<TimestampMs>,
    /// The writer could not take them: again at this time.
    again_at: Option<TimestampMs>,
}

impl Unrecorded {
    pub(crate) fn push(&mut self, outcome: DeliveryOutcome) {
        self.since.get_or_insert(outcome.at);
        self.by_message.insert(outcome.id, outcome);
    }

    /// It went out or was given up, whatever the outbox says.
    pub(crate) fn is_settled(&self, message: i64) -> bool {
        let result = self.by_message.get(&message).map(|outcome| &outcome.result);
        matches!(result, Some(DeliveryResult::Sent { .. } | DeliveryResult::Dead { .. }))
    }

    /// It failed, and is to be tried again at this time.
    pub(crate) fn put_off_until(&self, message: i64) -> Option<TimestampMs> {
        match self.by_message.get(&message)?.result {
            DeliveryResult::Later { at, .. } => Some(at),
            DeliveryResult::Sent { .. } | DeliveryResult::Dead { .. } => None,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.by_message.len() >= UNRECORDED_MAX
    }

    /// What is to be written down now. When there is nothing more to send it does not wait for company.
    pub(crate) fn due(&self, now: TimestampMs, is_idle: bool) -> Vec<DeliveryOutcome> {
        let Some(since) = self.since else { return Vec::new() };
        let is_due = match self.again_at {
            Some(at) => at <= now,
            None => {
                is_idle
                    || self.by_message.len() >= RECORD_TOGETHER_MAX
                    || now.since_ms(since) >= RECORD_AFTER_MS
            }
        };
        if is_due { self.by_message.values().cloned().collect() } else { Vec::new() }
    }

    pub(crate) fn recorded(&mut self, outcomes: &[DeliveryOutcome]) {
        for outcome in outcomes {
            self.by_message.remove(&outcome.id);
        }
        self.since = self.by_message.values().map(|outcome| outcome.at).min();
        self.again_at = None;
    }

    /// The writer could not take them. True for the first time in a row.
    pub(crate) fn failed(&mut self, now: TimestampMs) -> bool {
        self.again_at.replace(now.plus_ms(RECORD_AGAIN_MS)).is_none()
    }

    /// When they are to be offered again.
    pub(crate) fn again_at(&self) -> Option<TimestampMs> {
        self.again_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs(1_772_323_200_000);

    fn outcome(id: i64, result: DeliveryResult) -> DeliveryOutcome {
        DeliveryOutcome { id, attempts: 0, at: NOW, result }
    }

    fn sent(id: i64) -> DeliveryOutcome {
        outcome(id, DeliveryResult::Sent { note: None })
    }

    #[test]
    fn outcomes_wait_for_company_while_there_is_more_to_send_but_not_for_long() {
        let mut unrecorded = Unrecorded::default();
        assert!(unrecorded.due(NOW, true).is_empty());
        unrecorded.push(sent(1));
        assert!(unrecorded.due(NOW, false).is_empty());
        assert_eq!(unrecorded.due(NOW, true), [sent(1)]);
        assert_eq!(unrecorded.due(NOW.plus_ms(RECORD_AFTER_MS), false), [sent(1)]);
        (2..=20).for_each(|id| unrecorded.push(sent(id)));
        let due = unrecorded.due(NOW, false);
        assert_eq!(due.len(), RECORD_TOGETHER_MAX);
        unrecorded.recorded(&due);
        assert!(unrecorded.due(NOW.plus_ms(SECOND_MS), true).is_empty());
    }

    #[test]
    fn what_could_not_be_written_down_is_kept_and_offered_again_after_a_while() {
        let mut unrecorded = Unrecorded::default();
        unrecorded.push(sent(1));
        unrecorded.push(outcome(2, DeliveryResult::Later { at: NOW.plus_ms(1), error: String::new() }));
        assert!(unrecorded.failed(NOW), "the first time is worth a word in the log");
        assert!(!unrecorded.failed(NOW));
        assert!(unrecorded.due(NOW.plus_ms(RECORD_AGAIN_MS - 1), true).is_empty());
        assert_eq!(unrecorded.due(NOW.plus_ms(RECORD_AGAIN_MS), false).len(), 2);
        assert!(unrecorded.is_settled(1) && !unrecorded.is_settled(2));
        assert_eq!(unrecorded.put_off_until(2), Some(NOW.plus_ms(1)));
        unrecorded.push(sent(2));
        assert!(unrecorded.is_settled(2), "the newest outcome of a message stands");
    }
}
