//! Who speaks: a device that the registry knows, or one that is heard for the first time.

use std::sync::Arc;

use foldhash::HashMap;
use sanimon_codec::DeviceReport;
use sanimon_domain::time::HOUR_MS;
use sanimon_domain::{DeviceId, DeviceKind, DeviceNo, FaultCode, TimestampMs};
use sanimon_store::{Device, DeviceState};

use super::Batch;
use super::passage::Passage;
use crate::change::Evaluate;
use crate::message::{Connection, Message};

/// Connections whose discoveries are counted at once; those of the longest ago are forgotten first.
const CONNECTIONS_MAX: usize = 10_000;

/// How many devices each connection brought lately.
#[derive(Debug, Default)]
pub(crate) struct Discoveries(HashMap<Arc<str>, (TimestampMs, usize)>);

impl Discoveries {
    /// How many a connection brought within this hour.
    fn count(&self, connection: &str, now: TimestampMs) -> usize {
        let known = self.0.get(connection).filter(|(since, _)| now.since_ms(*since) < HOUR_MS);
        known.map_or(0, |(_, count)| *count)
    }

    fn has_room_for(&self, connection: &str) -> bool {
        self.0.len() < CONNECTIONS_MAX || self.0.contains_key(connection)
    }

    /// Forgets those of longer ago, once there are too many connections.
    pub(crate) fn make_room(&mut self, now: TimestampMs) {
        if self.0.len() >= CONNECTIONS_MAX {
            self.0.retain(|_, (since, _)| now.since_ms(*since) < HOUR_MS);
        }
    }

    /// Counts devices that are stored now: a group that is made again brings none twice.
    pub(crate) fn add(&mut self, connection: &Connection, now: TimestampMs, devices: usize) {
        let Connection::Client { owner: name, .. } = connection else { return };
        if devices == 0 {
            return;
        }
        let count = self.count(name, now);
        let (since, total) = self.0.entry(name.clone()).or_insert((now, 0));
        if count == 0 {
            *since = now;
        }
        *total = count + devices;
    }
}

impl Batch<'_> {
    pub(super) fn known(&self, id: &DeviceId) -> Option<DeviceNo> {
        self.directory.find(id).or_else(|| self.new_devices.get(id).copied())
    }

    /// The device's number; a device heard for the first time is entered as discovered. `None`: there is no room for it.
    pub(super) fn device(&mut self, passage: &mut Passage<'_>, report: &DeviceReport) -> Option<DeviceNo> {
        let sender = &report.sender;
        if let Some(known) = self.directory.find(&sender.device) {
            let entry = self.directory.device(known)?;
            let claimed = sender.kind.filter(|_| !sender.district.is_empty());
            if claimed.is_some_and(|kind| kind != entry.kind) && entry.state == DeviceState::Registered {
                let said = claimed.map_or("", DeviceKind::as_str);
                let text = format!("the registry says {}, the topic says {said}", entry.kind);
                passage.fault(FaultCode::TopicDisagrees, text);
            }
            return Some(known);
        }
        if let Some(known) = self.new_devices.get(&sender.device) {
            return Some(*known);
        }
        self.make_room_for_device(passage)?;
        Some(self.discover(passage, report))
    }

    fn make_room_for_device(&mut self, passage: &mut Passage<'_>) -> Option<()> {
        let limits = self.limits.site;
        let message = passage.message;
        if self.directory.discovered_count() + self.new_devices.len() >= limits.discovered_devices_max {
            let text =
                "too many unknown devices: accept or delete discovered ones, or raise the site's limit";
            return passage.refuse_device(text);
        }
        let own = limits.discovered_by_connection_max;
        if !self.may_discover(message, own) {
            let text = format!(
                "this connection brought {own} unknown devices within an hour: enter its devices first"
            );
            return passage.refuse_device(text);
        }
        Some(())
    }

    /// False: its connection has brought all that it may for this hour.
    fn may_discover(&self, message: &Message, limit: usize) -> bool {
        // A broker brings the devices of many: for it the site's limit counts alone.
        let Connection::Client { owner: name, .. } = &message.connection else { return true };
        let here = self.discovered.get(name).copied().unwrap_or(0);
        let before = self.discoveries.count(name, message.received_at);
        before + here < limit && self.discoveries.has_room_for(name)
    }

    fn discover(&mut self, passage: &mut Passage<'_>, report: &DeviceReport) -> DeviceNo {
        let sender = &report.sender;
        let kind = sender.kind.unwrap_or(DeviceKind::Bin);
        let device = Device {
            no: DeviceNo((self.directory.devices().len() + self.new_devices.len()) as u32),
            name: sender.name.as_deref().unwrap_or_default().to_owned(),
            district: sender.district.to_string(),
            model: sender.model.as_deref().map(str::to_owned),
            state: DeviceState::Discovered,
            ..Device::new(sender.device.clone(), kind, passage.message.received_at)
        };
        let no = device.no;
        if let Connection::Client { owner, .. } = &passage.message.connection {
            *self.discovered.entry(owner.clone()).or_default() += 1;
        }
        self.new_devices.insert(device.id.clone(), no);
        passage.change.evaluate.push(Evaluate::NewDevice(passage.change.new_devices.len()));
        passage.change.new_devices.push(device);
        no
    }
}
