//! The stored history that rules are tried on.

use sanimon_alerting::forecast::Filling;
use sanimon_alerting::{RuleSet, Watch};
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};
use sanimon_store::{DeviceState, Shared};

use super::{Placed, Reading};

/// Points of a series before the history begins: what windows remember.
pub(crate) type Before = (DeviceNo, MetricNo, Vec<(TimestampMs, f64)>);

/// What a replay goes through.
#[derive(Debug)]
pub(crate) struct History {
    /// Before this nothing is judged, but windows are filled.
    pub(crate) start: TimestampMs,
    pub(crate) devices: Vec<Placed>,
    pub(crate) before: Vec<Before>,
    /// In the order of their times.
    pub(crate) readings: Vec<Reading>,
}

/// Reads what is stored from `start` to `to`, of the devices as the registry places them today.
pub(crate) fn read(
    shared: &Shared,
    rules: &[&RuleSet],
    (start, to): (TimestampMs, TimestampMs),
) -> anyhow::Result<History> {
    let (devices, series) = what_is_there(shared);
    let foretold: Vec<MetricNo> = rules
        .iter()
        .flat_map(|rules| rules.iter())
        .filter(|rule| matches!(rule.watch, Watch::Forecast { .. }))
        .map(|rule| rule.metric)
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<&[(DeviceNo, MetricNo)]> = series.chunks(series.len().div_ceil(threads).max(1)).collect();
    let read = |part: &[(DeviceNo, MetricNo)]| -> anyhow::Result<(Vec<Reading>, Vec<Before>)> {
        let (mut readings, mut before) = (Vec::new(), Vec::new());
        for (device, metric) in part {
            let from = if foretold.contains(metric) { start.minus_ms(Filling::MEMORY_MS) } else { start };
            let points = shared.telemetry(*device, *metric, from, to.minus_ms(1))?;
            let split = points.partition_point(|point| point.at < start);
            if split > 0 {
                let points = points[..split].iter().map(|point| (point.at, point.value)).collect();
                before.push((*device, *metric, points));
            }
            readings.extend(points[split..].iter().map(|point| Reading {
                at: point.at,
                device: *device,
                metric: *metric,
                value: point.value,
            }));
        }
        Ok((readings, before))
    };
    let found: Vec<anyhow::Result<(Vec<Reading>, Vec<Before>)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = parts.iter().map(|part| scope.spawn(|| read(part))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a reader does not panic")).collect()
    });
    let mut history = History { start, devices, before: Vec::new(), readings: Vec::new() };
    for part in found {
        let (readings, before) = part?;
        history.readings.extend(readings);
        history.before.extend(before);
    }
    // Metrics of one message stay in one order, so that each run of a replay is the same.
    history.readings.sort_by_key(|reading| (reading.at, reading.device, reading.metric));
    Ok(history)
}

fn what_is_there(shared: &Shared) -> (Vec<Placed>, Vec<(DeviceNo, MetricNo)>) {
    let (directory, hot) = (shared.directory.read(), shared.hot.read());
    let devices = directory.devices().iter().filter(|device| device.state != DeviceState::Retired);
    let placed = devices.clone().map(|device| Placed {
        device: device.no,
        id: device.id.clone(),
        placement: directory.placement(device),
    });
    let series = devices.flat_map(|device| hot.latest(device.no).map(|latest| (device.no, latest.metric)));
    (placed.collect(), series.collect())
}
