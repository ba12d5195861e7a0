//! Devices come, move and go: which rules speak for them, and which groups they count to.

use std::sync::Arc;

use sanimon_domain::device::INTERVAL_DEFAULT_MS;
use sanimon_domain::{DeviceId, DeviceNo, GroupKey, Placement, TimestampMs};

use super::{Chosen, Effect, Engine, Known, Parts, RuleNo};
use crate::cell::{Around, Cell, Seat};
use crate::group::Group;
use crate::level::LevelState;
use crate::rule::Variant;
use crate::watch::{Due, Memory, Watch};

impl Engine {
    /// Gives a device the rules that select it; what a rule no longer selects is cleared.
    pub(super) fn place(
        &mut self,
        now: TimestampMs,
        device: DeviceNo,
        id: &DeviceId,
        placement: &Placement,
        effects: &mut Vec<Effect>,
    ) {
        let rules = self.rules.clone();
        let numbered = || rules.iter().enumerate().map(|(index, rule)| (RuleNo(index as u16), rule));
        let speaking = numbered().filter(|(_, rule)| rule.group.is_none()).filter_map(|(no, rule)| {
            let metric = rule.watch.reads().then_some(rule.metric);
            Some(Chosen { rule: no, variant: rule.variant(id, placement)?, metric })
        });
        let chosen: Arc<[Chosen]> = speaking.collect();
        let grouped = numbered().filter(|(_, rule)| rule.selects(id, placement)).filter_map(|(no, rule)| {
            let key = GroupKey { kind: rule.group?, id: rule.group_of(placement)?.into() };
            Some((no, Arc::new(key)))
        });
        let grouped: Vec<_> = grouped.collect();
        let groups: Vec<u32> = grouped.into_iter().map(|(rule, key)| self.group_number(rule, key)).collect();
        let interned = match self.selections.get(&chosen) {
            Some(known) => known.clone(),
            None => {
                self.selections.insert(chosen.clone());
                chosen
            }
        };
        self.known(device).zone.clone_from(&placement.zone);
        self.choose(now, device, (interned, placement.interval_ms), effects);
        self.join(now, device, &groups, effects);
    }

    pub(super) fn retire(&mut self, now: TimestampMs, device: DeviceNo, effects: &mut Vec<Effect>) {
        self.known(device).zone = None;
        self.choose(now, device, (Arc::new([]), INTERVAL_DEFAULT_MS), effects);
        self.join(now, device, &[], effects);
    }

    fn known(&mut self, device: DeviceNo) -> &mut Known {
        let fresh = || Known {
            chosen: Arc::new([]),
            cells: Vec::new(),
            groups: Vec::new(),
            zone: None,
            heard_at: TimestampMs(i64::MIN),
            interval_ms: INTERVAL_DEFAULT_MS,
        };
        if self.devices.len() <= device.index() {
            self.devices.resize_with(device.index() + 1, fresh);
        }
        &mut self.devices[device.index()]
    }

    fn choose(
        &mut self,
        now: TimestampMs,
        device: DeviceNo,
        (chosen, interval_ms): (Arc<[Chosen]>, i64),
        effects: &mut Vec<Effect>,
    ) {
        let Parts { devices, mut hand, .. } = self.parts(effects);
        let Known { cells, zone, .. } = &mut devices[device.index()];
        let mut old = std::mem::take(cells);
        for chosen in chosen.iter() {
            let Some(position) = old.iter().position(|cell| cell.rule == chosen.rule) else { continue };
            let mut cell = old.swap_remove(position);
            let rule = hand.rules.rule(chosen.rule);
            if cell.is_silence() && cell.memory != Memory::Interval(interval_ms) {
                let before = cell.deadlines(rule, Seat::Device(device));
                before.iter().for_each(|deadline| _ = hand.deadlines.remove(deadline));
                cell.memory = Memory::Interval(interval_ms);
                hand.deadlines.extend(cell.deadlines(rule, Seat::Device(device)));
            }
            if cell.variant != chosen.variant {
                let value = cell.alert_value(now);
                let mut step = hand.step(Around::device(device, zone.as_ref(), false), chosen.rule);
                let states: Vec<(String, LevelState)> =
                    rule.levels_of(cell.variant).iter().map(crate::Level::key).zip(cell.states()).collect();
                step.all_idle(&mut cell);
                cell.change_variant(chosen.variant, rule);
                for (index, level) in rule.levels_of(chosen.variant).iter().enumerate() {
                    if let Some((_, state)) = states.iter().find(|(key, _)| *key == level.key()) {
                        step.set_level(&mut cell, index, *state);
                    }
                }
                // The newest value is judged by the new levels at once.
                if rule.watch == Watch::Value && !cell.last_value.is_nan() {
                    let (at, last) = (cell.last_at.max(now), cell.last_value);
                    step.evaluate(&mut cell, at, last);
                } else {
                    step.settle(&mut cell, now, value);
                }
            }
            cells.push(cell);
        }
        for mut cell in old {
            let value = cell.alert_value(now);
            let mut step = hand.step(Around::device(device, zone.as_ref(), false), cell.rule);
            step.all_idle(&mut cell);
            step.settle(&mut cell, now, value);
        }
        let known = &mut self.devices[device.index()];
        known.cells.shrink_to_fit();
        known.chosen = chosen;
        known.interval_ms = interval_ms;
        self.await_silences(device);
    }

    /// Makes a device a member of these groups and of no others.
    fn join(&mut self, now: TimestampMs, device: DeviceNo, groups: &[u32], effects: &mut Vec<Effect>) {
        let before = std::mem::replace(&mut self.devices[device.index()].groups, groups.to_vec());
        for index in before.iter().filter(|index| !groups.contains(index)) {
            let group = &mut self.groups[*index as usize];
            group.members.retain(|member| *member != device);
            if group.members.is_empty() {
                self.dissolve(*index, now, effects);
            } else if group.cell.last_value > 0.0 {
                self.count(*index, now, effects);
            } else {
                self.arm_group(*index);
            }
        }
        for index in groups.iter().filter(|index| !before.contains(index)) {
            let Known { heard_at, cells, .. } = &self.devices[device.index()];
            let is_active = |state: LevelState| matches!(state, LevelState::Active { .. });
            let (heard_at, has_active) = (*heard_at, cells.iter().any(|cell| cell.states().any(is_active)));
            let group = &mut self.groups[*index as usize];
            group.members.push(device);
            // A zone may have very many devices that come at once: what one costs must not depend on their number.
            if heard_at > group.heard_at {
                self.group_heard(*index, heard_at, true, effects);
            } else {
                let group_heard_at = group.heard_at;
                self.arm_group_at(*index, group_heard_at);
            }
            if has_active {
                self.count(*index, now, effects);
            } else if self.groups[*index as usize].cell.last_value > 0.0 {
                self.count_one_more(*index, now, effects);
            }
        }
    }

    /// A group without devices says nothing.
    fn dissolve(&mut self, index: u32, now: TimestampMs, effects: &mut Vec<Effect>) {
        let Parts { groups, mut hand, .. } = self.parts(effects);
        let group = &mut groups[index as usize];
        group.heard_at = TimestampMs(i64::MIN);
        let (cell, around) = group.cell_around(index);
        let value = cell.alert_value(now);
        let mut step = hand.step(around, cell.rule);
        step.all_idle(cell);
        step.settle(cell, now, value);
    }

    fn group_number(&mut self, rule: RuleNo, key: Arc<GroupKey>) -> u32 {
        if let Some(number) = self.group_numbers.get(&(rule, key.clone())) {
            return *number;
        }
        let definition = self.rules.rule(rule);
        let mut cell = Cell::new(rule, Variant(0), definition, INTERVAL_DEFAULT_MS);
        if definition.watch == Watch::Silence {
            cell.memory = Memory::Together(Box::new(Due(vec![None; cell.level_count()])));
        }
        let number = self.groups.len() as u32;
        self.groups.push(Group::new(key.clone(), rule, cell));
        self.group_numbers.insert((rule, key), number);
        number
    }
}
