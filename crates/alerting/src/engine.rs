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

use sanimon_domain::device::INTERVAL_DEFAULT_MS;
use sanimon_domain::{AlertId, DeviceId, DeviceNo, MetricNo, Placement, Quality, Severity, TimestampMs};

use crate::cell::{Cell, Deadline, Hand};
use crate::level::LevelState;
use crate::rule::{Rule, RuleSet};
use crate::watch::Memory;

mod restore;

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
    /// A message of the device came at this time of the site, whatever it said.
    Heard { device: DeviceNo, at: TimestampMs },
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

/// The memory of all rules on all devices: bounded by devices times rules.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    /// By [`DeviceNo`].
    devices: Vec<Vec<Cell>>,
    /// Of each level that waits, an instant not after the one at which it is due.
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

    /// The earliest instant at which something may happen by itself.
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
            Input::Heard { device, at } => self.heard(device, at, effects),
            Input::Device { device, id, placement } => {
                let rules = self.rules.clone();
                let selected = rules.iter().enumerate().filter(|(_, rule)| rule.selects(id, placement));
                let selected = selected.map(|(index, _)| RuleNo(index as u16));
                self.place(now, device, placement.interval_ms, selected, effects);
            }
            Input::Retired { device } => {
                self.place(now, device, INTERVAL_DEFAULT_MS, std::iter::empty(), effects);
            }
        }
    }

    fn reading(
        &mut self,
        device: DeviceNo,
        metric: MetricNo,
        (at, value, quality): (TimestampMs, f64, Quality),
        effects: &mut Vec<Effect>,
    ) {
        let (devices, mut hand) = self.hand(effects);
        let cells = devices.get_mut(device.index()).into_iter().flatten();
        for cell in cells.filter(|cell| cell.metric == metric && at >= cell.last_at) {
            let mut step = hand.step(device, cell.rule);
            if !step.rule.accepts(quality) {
                continue;
            }

            step.ripen(cell, at);
            cell.memory.hear(step.rule.watch, at, value, cell.last_value);
            cell.last_at = at;
            cell.last_value = value;
            step.evaluate(cell, at, value);
        }
    }

    /// Silence ends, and begins anew.
    fn heard(&mut self, device: DeviceNo, at: TimestampMs, effects: &mut Vec<Effect>) {
        let (devices, mut hand) = self.hand(effects);
        let cells = devices.get_mut(device.index()).into_iter().flatten();
        for cell in cells.filter(|cell| cell.is_silence() && at > cell.last_at) {
            let mut step = hand.step(device, cell.rule);
            step.ripen(cell, at);
            for level in 0..cell.levels.len() {
                step.wait_anew(cell, level, at);
            }
            // Its end tells how long it was.
            let silent_min = cell.told(at);
            cell.last_at = at;
            step.settle(cell, at, silent_min);
        }
    }

    fn tick(&mut self, now: TimestampMs, effects: &mut Vec<Effect>) {
        while self.next_deadline().is_some_and(|due| due <= now) {
            let Some((due, device, rule, level)) = self.deadlines.pop_first() else { return };
            let (devices, mut hand) = self.hand(effects);
            let cell = devices[device.index()].iter_mut().find(|cell| cell.rule == rule);
            if let Some(cell) = cell {
                hand.step(device, rule).fall_due(cell, usize::from(level), due);
            }
        }
    }

    /// Gives a device the cells of the rules that select it; what a rule no longer selects is cleared.
    fn place(
        &mut self,
        now: TimestampMs,
        device: DeviceNo,
        interval_ms: i64,
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
                Some(position) => {
                    let mut cell = old.swap_remove(position);
                    if cell.is_silence() && cell.memory != Memory::Interval(interval_ms) {
                        let before = cell.deadlines(rule, device);
                        before.iter().for_each(|deadline| _ = self.deadlines.remove(deadline));
                        cell.memory = Memory::Interval(interval_ms);
                        self.deadlines.extend(cell.deadlines(rule, device));
                    }
                    cell
                }
                None => Cell {
                    rule: no,
                    metric: rule.metric,
                    last_at: TimestampMs(i64::MIN),
                    last_value: f64::NAN,
                    levels: vec![LevelState::Idle; rule.levels.len()],
                    alert: None,
                    memory: Memory::new(rule.watch, interval_ms),
                },
            });
        }
        let (devices, mut hand) = self.hand(effects);
        devices[device.index()] = cells;
        for mut cell in old {
            let value = cell.told(now);
            let mut step = hand.step(device, cell.rule);
            for level in 0..cell.levels.len() {
                step.set_level(&mut cell, level, LevelState::Idle);
            }
            step.settle(&mut cell, now, value);
        }
    }

    /// Every open alert, for comparison and display.
    pub fn open_alerts(&self) -> HashMap<(DeviceNo, RuleNo), OpenAlert> {
        let cells = self.devices.iter().enumerate().flat_map(|(index, cells)| {
            cells.iter().map(move |cell| ((DeviceNo(index as u32), cell.rule), cell.alert))
        });
        cells.filter_map(|(key, alert)| alert.map(|alert| (key, alert))).collect()
    }

    /// The cells, and what a step of theirs may change besides.
    fn hand<'a>(&'a mut self, effects: &'a mut Vec<Effect>) -> (&'a mut Vec<Vec<Cell>>, Hand<'a>) {
        let Self { rules, devices, deadlines, next_alert } = self;
        (devices, Hand { rules, deadlines, next_alert, effects })
    }

    fn cell_mut(&mut self, device: DeviceNo, rule: RuleNo) -> Option<&mut Cell> {
        self.devices.get_mut(device.index())?.iter_mut().find(|cell| cell.rule == rule)
    }
}
