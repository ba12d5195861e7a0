//! How the engine comes back from what was stored: place the devices, then put back what was remembered of them.

use sanimon_domain::{DeviceNo, MetricNo, Subject, TimestampMs};

use super::{Chosen, Effect, Engine, Known, OpenAlert, Parts, RestoredLevel, RuleNo, cell_of, is_replaced};
use crate::cell::{Around, Cell, Seat};
use crate::forecast::Filling;
use crate::level::LevelState;
use crate::watch::{Memory, Watch};

impl Engine {
    /// Puts back what was stored, after the devices were placed. Levels that the rules no longer have are left out.
    ///
    /// Gives the levels that have no place under these rules: whoever stores them forgets them, for they would be found as
    /// they were when such rules come back.
    pub fn restore<'l>(
        &mut self,
        levels: &'l [RestoredLevel],
        open: &[(Subject, RuleNo, OpenAlert)],
    ) -> Vec<&'l RestoredLevel> {
        let rules = self.rules.clone();
        let mut without_place = Vec::new();
        for stored in levels {
            let Some((seat, cell)) = self.cell_mut(&stored.subject, stored.rule) else {
                without_place.push(stored);
                continue;
            };
            let rule = rules.rule(stored.rule);
            let level = rule.levels_of(cell.variant).iter().position(|level| level.key() == *stored.key);
            let Some(level) = level else {
                without_place.push(stored);
                continue;
            };
            cell.put_state(level, stored.state);
            let due = cell.due(rule, level);
            self.deadlines.extend(due.map(|due| (due, seat, stored.rule, level as u8)));
        }
        for (subject, rule, alert) in open {
            if let Some((_, cell)) = self.cell_mut(subject, *rule) {
                cell.set_alert(Some(*alert));
            }
        }
        without_place
    }

    /// Puts back until when nothing is raised anew after an alert that was cleared at this time: by its rule, or by the
    /// devices for which it stood. `returned_at`: the same without the time in which nothing could be heard.
    pub fn restore_cleared(
        &mut self,
        subject: &Subject,
        rule: RuleNo,
        cleared_at: TimestampMs,
        returned_at: TimestampMs,
    ) {
        let definition = self.rules.rule(rule);
        let (gap_ms, watch) = (definition.gap_ms, definition.watch);
        let Some((seat, cell)) = self.cell_mut(subject, rule) else { return };
        if gap_ms > 0 {
            cell.wait_until(cleared_at.plus_ms(gap_ms));
        }
        match (seat, watch) {
            (Seat::Group(index), Watch::Silence) => self.let_members_return(index, returned_at),
            (Seat::Group(index), Watch::Count { .. }) => {
                let cell = &mut self.groups[index as usize].cell;
                cell.last_at = cell.last_at.max(cleared_at);
            }
            _ => {}
        }
    }

    /// An alert that could not be stored is not open: it is raised again when its rule is evaluated next.
    pub fn forget_alert(&mut self, subject: &Subject, rule: RuleNo) {
        if let Some((_, cell)) = self.cell_mut(subject, rule) {
            cell.set_alert(None);
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
        let Some(known) = self.devices.get_mut(device.index()) else { return };
        known.heard_at = at;
        self.await_silences(device);
    }

    /// Waits for the silences of a device that are not waited for yet, from when it was heard last: after a restore, and
    /// where other rules speak for it.
    pub(super) fn await_silences(&mut self, device: DeviceNo) {
        let rules = self.rules.clone();
        let Known { chosen, cells, interval_ms, heard_at, .. } = &mut self.devices[device.index()];
        if *heard_at == TimestampMs(i64::MIN) {
            return;
        }
        for chosen in chosen.iter().filter(|chosen| chosen.metric.is_none()) {
            let rule = rules.rule(chosen.rule);
            let cell = cell_of(cells, *chosen, rule, *interval_ms);
            cell.last_at = *heard_at;
            for level in 0..cell.level_count() {
                if cell.state(level) == LevelState::Idle {
                    cell.put_state(level, LevelState::Pending { since: *heard_at });
                    let due = cell.due(rule, level);
                    let seat = Seat::Device(device);
                    self.deadlines.extend(due.map(|due| (due, seat, chosen.rule, level as u8)));
                }
            }
        }
    }

    /// After all devices: waits for the silences of groups that are not silent.
    pub fn restore_groups(&mut self) {
        (0..self.groups.len() as u32).for_each(|index| self.arm_group(index));
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

    /// After a restore: what it takes to be in line with the rules, as of this time. What a maintenance window keeps back has
    /// been told before.
    pub fn settle_restored(&mut self, at: TimestampMs, effects: &mut Vec<Effect>) {
        for group in &mut self.groups {
            let since = group.cell.states().filter_map(LevelState::since).max();
            if matches!(self.rules.rule(group.rule).watch, Watch::Count { .. }) {
                group.cell.last_at = group.cell.last_at.max(since.unwrap_or(group.cell.last_at));
            }
        }
        let before = effects.len();
        self.settle_all(at, effects);
        let settled = effects.split_off(before);
        effects.extend(settled.into_iter().filter(|effect| !matches!(effect, Effect::Suppressed { .. })));
    }

    /// After a restore under other rules, or when windows changed: alerts whose levels are all gone are cleared, those
    /// that may be raised now are, and severities are brought up to date.
    pub(super) fn settle_all(&mut self, now: TimestampMs, effects: &mut Vec<Effect>) {
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
