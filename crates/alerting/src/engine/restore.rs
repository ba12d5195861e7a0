//! How the engine comes back from what was stored: place the devices, then put back what was remembered of them.

use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use super::{Effect, Engine, OpenAlert, RestoredLevel, RuleNo};
use crate::cell::Cell;
use crate::level::LevelState;
use crate::watch::{Memory, Watch};

impl Engine {
    /// Puts back what was stored, after the devices were placed. Levels that the rules no longer have are left out.
    pub fn restore(&mut self, levels: &[RestoredLevel], open: &[(DeviceNo, RuleNo, OpenAlert)]) {
        for stored in levels {
            let Some(cell) = self.cell_mut(stored.device, stored.rule) else {
                continue;
            };
            let Some(state) = cell.levels.get_mut(usize::from(stored.level)) else {
                continue;
            };
            *state = stored.state;
            let rules = self.rules.clone();
            let rule = rules.get(usize::from(stored.rule.0)).expect("levels are stored with their rule");
            let due = self
                .cell_mut(stored.device, stored.rule)
                .and_then(|cell| cell.due(rule, usize::from(stored.level)));
            self.deadlines.extend(due.map(|due| (due, stored.device, stored.rule, stored.level)));
        }
        for (device, rule, alert) in open {
            if let Some(cell) = self.cell_mut(*device, *rule) {
                cell.alert = Some(*alert);
            }
        }
    }

    /// Puts back the newest reading of a metric, so that older ones are known as late.
    pub fn restore_latest(&mut self, device: DeviceNo, metric: MetricNo, at: TimestampMs, value: f64) {
        for cell in
            self.devices.get_mut(device.index()).into_iter().flatten().filter(|cell| cell.metric == metric)
        {
            cell.last_at = at;
            cell.last_value = value;
        }
    }

    /// Puts back when a device was heard last: its silence is counted from there.
    pub fn restore_heard(&mut self, device: DeviceNo, at: TimestampMs) {
        for cell in
            self.devices.get_mut(device.index()).into_iter().flatten().filter(|cell| cell.is_silence())
        {
            let rule = self.rules.get(usize::from(cell.rule.0)).expect("cells are made from this rule set");
            cell.last_at = at;
            for level in 0..cell.levels.len() {
                if cell.levels[level] == LevelState::Idle {
                    cell.levels[level] = LevelState::Pending { since: at };
                    let due = cell.due(rule, level);
                    self.deadlines.extend(due.map(|due| (due, device, cell.rule, level as u8)));
                }
            }
        }
    }

    /// Which of a device's metrics are watched over a time, and how long: their readings are to be put back.
    pub fn windows(&self, device: DeviceNo) -> Vec<(MetricNo, i64)> {
        let cells = self.devices.get(device.index()).map_or(&[][..], Vec::as_slice);
        let within = |cell: &Cell| match self.rule(cell.rule).watch {
            Watch::Rate { within_ms } => Some((cell.metric, within_ms)),
            _ => None,
        };
        cells.iter().filter_map(within).collect()
    }

    /// Puts back the readings of a window, ascending, up to the newest.
    pub fn restore_window(&mut self, device: DeviceNo, metric: MetricNo, points: &[(TimestampMs, f64)]) {
        for cell in
            self.devices.get_mut(device.index()).into_iter().flatten().filter(|cell| cell.metric == metric)
        {
            let watch = self.rules.get(usize::from(cell.rule.0)).map_or(Watch::Value, |rule| rule.watch);
            if matches!(watch, Watch::Rate { .. }) {
                points.iter().for_each(|(at, value)| cell.memory.hear(watch, *at, *value, f64::NAN));
            }
        }
    }

    /// Puts back since when a metric has not changed.
    pub fn restore_unchanged(&mut self, device: DeviceNo, metric: MetricNo, since: TimestampMs) {
        for cell in
            self.devices.get_mut(device.index()).into_iter().flatten().filter(|cell| cell.metric == metric)
        {
            if let Memory::Unchanged(unchanged) = &mut cell.memory {
                *unchanged = Some(since);
            }
        }
    }

    /// After a restore under other rules: alerts whose levels are all gone are cleared, severities brought up to date.
    pub fn settle_all(&mut self, now: TimestampMs, effects: &mut Vec<Effect>) {
        let (devices, mut hand) = self.hand(effects);
        for (index, cells) in devices.iter_mut().enumerate() {
            for cell in cells {
                let value = cell.told(now);
                hand.step(DeviceNo(index as u32), cell.rule).settle(cell, now, value);
            }
        }
    }
}
