//! What happens in a town, by the dice.

use std::sync::Arc;

use bytes::Bytes;
use sanimon_alerting::{Direction, Level, Rule, RuleSet, Watch};
use sanimon_domain::time::{DAY_MS, MINUTE_MS};
use sanimon_domain::{
    AlertId, DeviceId, DeviceKind, DeviceNo, GatewayId, GroupKind, Handling, RuleId, Severity, SiteCalendar,
    TimestampMs, Title, ZoneClass, ZoneId, metric,
};
use sanimon_operations::OperationsSettings;
use sanimon_operations::lifecycle::Action;
use sanimon_operations::routing::{Event, NotificationRule};
use sanimon_store::{AlertAction, CommandError, Device, DeviceState, NewWindow, Store, Zone};

use super::Dice;
use super::model::Model;
use crate::Backfill;
use crate::message::Message;
use crate::pipeline::Admission;
use crate::tests::START;

const DEVICES: u32 = 6;
const INTERVAL_MS: i64 = 15 * MINUTE_MS;
const PEOPLE: [&str; 3] = ["lin", "wang", "zhou"];

pub(super) struct Town {
    pub(super) dice: Dice,
    pub(super) now: TimestampMs,
    pub(super) model: Model,
    backfill: Option<Backfill>,
    folder: tempfile::TempDir,
    /// Devices of a gateway that is down say nothing.
    down: [bool; 2],
    /// What was sent and never acknowledged: it comes again.
    unsent: Vec<(String, String, TimestampMs)>,
    /// What was acknowledged: it may come again all the same.
    sent: Vec<(String, String, TimestampMs)>,
    log: Vec<String>,
}

fn level(severity: Severity, raise: f64, clear: f64, for_min: i64) -> Level {
    Level { severity, direction: Direction::Rising, raise, clear, for_ms: for_min * MINUTE_MS }
}

fn rules() -> Arc<RuleSet> {
    let named = |id: &str| RuleId::new(id).expect("a sound id");
    let rule = |id: &str, metric, levels| {
        let title = Title { en: id.to_owned(), zh: id.to_owned() };
        Rule::new(named(id), title, DeviceKind::Bin, metric, levels)
    };
    let fill = vec![
        level(Severity::Minor, 75.0, 60.0, 10),
        level(Severity::Major, 90.0, 80.0, 0),
        level(Severity::Critical, 98.0, 90.0, 0),
    ];
    let silence = Rule {
        watch: Watch::Silence,
        ..rule("silence", metric::SILENCE_MIN, vec![level(Severity::Minor, 3.0, 1.0, 0)])
    };
    let gateway = Rule {
        watch: Watch::Silence,
        kind: None,
        group: Some(GroupKind::Gateway),
        replaces: vec![named("silence")],
        ..rule("gateway", metric::SILENCE_MIN, vec![level(Severity::Critical, 5.0, 1.0, 0)])
    };
    let count = Rule {
        watch: Watch::Count { at_least: Severity::Major, share: false },
        group: Some(GroupKind::Zone),
        counts: vec![named("fill")],
        ..rule("many_full", metric::DEVICE_COUNT, vec![level(Severity::Major, 2.0, 1.0, 0)])
    };
    let hot = Rule {
        gap_ms: 45 * MINUTE_MS,
        ..rule("hot", metric::TEMPERATURE_C, vec![level(Severity::Critical, 60.0, 50.0, 0)])
    };
    let all = vec![rule("fill", metric::FILL_PCT, fill), hot, silence, gateway, count];
    Arc::new(RuleSet::new(all).expect("sound rules"))
}

fn conduct() -> OperationsSettings {
    let all = NotificationRule {
        channel: "all".to_owned(),
        events: vec![Event::Raised, Event::Cleared, Event::Escalated],
        min_severity: Severity::Warning,
        zones: Vec::new(),
        teams: Vec::new(),
        digest_at_min: None,
        quiet_hours: None,
        publishes_state: false,
        expires_ms: DAY_MS,
    };
    OperationsSettings { notification_rules: vec![all], ..OperationsSettings::standard(SiteCalendar::utc()) }
}

/// Memory is quick enough for a thousand towns; where there is none, the disk is.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

fn zone(id: &str) -> Zone {
    Zone {
        id: ZoneId::new(id).expect("a sound id"),
        name_en: id.to_owned(),
        name_zh: id.to_owned(),
        class: ZoneClass::Street,
        outline: Vec::new(),
        inhabitants: None,
    }
}

fn device(n: u32, zone: &str) -> Device {
    Device {
        zone: ZoneId::new(zone).ok(),
        gateway: GatewayId::new(&format!("gw-{}", n % 2)).ok(),
        interval_ms: Some(INTERVAL_MS),
        ..Device::new(DeviceId::new(&format!("b-{n}")).expect("a sound id"), DeviceKind::Bin, START)
    }
}

impl Town {
    pub(super) fn new(seed: u64) -> Self {
        let folder = folder();
        let mut backfill = open(folder.path(), START);
        let devices = (0..DEVICES).map(|n| device(n, if n < 4 { "north" } else { "south" })).collect();
        backfill.enter(START, vec![zone("north"), zone("south")], devices).expect("entries");
        Self {
            dice: Dice(seed.wrapping_mul(0x2545_F491_4F6C_DD1D)),
            now: START,
            model: Model::default(),
            backfill: Some(backfill),
            folder,
            down: [false; 2],
            unsent: Vec::new(),
            sent: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn site(&mut self) -> &mut Backfill {
        self.backfill.as_mut().expect("it runs")
    }

    /// What the town's alerts came to.
    pub(super) fn story(mut self) -> Vec<String> {
        self.model.look(self.backfill.as_mut().expect("it runs"));
        self.model.story()
    }

    pub(super) fn step(&mut self) {
        let what = self.dice.below(20);
        self.log.push(format!("{what} at {}", self.now));
        match what {
            0..=8 => self.hear(),
            9 | 10 => self.wait(),
            11..=13 => self.act(),
            14 => self.restart(),
            15 => self.crash(),
            16 => self.fail(),
            17 => self.window(),
            18 => self.move_or_retire(),
            _ => {
                let gateway = self.dice.below(2) as usize;
                self.down[gateway] = !self.down[gateway];
            }
        }
    }

    /// The messages that arrive now, new and old.
    fn arriving(&mut self) -> Vec<(String, String, TimestampMs)> {
        let mut arriving = std::mem::take(&mut self.unsent);
        for n in 0..DEVICES {
            if self.down[n as usize % 2] || self.dice.once_in(6) {
                continue;
            }
            // Most reports are of now; some are late, some come early by a wrong clock.
            let late_min = if self.dice.once_in(8) { self.dice.below(90) as i64 } else { 0 };
            let at = self.now.minus_ms(late_min * MINUTE_MS + self.dice.below(60_000) as i64);
            let fill = self.dice.below(101);
            let hot = if self.dice.once_in(12) { 75 } else { 20 };
            let payload = format!(r#"{{"ts":{},"fill_pct":{fill},"temperature_c":{hot}}}"#, at.0);
            arriving.push((format!("sanitation/x/bin/b-{n}/telemetry"), payload, at));
        }
        // The broker sends something again that was acknowledged.
        if self.dice.once_in(3)
            && let Some(old) = self.dice.pick(&self.sent)
        {
            arriving.push(old.clone());
        }
        for place in (1..arriving.len()).rev() {
            let other = self.dice.below(place as u64 + 1) as usize;
            arriving.swap(place, other);
        }
        arriving
    }

    fn hear(&mut self) {
        self.now = self.now.plus_ms(5 * MINUTE_MS + self.dice.below(10 * MINUTE_MS as u64) as i64);
        let arriving = self.arriving();
        let messages = messages(&arriving, self.now);
        let now = self.now;
        self.site().group(now, &messages).expect("a commit");
        arriving.iter().for_each(|(topic, payload, at)| self.model.heard(topic, payload, *at));
        self.sent.extend(arriving);
    }

    fn wait(&mut self) {
        self.now = self.now.plus_ms(self.dice.below(3 * 60) as i64 * MINUTE_MS);
        let now = self.now;
        self.site().group(now, &[]).expect("a commit");
    }

    /// Somebody does something with some alert, as they last saw it or by hearsay.
    fn act(&mut self) {
        let alerts = self.model.alerts();
        let Some((id, handling)) = self.dice.pick(&alerts).copied() else { return };
        let action = *self.dice.pick(&Action::ALL).expect("actions");
        let who = *self.dice.pick(&PEOPLE).expect("people");
        let seen =
            if self.dice.once_in(4) { *self.dice.pick(Handling::ALL).expect("words") } else { handling };
        let note = (!self.dice.once_in(3)).then(|| "why".to_owned());
        let assignee = (!self.dice.once_in(3)).then(|| "east".to_owned());
        let request = AlertAction { note, assignee, seen: Some(seen), ..AlertAction::new(id, action, who) };
        let now = self.now;
        match self.site().act(now, &request) {
            Ok(()) => {
                assert!(seen == handling || action == Action::Comment, "a step was lost: {request:?}");
            }
            Err(CommandError::NotAllowed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Stops in order and starts again, after a while.
    fn restart(&mut self) {
        drop(self.backfill.take().expect("it runs").finish());
        self.now = self.now.plus_ms(self.dice.below(90) as i64 * MINUTE_MS);
        self.start();
    }

    /// Starts; the first tick comes at once.
    fn start(&mut self) {
        let mut site = open(self.folder.path(), self.now);
        site.group(self.now, &[]).expect("a commit");
        self.backfill = Some(site);
    }

    /// The process dies with messages on their way: nothing of them is stored, and the sensors send them again.
    fn crash(&mut self) {
        self.unsent = self.arriving();
        self.restart();
    }

    /// The disk refuses a commit: the engine is ahead of the file, and is made anew from it.
    fn fail(&mut self) {
        let arriving = self.arriving();
        let messages = messages(&arriving, self.now);
        let now = self.now;
        self.site().fail_commit(now, &messages).expect("a reload");
        self.unsent = arriving;
    }

    fn window(&mut self) {
        let device = self.dice.below(u64::from(DEVICES)) as u32;
        let minutes = 30 + self.dice.below(120) as i64;
        let window = NewWindow {
            device: Some(DeviceNo(device)),
            zone: None,
            rule: self.dice.once_in(2).then(|| RuleId::new("fill").expect("a sound id")),
            from: self.now,
            to: self.now.plus_ms(minutes * MINUTE_MS),
            reason: "a test".to_owned(),
            who: "lin".to_owned(),
        };
        let now = self.now;
        self.site().put_window(now, &window).expect("a window");
        self.model.windows.push(window);
    }

    fn move_or_retire(&mut self) {
        let n = self.dice.below(u64::from(DEVICES)) as u32;
        let zone = if self.dice.once_in(2) { "north" } else { "south" };
        let state = if self.dice.once_in(5) { DeviceState::Retired } else { DeviceState::Registered };
        let moved = Device { state, ..device(n, zone) };
        let now = self.now;
        self.site().put_devices(now, vec![moved]).expect("a move");
    }

    pub(super) fn check(&mut self) {
        let now = self.now;
        let log = self.log.clone();
        let site = self.backfill.as_mut().expect("it runs");
        self.model.look(site);
        if let Err(why) = self.model.check(site, now) {
            panic!("{why}\nlast steps: {:?}", &log[log.len().saturating_sub(6)..]);
        }
    }

    /// What was not acknowledged arrives at last; then everything that was sent is there.
    pub(super) fn end(&mut self) {
        self.down = [false; 2];
        self.hear();
        self.check();
        drop(self.backfill.take().expect("it runs").finish());
        self.start();
        self.check();
    }
}

fn open(folder: &std::path::Path, now: TimestampMs) -> Backfill {
    let mut store = Store::open(folder, Some(SiteCalendar::utc())).expect("a store");
    store.writer.use_conduct(Arc::new(conduct()));
    Backfill::start(store, rules(), Admission::default(), now).expect("a start")
}

fn messages(arriving: &[(String, String, TimestampMs)], now: TimestampMs) -> Vec<Message> {
    let message = |(topic, payload, _): &(String, String, TimestampMs)| {
        Message::decode("test".into(), topic.clone(), Bytes::from(payload.clone()), now)
    };
    arriving.iter().map(message).collect()
}

/// The number of an alert and where people saw it.
pub(super) type SeenAlert = (AlertId, Handling);
