//! How long readings themselves are kept. Day aggregates stay for ever.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use sanimon_domain::{DeviceKind, DeviceNo, LocalDay, SiteCalendar, TimestampMs};

use super::Writer;
use crate::error::{Result, StoreError};
use crate::health::Counters;

/// Whole months for which readings of a kind are kept, beside the running one; a kind without an entry keeps all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    pub months: Vec<(DeviceKind, u32)>,
}

/// Blocks deleted in one transaction: some milliseconds between two groups of messages.
const BLOCKS_PER_STEP: usize = if cfg!(test) { 3 } else { 500 };
/// Series looked through in one step.
const SERIES_PER_STEP: usize = 256;
/// Pages given back in one step.
const VACUUM_PAGES: u32 = 256;
/// Free pages that are kept for the next blocks: giving them back and asking for them again would be work for nothing.
const FREE_PAGES_KEPT: i64 = 2_048;

/// Where a round of retention stands. It makes a step at each tick, so that messages go first.
#[derive(Debug)]
pub(super) struct RetentionRound {
    day: LocalDay,
    series: Vec<crate::sealed::Series>,
}

impl Retention {
    fn keeps_from(&self, kind: DeviceKind, today: LocalDay, calendar: SiteCalendar) -> Option<TimestampMs> {
        let (_, months) = self.months.iter().find(|(known, _)| *known == kind)?;
        Some(calendar.start_of(LocalDay::first_of_month(today.month() - *months as i32)))
    }
}

impl Writer {
    /// From when on; without it everything is kept.
    pub fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// One bounded step of what keeps the file small: a round over all series once a day of the site, then free pages
    /// are given back. Call it when nothing else waits. True while there is more to do.
    pub fn tidy(&mut self, now: TimestampMs) -> Result<bool> {
        // A seal that runs has read blocks that must still be there when its steps come.
        if self.maintenance_running {
            return Ok(false);
        }
        // Blocks are only on their way then; the bucket has a retention of its own.
        if self.shared.influx.is_some() {
            return self.vacuum_step();
        }
        let today = self.shared.calendar.day_of(now);
        if self.retention.months.is_empty()
            || self.tidied.as_ref().is_some_and(|round| round.day == today && round.series.is_empty())
        {
            return self.vacuum_step();
        }
        if self.tidied.as_ref().is_none_or(|round| round.day != today) {
            let series = self.shared.hot.read().all_series();
            self.tidied = Some(RetentionRound { day: today, series });
        }
        self.retention_step(today)?;
        Ok(true)
    }

    fn retention_step(&mut self, today: LocalDay) -> Result<()> {
        let Some(round) = &mut self.tidied else { return Ok(()) };
        let calendar = self.shared.calendar;
        let mut ids = Vec::new();
        let mut cutoffs = BTreeMap::new();
        for _ in 0..SERIES_PER_STEP {
            let Some(series) = round.series.pop() else { break };
            let kind = self.shared.directory.read().device(series.0).map(|device| device.kind);
            let Some(keep_from) = kind.and_then(|kind| self.retention.keeps_from(kind, today, calendar))
            else {
                continue;
            };
            cutoffs.extend(kind.map(|kind| (kind, keep_from)));
            ids.extend(closed_before(&self.connection, series, keep_from)?);
            if ids.len() >= BLOCKS_PER_STEP {
                // There may be more of it.
                round.series.push(series);
                break;
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let transaction = self.transaction()?;
        let mut points = 0;
        for (id, count) in &ids {
            crate::sealed::delete_closed(&transaction, *id)?;
            points += count;
        }
        for (kind, keep_from) in cutoffs {
            transaction
                .execute(
                    "INSERT INTO meta VALUES (?1, ?2)
                     ON CONFLICT (key) DO UPDATE SET value = ?2 WHERE CAST(value AS INTEGER) < CAST(?2 AS INTEGER)",
                    params![kept_from_key(kind.as_str()), keep_from.0.to_string()],
                )
                .map_err(StoreError::doing("remember what retention has taken"))?;
        }
        transaction.commit().map_err(StoreError::doing("commit a step of retention"))?;
        Counters::add(&self.shared.health.counters.expired_points, points);
        self.checkpointer.after_commit(&self.connection);
        Ok(())
    }

    fn vacuum_step(&mut self) -> Result<bool> {
        let doing = || StoreError::doing("give free pages back");
        let free: i64 =
            self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).map_err(doing())?;
        if free <= FREE_PAGES_KEPT {
            return Ok(false);
        }
        // The pragma gives a row for each page; all must be stepped through.
        let mut statement =
            self.connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})")).map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while rows.next().map_err(doing())?.is_some() {}
        drop(rows);
        drop(statement);
        self.checkpointer.after_commit(&self.connection);
        Ok(true)
    }
}

fn kept_from_key(kind: &str) -> String {
    format!("readings_kept_from_{kind}")
}

/// Since when the readings of a device are kept; `None`: all of them.
pub(crate) fn kept_from(connection: &Connection, device: DeviceNo) -> Result<Option<TimestampMs>> {
    let kind: Option<String> = connection
        .prepare_cached("SELECT kind FROM device WHERE no = ?1")
        .and_then(|mut statement| statement.query_row([device.0], |row| row.get(0)).optional())
        .map_err(StoreError::doing("read a device"))?;
    match kind {
        Some(kind) => kept_from_of_kind(connection, &kind),
        None => Ok(None),
    }
}

/// Since when the readings of a kind of device are kept; `None`: all of them.
pub(crate) fn kept_from_of_kind(connection: &Connection, kind: &str) -> Result<Option<TimestampMs>> {
    Ok(crate::read::meta(connection, &kept_from_key(kind))?.and_then(|ms| ms.parse().ok()).map(TimestampMs))
}

/// Closed blocks of a series that are wholly older, at most a step's worth.
fn closed_before(
    connection: &Connection,
    (device, metric): crate::sealed::Series,
    keep_from: TimestampMs,
) -> Result<Vec<(i64, u64)>> {
    let doing = || StoreError::doing("look for expired blocks");
    let mut statement = connection
        .prepare_cached(
            "SELECT id, count FROM closed_block WHERE device_no = ?1 AND metric_no = ?2 AND first_at < ?3 AND last_at < ?3
             ORDER BY first_at LIMIT ?4",
        )
        .map_err(doing())?;
    let rows = statement.query_map(params![device.0, metric.0, keep_from.0, BLOCKS_PER_STEP as i64], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64))
    });
    rows.and_then(Iterator::collect).map_err(doing())
}
