//! Sealing: from the journal to compressed blocks, in bounded steps beside the writer.
//!
//! Failure cases, and why they are none:
//! * Killed between two steps: blocks hold points that the journal still has. The next start reads both; a query
//!   merges by identity, and the next seal merges the same points into the same blocks again.
//! * Killed between the last step's commit and the memory's update: the journal's rows are gone, the blocks are
//!   there; the next start simply has a shorter tail.
//! * A commit fails while a seal runs, or its job breaks off: the journal still has everything, and the next seal begins
//!   with what this one had put aside.
//! * One series cannot be sealed (its blocks cannot be read, say): it is named and left out, the others go on.
//! * Late points: they are in the tail like any other; the blocks that they touch are decoded, merged and written
//!   again, and their days are summed up anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::Connection;
use sanimon_domain::{LocalDay, SiteCalendar};

use crate::aggregate::Aggregate;
use crate::block::{Block, PART_POINTS, merge};
use crate::days::{self, Days};
use crate::error::Result;
use crate::failure::Class;
use crate::hot::Hot;
use crate::model::Point;
use crate::sealed::{self, Damage, Series, StoredBlock};
use crate::sqlite::ReaderPool;

/// Series a step: a transaction of some milliseconds, between two groups of messages.
const SERIES_PER_STEP: usize = 64;

/// What is to be sealed: everything that the journal held when the job was made.
#[derive(Debug)]
pub struct SealJob {
    pub(crate) up_to_seq: i64,
    pub(crate) series: Vec<Series>,
    pub(crate) hot: Arc<Hot>,
    pub(crate) readers: Arc<ReaderPool>,
    pub(crate) calendar: SiteCalendar,
}

/// One transaction of a seal.
#[derive(Debug)]
pub struct SealStep {
    pub changes: Vec<SeriesChange>,
    pub points: u64,
    /// Series that cannot be sealed, and why: their points stay in the journal.
    pub failed: Vec<(Series, String)>,
    /// Set in the last step: the journal's rows up to here are in blocks now.
    pub done_up_to_seq: Option<i64>,
}

/// What becomes of the blocks and days of a series.
#[derive(Debug)]
pub struct SeriesChange {
    pub series: Series,
    pub(crate) remove_closed: Vec<i64>,
    pub(crate) add_closed: Vec<Block>,
    /// The open block afterwards.
    pub(crate) open: Option<Block>,
    pub(crate) months: Vec<(i32, Vec<u8>)>,
    pub corrections: u64,
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
                changes: Vec::with_capacity(chunk.len()),
                points: 0,
                failed: Vec::new(),
                done_up_to_seq: (index == last).then_some(self.up_to_seq),
            };
            self.readers.with(|connection| {
                chunk.iter().try_for_each(|series| self.seal_series(connection, *series, &mut step))
            })?;
            if !hand_over(step) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A disk that fails for a while ends the job; what is wrong with one series leaves that one out.
    fn seal_series(&self, connection: &Connection, series: Series, step: &mut SealStep) -> Result<()> {
        let points =
            self.hot.read().series(series.0, series.1).map(|s| s.sealing.clone()).unwrap_or_default();
        let sealer = Sealer { connection, damage: &self.readers.damage, calendar: self.calendar };
        let change = catch_unwind(AssertUnwindSafe(|| sealer.change(series, &points)));
        let why = match change {
            Ok(Ok(change)) => {
                step.points += points.len() as u64;
                step.changes.push(change);
                return Ok(());
            }
            Ok(Err(error)) if error.class() == Class::Passing => return Err(error),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the sealer panicked on it".to_owned(),
        };
        step.failed.push((series, why));
        Ok(())
    }
}

/// Works out what new points change.
pub(crate) struct Sealer<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) damage: &'a Damage,
    pub(crate) calendar: SiteCalendar,
}

impl Sealer<'_> {
    /// `points` are ascending.
    pub(crate) fn change(&self, series: Series, points: &[Point]) -> Result<SeriesChange> {
        let open = sealed::open_block(self.connection, series)?;
        let mut change = SeriesChange {
            series,
            remove_closed: Vec::new(),
            add_closed: Vec::new(),
            open: None,
            months: self.months(series, points)?,
            corrections: 0,
        };
        // Whatever is newer than every closed block belongs to the open one.
        let boundary = sealed::last_closed_at(self.connection, series)?;
        let late = boundary.map_or(0, |last| points.partition_point(|point| point.at <= last));
        let (late, newer) = points.split_at(late);
        self.change_closed(series, late, &mut change)?;
        self.change_open(series, open, newer, &mut change);
        Ok(change)
    }

    /// Late points go into the closed blocks whose place in time they have.
    fn change_closed(&self, series: Series, late: &[Point], change: &mut SeriesChange) -> Result<()> {
        let (Some(first), Some(last)) = (late.first(), late.last()) else { return Ok(()) };
        let mut closed = sealed::blocks(self.connection, series, first.at, last.at)?;
        closed.retain(|stored| !stored.is_open);
        let mut rest = late;
        for (index, stored) in closed.iter().enumerate() {
            let end = closed
                .get(index + 1)
                .map_or(rest.len(), |next| rest.partition_point(|point| point.at < next.block.first_at));
            let (here, after) = rest.split_at(end);
            rest = after;
            if !here.is_empty() {
                self.merge_closed(series, stored, here, change);
            }
        }
        // Older than every block of the range: blocks of their own.
        add_evenly(rest, &mut change.add_closed);
        Ok(())
    }

    fn merge_closed(&self, series: Series, stored: &StoredBlock, late: &[Point], change: &mut SeriesChange) {
        match stored.decode() {
            Ok(older) => {
                let both = merge(&older, late);
                change.corrections += both.corrections;
                change.remove_closed.push(stored.id);
                add_evenly(&both.points, &mut change.add_closed);
            }
            Err(error) => {
                // What is damaged is left where it is and named; the new points go beside it.
                self.damage.note(series, stored.block.first_at, &error);
                add_evenly(late, &mut change.add_closed);
            }
        }
    }

    fn change_open(
        &self,
        series: Series,
        open: Option<StoredBlock>,
        newer: &[Point],
        change: &mut SeriesChange,
    ) {
        let Some(stored) = open else {
            return split_full(newer, change);
        };
        let Some(first) = newer.first() else {
            change.open = Some(stored.block);
            return;
        };
        let fits = stored.block.count as usize + newer.len() < PART_POINTS;
        if fits
            && first.at > stored.block.last_at
            && let Ok(appended) = stored.block.with_appended(newer)
        {
            change.open = Some(appended);
            return;
        }
        match stored.decode() {
            Ok(older) => {
                let both = merge(&older, newer);
                change.corrections += both.corrections;
                split_full(&both.points, change);
            }
            Err(error) => {
                self.damage.note(series, stored.block.first_at, &error);
                // Kept among the closed ones, for whoever repairs it.
                change.add_closed.push(stored.block);
                split_full(newer, change);
            }
        }
    }

    /// The months whose days the points change, packed.
    fn months(&self, series: Series, points: &[Point]) -> Result<Vec<(i32, Vec<u8>)>> {
        let by_day = days::by_day(points, self.calendar);
        let mut months = Vec::new();
        for chunk in by_day.chunk_by(|a, b| a.0.month() == b.0.month()) {
            let month = chunk[0].0.month();
            let mut known = self.known_days(series, month)?;
            for (day, points) in chunk {
                self.change_day(series, &mut known, *day, points)?;
            }
            months.push((month, days::encode(&known, month, self.calendar)));
        }
        Ok(months)
    }

    fn known_days(&self, series: Series, month: i32) -> Result<Days> {
        let mut known = Days::new();
        if let Some(blob) = sealed::month(self.connection, series, month)? {
            let decoded = days::decode(
                &blob,
                month,
                |day| self.calendar.start_of(day),
                |day, aggregate| known.push((day, aggregate)),
            );
            if let Err(error) = decoded {
                self.damage.note(series, self.calendar.start_of(LocalDay::first_of_month(month)), &error);
                return self.days_from_blocks(series, month);
            }
        }
        Ok(known)
    }

    /// A month's days made anew: for a month whose aggregates are damaged, or that never had any.
    pub(crate) fn days_from_blocks(&self, series: Series, month: i32) -> Result<Days> {
        let from = self.calendar.start_of(LocalDay::first_of_month(month));
        let to = self.calendar.start_of(LocalDay::first_of_month(month + 1)).minus_ms(1);
        let points = sealed::points(self.connection, self.damage, series, from, to)?;
        let sums = days::by_day(&points, self.calendar).into_iter();
        Ok(sums.filter_map(|(day, points)| Some((day, Aggregate::of(points)?))).collect())
    }

    fn change_day(&self, series: Series, known: &mut Days, day: LocalDay, points: &[Point]) -> Result<()> {
        let Some(new) = Aggregate::of(points) else { return Ok(()) };
        let place = match known.binary_search_by_key(&day, |(day, _)| *day) {
            Ok(place) => place,
            Err(place) => {
                known.insert(place, (day, new));
                return Ok(());
            }
        };
        let sum = &mut known[place].1;
        if new.first.at > sum.last.at {
            sum.join(&new);
            return Ok(());
        }
        // Late or corrected: from the points themselves, if they are all still there.
        let (from, to) = (self.calendar.start_of(day), self.calendar.start_of(day.plus(1)).minus_ms(1));
        let stored = sealed::points(self.connection, self.damage, series, from, to)?;
        if (stored.len() as u64) < sum.count {
            sum.join(&new);
        } else if let Some(whole) = Aggregate::of(&merge(&stored, points).points) {
            *sum = whole;
        }
        Ok(())
    }
}

/// Fills closed blocks from the front; what does not fill one is the open block.
fn split_full(points: &[Point], change: &mut SeriesChange) {
    let (full, rest) = points.split_at(points.len() / PART_POINTS * PART_POINTS);
    change.add_closed.extend(full.chunks(PART_POINTS).filter_map(Block::closed));
    change.open = Block::open(rest);
}

/// As few blocks as will hold them, about equally full: a block that late points burst must not leave a crumb.
fn add_evenly(points: &[Point], blocks: &mut Vec<Block>) {
    if points.is_empty() {
        return;
    }
    let parts = points.len().div_ceil(PART_POINTS);
    blocks.extend(points.chunks(points.len().div_ceil(parts)).filter_map(Block::closed));
}
