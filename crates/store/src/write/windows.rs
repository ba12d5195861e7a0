//! Maintenance windows, and versions of the rules.

use rusqlite::{OptionalExtension, Transaction, params};
use sanimon_domain::TimestampMs;
use sha2::{Digest, Sha256};

use super::Writer;
use super::alerts::execute;
use crate::command::CommandError;
use crate::error::{Result, StoreError};
use crate::model::NewWindow;

pub(super) fn count_suppressed(transaction: &Transaction<'_>, window: i64, at: TimestampMs) -> Result<()> {
    execute(
        transaction,
        "UPDATE maintenance_window SET suppressed = suppressed + 1, last_suppressed_at = ?2 WHERE id = ?1",
        params![window, at.0],
    )
}

impl Writer {
    /// Enters a window; gives its number.
    pub fn put_window(&mut self, window: &NewWindow, now: TimestampMs) -> Result<i64> {
        let transaction = self.transaction()?;
        execute(
            &transaction,
            "INSERT INTO maintenance_window (device_no, zone, rule_id, from_at, to_at, reason, who, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                window.device.map(|device| device.0),
                window.zone.as_ref().map(sanimon_domain::ZoneId::as_str),
                window.rule.as_ref().map(sanimon_domain::RuleId::as_str),
                window.from.0,
                window.to.0,
                window.reason,
                window.who,
                now.0,
            ],
        )?;
        let id = transaction.last_insert_rowid();
        transaction.commit().map_err(StoreError::doing("commit a maintenance window"))?;
        Ok(id)
    }

    /// Ends a window now.
    pub fn end_window(
        &mut self,
        id: i64,
        who: &str,
        now: TimestampMs,
    ) -> std::result::Result<(), CommandError> {
        let transaction = self.transaction()?;
        let changed = transaction
            .execute(
                "UPDATE maintenance_window SET to_at = max(?2, from_at), ended_by = ?3 WHERE id = ?1 AND to_at > ?2",
                params![id, now.0, who],
            )
            .map_err(StoreError::doing("end a maintenance window"))?;
        match changed {
            0 => Err(CommandError::NotFound {
                what: "maintenance window that is not over",
                id: id.to_string(),
            }),
            _ => Ok(transaction
                .commit()
                .map_err(StoreError::doing("commit the end of a maintenance window"))?),
        }
    }

    /// Gives rules a version: the number of the newest one if they are the same as that, a new one otherwise.
    pub fn adopt_rules(&mut self, text: &str, now: TimestampMs) -> Result<i64> {
        let digest = Sha256::digest(text.as_bytes());
        let newest: Option<(i64, Vec<u8>)> = self
            .connection
            .query_row("SELECT no, sha256 FROM rules_version ORDER BY no DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(StoreError::doing("read the rules' version"))?;
        let next = match newest {
            Some((no, sha256)) if sha256 == digest.as_slice() => return Ok(no),
            Some((no, _)) => no + 1,
            None => 1,
        };
        let transaction = self.transaction()?;
        transaction
            .execute(
                "INSERT INTO rules_version VALUES (?1, ?2, ?3, ?4)",
                params![next, digest.as_slice(), text, now.0],
            )
            .map_err(StoreError::doing("write the rules' version"))?;
        transaction.commit().map_err(StoreError::doing("commit the rules' version"))?;
        Ok(next)
    }
}
