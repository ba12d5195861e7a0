//! What devices say besides readings, and the readings that are not simply believed.

use rusqlite::{Transaction, params};

use super::Group;
use crate::error::{Result, StoreError};

/// Doubted readings kept: a year of a town's spikes. The oldest go first.
const DOUBTED_ROWS_MAX: i64 = 50_000;

pub(super) fn write(transaction: &Transaction<'_>, group: &Group) -> Result<()> {
    write_events(transaction, group)?;
    write_doubted(transaction, group)
}

fn write_events(transaction: &Transaction<'_>, group: &Group) -> Result<()> {
    for event in &group.events {
        transaction
            .prepare_cached(
                "INSERT INTO device_event (device_no, about, what, detail, count, first_at, last_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (device_no, about, what) DO UPDATE
                 SET detail = ?4, count = count + ?5, last_at = max(last_at, ?7)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    event.device.0,
                    event.about,
                    event.what,
                    event.detail,
                    event.count,
                    event.first_at.0,
                    event.last_at.0,
                ])
            })
            .map_err(StoreError::doing("write a device's event"))?;
    }
    Ok(())
}

fn write_doubted(transaction: &Transaction<'_>, group: &Group) -> Result<()> {
    let doing = || StoreError::doing("write doubted readings");
    for doubted in &group.doubted {
        transaction
            .prepare_cached(
                "INSERT INTO doubted (device_no, metric_no, at, received_at, value, quality, reason, held)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (device_no, metric_no, at) DO UPDATE
                 SET received_at = ?4, value = ?5, quality = ?6, reason = ?7, held = ?8",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    doubted.device.0,
                    doubted.metric.0,
                    doubted.at.0,
                    doubted.received_at.0,
                    doubted.value,
                    doubted.quality.as_str(),
                    doubted.reason.as_str(),
                    doubted.held,
                ])
            })
            .map_err(doing())?;
    }
    // In order: what a reading decides concerns what was held before it.
    for (device, metric, at) in &group.undoubted {
        transaction
            .prepare_cached("DELETE FROM doubted WHERE device_no = ?1 AND metric_no = ?2 AND at = ?3")
            .and_then(|mut statement| statement.execute(params![device.0, metric.0, at.0]))
            .map_err(doing())?;
    }
    for (device, metric, held) in &group.held {
        let at = held.map_or(i64::MIN, |point| point.at.0);
        transaction
            .prepare_cached(
                "UPDATE doubted SET held = 0 WHERE held = 1 AND device_no = ?1 AND metric_no = ?2 AND at <> ?3",
            )
            .and_then(|mut statement| statement.execute(params![device.0, metric.0, at]))
            .map_err(doing())?;
    }
    if !group.doubted.is_empty() {
        transaction
            .prepare_cached("DELETE FROM doubted WHERE id <= (SELECT max(id) FROM doubted) - ?1")
            .and_then(|mut statement| statement.execute([DOUBTED_ROWS_MAX]))
            .map_err(doing())?;
    }
    Ok(())
}
