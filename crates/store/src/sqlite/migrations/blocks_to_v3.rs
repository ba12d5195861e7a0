//! Data version 2 kept blocks by the UTC day, with aggregates in columns and no checksums. Version 3 keeps longer
//! blocks and packs aggregates by the site's days (made anew at opening, see `rebuild`).

use rusqlite::{Connection, params};
use sanimon_domain::{DeviceNo, MetricNo};

use crate::block::{Block, PART_POINTS, decode_columns};
use crate::error::Result;
use crate::model::Point;
use crate::pack;

type Sql<T> = rusqlite::Result<T>;

/// Runs inside the migration's transaction, after `0003_days.sql`.
pub(crate) fn convert(connection: &Connection) -> Sql<()> {
    seal_journal(connection)?;
    let mut series = connection.prepare("SELECT DISTINCT device_no, metric_no FROM block ORDER BY 1, 2")?;
    let series: Vec<(DeviceNo, MetricNo)> = series
        .query_map([], |row| Ok((DeviceNo(row.get(0)?), MetricNo(row.get(1)?))))?
        .collect::<Sql<_>>()?;
    for (device, metric) in series {
        convert_series(connection, device, metric)?;
    }
    connection.execute_batch("DROP TABLE block")
}

/// The rows get the checksum that every blob has from this version on.
fn seal_journal(connection: &Connection) -> Sql<()> {
    let mut statement = connection.prepare("SELECT seq, records FROM journal")?;
    let rows: Vec<(i64, Vec<u8>)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Sql<_>>()?;
    for (seq, records) in rows {
        connection
            .execute("UPDATE journal SET records = ?2 WHERE seq = ?1", params![seq, pack::seal(&records)])?;
    }
    Ok(())
}

fn convert_series(connection: &Connection, device: DeviceNo, metric: MetricNo) -> Sql<()> {
    let mut statement = connection.prepare_cached(
        "SELECT points FROM block WHERE device_no = ?1 AND metric_no = ?2 ORDER BY utc_day, first_at",
    )?;
    let mut rows = statement.query(params![device.0, metric.0])?;
    let mut gathered: Vec<Point> = Vec::new();
    while let Some(row) = rows.next()? {
        let blob: Vec<u8> = row.get(0)?;
        let decoded: Result<Vec<Point>> = decode_columns(&blob);
        match decoded {
            Ok(points) => gathered.extend(points),
            Err(error) => {
                tracing::error!(device = device.0, metric = metric.0, %error, "damaged block left behind");
            }
        }
        while gathered.len() >= PART_POINTS {
            let rest = gathered.split_off(PART_POINTS);
            insert(connection, "closed_block", device, metric, Block::closed(&gathered))?;
            gathered = rest;
        }
    }
    insert(connection, "open_block", device, metric, Block::open(&gathered))
}

fn insert(
    connection: &Connection,
    table: &str,
    device: DeviceNo,
    metric: MetricNo,
    block: Option<Block>,
) -> Sql<()> {
    let Some(Block { first_at, last_at, count, points }) = block else { return Ok(()) };
    let sql = format!(
        "INSERT INTO {table} (device_no, metric_no, first_at, last_at, count, points) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    );
    connection
        .prepare_cached(&sql)?
        .execute(params![device.0, metric.0, first_at.0, last_at.0, count, points])?;
    Ok(())
}
