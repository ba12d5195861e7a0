//! Owners, clocks and messages: what follows from a change of an alert, in the transaction of the change.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sanimon_domain::{
    AlertId, DeviceKind, GroupKind, Severity, StepKind, Subject, TimestampMs, ZoneClass, ZoneId,
};
use sanimon_operations::OperationsSettings;
use sanimon_operations::routing::{Event, Notification};
use sanimon_operations::teams::Facts;

use super::alerts::{NewStep, append, execute};
use super::outbox;
use crate::error::{Result, StoreError};
use crate::model::Alert;
use crate::read;

/// A change of an alert, as messages tell it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) alert: AlertId,
    pub(super) event: Event,
    pub(super) at: TimestampMs,
    pub(super) value: Option<f64>,
    pub(super) who: Option<&'a str>,
    pub(super) note: Option<&'a str>,
    /// To whom it was escalated.
    pub(super) to: Option<&'a str>,
}

impl Change<'_> {
    pub(super) const fn new(alert: AlertId, event: Event, at: TimestampMs) -> Self {
        Self { alert, event, at, value: None, who: None, note: None, to: None }
    }
}

/// Where an alert is, as far as its owner and its deadlines depend on it.
#[derive(Debug, Default)]
pub(super) struct Setting {
    kind: Option<DeviceKind>,
    pub(super) zone: Option<ZoneId>,
    pub(super) zone_class: Option<ZoneClass>,
    team: Option<String>,
}

impl Setting {
    pub(super) fn facts(&self) -> Facts<'_> {
        let Self { kind, zone, zone_class, team } = self;
        Facts { kind: *kind, zone: zone.as_ref(), zone_class: *zone_class, team: team.as_deref() }
    }
}

pub(super) fn setting(connection: &Connection, subject: &Subject) -> Result<Setting> {
    let doing = || StoreError::doing("read where an alert is");
    let mut setting = Setting::default();
    match subject {
        Subject::Device(device) => {
            let found = connection
                .prepare_cached("SELECT kind, zone, team FROM device WHERE no = ?1")
                .and_then(|mut statement| {
                    let row = |row: &rusqlite::Row<'_>| {
                        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get(2)?))
                    };
                    statement.query_row([device.0], row).optional()
                })
                .map_err(doing())?;
            if let Some((kind, zone, team)) = found {
                setting.kind = DeviceKind::parse(&kind);
                setting.zone = zone.and_then(|zone| ZoneId::new(&zone).ok());
                setting.team = team;
            }
        }
        Subject::Group(key) if key.kind == GroupKind::Zone => setting.zone = ZoneId::new(&key.id).ok(),
        Subject::Group(_) => {}
    }
    if let Some(zone) = &setting.zone {
        let class: Option<String> = connection
            .prepare_cached("SELECT class FROM zone WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([zone.as_str()], |row| row.get(0)).optional())
            .map_err(doing())?;
        setting.zone_class = class.as_deref().and_then(ZoneClass::parse);
    }
    Ok(setting)
}

/// After a worse severity: the deadlines that it brings count where they are sooner. Those of the milder one stay.
pub(super) fn sharpen(
    transaction: &Transaction<'_>,
    conduct: &OperationsSettings,
    alert: AlertId,
    severity: Severity,
    at: TimestampMs,
) -> Result<()> {
    let Some(found) = read::alert(transaction, alert)? else { return Ok(()) };
    let class = setting(transaction, &found.subject)?.zone_class;
    let new = conduct.teams.deadlines(severity, class, at);
    let sooner = |old: Option<TimestampMs>, new: Option<TimestampMs>| old.into_iter().chain(new).min();
    let old = found.deadlines;
    let acknowledge_by = match found.acknowledged_at {
        None => sooner(old.acknowledge_by, new.acknowledge_by),
        Some(_) => old.acknowledge_by,
    };
    let (arrive_by, resolve_by) =
        (sooner(old.arrive_by, new.arrive_by), sooner(old.resolve_by, new.resolve_by));
    set_deadlines(transaction, alert, [acknowledge_by, arrive_by, resolve_by])
}

/// After it came back: all clocks begin anew.
pub(super) fn restart_clocks(
    transaction: &Transaction<'_>,
    conduct: &OperationsSettings,
    found: &Alert,
    at: TimestampMs,
) -> Result<()> {
    let class = setting(transaction, &found.subject)?.zone_class;
    let new = conduct.teams.deadlines(found.severity, class, at);
    set_deadlines(transaction, found.id, [new.acknowledge_by, new.arrive_by, new.resolve_by])
}

fn set_deadlines(
    transaction: &Transaction<'_>,
    alert: AlertId,
    [acknowledge_by, arrive_by, resolve_by]: [Option<TimestampMs>; 3],
) -> Result<()> {
    let ms = |at: Option<TimestampMs>| at.map(|at| at.0);
    execute(
        transaction,
        "UPDATE alert SET acknowledge_by = ?2, arrive_by = ?3, resolve_by = ?4 WHERE id = ?1",
        params![alert.0 as i64, ms(acknowledge_by), ms(arrive_by), ms(resolve_by)],
    )
}

/// Sets the clock of the next escalation anew and writes the messages that the change needs.
pub(super) fn after(
    transaction: &Transaction<'_>,
    conduct: &OperationsSettings,
    change: &Change<'_>,
) -> Result<()> {
    let Some(alert) = read::alert(transaction, change.alert)? else { return Ok(()) };
    let next = conduct.teams.next_escalation(&alert.progress());
    execute(
        transaction,
        "UPDATE alert SET escalate_at = ?2 WHERE id = ?1",
        params![alert.id.0 as i64, next.map(|(at, _)| at.0)],
    )?;
    let notice = Notification {
        event: change.event,
        severity: alert.severity,
        zone: alert.zone.as_ref(),
        owner: alert.assignee.as_deref(),
        to: change.to,
        at: change.at,
    };
    for route in &conduct.notification_rules {
        if let Some(due) = route.due(conduct.teams.calendar, &notice) {
            outbox::enqueue(transaction, route, change, alert.severity, due)?;
        }
    }
    Ok(())
}

/// Tells the promises that were broken by now; gives the alerts.
pub(super) fn escalate(
    transaction: &Transaction<'_>,
    conduct: &OperationsSettings,
    now: TimestampMs,
) -> Result<Vec<AlertId>> {
    let mut touched = Vec::new();
    while let Some(id) = first_due(transaction, now)? {
        let Some(alert) = read::alert(transaction, id)? else { break };
        let Some((at, promise)) =
            conduct.teams.next_escalation(&alert.progress()).filter(|(at, _)| *at <= now)
        else {
            // The duties have changed since the clock was set.
            let next = conduct.teams.next_escalation(&alert.progress()).map(|(at, _)| at.0);
            execute(
                transaction,
                "UPDATE alert SET escalate_at = ?2 WHERE id = ?1",
                params![id.0 as i64, next],
            )?;
            continue;
        };
        let to = conduct.teams.escalation_target(alert.escalations).to_owned();
        execute(
            transaction,
            "UPDATE alert SET escalations = escalations + 1, escalated_at = ?2, escalated_to = ?3,
               changed_at = max(changed_at, ?2) WHERE id = ?1",
            params![id.0 as i64, at.0, to],
        )?;
        append(
            transaction,
            &NewStep {
                alert: id,
                at,
                kind: StepKind::Escalated,
                who: None,
                severity: alert.severity,
                value: None,
                note: Some(promise.as_str()),
                assignee: Some(&to),
            },
        )?;
        let note = Some(promise.as_str());
        let change = Change { note, to: Some(&to), ..Change::new(id, Event::Escalated, at) };
        after(transaction, conduct, &change)?;
        if !touched.contains(&id) {
            touched.push(id);
        }
    }
    Ok(touched)
}

fn first_due(connection: &Connection, now: TimestampMs) -> Result<Option<AlertId>> {
    connection
        .prepare_cached(
            "SELECT id FROM alert WHERE escalate_at IS NOT NULL AND escalate_at <= ?1 ORDER BY escalate_at, id LIMIT 1",
        )
        .and_then(|mut statement| statement.query_row([now.0], |row| row.get::<_, i64>(0)).optional())
        .map(|id| id.map(|id| AlertId(id as u64)))
        .map_err(StoreError::doing("read the clocks"))
}

/// When the next missed promise is to be told.
pub(super) fn next_escalation(connection: &Connection) -> Result<Option<TimestampMs>> {
    connection
        .query_row("SELECT min(escalate_at) FROM alert WHERE escalate_at IS NOT NULL", [], |row| {
            Ok(row.get::<_, Option<i64>>(0)?.map(TimestampMs))
        })
        .map_err(StoreError::doing("read the clocks"))
}
