//! The town: its zones and devices, its rules, and who is told.

use std::sync::Arc;

use sanimon_alerting::{Direction, Level, Rule, RuleSet, Watch};
use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{
    DeviceId, DeviceKind, GatewayId, GroupKind, RuleId, Severity, SiteCalendar, TimestampMs, Title,
    ZoneClass, ZoneId, metric,
};
use sanimon_operations::OperationsSettings;
use sanimon_operations::routing::{Event, NotificationRule};
use sanimon_store::{Device, Shared, Zone};
use sanimon_writer::{Options, Thresholds};

pub(crate) const START: TimestampMs = TimestampMs(1_772_323_200_000);
pub(crate) const DEVICES: u32 = 6;
pub(crate) const CHANNEL: &str = "all";
const INTERVAL_MS: i64 = 15 * MINUTE_MS;

fn level(severity: Severity, raise: f64, clear: f64, for_min: i64) -> Level {
    Level { severity, direction: Direction::Rising, raise, clear, for_ms: for_min * MINUTE_MS }
}

/// `strict`: the site's other rules, which fire earlier.
pub(crate) fn rules(strict: bool) -> RuleSet {
    let named = |id: &str| RuleId::new(id).expect("a sound id");
    let rule = |id: &str, metric, levels| {
        let title = Title { en: id.to_owned(), zh: id.to_owned() };
        Rule::new(named(id), title, DeviceKind::Bin, metric, levels)
    };
    let lower = if strict { 10.0 } else { 0.0 };
    let fill = vec![
        level(Severity::Minor, 75.0 - lower, 60.0 - lower, 10),
        level(Severity::Major, 90.0 - lower, 80.0 - lower, 0),
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
    // Every row of an alert of this rule is refused by the file.
    let poison = rule("poison", metric::HUMIDITY_PCT, vec![level(Severity::Minor, 90.0, 80.0, 0)]);
    RuleSet::new(vec![rule("fill", metric::FILL_PCT, fill), hot, silence, gateway, count, poison])
        .expect("sound rules")
}

pub(crate) fn rules_text(strict: bool) -> String {
    format!("strict = {strict}")
}

pub(crate) fn operations() -> OperationsSettings {
    let all = NotificationRule::new(CHANNEL, vec![Event::Raised, Event::Cleared, Event::Escalated]);
    OperationsSettings { notification_rules: vec![all], ..OperationsSettings::standard(SiteCalendar::utc()) }
}

pub(crate) fn options() -> Options {
    Options {
        // So small that towns seal, and have more to tell than fits into one step.
        thresholds: Thresholds {
            seal_at_points: 60,
            seal_at_points_per_series: 1,
            seal_at_points_max: 60,
            escalations_per_step: 2,
            ..Thresholds::default()
        },
        rules_text: Some(rules_text(false)),
        ..Options::new(Arc::new(rules(false)), Arc::new(operations()))
    }
}

/// As the site was set up last: what was saved is in its files.
pub(crate) fn options_of(shared: &Shared) -> Options {
    let saved = |name| shared.document(name).expect("an answer").map(|document| document.text);
    let strict = saved("rules") == Some(rules_text(true));
    let mut operations = operations();
    if let Some(escalation) = saved("teams") {
        operations.teams.escalation = vec![escalation];
    }
    Options {
        rules: Arc::new(rules(strict)),
        rules_text: Some(rules_text(strict)),
        operations: Arc::new(operations),
        ..options()
    }
}

pub(crate) fn zones(with_east: bool) -> Vec<Zone> {
    let zone = |id: &&str| Zone {
        id: ZoneId::new(id).expect("a sound id"),
        name_en: (*id).to_owned(),
        name_zh: (*id).to_owned(),
        class: ZoneClass::Street,
        outline: Vec::new(),
        inhabitants: None,
    };
    let all: &[&str] = if with_east { &["north", "south", "east"] } else { &["north", "south"] };
    all.iter().map(zone).collect()
}

pub(crate) fn device(n: u32, zone: &str) -> Device {
    Device {
        zone: ZoneId::new(zone).ok(),
        gateway: GatewayId::new(&format!("gw-{}", n % 2)).ok(),
        interval_ms: Some(INTERVAL_MS),
        ..Device::new(DeviceId::new(&format!("b-{n}")).expect("a sound id"), DeviceKind::Bin, START)
    }
}

/// All of the registry.
pub(crate) fn devices() -> Vec<Device> {
    let town = (0..DEVICES).map(|n| device(n, if n < 4 { "north" } else { "south" }));
    // One that sends nothing but poison, and that nobody moves or maintains.
    let alone = Device { zone: None, gateway: None, ..device(DEVICES, "north") };
    town.chain([alone]).collect()
}

/// What makes a file refuse the rows of one message and of no other.
pub(crate) const POISON: &str = "
  CREATE TRIGGER poisoned_device BEFORE INSERT ON device WHEN NEW.id LIKE 'poison-%'
    BEGIN SELECT RAISE(ABORT, 'a device that cannot be stored'); END;
  CREATE TRIGGER poisoned_alert BEFORE INSERT ON alert WHEN NEW.rule_id = 'poison'
    BEGIN SELECT RAISE(ABORT, 'an alert that cannot be stored'); END;";
