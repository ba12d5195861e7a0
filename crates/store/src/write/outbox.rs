//! Messages, from the change that they tell until somebody was told.

use rusqlite::{Transaction, params};
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{Severity, TimestampMs};
use sanimon_operations::routing::{Due, Event, NotificationRule};

use super::Writer;
use super::alerts::execute;
use super::conduct::Change;
use crate::command::CommandError;
use crate::error::{Result, StoreError};
use crate::model::{DeliveryOutcome, DeliveryResult};

/// How long messages that went out are kept for people to look at, and those that did not.
const SENT_KEPT_MS: i64 = 7 * DAY_MS;
const DEAD_KEPT_MS: i64 = 90 * DAY_MS;
/// A test is not tried for longer than somebody waits for it.
const TEST_EXPIRES_MS: i64 = 5 * sanimon_domain::time::MINUTE_MS;

pub(super) fn enqueue(
    transaction: &Transaction<'_>,
    route: &NotificationRule,
    change: &Change<'_>,
    severity: Severity,
    due: Due,
) -> Result<()> {
    execute(
        transaction,
        "INSERT INTO outbox (channel, alert_id, event, at, severity, value, who, note, escalated_to, is_digest, due_at,
           expires_at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'waiting')",
        params![
            route.channel,
            change.alert.0 as i64,
            change.event.as_str(),
            change.at.0,
            severity.as_str(),
            change.value,
            change.who,
            change.note,
            change.to,
            due.is_digest,
            due.at.0,
            due.at.plus_ms(route.expires_ms).0,
        ],
    )
}

impl Writer {
    /// A message to a channel that only says that it works. Gives its number.
    pub fn test_channel(
        &mut self,
        channel: &str,
        now: TimestampMs,
    ) -> std::result::Result<i64, CommandError> {
        if !self.conduct.notification_rules.iter().any(|route| route.channel == channel) {
            return Err(CommandError::NotFound { what: "channel", id: channel.to_owned() });
        }
        let transaction = self.transaction()?;
        execute(
            &transaction,
            "INSERT INTO outbox (channel, event, at, severity, is_digest, due_at, expires_at, state)
             VALUES (?1, ?2, ?3, 'warning', 0, ?3, ?4, 'waiting')",
            params![channel, Event::Changed.as_str(), now.0, now.plus_ms(TEST_EXPIRES_MS).0],
        )?;
        let id = transaction.last_insert_rowid();
        transaction.commit().map_err(StoreError::doing("commit a message"))?;
        self.shared.ring_outbox();
        Ok(id)
    }

    /// Channels that hold the state of open alerts are told all of it: a broker may have lost it.
    pub fn mirror_open_alerts(&mut self, now: TimestampMs) -> Result<()> {
        let conduct = self.conduct.clone();
        let transaction = self.transaction()?;
        for route in conduct.notification_rules.iter().filter(|route| route.publishes_state) {
            execute(
                &transaction,
                "INSERT INTO outbox (channel, alert_id, event, at, severity, value, is_digest, due_at, expires_at, state)
                 SELECT ?1, id, 'changed', changed_at, severity, value, 0, ?2, ?3, 'waiting' FROM alert
                 WHERE (condition = 'active' OR handling IN ('acknowledged', 'dispatched', 'handled', 'reopened'))
                   AND NOT EXISTS (SELECT 1 FROM outbox WHERE alert_id = alert.id AND channel = ?1 AND state = 'waiting')",
                params![route.channel, now.0, now.plus_ms(route.expires_ms).0],
            )?;
        }
        transaction.commit().map_err(StoreError::doing("commit the state of open alerts"))
    }

    /// Remembers what became of messages.
    pub fn note_deliveries(&mut self, outcomes: &[DeliveryOutcome], now: TimestampMs) -> Result<()> {
        let transaction = self.transaction()?;
        for DeliveryOutcome { id, at, result } in outcomes {
            let (state, due_at, error) = match result {
                DeliveryResult::Sent => ("sent", None, None),
                DeliveryResult::Later { at, error } => ("waiting", Some(at.0), Some(error)),
                DeliveryResult::Dead { error } => ("dead", None, Some(error)),
            };
            let done_at = (state != "waiting").then_some(at.0);
            execute(
                &transaction,
                "UPDATE outbox SET state = ?2, due_at = coalesce(?3, due_at), error = ?4, done_at = ?5,
                   attempts = attempts + 1 WHERE id = ?1 AND state = 'waiting'",
                params![id, state, due_at, error, done_at],
            )?;
        }
        execute(
            &transaction,
            "DELETE FROM outbox WHERE state <> 'waiting' AND done_at < CASE state WHEN 'sent' THEN ?1 ELSE ?2 END",
            params![now.minus_ms(SENT_KEPT_MS).0, now.minus_ms(DEAD_KEPT_MS).0],
        )?;
        transaction.commit().map_err(StoreError::doing("commit what became of messages"))
    }

    /// Tries a message again that was given up.
    pub fn retry_message(&mut self, id: i64, now: TimestampMs) -> std::result::Result<(), CommandError> {
        let changed = self
            .connection
            .execute(
                "UPDATE outbox SET state = 'waiting', due_at = ?2, expires_at = ?3, done_at = NULL
                 WHERE id = ?1 AND state = 'dead'",
                params![id, now.0, now.plus_ms(DAY_MS).0],
            )
            .map_err(StoreError::doing("try a message again"))?;
        if changed == 0 {
            return Err(CommandError::NotFound { what: "message that was given up", id: id.to_string() });
        }
        self.shared.ring_outbox();
        Ok(())
    }
}
