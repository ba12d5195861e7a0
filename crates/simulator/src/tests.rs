//! The simulator as a judge: the same seed gives the same town, and its life looks like a town's.

use std::collections::HashMap;

use sanimon_domain::TimestampMs;
use sanimon_domain::time::DAY_MS;

use crate::*;

const START: TimestampMs = TimestampMs(1_772_323_200_000);

fn days(seed: u64, devices: usize, days: i64) -> (Vec<Uplink>, Vec<Truth>) {
    let mut simulation = Simulation::new(Town::new(seed, devices), START);
    let mut uplinks = Vec::new();
    while simulation.next_at().is_some_and(|at| at < START.plus_ms(days * DAY_MS)) {
        uplinks.extend(simulation.next_uplink());
    }
    (uplinks, simulation.take_truth())
}

#[test]
fn the_same_seed_gives_the_same_uplinks_and_the_same_truth() {
    assert_eq!(days(7, 60, 2), days(7, 60, 2));
    assert_ne!(days(7, 60, 2).0, days(8, 60, 2).0);
}

#[test]
fn uplinks_come_in_the_order_of_time_and_some_come_twice() {
    let (uplinks, _) = days(7, 100, 5);
    assert!(uplinks.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert!(uplinks.windows(2).any(|pair| pair[0] == pair[1]));
    assert!(uplinks.iter().any(|uplink| uplink.payload.starts_with('[')), "no backlog in five days");
}

#[test]
fn a_month_of_300_devices_has_every_kind_of_happening() {
    let (uplinks, truth) = days(1, 300, 30);
    let mut counts: HashMap<TruthKind, usize> = HashMap::new();
    truth.iter().filter(|t| t.begins).for_each(|t| *counts.entry(t.kind).or_default() += 1);
    for kind in [
        TruthKind::Overflow,
        TruthKind::Fire,
        TruthKind::Flood,
        TruthKind::CoverOpen,
        TruthKind::Odour,
        TruthKind::Leak,
        TruthKind::GatewayOutage,
        TruthKind::Service,
    ] {
        assert!(counts.get(&kind).is_some_and(|count| *count > 0), "{kind:?} never happened: {counts:?}");
    }
    assert!(uplinks.len() > 300_000, "{}", uplinks.len());
}

#[test]
fn what_begins_ends_before_it_begins_again() {
    let (_, truth) = days(3, 200, 20);
    let mut open: HashMap<(String, TruthKind), bool> = HashMap::new();
    for t in truth.into_iter().filter(|t| t.kind != TruthKind::Service) {
        let was = open.insert((t.device.clone(), t.kind), t.begins).unwrap_or(false);
        assert_ne!(was, t.begins, "{t:?}");
    }
}
