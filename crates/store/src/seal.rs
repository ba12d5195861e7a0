//! Sealing: from the journal to compressed blocks, in bounded steps beside the writer.
//!
//! Failure cases, and why they are none:
//! * Killed between two steps: blocks hold points that the journal still has. The next start reads both; a query
//!   merges by identity, and the next seal merges the same points into the same blocks again.
//! * Killed between the last step's commit and the memory's update: the journal's rows are gone, the blocks are
//!   there; the next start simply has a shorter tail.
//! * A commit fails while a seal runs: the writer reloads the memory and raises its generation; steps of an older
//!   generation are dropped, the journal still has everything.
//! * Late points: they are in the tail like any other; their day's parts are decoded, merged and written again.

use std::sync::Arc;

use rusqlite::{Connection, params};
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::block::{PART_POINTS, Summary, decode, encode, merge};
use crate::error::{Result, StoreError};
use crate::hot::Hot;
use crate::model::Point;
use crate::read::ReaderPool;

/// Series a step: a transaction of some milliseconds, between two groups of messages.
const SERIES_PER_STEP: usize = 64;

/// What is to be sealed: everything that the journal held when the job was made.
#[derive(Debug)]
pub struct SealJob {
    pub(crate) generation: u64,
    pub(crate) up_to_seq: i64,
    pub(crate) series: Vec<(DeviceNo, MetricNo)>,
    pub(crate) hot: Arc<Hot>,
    pub(crate) readers: Arc<ReaderPool>,
}

/// One transaction of a seal.
#[derive(Debug)]
pub struct SealStep {
    pub(crate) generation: u64,
    pub(crate) parts: Vec<PartChange>,
    pub(crate) points: u64,
    pub(crate) corrections: u64,
    pub(crate) damaged: u64,
    /// Set in the last step: the journal's rows up to here are in blocks now.
    pub(crate) done_up_to_seq: Option<i64>,
    pub(crate) series: Vec<(DeviceNo, MetricNo)>,
}

/// The parts of a series' day that go, and those that come.
#[derive(Debug)]
pub(crate) struct PartChange {
    pub(crate) device: DeviceNo,
    pub(crate) metric: MetricNo,
    pub(crate) utc_day: i64,
    /// The `first_at` of each part that is merged into the new ones.
    pub(crate) remove: Vec<TimestampMs>,
    pub(crate) add: Vec<(Summary, Vec<u8>)>,
}

impl SealJob {
    /// Works through the job and hands each step over; stops early when `hand_over` says so.
    ///
    /// Runs on a thread of its own: it reads and compresses, the writer only inserts.
    pub fn run(self, mut hand_over: impl FnMut(SealStep) -> bool) -> Result<()> {
        let chunks: Vec<_> = self.series.chunks(SERIES_PER_STEP).collect();
        let last = chunks.len().saturating_sub(1);
        for (index, chunk) in chunks.into_iter().enumerate() {
            let mut step = SealStep {
                generation: self.generation,
                parts: Vec::new(),
                points: 0,
                corrections: 0,
                damaged: 0,
                done_up_to_seq: (index == last).then_some(self.up_to_seq),
                series: chunk.to_vec(),
            };
            self.readers.with(|connection| {
                chunk
                    .iter()
                    .try_for_each(|(device, metric)| self.series(connection, *device, *metric, &mut step))
            })?;
            if !hand_over(step) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn series(
        &self,
        connection: &Connection,
        device: DeviceNo,
        metric: MetricNo,
        step: &mut SealStep,
    ) -> Result<()> {
        let points = self.hot.read().series(device, metric).map(|s| s.sealing.clone()).unwrap_or_default();
        step.points += points.len() as u64;
        for day in points.chunk_by(|a, b| a.at.utc_day() == b.at.utc_day()) {
            day_change(connection, device, metric, day, step)?;
        }
        Ok(())
    }
}

/// Merges one day's new points with the parts that they touch.
fn day_change(
    connection: &Connection,
    device: DeviceNo,
    metric: MetricNo,
    points: &[Point],
    step: &mut SealStep,
) -> Result<()> {
    let utc_day = points[0].at.utc_day();
    let mut remove = Vec::new();
    let mut merged = points.to_vec();
    let mut older = Vec::new();
    for part in parts_of_day(connection, device, metric, utc_day)? {
        let touched = part.last_at >= points[0].at || !remove.is_empty();
        let open = part.count < PART_POINTS as i64 && part.is_last;
        if !touched && !open {
            continue;
        }
        match decode(&part.points) {
            Ok(stored) => {
                remove.push(part.first_at);
                older.extend(stored);
            }
            Err(error) => {
                // A damaged part is left where it is and named; the new points go beside it.
                tracing::error!(device = device.0, metric = metric.0, utc_day, %error, "damaged block skipped");
                step.damaged += 1;
            }
        }
    }
    if !older.is_empty() {
        let both = merge(&older, points);
        step.corrections += both.corrections;
        merged = both.points;
    }
    let add =
        merged.chunks(PART_POINTS).filter_map(|part| Some((Summary::of(part)?, encode(part)))).collect();
    step.parts.push(PartChange { device, metric, utc_day, remove, add });
    Ok(())
}

struct StoredPart {
    first_at: TimestampMs,
    last_at: TimestampMs,
    count: i64,
    points: Vec<u8>,
    is_last: bool,
}

fn parts_of_day(
    connection: &Connection,
    device: DeviceNo,
    metric: MetricNo,
    utc_day: i64,
) -> Result<Vec<StoredPart>> {
    let doing = || StoreError::doing("read the blocks of a day");
    let mut statement = connection
        .prepare_cached(
            "SELECT first_at, last_at, count, points FROM block
             WHERE device_no = ?1 AND metric_no = ?2 AND utc_day = ?3 ORDER BY first_at",
        )
        .map_err(doing())?;
    let rows = statement.query_map(params![device.0, metric.0, utc_day], |row| {
        Ok(StoredPart {
            first_at: TimestampMs(row.get(0)?),
            last_at: TimestampMs(row.get(1)?),
            count: row.get(2)?,
            points: row.get(3)?,
            is_last: false,
        })
    });
    let mut parts: Vec<StoredPart> = rows.and_then(Iterator::collect).map_err(doing())?;
    if let Some(last) = parts.last_mut() {
        last.is_last = true;
    }
    Ok(parts)
}
