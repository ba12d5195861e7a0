//! Delivery: what waits goes to InfluxDB, oldest first, and leaves the file once it has been accepted.
//!
//! Failure cases:
//! * InfluxDB is away, slow, or answers 429 or 500: the batch is sent again, with longer and longer pauses. The sensors
//!   notice nothing.
//! * It refuses lines (400): the batch is halved until the refused ones are alone; those go to the quarantine with its
//!   reason, the rest goes on.
//! * Killed between its answer and our commit: the batch is sent again, and writing a point again changes nothing.
//! * Points wait longer than the memory holds: they are sealed into blocks, which are delivered as they are.
//! * A block cannot be read: it is named in the step, and set aside with it. The others, and the journal, go on.
//! * A row of the journal cannot be read: the memory has what it said, unless it could not be read at the start either,
//!   so everything that the memory has put aside is sent. The row is named in the step, and kept as it is.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, params};
use sanimon_domain::{Fault, FaultCode, TimestampMs};

use super::lines::Lines;
use super::{Influx, WriteFault};
use crate::error::{Result, StoreError};
use crate::health::SourceState;
use crate::journal;
use crate::sealed::{self, BlockRows, Series, StoredBlock};
use crate::shared::Shared;
use crate::write::QuarantineEntry;

/// Points in a batch; InfluxDB's own advice is 5,000 lines.
const BATCH_POINTS: usize = 10_000;
/// Blocks in a batch: about as many points.
const BATCH_BLOCKS: usize = 10;
/// Blocks set aside in a step at most: a transaction of some milliseconds. A disk that lost more needs several steps.
const SET_ASIDE_MAX: usize = 1_000;
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How quickly a pause notices that the job is void.
const PAUSE_STEP: Duration = Duration::from_millis(50);
/// The name in the quarantine.
const SOURCE: &str = "influxdb";

/// One delivery. It ends with a step, or without one when it became void.
#[derive(Debug)]
pub struct DeliveryJob {
    pub(crate) what: Delivery,
    pub(crate) series: Vec<Series>,
    pub(crate) shared: Shared,
    pub(crate) influx: Arc<Influx>,
    /// Set when nobody waits for it any more ([`DeliveryJob::void`]).
    pub(crate) void: Arc<AtomicBool>,
}

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The journal's rows up to this one.
    Journal { up_to_seq: i64 },
    /// Blocks of points that had waited long.
    Blocks,
}

/// What InfluxDB has taken: the file may let go of it. What could not be read is named, to be kept apart in the same
/// transaction.
#[derive(Debug)]
pub struct DeliveryStep {
    pub(crate) delivered: Delivered,
    pub(crate) series: Vec<Series>,
    pub points: u64,
    pub refused: Vec<QuarantineEntry>,
    /// Blocks to be set aside.
    pub(crate) unreadable: BlockRows,
    /// Rows of the journal to be kept before the others are removed.
    pub(crate) damaged_rows: Vec<i64>,
    /// When what could not be read was found.
    pub(crate) found_at: TimestampMs,
}

impl DeliveryStep {
    /// Whether it took what the memory had put aside.
    pub fn is_of_journal(&self) -> bool {
        matches!(self.delivered, Delivered::Journal { .. })
    }

    /// Whether it was part of a backlog: the next part should follow at once. Not when nothing was delivered: whatever the
    /// reason, asking again at once would be asking in a circle.
    pub fn is_backlog(&self) -> bool {
        matches!(&self.delivered, Delivered::Blocks(blocks) if blocks.len() > 0)
    }
}

#[derive(Debug)]
pub(crate) enum Delivered {
    Journal { up_to_seq: i64 },
    Blocks(BlockRows),
}

impl DeliveryJob {
    /// Set it to end the job: what it sent will be sent again.
    pub fn void(&self) -> Arc<AtomicBool> {
        self.void.clone()
    }

    /// Sends until everything is accepted. `now` is asked for the time of a quarantine entry. `None`: it became void.
    pub fn run(self, now: impl Fn() -> TimestampMs) -> Result<Option<DeliveryStep>> {
        let mut sender = Sender::new(&self, &now);
        let delivered = match self.what {
            Delivery::Journal { up_to_seq } => sender.journal(up_to_seq)?,
            Delivery::Blocks => sender.blocks()?,
        };
        let Some(delivered) = delivered else { return Ok(None) };
        let Sender { refused, points, unreadable, damaged_rows, .. } = sender;
        Ok(Some(DeliveryStep {
            delivered,
            series: self.series,
            points,
            refused,
            unreadable,
            damaged_rows,
            found_at: now(),
        }))
    }
}

struct Sender<'a> {
    job: &'a DeliveryJob,
    now: &'a dyn Fn() -> TimestampMs,
    refused: Vec<QuarantineEntry>,
    points: u64,
    unreadable: BlockRows,
    damaged_rows: Vec<i64>,
}

impl<'a> Sender<'a> {
    fn new(job: &'a DeliveryJob, now: &'a dyn Fn() -> TimestampMs) -> Self {
        let (refused, damaged_rows) = (Vec::new(), Vec::new());
        Self { job, now, refused, points: 0, unreadable: BlockRows::default(), damaged_rows }
    }

    fn journal(&mut self, up_to_seq: i64) -> Result<Option<Delivered>> {
        let mut after = 0;
        while after < up_to_seq {
            let shared = &self.job.shared;
            let (lines, last) = shared.with_reader(|connection| self.batch(connection, after, up_to_seq))?;
            if !self.send(&lines) {
                return Ok(None);
            }
            after = last;
        }
        if !self.damaged_rows.is_empty() && !self.send_memory() {
            return Ok(None);
        }
        Ok(Some(Delivered::Journal { up_to_seq }))
    }

    /// Rows behind `after` until the batch is full, and the last of them.
    fn batch(&mut self, connection: &Connection, after: i64, up_to_seq: i64) -> Result<(Lines, i64)> {
        let doing = || StoreError::doing("read the journal");
        let mut statement = connection
            .prepare_cached("SELECT seq, records FROM journal WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")
            .map_err(doing())?;
        let mut rows = statement.query(params![after, up_to_seq]).map_err(doing())?;
        let (mut lines, mut last) = (Lines::default(), up_to_seq);
        while let Some(row) = rows.next().map_err(doing())? {
            let seq = row.get(0).map_err(doing())?;
            let blob: Vec<u8> = row.get(1).map_err(doing())?;
            match journal::decode(&blob) {
                Ok(messages) => {
                    let directory = self.job.shared.directory.read();
                    messages.iter().for_each(|message| lines.message(message, &directory));
                }
                Err(error) => {
                    self.job.shared.note_damaged_row(seq, &error);
                    self.damaged_rows.push(seq);
                }
            }
            if lines.points >= BATCH_POINTS {
                last = seq;
                break;
            }
        }
        Ok((lines, last))
    }

    /// Everything that the memory has put aside for this delivery. Most of it InfluxDB has by now: again changes nothing.
    fn send_memory(&mut self) -> bool {
        let (mut lines, mut all) = (Lines::default(), self.job.series.iter().peekable());
        while let Some((device, metric)) = all.next() {
            let points = {
                let hot = self.job.shared.hot.read();
                hot.series(*device, *metric).map(|series| series.sealing.clone()).unwrap_or_default()
            };
            lines.points(*device, *metric, &points, &self.job.shared.directory.read());
            let is_full = lines.points >= BATCH_POINTS || all.peek().is_none();
            if is_full && !self.send(&std::mem::take(&mut lines)) {
                return false;
            }
        }
        true
    }

    fn blocks(&mut self) -> Result<Option<Delivered>> {
        let shared = &self.job.shared;
        let (mut lines, mut delivered) = (Lines::default(), BlockRows::default());
        let unreadable = &mut self.unreadable;
        let take = |series: Series, stored: StoredBlock| {
            match stored.decode() {
                Ok(points) => {
                    lines.points(series.0, series.1, &points, &shared.directory.read());
                    delivered.push(&stored);
                }
                Err(error) => {
                    shared.note_damage(series, stored.block.first_at, &error);
                    unreadable.push(&stored);
                }
            }
            if delivered.len() < BATCH_BLOCKS && unreadable.len() < SET_ASIDE_MAX {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        shared.with_reader(|connection| sealed::oldest_blocks(connection, take))?;
        Ok(self.send(&lines).then_some(Delivered::Blocks(delivered)))
    }

    /// False when the job became void before all was accepted.
    fn send(&mut self, lines: &Lines) -> bool {
        if lines.is_empty() {
            return !self.is_void();
        }
        let mut parts: Vec<Range<usize>> = std::iter::once(0..lines.ends.len()).collect();
        let mut pause = PAUSE_FIRST;
        while let Some(part) = parts.pop() {
            if self.is_void() {
                return false;
            }
            match self.job.influx.write(lines.part(part.clone()).to_vec()) {
                Ok(()) => {
                    self.connected(true, "ok".to_owned());
                    pause = PAUSE_FIRST;
                }
                Err(WriteFault::Refused(why)) if part.len() == 1 => self.refuse(lines.part(part), &why),
                Err(WriteFault::Refused(_)) => {
                    let middle = part.start + part.len() / 2;
                    // Popped from the end: the earlier half first.
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(WriteFault::Later(why)) => {
                    self.connected(false, why);
                    parts.push(part);
                    self.pause(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        self.points += lines.points as u64;
        true
    }

    fn refuse(&mut self, line: &[u8], why: &str) {
        let fault = Fault::new(FaultCode::RefusedByInfluxdb, format!("InfluxDB refused it: {why}"));
        let topic =
            String::from_utf8_lossy(line.split(|b| *b == b' ').next().unwrap_or_default()).into_owned();
        let origin = (topic.as_str(), SOURCE.into(), SOURCE);
        self.refused.push(QuarantineEntry::new(origin, (fault.code, &fault.message), line, (self.now)()));
    }

    fn connected(&self, connected: bool, detail: String) {
        let health = &self.job.shared.health;
        let before = health.backend();
        if before.as_ref().is_none_or(|state| state.connected != connected) {
            if connected {
                tracing::info!("InfluxDB takes points");
            } else {
                tracing::warn!(why = detail, "InfluxDB takes no points, they wait on disk");
            }
        }
        health.set_backend(SourceState { connected, detail });
    }

    fn pause(&self, length: Duration) {
        let mut left = length;
        while !left.is_zero() && !self.is_void() {
            std::thread::sleep(PAUSE_STEP.min(left));
            left = left.saturating_sub(PAUSE_STEP);
        }
    }

    fn is_void(&self) -> bool {
        self.job.void.load(Ordering::Acquire)
    }
}
