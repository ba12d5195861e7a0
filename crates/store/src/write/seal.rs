//! The writer's part of sealing: starting a job, and inserting what the sealer made.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};
use sanimon_domain::{DeviceNo, MetricNo};

use super::Writer;
use crate::block::merge;
use crate::error::{Result, StoreError};
use crate::health::Counters;
use crate::hot::HotState;
use crate::seal::{SealJob, SealStep, SeriesChange};
use crate::sealed;

/// Unsealed points at which a seal begins: 16 bytes each in memory, and a fraction of a second to read at start.
const SEAL_AT_POINTS: usize = 400_000;
/// Unsealed points of a series, on average, below which a seal would mostly rewrite rows for nothing.
const SEAL_AT_POINTS_PER_SERIES: usize = 100;
/// Whatever the number of series, the memory is bounded.
const SEAL_AT_POINTS_MAX: usize = 1_500_000;

impl Writer {
    /// A job when enough has gathered and none is running.
    pub fn begin_seal_if_due(&mut self) -> Result<Option<SealJob>> {
        if !is_due(&self.shared.hot.read()) {
            return Ok(None);
        }
        // A delivery that cannot keep up gives way: its points go to blocks, and are delivered from there.
        self.give_up_delivery();
        self.begin_seal()
    }

    /// A job over everything that the journal holds, whatever its size.
    pub fn begin_seal(&mut self) -> Result<Option<SealJob>> {
        if self.maintenance_running {
            return Ok(None);
        }
        let up_to_seq = self.last_seq()?.unwrap_or(0);
        let series = start(&mut self.shared.hot.write());
        if series.is_empty() {
            return Ok(None);
        }
        self.maintenance_running = true;
        let (hot, readers) = (self.shared.hot.clone(), self.readers.clone());
        let calendar = self.shared.calendar;
        Ok(Some(SealJob { generation: self.generation, up_to_seq, series, hot, readers, calendar }))
    }

    /// Runs a job on this thread: for commands that have nothing else to do meanwhile.
    pub fn seal_here(&mut self, job: SealJob) -> Result<()> {
        let mut outcome = Ok(());
        job.run(|step| {
            outcome = self.apply_seal_step(&step);
            outcome.is_ok()
        })?;
        outcome
    }

    /// The newest row of the journal.
    pub(super) fn last_seq(&self) -> Result<Option<i64>> {
        self.connection
            .query_row("SELECT max(seq) FROM journal", [], |row| row.get(0))
            .map_err(StoreError::doing("read the journal"))
    }

    /// Commits one step. The last one also takes the journal's rows away.
    pub fn apply_seal_step(&mut self, step: &SealStep) -> Result<()> {
        if step.generation != self.generation {
            return Ok(());
        }
        let shared = self.shared.clone();
        let transaction = self.transaction()?;
        for change in &step.changes {
            write_change(&transaction, change)?;
        }
        write_latest(&transaction, &shared.hot.read(), &step.series)?;
        if let Some(seq) = step.done_up_to_seq {
            transaction
                .execute("DELETE FROM journal WHERE seq <= ?1", [seq])
                .map_err(StoreError::doing("remove sealed journal rows"))?;
        }
        transaction.commit().map_err(StoreError::doing("commit a step of sealing"))?;
        let counters = &self.shared.health.counters;
        Counters::add(&counters.sealed_points, step.points);
        Counters::add(&counters.corrections, step.corrections);
        if step.done_up_to_seq.is_some() {
            finish(&mut self.shared.hot.write());
            self.maintenance_running = false;
        }
        self.checkpointer.after_commit(&self.connection);
        Ok(())
    }
}

fn is_due(hot: &HotState) -> bool {
    let threshold = (hot.tails * SEAL_AT_POINTS_PER_SERIES).clamp(SEAL_AT_POINTS, SEAL_AT_POINTS_MAX);
    hot.unsealed_points >= threshold
}

/// Puts the tails aside for the sealer; new points go to fresh ones.
pub(super) fn start(hot: &mut HotState) -> Vec<(DeviceNo, MetricNo)> {
    let (mut series, mut joined) = (Vec::new(), 0);
    for (index, device) in hot.devices.iter_mut().enumerate() {
        for (metric, memory) in &mut device.series {
            let tail = std::mem::take(&mut memory.tail);
            // What a delivery that became void had put aside.
            let aside = std::mem::take(&mut memory.sealing);
            let before = tail.len() + aside.len();
            if before > 0 {
                memory.sealing = if aside.is_empty() { tail } else { merge(&aside, &tail).points };
                joined += before - memory.sealing.len();
                series.push((DeviceNo(index as u32), *metric));
            }
        }
    }
    hot.unsealed_points -= joined;
    hot.tails = 0;
    series
}

/// The sealed points are in the file: the memory lets go of them.
pub(super) fn finish(hot: &mut HotState) {
    let mut freed = 0;
    for device in &mut hot.devices {
        for (_, memory) in &mut device.series {
            freed += memory.sealing.len();
            memory.sealing = Vec::new();
        }
    }
    hot.unsealed_points = hot.unsealed_points.saturating_sub(freed);
}

fn write_change(transaction: &Transaction<'_>, change: &SeriesChange) -> Result<()> {
    for id in &change.remove_closed {
        sealed::delete_closed(transaction, *id)?;
    }
    for block in &change.add_closed {
        sealed::insert_closed(transaction, change.series, block)?;
    }
    sealed::put_open(transaction, change.series, change.open.as_ref())?;
    for (month, days) in &change.months {
        sealed::put_month(transaction, change.series, *month, Some(days))?;
    }
    Ok(())
}

/// The newest reading and payload of what the step sealed: the journal's rows that told them may go now.
pub(super) fn write_latest(
    transaction: &Transaction<'_>,
    hot: &HotState,
    series: &[(DeviceNo, MetricNo)],
) -> Result<()> {
    let doing = || StoreError::doing("write the latest values");
    for (device, metric) in series {
        let Some(memory) = hot.series(*device, *metric) else {
            continue;
        };
        let latest = memory.latest;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO latest VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            .and_then(|mut statement| {
                statement.execute(params![
                    device.0,
                    metric.0,
                    latest.at.0,
                    latest.received_at.0,
                    latest.value,
                    memory.unchanged_since.0
                ])
            })
            .map_err(doing())?;
    }
    for device in series.iter().map(|(device, _)| *device).collect::<BTreeSet<_>>() {
        // The newest ones behind each other, with the time of the newest.
        let digests: Vec<u8> = hot.digests(device).iter().flat_map(|(digest, _)| *digest).collect();
        let Some((_, received_at)) = hot.digest(device) else {
            continue;
        };
        transaction
            .prepare_cached("INSERT OR REPLACE INTO payload_digest VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![device.0, digests, received_at.0]))
            .map_err(doing())?;
    }
    Ok(())
}
