//! The engine, as the file remembers it.

use std::sync::Arc;

use sanimon_alerting::{Effect, Engine, Input, LevelState, RuleSet};
use sanimon_domain::{AlertId, DeviceNo, MetricNo, TimestampMs};
use sanimon_store::{Device, DeviceState, LevelRow, META_IMPORTED_AT, Memory, Result, Tx};

use crate::outages::Outages;

/// An engine in line with the rules, and what has to be stored because of that.
pub(crate) struct Restored {
    pub(crate) engine: Engine,
    pub(crate) effects: Vec<Effect>,
}

/// What an engine is restored from, besides the file.
#[derive(Clone, Copy)]
pub(crate) struct RestoreFrom<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) outages: &'a Outages,
    /// How late a reading may come: windows that are over are kept for so long.
    pub(crate) late_ms: i64,
    /// As of when the rules are in force.
    pub(crate) at: TimestampMs,
}

/// The engine as the transaction sees the file, brought in line with these rules.
pub(crate) fn restore(tx: &Tx<'_>, rules: &Arc<RuleSet>, from: &RestoreFrom<'_>) -> Result<Restored> {
    let RestoreFrom { memory, late_ms, at, .. } = *from;
    let remembered = tx.engine_memory(rules)?;
    for damaged in &remembered.damaged {
        tracing::error!(damaged, "a row cannot be understood, the rules go on without it");
    }
    // Also windows that are over, for readings that come late.
    let windows = tx.windows_from(at.minus_ms(late_ms))?;
    let mut engine = Engine::new(rules.clone(), memory.calendar(), AlertId(remembered.next_alert));
    let mut effects = Vec::new();
    engine.apply(at, Input::Windows(&windows), &mut effects);
    place_devices(memory, at, &mut engine, &mut effects);
    // Levels that these rules do not have: when the old rules come back, they would find them as they were.
    let without_place = engine.restore(&remembered.levels, &remembered.open);
    let of_rules =
        without_place.into_iter().map(|level| (&level.subject, &rules.rule(level.rule).id, &level.key));
    let orphans = remembered.orphan_levels.iter().map(|(subject, rule, key)| (subject, rule, key));
    for (subject, rule, key) in of_rules.chain(orphans) {
        tx.put_level(&LevelRow { subject, rule, key, state: LevelState::Idle })?;
    }
    restore_watches(tx, from, &mut engine)?;
    for (subject, rule, cleared_at) in &remembered.cleared {
        engine.restore_cleared(subject, *rule, *cleared_at, from.outages.without(*cleared_at));
    }
    engine.settle_restored(at, &mut effects);
    let open = engine.open_alerts();
    let unplaced =
        remembered.open.iter().filter(|(subject, rule, _)| !open.contains_key(&(subject.clone(), *rule)));
    let abandoned = unplaced.map(|(_, _, alert)| alert.id).filter(|id| !is_cleared(&effects, *id));
    let lost: Vec<AlertId> = remembered.orphans.iter().copied().chain(abandoned).collect();
    effects.extend(lost.into_iter().map(|alert| Effect::Cleared { alert, at, value: None }));
    Ok(Restored { engine, effects })
}

fn place_devices(memory: &Memory, now: TimestampMs, engine: &mut Engine, effects: &mut Vec<Effect>) {
    let (directory, recent) = (memory.reader().directory.read(), memory.reader().hot.read());
    for device in directory.devices() {
        if device.state != DeviceState::Retired {
            let placement = directory.placement(device);
            let input = Input::Device { device: device.no, id: &device.id, placement: &placement };
            engine.apply(now, input, effects);
        }
        for latest in recent.latest(device.no) {
            engine.restore_latest(device.no, latest.metric, latest.at, latest.value);
        }
    }
}

/// A window of readings that a rule looks at: they are read back.
struct WatchedWindow {
    device: DeviceNo,
    metric: MetricNo,
    newest: TimestampMs,
    before_ms: i64,
}

/// Puts back what rules on silence, change and standstill look at.
fn restore_watches(tx: &Tx<'_>, from: &RestoreFrom<'_>, engine: &mut Engine) -> Result<()> {
    let imported_at = tx.meta(META_IMPORTED_AT)?.and_then(|text| text.parse().ok());
    let imported_at = TimestampMs(imported_at.unwrap_or(i64::MIN));
    let windows = restore_silences(from, imported_at, engine);
    engine.restore_groups();
    for WatchedWindow { device, metric, newest, before_ms } in windows {
        let points = from.memory.reader().points_here(device, metric, newest.plus_ms(-before_ms), newest)?;
        let points: Vec<_> = points.iter().map(|point| (point.at, point.value)).collect();
        engine.restore_window(device, metric, &points);
    }
    Ok(())
}

fn restore_silences(
    RestoreFrom { memory, outages, .. }: &RestoreFrom<'_>,
    imported_at: TimestampMs,
    engine: &mut Engine,
) -> Vec<WatchedWindow> {
    let (directory, recent) = (memory.reader().directory.read(), memory.reader().hot.read());
    // History that was entered says nothing of a device's silence: it has its intervals from then on.
    let seen = |device: &Arc<Device>| {
        let at = recent.heard_at(device.no)?.max(imported_at);
        Some((device.no, device.expected_interval_ms(), at))
    };
    let seen: Vec<_> = directory.devices().iter().filter_map(seen).collect();
    let mut windows = Vec::new();
    for (device, interval_ms, at) in seen {
        engine.restore_heard(device, outages.without(at));
        for latest in recent.latest(device) {
            if let Some(since) = recent.unchanged_since(device, latest.metric) {
                engine.restore_unchanged(device, latest.metric, since);
            }
        }
        for (metric, within_ms) in engine.windows(device) {
            // The reading before the window counts, too.
            let before_ms = within_ms + 2 * interval_ms;
            let newest = recent.latest_of(device, metric).map(|latest| latest.at);
            windows.extend(newest.map(|newest| WatchedWindow { device, metric, newest, before_ms }));
        }
    }
    windows
}

fn is_cleared(effects: &[Effect], id: AlertId) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Cleared { alert, .. } if *alert == id))
}
