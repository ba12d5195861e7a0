//! What a step of sealing changes.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use sanimon_domain::{DeviceNo, TimestampMs};

use crate::error::Result;
use crate::hot::HotState;
use crate::journal;
use crate::recent::RecentMessages;
use crate::seal::SeriesChange;
use crate::sealed::{self, Series};
use crate::sqlite::{File, Tx};
use crate::write::QuarantineEntry;

impl File {
    /// The number of the newest row of the journal; 0: it is empty.
    pub fn last_journal_row(&self) -> Result<i64> {
        self.read("read the journal", |connection| {
            connection
                .query_row("SELECT coalesce(max(seq), 0) FROM journal", [], |row| row.get(0))
                .map_err(crate::error::StoreError::doing("read the journal"))
        })
    }

    /// Whether there is a block to be delivered.
    pub fn has_blocks(&self) -> Result<bool> {
        self.read("look for blocks", sealed::has_blocks)
    }
}

impl Tx<'_> {
    /// What becomes of the blocks and days of a series.
    pub fn put_series_change(&self, change: &SeriesChange) -> Result<()> {
        for id in &change.remove_closed {
            self.delete_closed_block(*id)?;
        }
        self.write("write sealed telemetry", |connection| {
            for block in &change.add_closed {
                sealed::insert_closed(connection, change.series, block)?;
            }
            sealed::put_open(connection, change.series, change.open.as_ref())?;
            for (month, days) in &change.months {
                sealed::put_month(connection, change.series, *month, Some(days))?;
            }
            Ok(())
        })
    }

    /// The newest reading of each series, when its device was heard, and the messages by which redeliveries are known: the
    /// journal's rows that told them may go now.
    pub fn put_latest(&self, recent: &HotState, series: impl Iterator<Item = Series>) -> Result<()> {
        let mut devices = BTreeSet::new();
        for (device, metric) in series {
            devices.insert(device);
            let Some(memory) = recent.series(device, metric) else { continue };
            let latest = memory.latest;
            self.run(
                "write the newest readings",
                "INSERT OR REPLACE INTO latest (device_no, metric_no, observed_at, received_at, value, unchanged_since)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    device.0,
                    metric.0,
                    latest.at.0,
                    latest.received_at.0,
                    latest.value,
                    memory.unchanged_since.0
                ],
            )?;
        }
        devices.into_iter().try_for_each(|device| self.put_device_memory(recent, device))
    }

    /// The same of devices that said something by which no series has changed.
    pub fn put_bare_messages(&self, recent: &HotState) -> Result<()> {
        let devices = recent.devices.iter().enumerate().filter(|(_, device)| device.has_bare_message);
        let mut numbers = devices.map(|(no, _)| DeviceNo(no as u32));
        numbers.try_for_each(|device| self.put_device_memory(recent, device))
    }

    fn put_device_memory(&self, recent: &HotState, device: DeviceNo) -> Result<()> {
        let Some(heard_at) = recent.heard_at(device) else { return Ok(()) };
        let messages = recent.recent_messages(device).map(RecentMessages::pack).unwrap_or_default();
        self.run(
            "write when a device was heard",
            "INSERT OR REPLACE INTO device_memory VALUES (?1, ?2, ?3)",
            params![device.0, heard_at.0, messages],
        )?;
        Ok(())
    }

    /// Removes the journal's rows up to this one: what they said is elsewhere now. What damaged ones said is nowhere: they are
    /// kept apart, and the quarantine tells of them.
    pub fn remove_journal(
        &self,
        up_to_seq: i64,
        damaged: impl Iterator<Item = i64>,
        found_at: TimestampMs,
    ) -> Result<Vec<QuarantineEntry>> {
        let mut kept = Vec::new();
        for seq in damaged.filter(|seq| *seq <= up_to_seq) {
            let set_aside = |connection: &Connection| journal::set_aside(connection, seq, found_at);
            kept.extend(self.write("keep a damaged journal row", set_aside)?);
        }
        self.run("remove sealed journal rows", "DELETE FROM journal WHERE seq <= ?1", [up_to_seq])?;
        Ok(kept)
    }
}
