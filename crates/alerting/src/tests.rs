//! The engine's behaviour as stories: readings and ticks in, what is raised and cleared out.

use std::sync::Arc;

use proptest::prelude::*;
use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{
    AlertId, DeviceId, DeviceKind, DeviceNo, Placement, Quality, RuleId, Severity, SiteCalendar, Subject,
    TimestampMs, Title, metric,
};

use crate::*;

const BIN: DeviceNo = DeviceNo(0);

fn rising(severity: Severity, raise: f64, clear: f64, for_min: i64) -> Level {
    Level { severity, direction: Direction::Rising, raise, clear, for_ms: for_min * MINUTE_MS }
}

/// The bin rule of the domain page: minor at 75 % for 10 minutes, major at 90 %, critical at 98 %.
fn bin_rules() -> RuleSet {
    let title = Title { en: "Bin is full".into(), zh: "垃圾桶已满".into() };
    let id = RuleId::new("bin_fill").expect("a sound id");
    let levels = vec![
        rising(Severity::Minor, 75.0, 60.0, 10),
        rising(Severity::Major, 90.0, 80.0, 0),
        rising(Severity::Critical, 98.0, 90.0, 0),
    ];
    let rule = Rule::new(id, title, DeviceKind::Bin, metric::FILL_PCT, levels);
    RuleSet::new(vec![rule]).expect("sound rules")
}

fn placed() -> (DeviceId, Placement) {
    let placement = Placement::new(DeviceKind::Bin, 15 * MINUTE_MS);
    (DeviceId::new("bin-1").expect("a sound id"), placement)
}

fn engine() -> Engine {
    let mut engine = Engine::new(Arc::new(bin_rules()), SiteCalendar::utc(), AlertId(1));
    let (id, placement) = placed();
    engine.apply(
        TimestampMs(0),
        Input::Device { device: BIN, id: &id, placement: &placement },
        &mut Vec::new(),
    );
    engine
}

/// A story is a list of `minute: value` readings and `minute: tick`s.
#[derive(Debug, Clone, Copy)]
enum Beat {
    Reading(i64, f64),
    Tick(i64),
}
use Beat::{Reading, Tick};

fn play(engine: &mut Engine, beats: &[Beat]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for beat in beats {
        match *beat {
            Reading(minute, value) => {
                let at = TimestampMs(minute * MINUTE_MS);
                let input = Input::Reading {
                    device: BIN,
                    metric: metric::FILL_PCT,
                    at,
                    value,
                    quality: Quality::Good,
                    is_dated: true,
                };
                engine.apply(at, input, &mut effects);
            }
            Tick(minute) => engine.apply(TimestampMs(minute * MINUTE_MS), Input::Tick, &mut effects),
        }
    }
    effects
}

/// The alert transitions in words: `10 raised minor`, `20 minor->critical`, `40 cleared`.
pub(crate) fn words(effects: &[Effect]) -> Vec<String> {
    let minute = |at: &TimestampMs| at.0 / MINUTE_MS;
    let word = |effect: &Effect| match effect {
        Effect::Raised { severity, at, .. } => Some(format!("{} raised {severity}", minute(at))),
        Effect::SeverityChanged { from, to, at, .. } => Some(format!("{} {from}->{to}", minute(at))),
        Effect::Cleared { at, .. } => Some(format!("{} cleared", minute(at))),
        Effect::Replaced { at, .. } => Some(format!("{} replaced", minute(at))),
        Effect::Suppressed { at, .. } => Some(format!("{} suppressed", minute(at))),
        Effect::Level { .. } => None,
    };
    effects.iter().filter_map(word).collect()
}

fn check(beats: &[Beat], expected: &[&str]) {
    assert_eq!(words(&play(&mut engine(), beats)), expected, "{beats:?}");
}

#[test]
fn a_level_with_a_patience_raises_when_it_has_held_long_enough() {
    check(&[Reading(0, 80.0), Tick(9)], &[]);
    check(&[Reading(0, 80.0), Tick(9), Tick(10)], &["10 raised minor"]);
    check(&[Reading(0, 80.0), Reading(5, 70.0), Tick(30)], &[]);
}

#[test]
fn the_instant_of_raising_does_not_depend_on_who_notices() {
    check(&[Reading(0, 80.0), Reading(30, 85.0)], &["10 raised minor"]);
    check(&[Reading(0, 80.0), Tick(500)], &["10 raised minor"]);
    check(&[Reading(0, 80.0), Reading(30, 50.0)], &["10 raised minor", "30 cleared"]);
}

#[test]
fn between_clear_and_raise_nothing_changes() {
    check(
        &[Reading(0, 92.0), Reading(1, 89.0), Reading(2, 91.0), Reading(3, 85.0), Reading(4, 81.0)],
        &["0 raised major"],
    );
}

#[test]
fn one_alert_grows_and_shrinks_with_the_worst_level() {
    check(
        &[Reading(0, 91.0), Reading(15, 99.0), Reading(30, 89.0), Reading(45, 79.0), Reading(60, 10.0)],
        &["0 raised major", "15 major->critical", "30 critical->major", "45 major->minor", "60 cleared"],
    );
}

#[test]
fn a_late_reading_neither_clears_nor_raises() {
    check(&[Reading(30, 95.0), Reading(10, 0.0)], &["30 raised major"]);
    check(&[Reading(30, 10.0), Reading(10, 99.0)], &[]);
}

#[test]
fn a_correction_of_the_newest_reading_counts() {
    check(&[Reading(30, 95.0), Reading(30, 9.0)], &["30 raised major", "30 cleared"]);
}

#[test]
fn a_device_that_a_rule_no_longer_selects_has_its_alert_cleared() {
    let mut engine = engine();
    play(&mut engine, &[Reading(0, 95.0)]);
    let (id, mut placement) = placed();
    placement.kind = DeviceKind::Drain;
    let mut effects = Vec::new();
    let moved = Input::Device { device: BIN, id: &id, placement: &placement };
    engine.apply(TimestampMs(MINUTE_MS), moved, &mut effects);
    assert_eq!(words(&effects), ["1 cleared"]);
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn rules_that_cannot_work_are_refused_with_what_to_write_instead() {
    let broken = |level: Level| {
        let mut rule = bin_rules().get(0).expect("one rule").clone();
        rule.levels = vec![level];
        RuleSet::new(vec![rule]).expect_err("a broken rule").remove(0).message
    };
    assert!(broken(rising(Severity::Minor, 75.0, 80.0, 0)).contains("bad side"));
    assert!(broken(rising(Severity::Minor, 75.0, 0.0, 0)).contains("never clear"));
    assert!(broken(rising(Severity::Minor, f64::NAN, 0.0, 0)).contains("finite"));
    let twice = vec![bin_rules().get(0).expect("one").clone(), bin_rules().get(0).expect("one").clone()];
    assert!(RuleSet::new(twice).expect_err("twice")[0].message.contains("twice"));
}

/// What the store would hold after these effects: level states by place, and the open alert.
fn stored(effects: &[Effect]) -> (Vec<RestoredLevel>, Vec<(Subject, RuleNo, OpenAlert)>, u64) {
    let mut levels: Vec<RestoredLevel> = Vec::new();
    let mut open: Vec<(Subject, RuleNo, OpenAlert)> = Vec::new();
    let mut next = 1;
    for effect in effects {
        match effect.clone() {
            Effect::Level { subject, rule, variant, level, state } => {
                let levels_of = bin_rules().get(0).expect("one rule").levels_of(variant).to_vec();
                let key: Box<str> = levels_of[usize::from(level)].key().into();
                levels.retain(|l| (&l.subject, l.rule, &l.key) != (&subject, rule, &key));
                if state != LevelState::Idle {
                    levels.push(RestoredLevel { subject, rule, key, state });
                }
            }
            Effect::Raised { alert, subject, rule, severity, .. } => {
                open.push((subject, rule, OpenAlert { id: alert, severity }));
                next = alert.0 + 1;
            }
            Effect::SeverityChanged { alert, to, .. } => {
                open.iter_mut().filter(|o| o.2.id == alert).for_each(|o| o.2.severity = to);
            }
            Effect::Cleared { alert, .. } | Effect::Replaced { alert, .. } => {
                open.retain(|o| o.2.id != alert);
            }
            Effect::Suppressed { .. } => {}
        }
    }
    (levels, open, next)
}

fn beats() -> impl Strategy<Value = Vec<Beat>> {
    let beat = prop_oneof![
        3 => (0_i64..20, 50.0_f64..100.0).prop_map(|(gap, value)| Reading(gap, value)),
        1 => (0_i64..20).prop_map(Tick),
    ];
    proptest::collection::vec(beat, 1..60).prop_map(|beats| {
        let mut minute = 0;
        let mut place = |gap: i64| {
            minute += gap;
            minute
        };
        beats
            .into_iter()
            .map(|beat| match beat {
                Reading(gap, value) => Reading(place(gap), value),
                Tick(gap) => Tick(place(gap)),
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn a_restart_at_any_point_changes_nothing(beats in beats(), cut in 0_usize..60) {
        let cut = cut.min(beats.len());
        let whole = play(&mut engine(), &beats);

        let mut first = engine();
        let mut effects = play(&mut first, &beats[..cut]);
        let (levels, open, next) = stored(&effects);
        let mut second = Engine::new(Arc::new(bin_rules()), SiteCalendar::utc(), AlertId(next));
        let (id, placement) = placed();
        second.apply(TimestampMs(0), Input::Device { device: BIN, id: &id, placement: &placement }, &mut Vec::new());
        second.restore(&levels, &open);
        let newest = beats[..cut].iter().rev().find_map(|b| match b {
            Reading(minute, value) => Some((TimestampMs(minute * MINUTE_MS), *value)),
            Tick(_) => None,
        });
        if let Some((at, value)) = newest {
            second.restore_latest(BIN, metric::FILL_PCT, at, value);
        }
        effects.extend(play(&mut second, &beats[cut..]));
        prop_assert_eq!(effects, whole);
    }

    #[test]
    fn a_redelivered_reading_has_no_effect(beats in beats()) {
        let mut engine = engine();
        for beat in beats {
            play(&mut engine, &[beat]);
            prop_assert_eq!(play(&mut engine, &[beat]), vec![]);
        }
    }

    #[test]
    fn at_most_one_alert_is_open_and_raises_alternate_with_clears(beats in beats()) {
        let mut open = false;
        for effect in play(&mut engine(), &beats) {
            match effect {
                Effect::Raised { .. } => { prop_assert!(!open); open = true; }
                Effect::Cleared { .. } => { prop_assert!(open); open = false; }
                Effect::SeverityChanged { from, to, .. } => { prop_assert!(open); prop_assert_ne!(from, to); }
                Effect::Level { .. } | Effect::Suppressed { .. } | Effect::Replaced { .. } => {}
            }
        }
    }
}

#[test]
fn a_suspect_reading_is_shown_only_to_rules_that_ask() {
    for (asks, raised) in [(Quality::Good, 0), (Quality::Suspect, 1)] {
        let rule = Rule { quality: asks, ..bin_rules().get(0).expect("a rule").clone() };
        let rules = Arc::new(RuleSet::new(vec![rule]).expect("sound rules"));
        let mut engine = Engine::new(rules, SiteCalendar::utc(), AlertId(1));
        let (id, placement) = placed();
        let mut effects = Vec::new();
        engine.apply(
            TimestampMs(0),
            Input::Device { device: BIN, id: &id, placement: &placement },
            &mut effects,
        );
        let reading = |quality, minute: i64| Input::Reading {
            device: BIN,
            metric: metric::FILL_PCT,
            at: TimestampMs(minute * MINUTE_MS),
            value: 99.0,
            quality,
            is_dated: true,
        };
        engine.apply(TimestampMs(0), reading(Quality::Suspect, 1), &mut effects);
        assert_eq!(engine.open_alerts().len(), raised, "{asks}");
        // A bad one is no number of what it should measure.
        engine.apply(TimestampMs(0), reading(Quality::Bad, 2), &mut effects);
        assert_eq!(engine.open_alerts().len(), raised, "{asks}");
        engine.apply(TimestampMs(0), reading(Quality::Good, 3), &mut effects);
        assert_eq!(engine.open_alerts().len(), 1, "{asks}");
    }
}
