//! A group of messages on its way in: who speaks, whose time it is, whether it was heard before, within whose share.
//!
//! ```text
//! decoded -> device known? -> seen before? -> whose time? -> plausible? -> what it means -> rows, and the rules' inputs
//! ```
//!
//! It reads memory as of the last commit and keeps what the group itself adds beside it; nothing is changed here.

mod clock;
mod device;
mod identity;
mod metric;
mod passage;
mod reading;
mod time;

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use sanimon_codec::{Body, DeviceReport};
use sanimon_domain::{DeviceId, DeviceNo, FaultCode, MetricNo, TimestampMs};
use sanimon_store::{Device, DirectoryState, HotState, Point, QuarantineEntry, RecentMessage, Series};

use crate::change::Change;
use crate::message::Message;
use crate::options::AcceptanceLimits;

pub(crate) use clock::Clocks;
pub(crate) use device::Discoveries;

use passage::Passage;

/// A group that is being admitted.
pub(crate) struct Batch<'a> {
    directory: &'a DirectoryState,
    recent: &'a HotState,
    limits: AcceptanceLimits,
    clocks: &'a mut Clocks,
    discoveries: &'a Discoveries,
    new_devices: HashMap<DeviceId, DeviceNo>,
    /// How many of them each connection brought.
    discovered: HashMap<Arc<str>, usize>,
    new_metrics: HashMap<Box<str>, MetricNo>,
    /// How many metrics of their own devices had before this group, of those that were asked for.
    own_metrics: HashMap<DeviceNo, usize>,
    /// Metrics of their own that they have since, by device.
    new_series: HashMap<DeviceNo, Vec<MetricNo>>,
    values: HashMap<(Series, TimestampMs), f64>,
    /// The newest time of a reading of a device that this group took in.
    newest_at: HashMap<DeviceNo, TimestampMs>,
    /// Messages of this group by which redeliveries are known.
    messages: HashMap<DeviceNo, Vec<RecentMessage>>,
    /// Clocks that this group found to be off, or right again.
    known_clocks: HashMap<DeviceNo, Option<i64>>,
    /// The newest good reading of series whose readings are judged by the one before.
    newest: HashMap<Series, Point>,
    unconfirmed: HashMap<Series, Option<Point>>,
    /// Entries that a message of this group changed.
    changed: HashMap<DeviceNo, Device>,
}

impl<'a> Batch<'a> {
    /// `readings`: how many the group has.
    pub(crate) fn new(
        (directory, recent): (&'a DirectoryState, &'a HotState),
        readings: usize,
        limits: AcceptanceLimits,
        clocks: &'a mut Clocks,
        discoveries: &'a Discoveries,
    ) -> Self {
        Self {
            directory,
            recent,
            limits,
            clocks,
            discoveries,
            new_devices: HashMap::new(),
            discovered: HashMap::new(),
            new_metrics: HashMap::new(),
            own_metrics: HashMap::new(),
            new_series: HashMap::new(),
            values: HashMap::with_capacity(readings),
            newest_at: HashMap::new(),
            messages: HashMap::new(),
            known_clocks: HashMap::new(),
            newest: HashMap::new(),
            unconfirmed: HashMap::new(),
            changed: HashMap::new(),
        }
    }

    /// Takes one message in. Whatever it holds ends in its change: as readings, events, or in its quarantine entry.
    pub(crate) fn message(&mut self, message: &Message) -> Change {
        let faults = message.decoded.faults.clone();
        let change = Change {
            known_at: message.known_at,
            journal: Vec::with_capacity(message.decoded.reports.len()),
            evaluate: Vec::with_capacity(message.readings() + message.decoded.reports.len()),
            ..Change::default()
        };
        let mut passage = Passage { message, change, faults, sender: None };
        for report in &message.decoded.reports {
            let says_nothing =
                report.body == Body::Nothing && report.events.is_empty() && report.frame.is_none();
            let device = if says_nothing {
                self.known(&report.sender.device)
            } else {
                self.device(&mut passage, report)
            };
            let Some(device) = device else { continue };
            passage.sender = passage.sender.or(Some(device));
            let before = passage.place();
            self.report(&mut passage, device, report);
            passage.note_heard(device, before);
        }
        self.note_out_of_range(&mut passage);
        self.finish(passage)
    }

    fn report(&mut self, passage: &mut Passage<'_>, device: DeviceNo, report: &DeviceReport) {
        let uplink = report.frame.as_deref().and_then(identity::uplink_digest);
        if let Some(digest) = uplink {
            if self.is_known_uplink(passage.message, device, &digest) {
                passage.change.counts.duplicates += report.readings().len() as u64;
                return passage.event(device, ("device", "duplicate"), None);
            }
            self.remember_message(device, digest, passage.message.received_at);
        }
        for event in &report.events {
            passage.event(device, (&event.about, &event.what), event.detail.as_deref());
        }
        match &report.body {
            Body::Status { online } => {
                passage.change.statuses.push((device, *online, passage.message.received_at));
            }
            Body::Telemetry(readings) => self.telemetry(passage, device, readings, uplink),
            Body::Nothing => {}
        }
    }

    /// A value that the sensor's metric cannot have is an event of the one device that the message is about.
    fn note_out_of_range(&mut self, passage: &mut Passage<'_>) {
        let out_of_range = passage.faults.iter().filter(|fault| fault.code == FaultCode::OutOfRange);
        let texts: Vec<String> = out_of_range.map(|fault| fault.message.clone()).collect();
        if texts.is_empty() {
            return;
        }
        let [report] = &passage.message.decoded.reports[..] else { return };
        let Some(device) = self.known(&report.sender.device) else { return };
        texts.iter().for_each(|text| passage.event(device, ("device", "out_of_range"), Some(text)));
    }

    /// One entry of the quarantine for a message, with all that is wrong with it.
    fn finish(&self, passage: Passage<'_>) -> Change {
        let Passage { message, mut change, faults, sender } = passage;
        let more = u64::from(message.decoded.more_faults);
        change.counts.faults = faults.len() as u64 + more;
        change.counts.limits = message.decoded.limits;
        if let Some(first) = faults.first() {
            let named = sender.and_then(|no| self.directory.device(no)).map(|device| device.id.to_string());
            let sender = named.as_deref().unwrap_or(message.sender());
            let mut text = faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("; ");
            if more > 0 {
                text.push_str(&format!("; and {more} more"));
            }
            let origin = (&*message.topic, message.source.clone(), sender);
            let entry =
                QuarantineEntry::new(origin, (first.code, &text), &message.payload, message.received_at);
            change.quarantine = Some(Box::new(entry));
        }
        change
    }
}
