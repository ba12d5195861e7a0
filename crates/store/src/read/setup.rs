//! What people set up and planned.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sanimon_domain::{AlertId, DeviceNo, TimestampMs};

use super::Page;
use super::rows::{optional_time, time, word};
use crate::error::{Result, StoreError};
use crate::model::{AuditEntry, PhotoEntry, PlannedStop, Round, RoundStop, StopState};

/// The newest first; `before` is a cursor over `id`.
pub(crate) fn audit(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Page<AuditEntry>> {
    let doing = || StoreError::doing("read the audit log");
    let mut statement = connection
        .prepare_cached("SELECT * FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2")
        .map_err(doing())?;
    let rows = statement.query_map(params![before.unwrap_or(i64::MAX), limit as i64 + 1], |row| {
        Ok(AuditEntry {
            id: row.get("id")?,
            at: time(row, "at")?,
            who: row.get("who")?,
            what: row.get("what")?,
            about: row.get("about")?,
            detail: row.get("detail")?,
        })
    });
    let items = rows.and_then(Iterator::collect).map_err(doing())?;
    Ok(Page::of(items, limit, |entry: &AuditEntry| entry.id))
}

fn round(row: &Row<'_>) -> rusqlite::Result<Round> {
    Ok(Round {
        id: row.get("id")?,
        vehicle: row.get("vehicle")?,
        team: row.get("team")?,
        from: time(row, "from_at")?,
        to: time(row, "to_at")?,
        length_m: row.get("length_m")?,
        made_by: row.get("made_by")?,
        made_at: time(row, "made_at")?,
        ended_by: row.get("ended_by")?,
        ended_at: optional_time(row, "ended_at")?,
        stops: Vec::new(),
    })
}

/// Rounds that are not over at this time, and as many of the others as wanted, the newest first.
pub(crate) fn rounds(connection: &Connection, now: TimestampMs, others: usize) -> Result<Vec<Round>> {
    let doing = || StoreError::doing("read rounds");
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM round WHERE ended_at IS NULL AND to_at > ?1
             UNION ALL
             SELECT * FROM (SELECT * FROM round WHERE ended_at IS NOT NULL OR to_at <= ?1 ORDER BY id DESC LIMIT ?2)
             ORDER BY id DESC",
        )
        .map_err(doing())?;
    let rows = statement.query_map(params![now.0, others as i64], round);
    let mut found: Vec<Round> = rows.and_then(Iterator::collect).map_err(doing())?;
    for round in &mut found {
        round.stops = stops(connection, round.id)?;
    }
    Ok(found)
}

pub(crate) fn round_of(connection: &Connection, id: i64) -> Result<Option<Round>> {
    let found = connection
        .prepare_cached("SELECT * FROM round WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], round).optional())
        .map_err(StoreError::doing("read a round"))?;
    found.map(|round| Ok(Round { stops: stops(connection, id)?, ..round })).transpose()
}

fn stops(connection: &Connection, round: i64) -> Result<Vec<RoundStop>> {
    let doing = || StoreError::doing("read the stops of a round");
    let mut statement = connection
        .prepare_cached("SELECT * FROM round_stop WHERE round_id = ?1 ORDER BY n")
        .map_err(doing())?;
    let rows = statement.query_map([round], |row| {
        Ok(RoundStop {
            n: row.get("n")?,
            planned: PlannedStop {
                device: DeviceNo(row.get("device_no")?),
                trip: row.get("trip")?,
                at: time(row, "planned_at")?,
                fill_pct: row.get("fill_pct")?,
            },
            state: word(row, "state", StopState::parse)?,
            state_at: optional_time(row, "state_at")?,
            state_by: row.get("state_by")?,
            note: row.get("note")?,
        })
    });
    rows.and_then(Iterator::collect).map_err(doing())
}

pub(crate) fn photos_of(connection: &Connection, alert: AlertId) -> Result<Vec<PhotoEntry>> {
    let doing = || StoreError::doing("read photos");
    let mut statement = connection
        .prepare_cached("SELECT id, at, who FROM alert_photo WHERE alert_id = ?1 ORDER BY id")
        .map_err(doing())?;
    let rows = statement.query_map([alert.0 as i64], |row| {
        Ok(PhotoEntry { id: row.get("id")?, at: time(row, "at")?, who: row.get("who")? })
    });
    rows.and_then(Iterator::collect).map_err(doing())
}

pub(crate) fn photo(connection: &Connection, alert: AlertId, id: i64) -> Result<Option<Vec<u8>>> {
    connection
        .query_row(
            "SELECT photo FROM alert_photo WHERE id = ?1 AND alert_id = ?2",
            params![id, alert.0 as i64],
            |row| row.get(0),
        )
        .optional()
        .map_err(StoreError::doing("read a photo"))
}
