//! How long readings themselves are kept. Day aggregates stay for ever.

use rusqlite::{Connection, OptionalExtension, params};
use sanimon_domain::{DeviceKind, DeviceNo, LocalDay, SiteCalendar, TimestampMs};

use crate::error::{Result, StoreError};
use crate::sealed::Series;
use crate::sqlite::{File, Tx};

/// Whole months for which readings of a kind are kept, beside the running one; a kind without an entry keeps all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    pub months: Vec<(DeviceKind, u32)>,
}

/// A closed block whose points are all expired: its row's number, and how many points it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiredBlock {
    pub id: i64,
    pub points: u64,
}

impl Retention {
    /// From when on readings of a kind are kept; `None`: all of them.
    pub fn keeps_from(
        &self,
        kind: DeviceKind,
        today: LocalDay,
        calendar: SiteCalendar,
    ) -> Option<TimestampMs> {
        let (_, months) = self.months.iter().find(|(known, _)| *known == kind)?;
        Some(calendar.start_of(LocalDay::first_of_month(today.month() - *months as i32)))
    }
}

impl File {
    /// Closed blocks of a series that are wholly older, at most so many.
    pub fn expired_blocks(
        &self,
        series: Series,
        keep_from: TimestampMs,
        limit: usize,
    ) -> Result<Vec<ExpiredBlock>> {
        self.read("look for expired blocks", |connection| closed_before(connection, series, keep_from, limit))
    }
}

impl Tx<'_> {
    pub fn delete_closed_block(&self, id: i64) -> Result<()> {
        self.run("delete a block", "DELETE FROM closed_block WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Remembers since when the readings of a kind are kept.
    pub fn note_kept_from(&self, kind: DeviceKind, keep_from: TimestampMs) -> Result<()> {
        self.run(
            "remember what retention has taken",
            "INSERT INTO meta VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = ?2 WHERE CAST(value AS INTEGER) < CAST(?2 AS INTEGER)",
            params![kept_from_key(kind.as_str()), keep_from.0.to_string()],
        )?;
        Ok(())
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

fn closed_before(
    connection: &Connection,
    (device, metric): Series,
    keep_from: TimestampMs,
    limit: usize,
) -> Result<Vec<ExpiredBlock>> {
    let doing = || StoreError::doing("look for expired blocks");
    let mut statement = connection
        .prepare_cached(
            "SELECT id, count FROM closed_block WHERE device_no = ?1 AND metric_no = ?2 AND first_at < ?3 AND last_at < ?3
             ORDER BY first_at LIMIT ?4",
        )
        .map_err(doing())?;
    let rows = statement.query_map(params![device.0, metric.0, keep_from.0, limit as i64], |row| {
        Ok(ExpiredBlock { id: row.get(0)?, points: row.get::<_, i64>(1)?.max(0) as u64 })
    });
    rows.and_then(Iterator::collect).map_err(doing())
}
