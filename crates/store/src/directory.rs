//! Devices, zones and metric names in memory: what each message and each page asks for first.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::HashMap;
use sanimon_domain::{DeviceId, DeviceNo, HardwareId, Metric, MetricNo, Placement, ZoneId, metric};

use crate::model::{Device, DeviceState, Zone};

/// The state behind the lock.
#[derive(Debug, Default)]
pub struct DirectoryState {
    pub(crate) devices: Vec<Arc<Device>>,
    pub(crate) by_id: HashMap<DeviceId, DeviceNo>,
    pub(crate) by_hardware: HashMap<HardwareId, DeviceNo>,
    pub(crate) zones: Vec<Arc<Zone>>,
    pub(crate) custom_metrics: HashMap<Box<str>, MetricNo>,
    pub(crate) custom_names: HashMap<MetricNo, CustomMetric>,
    /// The first number that no metric of devices' own has had.
    pub(crate) next_custom: u16,
}

/// A metric that no table knows.
#[derive(Debug, Clone)]
pub(crate) struct CustomMetric {
    name: Arc<str>,
    /// Who brought it; `None`: nobody has kept that.
    device: Option<DeviceNo>,
}

impl DirectoryState {
    pub fn number(&self, id: &DeviceId) -> Option<DeviceNo> {
        self.by_id.get(id).copied()
    }

    /// The device that a message speaks of: by what its hardware is called, or by its id. The hardware's name comes first:
    /// a device that was discovered under it may have been taken over by an entry of its own since.
    pub fn find(&self, name: &DeviceId) -> Option<DeviceNo> {
        let by_hardware = if self.by_hardware.is_empty() {
            None
        } else {
            HardwareId::new(name.as_str()).ok().and_then(|id| self.by_hardware.get(&id).copied())
        };
        by_hardware.or_else(|| self.number(name))
    }

    /// Who has this hardware now.
    pub fn by_hardware(&self, id: &HardwareId) -> Option<DeviceNo> {
        self.by_hardware.get(id).copied()
    }

    pub fn device(&self, no: DeviceNo) -> Option<&Arc<Device>> {
        self.devices.get(no.index())
    }

    /// All devices, in the order of their numbers.
    pub fn devices(&self) -> &[Arc<Device>] {
        &self.devices
    }

    pub fn zones(&self) -> &[Arc<Zone>] {
        &self.zones
    }

    pub fn zone(&self, id: &ZoneId) -> Option<&Arc<Zone>> {
        self.zones.iter().find(|zone| zone.id == *id)
    }

    /// What rules select a device by.
    pub fn placement(&self, device: &Device) -> Placement {
        let class = device.zone.as_ref().and_then(|id| self.zone(id)).map(|zone| zone.class);
        device.placement(class)
    }

    pub fn discovered_count(&self) -> usize {
        self.devices.iter().filter(|device| device.state == DeviceState::Discovered).count()
    }

    pub fn metric_number(&self, metric: &Metric) -> Option<MetricNo> {
        match metric {
            Metric::Known(no) => Some(*no),
            Metric::Custom(name) => self.custom_metrics.get(name).copied(),
        }
    }

    /// A metric's number by its name, known or brought by a device.
    pub fn metric_by_name(&self, name: &str) -> Option<MetricNo> {
        metric::by_name(name).or_else(|| self.custom_metrics.get(name).copied())
    }

    pub fn metric_name(&self, no: MetricNo) -> Option<&str> {
        metric::info(no)
            .map(|info| info.name)
            .or_else(|| self.custom_names.get(&no).map(|custom| &*custom.name))
    }

    /// The names that no table knows.
    pub fn custom_metrics(&self) -> impl Iterator<Item = &str> {
        self.custom_metrics.keys().map(|name| &**name)
    }

    pub fn custom_metric_count(&self) -> usize {
        self.custom_metrics.len()
    }

    /// Who brought a metric of devices' own; `None`: nobody has kept that.
    pub fn metric_brought_by(&self, no: MetricNo) -> Option<DeviceNo> {
        self.custom_names.get(&no)?.device
    }

    /// The numbers of metrics that no table knows.
    pub fn custom_metric_numbers(&self) -> impl Iterator<Item = MetricNo> {
        self.custom_names.keys().copied()
    }

    pub(crate) fn free_hardware(&mut self, no: DeviceNo) {
        let Some(device) = self.devices.get_mut(no.index()).filter(|device| device.hardware_id.is_some())
        else {
            return;
        };
        if let Some(gone) = Arc::make_mut(device).hardware_id.take() {
            self.by_hardware.remove(&gone);
        }
    }

    pub(crate) fn put_device(&mut self, device: Device) {
        let index = device.no.index();
        let before = self.devices.get(index).and_then(|known| known.hardware_id.clone());
        if let Some(gone) = before.filter(|before| Some(before) != device.hardware_id.as_ref()) {
            self.by_hardware.remove(&gone);
        }
        if let Some(hardware) = &device.hardware_id {
            self.by_hardware.insert(hardware.clone(), device.no);
        }
        let other_id = self.devices.get(index).map(|known| &known.id).filter(|known| **known != device.id);
        if let Some(gone) = other_id.filter(|gone| self.by_id.get(*gone) == Some(&device.no)) {
            self.by_id.remove(gone);
        }
        self.by_id.insert(device.id.clone(), device.no);
        let device = Arc::new(device);
        match self.devices.get_mut(index) {
            Some(place) => *place = device,
            None => self.devices.push(device),
        }
    }

    /// How many metrics were brought by devices that nobody has accepted.
    pub fn metrics_of_discovered(&self) -> usize {
        let of_discovered = |custom: &&CustomMetric| {
            let device = custom.device.and_then(|no| self.device(no));
            device.is_some_and(|device| device.state == DeviceState::Discovered)
        };
        self.custom_names.values().filter(of_discovered).count()
    }

    /// The number of the next metric of devices' own. Numbers are never given twice.
    pub fn next_custom_metric(&self) -> u16 {
        self.next_custom.max(metric::CUSTOM_FROM)
    }

    pub(crate) fn put_metric(&mut self, no: MetricNo, name: &str, device: Option<DeviceNo>) {
        self.custom_metrics.insert(name.into(), no);
        self.custom_names.insert(no, CustomMetric { name: name.into(), device });
        self.next_custom = self.next_custom.max(no.0.saturating_add(1));
    }

    pub(crate) fn remove_metric(&mut self, no: MetricNo) {
        if let Some(custom) = self.custom_names.remove(&no) {
            self.custom_metrics.remove(&*custom.name);
        }
    }
}

/// The directory, shared: changed by the writer's thread after a commit, read by everyone.
#[derive(Debug, Default)]
pub struct Directory(RwLock<DirectoryState>);

impl Directory {
    pub fn read(&self) -> RwLockReadGuard<'_, DirectoryState> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, DirectoryState> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
