//! The right to change what readers see: moved only after a commit, by infallible steps.
//!
//! There is one [`Memory`], and the writer owns it. What it holds can be read from the file at any time
//! ([`Memory::reload`]), so nothing here is ever ahead of the file.

use std::sync::Arc;

use sanimon_alerting::RuleSet;
use sanimon_domain::{DeviceNo, MetricNo, SiteCalendar, TimestampMs};
use sanimon_operations::OperationsSettings;

use crate::block::merge;
use crate::directory::DirectoryState;
use crate::error::Result;
use crate::health::Health;
use crate::hot::HotState;
use crate::influx::Influx;
use crate::influx::deliver::{Delivery, DeliveryJob};
use crate::journal::{JournalMessage, JournalReading};
use crate::model::{Credential, Device, Point, Zone};
use crate::seal::SealJob;
use crate::sealed::Series;
use crate::shared::Shared;
use crate::sqlite::File;

/// The writer's handle on what readers see.
#[derive(Debug)]
pub struct Memory(Shared);

impl Memory {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self(shared)
    }

    pub fn reader(&self) -> &Shared {
        &self.0
    }

    pub fn health(&self) -> &Health {
        &self.0.health
    }

    pub fn calendar(&self) -> SiteCalendar {
        self.0.calendar
    }

    pub(crate) fn use_influx(&mut self, influx: Arc<Influx>) {
        self.0.influx = Some(influx);
    }

    pub fn has_influx(&self) -> bool {
        self.0.influx.is_some()
    }

    /// Forgets everything and reads it again from the file.
    pub fn reload(&mut self, file: &File) -> Result<()> {
        let loaded = file.read("read what belongs in memory", crate::shared::Loaded::read)?;
        self.0.replace(loaded);
        Ok(())
    }

    pub fn put_devices<'a>(&mut self, devices: impl Iterator<Item = &'a Device>) {
        let mut directory = self.0.directory.write();
        devices.for_each(|device| directory.put_device(device.clone()));
    }

    /// The same for devices whose hardware may go from one to another: it is taken from all before it is given to any.
    pub fn exchange_devices(&mut self, devices: Vec<Device>) {
        let mut directory = self.0.directory.write();
        devices.iter().for_each(|device| directory.free_hardware(device.no));
        devices.into_iter().for_each(|device| directory.put_device(device));
    }

    pub fn set_statuses(&mut self, statuses: &[(DeviceNo, bool, TimestampMs)]) {
        // That it is offline is said for it, by a broker.
        let mut recent = self.0.hot.write();
        let online = statuses.iter().filter(|(_, is_online, _)| *is_online);
        online.for_each(|(device, _, at)| recent.note_heard(*device, *at));
        drop(recent);
        let mut directory = self.0.directory.write();
        for (no, is_online, at) in statuses {
            if let Some(known) = directory.device(*no) {
                let device = Device { online: Some((*is_online, *at)), ..Device::clone(known) };
                directory.put_device(device);
            }
        }
    }

    pub fn put_metric(&mut self, no: MetricNo, name: &str, device: Option<DeviceNo>) {
        self.0.directory.write().put_metric(no, name, device);
    }

    pub fn remove_metric(&mut self, no: MetricNo) {
        self.0.directory.write().remove_metric(no);
    }

    /// Makes these the only zones.
    pub fn set_zones(&mut self, zones: Vec<Zone>) {
        self.0.directory.write().set_zones(zones);
    }

    /// Takes committed messages in.
    pub fn add_messages<'a>(&mut self, messages: impl Iterator<Item = &'a JournalMessage>) {
        let mut recent = self.0.hot.write();
        messages.for_each(|message| recent.add(message));
    }

    /// Changes what is known of devices besides stored readings.
    pub fn change_recent(&mut self) -> RecentChange<'_> {
        RecentChange(self.0.hot.write())
    }

    pub fn set_credentials(&mut self, all: Vec<Credential>) {
        self.0.access.set_credentials(all);
    }

    /// What was remembered of who may do what is void.
    pub fn access_changed(&mut self) {
        self.0.access.changed();
    }

    pub fn set_rules(&mut self, rules: Arc<RuleSet>) {
        self.0.standing.set_rules(rules);
    }

    pub fn set_operations(&mut self, settings: Arc<OperationsSettings>) {
        self.0.standing.set_operations(settings);
    }

    /// Puts the unsealed points aside and gives the job that seals them; new points go to fresh tails. `None`: there are none.
    pub fn begin_seal(&mut self, up_to_seq: i64) -> Option<SealJob> {
        let series = put_aside(&mut self.0.hot.write());
        if series.is_empty() {
            return None;
        }
        let (hot, readers) = (self.0.hot.clone(), self.0.readers.clone());
        Some(SealJob { up_to_seq, series, hot, readers, calendar: self.0.calendar })
    }

    /// The job that delivers what waits to InfluxDB. `None`: there is none.
    pub fn begin_delivery(&mut self, what: Delivery) -> Option<DeliveryJob> {
        let influx = self.0.influx.clone()?;
        let series = match what {
            // Blocks are older than the journal: of two values of one identity the journal's must come last.
            Delivery::Blocks => Vec::new(),
            Delivery::Journal { .. } => put_aside(&mut self.0.hot.write()),
        };
        Some(DeliveryJob { what, series, shared: self.0.clone(), influx, void: Arc::default() })
    }

    /// The points that were put aside are elsewhere now, but for those of series that could not be sealed.
    pub fn end_seal(&mut self, but: &[Series]) {
        let mut recent = self.0.hot.write();
        let mut freed = 0;
        for (index, device) in recent.devices.iter_mut().enumerate() {
            device.has_bare_message = false;
            for (metric, memory) in &mut device.series {
                if !but.contains(&(DeviceNo(index as u32), *metric)) {
                    freed += memory.sealing.len();
                    memory.sealing = Vec::new();
                }
            }
        }
        recent.unsealed_points = recent.unsealed_points.saturating_sub(freed);
    }

    /// Rows of the journal that could not be read when memory was loaded.
    pub fn damaged_rows(&self) -> Vec<i64> {
        self.0.hot.read().damaged_rows.clone()
    }

    /// What was put aside of these series, as messages of the journal: points that were corrected since are left out.
    pub fn put_aside_of(&self, series: &[Series]) -> Vec<JournalMessage> {
        let recent = self.0.hot.read();
        let message = |(device, metric): &Series| {
            let memory = recent.series(*device, *metric)?;
            let is_corrected = |point: &Point| memory.tail.binary_search_by_key(&point.at, |p| p.at).is_ok();
            let readings = memory.sealing.iter().filter(|point| !is_corrected(point));
            let readings: Vec<_> = readings
                .map(|point| JournalReading { metric: *metric, at: point.at, value: point.value })
                .collect();
            let received_at = memory.latest.received_at;
            Some(JournalMessage { device: *device, received_at, digest: None, is_old_news: true, readings })
        };
        series.iter().filter_map(message).collect()
    }

    /// Notes that a series cannot be read or sealed.
    pub fn note_damage(&self, series: Series, at: TimestampMs, why: &str) {
        self.0.note_damage_text(series, at, why);
    }
}

/// The lock on what is known of devices, for a change of several things at once.
#[derive(Debug)]
pub struct RecentChange<'m>(std::sync::RwLockWriteGuard<'m, HotState>);

impl RecentChange<'_> {
    pub fn note_seen(&mut self, device: DeviceNo, at: TimestampMs) {
        self.0.note_heard(device, at);
    }

    pub fn set_unconfirmed(&mut self, (device, metric): Series, unconfirmed: Option<Point>) {
        self.0.set_held(device, metric, unconfirmed);
    }

    pub fn set_clock_behind(&mut self, device: DeviceNo, behind_ms: Option<i64>) {
        self.0.set_clock_behind(device, behind_ms);
    }
}

/// Puts the tails aside; new points go to fresh ones. Gives the series that have any.
fn put_aside(recent: &mut HotState) -> Vec<Series> {
    let (mut series, mut joined) = (Vec::new(), 0);
    for (index, device) in recent.devices.iter_mut().enumerate() {
        for (metric, memory) in &mut device.series {
            let tail = std::mem::take(&mut memory.tail);
            // What a job that broke off had put aside.
            let aside = std::mem::take(&mut memory.sealing);
            let before = tail.len() + aside.len();
            if before > 0 {
                memory.sealing = if aside.is_empty() { tail } else { merge(&aside, &tail).points };
                joined += before - memory.sealing.len();
                series.push((DeviceNo(index as u32), *metric));
            }
        }
    }
    recent.unsealed_points -= joined;
    recent.tails = 0;
    series
}

impl DirectoryState {
    /// In the order in which they are read again.
    pub(crate) fn set_zones(&mut self, mut zones: Vec<Zone>) {
        zones.sort_by(|a, b| a.id.cmp(&b.id));
        self.zones = zones.into_iter().map(Arc::new).collect();
    }
}
