//! One rule on one device or group: what is remembered, and one step of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use sanimon_domain::{AlertId, DeviceNo, GroupKey, SiteCalendar, Subject, TimestampMs, ZoneId};

use crate::engine::{Effect, OpenAlert, RuleNo};
use crate::level::{Level, LevelState};
use crate::rule::{Rule, Variant};
use crate::rule_set::RuleSet;
use crate::watch::{Memory, silent_minutes};
use crate::window::MaintenanceWindow;

/// What is remembered of one rule on one device or group. There are tens of millions of them in a province: what most cells
/// do not have stands behind a pointer.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) rule: RuleNo,
    pub(crate) variant: Variant,
    level_count: u8,
    /// The observation time of the newest reading evaluated.
    pub(crate) last_at: TimestampMs,
    pub(crate) last_value: f64,
    /// `None`: all are idle.
    states: Option<Box<States>>,
    /// `None`: nothing is open, and nothing is waited for before an alert.
    open: Option<Box<Open>>,
    pub(crate) memory: Memory,
}

#[derive(Debug)]
struct States(Vec<LevelState>);

/// What a cell with an alert has, or one that had one not long ago.
#[derive(Debug)]
struct Open {
    alert: Option<OpenAlert>,
    /// No alert is raised before: its rule's gap, or the time that a group's devices get after its silence.
    quiet_until: TimestampMs,
    /// The maintenance window that was told to have suppressed it; 0: none.
    suppressed_by: i64,
}

impl Open {
    const NOTHING: Self = Self { alert: None, quiet_until: TimestampMs(i64::MIN), suppressed_by: 0 };
}

impl Cell {
    pub(crate) fn new(rule: RuleNo, variant: Variant, definition: &Rule, interval_ms: i64) -> Self {
        Self {
            rule,
            variant,
            level_count: definition.levels_of(variant).len() as u8,
            last_at: TimestampMs(i64::MIN),
            last_value: f64::NAN,
            states: None,
            open: None,
            memory: Memory::new(definition.watch, interval_ms),
        }
    }

    pub(crate) fn level_count(&self) -> usize {
        usize::from(self.level_count)
    }

    pub(crate) fn state(&self, level: usize) -> LevelState {
        self.states.as_ref().and_then(|states| states.0.get(level)).copied().unwrap_or_default()
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = LevelState> {
        (0..self.level_count()).map(|level| self.state(level))
    }

    /// Sets a state without anything that follows from it.
    pub(crate) fn put_state(&mut self, level: usize, state: LevelState) {
        if self.states.is_none() && state == LevelState::Idle {
            return;
        }
        let count = self.level_count();
        let states = self.states.get_or_insert_with(|| Box::new(States(vec![LevelState::Idle; count])));
        if let Some(known) = states.0.get_mut(level) {
            *known = state;
        }
        if states.0.iter().all(|state| *state == LevelState::Idle) {
            self.states = None;
        }
    }

    /// Judged by other levels from now on: all are idle.
    pub(crate) fn change_variant(&mut self, variant: Variant, definition: &Rule) {
        self.variant = variant;
        self.level_count = definition.levels_of(variant).len() as u8;
        self.states = None;
    }

    pub(crate) fn alert(&self) -> Option<OpenAlert> {
        self.open.as_ref().and_then(|open| open.alert)
    }

    pub(crate) fn set_alert(&mut self, alert: Option<OpenAlert>) {
        if alert != self.alert() {
            self.change_open(|open| open.alert = alert);
        }
    }

    pub(crate) fn wait_until(&mut self, at: TimestampMs) {
        self.change_open(|open| open.quiet_until = open.quiet_until.max(at));
    }

    fn quiet_until(&self) -> TimestampMs {
        self.open.as_ref().map_or(TimestampMs(i64::MIN), |open| open.quiet_until)
    }

    fn suppressed_by(&self) -> i64 {
        self.open.as_ref().map_or(0, |open| open.suppressed_by)
    }

    fn set_suppressed_by(&mut self, window: i64) {
        if window != self.suppressed_by() {
            self.change_open(|open| open.suppressed_by = window);
        }
    }

    fn change_open(&mut self, change: impl FnOnce(&mut Open)) {
        change(self.open.get_or_insert_with(|| Box::new(Open::NOTHING)));
    }

    /// When a level becomes active if nothing contradicts it.
    pub(crate) fn due(&self, rule: &Rule, level: usize) -> Option<TimestampMs> {
        let definition = &rule.levels_of(self.variant)[level];
        match (&self.memory, self.state(level)) {
            (Memory::Together(due), LevelState::Pending { .. }) => due.0[level],
            (Memory::Interval(interval_ms), LevelState::Pending { since }) => {
                let patience_ms = (definition.raise * *interval_ms as f64) as i64;
                Some(since.plus_ms(patience_ms).plus_ms(definition.for_ms))
            }
            (_, state) => definition.due(state),
        }
    }

    pub(crate) const fn is_silence(&self) -> bool {
        matches!(self.memory, Memory::Interval(_) | Memory::Together(_))
    }

    /// What its levels wait for.
    pub(crate) fn deadlines(&self, rule: &Rule, seat: Seat) -> Vec<Deadline> {
        let due = |level| Some((self.due(rule, level)?, seat, self.rule, level as u8));
        (0..self.level_count()).filter_map(due).collect()
    }

    /// The value that an alert has at this time. `None`: there is none to tell. A forecast is of its reading only, and no
    /// reading may have come yet.
    pub(crate) fn alert_value(&self, at: TimestampMs) -> Option<f64> {
        match self.memory {
            Memory::Interval(_) | Memory::Together(_) => Some(silent_minutes(self.last_at, at)),
            Memory::Filling(_) => None,
            _ => Some(self.last_value).filter(|value| value.is_finite()),
        }
    }
}

/// Whose cell it is, inside the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Seat {
    Device(DeviceNo),
    /// An index into the engine's groups.
    Group(u32),
}

/// When a level of a rule may become active there.
pub(crate) type Deadline = (TimestampMs, Seat, RuleNo, u8);

/// In a deadline's place for a level: an alert may be raised that had to wait.
pub(crate) const RAISE: u8 = u8::MAX;

/// What all steps change together, and what they all look at.
pub(crate) struct Hand<'a> {
    pub(crate) rules: &'a RuleSet,
    pub(crate) calendar: SiteCalendar,
    pub(crate) windows: &'a [MaintenanceWindow],
    pub(crate) deadlines: &'a mut BTreeSet<Deadline>,
    pub(crate) next_alert: &'a mut u64,
    pub(crate) effects: &'a mut Vec<Effect>,
}

/// What is around a cell that decides whether it may raise.
#[derive(Debug, Clone)]
pub(crate) struct Around<'a> {
    pub(crate) seat: Seat,
    pub(crate) subject: Subject,
    pub(crate) zone: Option<&'a ZoneId>,
    /// A wider alert stands for this one.
    pub(crate) is_replaced: bool,
}

impl<'a> Around<'a> {
    pub(crate) const fn device(device: DeviceNo, zone: Option<&'a ZoneId>, is_replaced: bool) -> Self {
        Self { seat: Seat::Device(device), subject: Subject::Device(device), zone, is_replaced }
    }

    pub(crate) fn group(index: u32, key: &Arc<GroupKey>, zone: Option<&'a ZoneId>) -> Self {
        Self { seat: Seat::Group(index), subject: Subject::Group(key.clone()), zone, is_replaced: false }
    }
}

impl<'h> Hand<'h> {
    pub(crate) fn step<'a>(&'a mut self, around: Around<'a>, rule: RuleNo) -> Step<'a>
    where
        'h: 'a,
    {
        let Self { rules, calendar, windows, deadlines, next_alert, effects } = self;
        Step { around, rule: rules.rule(rule), calendar: *calendar, windows, deadlines, next_alert, effects }
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
    around: Around<'a>,
    pub(crate) rule: &'a Rule,
    pub(crate) calendar: SiteCalendar,
    windows: &'a [MaintenanceWindow],
    deadlines: &'a mut BTreeSet<Deadline>,
    next_alert: &'a mut u64,
    effects: &'a mut Vec<Effect>,
}

impl Step<'_> {
    fn level(&self, cell: &Cell, level: usize) -> &Level {
        &self.rule.levels_of(cell.variant)[level]
    }

    /// Pending levels whose time is up by `until` become active, each at its own instant, earliest first.
    pub(crate) fn ripen(&mut self, cell: &mut Cell, until: TimestampMs) {
        while let Some((due, level)) = self.next_due(cell).filter(|(due, _)| *due <= until) {
            self.set_level(cell, level, LevelState::Active { since: due });
            let value = cell.alert_value(due);
            self.settle(cell, due, value);
        }
    }

    /// A deadline of the cell has come: the level is due, or it waits for longer by now.
    pub(crate) fn fall_due(&mut self, cell: &mut Cell, level: u8, deadline: TimestampMs) {
        if level == RAISE {
            let value = cell.alert_value(deadline);
            return self.settle(cell, deadline, value);
        }
        match cell.due(self.rule, usize::from(level)) {
            Some(due) if due > deadline => {
                self.deadlines.insert((due, self.around.seat, cell.rule, level));
            }
            Some(_) => self.ripen(cell, deadline),
            None => {}
        }
    }

    /// Waits from here on. Each message of a device does this: its deadline is left where it is and moved when it comes.
    pub(crate) fn wait_anew(&mut self, cell: &mut Cell, level: usize, at: TimestampMs) {
        match cell.state(level) {
            LevelState::Pending { .. } => cell.put_state(level, LevelState::Pending { since: at }),
            _ => self.set_level(cell, level, LevelState::Pending { since: at }),
        }
    }

    fn next_due(&self, cell: &Cell) -> Option<(TimestampMs, usize)> {
        (0..cell.level_count()).filter_map(|level| Some((cell.due(self.rule, level)?, level))).min()
    }

    pub(crate) fn evaluate(&mut self, cell: &mut Cell, at: TimestampMs, value: f64) {
        // The value of a forecast is the hours that are left; of all else, the reading's.
        let mut alert_value = Some(value);
        for level in 0..cell.level_count() {
            let definition = self.level(cell, level);
            let quantity = cell.memory.quantity(self.rule.watch, definition.direction, at, value);
            if matches!(cell.memory, Memory::Filling(_)) {
                alert_value = Some(quantity).filter(|hours| hours.is_finite());
            }
            let next = definition.next(cell.state(level), at, quantity);
            self.set_level(cell, level, next);
        }
        self.settle(cell, at, alert_value);
    }

    pub(crate) fn set_level(&mut self, cell: &mut Cell, level: usize, next: LevelState) {
        let before = cell.state(level);
        if before == next {
            return;
        }
        let key = level as u8;
        if let Some(due) = cell.due(self.rule, level) {
            self.deadlines.remove(&(due, self.around.seat, cell.rule, key));
        }
        cell.put_state(level, next);
        if let Some(due) = cell.due(self.rule, level) {
            self.deadlines.insert((due, self.around.seat, cell.rule, key));
        }
        let (before, next) = match cell.memory {
            // Each message begins a silence anew: what is waited for follows from when the device was heard last.
            Memory::Interval(_) | Memory::Together(_) => (without_waiting(before), without_waiting(next)),
            _ => (before, next),
        };
        if before == next {
            return;
        }
        self.effects.push(Effect::Level {
            subject: self.around.subject.clone(),
            rule: cell.rule,
            variant: cell.variant,
            level: key,
            state: next,
        });
    }

    pub(crate) fn all_idle(&mut self, cell: &mut Cell) {
        (0..cell.level_count()).for_each(|level| self.set_level(cell, level, LevelState::Idle));
    }

    /// Brings the alert in line with the worst active level.
    pub(crate) fn settle(&mut self, cell: &mut Cell, at: TimestampMs, value: Option<f64>) {
        let active =
            cell.states().enumerate().filter(|(_, state)| matches!(state, LevelState::Active { .. }));
        let worst = active.map(|(index, _)| self.level(cell, index).severity).max();
        match (cell.alert(), worst) {
            (None, Some(severity)) => {
                let from = self.may_raise_from(cell, at);
                if from > at {
                    self.put_off(cell, at, from);
                    return;
                }
                let id = AlertId(*self.next_alert);
                *self.next_alert += 1;
                cell.set_alert(Some(OpenAlert { id, severity }));
                cell.set_suppressed_by(0);
                let (subject, rule) = (self.around.subject.clone(), cell.rule);
                self.effects.push(Effect::Raised { alert: id, subject, rule, severity, at, value });
            }
            (Some(open), Some(severity)) if open.severity != severity => {
                cell.set_alert(Some(OpenAlert { severity, ..open }));
                let (from, to) = (open.severity, severity);
                self.effects.push(Effect::SeverityChanged { alert: open.id, from, to, at, value });
            }
            (Some(open), None) => {
                cell.set_alert(None);
                if self.rule.gap_ms > 0 {
                    cell.wait_until(at.plus_ms(self.rule.gap_ms));
                }
                self.effects.push(Effect::Cleared { alert: open.id, at, value });
            }
            (None, None) => cell.set_suppressed_by(0),
            _ => {}
        }
    }

    /// The first instant from `at` on at which nothing forbids an alert here.
    fn may_raise_from(&self, cell: &Cell, at: TimestampMs) -> TimestampMs {
        if self.around.is_replaced {
            return TimestampMs(i64::MAX);
        }
        let mut from = at.max(cell.quiet_until());
        loop {
            let open = self.rule.open_from(self.calendar, from);
            let until = self.windows_at(open).map(|window| window.to).max();
            match until {
                None => return open,
                Some(until) => from = until,
            }
        }
    }

    fn windows_at(&self, at: TimestampMs) -> impl Iterator<Item = &MaintenanceWindow> {
        let (device, zone) = (self.around.subject.device(), self.around.zone);
        let rule = &self.rule.id;
        self.windows.iter().filter(move |window| window.holds(at) && window.covers(device, zone, rule))
    }

    /// Comes back when the alert may be raised, and says once which maintenance window keeps it.
    fn put_off(&mut self, cell: &mut Cell, at: TimestampMs, from: TimestampMs) {
        if from < TimestampMs(i64::MAX) {
            self.deadlines.insert((from, self.around.seat, cell.rule, RAISE));
        }
        let window = self.windows_at(at).map(|window| window.id).next();
        if let Some(window) = window.filter(|id| *id != cell.suppressed_by()) {
            cell.set_suppressed_by(window);
            self.effects.push(Effect::Suppressed { window, at });
        }
    }
}
