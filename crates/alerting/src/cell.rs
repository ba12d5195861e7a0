//! One rule on one device: what is remembered, and one step of it.

use std::collections::BTreeSet;

use sanimon_domain::{AlertId, DeviceNo, MetricNo, TimestampMs};

use crate::engine::{Effect, OpenAlert, RuleNo};
use crate::level::LevelState;
use crate::rule::{Rule, RuleSet};
use crate::watch::{Memory, silent_minutes};

/// What is remembered of one rule on one device.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) rule: RuleNo,
    pub(crate) metric: MetricNo,
    /// The observation time of the newest reading evaluated.
    pub(crate) last_at: TimestampMs,
    pub(crate) last_value: f64,
    pub(crate) levels: Vec<LevelState>,
    pub(crate) alert: Option<OpenAlert>,
    pub(crate) memory: Memory,
}

impl Cell {
    /// When a level becomes active if nothing contradicts it.
    pub(crate) fn due(&self, rule: &Rule, level: usize) -> Option<TimestampMs> {
        let definition = &rule.levels[level];
        match (&self.memory, self.levels[level]) {
            (Memory::Interval(interval_ms), LevelState::Pending { since }) => {
                let patience_ms = (definition.raise * *interval_ms as f64) as i64;
                Some(since.plus_ms(patience_ms).plus_ms(definition.for_ms))
            }
            (_, state) => definition.due(state),
        }
    }

    pub(crate) const fn is_silence(&self) -> bool {
        matches!(self.memory, Memory::Interval(_))
    }

    /// What its levels wait for.
    pub(crate) fn deadlines(&self, rule: &Rule, device: DeviceNo) -> Vec<Deadline> {
        let due = |level| Some((self.due(rule, level)?, device, self.rule, level as u8));
        (0..self.levels.len()).filter_map(due).collect()
    }

    /// What an alert tells at this time.
    pub(crate) fn told(&self, at: TimestampMs) -> f64 {
        match self.memory {
            Memory::Interval(_) => silent_minutes(self.last_at, at),
            _ => self.last_value,
        }
    }
}

/// When a level of a device's rule may become active.
pub(crate) type Deadline = (TimestampMs, DeviceNo, RuleNo, u8);

/// What all steps change together.
pub(crate) struct Hand<'a> {
    pub(crate) rules: &'a RuleSet,
    pub(crate) deadlines: &'a mut BTreeSet<Deadline>,
    pub(crate) next_alert: &'a mut u64,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Hand<'_> {
    pub(crate) fn step(&mut self, device: DeviceNo, rule: RuleNo) -> Step<'_> {
        let rule = self.rules.get(usize::from(rule.0)).expect("cells are made from this rule set");
        let Self { deadlines, next_alert, effects, .. } = self;
        Step { device, rule, deadlines, next_alert, effects }
    }
}

/// A level that only waits has nothing to be stored.
const fn without_waiting(state: LevelState) -> LevelState {
    match state {
        LevelState::Pending { .. } => LevelState::Idle,
        state => state,
    }
}

/// One cell's step: the parts of the engine that it may change.
pub(crate) struct Step<'a> {
    device: DeviceNo,
    pub(crate) rule: &'a Rule,
    deadlines: &'a mut BTreeSet<Deadline>,
    next_alert: &'a mut u64,
    effects: &'a mut Vec<Effect>,
}

impl Step<'_> {
    /// Pending levels whose time is up by `until` become active, each at its own instant, earliest first.
    pub(crate) fn ripen(&mut self, cell: &mut Cell, until: TimestampMs) {
        while let Some((due, level)) = self.next_due(cell).filter(|(due, _)| *due <= until) {
            self.set_level(cell, level, LevelState::Active { since: due });
            let value = cell.told(due);
            self.settle(cell, due, value);
        }
    }

    /// A deadline of the cell has come: the level is due, or it waits for longer by now.
    pub(crate) fn fall_due(&mut self, cell: &mut Cell, level: usize, deadline: TimestampMs) {
        match cell.due(self.rule, level) {
            Some(due) if due > deadline => {
                self.deadlines.insert((due, self.device, cell.rule, level as u8));
            }
            Some(_) => self.ripen(cell, deadline),
            None => {}
        }
    }

    /// Waits from here on. Each message of a device does this: its deadline is left where it is and moved when it comes.
    pub(crate) fn wait_anew(&mut self, cell: &mut Cell, level: usize, at: TimestampMs) {
        match &mut cell.levels[level] {
            LevelState::Pending { since } => *since = at,
            _ => self.set_level(cell, level, LevelState::Pending { since: at }),
        }
    }

    fn next_due(&self, cell: &Cell) -> Option<(TimestampMs, usize)> {
        (0..cell.levels.len()).filter_map(|level| Some((cell.due(self.rule, level)?, level))).min()
    }

    pub(crate) fn evaluate(&mut self, cell: &mut Cell, at: TimestampMs, value: f64) {
        for level in 0..cell.levels.len() {
            let definition = &self.rule.levels[level];
            let quantity = cell.memory.quantity(self.rule.watch, definition.direction, at, value);
            let next = definition.next(cell.levels[level], at, quantity);
            self.set_level(cell, level, next);
        }
        self.settle(cell, at, value);
    }

    pub(crate) fn set_level(&mut self, cell: &mut Cell, level: usize, next: LevelState) {
        let before = cell.levels[level];
        if before == next {
            return;
        }
        let key = level as u8;
        if let Some(due) = cell.due(self.rule, level) {
            self.deadlines.remove(&(due, self.device, cell.rule, key));
        }
        cell.levels[level] = next;
        if let Some(due) = cell.due(self.rule, level) {
            self.deadlines.insert((due, self.device, cell.rule, key));
        }
        let (before, next) = match cell.memory {
            // Each message begins a silence anew: what is waited for follows from when the device was heard last.
            Memory::Interval(_) => (without_waiting(before), without_waiting(next)),
            _ => (before, next),
        };
        if before == next {
            return;
        }
        self.effects.push(Effect::Level { device: self.device, rule: cell.rule, level: key, state: next });
    }

    /// Brings the alert in line with the worst active level.
    pub(crate) fn settle(&mut self, cell: &mut Cell, at: TimestampMs, value: f64) {
        let active =
            cell.levels.iter().enumerate().filter(|(_, state)| matches!(state, LevelState::Active { .. }));
        let worst = active.map(|(index, _)| self.rule.levels[index].severity).max();
        match (cell.alert, worst) {
            (None, Some(severity)) => {
                let id = AlertId(*self.next_alert);
                *self.next_alert += 1;
                cell.alert = Some(OpenAlert { id, severity });
                let (device, rule) = (self.device, cell.rule);
                self.effects.push(Effect::Raised { alert: id, device, rule, severity, at, value });
            }
            (Some(open), Some(severity)) if open.severity != severity => {
                cell.alert = Some(OpenAlert { severity, ..open });
                let (from, to) = (open.severity, severity);
                self.effects.push(Effect::SeverityChanged { alert: open.id, from, to, at, value });
            }
            (Some(open), None) => {
                cell.alert = None;
                self.effects.push(Effect::Cleared { alert: open.id, at, value });
            }
            _ => {}
        }
    }
}
