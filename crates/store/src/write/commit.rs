//! A group of messages: one synced transaction, then the memory, then the feed.

use rusqlite::{Transaction, params};
use sanimon_alerting::RuleSet;
use sanimon_domain::TimestampMs;

use super::{Group, QUARANTINE_ROWS_MAX, QuarantineEntry, Writer, alerts, conduct, trust};
use crate::error::{Result, StoreError};
use crate::feed::{Committed, FeedReading};
use crate::health::Counters;
use crate::journal;
use crate::model::{Alert, Device};
use crate::read;

impl Writer {
    /// Commits and syncs the group. When this returns `Ok`, its messages may be acknowledged; after an `Err`
    /// nothing of it is stored, and the caller's engine is ahead of the file.
    pub fn commit(&mut self, group: &Group, rules: &RuleSet, now: TimestampMs) -> Result<()> {
        let mut added_quarantine_rows = 0;
        let mut changed = Vec::new();
        let conduct = self.conduct.clone();
        let is_escalation_due = self.escalate_at.is_some_and(|at| at <= now);
        if !group.is_empty() || is_escalation_due {
            let rows_before = self.quarantine_rows;
            let transaction = self.transaction()?;
            write_registry(&transaction, group)?;
            trust::write(&transaction, group)?;
            write_journal(&transaction, group, now)?;
            let effects = alerts::Effects { all: &group.effects, rules, conduct: &conduct };
            let mut touched = effects.write(&transaction)?;
            touched.extend(conduct::escalate(&transaction, &conduct, now)?);
            for alert in touched {
                changed.push(read::alert(&transaction, alert)?);
            }
            added_quarantine_rows = write_quarantine(&transaction, &group.quarantine, rows_before)?;
            transaction.commit().map_err(StoreError::doing("commit a group of messages"))?;
        }
        self.quarantine_rows += added_quarantine_rows;
        if !changed.is_empty() || is_escalation_due {
            self.note_clocks()?;
        }
        self.checkpointer.after_commit(&self.connection);
        self.publish(group, changed.into_iter().flatten().collect(), now);
        Ok(())
    }

    fn publish(&self, group: &Group, alerts: Vec<Alert>, now: TimestampMs) {
        if group.changes_directory() {
            let mut directory = self.shared.directory.write();
            let entered = group.new_devices.iter().chain(&group.changed_devices);
            entered.for_each(|device| directory.put_device(device.clone()));
            group.new_metrics.iter().for_each(|(no, name)| directory.put_metric(*no, name));
            for (no, online, at) in &group.statuses {
                if let Some(known) = directory.device(*no) {
                    let device = Device { online: Some((*online, *at)), ..Device::clone(known) };
                    directory.put_device(device);
                }
            }
        }
        if !group.messages.is_empty() {
            let mut hot = self.shared.hot.write();
            group.messages.iter().for_each(|message| hot.add(message));
        }
        if !(group.held.is_empty() && group.doubted.is_empty() && group.events.is_empty()) {
            let mut hot = self.shared.hot.write();
            group.doubted.iter().for_each(|doubted| hot.note_heard(doubted.device, doubted.received_at));
            group.events.iter().for_each(|event| hot.note_heard(event.device, event.last_at));
            for (device, metric, held) in &group.held {
                hot.set_held(*device, *metric, *held);
            }
        }
        let readings = group.messages.iter().flat_map(|message| {
            let seen = |r: &journal::JournalReading| FeedReading {
                device: message.device,
                metric: r.metric,
                at: r.at,
                value: r.value,
            };
            message.readings.iter().map(seen)
        });
        let devices = group.new_devices.iter().chain(&group.changed_devices).map(|device| device.no);
        let devices = devices.chain(group.statuses.iter().map(|s| s.0));
        let committed = Committed { readings: readings.collect(), alerts, devices: devices.collect() };
        let counters = &self.shared.health.counters;
        Counters::add(&counters.groups, 1);
        Counters::add(&counters.committed, group.received);
        Counters::add(&counters.readings, committed.readings.len() as u64);
        Counters::add(&counters.duplicates, group.duplicates);
        Counters::add(&counters.corrections, group.corrections);
        Counters::add(&counters.quarantined, group.quarantine.len() as u64);
        Counters::add(&counters.doubted, group.doubted.len() as u64);
        self.shared.health.last_commit_at.store(now.0, std::sync::atomic::Ordering::Relaxed);
        if !committed.alerts.is_empty() {
            self.shared.ring_outbox();
        }
        self.shared.feed.publish(committed);
    }
}

fn write_registry(transaction: &Transaction<'_>, group: &Group) -> Result<()> {
    let doing = || StoreError::doing("write the registry");
    for device in group.new_devices.iter().chain(&group.changed_devices) {
        put_device(transaction, device)?;
    }
    for (no, name) in &group.new_metrics {
        transaction
            .prepare_cached("INSERT INTO metric (no, name) VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute(params![no.0, name]))
            .map_err(doing())?;
    }
    for (device, online, at) in &group.statuses {
        transaction
            .prepare_cached("UPDATE device SET online = ?2, online_at = ?3 WHERE no = ?1")
            .and_then(|mut statement| statement.execute(params![device.0, online, at.0]))
            .map_err(doing())?;
    }
    for (device, metric, value, received_at) in &group.last_known {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO last_known VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut statement| statement.execute(params![device.0, metric.0, value, received_at.0]))
            .map_err(doing())?;
    }
    Ok(())
}

/// Enters a device or replaces its entry.
pub(super) fn put_device(transaction: &Transaction<'_>, device: &Device) -> Result<()> {
    let calibration = &device.calibration;
    let shape = calibration.shape.to_string();
    transaction
        .prepare_cached(
            "INSERT INTO device
               (no, id, name, kind, zone, district, state, lat, lon, interval_ms, empty_mm, full_mm, first_seen_at,
                online, online_at, team, model, hardware_id, tags, blind_zone_mm, shape, depth_mm, offset_mm,
                probe_low_bar, probe_high_bar, calibrate_next, gateway, volume_l)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                     ?22, ?23, ?24, ?25, ?26, ?27, ?28)
             ON CONFLICT (no) DO UPDATE SET
               id = ?2, name = ?3, kind = ?4, zone = ?5, district = ?6, state = ?7, lat = ?8, lon = ?9,
               interval_ms = ?10, empty_mm = ?11, full_mm = ?12, first_seen_at = ?13, online = ?14, online_at = ?15,
               team = ?16, model = ?17, hardware_id = ?18, tags = ?19, blind_zone_mm = ?20, shape = ?21,
               depth_mm = ?22, offset_mm = ?23, probe_low_bar = ?24, probe_high_bar = ?25, calibrate_next = ?26,
               gateway = ?27, volume_l = ?28",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                device.no.0,
                device.id.as_str(),
                device.name,
                device.kind.as_str(),
                device.zone.as_ref().map(sanimon_domain::ZoneId::as_str),
                device.district,
                device.state.as_str(),
                device.place.map(|place| place.lat),
                device.place.map(|place| place.lon),
                device.interval_ms,
                calibration.empty_mm,
                calibration.full_mm,
                device.first_seen_at.0,
                device.online.map(|(online, _)| online),
                device.online.map(|(_, at)| at.0),
                device.team,
                device.model,
                device.hardware_id.as_ref().map(sanimon_domain::HardwareId::as_str),
                device.tags.join(" "),
                calibration.blind_zone_mm,
                Some(shape).filter(|shape| !shape.is_empty()),
                calibration.depth_mm,
                calibration.offset_mm,
                calibration.probe_bar.map(|[low, _]| low),
                calibration.probe_bar.map(|[_, high]| high),
                device.calibrate_next.map(crate::model::CalibrationPoint::as_str),
                device.gateway.as_ref().map(sanimon_domain::GatewayId::as_str),
                device.volume_l,
            ])
        })
        .map(|_| ())
        .map_err(StoreError::doing("write a device"))
}

fn write_journal(transaction: &Transaction<'_>, group: &Group, now: TimestampMs) -> Result<()> {
    if group.messages.is_empty() {
        return Ok(());
    }
    let readings: usize = group.messages.iter().map(|message| message.readings.len()).sum();
    transaction
        .prepare_cached("INSERT INTO journal (committed_at, readings, records) VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| {
            statement.execute(params![now.0, readings as i64, journal::encode(&group.messages)])
        })
        .map(|_| ())
        .map_err(StoreError::doing("write the journal"))
}

/// Gives the number of rows by which the quarantine grew.
pub(super) fn write_quarantine(
    transaction: &Transaction<'_>,
    entries: &[QuarantineEntry],
    rows_before: i64,
) -> Result<i64> {
    let doing = || StoreError::doing("write the quarantine");
    let mut added = 0;
    for entry in entries {
        let repeated = transaction
            .prepare_cached(
                "UPDATE quarantine SET count = count + 1, last_at = ?4, payload = ?5, payload_bytes = ?6, source = ?7
                 WHERE topic = ?1 AND code = ?2 AND message = ?3",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    entry.topic,
                    entry.fault.code.as_str(),
                    entry.fault.message,
                    entry.at.0,
                    entry.payload,
                    entry.payload_bytes as i64,
                    &*entry.source,
                ])
            })
            .map_err(doing())?;
        if repeated > 0 {
            continue;
        }
        added += 1;
        transaction
            .prepare_cached(
                "INSERT INTO quarantine (topic, source, code, message, payload, payload_bytes, count, first_at, last_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    entry.topic,
                    &*entry.source,
                    entry.fault.code.as_str(),
                    entry.fault.message,
                    entry.payload,
                    entry.payload_bytes as i64,
                    entry.at.0,
                ])
            })
            .map_err(doing())?;
    }
    let excess = rows_before + added - QUARANTINE_ROWS_MAX;
    if excess > 0 {
        let removed = transaction
            .prepare_cached(
                "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine ORDER BY last_at, id LIMIT ?1)",
            )
            .and_then(|mut statement| statement.execute([excess]))
            .map_err(doing())?;
        added -= removed as i64;
    }
    Ok(added)
}
