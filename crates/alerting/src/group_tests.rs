//! Groups, overrides, hours, gaps and maintenance windows, as stories of a street of drains.

use std::sync::Arc;

use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{
    AlertId, Days, DeviceId, DeviceKind, DeviceNo, GatewayId, GroupKind, Hours, Placement, Quality, RuleId,
    Severity, SiteCalendar, Span, Subject, TimestampMs, Title, ZoneClass, ZoneId, metric,
};

use crate::tests::words;
use crate::*;

fn level(severity: Severity, raise: f64, clear: f64, for_min: i64) -> Level {
    Level { severity, direction: Direction::Rising, raise, clear, for_ms: for_min * MINUTE_MS }
}

fn named(id: &str) -> RuleId {
    RuleId::new(id).expect("a sound id")
}

fn rule(id: &str, levels: Vec<Level>) -> Rule {
    let title = Title { en: id.into(), zh: id.into() };
    Rule::new(named(id), title, DeviceKind::Drain, metric::LEVEL_PCT, levels)
}

fn silence() -> Rule {
    let levels = vec![level(Severity::Minor, 3.5, 1.0, 0)];
    Rule { watch: Watch::Silence, metric: metric::SILENCE_MIN, ..rule("silence", levels) }
}

fn gateway_silence() -> Rule {
    Rule {
        watch: Watch::Silence,
        metric: metric::SILENCE_MIN,
        kind: None,
        group: Some(GroupKind::Gateway),
        replaces: vec![named("silence")],
        ..rule("gateway", vec![level(Severity::Critical, 7.0, 1.0, 0)])
    }
}

fn placed(gateway: &str, zone: &str) -> Placement {
    Placement {
        gateway: GatewayId::new(gateway).ok(),
        zone: ZoneId::new(zone).ok(),
        zone_class: Some(ZoneClass::Market),
        ..Placement::new(DeviceKind::Drain, 15 * MINUTE_MS)
    }
}

struct Street {
    engine: Engine,
    told: Vec<Effect>,
}

impl Street {
    /// Drains behind one gateway, in one zone.
    fn new(rules: Vec<Rule>, drains: u32) -> Self {
        let rules = Arc::new(RuleSet::new(rules).expect("sound rules"));
        let engine = Engine::new(rules, SiteCalendar::utc(), AlertId(1));
        let mut street = Self { engine, told: Vec::new() };
        (0..drains).for_each(|drain| street.place(drain, &placed("gw-1", "market")));
        street
    }

    fn place(&mut self, drain: u32, placement: &Placement) {
        let id = DeviceId::new(&format!("drain-{drain}")).expect("a sound id");
        let input = Input::Device { device: DeviceNo(drain), id: &id, placement };
        self.engine.apply(TimestampMs(0), input, &mut self.told);
    }

    fn hears(&mut self, minute: i64, drains: impl IntoIterator<Item = u32>) {
        for drain in drains {
            let at = TimestampMs(minute * MINUTE_MS + i64::from(drain));
            self.ticks_to(at);
            self.engine.apply(at, Input::Heard { device: DeviceNo(drain), at }, &mut self.told);
        }
    }

    fn reads(&mut self, minute: i64, drain: u32, value: f64) {
        let at = TimestampMs(minute * MINUTE_MS);
        self.ticks_to(at);
        let device = DeviceNo(drain);
        let (metric, quality) = (metric::LEVEL_PCT, Quality::Good);
        let input = Input::Reading { device, metric, at, value, quality, is_dated: true };
        self.engine.apply(at, input, &mut self.told);
    }

    fn ticks(&mut self, minute: i64) {
        self.ticks_to(TimestampMs(minute * MINUTE_MS));
    }

    fn ticks_to(&mut self, at: TimestampMs) {
        self.engine.apply(at, Input::Tick, &mut self.told);
    }

    fn says(&mut self) -> Vec<String> {
        words(&std::mem::take(&mut self.told))
    }
}

#[test]
fn a_dead_gateway_is_one_alert_within_two_reports_instead_of_one_a_device() {
    let mut street = Street::new(vec![silence(), gateway_silence()], 8);
    (0..4).for_each(|round| street.hears(round * 15, 0..8));
    street.ticks(600);
    let raised: Vec<_> =
        street.told.iter().filter(|effect| matches!(effect, Effect::Raised { .. })).collect();
    let [Effect::Raised { subject, severity, at, .. }] = raised[..] else { panic!("{raised:?}") };
    assert_eq!((subject, *severity), (&Subject::group(GroupKind::Gateway, "gw-1"), Severity::Critical));
    assert!(at.0 <= (45 + 30) * MINUTE_MS, "{}", at.0 / MINUTE_MS);
    assert_eq!(street.says().len(), 1);
}

#[test]
fn a_group_gives_its_devices_time_to_report_and_then_their_silences_back() {
    let mut street = Street::new(vec![silence(), gateway_silence()], 8);
    street.hears(0, 0..8);
    street.ticks(300);
    assert_eq!(street.says(), ["18 raised critical"]);
    // Seven come back within their interval; the eighth is broken by itself.
    street.hears(300, [0]);
    street.hears(310, 1..7);
    assert_eq!(street.says(), ["300 cleared"]);
    street.hears(315, [0]);
    street.ticks(322);
    assert_eq!(street.says(), [""; 0]);
    street.ticks(323);
    assert_eq!(street.says(), ["322 raised minor"]);
}

#[test]
fn a_silence_that_was_told_already_is_replaced_by_its_gateways() {
    let mut street = Street::new(vec![silence(), gateway_silence()], 8);
    street.hears(0, 0..8);
    street.hears(15, 1..8);
    street.hears(30, 1..8);
    street.hears(45, 1..8);
    street.ticks(53);
    assert_eq!(street.says(), ["52 raised minor"]);
    street.ticks(120);
    assert_eq!(street.says(), ["63 raised critical", "63 replaced"]);
}

#[test]
fn everyday_losses_are_no_dead_gateway() {
    let mut street = Street::new(vec![silence(), gateway_silence()], 8);
    // Each device loses every third report, never all at once.
    for round in 0..200 {
        street.hears(round * 15, (0..8).filter(|drain| (round + i64::from(*drain)) % 3 != 0));
    }
    assert_eq!(street.says(), [""; 0]);
}

fn count_of(levels: Vec<Level>) -> Rule {
    Rule {
        watch: Watch::Count { at_least: Severity::Major, share: false },
        metric: metric::DEVICE_COUNT,
        group: Some(GroupKind::Zone),
        counts: vec![named("level")],
        replaces: vec![named("level")],
        ..rule("flood", levels)
    }
}

#[test]
fn three_drains_that_run_over_are_a_flooded_street() {
    let levels = vec![level(Severity::Minor, 70.0, 65.0, 0), level(Severity::Major, 90.0, 80.0, 0)];
    let flood = count_of(vec![level(Severity::Critical, 3.0, 2.0, 0)]);
    let mut street = Street::new(vec![rule("level", levels), flood], 4);
    street.reads(0, 0, 95.0);
    street.reads(1, 1, 95.0);
    street.reads(2, 2, 75.0);
    assert_eq!(street.says(), ["0 raised major", "1 raised major", "2 raised minor"]);
    street.reads(3, 2, 95.0);
    assert_eq!(
        street.says(),
        ["3 minor->major", "3 raised critical", "3 replaced", "3 replaced", "3 replaced"]
    );
    street.reads(4, 3, 95.0);
    street.reads(5, 0, 10.0);
    street.reads(6, 1, 10.0);
    // Who is still in trouble speaks for itself again.
    assert_eq!(street.says(), [""; 0]);
    street.reads(7, 2, 10.0);
    assert_eq!(street.says(), ["7 cleared", "7 raised major"]);
}

#[test]
fn a_maintenance_window_keeps_alerts_back_says_so_once_and_ends() {
    let mut street = Street::new(vec![rule("level", vec![level(Severity::Major, 90.0, 80.0, 0)])], 2);
    let window = MaintenanceWindow {
        id: 7,
        device: Some(DeviceNo(0)),
        zone: None,
        rule: None,
        from: TimestampMs(0),
        to: TimestampMs(60 * MINUTE_MS),
    };
    street.engine.apply(TimestampMs(0), Input::Windows(std::slice::from_ref(&window)), &mut street.told);
    street.reads(10, 0, 95.0);
    street.reads(20, 0, 96.0);
    street.reads(20, 1, 95.0);
    assert_eq!(street.says(), ["10 suppressed", "20 raised major"]);
    street.ticks(60);
    assert_eq!(street.says(), ["60 raised major"]);

    let mut street = Street::new(vec![rule("level", vec![level(Severity::Major, 90.0, 80.0, 0)])], 2);
    street.engine.apply(TimestampMs(0), Input::Windows(&[window]), &mut street.told);
    street.reads(10, 0, 95.0);
    street.engine.apply(TimestampMs(15 * MINUTE_MS), Input::Windows(&[]), &mut street.told);
    assert_eq!(street.says(), ["10 suppressed", "15 raised major"]);
}

#[test]
fn outside_its_hours_a_rule_waits_and_within_its_gap_it_is_quiet() {
    let hours = Hours {
        spans: vec![Span { days: Days::EVERY, from_min: 8 * 60, to_min: 18 * 60 }],
        except: Days::default(),
    };
    let levels = vec![level(Severity::Major, 90.0, 80.0, 0)];
    let by_day = Rule { hours: Some(hours), gap_ms: 30 * MINUTE_MS, ..rule("level", levels) };
    let mut street = Street::new(vec![by_day], 1);
    street.reads(60, 0, 95.0);
    street.reads(120, 0, 50.0);
    street.reads(400, 0, 95.0);
    assert_eq!(street.says(), [""; 0]);
    street.ticks(480);
    assert_eq!(street.says(), ["480 raised major"]);
    street.reads(500, 0, 50.0);
    street.reads(510, 0, 95.0);
    street.reads(515, 0, 50.0);
    street.reads(520, 0, 95.0);
    assert_eq!(street.says(), ["500 cleared"]);
    street.ticks(540);
    assert_eq!(street.says(), ["530 raised major"]);
}

fn with_overrides() -> Rule {
    let strict = |select, raise: f64| Override {
        select,
        levels: vec![level(Severity::Major, raise, raise - 10.0, 0)],
    };
    let markets = Selector { zone_classes: vec![ZoneClass::Market], ..Selector::default() };
    let zone = Selector { zones: vec![ZoneId::new("market").expect("an id")], ..Selector::default() };
    let device = Selector { devices: vec![DeviceId::new("drain-1").expect("an id")], ..Selector::default() };
    let overrides =
        vec![strict(zone, 60.0), strict(markets, 70.0), Override { select: device, levels: Vec::new() }];
    Rule { overrides, ..rule("level", vec![level(Severity::Major, 90.0, 80.0, 0)]) }
}

#[test]
fn the_most_particular_override_speaks_and_says_why() {
    let rules = RuleSet::new(vec![with_overrides()]).expect("sound rules");
    let explained = |device: &str, placement: &Placement| {
        let id = DeviceId::new(device).expect("an id");
        let explained = rules.explain(&id, placement).next().expect("one rule");
        (explained.verdict.clone(), explained.why)
    };
    let elsewhere = Placement { zone_class: None, ..placed("gw-1", "lake") };
    let (verdict, why) = explained("drain-2", &placed("gw-1", "market"));
    assert_eq!(verdict, Verdict::Speaks(Variant(1)));
    assert_eq!(why, "the override for zones market, the most particular of 2 that fit");
    assert_eq!(explained("drain-2", &placed("gw-1", "lake")).0, Verdict::Speaks(Variant(2)));
    assert_eq!(explained("drain-2", &elsewhere).0, Verdict::Speaks(Variant(0)));
    assert_eq!(explained("drain-1", &placed("gw-1", "market")).0, Verdict::Off);
    let bin = Placement::new(DeviceKind::Bin, 1);
    assert_eq!(explained("bin-1", &bin), (Verdict::NotFor, "it is for drains, this is a bin".to_owned()));
}

#[test]
fn a_device_that_moves_is_judged_by_the_levels_of_its_new_place() {
    let mut street = Street::new(vec![with_overrides()], 1);
    street.reads(1, 0, 65.0);
    assert_eq!(street.says(), ["1 raised major"]);
    street.place(0, &Placement { zone_class: None, ..placed("gw-1", "lake") });
    assert_eq!(street.says(), ["1 cleared"]);
    street.place(0, &placed("gw-1", "market"));
    assert_eq!(street.says(), ["1 raised major"]);
}

fn fault(rules: Vec<Rule>) -> String {
    RuleSet::new(rules).expect_err("a fault").iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn rules_that_could_never_be_meant_are_refused_with_what_to_write() {
    let levels = || vec![level(Severity::Major, 90.0, 80.0, 0)];
    let narrow = Selector { zones: vec![ZoneId::new("market").expect("an id")], ..Selector::default() };
    let shadowed = Rule { select: narrow.clone(), ..rule("narrow", levels()) };
    assert!(
        fault(vec![rule("wide", levels()), shadowed.clone()])
            .contains("`wide` says all that this rule could say")
    );
    assert!(fault(vec![shadowed, rule("wide", levels())]).contains("rule `narrow`"));
    let nothing =
        Rule { overrides: vec![Override { select: narrow, levels: levels() }], ..rule("a", levels()) };
    assert!(fault(vec![nothing]).contains("changes nothing"));
    let everywhere = Rule {
        overrides: vec![Override { select: Selector::default(), levels: vec![] }],
        ..rule("a", levels())
    };
    assert!(fault(vec![everywhere]).contains("give it zones"));
    let flood = count_of(vec![level(Severity::Critical, 3.0, 2.0, 0)]);
    assert!(fault(vec![flood]).contains("names `level`, which is no rule"));
    let ungrouped = Rule { group: None, ..gateway_silence() };
    assert!(fault(vec![silence(), ungrouped]).contains("`replaces` is for the alert of a group"));
}
