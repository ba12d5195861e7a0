//! Single alerts and their histories.

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};
use sanimon_domain::{
    AlertId, Condition, DeviceNo, GroupKind, Handling, MetricNo, RuleId, Severity, StepKind, Subject,
    TimestampMs, ZoneId,
};
use sanimon_operations::Deadlines;

use super::rows::{time, unknown_word, word};
use crate::damage::Damage;
use crate::error::{Result, StoreError};
use crate::model::{Alert, Step};

/// What is read of an alert, in the order in which [`from_row`] takes it. Columns are taken by their places: a page of the board is
/// 1,000 alerts, and looking each of their columns up by its name took longer than all the rest.
pub(super) const COLUMNS: &str = "id, device_no, group_kind, group_id, rule_id, rules_version, title_en, title_zh, metric_no, \
    zone, severity, condition, handling, value, raised_at, known_at, changed_at, cleared_at, replaced_by, acknowledge_by, arrive_by, \
    resolve_by, arrived_at, escalations, escalated_at, escalated_to, escalate_at, report_token IS NOT NULL, acknowledged_at, \
     assignee, handled_by, handled_at, closed_at";

/// The cells of a row, from left to right.
struct Cells<'row, 'statement> {
    row: &'row Row<'statement>,
    next: usize,
}

impl Cells<'_, '_> {
    fn take<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let value = self.row.get(self.next);
        self.next += 1;
        value
    }

    fn time(&mut self) -> rusqlite::Result<Option<TimestampMs>> {
        Ok(self.take::<Option<i64>>()?.map(TimestampMs))
    }

    fn word<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
        let place = self.next;
        self.next += 1;
        let text = self.row.get_ref(place)?.as_str()?;
        parse(text)
            .ok_or_else(|| unknown_word(text, self.row.as_ref().column_name(place).unwrap_or_default()))
    }
}

/// From a row of [`COLUMNS`].
fn from_row(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let mut cells = Cells { row, next: 0 };
    // As they stand here: fields are evaluated in the order in which they are written.
    Ok(Alert {
        id: AlertId(cells.take::<i64>()? as u64),
        subject: {
            let (device, kind, id): (Option<i64>, Option<String>, Option<String>) =
                (cells.take()?, cells.take()?, cells.take()?);
            subject_of(device, kind, id)?
        },
        rule: cells.word(|text| RuleId::new(text).ok())?,
        rules_version: cells.take()?,
        title_en: cells.take()?,
        title_zh: cells.take()?,
        metric: MetricNo(cells.take()?),
        zone: cells.take::<Option<String>>()?.and_then(|id| ZoneId::new(&id).ok()),
        severity: cells.word(Severity::parse)?,
        condition: cells.word(Condition::parse)?,
        handling: cells.word(Handling::parse)?,
        value: cells.take()?,
        raised_at: TimestampMs(cells.take()?),
        known_at: TimestampMs(cells.take()?),
        changed_at: TimestampMs(cells.take()?),
        cleared_at: cells.time()?,
        replaced_by: cells.take::<Option<i64>>()?.map(|id| AlertId(id as u64)),
        deadlines: Deadlines {
            acknowledge_by: cells.time()?,
            arrive_by: cells.time()?,
            resolve_by: cells.time()?,
        },
        arrived_at: cells.time()?,
        escalations: cells.take()?,
        escalated_at: cells.time()?,
        escalated_to: cells.take()?,
        next_escalation_at: cells.time()?,
        is_report: cells.take()?,
        acknowledged_at: cells.time()?,
        assignee: cells.take()?,
        handled_by: cells.take()?,
        handled_at: cells.time()?,
        closed_at: cells.time()?,
    })
}

/// A row of a list. One that cannot be understood is noted and left out: the others are wanted all the same.
pub(super) fn understood(row: &Row<'_>, damage: &Damage) -> rusqlite::Result<Option<Alert>> {
    match from_row(row) {
        Ok(alert) => Ok(Some(alert)),
        Err(error) => {
            damage.note_alert(row.get(0)?, &error);
            Ok(None)
        }
    }
}

/// A device or a group.
pub(crate) fn subject(row: &Row<'_>) -> rusqlite::Result<Subject> {
    subject_of(row.get("device_no")?, row.get("group_kind")?, row.get("group_id")?)
}

/// Groups have no device's number, or a negative one where it is part of a key; devices may have empty words for a group.
fn subject_of(device: Option<i64>, kind: Option<String>, id: Option<String>) -> rusqlite::Result<Subject> {
    if let Some(device) = device.filter(|no| *no >= 0) {
        return Ok(Subject::Device(DeviceNo(device as u32)));
    }
    let kind = kind.unwrap_or_default();
    let known = GroupKind::parse(&kind).ok_or_else(|| unknown_word(&kind, "group_kind"))?;
    let id = id.ok_or_else(|| unknown_word("", "group_id"))?;
    Ok(Subject::group(known, &id))
}

/// An alert; its row may say what cannot be understood.
pub(crate) fn alert(connection: &Connection, id: AlertId) -> Result<Option<Alert>> {
    let doing = || StoreError::doing("read an alert");
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM alert WHERE id = ?1")).map_err(doing())?;
    let mut rows = statement.query([id.0 as i64]).map_err(doing())?;
    let Some(row) = rows.next().map_err(doing())? else { return Ok(None) };
    let damaged = |error| StoreError::Damaged { what: "an alert", detail: format!("#{}: {error}", id.0) };
    from_row(row).map(Some).map_err(damaged)
}

/// The history of an alert, without entries that cannot be understood.
pub(crate) fn steps(connection: &Connection, damage: &Damage, id: AlertId) -> Result<Vec<Step>> {
    let doing = || StoreError::doing("read an alert's history");
    let mut statement = connection
        .prepare_cached("SELECT * FROM alert_step WHERE alert_id = ?1 ORDER BY n")
        .map_err(doing())?;
    let mut rows = statement.query([id.0 as i64]).map_err(doing())?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next().map_err(doing())? {
        steps.extend(understood_step(row, damage).map_err(doing())?);
    }
    Ok(steps)
}

/// Tells of each alert, and of each entry of a history, that cannot be understood.
pub(crate) fn each_damaged(connection: &Connection, mut tell: impl FnMut(String)) -> Result<()> {
    let doing = || StoreError::doing("read alerts");
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM alert ORDER BY id")).map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        if let Err(error) = from_row(row) {
            let id: i64 = row.get(0).map_err(doing())?;
            tell(format!("alert {id}: {error}"));
        }
    }
    let mut statement =
        connection.prepare("SELECT * FROM alert_step ORDER BY alert_id, n").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        if let Err(error) = step_from_row(row) {
            let (alert, n) = step_no(row).map_err(doing())?;
            tell(format!("alert {alert}, entry {n} of its history: {error}"));
        }
    }
    Ok(())
}

/// Alerts that were open at some time from `from` until before `to`, with their histories, the oldest first.
pub(crate) fn alerts_between(
    connection: &Connection,
    damage: &Damage,
    from: TimestampMs,
    to: TimestampMs,
) -> Result<Vec<(Alert, Vec<Step>)>> {
    let doing = || StoreError::doing("read alerts with their histories");
    let wanted = "raised_at < ?2 AND (cleared_at IS NULL OR cleared_at >= ?1 OR closed_at >= ?1)";
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM alert WHERE {wanted} ORDER BY id"))
        .map_err(doing())?;
    let mut rows = statement.query([from.0, to.0]).map_err(doing())?;
    let mut found: Vec<(Alert, Vec<Step>)> = Vec::new();
    while let Some(row) = rows.next().map_err(doing())? {
        found.extend(understood(row, damage).map_err(doing())?.map(|alert| (alert, Vec::new())));
    }
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT * FROM alert_step WHERE alert_id IN (SELECT id FROM alert WHERE {wanted}) ORDER BY alert_id, n"
        ))
        .map_err(doing())?;
    let mut rows = statement.query([from.0, to.0]).map_err(doing())?;
    let mut place = 0;
    while let Some(row) = rows.next().map_err(doing())? {
        let alert = row.get::<_, i64>("alert_id").map_err(doing())? as u64;
        while found.get(place).is_some_and(|(known, _)| known.id.0 < alert) {
            place += 1;
        }
        if let Some((known, steps)) = found.get_mut(place)
            && known.id.0 == alert
        {
            steps.extend(understood_step(row, damage).map_err(doing())?);
        }
    }
    Ok(found)
}

/// An entry of a history. One that cannot be understood is noted and left out.
fn understood_step(row: &Row<'_>, damage: &Damage) -> rusqlite::Result<Option<Step>> {
    match step_from_row(row) {
        Ok(step) => Ok(Some(step)),
        Err(error) => {
            let (alert, n) = step_no(row)?;
            damage.note_step(alert, n, &error);
            Ok(None)
        }
    }
}

/// Whose history it belongs to, and its place there.
fn step_no(row: &Row<'_>) -> rusqlite::Result<(i64, i64)> {
    Ok((row.get("alert_id")?, row.get("n")?))
}

fn step_from_row(row: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step {
        at: time(row, "at")?,
        kind: word(row, "kind", StepKind::parse)?,
        who: row.get("who")?,
        severity: word(row, "severity", Severity::parse)?,
        value: row.get("value")?,
        note: row.get("note")?,
        assignee: row.get("assignee")?,
    })
}
