//! The blocks that wait for delivery to InfluxDB, and those that it has set aside because they cannot be read.

use std::ops::ControlFlow;

use rusqlite::Connection;
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use super::{Series, StoredBlock, block, execute};
use crate::error::{Result, StoreError};

/// Rows of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BlockRows {
    pub(crate) closed: Vec<i64>,
    pub(crate) open: Vec<i64>,
}

impl BlockRows {
    pub(crate) fn push(&mut self, stored: &StoredBlock) {
        if stored.is_open { self.open.push(stored.id) } else { self.closed.push(stored.id) }
    }

    pub(crate) fn len(&self) -> usize {
        self.closed.len() + self.open.len()
    }
}

/// The blocks that wait for delivery, until `take` has enough: the closed ones first, in the order in which they were
/// written. Those that are set aside are not among them.
pub(crate) fn oldest_blocks(
    connection: &Connection,
    mut take: impl FnMut(Series, StoredBlock) -> ControlFlow<()>,
) -> Result<()> {
    let doing = || StoreError::doing("read blocks");
    for (table, is_open) in [("closed_block", false), ("open_block", true)] {
        let sql = format!(
            "SELECT id, first_at, last_at, count, points, device_no, metric_no FROM {table}
             WHERE undeliverable_since IS NULL ORDER BY id"
        );
        let mut statement = connection.prepare_cached(&sql).map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            let series = (DeviceNo(row.get(5).map_err(doing())?), MetricNo(row.get(6).map_err(doing())?));
            if take(series, block(row, is_open).map_err(doing())?).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether any block waits for delivery.
pub(crate) fn has_blocks(connection: &Connection) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM closed_block WHERE undeliverable_since IS NULL)
                 OR EXISTS (SELECT 1 FROM open_block WHERE undeliverable_since IS NULL)",
        )
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(StoreError::doing("look for blocks"))
}

/// Takes blocks out of delivery: they cannot be read. They stay for whoever repairs them; queries tell of them again as
/// soon as they can be read.
pub(crate) fn set_aside(connection: &Connection, blocks: &BlockRows, since: TimestampMs) -> Result<()> {
    for (table, ids) in [("closed_block", &blocks.closed), ("open_block", &blocks.open)] {
        let sql = format!("UPDATE {table} SET undeliverable_since = ?2 WHERE id = ?1");
        ids.iter().try_for_each(|id| execute(connection, &sql, [*id, since.0]))?;
    }
    Ok(())
}

/// The blocks that are set aside: their series, where they begin, and since when.
pub(crate) fn blocks_set_aside(connection: &Connection) -> Result<Vec<(Series, TimestampMs, TimestampMs)>> {
    let doing = || StoreError::doing("read which blocks are set aside");
    let mut statement = connection
        .prepare(
            "SELECT device_no, metric_no, first_at, undeliverable_since FROM closed_block
             WHERE undeliverable_since IS NOT NULL
             UNION ALL SELECT device_no, metric_no, first_at, undeliverable_since FROM open_block
             WHERE undeliverable_since IS NOT NULL",
        )
        .map_err(doing())?;
    let rows = statement.query_map([], |row| {
        let series = (DeviceNo(row.get(0)?), MetricNo(row.get(1)?));
        Ok((series, TimestampMs(row.get(2)?), TimestampMs(row.get(3)?)))
    });
    rows.and_then(Iterator::collect).map_err(doing())
}

/// Lets go of blocks that are delivered.
pub(crate) fn delete(connection: &Connection, blocks: &BlockRows) -> Result<()> {
    for (table, ids) in [("closed_block", &blocks.closed), ("open_block", &blocks.open)] {
        let sql = format!("DELETE FROM {table} WHERE id = ?1");
        ids.iter().try_for_each(|id| execute(connection, &sql, [*id]))?;
    }
    Ok(())
}
