//! Messages to people, from the change that they tell until somebody was told.

use rusqlite::params;
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{AlertId, TimestampMs};
use sanimon_operations::{Message, NotificationRule};

use crate::error::Result;
use crate::model::{DeliveryOutcome, DeliveryResult};
use crate::sqlite::Tx;

/// How long messages that went out are kept for people to look at, and those that did not.
const SENT_KEPT_MS: i64 = 7 * DAY_MS;
const FAILED_KEPT_MS: i64 = 90 * DAY_MS;
/// A test is not tried for longer than somebody waits for it.
const TEST_EXPIRES_MS: i64 = 5 * sanimon_domain::time::MINUTE_MS;
/// How long a message that is tried again by hand is tried.
const RETRY_EXPIRES_MS: i64 = DAY_MS;

/// What a message tells of its change.
#[derive(Debug, Clone, Copy)]
pub struct ToldChange<'a> {
    pub alert: AlertId,
    pub at: TimestampMs,
    pub value: Option<f64>,
    pub who: Option<&'a str>,
    pub note: Option<&'a str>,
}

impl Tx<'_> {
    pub fn put_message(&self, change: &ToldChange<'_>, message: &Message) -> Result<()> {
        self.run(
            "write a message",
            "INSERT INTO outbox (channel, alert_id, event, at, severity, value, who, note, escalated_to, is_digest,
               due_at, expires_at, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'waiting')",
            params![
                message.channel,
                change.alert.0 as i64,
                message.event.as_str(),
                change.at.0,
                message.severity.as_str(),
                change.value,
                change.who,
                change.note,
                message.to,
                message.due.is_digest,
                message.due.at.0,
                message.expires_at.0,
            ],
        )?;
        Ok(())
    }

    /// A message to a channel that only says that it works. Gives its number.
    pub fn put_test_message(&self, channel: &str, now: TimestampMs) -> Result<i64> {
        self.run(
            "write a message",
            "INSERT INTO outbox (channel, event, at, severity, is_digest, due_at, expires_at, state)
             VALUES (?1, 'changed', ?2, 'warning', 0, ?2, ?3, 'waiting')",
            params![channel, now.0, now.plus_ms(TEST_EXPIRES_MS).0],
        )?;
        Ok(self.last_id())
    }

    /// A channel that holds the state of open alerts is told all of it: a broker may have lost it.
    pub fn put_open_states(&self, rule: &NotificationRule, now: TimestampMs) -> Result<()> {
        self.run(
            "write the state of open alerts",
            "INSERT INTO outbox (channel, alert_id, event, at, severity, value, is_digest, due_at, expires_at, state)
             SELECT ?1, id, 'changed', changed_at, severity, value, 0, ?2, ?3, 'waiting' FROM alert
             WHERE (condition = 'active' OR handling IN ('acknowledged', 'dispatched', 'handled', 'reopened'))
               AND NOT EXISTS (SELECT 1 FROM outbox WHERE alert_id = alert.id AND channel = ?1 AND state = 'waiting')",
            params![rule.channel, now.0, now.plus_ms(rule.expires_ms).0],
        )?;
        Ok(())
    }

    /// What became of a message. An outcome that is told a second time, because the first answer was lost, changes
    /// nothing, also when somebody had the message tried again in between.
    pub fn put_outcome(&self, outcome: &DeliveryOutcome) -> Result<()> {
        let DeliveryOutcome { id, attempts, at, result } = outcome;
        let (state, due_at, error) = match result {
            DeliveryResult::Sent { note } => ("sent", None, note.as_ref()),
            DeliveryResult::Later { at, error } => ("waiting", Some(at.0), Some(error)),
            DeliveryResult::Dead { error } => ("dead", None, Some(error)),
        };
        let done_at = (state != "waiting").then_some(at.0);
        self.run(
            "write what became of a message",
            "UPDATE outbox SET state = ?2, due_at = coalesce(?3, due_at), error = ?4, done_at = ?5,
               attempts = attempts + 1 WHERE id = ?1 AND state = 'waiting' AND (?2 = 'sent' OR attempts = ?6)",
            params![id, state, due_at, error, done_at, attempts],
        )?;
        Ok(())
    }

    /// Removes messages that nobody looks at any more; gives how many.
    pub fn remove_old_messages(&self, now: TimestampMs) -> Result<usize> {
        self.run(
            "remove old messages",
            "DELETE FROM outbox WHERE state <> 'waiting' AND done_at < CASE state WHEN 'sent' THEN ?1 ELSE ?2 END",
            params![now.minus_ms(SENT_KEPT_MS).0, now.minus_ms(FAILED_KEPT_MS).0],
        )
    }

    /// A message that was given up is tried again. False: it was not given up.
    pub fn retry_message(&self, id: i64, now: TimestampMs) -> Result<bool> {
        let changed = self.run(
            "try a message again",
            "UPDATE outbox SET state = 'waiting', due_at = ?2, expires_at = ?3, done_at = NULL
             WHERE id = ?1 AND state = 'dead'",
            params![id, now.0, now.plus_ms(RETRY_EXPIRES_MS).0],
        )?;
        Ok(changed > 0)
    }
}
