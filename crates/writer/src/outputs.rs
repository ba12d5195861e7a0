//! What a commit sends out. Sending it cannot fail and reads nothing.

use sanimon_store::Committed;

use crate::command::{Done, Refusal};
use crate::job::Job;

/// Made by a commit, and by nothing else.
#[derive(Debug)]
#[must_use = "senders wait for their acknowledgements"]
pub struct Outputs<A> {
    /// The tokens of what is on disk: those of session changes, then those of messages, as readings, as events, or in the
    /// quarantine.
    pub acknowledged: Vec<A>,
    /// The answer to a command.
    pub answer: Option<Answer>,
    /// What the live feed tells.
    pub feed: Committed,
    /// Messages to people wait in the outbox.
    pub wake_outbox: bool,
    /// A job to be run beside the writer; its outcomes come back as [`crate::Input::Maintenance`].
    pub job: Option<Job>,
}

/// What became of a command. Whoever is told no changed nothing.
pub type Answer = Result<Done, Refusal>;

impl<A> Default for Outputs<A> {
    fn default() -> Self {
        Self {
            acknowledged: Vec::new(),
            answer: None,
            feed: Committed::default(),
            wake_outbox: false,
            job: None,
        }
    }
}

impl<A> Outputs<A> {
    pub(crate) fn answered(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }

    /// Adds what a later commit sends out.
    pub(crate) fn join(&mut self, later: Self) {
        self.acknowledged.extend(later.acknowledged);
        self.answer = later.answer.or(self.answer.take());
        self.feed.readings.extend(later.feed.readings);
        self.feed.alerts.extend(later.feed.alerts);
        self.feed.devices.extend(later.feed.devices);
        self.feed.is_incomplete |= later.feed.is_incomplete;
        self.wake_outbox |= later.wake_outbox;
        self.job = later.job.or(self.job.take());
    }
}
