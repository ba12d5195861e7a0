//! What the alert engine must remember across a restart.

use rusqlite::Connection;
use sanimon_alerting::{LevelState, OpenAlert, RestoredLevel, RuleNo, RuleSet};
use sanimon_domain::{AlertId, DeviceNo, Severity, TimestampMs};

use super::rows::word;
use crate::error::{Result, StoreError};

/// A level's memory whose rule still exists.
pub type RememberedLevel = RestoredLevel;

/// The engine's memory as the file has it.
#[derive(Debug, Default, PartialEq)]
pub struct EngineMemory {
    pub levels: Vec<RememberedLevel>,
    pub open: Vec<(DeviceNo, RuleNo, OpenAlert)>,
    /// Active alerts of rules that no longer exist: nothing will ever clear them but the caller.
    pub orphans: Vec<AlertId>,
    /// The first number that no alert has had.
    pub next_alert: u64,
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
            .prepare("SELECT id, device_no, rule_id, severity FROM alert WHERE condition = 'active'")
            .map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            let id = AlertId(row.get::<_, i64>(0).map_err(doing())? as u64);
            let device = DeviceNo(row.get(1).map_err(doing())?);
            let rule: String = row.get(2).map_err(doing())?;
            let severity = word(row, "severity", Severity::parse).map_err(doing())?;
            match rules.position(&rule) {
                Some(index) => memory.open.push((device, RuleNo(index as u16), OpenAlert { id, severity })),
                None => memory.orphans.push(id),
            }
        }
        memory.load_levels(connection, rules)?;
        Ok(memory)
    }

    fn load_levels(&mut self, connection: &Connection, rules: &RuleSet) -> Result<()> {
        let doing = || StoreError::doing("read the engine's memory");
        let mut statement = connection
            .prepare("SELECT device_no, rule_id, level_key, state, since FROM rule_level")
            .map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            let device = DeviceNo(row.get(0).map_err(doing())?);
            let (rule, key): (String, String) = (row.get(1).map_err(doing())?, row.get(2).map_err(doing())?);
            let since = TimestampMs(row.get(4).map_err(doing())?);
            let parse = |text: &str| match text {
                "pending" => Some(LevelState::Pending { since }),
                "active" => Some(LevelState::Active { since }),
                _ => None,
            };
            let state = word(row, "state", parse).map_err(doing())?;
            let found = rules.position(&rule).and_then(|index| {
                let level = rules.get(index)?.levels.iter().position(|level| level.key() == key)?;
                Some(RestoredLevel { device, rule: RuleNo(index as u16), level: level as u8, state })
            });
            self.levels.extend(found);
        }
        Ok(())
    }
}
