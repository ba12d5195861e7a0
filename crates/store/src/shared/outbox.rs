//! What is asked about messages to people.

use std::ops::ControlFlow;

use sanimon_domain::{AlertId, TimestampMs};

use crate::error::Result;
use crate::model::{MessageState, OutboxMessage, WaitingMessage};
use crate::read::{self, Page};
use crate::shared::Shared;

impl Shared {
    /// Messages wait in the outbox.
    pub fn wake_outbox(&self) {
        self.outbox_bell.send_modify(|rung| *rung += 1);
    }

    /// Shows the messages of a channel whose time has come, and those that were tried, the most urgent first, until
    /// `visit` has seen enough.
    pub fn visit_waiting(
        &self,
        channel: &str,
        now: TimestampMs,
        visit: &mut dyn FnMut(&WaitingMessage) -> ControlFlow<()>,
    ) -> Result<()> {
        self.with_reader(|connection| read::visit_waiting(connection, channel, now, visit))
    }

    /// When the first message of a channel that was never tried comes due after this time.
    pub fn next_message_due(&self, channel: &str, after: TimestampMs) -> Result<Option<TimestampMs>> {
        self.with_reader(|connection| read::next_message_due(connection, channel, after))
    }

    /// A message that still waits.
    pub fn waiting_message(&self, id: i64) -> Result<Option<OutboxMessage>> {
        self.with_reader(|connection| read::waiting_message(connection, id))
    }

    /// The warnings that go out to a channel as one message now, in the order of what they tell.
    pub fn digest_messages(&self, channel: &str, now: TimestampMs) -> Result<Vec<OutboxMessage>> {
        self.with_reader(|connection| read::digest_messages(connection, channel, now))
    }

    /// What a channel still has to be told of an alert from before this message, the oldest first.
    pub fn earlier_messages(&self, channel: &str, alert: AlertId, before: i64) -> Result<Vec<OutboxMessage>> {
        self.with_reader(|connection| read::earlier_messages(connection, channel, alert, before))
    }

    /// Messages in this state, or in any, the newest first.
    pub fn messages(
        &self,
        state: Option<MessageState>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<OutboxMessage>> {
        self.with_reader(|connection| read::messages(connection, state, before, limit))
    }

    /// How many messages wait, and how many were given up.
    pub fn message_counts(&self) -> Result<(i64, i64)> {
        self.with_reader(read::message_counts)
    }
}
