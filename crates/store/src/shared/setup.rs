//! What readers ask about what people set up and planned.

use sanimon_domain::{AlertId, TimestampMs};

use crate::error::Result;
use crate::model::{AuditEntry, PhotoEntry, Round};
use crate::read::{self, Page};
use crate::shared::Shared;

impl Shared {
    /// Who changed what, the newest first.
    pub fn audit(&self, before: Option<i64>, limit: usize) -> Result<Page<AuditEntry>> {
        self.with_reader(|connection| read::audit(connection, before, limit))
    }

    /// Rounds that are not over, and as many of the others as wanted, the newest first.
    pub fn rounds(&self, now: TimestampMs, others: usize) -> Result<Vec<Round>> {
        self.with_reader(|connection| read::rounds(connection, now, others))
    }

    pub fn round(&self, id: i64) -> Result<Option<Round>> {
        self.with_reader(|connection| read::round_of(connection, id))
    }

    /// The photos that crews added to an alert.
    pub fn photos_of(&self, alert: AlertId) -> Result<Vec<PhotoEntry>> {
        self.with_reader(|connection| read::photos_of(connection, alert))
    }

    pub fn photo(&self, alert: AlertId, id: i64) -> Result<Option<Vec<u8>>> {
        self.with_reader(|connection| read::photo(connection, alert, id))
    }
}
