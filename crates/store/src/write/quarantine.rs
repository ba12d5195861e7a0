//! What could not be understood or stored: bounded rows, a share for each sender.

use std::sync::Arc;

use rusqlite::params;
use sanimon_domain::{FaultCode, TimestampMs};

use crate::error::Result;
use crate::sqlite::Tx;

/// How much of a payload the quarantine keeps: enough to see what it is.
pub(crate) const QUARANTINE_PAYLOAD_BYTES: usize = 4_096;
/// How much of a topic it keeps (MQTT allows 65,535 bytes).
const TOPIC_CHARS: usize = 256;
/// How much of the faults' texts.
const MESSAGE_CHARS: usize = 1_000;
/// How much of a sender's name.
const SENDER_CHARS: usize = 128;

/// How many rows the quarantine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineLimits {
    /// Different (topic, cause) pairs at most; the longest unseen goes first.
    pub rows_max: i64,
    /// Of one sender: whoever sends only nonsense pushes out nobody else's rows.
    pub rows_of_sender_max: i64,
}

impl Default for QuarantineLimits {
    fn default() -> Self {
        Self { rows_max: 10_000, rows_of_sender_max: 200 }
    }
}

/// A message, or a part of one, that could not be understood or stored.
#[derive(Debug, Clone, PartialEq)]
pub struct QuarantineEntry {
    pub topic: String,
    pub source: Arc<str>,
    /// Whose share it takes: a device, a client.
    pub sender: String,
    /// The first cause.
    pub code: FaultCode,
    /// All of them, for people.
    pub message: String,
    /// Cut to what is stored.
    pub payload: Vec<u8>,
    pub payload_bytes: usize,
    pub at: TimestampMs,
}

impl QuarantineEntry {
    /// Cuts all parts to what the quarantine keeps.
    pub fn new(
        (topic, source, sender): (&str, Arc<str>, &str),
        (code, message): (FaultCode, &str),
        payload: &[u8],
        at: TimestampMs,
    ) -> Self {
        let cut = |text: &str, chars: usize| text.chars().take(chars).collect::<String>();
        Self {
            topic: cut(topic, TOPIC_CHARS),
            source,
            sender: cut(sender, SENDER_CHARS),
            code,
            message: cut(message, MESSAGE_CHARS),
            payload: payload[..payload.len().min(QUARANTINE_PAYLOAD_BYTES)].to_vec(),
            payload_bytes: payload.len(),
            at,
        }
    }
}

/// By how much an entry made the quarantine grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuarantineGrowth {
    /// -1, 0 or 1.
    pub rows: i64,
    /// Older rows that had to go.
    pub removed: u64,
}

impl Tx<'_> {
    /// Counts the entry, or enters it; an older row may have to go.
    pub fn put_quarantined(
        &self,
        entry: &QuarantineEntry,
        limits: QuarantineLimits,
        rows_before: i64,
    ) -> Result<QuarantineGrowth> {
        const DOING: &str = "write the quarantine";
        let QuarantineEntry { topic, source, sender, code, message, payload, payload_bytes, at } = entry;
        let counted = self.run(
            DOING,
            "UPDATE quarantine SET count = count + 1, last_at = ?4, payload = ?5, payload_bytes = ?6, source = ?7,
               sender = ?8 WHERE topic = ?1 AND code = ?2 AND message = ?3",
            params![topic, code.as_str(), message, at.0, payload, *payload_bytes as i64, &**source, sender],
        )?;
        if counted > 0 {
            return Ok(QuarantineGrowth::default());
        }
        let removed = self.make_room(sender, limits, rows_before)?;
        self.run(
            DOING,
            "INSERT INTO quarantine (topic, source, sender, code, message, payload, payload_bytes, count, first_at, last_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8)",
            params![topic, &**source, sender, code.as_str(), message, payload, *payload_bytes as i64, at.0],
        )?;
        Ok(QuarantineGrowth { rows: 1 - removed, removed: removed.unsigned_abs() })
    }

    /// Removes the longest unseen row of a sender who has all of theirs, else of everybody's if the table is full.
    fn make_room(&self, sender: &str, limits: QuarantineLimits, rows: i64) -> Result<i64> {
        const DOING: &str = "make room in the quarantine";
        let own = "SELECT count(*) FROM quarantine WHERE sender = ?1";
        let own: i64 = self.row(DOING, own, [sender], |row| row.get(0))?.unwrap_or(0);
        let removed = if own >= limits.rows_of_sender_max {
            let oldest = "DELETE FROM quarantine WHERE id =
                          (SELECT id FROM quarantine WHERE sender = ?1 ORDER BY last_at, id LIMIT 1)";
            self.run(DOING, oldest, [sender])?
        } else if rows >= limits.rows_max {
            let oldest =
                "DELETE FROM quarantine WHERE id = (SELECT id FROM quarantine ORDER BY last_at, id LIMIT 1)";
            self.run(DOING, oldest, [])?
        } else {
            0
        };
        Ok(removed as i64)
    }

    pub fn count_quarantined(&self) -> Result<i64> {
        let rows =
            self.row("count the quarantine", "SELECT count(*) FROM quarantine", [], |row| row.get(0))?;
        Ok(rows.unwrap_or(0))
    }
}
