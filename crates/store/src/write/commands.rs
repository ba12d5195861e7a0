//! What people ask for, each in one transaction.

use rusqlite::params;
use sanimon_alerting::lifecycle;
use sanimon_domain::{DeviceId, DeviceNo, Handling, TimestampMs};

use super::{Writer, alerts, commit};
use crate::command::{AlertAction, CommandError};
use crate::error::{Result, StoreError};
use crate::feed::Committed;
use crate::model::{Account, Alert, Device, DeviceState, Zone};

type Outcome<T> = std::result::Result<T, CommandError>;

impl Writer {
    /// Takes a step of an alert's life, if the table of steps allows it from where the alert is now.
    pub fn act(&mut self, request: &AlertAction, now: TimestampMs) -> Outcome<Alert> {
        let transaction = self.transaction()?;
        let not_found = || CommandError::NotFound { what: "alert", id: request.alert.0.to_string() };
        let alert = commit::changed_alert(&transaction, request.alert)?.ok_or_else(not_found)?;
        let (handling, kind) = lifecycle::step(alert.handling, request.action)?;
        let acknowledged_at = match handling {
            Handling::Acknowledged => alert.acknowledged_at.or(Some(now)),
            _ => alert.acknowledged_at,
        };
        transaction
            .execute(
                "UPDATE alert SET handling = ?2, acknowledged_at = ?3, changed_at = max(changed_at, ?4) WHERE id = ?1",
                params![alert.id.0 as i64, handling.as_str(), acknowledged_at.map(|at| at.0), now.0],
            )
            .map_err(StoreError::doing("change an alert"))?;
        let step = alerts::NewStep {
            alert: alert.id,
            at: now,
            kind,
            who: Some(&request.who),
            severity: alert.severity,
            value: None,
            note: request.note.as_deref(),
        };
        alerts::append(&transaction, &step)?;
        let changed = commit::changed_alert(&transaction, request.alert)?.ok_or_else(not_found)?;
        transaction.commit().map_err(StoreError::doing("commit a step of an alert"))?;
        self.shared.feed.publish(Committed { alerts: vec![changed.clone()], ..Committed::default() });
        Ok(changed)
    }

    /// Enters or changes devices, all or none. Gives them with their numbers.
    pub fn put_devices(&mut self, devices: Vec<Device>) -> Result<Vec<Device>> {
        let numbered: Vec<Device> = {
            let directory = self.shared.directory.read();
            let mut next = directory.devices().len() as u32;
            let mut number = |device: Device| {
                if let Some(known) = directory.number(&device.id) {
                    return Device { no: known, ..device };
                }
                next += 1;
                Device { no: DeviceNo(next - 1), ..device }
            };
            devices.into_iter().map(&mut number).collect()
        };
        let transaction = self.transaction()?;
        for device in &numbered {
            commit::put_device(&transaction, device)?;
        }
        transaction.commit().map_err(StoreError::doing("commit devices"))?;
        let mut directory = self.shared.directory.write();
        numbered.iter().for_each(|device| directory.put_device(device.clone()));
        drop(directory);
        let devices = numbered.iter().map(|device| device.no).collect();
        self.shared.feed.publish(Committed { devices, ..Committed::default() });
        Ok(numbered)
    }

    /// Takes a device out of sight. Its history stays.
    pub fn retire_device(&mut self, id: &DeviceId) -> Outcome<()> {
        let known = {
            let directory = self.shared.directory.read();
            directory.number(id).and_then(|no| directory.device(no).cloned())
        };
        let known = known.ok_or_else(|| CommandError::NotFound { what: "device", id: id.to_string() })?;
        self.put_devices(vec![Device { state: DeviceState::Retired, ..Device::clone(&known) }])?;
        Ok(())
    }

    pub fn put_zones(&mut self, zones: Vec<Zone>) -> Result<()> {
        let transaction = self.transaction()?;
        for zone in &zones {
            let corners: Vec<String> =
                zone.outline.iter().map(|[lon, lat]| format!("[{lon},{lat}]")).collect();
            transaction
                .execute(
                    "INSERT OR REPLACE INTO zone VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        zone.id.as_str(),
                        zone.name_en,
                        zone.name_zh,
                        zone.class.as_str(),
                        format!("[{}]", corners.join(","))
                    ],
                )
                .map_err(StoreError::doing("write a zone"))?;
        }
        transaction.commit().map_err(StoreError::doing("commit zones"))?;
        let mut directory = self.shared.directory.write();
        zones.into_iter().for_each(|zone| directory.put_zone(zone));
        Ok(())
    }

    pub fn put_account(&mut self, account: &Account, now: TimestampMs) -> Result<()> {
        let sql = "INSERT INTO account VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (name) DO UPDATE SET password_hash = ?2, role = ?3";
        self.execute(sql, params![account.name, account.password_hash, account.role, now.0])
    }

    pub fn start_session(
        &mut self,
        token_sha256: &[u8; 32],
        account: &str,
        now: TimestampMs,
        expires_at: TimestampMs,
    ) -> Result<()> {
        self.execute("DELETE FROM session WHERE expires_at <= ?1", [now.0])?;
        self.execute(
            "INSERT INTO session VALUES (?1, ?2, ?3, ?4)",
            params![token_sha256.as_slice(), account, now.0, expires_at.0],
        )
    }

    pub fn end_session(&mut self, token_sha256: &[u8; 32]) -> Result<()> {
        self.execute("DELETE FROM session WHERE token_sha256 = ?1", [token_sha256.as_slice()])
    }

    /// A word to remember about the site as a whole, such as where a demo's clock stood.
    pub fn put_meta(&mut self, key: &str, value: &str) -> Result<()> {
        self.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [key, value])
    }

    fn execute(&mut self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        self.connection.execute(sql, values).map(|_| ()).map_err(StoreError::doing("write"))
    }
}
