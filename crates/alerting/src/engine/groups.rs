//! What devices that share a zone or a gateway say together.

use sanimon_domain::{DeviceNo, TimestampMs};

use super::{Effect, Engine, Known, Parts, is_replaced};
use crate::cell::{Around, Cell, RAISE, Seat};
use crate::level::LevelState;
use crate::rule::Variant;
use crate::watch::{Due, Memory, Watch};

/// After its group's silence a device has this many of its intervals to report.
const RETURN_INTERVALS: f64 = 1.5;

impl Engine {
    /// One of a group's devices was heard: the group is not silent.
    pub(super) fn group_heard(
        &mut self,
        index: u32,
        at: TimestampMs,
        is_back: bool,
        effects: &mut Vec<Effect>,
    ) {
        let rule = self.rules.rule(self.groups[index as usize].rule);
        let group = &mut self.groups[index as usize];
        if rule.watch != Watch::Silence || (at <= group.heard_at && !is_back) {
            return;
        }
        let silent_min = group.cell.alert_value(at);
        group.heard_at = group.heard_at.max(at);
        group.cell.last_at = group.heard_at;
        let waits = |state: LevelState| matches!(state, LevelState::Pending { .. });
        let is_armed = group.cell.states().all(waits)
            && matches!(&group.cell.memory, Memory::Together(due) if due.0.iter().all(Option::is_some));
        if is_back || !is_armed {
            self.await_group(index, at, silent_min, effects);
        }
    }

    /// After its devices have changed: when it was heard, and until when it is waited for. What is silent already stays so.
    pub(super) fn arm_group(&mut self, index: u32) {
        let group = &self.groups[index as usize];
        if self.rules.rule(group.rule).watch != Watch::Silence {
            return;
        }
        let heard = group.members.iter().filter_map(|member| self.devices.get(member.index()));
        let heard_at = heard.map(|known| known.heard_at).max().unwrap_or(TimestampMs(i64::MIN));
        self.arm_group_at(index, heard_at);
    }

    /// The same, when it is known when the newest of its devices was heard.
    pub(super) fn arm_group_at(&mut self, index: u32, heard_at: TimestampMs) {
        let group = &self.groups[index as usize];
        if self.rules.rule(group.rule).watch != Watch::Silence {
            return;
        }
        let is_active = |state: LevelState| matches!(state, LevelState::Active { .. });
        let is_silent = group.cell.states().any(is_active);
        let group = &mut self.groups[index as usize];
        group.heard_at = heard_at;
        group.cell.last_at = heard_at;
        if is_silent || heard_at == TimestampMs(i64::MIN) {
            return;
        }
        self.expect_group(index);
        let cell = &mut self.groups[index as usize].cell;
        for level in 0..cell.level_count() {
            cell.put_state(level, LevelState::Pending { since: heard_at });
        }
        self.deadlines.extend(cell.deadlines(self.rules.rule(cell.rule), Seat::Group(index)));
    }

    /// Waits for the group's next silence.
    fn await_group(
        &mut self,
        index: u32,
        at: TimestampMs,
        silent_min: Option<f64>,
        effects: &mut Vec<Effect>,
    ) {
        self.expect_group(index);
        let Parts { groups, mut hand, .. } = self.parts(effects);
        let (cell, around) = groups[index as usize].cell_around(index);
        let mut step = hand.step(around, cell.rule);
        for level in 0..cell.level_count() {
            // Not the same state again: its deadline is to be set.
            step.set_level(cell, level, LevelState::Idle);
            step.set_level(cell, level, LevelState::Pending { since: at });
        }
        let had = cell.alert();
        step.settle(cell, at, silent_min);
        if had.is_some() && cell.alert().is_none() {
            self.give_back(index, at, effects);
        }
    }

    /// Computes when the group will have been silent for long enough.
    fn expect_group(&mut self, index: u32) {
        let group = &self.groups[index as usize];
        let levels = self.rules.rule(group.rule).levels_of(Variant(0));
        let due = levels.iter().map(|level| {
            let silent_at = group.silent_at(&self.devices, level.raise.ceil() as usize);
            silent_at.map(|at| at.plus_ms(level.for_ms))
        });
        let due = due.collect();
        self.groups[index as usize].cell.memory = Memory::Together(Box::new(Due(due)));
    }

    /// A deadline of a group has come.
    pub(super) fn group_due(&mut self, index: u32, level: u8, due: TimestampMs, effects: &mut Vec<Effect>) {
        if level != RAISE && self.rules.rule(self.groups[index as usize].rule).watch == Watch::Silence {
            self.expect_group(index);
        }
        let Parts { groups, mut hand, .. } = self.parts(effects);
        let (cell, around) = groups[index as usize].cell_around(index);
        let had = cell.alert();
        hand.step(around, cell.rule).fall_due(cell, level, due);
        if had.is_none() && cell.alert().is_some() {
            self.stand_for(index, due, effects);
        }
    }

    /// After something changed on a device: counts anew where it is counted.
    pub(super) fn count_around(&mut self, device: DeviceNo, at: TimestampMs, effects: &mut Vec<Effect>) {
        for position in 0..self.devices[device.index()].groups.len() {
            let index = self.devices[device.index()].groups[position];
            self.count(index, at, effects);
        }
    }

    pub(super) fn count(&mut self, index: u32, at: TimestampMs, effects: &mut Vec<Effect>) {
        let group = &self.groups[index as usize];
        let Watch::Count { at_least, share } = self.rules.rule(group.rule).watch else { return };
        let is_in_condition = |known: &Known| {
            known.cells.iter().any(|cell| {
                let levels = self.rules.rule(cell.rule).levels_of(cell.variant);
                let states = cell.states().zip(levels);
                self.rules.counted_by(cell.rule).contains(&group.rule)
                    && states
                        .filter(|(state, _)| matches!(state, LevelState::Active { .. }))
                        .any(|(_, level)| level.severity >= at_least)
            })
        };
        let members = group.members.iter().filter_map(|member| self.devices.get(member.index()));
        let counted = members.filter(|known| is_in_condition(known)).count() as f64;
        self.judge_count(
            index,
            at,
            if share { counted_share(counted, group.members.len()) } else { counted },
            effects,
        );
    }

    /// A device came to it that counts nothing: the number stays, its share becomes less.
    pub(super) fn count_one_more(&mut self, index: u32, at: TimestampMs, effects: &mut Vec<Effect>) {
        let group = &self.groups[index as usize];
        let Watch::Count { share: true, .. } = self.rules.rule(group.rule).watch else { return };
        let members = group.members.len();
        let counted = (group.cell.last_value * members.saturating_sub(1) as f64 / 100.0).round();
        self.judge_count(index, at, counted_share(counted, members), effects);
    }

    fn judge_count(&mut self, index: u32, at: TimestampMs, value: f64, effects: &mut Vec<Effect>) {
        let group = &self.groups[index as usize];
        // Not before its own last change: that one is stored, other counts are not.
        let at = at.max(group.cell.last_at);
        let before = effects.len();
        let Parts { groups, mut hand, .. } = self.parts(effects);
        let (cell, around) = groups[index as usize].cell_around(index);
        let had = cell.alert();
        let mut step = hand.step(around, cell.rule);
        step.ripen(cell, at);
        cell.last_value = value;
        step.evaluate(cell, at, value);
        let has_changed = effects.len() > before;
        let cell = &mut self.groups[index as usize].cell;
        if has_changed {
            cell.last_at = at;
        }
        match (had.is_some(), cell.alert().is_some()) {
            (false, true) => self.stand_for(index, at, effects),
            (true, false) => self.give_back(index, at, effects),
            _ => {}
        }
    }

    /// A group's alert was raised: it stands for those of its devices that its rule names.
    fn stand_for(&mut self, index: u32, at: TimestampMs, effects: &mut Vec<Effect>) {
        let group = &self.groups[index as usize];
        let Some(by) = group.cell.alert().map(|alert| alert.id) else { return };
        for member in &group.members {
            let Some(known) = self.devices.get_mut(member.index()) else { continue };
            for cell in &mut known.cells {
                if self.rules.replaced_by(cell.rule).contains(&group.rule)
                    && let Some(alert) = cell.alert()
                {
                    cell.set_alert(None);
                    effects.push(Effect::Replaced { alert: alert.id, by, at });
                }
            }
        }
    }

    /// After a group's silence its devices have some time before one of them is silent alone.
    pub(super) fn let_members_return(&mut self, index: u32, at: TimestampMs) {
        let group = &self.groups[index as usize];
        for member in &group.members {
            let Some(Known { cells, interval_ms, .. }) = self.devices.get_mut(member.index()) else {
                continue;
            };
            let patience_ms = (*interval_ms as f64 * RETURN_INTERVALS) as i64;
            let replaced = |cell: &&mut Cell| self.rules.replaced_by(cell.rule).contains(&group.rule);
            cells.iter_mut().filter(replaced).for_each(|cell| cell.wait_until(at.plus_ms(patience_ms)));
        }
    }

    /// A group's alert is over: its devices speak for themselves again, once they have had time to.
    pub(super) fn give_back(&mut self, index: u32, at: TimestampMs, effects: &mut Vec<Effect>) {
        let members = self.groups[index as usize].members.clone();
        let rule = self.groups[index as usize].rule;
        if self.rules.rule(rule).watch == Watch::Silence {
            self.let_members_return(index, at);
        }
        let Parts { devices, groups, mut hand } = self.parts(effects);
        for member in members {
            let Some(known) = devices.get_mut(member.index()) else { continue };
            let Known { cells, groups: own, zone, .. } = known;
            for cell in cells.iter_mut().filter(|cell| hand.rules.replaced_by(cell.rule).contains(&rule)) {
                let is_replaced = is_replaced(hand.rules, groups, own, cell.rule);
                let value = cell.alert_value(at);
                let around = Around::device(member, zone.as_ref(), is_replaced);
                hand.step(around, cell.rule).settle(cell, at, value);
            }
        }
    }
}

/// In per cent.
fn counted_share(counted: f64, members: usize) -> f64 {
    100.0 * counted / members.max(1) as f64
}
