//! The rules: what was admitted goes through the engine, in order. From here on memory is ahead of the file.

use sanimon_alerting::{Effect, Engine, Input};
use sanimon_domain::TimestampMs;
use sanimon_store::{Device, DirectoryState, Point};

use crate::change::{Change, Evaluate};
use crate::outages::Outages;

/// What the rules make of one message.
pub(crate) fn evaluate(
    engine: &mut Engine,
    (directory, outages): (&DirectoryState, &Outages),
    now: TimestampMs,
    change: &Change,
    effects: &mut Vec<Effect>,
) {
    for input in &change.evaluate {
        match *input {
            Evaluate::NewDevice(place) => {
                new_device(engine, directory, now, &change.new_devices[place], effects);
            }
            Evaluate::Seen { device, at } => {
                let at = outages.without(at);
                engine.apply(now, Input::Heard { device, at }, effects);
            }
            Evaluate::Reading { series: (device, metric), point: Point { at, value }, quality, is_dated } => {
                let input = Input::Reading { device, metric, at, value, quality, is_dated };
                engine.apply(now, input, effects);
            }
        }
    }
}

fn new_device(
    engine: &mut Engine,
    directory: &DirectoryState,
    now: TimestampMs,
    device: &Device,
    effects: &mut Vec<Effect>,
) {
    let placement = directory.placement(device);
    engine.apply(now, Input::Device { device: device.no, id: &device.id, placement: &placement }, effects);
}
