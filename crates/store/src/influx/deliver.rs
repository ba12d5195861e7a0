//! Delivery: what waits goes to InfluxDB, oldest first, and leaves the file once it has been accepted.
//!
//! Failure cases:
//! * InfluxDB is away, slow, or answers 429 or 500: the batch is sent again, with longer and longer pauses. The sensors
//!   notice nothing.
//! * It refuses lines (400): the batch is halved until the refused ones are alone; those go to the quarantine with its
//!   reason, the rest goes on.
//! * Killed between its answer and our commit: the batch is sent again, and writing a point again changes nothing.
//! * Points wait longer than the memory holds: they are sealed into blocks, which are delivered as they are.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, params};
use sanimon_domain::{DeviceNo, Fault, FaultCode, MetricNo, TimestampMs};

use super::lines::Lines;
use super::{Influx, WriteFault};
use crate::error::{Result, StoreError};
use crate::health::SourceState;
use crate::journal;
use crate::sealed::{self, Series};
use crate::shared::Shared;
use crate::write::QuarantineEntry;

/// Points in a batch; InfluxDB's own advice is 5,000 lines.
const BATCH_POINTS: usize = 10_000;
/// Blocks in a batch: about as many points.
const BATCH_BLOCKS: usize = 10;
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How quickly a pause notices that the job is void.
const PAUSE_STEP: Duration = Duration::from_millis(50);
/// The name in the quarantine.
const SOURCE: &str = "influxdb";

/// One delivery. It ends with a step, or without one when it became void.
#[derive(Debug)]
pub struct DeliveryJob {
    pub generation: u64,
    pub(crate) what: Delivery,
    pub(crate) series: Vec<Series>,
    pub(crate) shared: Shared,
    pub(crate) influx: Arc<Influx>,
    /// Set when the writer no longer waits for it.
    pub(crate) void: Arc<AtomicBool>,
}

/// What is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The journal's rows up to this one.
    Journal { up_to_seq: i64 },
    /// Blocks of points that had waited long.
    Blocks,
}

/// What InfluxDB has taken: the file may let go of it.
#[derive(Debug)]
pub struct DeliveryStep {
    pub(crate) generation: u64,
    pub(crate) delivered: Delivered,
    pub(crate) series: Vec<Series>,
    pub(crate) points: u64,
    pub(crate) refused: Vec<QuarantineEntry>,
}

impl DeliveryStep {
    /// Whether it was part of a backlog: the next part should follow at once.
    pub fn is_backlog(&self) -> bool {
        matches!(self.delivered, Delivered::Blocks { .. })
    }
}

#[derive(Debug)]
pub(crate) enum Delivered {
    Journal { up_to_seq: i64 },
    Blocks { closed: Vec<i64>, open: Vec<i64> },
}

impl DeliveryJob {
    /// Sends until everything is accepted. `now` is asked for the time of a quarantine entry. `None`: it became void.
    pub fn run(self, now: impl Fn() -> TimestampMs) -> Result<Option<DeliveryStep>> {
        let mut sender = Sender { job: &self, now: &now, refused: Vec::new(), points: 0 };
        let delivered = match self.what {
            Delivery::Journal { up_to_seq } => sender.journal(up_to_seq)?,
            Delivery::Blocks => sender.blocks()?,
        };
        let Some(delivered) = delivered else { return Ok(None) };
        let (refused, points) = (sender.refused, sender.points);
        Ok(Some(DeliveryStep {
            generation: self.generation,
            delivered,
            series: self.series,
            points,
            refused,
        }))
    }
}

struct Sender<'a> {
    job: &'a DeliveryJob,
    now: &'a dyn Fn() -> TimestampMs,
    refused: Vec<QuarantineEntry>,
    points: u64,
}

impl Sender<'_> {
    fn journal(&mut self, up_to_seq: i64) -> Result<Option<Delivered>> {
        let mut after = 0;
        while after < up_to_seq {
            let (lines, last) =
                self.job.shared.with_reader(|connection| self.batch(connection, after, up_to_seq))?;
            if !self.send(&lines) {
                return Ok(None);
            }
            after = last;
        }
        Ok(Some(Delivered::Journal { up_to_seq }))
    }

    /// Rows behind `after` until the batch is full, and the last of them.
    fn batch(&self, connection: &Connection, after: i64, up_to_seq: i64) -> Result<(Lines, i64)> {
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
                Err(error) => tracing::error!(seq, %error, "damaged journal row is not delivered"),
            }
            if lines.points >= BATCH_POINTS {
                last = seq;
                break;
            }
        }
        Ok((lines, last))
    }

    fn blocks(&mut self) -> Result<Option<Delivered>> {
        let blocks =
            self.job.shared.with_reader(|connection| sealed::oldest_blocks(connection, BATCH_BLOCKS))?;
        let (mut closed, mut open) = (Vec::new(), Vec::new());
        let mut lines = Lines::default();
        for (series, stored) in blocks {
            if stored.is_open {
                open.push(stored.id);
            } else {
                closed.push(stored.id);
            }
            let (device, metric): (DeviceNo, MetricNo) = series;
            match stored.decode() {
                Ok(points) => {
                    lines.points(device, metric, &points, &self.job.shared.directory.read());
                }
                Err(error) => {
                    // It cannot be read, so it cannot be sent; it stays for whoever repairs the disk.
                    self.job.shared.note_damage(series, stored.block.first_at, &error);
                    if stored.is_open {
                        open.pop()
                    } else {
                        closed.pop()
                    };
                }
            }
        }
        Ok(self.send(&lines).then_some(Delivered::Blocks { closed, open }))
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
        self.refused.push(QuarantineEntry::new(&topic, SOURCE.into(), fault, line, (self.now)()));
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
