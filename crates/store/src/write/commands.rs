//! What people ask for, each in one transaction.

use std::collections::HashMap;

use rusqlite::{Transaction, params};
use sanimon_domain::{DeviceId, DeviceNo, Handling, HardwareId, TimestampMs};
use sanimon_operations::lifecycle::{self, Action};
use sanimon_operations::routing::Event;

use super::{Writer, alerts, commit, conduct};
use crate::command::{AlertAction, CommandError};
use crate::error::{Result, StoreError};
use crate::feed::Committed;
use crate::model::{Alert, Device, DeviceState, Zone};
use crate::read;
use crate::shared::META_IMPORTED_AT;

type Outcome<T> = std::result::Result<T, CommandError>;

impl Writer {
    /// Takes a step of an alert's life, if the table of steps allows it from where the alert is now.
    pub fn act(&mut self, request: &AlertAction, now: TimestampMs) -> Outcome<Alert> {
        let conduct = self.conduct.clone();
        let transaction = self.transaction()?;
        let not_found = || CommandError::NotFound { what: "alert", id: request.alert.0.to_string() };
        let alert = read::alert(&transaction, request.alert)?.ok_or_else(not_found)?;
        let case = lifecycle::Case { handling: alert.handling, handled_by: alert.handled_by.as_deref() };
        let (handling, kind) = lifecycle::step(case, request.step(), conduct.policy)?;
        let alert = after_step(alert, request, handling, now);
        write_step(&transaction, &alert, now)?;
        let step = alerts::NewStep {
            alert: alert.id,
            at: now,
            kind,
            who: Some(&request.who),
            severity: alert.severity,
            value: None,
            note: request.note.as_deref(),
            assignee: request.assignee.as_deref(),
        };
        alerts::append(&transaction, &step)?;
        if request.action == Action::Reopen {
            conduct::restart_clocks(&transaction, &conduct, &alert, now)?;
        }
        let is_verified = alerts::verify_by_sensor(&transaction, alert.id, now)?;
        let event = if is_verified { Event::Closed } else { event_of(request.action) };
        let (who, note) = (Some(request.who.as_str()), request.note.as_deref());
        let change = conduct::Change { who, note, ..conduct::Change::new(alert.id, event, now) };
        conduct::after(&transaction, &conduct, &change)?;
        let changed = read::alert(&transaction, request.alert)?.ok_or_else(not_found)?;
        transaction.commit().map_err(StoreError::doing("commit a step of an alert"))?;
        self.note_clocks()?;
        self.shared.feed.publish(Committed { alerts: vec![changed.clone()], ..Committed::default() });
        self.shared.ring_outbox();
        Ok(changed)
    }

    /// Enters or changes devices, all or none. Gives them with their numbers, and those that they took the place of.
    pub fn put_devices(&mut self, devices: Vec<Device>, now: TimestampMs) -> Result<Vec<Device>> {
        let (changed, replaced) = self.resolve(devices)?;
        let transaction = self.transaction()?;
        // A piece of hardware may go from one device to another in the same list.
        for device in &changed {
            transaction
                .execute("UPDATE device SET hardware_id = NULL WHERE no = ?1", [device.no.0])
                .map_err(StoreError::doing("write a device"))?;
        }
        for device in &changed {
            commit::put_device(&transaction, device)?;
        }
        for before in &replaced {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO replaced_hardware VALUES (?1, ?2, ?3, ?4)",
                    params![
                        before.no.0,
                        before.hardware_id.as_ref().map(HardwareId::as_str),
                        before.model,
                        now.0
                    ],
                )
                .map_err(StoreError::doing("remember replaced hardware"))?;
        }
        transaction.commit().map_err(StoreError::doing("commit devices"))?;
        let mut directory = self.shared.directory.write();
        // Names of hardware are taken from all before they are given to any.
        for device in &changed {
            directory.put_device(Device { hardware_id: None, ..device.clone() });
        }
        changed.iter().for_each(|device| directory.put_device(device.clone()));
        drop(directory);
        let devices = changed.iter().map(|device| device.no).collect();
        self.shared.feed.publish(Committed { devices, ..Committed::default() });
        Ok(changed)
    }

    /// Gives numbers, and adds the discovered devices whose hardware an entry takes over. Refuses hardware that another
    /// entry keeps. Also gives the entries whose hardware is replaced, as they were.
    fn resolve(&self, devices: Vec<Device>) -> Result<(Vec<Device>, Vec<Device>)> {
        let directory = self.shared.directory.read();
        let mut next = directory.devices().len() as u32;
        let (mut changed, mut replaced) = (Vec::with_capacity(devices.len()), Vec::new());
        for device in devices {
            match directory.number(&device.id).and_then(|no| directory.device(no)) {
                Some(known) => {
                    if known.hardware_id.is_some() && known.hardware_id != device.hardware_id {
                        replaced.push(Device::clone(known));
                    }
                    // What messages say is not for people to overwrite.
                    changed.push(Device { no: known.no, online: known.online, ..device });
                }
                None => {
                    next += 1;
                    changed.push(Device { no: DeviceNo(next - 1), ..device });
                }
            }
        }
        let mut owners: HashMap<HardwareId, DeviceId> = HashMap::new();
        for device in &changed {
            let Some(hardware) = &device.hardware_id else { continue };
            let in_list = owners.insert(hardware.clone(), device.id.clone());
            let before = directory.by_hardware(hardware).and_then(|no| directory.device(no));
            let keeps = before.filter(|before| !changed.iter().any(|other| other.no == before.no));
            if let Some(owner) = in_list.or(keeps.map(|device| device.id.clone())) {
                let (hardware, device) = (hardware.to_string(), owner.to_string());
                return Err(StoreError::HardwareTaken { hardware, device });
            }
        }
        let taken_over: Vec<Device> = owners
            .keys()
            .filter_map(|hardware| directory.device(directory.number(hardware.as_device())?))
            .filter(|found| found.state == DeviceState::Discovered)
            .filter(|found| !changed.iter().any(|other| other.no == found.no))
            .map(|found| Device { state: DeviceState::Retired, ..Device::clone(found) })
            .collect();
        changed.extend(taken_over);
        Ok((changed, replaced))
    }

    /// Takes a device out of sight. Its history stays.
    pub fn retire_device(&mut self, id: &DeviceId, now: TimestampMs) -> Outcome<()> {
        let known = {
            let directory = self.shared.directory.read();
            directory.number(id).and_then(|no| directory.device(no).cloned())
        };
        let known = known.ok_or_else(|| CommandError::NotFound { what: "device", id: id.to_string() })?;
        // Its hardware is free for another place.
        let retired = Device { state: DeviceState::Retired, hardware_id: None, ..Device::clone(&known) };
        self.put_devices(vec![retired], now)?;
        Ok(())
    }

    /// Enters or changes zones.
    pub fn put_zones(&mut self, zones: Vec<Zone>) -> Result<()> {
        self.write_zones(zones, false)
    }

    /// Makes these the only zones. Devices and alerts of one that goes keep its name.
    pub fn set_zones(&mut self, zones: Vec<Zone>) -> Result<()> {
        self.write_zones(zones, true)
    }

    fn write_zones(&mut self, zones: Vec<Zone>, are_all: bool) -> Result<()> {
        let transaction = self.transaction()?;
        if are_all {
            transaction.execute("DELETE FROM zone", []).map_err(StoreError::doing("write the zones"))?;
        }
        for zone in &zones {
            let corners: Vec<String> =
                zone.outline.iter().map(|[lon, lat]| format!("[{lon},{lat}]")).collect();
            transaction
                .execute(
                    "INSERT OR REPLACE INTO zone VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        zone.id.as_str(),
                        zone.name_en,
                        zone.name_zh,
                        zone.class.as_str(),
                        format!("[{}]", corners.join(",")),
                        zone.inhabitants
                    ],
                )
                .map_err(StoreError::doing("write a zone"))?;
        }
        transaction.commit().map_err(StoreError::doing("commit zones"))?;
        let mut directory = self.shared.directory.write();
        if are_all {
            directory.zones.clear();
        }
        zones.into_iter().for_each(|zone| directory.put_zone(zone));
        Ok(())
    }

    /// A word to remember about the site as a whole, such as where a demo's clock stood.
    pub fn put_meta(&mut self, key: &str, value: &str) -> Result<()> {
        self.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [key, value])
    }

    /// Remembers that history was entered at this time: how old it is says nothing about whether a device is silent.
    pub fn note_import(&mut self, now: TimestampMs) -> Result<()> {
        self.put_meta(META_IMPORTED_AT, &now.0.to_string())
    }

    fn execute(&mut self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        self.connection.execute(sql, values).map(|_| ()).map_err(StoreError::doing("write"))
    }
}

/// What messages call a step.
const fn event_of(action: Action) -> Event {
    match action {
        Action::Dispatch => Event::Dispatched,
        Action::Reopen => Event::Reopened,
        Action::Verify | Action::Dismiss => Event::Closed,
        Action::Acknowledge | Action::Arrive | Action::Handle | Action::Comment => Event::Changed,
    }
}

fn write_step(transaction: &Transaction<'_>, alert: &Alert, now: TimestampMs) -> Result<()> {
    // What residents report has no sensor: its condition is what people say.
    alerts::execute(
        transaction,
        "UPDATE alert SET handling = ?2, acknowledged_at = ?3, changed_at = max(changed_at, ?4), assignee = ?5,
           handled_by = ?6, handled_at = ?7, closed_at = ?8, arrived_at = ?9,
           condition = CASE WHEN report_token IS NULL THEN condition WHEN ?8 IS NULL THEN 'active' ELSE 'cleared' END,
           cleared_at = CASE WHEN report_token IS NULL THEN cleared_at ELSE ?8 END
         WHERE id = ?1",
        params![
            alert.id.0 as i64,
            alert.handling.as_str(),
            alert.acknowledged_at.map(|at| at.0),
            now.0,
            alert.assignee,
            alert.handled_by,
            alert.handled_at.map(|at| at.0),
            alert.closed_at.map(|at| at.0),
            alert.arrived_at.map(|at| at.0),
        ],
    )
}

/// What a step makes of an alert.
fn after_step(alert: Alert, request: &AlertAction, handling: Handling, now: TimestampMs) -> Alert {
    let seen = alert.acknowledged_at.or(Some(now));
    match request.action {
        Action::Comment => alert,
        // Who sends somebody, does it or throws it out has seen it.
        Action::Acknowledge => Alert { handling, acknowledged_at: seen, ..alert },
        Action::Dispatch => {
            Alert { handling, acknowledged_at: seen, assignee: request.assignee.clone(), ..alert }
        }
        Action::Arrive => {
            Alert { handling, acknowledged_at: seen, arrived_at: alert.arrived_at.or(Some(now)), ..alert }
        }
        Action::Handle => Alert {
            handling,
            acknowledged_at: seen,
            handled_by: Some(request.who.clone()),
            handled_at: Some(now),
            ..alert
        },
        Action::Verify | Action::Dismiss => {
            Alert { handling, acknowledged_at: seen, closed_at: Some(now), ..alert }
        }
        Action::Reopen => {
            Alert { handling, handled_by: None, handled_at: None, arrived_at: None, closed_at: None, ..alert }
        }
    }
}
