//! Sealed points of a series.

use rusqlite::{Connection, params};
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::block::decode;
use crate::error::{Result, StoreError};
use crate::model::Point;

/// Points between two times, both included, ascending. A damaged block is named in the log and skipped.
pub(crate) fn sealed_points(
    connection: &Connection,
    (device, metric): (DeviceNo, MetricNo),
    from: TimestampMs,
    to: TimestampMs,
) -> Result<Vec<Point>> {
    let doing = || StoreError::doing("read blocks");
    let mut statement = connection
        .prepare_cached(
            "SELECT points, utc_day FROM block
             WHERE device_no = ?1 AND metric_no = ?2 AND utc_day BETWEEN ?3 AND ?4 AND last_at >= ?5 AND first_at <= ?6
             ORDER BY utc_day, first_at",
        )
        .map_err(doing())?;
    let mut rows = statement
        .query(params![device.0, metric.0, from.utc_day(), to.utc_day(), from.0, to.0])
        .map_err(doing())?;
    let mut points = Vec::new();
    while let Some(row) = rows.next().map_err(doing())? {
        let blob: Vec<u8> = row.get(0).map_err(doing())?;
        match decode(&blob) {
            Ok(part) => points.extend(part.into_iter().filter(|point| point.at >= from && point.at <= to)),
            Err(error) => {
                let utc_day: i64 = row.get(1).map_err(doing())?;
                tracing::error!(device = device.0, metric = metric.0, utc_day, %error, "damaged block skipped");
            }
        }
    }
    Ok(points)
}
