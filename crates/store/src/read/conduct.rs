//! Windows, versions of the rules and reports.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sanimon_alerting::MaintenanceWindow;
use sanimon_domain::{AlertId, DeviceNo, ReportCategory, RuleId, Subject, TimestampMs, ZoneId};

use super::rows::{optional_time, time, word};
use crate::error::{Result, StoreError};
use crate::model::{Place, PlaceCode, Report, RulesVersion, WindowEntry};

fn window(row: &Row<'_>) -> rusqlite::Result<WindowEntry> {
    let id = |column| row.get::<_, Option<String>>(column);
    Ok(WindowEntry {
        window: MaintenanceWindow {
            id: row.get("id")?,
            device: row.get::<_, Option<u32>>("device_no")?.map(DeviceNo),
            zone: id("zone")?.and_then(|id| ZoneId::new(&id).ok()),
            rule: id("rule_id")?.and_then(|id| RuleId::new(&id).ok()),
            from: time(row, "from_at")?,
            to: time(row, "to_at")?,
        },
        reason: row.get("reason")?,
        who: row.get("who")?,
        created_at: time(row, "created_at")?,
        ended_by: row.get("ended_by")?,
        suppressed: row.get("suppressed")?,
        last_suppressed_at: optional_time(row, "last_suppressed_at")?,
    })
}

/// Those that are not over at this time, and as many of the others as wanted, the newest first.
pub(crate) fn windows(connection: &Connection, now: TimestampMs, others: usize) -> Result<Vec<WindowEntry>> {
    let doing = || StoreError::doing("read maintenance windows");
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM maintenance_window WHERE to_at > ?1
             UNION ALL
             SELECT * FROM (SELECT * FROM maintenance_window WHERE to_at <= ?1 ORDER BY to_at DESC LIMIT ?2)",
        )
        .map_err(doing())?;
    let rows = statement.query_map(params![now.0, others as i64], window).map_err(doing())?;
    rows.collect::<rusqlite::Result<_>>().map_err(doing())
}

pub(crate) fn rules_versions(connection: &Connection) -> Result<Vec<RulesVersion>> {
    let doing = || StoreError::doing("read the rules' versions");
    let mut statement = connection
        .prepare_cached("SELECT no, since, text FROM rules_version ORDER BY no DESC")
        .map_err(doing())?;
    let rows = statement
        .query_map([], |row| {
            Ok(RulesVersion { no: row.get(0)?, since: time(row, "since")?, text: row.get(2)? })
        })
        .map_err(doing())?;
    rows.collect::<rusqlite::Result<_>>().map_err(doing())
}

fn report_row(row: &Row<'_>) -> rusqlite::Result<Report> {
    Ok(Report {
        id: row.get("id")?,
        token: row.get("token")?,
        code: row.get("code")?,
        alert: AlertId(row.get::<_, i64>("alert_id")? as u64),
        at: time(row, "at")?,
        language: row.get("language")?,
        category: word(row, "category", ReportCategory::parse)?,
        text: row.get("text")?,
        has_photo: row.get("has_photo")?,
        satisfaction: row.get("satisfaction")?,
    })
}

const REPORT: &str =
    "SELECT id, token, code, alert_id, at, language, category, text, photo IS NOT NULL AS has_photo,
                        satisfaction FROM report";

pub(crate) fn report(connection: &Connection, token: &str) -> Result<Option<Report>> {
    connection
        .prepare_cached(&format!("{REPORT} WHERE token = ?1"))
        .and_then(|mut statement| statement.query_row([token], report_row).optional())
        .map_err(StoreError::doing("read a report"))
}

pub(crate) fn reports_of(connection: &Connection, alert: AlertId) -> Result<Vec<Report>> {
    let doing = || StoreError::doing("read reports");
    let mut statement =
        connection.prepare_cached(&format!("{REPORT} WHERE alert_id = ?1 ORDER BY id")).map_err(doing())?;
    let rows = statement.query_map([alert.0 as i64], report_row).map_err(doing())?;
    rows.collect::<rusqlite::Result<_>>().map_err(doing())
}

pub(crate) fn report_photo(connection: &Connection, id: i64) -> Result<Option<Vec<u8>>> {
    connection
        .query_row("SELECT photo FROM report WHERE id = ?1", [id], |row| row.get::<_, Option<Vec<u8>>>(0))
        .optional()
        .map(Option::flatten)
        .map_err(StoreError::doing("read a report's photo"))
}

pub(crate) fn zone_of_report(connection: &Connection, id: i64) -> Result<Option<ZoneId>> {
    connection
        .query_row(
            "SELECT a.zone FROM report r JOIN alert a ON a.id = r.alert_id WHERE r.id = ?1",
            [id],
            |row| row.get::<_, Option<String>>(0),
        )
        .optional()
        .map(|found| found.flatten().and_then(|zone| ZoneId::new(&zone).ok()))
        .map_err(StoreError::doing("read a report's zone"))
}

fn place(row: &Row<'_>) -> rusqlite::Result<Option<Place>> {
    let device = row.get::<_, Option<u32>>("device_no")?.map(|no| Place::Device(DeviceNo(no)));
    let zone = row.get::<_, Option<String>>("zone")?.and_then(|id| ZoneId::new(&id).ok());
    Ok(device.or(zone.map(Place::Zone)))
}

pub(crate) fn place_of(connection: &Connection, code: &str) -> Result<Option<Place>> {
    connection
        .query_row("SELECT device_no, zone FROM place_code WHERE code = ?1", [code], place)
        .optional()
        .map(Option::flatten)
        .map_err(StoreError::doing("read a place's code"))
}

pub(crate) fn place_codes(connection: &Connection) -> Result<Vec<PlaceCode>> {
    let doing = || StoreError::doing("read places' codes");
    let mut statement = connection
        .prepare_cached("SELECT code, device_no, zone FROM place_code ORDER BY code")
        .map_err(doing())?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, String>("code")?, place(row)?))).map_err(doing())?;
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(doing())?;
    Ok(rows.into_iter().filter_map(|(code, place)| Some(PlaceCode { code, place: place? })).collect())
}

/// The newest alert at a place that somebody still has to see to.
pub(crate) fn open_alert_at(connection: &Connection, subject: &Subject) -> Result<Option<AlertId>> {
    let (device, group) = match subject {
        Subject::Device(device) => (Some(device.0), None),
        Subject::Group(key) => (None, Some(&*key.id)),
    };
    connection
        .query_row(
            "SELECT id FROM alert WHERE condition = 'active' AND handling NOT IN ('verified', 'dismissed')
               AND (device_no = ?1 OR (?1 IS NULL AND group_kind = 'zone' AND group_id = ?2))
             ORDER BY id DESC LIMIT 1",
            params![device, group],
            |row| row.get::<_, i64>(0),
        )
        .optional()
        .map(|id| id.map(|id| AlertId(id as u64)))
        .map_err(StoreError::doing("look for an open alert"))
}
