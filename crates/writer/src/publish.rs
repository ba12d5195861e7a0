//! What a commit makes visible: infallible moves into memory, and what the live feed tells.

use std::collections::BTreeMap;

use sanimon_codec::LimitCounts;
use sanimon_domain::AlertId;
use sanimon_store::{Alert, Committed, Counters, FeedReading, JournalMessage, JournalReading, Memory};

use crate::change::{Change, Counts, Dropped, NewMetric};

/// Shows readers what a group changed; gives what the feed tells.
pub(crate) fn publish(
    memory: &mut Memory,
    changes: &[Change],
    alerts: BTreeMap<AlertId, Alert>,
) -> Committed {
    registry(memory, changes);
    if changes.iter().any(|change| !change.journal.is_empty()) {
        memory.add_messages(changes.iter().flat_map(|change| &change.journal));
    }
    recent(memory, changes);
    let devices = changes.iter().flat_map(|change| {
        let entered = change.new_devices.iter().chain(&change.changed_devices).map(|device| device.no);
        entered.chain(change.statuses.iter().map(|(device, ..)| *device))
    });
    Committed {
        readings: readings(changes),
        alerts: alerts.into_values().collect(),
        devices: devices.collect(),
        is_incomplete: false,
    }
}

fn readings(changes: &[Change]) -> Vec<FeedReading> {
    let messages = || changes.iter().flat_map(|change| &change.journal);
    let mut readings = Vec::with_capacity(messages().map(|message| message.readings.len()).sum());
    for JournalMessage { device, readings: own, .. } in messages() {
        readings.extend(own.iter().map(|&JournalReading { metric, at, value }| FeedReading {
            device: *device,
            metric,
            at,
            value,
        }));
    }
    readings
}

fn registry(memory: &mut Memory, changes: &[Change]) {
    let entered =
        || changes.iter().flat_map(|change| change.new_devices.iter().chain(&change.changed_devices));
    if entered().next().is_some() {
        memory.put_devices(entered());
    }
    for NewMetric { no, name, device } in changes.iter().flat_map(|change| &change.new_metrics) {
        memory.put_metric(*no, name, Some(*device));
    }
    for change in changes.iter().filter(|change| !change.statuses.is_empty()) {
        memory.set_statuses(&change.statuses);
    }
}

fn recent(memory: &mut Memory, changes: &[Change]) {
    let has_more = |change: &Change| {
        !(change.suspects.is_empty()
            && change.events.is_empty()
            && change.unconfirmed.is_empty()
            && change.clocks.is_empty())
    };
    if !changes.iter().any(has_more) {
        return;
    }
    let mut recent = memory.change_recent();
    for change in changes {
        change.suspects.iter().for_each(|suspect| recent.note_seen(suspect.device, suspect.received_at));
        change.events.iter().for_each(|event| recent.note_seen(event.device, event.last_at));
        for (series, unconfirmed) in &change.unconfirmed {
            recent.set_unconfirmed(*series, *unconfirmed);
        }
        for (device, behind_ms, _) in &change.clocks {
            recent.set_clock_behind(*device, *behind_ms);
        }
    }
}

/// Counts what was committed: messages, and those of them whose senders wait.
pub(crate) fn count(
    memory: &Memory,
    (messages, waited_for): (usize, usize),
    changes: &[Change],
    readings: usize,
) {
    let counters = &memory.health().counters;
    let sum = |count: fn(&Counts) -> u64| changes.iter().map(|change| count(&change.counts)).sum::<u64>();
    Counters::add(&counters.groups, 1);
    Counters::add(&counters.committed, messages as u64);
    Counters::add(&counters.committed_qos1, waited_for as u64);
    Counters::add(&counters.readings, readings as u64);
    Counters::add(&counters.duplicates, sum(|counts| counts.duplicates));
    Counters::add(&counters.corrections, sum(|counts| counts.corrections));
    Counters::add(&counters.faults, sum(|counts| counts.faults));
    let quarantined = changes.iter().filter(|change| change.quarantine.is_some()).count();
    Counters::add(&counters.quarantined, quarantined as u64);
    let suspects = changes.iter().map(|change| change.suspects.len()).sum::<usize>();
    Counters::add(&counters.doubted, suspects as u64);
}

const DEVICES: &str = "discovered_devices";
const METRICS: &str = "custom_metrics";
const EVENTS: &str = "device_events";
const QUARANTINE: &str = "quarantine_rows";
const SESSION_CHANGES: &str = "mqtt_session_changes";

/// Makes all limits known, so that each is told before it is met.
pub(crate) fn declare_limits(memory: &Memory) {
    let limits = &memory.health().limits;
    LimitCounts::default().each().for_each(|(limit, _)| limits.count(limit, 0));
    [DEVICES, METRICS, EVENTS, QUARANTINE, SESSION_CHANGES]
        .into_iter()
        .for_each(|limit| limits.count(limit, 0));
}

/// Counts a change of an MQTT session that can never be stored.
pub(crate) fn count_session_change(memory: &Memory) {
    memory.health().limits.count(SESSION_CHANGES, 1);
}

/// Counts what was left out because of a limit.
pub(crate) fn count_limits(memory: &Memory, changes: &[Change], dropped: Dropped) {
    let mut decoding = LimitCounts::default();
    let (mut devices, mut metrics) = (0, 0);
    for Change { counts, .. } in changes {
        decoding.add(counts.limits);
        devices += counts.devices_refused;
        metrics += counts.metrics_refused;
    }
    let limits = &memory.health().limits;
    let kept_rows = [
        (DEVICES, devices),
        (METRICS, metrics),
        (EVENTS, dropped.device_events),
        (QUARANTINE, dropped.quarantine_rows),
    ];
    let read = decoding.each().map(|(limit, number)| (limit, u64::from(number)));
    read.chain(kept_rows)
        .filter(|(_, number)| *number > 0)
        .for_each(|(limit, number)| limits.count(limit, number));
}
