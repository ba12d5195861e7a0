//! `kill -9` at random instants under load, on each source and each back end.

use std::time::Duration;

use serde_json::json;

use super::load::{Load, judge, site_for_load};
use super::{Dice, scale, told};
use crate::harness::Mosquitto;
use crate::influxd::Influxd;

/// Acknowledgements between two kills, at most.
const BETWEEN_MAX: u64 = 80;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Embedded,
    External,
}

fn kill_often(name: &str, source: Source, influxd: Option<&Influxd>) {
    let kills = scale(12, 200);
    let mosquitto = (source == Source::External).then(Mosquitto::start);
    let site = site_for_load(&mosquitto.as_ref().map(Mosquitto::broker_section).unwrap_or_default());
    let mut site = match influxd {
        Some(influxd) => {
            let section = influxd.section(name, site.folder.path());
            site.with(&section)
        }
        None => site,
    };
    if influxd.is_some() {
        site.check_fix();
    }
    site.prepare();
    let port = mosquitto.as_ref().map_or(site.mqtt, |broker| broker.port);
    if let Some(broker) = &mosquitto {
        site.wait_for_subscription(broker.port);
    }
    let mut dice = Dice::new();
    let seed = dice.0;
    let load = Load::start(port, Duration::from_millis(1));
    for _ in 0..kills {
        load.wait_for_more(1 + dice.below(BETWEEN_MAX));
        site.kill();
        site.start();
    }
    let acknowledged = load.finish();
    let mut result = judge(&site, &acknowledged);
    assert_eq!(site.metric("sanimon_messages_lost_total"), Some(0));
    result["kills"] = kills.into();
    result["seed"] = seed.into();
    told(&format!("kills-{name}"), &result);
}

#[test]
fn kills_with_the_embedded_broker_and_the_embedded_store() {
    kill_often("embedded-embedded", Source::Embedded, None);
}

#[test]
fn kills_with_an_external_broker_and_the_embedded_store() {
    kill_often("external-embedded", Source::External, None);
}

#[test]
fn kills_with_the_embedded_broker_and_influxdb() {
    let Some(influxd) = Influxd::start() else { return };
    kill_often("embedded-influxdb", Source::Embedded, Some(&influxd));
}

#[test]
fn kills_with_an_external_broker_and_influxdb() {
    let Some(influxd) = Influxd::start() else { return };
    kill_often("external-influxdb", Source::External, Some(&influxd));
}

#[test]
fn the_dice_are_the_same_for_a_seed() {
    let rolls = |seed| {
        let mut dice = Dice(seed);
        (0..5).map(|_| dice.below(1_000)).collect::<Vec<_>>()
    };
    assert_eq!(rolls(7), rolls(7));
    assert_ne!(rolls(7), rolls(8), "{}", json!(rolls(7)));
}
