//! Devices: entered, changed, retired; what somebody says of one; names of metrics that are taken away.

use std::collections::HashMap;

use sanimon_alerting::Input;
use sanimon_domain::{DeviceId, DeviceNo, HardwareId, Metric};
use sanimon_store::{Device, DeviceEvent, DeviceState, DirectoryState, META_NEXT_METRIC};

use super::{Done, Execution, Refusal, Stopped, found};

/// Enters or changes devices, all or none. Numbers of devices that are new are given here.
#[derive(Debug, Clone)]
pub struct PutDevices(pub Vec<Device>);

/// Takes a device out of sight. Its history stays.
#[derive(Debug, Clone)]
pub struct RetireDevice(pub DeviceId);

/// Remembers what somebody says of a device: that it was cleaned.
#[derive(Debug, Clone)]
pub struct NoteEvent(pub DeviceEvent);

/// Takes the name of a metric away that a device brought: the place is free for another one.
#[derive(Debug, Clone)]
pub struct RemoveMetric(pub String);

impl PutDevices {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let resolved = resolve(&work.memory.reader().directory.read(), &self.0)?;
        let Resolved { changed, replaced } = resolved;
        enter(work, changed.iter(), &replaced)?;
        place(work, &changed)?;
        work.after.devices = changed;
        Ok(Done::Nothing)
    }
}

impl RetireDevice {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let known = {
            let directory = work.memory.reader().directory.read();
            directory.number(&self.0).and_then(|no| directory.device(no).cloned())
        };
        let known = known.ok_or_else(|| Refusal::NotFound { what: "device", id: self.0.to_string() })?;
        // Its hardware is free for another place.
        let retired = Device { state: DeviceState::Retired, hardware_id: None, ..Device::clone(&known) };
        PutDevices(vec![retired]).carry_out(work)
    }
}

impl NoteEvent {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let is_kept = work.tx.put_event(&self.0)?;
        found(is_kept, "room for one more event of this device", &self.0.what)?;
        Ok(Done::Nothing)
    }
}

impl RemoveMetric {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let (number, next) = {
            let directory = work.memory.reader().directory.read();
            (directory.metric_number(&Metric::Custom(self.0.as_str().into())), directory.next_custom_metric())
        };
        let number = number
            .ok_or_else(|| Refusal::NotFound { what: "metric of a device's own", id: self.0.clone() })?;
        // Its number is never given again: readings are stored under it.
        work.tx.put_meta(META_NEXT_METRIC, &next.to_string())?;
        work.tx.remove_metric(number)?;
        work.after.removed_metric = Some(number);
        Ok(Done::Nothing)
    }
}

/// Writes entries of devices, and remembers the hardware that some had until now.
pub(super) fn enter<'d>(
    work: &Execution<'_>,
    devices: impl Iterator<Item = &'d Device> + Clone,
    replaced: &[Device],
) -> Result<(), Stopped> {
    // A piece of hardware may go from one device to another in the same list.
    devices.clone().try_for_each(|device| work.tx.free_hardware(device.no))?;
    devices.into_iter().try_for_each(|device| work.tx.put_device(device))?;
    Ok(replaced.iter().try_for_each(|before| work.tx.put_replaced_hardware(before, work.now))?)
}

/// Tells the engine where devices are now, and stores what follows from it.
pub(super) fn place(work: &mut Execution<'_>, devices: &[Device]) -> Result<(), Stopped> {
    let (now, memory) = (work.now, work.memory);
    let mut effects = Vec::new();
    let directory = memory.reader().directory.read();
    for device in devices {
        let placement = directory.placement(device);
        let input = match device.state {
            DeviceState::Retired => Input::Retired { device: device.no },
            _ => Input::Device { device: device.no, id: &device.id, placement: &placement },
        };
        work.engine().apply(now, input, &mut effects);
    }
    drop(directory);
    work.store_effects(&effects)
}

/// A list of devices with their numbers.
pub(super) struct Resolved {
    pub(super) changed: Vec<Device>,
    /// Entries whose hardware is replaced, as they were.
    pub(super) replaced: Vec<Device>,
}

/// An entry in place of another one: what messages say is not for people to overwrite.
pub(super) fn in_place_of(known: &Device, device: &Device) -> Device {
    Device { no: known.no, online: known.online, first_seen_at: known.first_seen_at, ..device.clone() }
}

/// Gives numbers, and adds the discovered devices whose hardware an entry takes over. Refuses hardware that another entry
/// keeps.
pub(super) fn resolve(directory: &DirectoryState, devices: &[Device]) -> Result<Resolved, Refusal> {
    let mut next = directory.devices().len() as u32;
    let (mut changed, mut replaced) = (Vec::with_capacity(devices.len()), Vec::new());
    for device in devices {
        match directory.number(&device.id).and_then(|no| directory.device(no)) {
            Some(known) => {
                if known.hardware_id.is_some() && known.hardware_id != device.hardware_id {
                    replaced.push(Device::clone(known));
                }
                changed.push(in_place_of(known, device));
            }
            None => {
                changed.push(Device { no: DeviceNo(next), ..device.clone() });
                next += 1;
            }
        }
    }
    let taken_over = taken_over(directory, &changed)?;
    changed.extend(taken_over);
    Ok(Resolved { changed, replaced })
}

fn taken_over(directory: &DirectoryState, changed: &[Device]) -> Result<Vec<Device>, Refusal> {
    let numbers: std::collections::HashSet<DeviceNo> = changed.iter().map(|device| device.no).collect();
    let mut owners: HashMap<&HardwareId, &DeviceId> = HashMap::new();
    for device in changed {
        let Some(hardware) = &device.hardware_id else { continue };
        let in_list = owners.insert(hardware, &device.id).cloned();
        let before = directory.by_hardware(hardware).and_then(|no| directory.device(no));
        let keeps = before.filter(|before| !numbers.contains(&before.no)).map(|device| device.id.clone());
        if let Some(owner) = in_list.or(keeps) {
            return Err(Refusal::HardwareTaken { hardware: hardware.to_string(), device: owner.to_string() });
        }
    }
    let mut found: Vec<&Device> = owners
        .keys()
        .filter_map(|hardware| directory.device(directory.number(hardware.as_device())?))
        .map(|device| &**device)
        .filter(|found| found.state == DeviceState::Discovered && !numbers.contains(&found.no))
        .collect();
    found.sort_by_key(|device| device.no);
    Ok(found.into_iter().map(|found| Device { state: DeviceState::Retired, ..found.clone() }).collect())
}
