//! What rules would have raised: the engine that runs, on stored history.

mod compare;
mod history;

use std::collections::HashMap;
use std::sync::Arc;

use sanimon_alerting::{Effect, Engine, Input, MaintenanceWindow, RuleSet};
use sanimon_domain::{
    AlertId, DeviceId, DeviceNo, MetricNo, Placement, Quality, Severity, SiteCalendar, Subject, TimestampMs,
};

use sanimon_store::Shared;

pub(crate) use compare::{Comparison, compare};
pub(crate) use history::{History, read};

/// An alert as a replay raised it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replayed {
    pub(crate) rule: String,
    pub(crate) subject: Subject,
    pub(crate) raised_at: TimestampMs,
    /// `None`: open at the end, replaced alerts are cleared.
    pub(crate) cleared_at: Option<TimestampMs>,
    /// The worst it came to.
    pub(crate) severity: Severity,
}

/// A device as the registry places it.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) device: DeviceNo,
    pub(crate) id: DeviceId,
    pub(crate) placement: Placement,
}

/// A stored reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    pub(crate) at: TimestampMs,
    pub(crate) device: DeviceNo,
    pub(crate) metric: MetricNo,
    pub(crate) value: f64,
}

/// Runs the rules over a history; alerts that were open when `from` came are among them, with the time of their raise.
pub(crate) fn run(
    rules: &Arc<RuleSet>,
    calendar: SiteCalendar,
    windows: &[MaintenanceWindow],
    history: &History,
    (from, to): (TimestampMs, TimestampMs),
) -> Vec<Replayed> {
    let mut engine = Engine::new(rules.clone(), calendar, AlertId(1));
    let mut effects = Vec::new();
    let start = history.start;
    engine.apply(start, Input::Windows(windows), &mut effects);
    for placed in &history.devices {
        let Placed { device, id, placement } = placed;
        engine.apply(start, Input::Device { device: *device, id, placement }, &mut effects);
    }
    for (device, metric, filling) in &history.before {
        engine.restore_filling(*device, *metric, filling);
    }
    for reading in &history.readings {
        let Reading { at, device, metric, value } = *reading;
        if engine.next_deadline().is_some_and(|due| due <= at) {
            engine.apply(at, Input::Tick, &mut effects);
        }
        engine.apply(at, Input::Heard { device, at }, &mut effects);
        let quality = Quality::Good;
        engine.apply(at, Input::Reading { device, metric, at, value, quality, is_dated: true }, &mut effects);
    }
    engine.apply(to, Input::Tick, &mut effects);
    alerts(rules, &effects).into_iter().filter(|alert| alert.cleared_at.is_none_or(|at| at >= from)).collect()
}

/// Old and new rules, each on a thread of its own.
pub(crate) fn beside(
    go: &(impl Fn(&Arc<RuleSet>) -> Vec<Replayed> + Sync),
    old: &Arc<RuleSet>,
    new: Option<&Arc<RuleSet>>,
) -> (Vec<Replayed>, Option<Vec<Replayed>>) {
    std::thread::scope(|scope| {
        let now = new.map(|rules| scope.spawn(move || go(rules)));
        let then = go(old);
        (then, now.map(|thread| thread.join().expect("a replay does not panic")))
    })
}

/// The maintenance windows that there were and are.
pub(crate) fn every_window(shared: &Shared) -> sanimon_store::Result<Vec<MaintenanceWindow>> {
    let entries = shared.maintenance_windows(TimestampMs(0), 0)?;
    Ok(entries.into_iter().map(|entry| entry.window).collect())
}

fn alerts(rules: &RuleSet, effects: &[Effect]) -> Vec<Replayed> {
    let mut alerts: Vec<Replayed> = Vec::new();
    let mut places: HashMap<AlertId, usize> = HashMap::new();
    for effect in effects {
        match effect {
            Effect::Raised { alert, subject, rule, severity, at, .. } => {
                let rule = rules.get(usize::from(rule.0)).map(|rule| rule.id.to_string()).unwrap_or_default();
                places.insert(*alert, alerts.len());
                let (subject, severity) = (subject.clone(), *severity);
                alerts.push(Replayed { rule, subject, raised_at: *at, cleared_at: None, severity });
            }
            Effect::SeverityChanged { alert, to, .. } => {
                if let Some(found) = places.get(alert).and_then(|place| alerts.get_mut(*place)) {
                    found.severity = found.severity.max(*to);
                }
            }
            Effect::Cleared { alert, at, .. } | Effect::Replaced { alert, at, .. } => {
                if let Some(found) = places.get(alert).and_then(|place| alerts.get_mut(*place)) {
                    found.cleared_at = Some(*at);
                }
            }
            Effect::Level { .. } | Effect::Suppressed { .. } => {}
        }
    }
    alerts
}
