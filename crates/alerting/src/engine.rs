//! The engine: readings and ticks in, effects out.
//!
//! Failure cases, and why they are none:
//! * The same reading again: at the cell's last time with the same value, it finds every level where it left it.
//! * A reading older than the newest one evaluated: ignored here (it is stored); newer readings have decided.
//! * A `for` that runs out between two readings: a level is raised at the instant it was due, whether the tick
//!   or the next reading notices, so the times in the history do not depend on how often ticks come.
//! * The commit fails: the caller drops the engine and restores it; there is no undo here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sanimon_domain::{
    AlertId, DeviceId, DeviceNo, GroupKey, MetricNo, Placement, Quality, Severity, SiteCalendar, Subject,
    TimestampMs, ZoneId,
};

use crate::cell::{Around, Cell, Deadline, Hand, Seat};
use crate::group::{GONE_INTERVALS, Group};
use crate::level::LevelState;
use crate::rule::{Rule, Variant};
use crate::rule_set::RuleSet;
use crate::watch::Watch;
use crate::window::MaintenanceWindow;

mod groups;
mod place;
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
    /// A reading; rules see good ones, and suspect ones if they ask. `is_dated`: when it was measured is known, so that what it
    /// changed since the reading before it says something.
    Reading {
        device: DeviceNo,
        metric: MetricNo,
        at: TimestampMs,
        value: f64,
        quality: Quality,
        is_dated: bool,
    },
    /// A message of the device came at this time of the site, whatever it said.
    Heard { device: DeviceNo, at: TimestampMs },
    /// From now on these are the maintenance windows.
    Windows(&'a [MaintenanceWindow]),
    /// Nothing arrived; time went on.
    Tick,
}

/// What must be stored, in order, in the transaction of the input that caused it.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// `value` is `None` where there is none to tell: a forecast that had to wait, an alert that the rules gave up.
    Raised {
        alert: AlertId,
        subject: Subject,
        rule: RuleNo,
        severity: Severity,
        at: TimestampMs,
        value: Option<f64>,
    },
    SeverityChanged {
        alert: AlertId,
        from: Severity,
        to: Severity,
        at: TimestampMs,
        value: Option<f64>,
    },
    Cleared {
        alert: AlertId,
        at: TimestampMs,
        value: Option<f64>,
    },
    /// A wider alert stands for this one from now on.
    Replaced {
        alert: AlertId,
        by: AlertId,
        at: TimestampMs,
    },
    /// A maintenance window kept an alert from being raised.
    Suppressed {
        window: i64,
        at: TimestampMs,
    },
    /// A level's memory changed; `Idle` means that there is nothing to remember.
    Level {
        subject: Subject,
        rule: RuleNo,
        variant: Variant,
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
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredLevel {
    pub subject: Subject,
    pub rule: RuleNo,
    /// [`crate::Level::key`].
    pub key: Box<str>,
    pub state: LevelState,
}

/// A rule that speaks for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Chosen {
    pub(crate) rule: RuleNo,
    pub(crate) variant: Variant,
    /// What its levels are shown; `None`: no readings.
    pub(crate) metric: Option<MetricNo>,
}

/// What is remembered of a device. Cells are made when there is something to remember.
#[derive(Debug)]
pub(crate) struct Known {
    /// One list for all devices with the same rules.
    pub(crate) chosen: Arc<[Chosen]>,
    pub(crate) cells: Vec<Cell>,
    /// Indices into the engine's groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) zone: Option<ZoneId>,
    pub(crate) heard_at: TimestampMs,
    pub(crate) interval_ms: i64,
}

/// The memory of all rules on all devices: bounded by devices times rules.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    calendar: SiteCalendar,
    windows: Vec<MaintenanceWindow>,
    /// By [`DeviceNo`].
    devices: Vec<Known>,
    groups: Vec<Group>,
    group_numbers: HashMap<(RuleNo, Arc<GroupKey>), u32>,
    selections: HashSet<Arc<[Chosen]>>,
    /// Of each level that waits, an instant not after the one at which it is due.
    deadlines: BTreeSet<Deadline>,
    next_alert: u64,
}

/// The parts of the engine that a step may look at or change.
struct Parts<'a> {
    devices: &'a mut Vec<Known>,
    groups: &'a mut Vec<Group>,
    hand: Hand<'a>,
}

impl Engine {
    /// An engine that knows no device. `next_alert` is the first number that no alert has had.
    pub fn new(rules: Arc<RuleSet>, calendar: SiteCalendar, next_alert: AlertId) -> Self {
        Self {
            rules,
            calendar,
            windows: Vec::new(),
            devices: Vec::new(),
            groups: Vec::new(),
            group_numbers: HashMap::new(),
            selections: HashSet::new(),
            deadlines: BTreeSet::new(),
            next_alert: next_alert.0,
        }
    }

    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The rule behind a number of this engine.
    pub fn rule(&self, no: RuleNo) -> &Rule {
        self.rules.rule(no)
    }

    /// A number for an alert that no rule raises.
    pub fn next_alert(&mut self) -> AlertId {
        self.next_alert += 1;
        AlertId(self.next_alert - 1)
    }

    /// The earliest instant at which something may happen by itself.
    pub fn next_deadline(&self) -> Option<TimestampMs> {
        self.deadlines.first().map(|(due, ..)| *due)
    }

    /// Applies one input and appends what must be stored.
    #[expect(clippy::needless_pass_by_value, reason = "an input is made for this call and used up by it")]
    pub fn apply(&mut self, now: TimestampMs, input: Input<'_>, effects: &mut Vec<Effect>) {
        match input {
            Input::Reading { device, metric, at, value, quality, is_dated } => {
                self.reading(device, metric, (at, value, quality, is_dated), effects);
            }
            Input::Tick => self.tick(now, effects),
            Input::Heard { device, at } => self.heard(device, at, effects),
            Input::Device { device, id, placement } => self.place(now, device, id, placement, effects),
            Input::Retired { device } => self.retire(now, device, effects),
            Input::Windows(windows) => {
                self.windows = windows.to_vec();
                self.settle_all(now, effects);
            }
        }
    }

    fn reading(
        &mut self,
        device: DeviceNo,
        metric: MetricNo,
        (at, value, quality, is_dated): (TimestampMs, f64, Quality, bool),
        effects: &mut Vec<Effect>,
    ) {
        let before = effects.len();
        let Parts { devices, groups, mut hand } = self.parts(effects);
        let Some(known) = devices.get_mut(device.index()) else { return };
        let Known { chosen, cells, groups: own, zone, interval_ms, .. } = known;
        for chosen in chosen.iter().filter(|chosen| chosen.metric == Some(metric)) {
            let rule = hand.rules.rule(chosen.rule);
            let needs_time = matches!(rule.watch, Watch::Rate { .. });
            if !rule.accepts(quality) || (needs_time && !is_dated) {
                continue;
            }
            let cell = cell_of(cells, *chosen, rule, *interval_ms);
            if at < cell.last_at {
                continue;
            }
            let is_replaced = is_replaced(hand.rules, groups, own, chosen.rule);
            let mut step = hand.step(Around::device(device, zone.as_ref(), is_replaced), chosen.rule);
            step.ripen(cell, at);
            cell.memory.hear((step.rule.watch, step.calendar), at, value, cell.last_value);
            cell.memory.learn();
            cell.last_at = at;
            cell.last_value = value;
            step.evaluate(cell, at, value);
        }
        if effects.len() > before {
            self.count_around(device, at, effects);
        }
    }

    /// Silence ends, and begins anew.
    fn heard(&mut self, device: DeviceNo, at: TimestampMs, effects: &mut Vec<Effect>) {
        let before = effects.len();
        let Parts { devices, groups, mut hand } = self.parts(effects);
        let Some(known) = devices.get_mut(device.index()) else { return };
        let Known { chosen, cells, groups: own, zone, interval_ms, heard_at } = known;
        if at <= *heard_at {
            return;
        }
        for chosen in chosen.iter().filter(|chosen| chosen.metric.is_none()) {
            let rule = hand.rules.rule(chosen.rule);
            let cell = cell_of(cells, *chosen, rule, *interval_ms);
            let is_replaced = is_replaced(hand.rules, groups, own, chosen.rule);
            let mut step = hand.step(Around::device(device, zone.as_ref(), is_replaced), chosen.rule);
            step.ripen(cell, at);
            for level in 0..cell.level_count() {
                step.wait_anew(cell, level, at);
            }
            // Its end tells how long it was.
            let silent_min = cell.alert_value(at);
            cell.last_at = at;
            step.settle(cell, at, silent_min);
        }
        // Who was not counted on makes its group's silence come sooner.
        let is_back = at.since_ms(*heard_at) > GONE_INTERVALS * *interval_ms;
        *heard_at = at;
        for index in 0..self.devices[device.index()].groups.len() {
            let group = self.devices[device.index()].groups[index];
            self.group_heard(group, at, is_back, effects);
        }
        if effects.len() > before {
            self.count_around(device, at, effects);
        }
    }

    fn tick(&mut self, now: TimestampMs, effects: &mut Vec<Effect>) {
        while self.next_deadline().is_some_and(|due| due <= now) {
            let Some((due, seat, rule, level)) = self.deadlines.pop_first() else { return };
            match seat {
                Seat::Group(group) => self.group_due(group, level, due, effects),
                Seat::Device(device) => {
                    let before = effects.len();
                    let Parts { devices, groups, mut hand } = self.parts(effects);
                    let Known { cells, groups: own, zone, .. } = &mut devices[device.index()];
                    if let Some(cell) = cells.iter_mut().find(|cell| cell.rule == rule) {
                        let is_replaced = is_replaced(hand.rules, groups, own, rule);
                        let around = Around::device(device, zone.as_ref(), is_replaced);
                        // A level of another variant of the rule may have had a number that is gone.
                        if level == crate::cell::RAISE || usize::from(level) < cell.level_count() {
                            hand.step(around, rule).fall_due(cell, level, due);
                        }
                    }
                    if effects.len() > before {
                        self.count_around(device, due, effects);
                    }
                }
            }
        }
    }

    /// Every open alert, for comparison and display.
    pub fn open_alerts(&self) -> HashMap<(Subject, RuleNo), OpenAlert> {
        let of_devices = self.devices.iter().enumerate().flat_map(|(index, known)| {
            known.cells.iter().map(move |cell| (Subject::Device(DeviceNo(index as u32)), cell))
        });
        let of_groups = self.groups.iter().map(|group| (Subject::Group(group.key.clone()), &group.cell));
        let all = of_devices.chain(of_groups);
        all.filter_map(|(subject, cell)| Some(((subject, cell.rule), cell.alert()?))).collect()
    }

    fn parts<'a>(&'a mut self, effects: &'a mut Vec<Effect>) -> Parts<'a> {
        let Self { rules, calendar, windows, devices, groups, deadlines, next_alert, .. } = self;
        let hand = Hand { rules, calendar: *calendar, windows, deadlines, next_alert, effects };
        Parts { devices, groups, hand }
    }
}

/// The cell of a rule; made when it is first needed.
fn cell_of<'a>(cells: &'a mut Vec<Cell>, chosen: Chosen, rule: &Rule, interval_ms: i64) -> &'a mut Cell {
    match cells.iter().position(|cell| cell.rule == chosen.rule) {
        Some(position) => &mut cells[position],
        None => {
            cells.reserve_exact(1);
            cells.push(Cell::new(chosen.rule, chosen.variant, rule, interval_ms));
            cells.last_mut().expect("it was pushed just now")
        }
    }
}

/// Whether the open alert of a device's group stands for those of this rule.
fn is_replaced(rules: &RuleSet, groups: &[Group], own: &[u32], rule: RuleNo) -> bool {
    let by = rules.replaced_by(rule);
    !by.is_empty()
        && own.iter().any(|index| {
            let group = &groups[*index as usize];
            group.cell.alert().is_some() && by.contains(&group.rule)
        })
}
