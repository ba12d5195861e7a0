//! Alerts and their histories.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use sanimon_domain::{
    AlertId, Condition, DeviceKind, DeviceNo, GroupKind, Handling, MetricNo, RuleId, Severity, StepKind,
    Subject, TimestampMs, ZoneId,
};
use sanimon_operations::Deadlines;

use super::Page;
use super::rows::{optional_time, time, word};
use crate::error::{Result, StoreError};
use crate::model::{Alert, Step};

/// Which alerts; an empty list selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    pub conditions: Vec<Condition>,
    pub handlings: Vec<Handling>,
    pub severities: Vec<Severity>,
    pub zones: Vec<String>,
    /// Teams or persons whose alerts are wanted.
    pub assignees: Vec<String>,
    pub device: Option<DeviceNo>,
    pub kinds: Vec<DeviceKind>,
    pub metrics: Vec<MetricNo>,
    pub rules: Vec<RuleId>,
    /// Open at some time from here on.
    pub from: Option<TimestampMs>,
    /// Raised before this.
    pub to: Option<TimestampMs>,
    /// The cursor of the page before: alerts with a smaller number.
    pub before: Option<i64>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Alert> {
    Ok(Alert {
        id: AlertId(row.get::<_, i64>("id")? as u64),
        subject: subject(row)?,
        rule: word(row, "rule_id", |text| RuleId::new(text).ok())?,
        rules_version: row.get("rules_version")?,
        title_en: row.get("title_en")?,
        title_zh: row.get("title_zh")?,
        metric: MetricNo(row.get("metric_no")?),
        zone: row.get::<_, Option<String>>("zone")?.and_then(|id| ZoneId::new(&id).ok()),
        severity: word(row, "severity", Severity::parse)?,
        condition: word(row, "condition", Condition::parse)?,
        handling: word(row, "handling", Handling::parse)?,
        value: row.get("value")?,
        raised_at: time(row, "raised_at")?,
        changed_at: time(row, "changed_at")?,
        cleared_at: optional_time(row, "cleared_at")?,
        replaced_by: row.get::<_, Option<i64>>("replaced_by")?.map(|id| AlertId(id as u64)),
        deadlines: Deadlines {
            acknowledge_by: optional_time(row, "acknowledge_by")?,
            arrive_by: optional_time(row, "arrive_by")?,
            resolve_by: optional_time(row, "resolve_by")?,
        },
        arrived_at: optional_time(row, "arrived_at")?,
        escalations: row.get("escalations")?,
        escalated_at: optional_time(row, "escalated_at")?,
        escalated_to: row.get("escalated_to")?,
        acknowledged_at: optional_time(row, "acknowledged_at")?,
        assignee: row.get("assignee")?,
        handled_by: row.get("handled_by")?,
        handled_at: optional_time(row, "handled_at")?,
        closed_at: optional_time(row, "closed_at")?,
    })
}

/// A device or a group.
pub(crate) fn subject(row: &Row<'_>) -> rusqlite::Result<Subject> {
    let device: Option<i64> = row.get("device_no")?;
    if let Some(device) = device.filter(|no| *no >= 0) {
        return Ok(Subject::Device(DeviceNo(device as u32)));
    }
    let kind = word(row, "group_kind", GroupKind::parse)?;
    Ok(Subject::group(kind, &row.get::<_, String>("group_id")?))
}

pub(crate) fn alert(connection: &Connection, id: AlertId) -> Result<Option<Alert>> {
    connection
        .prepare_cached("SELECT * FROM alert WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id.0 as i64], from_row).optional())
        .map_err(StoreError::doing("read an alert"))
}

pub(crate) fn steps(connection: &Connection, id: AlertId) -> Result<Vec<Step>> {
    let doing = || StoreError::doing("read an alert's history");
    let mut statement = connection
        .prepare_cached("SELECT * FROM alert_step WHERE alert_id = ?1 ORDER BY n")
        .map_err(doing())?;
    let rows = statement.query_map([id.0 as i64], step_from_row);
    rows.and_then(Iterator::collect).map_err(doing())
}

/// Alerts that were open at some time from `from` until before `to`, with their histories, the oldest first.
pub(crate) fn alerts_between(
    connection: &Connection,
    from: TimestampMs,
    to: TimestampMs,
) -> Result<Vec<(Alert, Vec<Step>)>> {
    let doing = || StoreError::doing("read alerts with their histories");
    let wanted = "raised_at < ?2 AND (cleared_at IS NULL OR cleared_at >= ?1 OR closed_at >= ?1)";
    let mut statement = connection
        .prepare_cached(&format!("SELECT * FROM alert WHERE {wanted} ORDER BY id"))
        .map_err(doing())?;
    let rows = statement.query_map([from.0, to.0], from_row).map_err(doing())?;
    let mut found: Vec<(Alert, Vec<Step>)> = rows
        .map(|alert| alert.map(|alert| (alert, Vec::new())))
        .collect::<rusqlite::Result<_>>()
        .map_err(doing())?;
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
            steps.push(step_from_row(row).map_err(doing())?);
        }
    }
    Ok(found)
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

/// The newest alerts first.
pub(crate) fn alerts(connection: &Connection, filter: &AlertFilter, limit: usize) -> Result<Page<Alert>> {
    let mut sql = String::from("SELECT * FROM alert WHERE 1");
    let mut values: Vec<Value> = Vec::new();
    let mut one_of = |column: &str, words: Vec<&str>| {
        if !words.is_empty() {
            sql.push_str(&format!(" AND {column} IN ({})", vec!["?"; words.len()].join(",")));
            values.extend(words.into_iter().map(|word| Value::Text(word.to_owned())));
        }
    };
    one_of("condition", filter.conditions.iter().map(|c| c.as_str()).collect());
    one_of("handling", filter.handlings.iter().map(|h| h.as_str()).collect());
    one_of("severity", filter.severities.iter().map(|s| s.as_str()).collect());
    one_of("assignee", filter.assignees.iter().map(String::as_str).collect());
    one_of("rule_id", filter.rules.iter().map(RuleId::as_str).collect());
    if !filter.zones.is_empty() {
        let places = vec!["?"; filter.zones.len()].join(",");
        sql.push_str(&format!(" AND zone IN ({places})"));
        values.extend(filter.zones.iter().cloned().map(Value::Text));
    }
    if !filter.kinds.is_empty() {
        let places = vec!["?"; filter.kinds.len()].join(",");
        sql.push_str(&format!(" AND device_no IN (SELECT no FROM device WHERE kind IN ({places}))"));
        values.extend(filter.kinds.iter().map(|kind| Value::Text(kind.as_str().to_owned())));
    }
    if !filter.metrics.is_empty() {
        let places = vec!["?"; filter.metrics.len()].join(",");
        sql.push_str(&format!(" AND metric_no IN ({places})"));
        values.extend(filter.metrics.iter().map(|metric| Value::Integer(i64::from(metric.0))));
    }
    if let Some(from) = filter.from {
        sql.push_str(" AND (cleared_at IS NULL OR cleared_at >= ?)");
        values.push(Value::Integer(from.0));
    }
    if let Some(to) = filter.to {
        sql.push_str(" AND raised_at < ?");
        values.push(Value::Integer(to.0));
    }
    if let Some(device) = filter.device {
        sql.push_str(" AND device_no = ?");
        values.push(Value::Integer(i64::from(device.0)));
    }
    if let Some(before) = filter.before {
        sql.push_str(" AND id < ?");
        values.push(Value::Integer(before));
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(Value::Integer(limit as i64 + 1));

    let doing = || StoreError::doing("read alerts");
    let mut statement = connection.prepare_cached(&sql).map_err(doing())?;
    let rows = statement.query_map(params_from_iter(values), from_row);
    let items = rows.and_then(Iterator::collect).map_err(doing())?;
    Ok(Page::of(items, limit, |alert: &Alert| alert.id.0 as i64))
}
