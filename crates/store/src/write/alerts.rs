//! The engine's effects as rows.

use rusqlite::{Transaction, params};
use sanimon_alerting::{Effect, LevelState, RuleNo, RuleSet, acknowledge_within_ms, lifecycle};
use sanimon_domain::{AlertId, DeviceNo, Handling, Severity, StepKind, TimestampMs};

use crate::error::{Result, StoreError};
use crate::read;

/// A new entry of an alert's history.
pub(super) struct NewStep<'a> {
    pub(super) alert: AlertId,
    pub(super) at: TimestampMs,
    pub(super) kind: StepKind,
    pub(super) who: Option<&'a str>,
    pub(super) severity: Severity,
    pub(super) value: Option<f64>,
    pub(super) note: Option<&'a str>,
    pub(super) assignee: Option<&'a str>,
}

/// Writes the effects in order; gives the alerts that changed, each once.
pub(super) fn write(
    transaction: &Transaction<'_>,
    effects: &[Effect],
    rules: &RuleSet,
) -> Result<Vec<AlertId>> {
    let mut changed: Vec<AlertId> = Vec::new();
    for effect in effects {
        let alert = match *effect {
            Effect::Level { device, rule, level, state } => {
                write_level(transaction, rules, (device, rule, level), state)?;
                continue;
            }
            Effect::Raised { alert, device, rule, severity, at, value } => {
                write_raised(transaction, rules, (alert, device, rule), severity, at, value)?;
                alert
            }
            Effect::SeverityChanged { alert, to, at, value, .. } => {
                let acknowledge_by = acknowledge_within_ms(to).map(|ms| at.plus_ms(ms).0);
                execute(
                    transaction,
                    "UPDATE alert SET severity = ?2, value = ?3, changed_at = ?4,
                       acknowledge_by = CASE WHEN acknowledged_at IS NULL
                         THEN min(coalesce(acknowledge_by, ?5), coalesce(?5, acknowledge_by)) ELSE acknowledge_by END
                     WHERE id = ?1",
                    params![alert.0 as i64, to.as_str(), stored(value), at.0, acknowledge_by],
                )?;
                append(transaction, &step(alert, at, StepKind::SeverityChanged, to, value))?;
                alert
            }
            Effect::Cleared { alert, at, value } => {
                execute(
                    transaction,
                    "UPDATE alert SET condition = 'cleared', value = ?2, changed_at = ?3, cleared_at = ?3 WHERE id = ?1",
                    params![alert.0 as i64, stored(value), at.0],
                )?;
                let severity = severity_of(transaction, alert)?;
                append(transaction, &step(alert, at, StepKind::Cleared, severity, value))?;
                verify_by_sensor(transaction, alert, at)?;
                alert
            }
        };
        if !changed.contains(&alert) {
            changed.push(alert);
        }
    }
    Ok(changed)
}

/// SQLite stores NaN as null, and a level that was never read has no value.
fn stored(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

fn step<'a>(alert: AlertId, at: TimestampMs, kind: StepKind, severity: Severity, value: f64) -> NewStep<'a> {
    let value = (!value.is_nan()).then_some(value);
    NewStep { alert, at, kind, who: None, severity, value, note: None, assignee: None }
}

fn write_raised(
    transaction: &Transaction<'_>,
    rules: &RuleSet,
    (alert, device, rule): (AlertId, DeviceNo, RuleNo),
    severity: Severity,
    at: TimestampMs,
    value: f64,
) -> Result<()> {
    let rule = rules.get(usize::from(rule.0)).expect("effects are made with this rule set");
    let acknowledge_by = acknowledge_within_ms(severity).map(|ms| at.plus_ms(ms).0);
    execute(
        transaction,
        "INSERT INTO alert (id, device_no, rule_id, title_en, title_zh, metric_no, severity, condition, handling,
           value, raised_at, changed_at, acknowledge_by, assignee)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'active', 'new', ?8, ?9, ?9, ?10, (SELECT team FROM device WHERE no = ?2))",
        params![
            alert.0 as i64,
            device.0,
            rule.id.as_str(),
            rule.title.en,
            rule.title.zh,
            rule.metric.0,
            severity.as_str(),
            stored(value),
            at.0,
            acknowledge_by
        ],
    )?;
    append(transaction, &step(alert, at, StepKind::Raised, severity, value))
}

fn write_level(
    transaction: &Transaction<'_>,
    rules: &RuleSet,
    (device, rule, level): (DeviceNo, RuleNo, u8),
    state: LevelState,
) -> Result<()> {
    let rule = rules.get(usize::from(rule.0)).expect("effects are made with this rule set");
    let key = rule.levels.get(usize::from(level)).expect("a level of this rule").key();
    let (word, since) = match state {
        LevelState::Idle => {
            return execute(
                transaction,
                "DELETE FROM rule_level WHERE device_no = ?1 AND rule_id = ?2 AND level_key = ?3",
                params![device.0, rule.id.as_str(), key],
            );
        }
        LevelState::Pending { since } => ("pending", since),
        LevelState::Active { since } => ("active", since),
    };
    execute(
        transaction,
        "INSERT OR REPLACE INTO rule_level VALUES (?1, ?2, ?3, ?4, ?5)",
        params![device.0, rule.id.as_str(), key, word, since.0],
    )
}

/// Appends to an alert's history.
pub(super) fn append(transaction: &Transaction<'_>, step: &NewStep<'_>) -> Result<()> {
    execute(
        transaction,
        "INSERT INTO alert_step (alert_id, n, at, kind, who, severity, value, note, assignee)
         VALUES (?1, (SELECT coalesce(max(n), 0) + 1 FROM alert_step WHERE alert_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            step.alert.0 as i64,
            step.at.0,
            step.kind.as_str(),
            step.who,
            step.severity.as_str(),
            step.value,
            step.note,
            step.assignee
        ],
    )
}

/// Closes an alert that people have handled and the sensor calls clear. True if it was so.
pub(super) fn verify_by_sensor(
    transaction: &Transaction<'_>,
    alert: AlertId,
    at: TimestampMs,
) -> Result<bool> {
    let Some(found) = read::alert(transaction, alert)? else { return Ok(false) };
    if !lifecycle::verified_by_sensor(found.handling, found.condition) {
        return Ok(false);
    }
    execute(
        transaction,
        "UPDATE alert SET handling = ?2, closed_at = ?3, changed_at = max(changed_at, ?3) WHERE id = ?1",
        params![alert.0 as i64, Handling::Verified.as_str(), at.0],
    )?;
    append(transaction, &step(alert, at, StepKind::Verified, found.severity, f64::NAN))?;
    Ok(true)
}

fn severity_of(transaction: &Transaction<'_>, alert: AlertId) -> Result<Severity> {
    let word: String = transaction
        .prepare_cached("SELECT severity FROM alert WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([alert.0 as i64], |row| row.get(0)))
        .map_err(StoreError::doing("read an alert"))?;
    Severity::parse(&word)
        .ok_or_else(|| StoreError::Damaged { what: "an alert", detail: format!("the severity `{word}`") })
}

fn execute(transaction: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    transaction
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map(|_| ())
        .map_err(StoreError::doing("write an alert"))
}
