//! Readings through the engine on one core, and the memory of many devices.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use sanimon_alerting::{Engine, Input, Rule, RuleSet};
use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{
    AlertId, DeviceId, DeviceKind, DeviceNo, GatewayId, MetricNo, Placement, Quality, RuleId, SiteCalendar,
    TimestampMs, ZoneId, metric,
};
use serde_json::{Value, json};

use super::super::super::check::refused;
use crate::config::default_rules;

const RULES: usize = 40;
const DEVICES: u32 = 2_000;
const MANY: u32 = 1_000_000;
/// Reports of each device in the timed part.
const ROUNDS: i64 = 400;
const START: TimestampMs = TimestampMs(1_772_323_200_000);
const INTERVAL_MS: i64 = 15 * MINUTE_MS;

pub(super) fn measure(small: bool) -> anyhow::Result<Value> {
    let rules = forty_rules()?;
    let before_kb = rss_kb()?;
    let mut engine = town(&rules, DEVICES)?;
    let mut effects = 0;
    let mut readings = 0_u64;
    // Each rule has seen a reading before the clock starts.
    (0..3).for_each(|round| readings += report(&mut engine, DEVICES, round, &mut effects));
    let small_mb = (rss_kb()?.saturating_sub(before_kb)) as f64 / 1024.0;
    readings = 0;
    let started = Instant::now();
    (3..3 + ROUNDS).for_each(|round| readings += report(&mut engine, DEVICES, round, &mut effects));
    let seconds = started.elapsed().as_secs_f64();
    drop(engine);
    let many_mb = if small { None } else { Some(memory_of_many(&rules)?) };
    Ok(json!({
        "rules": rules.len(),
        "readings": readings,
        "readings_per_s": (readings as f64 / seconds).round(),
        "effects": effects,
        "mb_2000_devices": small_mb,
        "mb_1000000_devices": many_mb,
    }))
}

fn memory_of_many(rules: &Arc<RuleSet>) -> anyhow::Result<f64> {
    let before_kb = rss_kb()?;
    let mut engine = town(rules, MANY)?;
    let mut effects = 0;
    report(&mut engine, MANY, 0, &mut effects);
    report(&mut engine, MANY, 1, &mut effects);
    Ok(rss_kb()?.saturating_sub(before_kb) as f64 / 1024.0)
}

/// The rules that come with sanimon, and copies of those on values with other levels, up to forty: as many of each kind.
fn forty_rules() -> anyhow::Result<Arc<RuleSet>> {
    let defaults = default_rules().map_err(|faults| refused(&faults))?;
    let mut rules: Vec<Rule> = defaults.iter().cloned().collect();
    let of_kind = |kind| {
        let is_value = |rule: &&Rule| rule.kind == Some(kind) && rule.watch == sanimon_alerting::Watch::Value;
        defaults.iter().filter(is_value).cloned().collect::<Vec<Rule>>()
    };
    let by_kind: Vec<Vec<Rule>> = DeviceKind::ALL.iter().map(|kind| of_kind(*kind)).collect();
    for n in 0..RULES.saturating_sub(rules.len()) {
        let of_kind = &by_kind[n % by_kind.len()];
        let mut copy = of_kind[n / by_kind.len() % of_kind.len()].clone();
        let rule = copy.clone();
        copy.id = RuleId::new(&format!("{}_{n}", rule.id))?;
        copy.levels.iter_mut().for_each(|level| level.for_ms += (n as i64 + 1) * MINUTE_MS);
        rules.push(copy);
    }
    let rules = RuleSet::new(rules).map_err(|faults| anyhow::anyhow!("{}", faults[0]))?;
    Ok(Arc::new(rules))
}

/// Seven bins, two drains and a toilet in each ten devices.
fn kind(device: u32) -> DeviceKind {
    match device % 10 {
        0..7 => DeviceKind::Bin,
        7 | 8 => DeviceKind::Drain,
        _ => DeviceKind::Toilet,
    }
}

fn metrics(kind: DeviceKind) -> &'static [&'static str] {
    match kind {
        DeviceKind::Bin => &["fill_pct", "temperature_c", "tilt_deg", "battery_pct", "lid_open"],
        DeviceKind::Drain => &["level_pct", "ch4_lel_pct", "h2s_ppm", "cover_open", "battery_pct"],
        DeviceKind::Toilet => &["nh3_ppm", "h2s_ppm", "paper_pct", "soap_pct", "leak"],
    }
}

fn town(rules: &Arc<RuleSet>, devices: u32) -> anyhow::Result<Engine> {
    let calendar = SiteCalendar::named("Asia/Shanghai").context("a zone")?;
    let mut engine = Engine::new(rules.clone(), calendar, AlertId(1));
    let mut effects = Vec::new();
    // The registry holds the names; the engine shares them.
    let names = devices / 300 + 1;
    let zones: Vec<ZoneId> = (0..names).map(|n| ZoneId::new(&format!("z-{n}"))).collect::<Result<_, _>>()?;
    let gateways: Vec<GatewayId> =
        (0..names).map(|n| GatewayId::new(&format!("gw-{n}"))).collect::<Result<_, _>>()?;
    for device in 0..devices {
        let id = DeviceId::new(&format!("d-{device}"))?;
        let placement = Placement {
            zone: Some(zones[(device / 500) as usize].clone()),
            gateway: Some(gateways[(device / 300) as usize].clone()),
            ..Placement::new(kind(device), INTERVAL_MS)
        };
        let input = Input::Device { device: DeviceNo(device), id: &id, placement: &placement };
        engine.apply(START, input, &mut effects);
    }
    Ok(engine)
}

/// Everyone reports once; gives the number of readings. Values move as in a town: most are quiet, bins fill and are emptied.
fn report(engine: &mut Engine, devices: u32, round: i64, told: &mut usize) -> u64 {
    let mut effects = Vec::new();
    let mut readings = 0;
    let numbers =
        |kind| metrics(kind).iter().filter_map(|name| metric::by_name(name)).collect::<Vec<MetricNo>>();
    let by_kind = [DeviceKind::Bin, DeviceKind::Drain, DeviceKind::Toilet].map(numbers);
    for device in 0..devices {
        let at = START.plus_ms(round * INTERVAL_MS + i64::from(device) * INTERVAL_MS / i64::from(devices));
        if engine.next_deadline().is_some_and(|due| due <= at) {
            engine.apply(at, Input::Tick, &mut effects);
        }
        let number = DeviceNo(device);
        engine.apply(at, Input::Heard { device: number, at }, &mut effects);
        let phase = (round + i64::from(device % 97)) % 96;
        for (index, metric) in by_kind[kind(device) as usize].iter().enumerate() {
            let value = if index == 0 { phase as f64 * 0.95 } else { [0.0, 18.0, 2.0, 90.0, 0.0][index] };
            let reading = Input::Reading {
                device: number,
                metric: *metric,
                at,
                value,
                quality: Quality::Good,
                is_dated: true,
            };
            engine.apply(at, reading, &mut effects);
            readings += 1;
        }
        *told += effects.len();
        effects.clear();
    }
    readings
}

fn rss_kb() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
