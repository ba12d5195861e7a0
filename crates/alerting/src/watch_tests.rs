//! Rules on change, silence and standstill, as stories.

use std::sync::Arc;

use sanimon_domain::time::{HOUR_MS, MINUTE_MS};
use sanimon_domain::{
    AlertId, DeviceId, DeviceKind, DeviceNo, MetricNo, Placement, Quality, RuleId, Severity, SiteCalendar,
    TimestampMs, Title, metric,
};

use crate::tests::words;
use crate::*;

const DRAIN: DeviceNo = DeviceNo(0);

fn level(severity: Severity, direction: Direction, raise: f64, clear: f64, for_ms: i64) -> Level {
    Level { severity, direction, raise, clear, for_ms }
}

fn rules(watch: Watch, metric: MetricNo, levels: Vec<Level>) -> Arc<RuleSet> {
    let title = Title { en: "Watched".into(), zh: "监视".into() };
    let id = RuleId::new("watched").expect("a sound id");
    let rule = Rule { watch, ..Rule::new(id, title, DeviceKind::Drain, metric, levels) };
    Arc::new(RuleSet::new(vec![rule]).expect("sound rules"))
}

/// An engine with a drain that reports every quarter of an hour.
fn engine(rules: &Arc<RuleSet>) -> Engine {
    let mut engine = Engine::new(rules.clone(), SiteCalendar::utc(), AlertId(1));
    place(&mut engine, 0, 15);
    engine
}

fn place(engine: &mut Engine, minute: i64, interval_min: i64) -> Vec<Effect> {
    let mut effects = Vec::new();
    let interval_ms = interval_min * MINUTE_MS;
    let placement = Placement::new(DeviceKind::Drain, interval_ms);
    let id = DeviceId::new("drain-1").expect("a sound id");
    let input = Input::Device { device: DRAIN, id: &id, placement: &placement };
    engine.apply(TimestampMs(minute * MINUTE_MS), input, &mut effects);
    effects
}

fn reads(engine: &mut Engine, readings: &[(i64, f64)]) -> Vec<Effect> {
    readings.iter().flat_map(|(minute, value)| reads_one(engine, *minute, *value, true)).collect()
}

fn reads_one(engine: &mut Engine, minute: i64, value: f64, is_dated: bool) -> Vec<Effect> {
    let mut effects = Vec::new();
    let at = TimestampMs(minute * MINUTE_MS);
    let (device, metric, quality) = (DRAIN, metric::LEVEL_PCT, Quality::Good);
    engine.apply(at, Input::Reading { device, metric, at, value, quality, is_dated }, &mut effects);
    effects
}

fn hears(engine: &mut Engine, minute: i64) -> Vec<Effect> {
    let mut effects = Vec::new();
    let at = TimestampMs(minute * MINUTE_MS);
    engine.apply(at, Input::Heard { device: DRAIN, at }, &mut effects);
    effects
}

fn ticks(engine: &mut Engine, minute: i64) -> Vec<Effect> {
    let mut effects = Vec::new();
    engine.apply(TimestampMs(minute * MINUTE_MS), Input::Tick, &mut effects);
    effects
}

fn rises() -> Arc<RuleSet> {
    let levels = vec![level(Severity::Major, Direction::Rising, 20.0, 10.0, 0)];
    rules(Watch::Rate { within_ms: 15 * MINUTE_MS }, metric::LEVEL_PCT, levels)
}

#[test]
fn a_drain_that_rises_fast_is_told_and_one_that_rises_slowly_is_not() {
    let told = |readings: &[(i64, f64)]| words(&reads(&mut engine(&rises()), readings));
    assert_eq!(told(&[(0, 30.0), (5, 38.0), (10, 51.0), (30, 52.0)]), ["10 raised major", "30 cleared"]);
    assert_eq!(told(&[(0, 30.0), (15, 40.0), (30, 50.0), (45, 60.0)]), [""; 0]);
    // What fell before does not hide what rises now.
    assert_eq!(told(&[(0, 60.0), (5, 20.0), (10, 41.0)]), ["10 raised major"]);
    assert_eq!(told(&[(0, 60.0), (10, 20.0)]), [""; 0]);
}

#[test]
fn a_sensor_that_sleeps_longer_than_the_window_is_judged_by_its_average_change() {
    let told = |readings: &[(i64, f64)]| words(&reads(&mut engine(&rises()), readings));
    assert_eq!(told(&[(0, 10.0), (60, 90.0)]), ["60 raised major"]);
    assert_eq!(told(&[(0, 10.0), (60, 60.0)]), [""; 0]);
}

#[test]
fn a_fast_fall_is_a_change_as_well() {
    let levels = vec![level(Severity::Minor, Direction::Falling, -20.0, -10.0, 0)];
    let rules = rules(Watch::Rate { within_ms: 15 * MINUTE_MS }, metric::LEVEL_PCT, levels);
    let told = words(&reads(&mut engine(&rules), &[(0, 60.0), (10, 35.0), (40, 35.0)]));
    assert_eq!(told, ["10 raised minor", "40 cleared"]);
}

#[test]
fn a_reading_without_a_time_of_its_own_says_nothing_of_a_change_but_has_its_value() {
    let levels = vec![level(Severity::Major, Direction::Rising, 80.0, 70.0, 0)];
    let high = rules(Watch::Value, metric::LEVEL_PCT, levels);
    let told = |rules: &Arc<RuleSet>, is_dated: bool| {
        let mut engine = engine(rules);
        let mut effects = reads_one(&mut engine, 0, 30.0, true);
        effects.extend(reads_one(&mut engine, 5, 85.0, is_dated));
        words(&effects)
    };
    assert_eq!(told(&rises(), true), ["5 raised major"]);
    assert_eq!(told(&rises(), false), [""; 0]);
    assert_eq!(told(&high, false), ["5 raised major"]);
    // The next one that has a time is compared with the last that had one.
    let mut engine = engine(&rises());
    reads(&mut engine, &[(0, 30.0)]);
    assert_eq!(words(&reads_one(&mut engine, 5, 85.0, false)), [""; 0]);
    assert_eq!(words(&reads(&mut engine, &[(10, 45.0)])), [""; 0]);
}

#[test]
fn a_change_across_a_restart_is_seen_as_if_there_had_been_none() {
    let rules = rises();
    let mut engine = engine(&rules);
    engine.restore_latest(DRAIN, metric::LEVEL_PCT, TimestampMs(10 * MINUTE_MS), 45.0);
    assert_eq!(engine.windows(DRAIN), [(metric::LEVEL_PCT, 15 * MINUTE_MS)]);
    let minutes = |minute: i64| TimestampMs(minute * MINUTE_MS);
    engine.restore_window(DRAIN, metric::LEVEL_PCT, &[(minutes(0), 30.0), (minutes(10), 45.0)]);
    assert_eq!(words(&reads(&mut engine, &[(15, 51.0)])), ["15 raised major"]);
}

fn silences() -> Arc<RuleSet> {
    let levels = vec![
        level(Severity::Minor, Direction::Rising, 3.0, 1.0, 0),
        level(Severity::Major, Direction::Rising, 1.0, 1.0, 24 * HOUR_MS),
    ];
    rules(Watch::Silence, metric::SILENCE_MIN, levels)
}

#[test]
fn a_device_is_silent_after_its_own_intervals_and_heard_with_its_first_message() {
    let mut engine = engine(&silences());
    assert_eq!(engine.next_deadline(), None, "what never spoke is not silent");
    assert_eq!(hears(&mut engine, 0), [], "waiting is nothing to store");
    assert_eq!(engine.next_deadline(), Some(TimestampMs(45 * MINUTE_MS)));
    assert_eq!(words(&ticks(&mut engine, 44)), [""; 0]);
    let raised = ticks(&mut engine, 50);
    assert_eq!(words(&raised), ["45 raised minor"]);
    let minutes_told =
        |effect: &Effect| matches!(effect, Effect::Raised { value, .. } if *value == Some(45.0));
    assert!(raised.iter().any(minutes_told), "{raised:?}");
    assert_eq!(words(&ticks(&mut engine, 24 * 60 + 15)), ["1455 minor->major"]);
    let cleared = hears(&mut engine, 2000);
    assert_eq!(words(&cleared), ["2000 cleared"]);
    let length_told =
        |effect: &Effect| matches!(effect, Effect::Cleared { value, .. } if *value == Some(2000.0));
    assert!(cleared.iter().any(length_told), "{cleared:?}");
    assert_eq!(engine.next_deadline(), Some(TimestampMs(2045 * MINUTE_MS)));
}

#[test]
fn a_message_that_comes_before_the_tick_finds_the_silence_that_was() {
    let mut engine = engine(&silences());
    hears(&mut engine, 0);
    assert_eq!(words(&hears(&mut engine, 60)), ["45 raised minor", "60 cleared"]);
}

#[test]
fn each_message_moves_the_instant_at_which_a_device_is_silent() {
    let mut engine = engine(&silences());
    hears(&mut engine, 0);
    hears(&mut engine, 10);
    assert_eq!(words(&ticks(&mut engine, 54)), [""; 0]);
    assert_eq!(engine.next_deadline(), Some(TimestampMs(55 * MINUTE_MS)));
    assert_eq!(words(&ticks(&mut engine, 90)), ["55 raised minor"]);
}

#[test]
fn a_device_taken_out_of_sight_is_silent_for_nobody() {
    let mut engine = engine(&silences());
    hears(&mut engine, 0);
    hears(&mut engine, 10);
    engine.apply(TimestampMs(20 * MINUTE_MS), Input::Retired { device: DRAIN }, &mut Vec::new());
    assert_eq!(ticks(&mut engine, 5000), []);
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn a_new_interval_counts_from_the_last_message_on() {
    let mut engine = engine(&silences());
    hears(&mut engine, 0);
    place(&mut engine, 10, 60);
    assert_eq!(engine.next_deadline(), Some(TimestampMs(180 * MINUTE_MS)));
    assert_eq!(words(&ticks(&mut engine, 179)), [""; 0]);
    assert_eq!(words(&ticks(&mut engine, 180)), ["180 raised minor"]);
}

#[test]
fn a_silence_goes_on_over_a_restart_and_its_alert_stays() {
    let rules = silences();
    let mut before = engine(&rules);
    hears(&mut before, 0);
    let stored = ticks(&mut before, 50);
    let level = |effect: &Effect| match effect.clone() {
        Effect::Level { subject, rule, variant, level, state } => {
            let key = rules.get(0).expect("one rule").levels_of(variant)[usize::from(level)].key().into();
            Some(RestoredLevel { subject, rule, key, state })
        }
        _ => None,
    };
    let levels: Vec<RestoredLevel> = stored.iter().filter_map(level).collect();
    let open: Vec<_> =
        before.open_alerts().into_iter().map(|((subject, rule), open)| (subject, rule, open)).collect();

    let mut after = engine(&rules);
    after.restore(&levels, &open);
    after.restore_heard(DRAIN, TimestampMs(5 * MINUTE_MS));
    assert_eq!(after.open_alerts(), before.open_alerts());
    assert_eq!(words(&ticks(&mut after, 24 * 60 + 20)), ["1460 minor->major"]);
    assert_eq!(words(&hears(&mut after, 1500)), ["1500 cleared"]);
}

#[test]
fn a_value_that_never_changes_is_stuck_after_its_hours() {
    let levels = vec![level(Severity::Minor, Direction::Rising, 2.0, 1.0, 0)];
    let rules = rules(Watch::Stuck, metric::LEVEL_PCT, levels);
    let told = |engine: &mut Engine, readings: &[(i64, f64)]| words(&reads(engine, readings));
    let readings = [(0, 40.0), (60, 40.0), (119, 40.0), (120, 40.0), (180, 40.5)];
    assert_eq!(told(&mut engine(&rules), &readings), ["120 raised minor", "180 cleared"]);
    let mut restored = engine(&rules);
    restored.restore_latest(DRAIN, metric::LEVEL_PCT, TimestampMs(60 * MINUTE_MS), 40.0);
    restored.restore_unchanged(DRAIN, metric::LEVEL_PCT, TimestampMs(0));
    assert_eq!(told(&mut restored, &[(120, 40.0)]), ["120 raised minor"]);
}
