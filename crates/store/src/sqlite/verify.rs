//! Reading everything once: what a disk has changed is found before somebody asks for it.

use std::path::Path;

use rusqlite::Connection;
use sanimon_domain::{DeviceNo, LocalDay, MetricNo, SiteCalendar, TimestampMs};

use super::schema;
use crate::block::{decode, decode_open};
use crate::days;
use crate::error::{Result, StoreError};
use crate::journal;
use crate::read;
use crate::shared::FILE_NAME;

/// What was read, and what is wrong with it, one line each.
#[derive(Debug, Default)]
pub struct Verified {
    pub points: u64,
    pub blocks: u64,
    pub faults: Vec<String>,
}

/// Faults told at most: a disk that lost more needs no longer list.
const FAULTS_MAX: usize = 1_000;

/// Reads every block, journal row, day, alert and MQTT session of a data directory; `None` when there is no database in it.
///
/// It only reads, beside a running sanimon too. `progress` is told the blocks that are read, and how many there are.
pub fn verify(directory: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Option<Verified>> {
    let path = directory.join(FILE_NAME);
    if !path.exists() {
        return Ok(None);
    }
    let connection = schema::open_reader(&path)?;
    let mut verified = Verified::default();
    if let Err(error) = structure(&connection, &mut verified) {
        verified.faults.push(format!("the database's structure cannot be read: {error}"));
    }
    for part in [journal_rows, months, alerts, mqtt_sessions, kept_apart] {
        if let Err(error) = part(&connection, &mut verified) {
            verified.faults.push(error.to_string());
        }
    }
    if let Err(error) = blocks(&connection, &mut verified, &mut progress) {
        verified.faults.push(error.to_string());
    }
    verified.faults.truncate(FAULTS_MAX);
    Ok(Some(verified))
}

/// SQLite's own look at its pages.
fn structure(connection: &Connection, verified: &mut Verified) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA quick_check(100)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        if said != "ok" {
            verified.faults.push(format!("the database's pages: {}", said.replace('\n', " ")));
        }
    }
    Ok(())
}

fn journal_rows(connection: &Connection, verified: &mut Verified) -> Result<()> {
    let doing = || StoreError::doing("read the journal");
    let mut statement =
        connection.prepare("SELECT seq, records FROM journal ORDER BY seq").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        let seq: i64 = row.get(0).map_err(doing())?;
        let blob: Vec<u8> = row.get(1).map_err(doing())?;
        match journal::decode(&blob) {
            Ok(messages) => {
                verified.points += messages.iter().map(|message| message.readings.len() as u64).sum::<u64>();
            }
            Err(error) => verified.faults.push(format!("journal row {seq}: {error}")),
        }
    }
    Ok(())
}

/// Alerts and their histories.
fn alerts(connection: &Connection, verified: &mut Verified) -> Result<()> {
    if is_of_today(connection)? {
        read::each_damaged(connection, |fault| verified.faults.push(fault))?;
    }
    Ok(())
}

/// What the embedded broker keeps.
fn mqtt_sessions(connection: &Connection, verified: &mut Verified) -> Result<()> {
    if is_of_today(connection)? {
        read::stored_sessions(connection, &mut |fault| verified.faults.push(fault))?;
    }
    Ok(())
}

/// The columns are those of today, or the file is brought up to date first.
fn is_of_today(connection: &Connection) -> Result<bool> {
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(StoreError::doing("read the data version"))?;
    Ok(version >= schema::DATA_VERSION)
}

/// What delivery has set aside, and the rows that were kept when the journal let go of them.
fn kept_apart(connection: &Connection, verified: &mut Verified) -> Result<()> {
    let doing = || StoreError::doing("read what was kept apart");
    let is_known: bool = connection
        .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'damaged_journal')", [], |row| {
            row.get(0)
        })
        .map_err(doing())?;
    // A file that this sanimon has not brought up to date yet.
    if !is_known {
        return Ok(());
    }
    let sql = "SELECT 'journal row ' || seq, found_at, 'damaged and kept: ' || why FROM damaged_journal
               UNION ALL SELECT 'closed_block ' || id, undeliverable_since, 'set aside from delivery' FROM closed_block
               WHERE undeliverable_since IS NOT NULL
               UNION ALL SELECT 'open_block ' || id, undeliverable_since, 'set aside from delivery' FROM open_block
               WHERE undeliverable_since IS NOT NULL";
    let mut statement = connection.prepare(sql).map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        let (what, at, said): (String, i64, String) =
            (row.get(0).map_err(doing())?, row.get(1).map_err(doing())?, row.get(2).map_err(doing())?);
        verified.faults.push(format!("{what}, since {}: {said}", TimestampMs(at)));
    }
    Ok(())
}

fn blocks(
    connection: &Connection,
    verified: &mut Verified,
    progress: &mut impl FnMut(u64, u64),
) -> Result<()> {
    let doing = || StoreError::doing("read blocks");
    let count: i64 = connection
        .query_row(
            "SELECT (SELECT count(*) FROM closed_block) + (SELECT count(*) FROM open_block)",
            [],
            |row| row.get(0),
        )
        .map_err(doing())?;
    for table in ["closed_block", "open_block"] {
        let sql = format!(
            "SELECT b.id, b.first_at, b.last_at, b.count, b.points, b.metric_no, coalesce(d.id, 'device ' || b.device_no)
             FROM {table} b LEFT JOIN device d ON d.no = b.device_no"
        );
        let mut statement = connection.prepare(&sql).map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            let (id, first_at, last_at): (i64, i64, i64) =
                (row.get(0).map_err(doing())?, row.get(1).map_err(doing())?, row.get(2).map_err(doing())?);
            let stored: i64 = row.get(3).map_err(doing())?;
            let blob: Vec<u8> = row.get(4).map_err(doing())?;
            let metric = MetricNo(row.get(5).map_err(doing())?);
            let device: String = row.get(6).map_err(doing())?;
            let points = if table == "open_block" { decode_open(&blob) } else { decode(&blob) };
            let fault = match points {
                Ok(points) if points.len() as i64 != stored => {
                    Some(format!("{} points and not {stored}", points.len()))
                }
                Ok(points) if !points.is_sorted_by(|a, b| a.at < b.at) => {
                    Some("its times do not ascend".to_owned())
                }
                Ok(points) => {
                    verified.points += points.len() as u64;
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(fault) = fault {
                let name =
                    sanimon_domain::metric::info(metric).map_or("a metric of its own", |info| info.name);
                let (from, to) = (TimestampMs(first_at), TimestampMs(last_at));
                verified.faults.push(format!("{table} {id}, {device} {name} from {from} to {to}: {fault}"));
            }
            verified.blocks += 1;
            if verified.blocks.is_multiple_of(1_000) {
                progress(verified.blocks, count.max(0) as u64);
            }
        }
    }
    Ok(())
}

fn months(connection: &Connection, verified: &mut Verified) -> Result<()> {
    let doing = || StoreError::doing("read day aggregates");
    let mut statement =
        connection.prepare("SELECT device_no, metric_no, month, days FROM day_month").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    let calendar = SiteCalendar::utc();
    while let Some(row) = rows.next().map_err(doing())? {
        let (device, metric) =
            (DeviceNo(row.get(0).map_err(doing())?), MetricNo(row.get(1).map_err(doing())?));
        let month: i32 = row.get(2).map_err(doing())?;
        let blob: Vec<u8> = row.get(3).map_err(doing())?;
        if let Err(error) = days::decode(&blob, month, |day| calendar.start_of(day), |_, _| {}) {
            let first = calendar.start_of(LocalDay::first_of_month(month));
            verified.faults.push(format!(
                "day sums of device {} metric {} from {first}: {error} (they will be made anew from the blocks)",
                device.0, metric.0
            ));
        }
    }
    Ok(())
}
