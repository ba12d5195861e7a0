//! The writer and the engine together: what a group changes, and how both come back from the file.

use std::sync::Arc;

use sanimon_alerting::{Effect, Engine, Input, MaintenanceWindow, RuleSet};
use sanimon_domain::{AlertId, DeviceNo, TimestampMs};
use sanimon_store::{
    CommandError, Device, DeviceEvent, DeviceState, Group, NewReport, NewRules, NewWindow, Report, Result,
    Writer,
};

use crate::message::Message;
use crate::pipeline::{Admission, GroupBuilder};

/// Whoever holds it is the one writer. Time is an argument.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) writer: Writer,
    engine: Engine,
    rules: Arc<RuleSet>,
    admission: Admission,
}

impl Core {
    /// Restores the engine from the file.
    pub(crate) fn new(
        writer: Writer,
        rules: Arc<RuleSet>,
        admission: Admission,
        now: TimestampMs,
    ) -> Result<Self> {
        let engine = Engine::new(rules.clone(), writer.shared().calendar, AlertId(1));
        writer.shared().standing.set_rules(rules.clone());
        let mut core = Self { writer, engine, rules, admission };
        core.restore(now)?;
        Ok(core)
    }

    /// Takes messages through the pipeline and commits what they cause. After an `Err`, [`Core::reload`] is due.
    pub(crate) fn commit_messages(&mut self, now: TimestampMs, messages: &[Message]) -> Result<()> {
        let group = self.build(now, messages);
        self.writer.commit(&group, &self.rules, now)
    }

    /// What messages cause: the engine is ahead of the file until it is committed.
    pub(crate) fn build(&mut self, now: TimestampMs, messages: &[Message]) -> Group {
        let shared = self.writer.shared().clone();
        let (directory, hot) = (shared.directory.read(), shared.hot.read());
        let mut builder = GroupBuilder::new(&directory, &hot, &mut self.engine, self.admission);
        messages.iter().for_each(|message| builder.message(now, message));
        builder.tick(now);
        builder.finish()
    }

    /// The alerts that the engine has open.
    pub(crate) fn open_alerts(&self) -> Vec<AlertId> {
        self.engine.open_alerts().into_values().map(|alert| alert.id).collect()
    }

    /// Forgets what is in memory and takes it from the file again: memory may be ahead after a failed commit.
    pub(crate) fn reload(&mut self, now: TimestampMs) -> Result<()> {
        self.writer.reload()?;
        self.restore(now)
    }

    /// The engine as the file remembers it, brought in line with today's rules.
    fn restore(&mut self, now: TimestampMs) -> Result<()> {
        let rules = self.rules.clone();
        let memory = self.writer.engine_memory(&rules)?;
        let windows = self.windows(now)?;
        let calendar = self.writer.shared().calendar;
        let mut engine = Engine::new(rules.clone(), calendar, AlertId(memory.next_alert));
        let mut effects = Vec::new();
        engine.apply(now, Input::Windows(&windows), &mut effects);
        {
            let shared = self.writer.shared();
            let (directory, hot) = (shared.directory.read(), shared.hot.read());
            for device in directory.devices() {
                if device.state != DeviceState::Retired {
                    let placement = directory.placement(device);
                    let input = Input::Device { device: device.no, id: &device.id, placement: &placement };
                    engine.apply(now, input, &mut effects);
                }
                for latest in hot.latest(device.no) {
                    engine.restore_latest(device.no, latest.metric, latest.at, latest.value);
                }
            }
        }
        engine.restore(&memory.levels, &memory.open);
        memory.cleared.iter().for_each(|(subject, rule, at)| engine.restore_cleared(subject, *rule, *at));
        self.restore_watches(now, &mut engine)?;
        engine.settle_all(now, &mut effects);
        let open = engine.open_alerts();
        let unplaced =
            memory.open.iter().filter(|(subject, rule, _)| !open.contains_key(&(subject.clone(), *rule)));
        let abandoned = unplaced.map(|(_, _, alert)| alert.id).filter(|id| !was_cleared(&effects, *id));
        let lost: Vec<AlertId> = memory.orphans.iter().copied().chain(abandoned).collect();
        effects.extend(lost.into_iter().map(|alert| Effect::Cleared { alert, at: now, value: f64::NAN }));
        self.engine = engine;
        if !effects.is_empty() {
            self.writer.commit(&Group { effects, ..Group::default() }, &rules, now)?;
        }
        Ok(())
    }

    /// Puts back what rules on silence, change and standstill look at.
    fn restore_watches(&self, now: TimestampMs, engine: &mut Engine) -> Result<()> {
        let shared = self.writer.shared();
        let imported_at = shared.imported_at()?.unwrap_or(TimestampMs(i64::MIN));
        let mut windows = Vec::new();
        {
            let (directory, hot) = (shared.directory.read(), shared.hot.read());
            // History that was entered is no word of a device: it has its intervals from then on.
            let heard = |device: &Arc<Device>| {
                let at = hot.heard_at(device.no)?.max(imported_at);
                Some((device.no, device.expected_interval_ms(), at))
            };
            let heard: Vec<_> = directory.devices().iter().filter_map(heard).collect();
            // The site was deaf while it was down: that time is nobody's silence.
            let newest = heard.iter().map(|(.., at)| *at).max().unwrap_or(now);
            let deaf_ms = now.since_ms(newest).max(0);
            for (device, interval_ms, at) in heard {
                engine.restore_heard(device, at.plus_ms(deaf_ms));
                for latest in hot.latest(device) {
                    if let Some(since) = hot.unchanged_since(device, latest.metric) {
                        engine.restore_unchanged(device, latest.metric, since);
                    }
                }
                for (metric, within_ms) in engine.windows(device) {
                    // The reading before the window counts, too.
                    let before_ms = within_ms + 2 * interval_ms;
                    let latest = hot.latest_of(device, metric);
                    windows.extend(latest.map(|latest| (device, metric, latest.at, before_ms)));
                }
            }
        }
        engine.restore_groups();
        for (device, metric, at, before_ms) in windows {
            let points = shared.points_here(device, metric, at.plus_ms(-before_ms), at)?;
            let points: Vec<_> = points.iter().map(|point| (point.at, point.value)).collect();
            engine.restore_window(device, metric, &points);
        }
        Ok(())
    }

    /// The maintenance windows that the engine has to know: also those that are over, for readings that come late.
    fn windows(&self, now: TimestampMs) -> Result<Vec<MaintenanceWindow>> {
        let late_ms = self.admission.window.behind_ms;
        let entries = self.writer.shared().maintenance_windows(now.minus_ms(late_ms), 0)?;
        Ok(entries.into_iter().map(|entry| entry.window).collect())
    }

    /// Enters a maintenance window and tells the engine.
    pub(crate) fn put_window(&mut self, now: TimestampMs, window: &NewWindow) -> Result<i64> {
        let id = self.writer.put_window(window, now)?;
        self.tell_windows(now)?;
        Ok(id)
    }

    /// Tells the engine which windows there are, and stores what follows from it.
    pub(crate) fn tell_windows(&mut self, now: TimestampMs) -> Result<()> {
        let windows = self.windows(now)?;
        let mut effects = Vec::new();
        self.engine.apply(now, Input::Windows(&windows), &mut effects);
        self.store(now, effects)
    }

    /// Puts other rules in force: the engine begins anew from what is stored, under them. Gives their version.
    pub(crate) fn put_rules(&mut self, now: TimestampMs, new: NewRules) -> Result<i64> {
        let version = self.writer.adopt_rules(&new.text, now)?;
        self.rules = Arc::new(new.rules.with_version(version));
        self.writer.shared().standing.set_rules(self.rules.clone());
        self.restore(now)?;
        Ok(version)
    }

    /// Takes a resident's report in.
    pub(crate) fn report(
        &mut self,
        now: TimestampMs,
        new: &NewReport,
    ) -> std::result::Result<Report, CommandError> {
        let fresh = self.engine.next_alert();
        self.writer.report(new, fresh, now)
    }

    /// Enters or changes devices and tells the engine.
    pub(crate) fn put_devices(&mut self, now: TimestampMs, devices: Vec<Device>) -> Result<()> {
        let stored = self.writer.put_devices(devices, now)?;
        self.place(now, &stored.iter().map(|device| device.no).collect::<Vec<_>>())
    }

    /// After a change of zones: every device may be selected by other rules now.
    pub(crate) fn place_all(&mut self, now: TimestampMs) -> Result<()> {
        let count = self.writer.shared().directory.read().devices().len();
        self.place(now, &(0..count as u32).map(DeviceNo).collect::<Vec<_>>())
    }

    /// Tells the engine where devices are now, and stores what follows from it.
    pub(crate) fn place(&mut self, now: TimestampMs, devices: &[DeviceNo]) -> Result<()> {
        let shared = self.writer.shared().clone();
        let mut effects = Vec::new();
        {
            let directory = shared.directory.read();
            for device in devices.iter().filter_map(|no| directory.device(*no)) {
                let placement = directory.placement(device);
                let input = match device.state {
                    DeviceState::Retired => Input::Retired { device: device.no },
                    _ => Input::Device { device: device.no, id: &device.id, placement: &placement },
                };
                self.engine.apply(now, input, &mut effects);
            }
        }
        self.store(now, effects)
    }

    /// Remembers what somebody says of a device.
    pub(crate) fn note_event(&mut self, now: TimestampMs, event: DeviceEvent) -> Result<()> {
        self.writer.commit(&Group { events: vec![event], ..Group::default() }, &self.rules, now)
    }

    fn store(&mut self, now: TimestampMs, effects: Vec<Effect>) -> Result<()> {
        if effects.is_empty() {
            return Ok(());
        }
        self.writer.commit(&Group { effects, ..Group::default() }, &self.rules, now)
    }
}

fn was_cleared(effects: &[Effect], id: AlertId) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Cleared { alert, .. } if *alert == id))
}
