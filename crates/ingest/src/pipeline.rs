//! A message's whole way, from decoded to ready for the commit: the steps of one group.
//!
//! ```text
//! decoded -> device known? -> whose time? -> seen before? -> calibrated -> rules -> group
//! ```

use std::collections::HashMap;

use sanimon_alerting::{Engine, Input};
use sanimon_codec::{Address, Body, RawReading};
use sanimon_domain::time::{ObservedAt, PlausibleWindow, observed_or_received};
use sanimon_domain::{
    DeviceId, DeviceKind, DeviceNo, Fault, FaultCode, Metric, MetricNo, TimestampMs, metric,
};
use sanimon_store::{
    Device, DeviceState, Digest, DirectoryState, Group, HotState, JournalMessage, JournalReading,
    QuarantineEntry,
};
use sha2::{Digest as _, Sha256};

use crate::message::Message;

/// A redelivery with the DUP flag is believed to be one for this long (invariant 3).
const DUP_WINDOW_MS: i64 = 10 * 60 * 1000;
/// How far a receipt time may be moved so that two undated messages of one millisecond are two readings.
const BURST_MS_MAX: i64 = 10_000;

/// What bounds a site that devices fill by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteLimits {
    /// Devices that nobody has entered.
    pub discovered_devices_max: usize,
    /// Metrics that no table knows.
    pub custom_metrics_max: usize,
}

impl Default for SiteLimits {
    fn default() -> Self {
        Self { discovered_devices_max: 10_000, custom_metrics_max: 1_000 }
    }
}

/// How readings are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Admission {
    pub window: PlausibleWindow,
    pub limits: SiteLimits,
}

/// Builds one group. It reads the memory as of the last commit and keeps what the group itself adds beside it.
pub(crate) struct GroupBuilder<'a> {
    pub(crate) group: Group,
    directory: &'a DirectoryState,
    hot: &'a HotState,
    engine: &'a mut Engine,
    admission: Admission,
    new_devices: HashMap<DeviceId, DeviceNo>,
    new_metrics: HashMap<Box<str>, MetricNo>,
    values: HashMap<(DeviceNo, MetricNo, TimestampMs), f64>,
    /// The newest receipt-dated time that this group gave to a device.
    undated_at: HashMap<DeviceNo, TimestampMs>,
    digests: HashMap<DeviceNo, (Digest, TimestampMs)>,
}

/// A reading whose time has been decided.
struct Dated {
    metric: Metric,
    value: f64,
    /// `None`: the receipt's time, to be given.
    own: Option<TimestampMs>,
}

impl<'a> GroupBuilder<'a> {
    pub(crate) fn new(
        directory: &'a DirectoryState,
        hot: &'a HotState,
        engine: &'a mut Engine,
        admission: Admission,
    ) -> Self {
        Self {
            group: Group::default(),
            directory,
            hot,
            engine,
            admission,
            new_devices: HashMap::new(),
            new_metrics: HashMap::new(),
            values: HashMap::new(),
            undated_at: HashMap::new(),
            digests: HashMap::new(),
        }
    }

    pub(crate) fn tick(&mut self, now: TimestampMs) {
        self.engine.apply(now, Input::Tick, &mut self.group.effects);
    }

    /// Takes one message in. Whatever it holds ends in the group: as readings, or in its quarantine.
    pub(crate) fn message(&mut self, now: TimestampMs, message: &Message) {
        self.group.received += 1;
        for fault in &message.decoded.faults {
            self.quarantine(message, fault.clone());
        }
        let Some(address) = &message.decoded.address else {
            return;
        };
        if message.decoded.body == Body::Nothing {
            return;
        }
        let Some(device) = self.device(now, message, address) else {
            return;
        };
        match &message.decoded.body {
            Body::Status { online } => self.group.statuses.push((device, *online, message.received_at)),
            Body::Telemetry(readings) => self.telemetry(now, message, device, readings),
            Body::Nothing => {}
        }
    }

    fn quarantine(&mut self, message: &Message, fault: Fault) {
        let Message { topic, source, payload, received_at, .. } = message;
        self.group.quarantine.push(QuarantineEntry::new(topic, source.clone(), fault, payload, *received_at));
    }

    /// The device's number; a device heard for the first time is entered as discovered.
    fn device(&mut self, now: TimestampMs, message: &Message, address: &Address) -> Option<DeviceNo> {
        if let Some(known) = self.directory.number(&address.device) {
            let entry = self.directory.device(known)?;
            if entry.kind != address.kind && entry.state == DeviceState::Registered {
                let text = format!("the registry says {}, the topic says {}", entry.kind, address.kind);
                self.quarantine(message, Fault::new(FaultCode::TopicDisagrees, text));
            }
            return Some(known);
        }
        if let Some(known) = self.new_devices.get(&address.device) {
            return Some(*known);
        }
        if self.directory.discovered_count() + self.new_devices.len()
            >= self.admission.limits.discovered_devices_max
        {
            let text =
                "too many unknown devices: accept or delete discovered ones, or raise the site's limit";
            self.quarantine(message, Fault::new(FaultCode::SiteLimit, text));
            return None;
        }
        let device = Device {
            no: DeviceNo((self.directory.devices().len() + self.new_devices.len()) as u32),
            id: address.device.clone(),
            name: String::new(),
            kind: address.kind,
            zone: None,
            team: None,
            district: address.district.to_string(),
            state: DeviceState::Discovered,
            place: None,
            interval_ms: None,
            calibration: None,
            first_seen_at: message.received_at,
            online: None,
        };
        let placement = self.directory.placement(&device);
        let input = Input::Device { device: device.no, id: &device.id, placement: &placement };
        self.engine.apply(now, input, &mut self.group.effects);
        self.new_devices.insert(device.id.clone(), device.no);
        let no = device.no;
        self.group.new_devices.push(device);
        Some(no)
    }

    fn telemetry(&mut self, now: TimestampMs, message: &Message, device: DeviceNo, readings: &[RawReading]) {
        let dated: Vec<Dated> = readings.iter().map(|raw| self.date(message, raw)).collect();
        let mut digest = None;
        let mut undated_is_new = true;
        if dated.iter().any(|reading| reading.own.is_none()) {
            if message.retained {
                self.remember_undated(message, device, &dated);
                undated_is_new = false;
            } else if self.is_redelivery(message, device) {
                self.group.duplicates += dated.iter().filter(|reading| reading.own.is_none()).count() as u64;
                undated_is_new = false;
            } else {
                let sent = digest_of(&message.payload);
                self.digests.insert(device, (sent, message.received_at));
                digest = Some(sent);
            }
        }
        let admitted: Vec<&Dated> = dated.iter().filter(|r| r.own.is_some() || undated_is_new).collect();
        let receipt = self.receipt_time(message, device, &admitted);
        let mut stored = Vec::with_capacity(admitted.len() + 1);
        for reading in admitted {
            let at = reading.own.unwrap_or(receipt);
            let Some(metric) = self.metric(message, &reading.metric) else {
                continue;
            };
            self.admit(now, device, JournalReading { metric, at, value: reading.value }, &mut stored);
            if metric == metric::DISTANCE_MM {
                self.admit_calibrated(now, device, &dated, at, reading.value, &mut stored);
            }
        }
        if !stored.is_empty() {
            let received_at = message.received_at;
            self.group.messages.push(JournalMessage { device, received_at, digest, readings: stored });
        }
    }

    /// Decides whose time a reading has; a clock that cannot be right is named.
    fn date(&mut self, message: &Message, raw: &RawReading) -> Dated {
        let observed = observed_or_received(raw.at, message.received_at, self.admission.window);
        let own = match observed {
            ObservedAt::Device(at) => Some(at),
            ObservedAt::Receipt(_) => None,
            ObservedAt::Implausible { claimed, .. } => {
                let side = if claimed > message.received_at { "ahead of" } else { "behind" };
                let text =
                    format!("the device's clock is too far {side} the site's; the time of receipt is used");
                let fault = Fault::new(FaultCode::ClockWrong, text);
                // Once a message: a backlog of a thousand elements has one clock.
                let last = self.group.quarantine.last();
                if last.is_none_or(|entry| entry.fault != fault || entry.topic != message.topic) {
                    self.quarantine(message, fault);
                }
                None
            }
        };
        Dated { metric: raw.metric.clone(), value: raw.value, own }
    }

    /// Old news of unknown age: shown as last known, never a reading.
    fn remember_undated(&mut self, message: &Message, device: DeviceNo, dated: &[Dated]) {
        for reading in dated.iter().filter(|reading| reading.own.is_none()) {
            if let Some(metric) = self.metric(message, &reading.metric) {
                self.group.last_known.push((device, metric, reading.value, message.received_at));
            }
        }
    }

    /// MQTT says that it was sent before, it is the payload that this device sent last, and that is not long ago.
    fn is_redelivery(&self, message: &Message, device: DeviceNo) -> bool {
        let last = self.digests.get(&device).copied().or_else(|| self.hot.digest(device));
        message.dup
            && last.is_some_and(|(digest, received_at)| {
                message.received_at.since_ms(received_at) <= DUP_WINDOW_MS
                    && digest == digest_of(&message.payload)
            })
    }

    /// The receipt's time, moved by milliseconds where this device already has a reading there: two messages
    /// without a time in one millisecond are two readings, not one and a correction.
    fn receipt_time(&mut self, message: &Message, device: DeviceNo, readings: &[&Dated]) -> TimestampMs {
        let received = message.received_at;
        if readings.iter().all(|reading| reading.own.is_some()) {
            return received;
        }
        let newest = self.hot.latest(device).map(|latest| latest.at).max();
        let newest = newest.max(self.undated_at.get(&device).copied());
        let at = match newest {
            Some(newest) if newest >= received && newest.since_ms(received) < BURST_MS_MAX => {
                newest.plus_ms(1)
            }
            _ => received,
        };
        self.undated_at.insert(device, at);
        at
    }

    fn metric(&mut self, message: &Message, metric: &Metric) -> Option<MetricNo> {
        if let Some(known) = self.directory.metric_number(metric) {
            return Some(known);
        }
        let Metric::Custom(name) = metric else { return None };
        if let Some(known) = self.new_metrics.get(name) {
            return Some(*known);
        }
        let count = self.directory.custom_metric_count() + self.new_metrics.len();
        if count >= self.admission.limits.custom_metrics_max {
            let text = format!("too many unknown metrics, `{name}` is not kept: raise the site's limit");
            self.quarantine(message, Fault::new(FaultCode::SiteLimit, text));
            return None;
        }
        let no = MetricNo(metric::CUSTOM_FROM + count as u16);
        self.new_metrics.insert(name.clone(), no);
        self.group.new_metrics.push((no, name.clone()));
        Some(no)
    }

    /// A distance also says how full it is, if the device is calibrated and did not say so itself.
    fn admit_calibrated(
        &mut self,
        now: TimestampMs,
        device: DeviceNo,
        said: &[Dated],
        at: TimestampMs,
        distance_mm: f64,
        stored: &mut Vec<JournalReading>,
    ) {
        let Some(entry) = self.directory.device(device) else {
            return;
        };
        let Some(calibration) = entry.calibration else {
            return;
        };
        let metric = match entry.kind {
            DeviceKind::Bin | DeviceKind::Toilet => metric::FILL_PCT,
            DeviceKind::Drain => metric::LEVEL_PCT,
        };
        if said.iter().any(|reading| reading.metric == Metric::Known(metric)) {
            return;
        }
        let value = calibration.percent(distance_mm);
        self.admit(now, device, JournalReading { metric, at, value }, stored);
    }

    /// By its identity (device, metric, time): known with this value, it changes nothing; known with another, it
    /// replaces that one. What is new is shown to the rules.
    fn admit(
        &mut self,
        now: TimestampMs,
        device: DeviceNo,
        reading: JournalReading,
        stored: &mut Vec<JournalReading>,
    ) {
        let JournalReading { metric, at, value } = reading;
        let key = (device, metric, at);
        let known = self.values.get(&key).copied().or_else(|| self.hot.value_at(device, metric, at));
        match known {
            Some(known) if known.to_bits() == value.to_bits() => {
                self.group.duplicates += 1;
                return;
            }
            Some(_) => self.group.corrections += 1,
            None => {}
        }
        self.values.insert(key, value);
        self.engine.apply(now, Input::Reading { device, metric, at, value }, &mut self.group.effects);
        stored.push(reading);
    }
}

/// The first 16 bytes of the payload's SHA-256: chance will not make two alike.
fn digest_of(payload: &[u8]) -> Digest {
    let full = Sha256::digest(payload);
    full.first_chunk().copied().expect("a SHA-256 has 32 bytes")
}
