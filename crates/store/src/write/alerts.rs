//! Alerts, their histories, and what the engine must remember of rules.

use rusqlite::{OptionalExtension, Row, params};
use sanimon_alerting::{LevelState, RuleSet};
use sanimon_domain::{
    AlertId, DeviceKind, DeviceNo, GroupKind, RuleId, Severity, StepKind, Subject, TimestampMs, ZoneClass,
    ZoneId,
};

use crate::error::{Result, StoreError};
use crate::model::{Alert, CaseSetting};
use crate::read::{self, EngineMemory};
use crate::sqlite::Tx;

/// A new entry of an alert's history.
#[derive(Debug, Clone, Copy)]
pub struct NewStep<'a> {
    pub alert: AlertId,
    pub at: TimestampMs,
    pub kind: StepKind,
    /// `None`: the engine.
    pub who: Option<&'a str>,
    pub severity: Severity,
    pub value: Option<f64>,
    pub note: Option<&'a str>,
    pub assignee: Option<&'a str>,
}

/// What is remembered of a level of a rule on a subject.
#[derive(Debug, Clone, Copy)]
pub struct LevelRow<'a> {
    pub subject: &'a Subject,
    pub rule: &'a RuleId,
    pub key: &'a str,
    pub state: LevelState,
}

fn subject_columns(subject: &Subject) -> (Option<i64>, Option<&str>, Option<&str>) {
    match subject {
        Subject::Device(device) => (Some(i64::from(device.0)), None, None),
        Subject::Group(key) => (None, Some(key.kind.as_str()), Some(&key.id)),
    }
}

fn ms(at: Option<TimestampMs>) -> Option<i64> {
    at.map(|at| at.0)
}

impl Tx<'_> {
    /// An alert as the transaction sees it.
    pub fn alert(&self, id: AlertId) -> Result<Option<Alert>> {
        self.read("read an alert", |connection| read::alert(connection, id))
    }

    /// Enters a new alert; `report_token`: of the resident's report that opens it.
    pub fn insert_alert(&self, alert: &Alert, report_token: Option<&str>) -> Result<()> {
        let (device, group_kind, group_id) = subject_columns(&alert.subject);
        self.run(
            "write an alert",
            "INSERT INTO alert (id, device_no, group_kind, group_id, rule_id, rules_version, title_en, title_zh, metric_no,
               zone, severity, condition, handling, value, raised_at, known_at, changed_at, report_token)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
            params![
                alert.id.0 as i64,
                device,
                group_kind,
                group_id,
                alert.rule.as_str(),
                alert.rules_version,
                alert.title_en,
                alert.title_zh,
                alert.metric.0,
                alert.zone.as_ref().map(ZoneId::as_str),
                alert.severity.as_str(),
                alert.condition.as_str(),
                alert.handling.as_str(),
                alert.value,
                alert.raised_at.0,
                alert.known_at.0,
                alert.changed_at.0,
                report_token,
            ],
        )?;
        self.update_alert(alert)
    }

    /// Writes all of an alert that can change.
    pub fn update_alert(&self, alert: &Alert) -> Result<()> {
        self.run(
            "write an alert",
            "UPDATE alert SET severity = ?2, condition = ?3, handling = ?4, value = ?5, changed_at = ?6, cleared_at = ?7,
               replaced_by = ?8, assignee = ?9, acknowledge_by = ?10, acknowledged_at = ?11, arrive_by = ?12,
               arrived_at = ?13, resolve_by = ?14, handled_by = ?15, handled_at = ?16, closed_at = ?17, escalations = ?18,
               escalated_at = ?19, escalated_to = ?20, escalate_at = ?21 WHERE id = ?1",
            params![
                alert.id.0 as i64,
                alert.severity.as_str(),
                alert.condition.as_str(),
                alert.handling.as_str(),
                alert.value,
                alert.changed_at.0,
                ms(alert.cleared_at),
                alert.replaced_by.map(|by| by.0 as i64),
                alert.assignee,
                ms(alert.deadlines.acknowledge_by),
                ms(alert.acknowledged_at),
                ms(alert.deadlines.arrive_by),
                ms(alert.arrived_at),
                ms(alert.deadlines.resolve_by),
                alert.handled_by,
                ms(alert.handled_at),
                ms(alert.closed_at),
                alert.escalations,
                ms(alert.escalated_at),
                alert.escalated_to,
                ms(alert.next_escalation_at),
            ],
        )?;
        Ok(())
    }

    /// Appends to an alert's history. Nothing there is ever changed.
    pub fn append_step(&self, step: &NewStep<'_>) -> Result<()> {
        self.run(
            "write an alert's history",
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
        )?;
        Ok(())
    }

    /// What the engine must remember of a level; an idle one has no row.
    pub fn put_level(&self, level: &LevelRow<'_>) -> Result<()> {
        const DOING: &str = "write a rule's level";
        let (device, kind, group) = subject_columns(level.subject);
        let (device, kind, group) =
            (device.unwrap_or(-1), kind.unwrap_or_default(), group.unwrap_or_default());
        let (word, since) = match level.state {
            LevelState::Idle => {
                let sql = "DELETE FROM rule_level WHERE device_no = ?1 AND group_kind = ?2 AND group_id = ?3
                             AND rule_id = ?4 AND level_key = ?5";
                self.run(DOING, sql, params![device, kind, group, level.rule.as_str(), level.key])?;
                return Ok(());
            }
            LevelState::Pending { since } => ("pending", since),
            LevelState::Active { since } => ("active", since),
        };
        let sql = "INSERT OR REPLACE INTO rule_level VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.run(DOING, sql, params![device, kind, group, level.rule.as_str(), level.key, word, since.0])?;
        Ok(())
    }

    /// Where a subject is, as far as the owner and the deadlines of its case depend on it.
    pub fn case_setting(&self, subject: &Subject) -> Result<CaseSetting> {
        const DOING: &str = "read where an alert is";
        let mut setting = CaseSetting::default();
        match subject {
            Subject::Device(device) => setting = self.device_setting(*device)?.unwrap_or_default(),
            Subject::Group(key) if key.kind == GroupKind::Zone => setting.zone = ZoneId::new(&key.id).ok(),
            Subject::Group(_) => {}
        }
        if let Some(zone) = &setting.zone {
            let class = "SELECT class FROM zone WHERE id = ?1";
            let class: Option<String> = self.row(DOING, class, [zone.as_str()], |row| row.get(0))?;
            setting.zone_class = class.as_deref().and_then(ZoneClass::parse);
        }
        Ok(setting)
    }

    fn device_setting(&self, device: DeviceNo) -> Result<Option<CaseSetting>> {
        let read = |row: &Row<'_>| {
            let (kind, zone): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            Ok(CaseSetting {
                kind: DeviceKind::parse(&kind),
                zone: zone.and_then(|zone| ZoneId::new(&zone).ok()),
                zone_class: None,
                team: row.get(2)?,
            })
        };
        self.row(
            "read where an alert is",
            "SELECT kind, zone, team FROM device WHERE no = ?1",
            [device.0],
            read,
        )
    }

    /// The alerts whose missed deadline is to be told by now, the longest overdue first.
    pub fn missed_deadlines(&self, now: TimestampMs, limit: usize) -> Result<Vec<AlertId>> {
        const DOING: &str = "read the deadlines";
        let sql = "SELECT id FROM alert WHERE escalate_at IS NOT NULL AND escalate_at <= ?1 ORDER BY escalate_at, id LIMIT ?2";
        self.read(DOING, |connection| {
            let mut statement = connection.prepare_cached(sql).map_err(StoreError::doing(DOING))?;
            let ids = statement
                .query_map(params![now.0, limit as i64], |row| Ok(AlertId(row.get::<_, i64>(0)? as u64)));
            ids.and_then(Iterator::collect).map_err(StoreError::doing(DOING))
        })
    }

    /// No deadline of this alert is told any more: its row cannot be understood.
    pub fn stop_escalation(&self, alert: AlertId) -> Result<()> {
        self.run(
            "set a damaged alert aside",
            "UPDATE alert SET escalate_at = NULL WHERE id = ?1",
            [alert.0 as i64],
        )?;
        Ok(())
    }

    /// What the engine must remember, as the transaction sees it.
    pub fn engine_memory(&self, rules: &RuleSet) -> Result<EngineMemory> {
        self.read("read the engine's memory", |connection| EngineMemory::load(connection, rules))
    }

    /// When the next missed deadline is to be told.
    pub fn next_escalation(&self) -> Result<Option<TimestampMs>> {
        self.read("read the deadlines", next_escalation)
    }

    /// The open alert of a place that a resident's report joins.
    pub fn open_alert_at(&self, subject: &Subject) -> Result<Option<AlertId>> {
        self.read("read the alerts of a place", |connection| read::open_alert_at(connection, subject))
    }
}

/// When the next missed deadline is to be told.
pub(crate) fn next_escalation(connection: &rusqlite::Connection) -> Result<Option<TimestampMs>> {
    connection
        .query_row("SELECT min(escalate_at) FROM alert WHERE escalate_at IS NOT NULL", [], |row| {
            row.get::<_, Option<i64>>(0)
        })
        .optional()
        .map(|at| at.flatten().map(TimestampMs))
        .map_err(StoreError::doing("read the deadlines"))
}
