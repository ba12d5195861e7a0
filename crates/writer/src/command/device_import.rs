//! A large table of devices: entered in steps between which messages are taken, and seen all at once or not at all.

use std::collections::HashSet;

use sanimon_domain::DeviceNo;
use sanimon_store::{Device, DeviceState};

use super::devices::{Resolved, enter, place, resolve};
use super::{Done, Execution, Refusal, Stopped};

/// Devices that are entered or changed in one transaction: it takes about a tenth of a second on a small machine.
pub const DEVICES_AT_ONCE_MAX: usize = 2_000;
/// Devices that people can see already and that one import changes: these are written when it comes into force.
pub const KNOWN_DEVICES_PER_IMPORT_MAX: usize = 20_000;

/// Enters devices that nobody can see, out of sight. What else is in the list is left for [`AdoptDevices`]. Answers the number of
/// the import.
#[derive(Debug, Clone)]
pub struct StageDevices {
    /// The number that the first step answered; `None`: this is the first one.
    pub import_no: Option<i64>,
    /// At most [`DEVICES_AT_ONCE_MAX`].
    pub devices: Vec<Device>,
}

/// Brings an import into force, all or none: the devices of its steps, and those of the list that no step has entered.
#[derive(Debug, Clone)]
pub struct AdoptDevices {
    pub import_no: i64,
    /// All that the table has.
    pub devices: Vec<Device>,
}

impl StageDevices {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        none_is_being_written(work)?;
        let import_no = self.import_no.unwrap_or(work.tx.no() as i64);
        let mut staged = Vec::with_capacity(self.devices.len());
        {
            let directory = work.memory.reader().directory.read();
            let mut next = directory.devices().len() as u32;
            for device in &self.devices {
                let known = directory.number(&device.id).and_then(|no| directory.device(no));
                if known.is_some_and(|known| known.state != DeviceState::Retired) {
                    continue;
                }
                let no = known.map_or(DeviceNo(next), |known| known.no);
                next += u32::from(known.is_none());
                staged.push(Device { no, online: known.and_then(|known| known.online), ..device.clone() });
            }
        }
        staged.iter().try_for_each(|device| work.tx.stage_device(device, import_no as u64))?;
        work.after.staged = staged;
        work.after.staged.iter_mut().for_each(|device| {
            device.state = DeviceState::Retired;
            device.hardware_id = None;
        });
        Ok(Done::Number(import_no))
    }
}

impl AdoptDevices {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        none_is_being_written(work)?;
        let staged: HashSet<DeviceNo> = work.tx.staged_devices(self.import_no as u64)?.into_iter().collect();
        let Resolved { changed, replaced } = resolve(&work.memory.reader().directory.read(), &self.devices)?;
        let others: Vec<&Device> = changed.iter().filter(|device| !staged.contains(&device.no)).collect();
        if others.len() > KNOWN_DEVICES_PER_IMPORT_MAX {
            return Err(Refusal::Failed(format!(
                "the table changes {} devices that are known already; one import changes at most {KNOWN_DEVICES_PER_IMPORT_MAX}: \
                 split the table",
                others.len()
            ))
            .into());
        }
        enter(work, others.into_iter(), &replaced)?;
        work.tx.put_import_in_force(self.import_no as u64)?;
        place(work, &changed)?;
        work.after.devices = changed;
        Ok(Done::Nothing)
    }
}

/// The rows of an import that came into force are written in steps; until that is over, no other one begins.
fn none_is_being_written(work: &Execution<'_>) -> Result<(), Stopped> {
    if work.tx.has_import_to_write()? {
        let text = "the devices of another table are still being written: try again in a few seconds";
        return Err(Refusal::Unavailable(text.to_owned()).into());
    }
    Ok(())
}
