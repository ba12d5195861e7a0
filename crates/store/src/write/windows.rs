//! Maintenance windows, versions of the rules, and the documents that people save.

use rusqlite::{OptionalExtension, params};
use sanimon_domain::{RuleId, TimestampMs, ZoneId};
use sha2::{Digest, Sha256};

use crate::error::{Result, StoreError};
use crate::model::{NewWindow, SavedDocument};
use crate::sqlite::Tx;

impl Tx<'_> {
    /// Enters a window; gives its number.
    pub fn insert_window(&self, window: &NewWindow, now: TimestampMs) -> Result<i64> {
        self.run(
            "write a maintenance window",
            "INSERT INTO maintenance_window (device_no, zone, rule_id, from_at, to_at, reason, who, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                window.device.map(|device| device.0),
                window.zone.as_ref().map(ZoneId::as_str),
                window.rule.as_ref().map(RuleId::as_str),
                window.from.0,
                window.to.0,
                window.reason,
                window.who,
                now.0,
            ],
        )?;
        Ok(self.last_id())
    }

    /// Ends a window now. False: there is none that is not over.
    pub fn end_window(&self, id: i64, who: &str, now: TimestampMs) -> Result<bool> {
        let changed = self.run(
            "end a maintenance window",
            "UPDATE maintenance_window SET to_at = max(?2, from_at), ended_by = ?3 WHERE id = ?1 AND to_at > ?2",
            params![id, now.0, who],
        )?;
        Ok(changed > 0)
    }

    /// A window kept an alert from being raised.
    pub fn count_suppressed(&self, window: i64, at: TimestampMs) -> Result<()> {
        self.run(
            "count a suppressed alert",
            "UPDATE maintenance_window SET suppressed = suppressed + 1, last_suppressed_at = ?2 WHERE id = ?1",
            params![window, at.0],
        )?;
        Ok(())
    }

    /// The windows that are not over at a time, as the transaction sees them.
    pub fn windows_from(&self, from: TimestampMs) -> Result<Vec<sanimon_alerting::MaintenanceWindow>> {
        let entries =
            self.read("read maintenance windows", |connection| crate::read::windows(connection, from, 0))?;
        Ok(entries.into_iter().map(|entry| entry.window).collect())
    }

    /// Gives rules a version: the number of the newest one if they are the same as that, a new one otherwise.
    pub fn put_rules_version(&self, text: &str, now: TimestampMs) -> Result<i64> {
        const DOING: &str = "write the rules' version";
        let digest = Sha256::digest(text.as_bytes());
        let newest = "SELECT no, sha256 FROM rules_version ORDER BY no DESC LIMIT 1";
        let newest: Option<(i64, Vec<u8>)> =
            self.row(DOING, newest, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let next = match newest {
            Some((no, sha256)) if sha256 == digest.as_slice() => return Ok(no),
            Some((no, _)) => no + 1,
            None => 1,
        };
        let insert = "INSERT INTO rules_version VALUES (?1, ?2, ?3, ?4)";
        self.run(DOING, insert, params![next, digest.as_slice(), text, now.0])?;
        Ok(next)
    }

    /// The text of a document that is in force from now on.
    pub fn put_document(&self, document: &SavedDocument, now: TimestampMs) -> Result<()> {
        let digest = Sha256::digest(document.text.as_bytes());
        self.run(
            "write a document",
            "INSERT OR REPLACE INTO setup_document VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                document.name,
                digest.as_slice(),
                document.text,
                now.0,
                document.replaces.as_ref().map(<[u8; 32]>::as_slice),
                document.is_in_file,
            ],
        )?;
        Ok(())
    }

    /// A document's file says what is in force now.
    pub fn note_document_in_file(&self, name: &str, sha256: &[u8; 32]) -> Result<()> {
        self.run(
            "note that a document is in its file",
            "UPDATE setup_document SET is_in_file = 1 WHERE name = ?1 AND sha256 = ?2",
            params![name, sha256.as_slice()],
        )?;
        Ok(())
    }
}

/// A document as it was saved last.
pub(crate) fn document(connection: &rusqlite::Connection, name: &str) -> Result<Option<SavedDocument>> {
    connection
        .query_row(
            "SELECT name, text, replaces, is_in_file FROM setup_document WHERE name = ?1",
            [name],
            |row| {
                let replaces: Option<Vec<u8>> = row.get(2)?;
                Ok(SavedDocument {
                    name: row.get(0)?,
                    text: row.get(1)?,
                    replaces: replaces.and_then(|bytes| bytes.try_into().ok()),
                    is_in_file: row.get(3)?,
                })
            },
        )
        .optional()
        .map_err(StoreError::doing("read a document"))
}
