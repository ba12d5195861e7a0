//! The rows of sealed telemetry: closed blocks, open blocks, months of day aggregates.

mod waiting;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::block::{Block, decode, decode_open};
use crate::error::{Result, StoreError};
use crate::model::Point;

pub(crate) use crate::damage::Damage;
pub(crate) use waiting::{BlockRows, blocks_set_aside, delete, has_blocks, oldest_blocks, set_aside};

/// One metric of one device.
pub type Series = (DeviceNo, MetricNo);

/// A block with its row's number, which is never given twice.
#[derive(Debug, Clone)]
pub(crate) struct StoredBlock {
    pub(crate) id: i64,
    pub(crate) is_open: bool,
    pub(crate) block: Block,
}

impl StoredBlock {
    pub(crate) fn decode(&self) -> Result<Vec<Point>> {
        if self.is_open { decode_open(&self.block.points) } else { decode(&self.block.points) }
    }
}

fn block(row: &Row<'_>, is_open: bool) -> rusqlite::Result<StoredBlock> {
    let block = Block {
        first_at: TimestampMs(row.get(1)?),
        last_at: TimestampMs(row.get(2)?),
        count: row.get(3)?,
        points: row.get(4)?,
    };
    Ok(StoredBlock { id: row.get(0)?, is_open, block })
}

/// The closed blocks that may hold points between two times, both included, ascending, with the one before them; then
/// the open one.
pub(crate) fn blocks(
    connection: &Connection,
    (device, metric): Series,
    from: TimestampMs,
    to: TimestampMs,
) -> Result<Vec<StoredBlock>> {
    let doing = || StoreError::doing("read blocks");
    // Blocks do not overlap: only the last one that begins before `from` can reach into the range.
    let mut closed = connection
        .prepare_cached(
            "SELECT id, first_at, last_at, count, points FROM closed_block
             WHERE device_no = ?1 AND metric_no = ?2 AND first_at <= ?4 AND first_at >= coalesce(
               (SELECT max(first_at) FROM closed_block WHERE device_no = ?1 AND metric_no = ?2 AND first_at <= ?3), ?3)
             ORDER BY first_at",
        )
        .map_err(doing())?;
    let rows = closed.query_map(params![device.0, metric.0, from.0, to.0], |row| block(row, false));
    let mut found: Vec<StoredBlock> = rows.and_then(Iterator::collect).map_err(doing())?;
    found.extend(open_block(connection, (device, metric))?.filter(|open| open.block.first_at <= to));
    Ok(found)
}

pub(crate) fn open_block(connection: &Connection, (device, metric): Series) -> Result<Option<StoredBlock>> {
    connection
        .prepare_cached(
            "SELECT id, first_at, last_at, count, points FROM open_block WHERE device_no = ?1 AND metric_no = ?2",
        )
        .and_then(|mut statement| {
            statement.query_row(params![device.0, metric.0], |row| block(row, true)).optional()
        })
        .map_err(StoreError::doing("read an open block"))
}

/// The time of the newest point in closed blocks.
pub(crate) fn last_closed_at(
    connection: &Connection,
    (device, metric): Series,
) -> Result<Option<TimestampMs>> {
    connection
        .prepare_cached(
            "SELECT last_at FROM closed_block WHERE device_no = ?1 AND metric_no = ?2 ORDER BY first_at DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row(params![device.0, metric.0], |row| Ok(TimestampMs(row.get(0)?))).optional()
        })
        .map_err(StoreError::doing("read the newest block"))
}

/// Sealed points between two times, both included, ascending. Damaged blocks are noted and skipped.
pub(crate) fn points(
    connection: &Connection,
    damage: &Damage,
    series: Series,
    from: TimestampMs,
    to: TimestampMs,
) -> Result<Vec<Point>> {
    let mut all = Vec::new();
    for stored in blocks(connection, series, from, to)?.iter().filter(|stored| stored.block.last_at >= from) {
        match stored.decode() {
            Ok(points) => all.extend(points.into_iter().filter(|point| point.at >= from && point.at <= to)),
            Err(error) => damage.note(series, stored.block.first_at, &error),
        }
    }
    Ok(all)
}

/// How many points the blocks say they hold that may be in the range: an upper bound, without decoding.
pub(crate) fn count_at_most(
    connection: &Connection,
    (device, metric): Series,
    from: TimestampMs,
    to: TimestampMs,
) -> Result<u64> {
    let count: i64 = connection
        .prepare_cached(
            "SELECT (SELECT coalesce(sum(count), 0) FROM closed_block
                     WHERE device_no = ?1 AND metric_no = ?2 AND first_at <= ?4 AND last_at >= ?3)
                  + (SELECT coalesce(sum(count), 0) FROM open_block
                     WHERE device_no = ?1 AND metric_no = ?2 AND first_at <= ?4 AND last_at >= ?3)",
        )
        .and_then(|mut statement| {
            statement.query_row(params![device.0, metric.0, from.0, to.0], |row| row.get(0))
        })
        .map_err(StoreError::doing("count points"))?;
    Ok(count.max(0) as u64)
}

/// The time of the oldest sealed point that is kept.
pub(crate) fn first_at(connection: &Connection, (device, metric): Series) -> Result<Option<TimestampMs>> {
    let first: Option<i64> = connection
        .prepare_cached(
            "SELECT min(first_at) FROM (
               SELECT min(first_at) AS first_at FROM closed_block WHERE device_no = ?1 AND metric_no = ?2
               UNION ALL SELECT min(first_at) FROM open_block WHERE device_no = ?1 AND metric_no = ?2)",
        )
        .and_then(|mut statement| statement.query_row(params![device.0, metric.0], |row| row.get(0)))
        .map_err(StoreError::doing("read the oldest block"))?;
    Ok(first.map(TimestampMs))
}

/// The packed day aggregates of a month.
pub(crate) fn month(
    connection: &Connection,
    (device, metric): Series,
    month: i32,
) -> Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT days FROM day_month WHERE metric_no = ?1 AND device_no = ?2 AND month = ?3")
        .and_then(|mut statement| {
            statement.query_row(params![metric.0, device.0, month], |row| row.get(0)).optional()
        })
        .map_err(StoreError::doing("read day aggregates"))
}

/// Every series that has a block, ascending.
pub(crate) fn all_series(connection: &Connection) -> Result<Vec<Series>> {
    let doing = || StoreError::doing("list the series");
    let mut statement = connection
        .prepare_cached(
            "SELECT device_no, metric_no FROM open_block UNION SELECT device_no, metric_no FROM closed_block ORDER BY 1, 2",
        )
        .map_err(doing())?;
    let rows = statement.query_map([], |row| Ok((DeviceNo(row.get(0)?), MetricNo(row.get(1)?))));
    rows.and_then(Iterator::collect).map_err(doing())
}

pub(crate) fn insert_closed(connection: &Connection, (device, metric): Series, block: &Block) -> Result<()> {
    execute(
        connection,
        "INSERT INTO closed_block (device_no, metric_no, first_at, last_at, count, points) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![device.0, metric.0, block.first_at.0, block.last_at.0, block.count, block.points],
    )
}

/// Replaces the open block of a series; `None` takes it away.
pub(crate) fn put_open(
    connection: &Connection,
    (device, metric): Series,
    block: Option<&Block>,
) -> Result<()> {
    let Some(block) = block else {
        return execute(
            connection,
            "DELETE FROM open_block WHERE device_no = ?1 AND metric_no = ?2",
            params![device.0, metric.0],
        );
    };
    execute(
        connection,
        "INSERT INTO open_block (device_no, metric_no, first_at, last_at, count, points) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (device_no, metric_no)
         DO UPDATE SET first_at = ?3, last_at = ?4, count = ?5, points = ?6, undeliverable_since = NULL",
        params![device.0, metric.0, block.first_at.0, block.last_at.0, block.count, block.points],
    )
}

/// Replaces a month of a series; `None` takes it away.
pub(crate) fn put_month(
    connection: &Connection,
    (device, metric): Series,
    month: i32,
    days: Option<&[u8]>,
) -> Result<()> {
    match days {
        Some(days) => execute(
            connection,
            "INSERT OR REPLACE INTO day_month (metric_no, device_no, month, days) VALUES (?1, ?2, ?3, ?4)",
            params![metric.0, device.0, month, days],
        ),
        None => execute(
            connection,
            "DELETE FROM day_month WHERE metric_no = ?1 AND device_no = ?2 AND month = ?3",
            params![metric.0, device.0, month],
        ),
    }
}

fn execute(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map(|_| ())
        .map_err(StoreError::doing("write sealed telemetry"))
}
