//! Networks that cut, stall, delay and drop, on both sides of an external broker, and brokers that restart.

use std::time::Duration;

use super::load::{Load, judge, site_for_load};
use super::proxy::{Fault, Proxy};
use super::{Dice, scale, told};
use crate::harness::Mosquitto;

/// How long a fault lasts: longer than a sensor's patience, now and then.
const FAULT_MS_MAX: u64 = 4_000;

fn any_fault(dice: &mut Dice) -> Fault {
    match dice.below(5) {
        0 => Fault::Cut,
        1 => Fault::Stall,
        2 => Fault::Delay(Duration::from_millis(50 + dice.below(400))),
        3 => Fault::Trickle,
        _ => Fault::EndAfter(1 + dice.below(400)),
    }
}

/// A fault for a while; the network does not wait for anybody.
fn trouble(proxy: &Proxy, dice: &mut Dice) {
    proxy.set(any_fault(dice));
    std::thread::park_timeout(Duration::from_millis(100 + dice.below(FAULT_MS_MAX)));
    proxy.set(Fault::None);
}

#[test]
fn a_bad_network_between_sensors_and_the_embedded_broker() {
    let mut site = site_for_load("");
    site.prepare();
    let proxy = Proxy::start(site.mqtt);
    let load = Load::start(proxy.port, Duration::from_millis(1));
    let (mut dice, rounds) = (Dice::new(), scale(5, 100));
    let seed = dice.0;
    for _ in 0..rounds {
        load.wait_for_more(20);
        trouble(&proxy, &mut dice);
    }
    load.wait_for_more(20);
    let mut result = judge(&site, &load.finish());
    (result["faults"], result["seed"]) = (rounds.into(), seed.into());
    told("network-embedded", &result);
}

#[test]
fn a_bad_network_on_both_sides_of_an_external_broker_that_restarts() {
    let mut broker = Mosquitto::persistent();
    let (before, behind) = (Proxy::start(broker.port), Proxy::start(broker.port));
    let mut site = site_for_load(&Mosquitto::broker_section_at(behind.port));
    site.prepare();
    site.wait_for_subscription(broker.port);
    let load = Load::start(before.port, Duration::from_millis(1));
    let (mut dice, rounds) = (Dice::new(), scale(5, 100));
    let (seed, mut restarts) = (dice.0, 0);
    for round in 0..rounds {
        load.wait_for_more(20);
        match round % 3 {
            0 => trouble(&before, &mut dice),
            1 => trouble(&behind, &mut dice),
            _ => {
                broker.restart();
                restarts += 1;
            }
        }
    }
    load.wait_for_more(20);
    let mut result = judge(&site, &load.finish());
    (result["faults"], result["seed"]) = (rounds.into(), seed.into());
    result["broker_restarts"] = restarts.into();
    told("network-external", &result);
}
