//! A large table of devices: entered in steps between which messages are taken, and seen all at once or not at all.

use std::collections::HashSet;

use sanimon_domain::{DeviceId, DeviceNo};
use sanimon_store::{Device, DeviceState, DirectoryState, Memory, Tx};

use super::devices::{Resolved, enter, in_place_of, place, resolve};
use super::{Done, Execution, Refusal, Stopped};
use crate::failure::Failure;

/// Devices that are entered or changed in one transaction: it takes about a tenth of a second on a small machine.
pub const DEVICES_AT_ONCE_MAX: usize = 2_000;
/// Devices that are known already and that one import changes: these are written when it comes into force.
pub const KNOWN_DEVICES_PER_IMPORT_MAX: usize = 10_000;

/// Enters devices that nobody knows, out of sight. What else is in the list is left for [`AdoptDevices`]. Answers the number of
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

/// Writes rows of the import in force as they are, one step. Answers whether there are more.
#[derive(Debug, Clone)]
pub struct WriteImport;

/// Takes back what the steps of an import have entered, one step of it. Answers whether there is more.
#[derive(Debug, Clone)]
pub struct DiscardImport {
    pub import_no: i64,
}

impl StageDevices {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        none_is_being_written(work)?;
        let import_no = self.import_no.unwrap_or(work.tx.no() as i64);
        let directory = work.memory.reader().directory.read();
        let mut next = directory.devices().len() as u32;
        let mut staged = Vec::with_capacity(self.devices.len());
        for device in &self.devices {
            let device = match directory.number(&device.id).and_then(|no| directory.device(no)) {
                // By another import, which did not come into force.
                Some(known) if work.tx.is_staged(known.no)? => in_place_of(known, device),
                Some(_) => continue,
                None => {
                    next += 1;
                    Device { no: DeviceNo(next - 1), ..device.clone() }
                }
            };
            work.tx.stage_device(&device, import_no as u64)?;
            staged.push(Device { state: DeviceState::Retired, hardware_id: None, ..device });
        }
        work.after.staged = staged;
        Ok(Done::Number(import_no))
    }
}

impl AdoptDevices {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        none_is_being_written(work)?;
        let staged: HashSet<DeviceNo> = work.tx.staged_devices(self.import_no as u64)?.into_iter().collect();
        let Resolved { changed, replaced } =
            differing(&work.memory.reader().directory.read(), &self.devices)?;
        let others = changed.iter().filter(|device| !staged.contains(&device.no));
        few_enough(others.clone().count())?;
        enter(work, others, &replaced)?;
        work.tx.put_import_in_force(self.import_no as u64)?;
        place(work, &changed)?;
        work.after.devices = changed;
        Ok(Done::Nothing)
    }
}

/// What an import of these devices would be refused for.
///
/// # Errors
/// Hardware that another device has; more known devices than one import changes.
pub fn try_import(directory: &DirectoryState, devices: &[Device]) -> Result<(), Refusal> {
    let Resolved { changed, .. } = differing(directory, devices)?;
    few_enough(changed.iter().filter(|device| directory.device(device.no).is_some()).count())
}

/// Those of a table that are new or differ from what is entered.
fn differing(directory: &DirectoryState, devices: &[Device]) -> Result<Resolved, Refusal> {
    let mut resolved = resolve(directory, devices)?;
    resolved.changed.retain_mut(|device| {
        let Some(known) = directory.device(device.no) else { return true };
        // A table does not speak of it.
        device.calibrate_next = known.calibrate_next;
        device != &**known
    });
    Ok(resolved)
}

fn few_enough(known: usize) -> Result<(), Refusal> {
    if known <= KNOWN_DEVICES_PER_IMPORT_MAX {
        return Ok(());
    }
    Err(Refusal::Conflict(format!(
        "the table changes {known} devices that are known already; one import changes at most \
         {KNOWN_DEVICES_PER_IMPORT_MAX}: split the table"
    )))
}

impl WriteImport {
    #[expect(clippy::unused_self, reason = "all commands are carried out alike")]
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let written = work.tx.write_import(DEVICES_AT_ONCE_MAX)?;
        Ok(Done::Number(i64::from(written == DEVICES_AT_ONCE_MAX)))
    }
}

impl DiscardImport {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let left = discard(work.tx, work.memory, Some(self.import_no as u64))?;
        let discovered: Vec<Device> =
            left.iter().filter(|device| device.state == DeviceState::Discovered).cloned().collect();
        place(work, &discovered)?;
        let has_more = left.len() == DEVICES_AT_ONCE_MAX;
        work.after.staged = left;
        Ok(Done::Number(i64::from(has_more)))
    }
}

/// Takes back, in one step, what imports have entered that did not come into force. A device that was heard meanwhile is a
/// discovered one; the id of each other one is free. Gives the devices as they are now.
pub(crate) fn discard(tx: &Tx<'_>, memory: &Memory, import_no: Option<u64>) -> Result<Vec<Device>, Failure> {
    let directory = memory.reader().directory.read();
    let recent = memory.reader().hot.read();
    let mut left = Vec::new();
    for no in tx.unfinished(import_no, DEVICES_AT_ONCE_MAX)? {
        let Some(known) = directory.device(no) else { continue };
        let device = if recent.heard_at(no).is_some() {
            let device = Device::new(known.id.clone(), known.kind, known.first_seen_at);
            Device { no, online: known.online, state: DeviceState::Discovered, ..device }
        } else {
            let id = DeviceId::new(&format!("unfinished-import-{}", no.0));
            let id = id.map_err(|_| Failure::passing("a name for an unfinished device is not sound"))?;
            Device { no, state: DeviceState::Retired, ..Device::new(id, known.kind, known.first_seen_at) }
        };
        tx.give_id_back(&device)?;
        left.push(device);
    }
    Ok(left)
}

/// The rows of an import that came into force are written in steps; until that is over, no other one begins.
fn none_is_being_written(work: &Execution<'_>) -> Result<(), Stopped> {
    if work.tx.has_import_to_write()? {
        let text = "the devices of another table are still being written: try again in a few seconds";
        return Err(Refusal::Conflict(text.to_owned()).into());
    }
    Ok(())
}
