//! The engine's effects as rows.

use rusqlite::{Transaction, params};
use sanimon_alerting::{Effect, LevelState, Rule, RuleNo, RuleSet, Variant};
use sanimon_domain::{AlertId, Handling, RuleId, Severity, StepKind, Subject, TimestampMs};
use sanimon_operations::routing::Event;
use sanimon_operations::{OperationsSettings, lifecycle};

use super::conduct::{self, Change};
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

/// What the engine did, with all that turns it into rows.
pub(super) struct Effects<'a> {
    pub(super) all: &'a [Effect],
    pub(super) rules: &'a RuleSet,
    pub(super) conduct: &'a OperationsSettings,
}

/// An alert to be entered.
pub(super) struct NewAlert<'a> {
    pub(super) id: AlertId,
    pub(super) subject: &'a Subject,
    pub(super) rule: &'a RuleId,
    pub(super) rules_version: Option<i64>,
    /// English, Chinese.
    pub(super) title: [&'a str; 2],
    pub(super) metric: u16,
    pub(super) severity: Severity,
    pub(super) at: TimestampMs,
    pub(super) value: f64,
    /// Of the report that it comes from.
    pub(super) report_token: Option<&'a str>,
    pub(super) note: Option<&'a str>,
}

impl Effects<'_> {
    /// Writes the effects in order; gives the alerts that changed, each once.
    pub(super) fn write(&self, transaction: &Transaction<'_>) -> Result<Vec<AlertId>> {
        let mut changed: Vec<AlertId> = Vec::new();
        for effect in self.all {
            if let Some(alert) = self.write_one(transaction, effect)?
                && !changed.contains(&alert)
            {
                changed.push(alert);
            }
        }
        Ok(changed)
    }

    fn rule(&self, no: RuleNo) -> &Rule {
        self.rules.get(usize::from(no.0)).expect("effects are made with this rule set")
    }

    fn write_one(&self, transaction: &Transaction<'_>, effect: &Effect) -> Result<Option<AlertId>> {
        match effect {
            Effect::Level { subject, rule, variant, level, state } => {
                self.write_level(transaction, subject, (*rule, *variant, *level), *state)?;
                Ok(None)
            }
            Effect::Suppressed { window, at } => {
                super::windows::count_suppressed(transaction, *window, *at)?;
                Ok(None)
            }
            Effect::Raised { alert, subject, rule, severity, at, value } => {
                let rule = self.rule(*rule);
                let new = NewAlert {
                    id: *alert,
                    subject,
                    rule: &rule.id,
                    rules_version: Some(self.rules.version()).filter(|no| *no > 0),
                    title: [&rule.title.en, &rule.title.zh],
                    metric: rule.told_metric().0,
                    severity: *severity,
                    at: *at,
                    value: *value,
                    report_token: None,
                    note: None,
                };
                enter(transaction, self.conduct, &new)?;
                Ok(Some(*alert))
            }
            Effect::SeverityChanged { alert, from, to, at, value } => {
                conduct::sharpen(transaction, self.conduct, *alert, *to, *at)?;
                execute(
                    transaction,
                    "UPDATE alert SET severity = ?2, value = ?3, changed_at = ?4 WHERE id = ?1",
                    params![alert.0 as i64, to.as_str(), stored(*value), at.0],
                )?;
                append(transaction, &step(*alert, *at, StepKind::SeverityChanged, *to, *value))?;
                let event = if to > from { Event::Worsened } else { Event::Changed };
                self.tell(transaction, *alert, event, (*at, *value))
            }
            Effect::Cleared { alert, at, value } => {
                clear(transaction, *alert, *at, *value, None)?;
                verify_by_sensor(transaction, *alert, *at)?;
                self.tell(transaction, *alert, Event::Cleared, (*at, *value))
            }
            Effect::Replaced { alert, by, at } => {
                clear(transaction, *alert, *at, f64::NAN, Some(*by))?;
                self.tell(transaction, *alert, Event::Cleared, (*at, f64::NAN))
            }
        }
    }

    fn tell(
        &self,
        transaction: &Transaction<'_>,
        alert: AlertId,
        event: Event,
        (at, value): (TimestampMs, f64),
    ) -> Result<Option<AlertId>> {
        let change = Change { value: (!value.is_nan()).then_some(value), ..Change::new(alert, event, at) };
        conduct::after(transaction, self.conduct, &change)?;
        Ok(Some(alert))
    }

    fn write_level(
        &self,
        transaction: &Transaction<'_>,
        subject: &Subject,
        (rule, variant, level): (RuleNo, Variant, u8),
        state: LevelState,
    ) -> Result<()> {
        let rule = self.rule(rule);
        let key = rule.levels_of(variant).get(usize::from(level)).expect("a level of this rule").key();
        let (device, kind, group) = subject_columns(subject);
        let (kind, group) = (kind.unwrap_or_default(), group.unwrap_or_default());
        let (word, since) = match state {
            LevelState::Idle => {
                return execute(
                    transaction,
                    "DELETE FROM rule_level
                     WHERE device_no = ?1 AND group_kind = ?2 AND group_id = ?3 AND rule_id = ?4 AND level_key = ?5",
                    params![device.unwrap_or(-1), kind, group, rule.id.as_str(), key],
                );
            }
            LevelState::Pending { since } => ("pending", since),
            LevelState::Active { since } => ("active", since),
        };
        execute(
            transaction,
            "INSERT OR REPLACE INTO rule_level VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![device.unwrap_or(-1), kind, group, rule.id.as_str(), key, word, since.0],
        )
    }
}

fn subject_columns(subject: &Subject) -> (Option<i64>, Option<&str>, Option<&str>) {
    match subject {
        Subject::Device(device) => (Some(i64::from(device.0)), None, None),
        Subject::Group(key) => (None, Some(key.kind.as_str()), Some(&key.id)),
    }
}

/// SQLite stores NaN as null, and a level that was never read has no value.
fn stored(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

fn step<'a>(alert: AlertId, at: TimestampMs, kind: StepKind, severity: Severity, value: f64) -> NewStep<'a> {
    let value = (!value.is_nan()).then_some(value);
    NewStep { alert, at, kind, who: None, severity, value, note: None, assignee: None }
}

/// Enters an alert with its owner and its clocks, and tells whom it concerns.
pub(super) fn enter(
    transaction: &Transaction<'_>,
    conduct: &OperationsSettings,
    new: &NewAlert<'_>,
) -> Result<()> {
    let setting = conduct::setting(transaction, new.subject)?;
    let owner = conduct.teams.team_for(setting.facts()).to_owned();
    let deadlines = conduct.teams.deadlines(new.severity, setting.zone_class, new.at);
    let (device, group_kind, group_id) = subject_columns(new.subject);
    execute(
        transaction,
        "INSERT INTO alert (id, device_no, group_kind, group_id, rule_id, rules_version, title_en, title_zh, metric_no,
           zone, severity, condition, handling, value, raised_at, changed_at, assignee, acknowledge_by, arrive_by,
           resolve_by, report_token)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'active', 'new', ?12, ?13, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            new.id.0 as i64,
            device,
            group_kind,
            group_id,
            new.rule.as_str(),
            new.rules_version,
            new.title[0],
            new.title[1],
            new.metric,
            setting.zone.as_ref().map(sanimon_domain::ZoneId::as_str),
            new.severity.as_str(),
            stored(new.value),
            new.at.0,
            owner,
            deadlines.acknowledge_by.map(|at| at.0),
            deadlines.arrive_by.map(|at| at.0),
            deadlines.resolve_by.map(|at| at.0),
            new.report_token,
        ],
    )?;
    let raised = step(new.id, new.at, StepKind::Raised, new.severity, new.value);
    append(transaction, &NewStep { note: new.note, assignee: Some(&owner), ..raised })?;
    let value = (!new.value.is_nan()).then_some(new.value);
    let change = Change { value, note: new.note, ..Change::new(new.id, Event::Raised, new.at) };
    conduct::after(transaction, conduct, &change)
}

fn clear(
    transaction: &Transaction<'_>,
    alert: AlertId,
    at: TimestampMs,
    value: f64,
    replaced_by: Option<AlertId>,
) -> Result<()> {
    execute(
        transaction,
        "UPDATE alert SET condition = 'cleared', value = coalesce(?2, value), changed_at = ?3, cleared_at = ?3,
           replaced_by = ?4 WHERE id = ?1",
        params![alert.0 as i64, value_column(value), at.0, replaced_by.map(|by| by.0 as i64)],
    )?;
    let severity = severity_of(transaction, alert)?;
    let (kind, note) = match replaced_by {
        None => (StepKind::Cleared, None),
        Some(by) => (StepKind::Replaced, Some(format!("#{}", by.0))),
    };
    let cleared = step(alert, at, kind, severity, value);
    append(transaction, &NewStep { note: note.as_deref(), ..cleared })
}

fn value_column(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
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

pub(super) fn execute(transaction: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    transaction
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map(|_| ())
        .map_err(StoreError::doing("write an alert"))
}
