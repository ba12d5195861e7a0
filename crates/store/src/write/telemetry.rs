//! The journal, and the readings that are kept beside it because they are not simply believed.

use rusqlite::params;
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::error::Result;
use crate::journal::{self, JournalMessage};
use crate::model::{Doubted, Point};
use crate::sqlite::Tx;

/// Suspect readings kept: a year of a town's spikes. The oldest go first.
const SUSPECT_ROWS_MAX: i64 = 50_000;

impl Tx<'_> {
    /// One row of the journal. A group's carries the number of its transaction ([`Tx::no`]).
    pub fn put_journal<'a>(
        &self,
        no: u64,
        messages: impl Iterator<Item = &'a JournalMessage> + Clone,
        now: TimestampMs,
    ) -> Result<()> {
        let readings: usize = messages.clone().map(|message| message.readings.len()).sum();
        self.run(
            "write the journal",
            "INSERT INTO journal (seq, committed_at, readings, records) VALUES (?1, ?2, ?3, ?4)",
            params![no as i64, now.0, readings as i64, journal::encode(messages)],
        )?;
        Ok(())
    }

    pub fn put_suspect(&self, suspect: &Doubted) -> Result<()> {
        self.run(
            "write a suspect reading",
            "INSERT INTO doubted (device_no, metric_no, at, received_at, value, quality, reason, held)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (device_no, metric_no, at) DO UPDATE
             SET received_at = ?4, value = ?5, quality = ?6, reason = ?7, held = ?8",
            params![
                suspect.device.0,
                suspect.metric.0,
                suspect.at.0,
                suspect.received_at.0,
                suspect.value,
                suspect.quality.as_str(),
                suspect.reason.as_str(),
                suspect.held,
            ],
        )?;
        Ok(())
    }

    /// A later reading has confirmed it: it is telemetry now.
    pub fn remove_suspect(&self, (device, metric): (DeviceNo, MetricNo), at: TimestampMs) -> Result<()> {
        self.run(
            "confirm a suspect reading",
            "DELETE FROM doubted WHERE device_no = ?1 AND metric_no = ?2 AND at = ?3",
            params![device.0, metric.0, at.0],
        )?;
        Ok(())
    }

    /// What a series waits for its next reading to decide; all others of it are decided.
    pub fn set_unconfirmed(
        &self,
        (device, metric): (DeviceNo, MetricNo),
        unconfirmed: Option<Point>,
    ) -> Result<()> {
        let at = unconfirmed.map_or(i64::MIN, |point| point.at.0);
        self.run(
            "write a suspect reading",
            "UPDATE doubted SET held = 0 WHERE held = 1 AND device_no = ?1 AND metric_no = ?2 AND at <> ?3",
            params![device.0, metric.0, at],
        )?;
        Ok(())
    }

    /// Removes the oldest suspect readings beyond what is kept.
    pub fn trim_suspects(&self) -> Result<()> {
        self.run(
            "remove old suspect readings",
            "DELETE FROM doubted WHERE id <= (SELECT max(id) FROM doubted) - ?1",
            [SUSPECT_ROWS_MAX],
        )?;
        Ok(())
    }
}
