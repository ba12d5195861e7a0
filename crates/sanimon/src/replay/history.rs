//! The stored history that rules are tried on.

use sanimon_alerting::forecast::Filling;
use sanimon_alerting::{RuleSet, Watch};
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};
use sanimon_store::{DeviceState, Latest, Shared, in_parts};

use super::{Placed, Reading};

/// How a device usually filled before the history begins.
pub(crate) type Before = (DeviceNo, MetricNo, Filling);

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
    let (devices, series) = what_is_there(shared, rules);
    let foretold: Vec<MetricNo> = rules
        .iter()
        .flat_map(|rules| rules.iter())
        .filter(|rule| matches!(rule.watch, Watch::Forecast { .. }))
        .map(|rule| rule.metric)
        .collect();
    let read = |part: &[(DeviceNo, MetricNo)]| -> anyhow::Result<(Vec<Reading>, Vec<Before>)> {
        let (mut readings, mut before) = (Vec::new(), Vec::new());
        for (device, metric) in part {
            let from = if foretold.contains(metric) { start.minus_ms(Filling::MEMORY_MS) } else { start };
            let points = shared.telemetry(*device, *metric, from, to.minus_ms(1))?;
            let split = points.partition_point(|point| point.at < start);
            if split > 0 {
                let past = points[..split].iter().map(|point| (point.at, point.value));
                before.push((*device, *metric, Filling::learned(shared.calendar, past)));
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
    let mut history = History { start, devices, before: Vec::new(), readings: Vec::new() };
    for part in in_parts(&series, read) {
        let (readings, before) = part?;
        history.readings.extend(readings);
        history.before.extend(before);
    }
    // Metrics of one message stay in one order, so that each run of a replay is the same.
    history.readings.sort_unstable_by_key(|reading| (reading.at, reading.device, reading.metric));
    Ok(history)
}

/// Devices, and the series that are read: those that rules look at, and of each device the one that spoke last, so that
/// none is silent whose other readings nobody looks at.
fn what_is_there(shared: &Shared, rules: &[&RuleSet]) -> (Vec<Placed>, Vec<(DeviceNo, MetricNo)>) {
    let (directory, hot) = (shared.directory.read(), shared.hot.read());
    let watched = |metric: MetricNo| rules.iter().any(|rules| rules.iter().any(|rule| rule.metric == metric));
    let (mut placed, mut series) = (Vec::new(), Vec::new());
    for device in directory.devices().iter().filter(|device| device.state != DeviceState::Retired) {
        let placement = directory.placement(device);
        placed.push(Placed { device: device.no, id: device.id.clone(), placement });
        let known: Vec<Latest> = hot.latest(device.no).collect();
        let looked_at = known.iter().map(|latest| latest.metric).filter(|metric| watched(*metric));
        let own: Vec<MetricNo> = looked_at.collect();
        let newest = known.iter().max_by_key(|latest| latest.received_at).map(|latest| latest.metric);
        let is_covered = newest.is_none_or(|newest| {
            let at = |metric| known.iter().find(|latest| latest.metric == metric).map(|latest| latest.at);
            own.iter().any(|metric| at(*metric) == at(newest))
        });
        series.extend(own.iter().map(|metric| (device.no, *metric)));
        series.extend(newest.filter(|_| !is_covered).map(|metric| (device.no, metric)));
    }
    (placed, series)
}
