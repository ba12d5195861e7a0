//! The engine: readings and ticks in, effects out.
//!
//! Failure cases, and why they are none:
//! * The same reading again: at the cell's last time with the same value, it finds every level where it left it.
//! * A reading older than the newest one evaluated: ignored here (it is stored); newer readings have decided.
//! * A `for` that runs out between two readings: a level is raised at the instant it was due, whether the tick
//!   or the next reading notices, so the times in the history do not depend on how often ticks come.
//! * The commit fails: the caller drops the engine and restores it; there is no undo here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sanimon_domain::{AlertId, DeviceId, DeviceNo, MetricNo, Placement, Quality, Severity, TimestampMs};

use crate::level::LevelState;
use crate::rule::{Rule, RuleSet};

/// The place of a rule in the engine's [`RuleSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleNo(pub u16);

/// What happens to the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<'a> {
    /// A device is known, new, moved or of another kind.
    Device { device: DeviceNo, id: &'a DeviceId, placement: &'a Placement },
    /// A device is taken out of sight: its alerts are cleared, no rule selects it any more.
    Retired { device: DeviceNo },
    /// A committed reading; rules see good ones, and suspect ones if they ask.
    Reading { device: DeviceNo, metric: MetricNo, at: TimestampMs, value: f64, quality: Quality },
    /// Nothing arrived; time went on.
    Tick,
}

/// What must be stored, in order, in the transaction of the input that caused it.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Raised {
        alert: AlertId,
        device: DeviceNo,
        rule: RuleNo,
        severity: Severity,
        at: TimestampMs,
        value: f64,
    },
    SeverityChanged {
        alert: AlertId,
        from: Severity,
        to: Severity,
        at: TimestampMs,
        value: f64,
    },
    Cleared {
        alert: AlertId,
        at: TimestampMs,
        value: f64,
    },
    /// A level's memory changed; `Idle` means that there is nothing to remember.
    Level {
        device: DeviceNo,
        rule: RuleNo,
        level: u8,
        state: LevelState,
    },
}

/// An alert whose condition is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenAlert {
    pub id: AlertId,
    pub severity: Severity,
}

/// A level's memory as it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoredLevel {
    pub device: DeviceNo,
    pub rule: RuleNo,
    pub level: u8,
    pub state: LevelState,
}

#[derive(Debug)]
struct Cell {
    rule: RuleNo,
    metric: MetricNo,
    /// The observation time of the newest reading evaluated.
    last_at: TimestampMs,
    last_value: f64,
    levels: Vec<LevelState>,
    alert: Option<OpenAlert>,
}

type Deadline = (TimestampMs, DeviceNo, RuleNo, u8);

/// The memory of all rules on all devices: bounded by devices times rules.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    /// By [`DeviceNo`].
    devices: Vec<Vec<Cell>>,
    deadlines: BTreeSet<Deadline>,
    next_alert: u64,
}

impl Engine {
    /// An engine that knows no device. `next_alert` is the first number that no alert has had.
    pub fn new(rules: Arc<RuleSet>, next_alert: AlertId) -> Self {
        Self { rules, devices: Vec::new(), deadlines: BTreeSet::new(), next_alert: next_alert.0 }
    }

    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The rule behind a number of this engine.
    pub fn rule(&self, no: RuleNo) -> &Rule {
        self.rules.get(usize::from(no.0)).expect("a rule number is only made from this rule set")
    }

    /// The earliest instant at which something happens by itself.
    pub fn next_deadline(&self) -> Option<TimestampMs> {
        self.deadlines.first().map(|(due, ..)| *due)
    }

    /// Applies one input and appends what must be stored.
    #[expect(clippy::needless_pass_by_value, reason = "an input is made for this call and used up by it")]
    pub fn apply(&mut self, now: TimestampMs, input: Input<'_>, effects: &mut Vec<Effect>) {
        match input {
            Input::Reading { device, metric, at, value, quality } => {
                self.reading(device, metric, (at, value, quality), effects);
            }
            Input::Tick => self.tick(now, effects),
            Input::Device { device, id, placement } => {
                let rules = self.rules.clone();
                let selected = rules.iter().enumerate().filter(|(_, rule)| rule.selects(id, placement));
                self.place(now, device, selected.map(|(index, _)| RuleNo(index as u16)), effects);
            }
            Input::Retired { device } => self.place(now, device, std::iter::empty(), effects),
        }
    }

    fn reading(
        &mut self,
        device: DeviceNo,
        metric: MetricNo,
        (at, value, quality): (TimestampMs, f64, Quality),
        effects: &mut Vec<Effect>,
    ) {
        let Some(cells) = self.devices.get_mut(device.index()) else {
            return;
        };
        for cell in cells.iter_mut().filter(|cell| cell.metric == metric && at >= cell.last_at) {
            let rule = self.rules.get(usize::from(cell.rule.0)).expect("cells are made from this rule set");
            if !rule.accepts(quality) {
                continue;
            }
            let mut step = Step {
                device,
                rule,
                deadlines: &mut self.deadlines,
                next_alert: &mut self.next_alert,
                effects,
            };
            step.ripen(cell, at);
            cell.last_at = at;
            cell.last_value = value;
            step.evaluate(cell, at, value);
        }
    }

    fn tick(&mut self, now: TimestampMs, effects: &mut Vec<Effect>) {
        while let Some((due, device, rule_no, _)) =
            self.deadlines.first().copied().filter(|(due, ..)| *due <= now)
        {
            let rule = self.rules.get(usize::from(rule_no.0)).expect("deadlines are made from this rule set");
            let cell = self.devices[device.index()].iter_mut().find(|cell| cell.rule == rule_no);
            let cell = cell.expect("a deadline goes with its cell");
            let mut step = Step {
                device,
                rule,
                deadlines: &mut self.deadlines,
                next_alert: &mut self.next_alert,
                effects,
            };
            step.ripen(cell, due);
        }
    }

    /// Gives a device the cells of the rules that select it; what a rule no longer selects is cleared.
    fn place(
        &mut self,
        now: TimestampMs,
        device: DeviceNo,
        selected: impl Iterator<Item = RuleNo>,
        effects: &mut Vec<Effect>,
    ) {
        if self.devices.len() <= device.index() {
            self.devices.resize_with(device.index() + 1, Vec::new);
        }
        let mut old = std::mem::take(&mut self.devices[device.index()]);
        let mut cells = Vec::new();
        for no in selected {
            let rule = self.rules.get(usize::from(no.0)).expect("the caller selects from this rule set");
            cells.push(match old.iter().position(|cell| cell.rule == no) {
                Some(position) => old.swap_remove(position),
                None => Cell {
                    rule: no,
                    metric: rule.metric,
                    last_at: TimestampMs(i64::MIN),
                    last_value: f64::NAN,
                    levels: vec![LevelState::Idle; rule.levels.len()],
                    alert: None,
                },
            });
        }
        self.devices[device.index()] = cells;
        for mut cell in old {
            let rule = self.rules.get(usize::from(cell.rule.0)).expect("cells are made from this rule set");
            let mut step = Step {
                device,
                rule,
                deadlines: &mut self.deadlines,
                next_alert: &mut self.next_alert,
                effects,
            };
            for level in 0..cell.levels.len() {
                step.set_level(&mut cell, level, LevelState::Idle);
            }
            let value = cell.last_value;
            step.settle(&mut cell, now, value);
        }
    }

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
            let due = self.rule(stored.rule).levels[usize::from(stored.level)].due(stored.state);
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
        let Some(cells) = self.devices.get_mut(device.index()) else {
            return;
        };
        for cell in cells.iter_mut().filter(|cell| cell.metric == metric) {
            cell.last_at = at;
            cell.last_value = value;
        }
    }

    /// After a restore under other rules: alerts whose levels are all gone are cleared, severities brought up to date.
    pub fn settle_all(&mut self, now: TimestampMs, effects: &mut Vec<Effect>) {
        for (index, cells) in self.devices.iter_mut().enumerate() {
            let device = DeviceNo(index as u32);
            for cell in cells {
                let rule =
                    self.rules.get(usize::from(cell.rule.0)).expect("cells are made from this rule set");
                let mut step = Step {
                    device,
                    rule,
                    deadlines: &mut self.deadlines,
                    next_alert: &mut self.next_alert,
                    effects,
                };
                let value = cell.last_value;
                step.settle(cell, now, value);
            }
        }
    }

    /// Every open alert, for comparison and display.
    pub fn open_alerts(&self) -> HashMap<(DeviceNo, RuleNo), OpenAlert> {
        let cells = self.devices.iter().enumerate().flat_map(|(index, cells)| {
            cells.iter().map(move |cell| ((DeviceNo(index as u32), cell.rule), cell.alert))
        });
        cells.filter_map(|(key, alert)| alert.map(|alert| (key, alert))).collect()
    }

    fn cell_mut(&mut self, device: DeviceNo, rule: RuleNo) -> Option<&mut Cell> {
        self.devices.get_mut(device.index())?.iter_mut().find(|cell| cell.rule == rule)
    }
}

/// One cell's step: the parts of the engine that it may change.
struct Step<'a> {
    device: DeviceNo,
    rule: &'a Rule,
    deadlines: &'a mut BTreeSet<Deadline>,
    next_alert: &'a mut u64,
    effects: &'a mut Vec<Effect>,
}

impl Step<'_> {
    /// Pending levels whose time is up by `until` become active, each at its own instant, earliest first.
    fn ripen(&mut self, cell: &mut Cell, until: TimestampMs) {
        while let Some((due, level)) = self.next_due(cell).filter(|(due, _)| *due <= until) {
            self.set_level(cell, level, LevelState::Active { since: due });
            let value = cell.last_value;
            self.settle(cell, due, value);
        }
    }

    fn next_due(&self, cell: &Cell) -> Option<(TimestampMs, usize)> {
        let due = |(index, state): (usize, &LevelState)| Some((self.rule.levels[index].due(*state)?, index));
        cell.levels.iter().enumerate().filter_map(due).min()
    }

    fn evaluate(&mut self, cell: &mut Cell, at: TimestampMs, value: f64) {
        for level in 0..cell.levels.len() {
            let next = self.rule.levels[level].next(cell.levels[level], at, value);
            self.set_level(cell, level, next);
        }
        self.settle(cell, at, value);
    }

    fn set_level(&mut self, cell: &mut Cell, level: usize, next: LevelState) {
        let before = cell.levels[level];
        if before == next {
            return;
        }
        let (definition, key) = (&self.rule.levels[level], level as u8);
        if let Some(due) = definition.due(before) {
            self.deadlines.remove(&(due, self.device, cell.rule, key));
        }
        if let Some(due) = definition.due(next) {
            self.deadlines.insert((due, self.device, cell.rule, key));
        }
        cell.levels[level] = next;
        self.effects.push(Effect::Level { device: self.device, rule: cell.rule, level: key, state: next });
    }

    /// Brings the alert in line with the worst active level.
    fn settle(&mut self, cell: &mut Cell, at: TimestampMs, value: f64) {
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
