//! A message's whole way, from decoded to ready for the commit: the steps of one group.
//!
//! ```text
//! decoded -> device known? -> seen before? -> whose time? -> trusted? -> what it means -> rules -> group
//! ```

use std::collections::HashMap;

use sanimon_alerting::{Engine, Input};
use sanimon_codec::{Body, Heard, RawReading};
use sanimon_domain::time::PlausibleWindow;
use sanimon_domain::{
    DeviceId, DeviceKind, DeviceNo, Fault, FaultCode, Metric, MetricNo, Quality, Reason, TimestampMs, metric,
};
use sanimon_store::{
    Device, DeviceEvent, DeviceState, Digest, DirectoryState, Doubted, Group, HotState, JournalMessage,
    JournalReading, Point, QuarantineEntry,
};

use crate::meaning;
use crate::message::Message;
use crate::trust::{self, Before, Verdict};

mod calibrate;
mod identity;

use identity::{Dated, digest_of, uplink_digest};

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

type Series = (DeviceNo, MetricNo);

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
    digests: HashMap<DeviceNo, Vec<(Digest, TimestampMs)>>,
    /// The newest good reading of series whose readings are judged by the one before.
    newest: HashMap<Series, Point>,
    held: HashMap<Series, Option<Point>>,
    /// Entries that a message of this group changed.
    changed: HashMap<DeviceNo, Device>,
}

/// A reading on its way into the group.
#[derive(Clone, Copy)]
struct Arriving {
    device: DeviceNo,
    metric: MetricNo,
    point: Point,
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
            newest: HashMap::new(),
            held: HashMap::new(),
            changed: HashMap::new(),
        }
    }

    pub(crate) fn tick(&mut self, now: TimestampMs) {
        self.engine.apply(now, Input::Tick, &mut self.group.effects);
    }

    /// What the messages made, with the entries that they changed.
    pub(crate) fn finish(mut self) -> Group {
        self.group.changed_devices.extend(self.changed.into_values());
        let held = self.held.into_iter().map(|((device, metric), held)| (device, metric, held));
        self.group.held.extend(held);
        self.group
    }

    /// Takes one message in. Whatever it holds ends in the group: as readings, events, or in its quarantine.
    pub(crate) fn message(&mut self, now: TimestampMs, message: &Message) {
        self.group.received += 1;
        for fault in &message.decoded.faults {
            self.quarantine(message, fault.clone());
        }
        for heard in &message.decoded.heard {
            let says_nothing =
                heard.body == Body::Nothing && heard.events.is_empty() && heard.frame.is_none();
            if says_nothing {
                continue;
            }
            if let Some(device) = self.device(now, message, heard) {
                // Old news of a broker is no word of the device.
                if !message.retained {
                    let input = Input::Heard { device, at: message.received_at };
                    self.engine.apply(now, input, &mut self.group.effects);
                }
                self.heard(now, message, device, heard);
            }
        }
        if let [heard] = &message.decoded.heard[..]
            && let Some(device) = self.known(&heard.speaker.device)
        {
            let is_told = |fault: &&Fault| fault.code == FaultCode::OutOfRange;
            for fault in message.decoded.faults.iter().filter(is_told) {
                self.event(message, device, ("device", "out_of_range"), Some(&fault.message));
            }
        }
    }

    fn heard(&mut self, now: TimestampMs, message: &Message, device: DeviceNo, heard: &Heard) {
        let uplink = heard.frame.as_deref().and_then(uplink_digest);
        if let Some(digest) = uplink {
            if self.is_known_digest(device, &digest, message.received_at) {
                self.group.duplicates += heard.readings().len() as u64;
                return self.event(message, device, ("device", "duplicate"), None);
            }
            self.remember_digest(device, digest, message.received_at);
        }
        for event in &heard.events {
            self.event(message, device, (&event.about, &event.what), event.detail.as_deref());
        }
        match &heard.body {
            Body::Status { online } => self.group.statuses.push((device, *online, message.received_at)),
            Body::Telemetry(readings) => self.telemetry(now, message, device, readings, uplink),
            Body::Nothing => {}
        }
    }

    fn quarantine(&mut self, message: &Message, fault: Fault) {
        let Message { topic, source, payload, received_at, .. } = message;
        self.group.quarantine.push(QuarantineEntry::new(topic, source.clone(), fault, payload, *received_at));
    }

    fn event(
        &mut self,
        message: &Message,
        device: DeviceNo,
        (about, what): (&str, &str),
        detail: Option<&str>,
    ) {
        let at = message.received_at;
        let known = self
            .group
            .events
            .iter_mut()
            .rev()
            .take(32)
            .find(|event| event.device == device && *event.about == *about && *event.what == *what);
        if let Some(event) = known {
            event.count += 1;
            event.last_at = event.last_at.max(at);
            event.detail = detail.map(Into::into);
            return;
        }
        self.group.events.push(DeviceEvent {
            device,
            about: about.into(),
            what: what.into(),
            detail: detail.map(Into::into),
            count: 1,
            first_at: at,
            last_at: at,
        });
    }

    fn known(&self, id: &DeviceId) -> Option<DeviceNo> {
        self.directory.find(id).or_else(|| self.new_devices.get(id).copied())
    }

    /// The device's number; a device heard for the first time is entered as discovered.
    fn device(&mut self, now: TimestampMs, message: &Message, heard: &Heard) -> Option<DeviceNo> {
        let speaker = &heard.speaker;
        if let Some(known) = self.directory.find(&speaker.device) {
            let entry = self.directory.device(known)?;
            let claimed = speaker.kind.filter(|_| !speaker.district.is_empty());
            if claimed.is_some_and(|kind| kind != entry.kind) && entry.state == DeviceState::Registered {
                let said = claimed.map_or("", DeviceKind::as_str);
                let text = format!("the registry says {}, the topic says {said}", entry.kind);
                self.quarantine(message, Fault::new(FaultCode::TopicDisagrees, text));
            }
            return Some(known);
        }
        if let Some(known) = self.new_devices.get(&speaker.device) {
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
        let kind = speaker.kind.unwrap_or(DeviceKind::Bin);
        let device = Device {
            no: DeviceNo((self.directory.devices().len() + self.new_devices.len()) as u32),
            name: speaker.name.as_deref().unwrap_or_default().to_owned(),
            district: speaker.district.to_string(),
            model: speaker.model.as_deref().map(str::to_owned),
            state: DeviceState::Discovered,
            ..Device::new(speaker.device.clone(), kind, message.received_at)
        };
        let placement = self.directory.placement(&device);
        let input = Input::Device { device: device.no, id: &device.id, placement: &placement };
        self.engine.apply(now, input, &mut self.group.effects);
        self.new_devices.insert(device.id.clone(), device.no);
        let no = device.no;
        self.group.new_devices.push(device);
        Some(no)
    }

    fn telemetry(
        &mut self,
        now: TimestampMs,
        message: &Message,
        device: DeviceNo,
        readings: &[RawReading],
        uplink: Option<Digest>,
    ) {
        let dated: Vec<Dated> = readings.iter().map(|raw| self.date(message, device, raw)).collect();
        let mut digest = uplink;
        let mut undated_is_new = true;
        if digest.is_none() && dated.iter().any(|reading| reading.own.is_none()) {
            if message.retained {
                self.remember_undated(message, device, &dated);
                undated_is_new = false;
            } else if self.is_redelivery(message, device) {
                self.group.duplicates += dated.iter().filter(|reading| reading.own.is_none()).count() as u64;
                undated_is_new = false;
            } else {
                let sent = digest_of(&message.payload);
                self.remember_digest(device, sent, message.received_at);
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
            let point = Point { at, value: reading.value };
            let arriving = Arriving { device, metric, point };
            self.arrive(now, message, arriving, (reading, &dated), &mut stored);
        }
        if !stored.is_empty() {
            let received_at = message.received_at;
            self.group.messages.push(JournalMessage { device, received_at, digest, readings: stored });
        }
    }

    /// Judges a reading, and takes in what is good of it and of what waited for it.
    fn arrive(
        &mut self,
        now: TimestampMs,
        message: &Message,
        arriving: Arriving,
        (reading, said): (&Dated, &[Dated]),
        stored: &mut Vec<JournalReading>,
    ) {
        let Arriving { device, metric, point } = arriving;
        let verdict = match self.entry(device) {
            Some(entry) if trust::is_judged(metric) => {
                trust::judge(entry, metric, point, self.before((device, metric)))
            }
            _ => Verdict::Good,
        };
        match verdict {
            Verdict::Doubted { quality, reason, held } => {
                let received_at = message.received_at;
                let Point { at, value } = point;
                let doubted = Doubted { device, metric, at, received_at, value, quality, reason, held };
                self.group.doubted.push(doubted);
                if reason == Reason::Frozen {
                    self.event(message, device, (metric_name(&reading.metric), reason.as_str()), None);
                }
                if held {
                    self.held.insert((device, metric), Some(point));
                }
                let input = Input::Reading { device, metric, at, value, quality };
                self.engine.apply(now, input, &mut self.group.effects);
                return;
            }
            Verdict::Confirms(jump) => {
                self.held.insert((device, metric), None);
                self.group.undoubted.push((device, metric, jump.at));
                self.take_in(now, message, Arriving { point: jump, ..arriving }, (reading, said), stored);
            }
            Verdict::Refutes => {
                self.held.insert((device, metric), None);
            }
            Verdict::Good => {}
        }
        self.take_in(now, message, arriving, (reading, said), stored);
    }

    /// A good reading, and what it means for its device.
    fn take_in(
        &mut self,
        now: TimestampMs,
        message: &Message,
        arriving: Arriving,
        (reading, said): (&Dated, &[Dated]),
        stored: &mut Vec<JournalReading>,
    ) {
        let Arriving { device, metric, point } = arriving;
        let is_running = meaning::is_running(&reading.metric);
        let before = if is_running { self.newest((device, metric)) } else { None };
        self.admit(now, arriving, stored);
        if (is_running || trust::is_judged(metric))
            && self.newest((device, metric)).is_none_or(|newest| point.at >= newest.at)
        {
            self.newest.insert((device, metric), point);
        }
        self.calibrate(message, arriving);
        let was_said = |wanted: MetricNo| said.iter().any(|other| other.metric == Metric::Known(wanted));
        let also = self.entry(device).map(|entry| meaning::of_value(entry, &reading.metric, point.value));
        for (metric, value) in also.into_iter().flatten().flatten().filter(|(metric, _)| !was_said(*metric)) {
            self.admit(now, Arriving { device, metric, point: Point { value, ..point } }, stored);
        }
        let Some(before) = before.filter(|before| point.at > before.at) else { return };
        if let Some(visitors) = meaning::counts(&reading.metric).filter(|metric| !was_said(*metric)) {
            let (count, has_restarted) = meaning::visitors(before.value, point.value);
            if has_restarted {
                self.event(message, device, (metric_name(&reading.metric), "counter_reset"), None);
            }
            let point = Point { value: count, ..point };
            self.admit(now, Arriving { device, metric: visitors, point }, stored);
        }
        if meaning::is_frame_counter(&reading.metric) && point.value < before.value {
            self.event(message, device, ("device", "counter_reset"), None);
        }
    }

    /// The entry of a device as this group leaves it.
    fn entry(&self, device: DeviceNo) -> Option<&Device> {
        self.changed.get(&device).or_else(|| self.directory.device(device).map(|entry| &**entry))
    }

    fn newest(&self, series: Series) -> Option<Point> {
        self.newest.get(&series).copied().or_else(|| {
            self.hot.latest_of(series.0, series.1).map(|latest| Point { at: latest.at, value: latest.value })
        })
    }

    fn before(&self, series: Series) -> Before {
        Before {
            latest: self.newest(series),
            held: self.held.get(&series).copied().unwrap_or_else(|| self.hot.held(series.0, series.1)),
            unchanged_since: self.hot.unchanged_since(series.0, series.1),
        }
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

    /// By its identity (device, metric, time): known with this value, it changes nothing; known with another, it
    /// replaces that one. What is new is shown to the rules.
    fn admit(&mut self, now: TimestampMs, arriving: Arriving, stored: &mut Vec<JournalReading>) {
        let Arriving { device, metric, point: Point { at, value } } = arriving;
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
        let input = Input::Reading { device, metric, at, value, quality: Quality::Good };
        self.engine.apply(now, input, &mut self.group.effects);
        stored.push(JournalReading { metric, at, value });
    }
}

fn metric_name(metric: &Metric) -> &str {
    match metric {
        Metric::Known(no) => metric::info(*no).map_or("", |info| info.name),
        Metric::Custom(name) => name,
    }
}
