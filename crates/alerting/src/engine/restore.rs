//! How the engine comes back from what was stored: place the devices, then put back what was remembered of them.

use sanimon_domain::{DeviceNo, MetricNo, Subject, TimestampMs};

use super::{Chosen, Effect, Engine, Known, OpenAlert, Parts, RestoredLevel, RuleNo, cell_of, is_replaced};
use crate::cell::{Around, Cell, Seat};
use crate::forecast::Filling;
use crate::level::LevelState;
use crate::watch::{Memory, Watch};

impl Engine {
    /// Puts back what was stored, after the devices were placed. Levels that the rules no longer have are left out.
    pub fn restore(&mut self, levels: &[RestoredLevel], open: &[(Subject, RuleNo, OpenAlert)]) {
        let rules = self.rules.clone();
        for stored in levels {
            let Some((seat, cell)) = self.cell_mut(&stored.subject, stored.rule) else { continue };
            let rule = rules.rule(stored.rule);
            let level = rule.levels_of(cell.variant).iter().position(|level| level.key() == *stored.key);
            let Some(level) = level else { continue };
            cell.put_state(level, stored.state);
            let due = cell.due(rule, level);
            self.deadlines.extend(due.map(|due| (due, seat, stored.rule, level as u8)));
        }
        for (subject, rule, alert) in open {
            if let Some((_, cell)) = self.cell_mut(subject, *rule) {
                cell.set_alert(Some(*alert));
            }
        }
    }

    /// Puts back until when a rule raises nothing anew, after an alert that was cleared at this time.
    pub fn restore_cleared(&mut self, subject: &Subject, rule: RuleNo, cleared_at: TimestampMs) {
        let gap_ms = self.rules.rule(rule).gap_ms;
        if let Some((_, cell)) = self.cell_mut(subject, rule)
            && gap_ms > 0
        {
            cell.wait_until(cleared_at.plus_ms(gap_ms));
        }
    }

    /// Puts back the newest reading of a metric, so that older ones are known as late.
    pub fn restore_latest(&mut self, device: DeviceNo, metric: MetricNo, at: TimestampMs, value: f64) {
        for cell in self.cells_reading(device, metric) {
            cell.last_at = at;
            cell.last_value = value;
        }
    }

    /// Puts back when a device was heard last: its silence, and its group's, is counted from there.
    pub fn restore_heard(&mut self, device: DeviceNo, at: TimestampMs) {
        let rules = self.rules.clone();
        let Some(known) = self.devices.get_mut(device.index()) else { return };
        known.heard_at = at;
        let Known { chosen, cells, interval_ms, groups, .. } = known;
        for chosen in chosen.iter().filter(|chosen| chosen.metric.is_none()) {
            let rule = rules.rule(chosen.rule);
            let cell = cell_of(cells, *chosen, rule, *interval_ms);
            cell.last_at = at;
            for level in 0..cell.level_count() {
                if cell.state(level) == LevelState::Idle {
                    cell.put_state(level, LevelState::Pending { since: at });
                    let due = cell.due(rule, level);
                    let seat = Seat::Device(device);
                    self.deadlines.extend(due.map(|due| (due, seat, chosen.rule, level as u8)));
                }
            }
        }
        for index in groups.iter() {
            let group = &mut self.groups[*index as usize];
            group.heard_at = group.heard_at.max(at);
            group.cell.last_at = group.heard_at;
        }
    }

    /// After all devices: waits for the silences of groups that are not silent.
    pub fn restore_groups(&mut self) {
        let mut effects = Vec::new();
        for index in 0..self.groups.len() as u32 {
            let group = &self.groups[index as usize];
            if group.cell.alert().is_none() && group.heard_at > TimestampMs(i64::MIN) {
                self.group_heard(index, group.heard_at, true, &mut effects);
            }
        }
        // Waiting for a silence has nothing to be stored.
        debug_assert!(effects.is_empty(), "{effects:?}");
    }

    /// Which of a device's metrics are watched over a time, and how long: their readings are to be put back.
    pub fn windows(&self, device: DeviceNo) -> Vec<(MetricNo, i64)> {
        let chosen = self.devices.get(device.index()).map_or(&[][..], |known| &known.chosen);
        let within = |chosen: &Chosen| match self.rule(chosen.rule).watch {
            Watch::Rate { within_ms } => Some((chosen.metric?, within_ms)),
            Watch::Forecast { .. } => Some((chosen.metric?, Filling::MEMORY_MS)),
            _ => None,
        };
        chosen.iter().filter_map(within).collect()
    }

    /// Puts back the readings of a window, ascending, up to the newest.
    pub fn restore_window(&mut self, device: DeviceNo, metric: MetricNo, points: &[(TimestampMs, f64)]) {
        let (rules, calendar) = (self.rules.clone(), self.calendar);
        for cell in self.cells_reading(device, metric) {
            let watch = rules.rule(cell.rule).watch;
            if matches!(watch, Watch::Rate { .. } | Watch::Forecast { .. }) {
                let hear = |(at, value): &(TimestampMs, f64)| {
                    cell.memory.hear((watch, calendar), *at, *value, f64::NAN);
                };
                points.iter().for_each(hear);
                cell.memory.learn();
            }
        }
    }

    /// Puts back how a device usually fills, as it was learned elsewhere.
    pub fn restore_filling(&mut self, device: DeviceNo, metric: MetricNo, filling: &Filling) {
        for cell in self.cells_reading(device, metric) {
            if matches!(cell.memory, Memory::Filling(_)) {
                cell.memory = Memory::Filling(Box::new(filling.clone()));
            }
        }
    }

    /// Puts back since when a metric has not changed.
    pub fn restore_unchanged(&mut self, device: DeviceNo, metric: MetricNo, since: TimestampMs) {
        for cell in self.cells_reading(device, metric) {
            if let Memory::Unchanged(unchanged) = &mut cell.memory {
                *unchanged = since;
            }
        }
    }

    /// After a restore under other rules, or when windows changed: alerts whose levels are all gone are cleared, those
    /// that may be raised now are, and severities are brought up to date.
    pub fn settle_all(&mut self, now: TimestampMs, effects: &mut Vec<Effect>) {
        for index in 0..self.groups.len() as u32 {
            self.count(index, now, effects);
            let Parts { groups, mut hand, .. } = self.parts(effects);
            let (cell, around) = groups[index as usize].cell_around(index);
            let value = cell.alert_value(now);
            hand.step(around, cell.rule).settle(cell, now, value);
        }
        let Parts { devices, groups, mut hand } = self.parts(effects);
        for (index, known) in devices.iter_mut().enumerate() {
            let Known { cells, groups: own, zone, .. } = known;
            for cell in cells {
                let value = cell.alert_value(now);
                let is_replaced = is_replaced(hand.rules, groups, own, cell.rule);
                let around = Around::device(DeviceNo(index as u32), zone.as_ref(), is_replaced);
                hand.step(around, cell.rule).settle(cell, now, value);
            }
        }
    }

    /// The cells of a metric's rules; made where they are not yet.
    fn cells_reading(&mut self, device: DeviceNo, metric: MetricNo) -> impl Iterator<Item = &mut Cell> {
        let rules = self.rules.clone();
        let cells = self.devices.get_mut(device.index()).map(|known| {
            let Known { chosen, cells, interval_ms, .. } = known;
            for chosen in chosen.iter().filter(|chosen| chosen.metric == Some(metric)) {
                cell_of(cells, *chosen, rules.rule(chosen.rule), *interval_ms);
            }
            cells
        });
        let reads = move |cell: &&mut Cell| {
            let rule = rules.rule(cell.rule);
            rule.metric == metric && rule.watch.reads()
        };
        cells.into_iter().flatten().filter(reads)
    }

    fn cell_mut(&mut self, subject: &Subject, rule: RuleNo) -> Option<(Seat, &mut Cell)> {
        match subject {
            Subject::Device(device) => {
                let known = self.devices.get_mut(device.index())?;
                let chosen = *known.chosen.iter().find(|chosen| chosen.rule == rule)?;
                let cell = cell_of(&mut known.cells, chosen, self.rules.rule(rule), known.interval_ms);
                Some((Seat::Device(*device), cell))
            }
            Subject::Group(key) => {
                let index = *self.group_numbers.get(&(rule, key.clone()))?;
                Some((Seat::Group(index), &mut self.groups[index as usize].cell))
            }
        }
    }
}
