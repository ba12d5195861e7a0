//! Messages to people: a test, and another try of one that was given up.

use super::{Done, Execution, Stopped, found};

/// A message to a channel, to see whether it works.
#[derive(Debug, Clone)]
pub struct TestChannel {
    pub channel: String,
}

/// Tries a message again that was given up. Asked twice it is tried once.
#[derive(Debug, Clone)]
pub struct RetryMessage {
    pub id: i64,
}

impl TestChannel {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let is_known = work.settings.notification_rules.iter().any(|rule| rule.channel == self.channel);
        found(is_known, "channel", &self.channel)?;
        work.after.wake_outbox = true;
        Ok(Done::Number(work.tx.put_test_message(&self.channel, work.now)?))
    }
}

impl RetryMessage {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let is_tried = work.tx.retry_message(self.id, work.now)?;
        found(is_tried, "message that was given up", &self.id)?;
        work.after.wake_outbox = true;
        Ok(Done::Nothing)
    }
}
