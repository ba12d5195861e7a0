//! What the alert engine must remember across a restart.

use rusqlite::Connection;
use sanimon_alerting::{LevelState, OpenAlert, RestoredLevel, Rule, RuleNo, RuleSet};
use sanimon_domain::{AlertId, RuleId, Severity, Subject, TimestampMs};

use super::alerts::subject;
use super::rows::word;
use crate::error::{Result, StoreError};

/// A level's memory whose rule still exists.
pub type RememberedLevel = RestoredLevel;

/// The engine's memory as the file has it.
#[derive(Debug, Default, PartialEq)]
pub struct EngineMemory {
    pub levels: Vec<RememberedLevel>,
    pub open: Vec<(Subject, RuleNo, OpenAlert)>,
    /// Levels of rules that no longer exist, with the rule and the level's key.
    pub orphan_levels: Vec<(Subject, RuleId, Box<str>)>,
    /// When the last alert was cleared, of a rule that wants a gap, or of a group: its devices wait after it.
    pub cleared: Vec<(Subject, RuleNo, TimestampMs)>,
    /// Active alerts of rules that no longer exist: nothing will ever clear them but the caller.
    pub orphans: Vec<AlertId>,
    /// The first number that no alert has had.
    pub next_alert: u64,
    /// Rows that cannot be understood, each with what is wrong: the engine goes without them.
    pub damaged: Vec<String>,
}

impl EngineMemory {
    pub(crate) fn load(connection: &Connection, rules: &RuleSet) -> Result<Self> {
        let doing = || StoreError::doing("read the engine's memory");
        let mut memory = Self::default();
        let next: i64 = connection
            .query_row("SELECT coalesce(max(id), 0) + 1 FROM alert", [], |row| row.get(0))
            .map_err(doing())?;
        memory.next_alert = next as u64;

        let mut statement = connection
            .prepare(
                "SELECT id, rule_id, severity, device_no, group_kind, group_id FROM alert
                 WHERE condition = 'active' AND report_token IS NULL",
            )
            .map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            let id = AlertId(row.get::<_, i64>(0).map_err(doing())? as u64);
            let rule: String = row.get(1).map_err(doing())?;
            let (subject, severity) = match (subject(row), word(row, "severity", Severity::parse)) {
                (Ok(subject), Ok(severity)) => (subject, severity),
                (Err(error), _) | (_, Err(error)) => {
                    memory.damaged.push(format!("alert #{}: {error}", id.0));
                    continue;
                }
            };
            match rules.position(&rule) {
                Some(index) => memory.open.push((subject, RuleNo(index as u16), OpenAlert { id, severity })),
                None => memory.orphans.push(id),
            }
        }
        memory.load_levels(connection, rules)?;
        memory.load_cleared(connection, rules)?;
        Ok(memory)
    }

    fn load_cleared(&mut self, connection: &Connection, rules: &RuleSet) -> Result<()> {
        let doing = || StoreError::doing("read the engine's memory");
        let waits = |rule: &Rule| rule.gap_ms > 0 || rule.group.is_some();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| waits(rule)) {
            let mut statement = connection
                .prepare(
                    "SELECT max(cleared_at) AS cleared_at, device_no, group_kind, group_id FROM alert
                     WHERE rule_id = ?1 AND cleared_at IS NOT NULL GROUP BY device_no, group_kind, group_id",
                )
                .map_err(doing())?;
            let mut rows = statement.query([rule.id.as_str()]).map_err(doing())?;
            while let Some(row) = rows.next().map_err(doing())? {
                let cleared_at = TimestampMs(row.get("cleared_at").map_err(doing())?);
                match subject(row) {
                    Ok(subject) => self.cleared.push((subject, RuleNo(index as u16), cleared_at)),
                    Err(error) => self.damaged.push(format!("an alert of `{}`: {error}", rule.id)),
                }
            }
        }
        Ok(())
    }

    fn load_levels(&mut self, connection: &Connection, rules: &RuleSet) -> Result<()> {
        let doing = || StoreError::doing("read the engine's memory");
        let mut statement = connection
            .prepare(
                "SELECT rule_id, level_key, state, since, device_no, group_kind, group_id FROM rule_level",
            )
            .map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            let (rule, key): (String, String) = (row.get(0).map_err(doing())?, row.get(1).map_err(doing())?);
            let subject = match subject(row) {
                Ok(subject) => subject,
                Err(error) => {
                    self.damaged.push(format!("level `{key}` of rule `{rule}`: {error}"));
                    continue;
                }
            };
            let since = TimestampMs(row.get(3).map_err(doing())?);
            let parse = |text: &str| match text {
                "pending" => Some(LevelState::Pending { since }),
                "active" => Some(LevelState::Active { since }),
                _ => None,
            };
            let state = match word(row, "state", parse) {
                Ok(state) => state,
                Err(error) => {
                    self.damaged.push(format!("level `{key}` of rule `{rule}`: {error}"));
                    continue;
                }
            };
            let key = key.into_boxed_str();
            match (rules.position(&rule), RuleId::new(&rule)) {
                (Some(index), _) => {
                    self.levels.push(RestoredLevel { subject, rule: RuleNo(index as u16), key, state });
                }
                (None, Ok(rule)) => self.orphan_levels.push((subject, rule, key)),
                (None, Err(error)) => self.damaged.push(format!("level `{key}`: {error}")),
            }
        }
        Ok(())
    }
}
