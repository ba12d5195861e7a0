//! Zones and teams.

use std::collections::HashMap;
use std::sync::Arc;

use sanimon_alerting::Input;
use sanimon_domain::{ZoneClass, ZoneId};
use sanimon_operations::{OperationsSettings, Teams};
use sanimon_store::{DeviceState, SavedDocument, Zone};

use super::rules::put_document;
use super::{Done, Execution, Stopped};

/// Makes these the only zones. Devices and alerts of one that goes keep its name.
#[derive(Debug, Clone)]
pub struct SetZones {
    pub zones: Vec<Zone>,
    pub document: Option<SavedDocument>,
}

/// Other teams, assignment rules, deadlines and goals. Deadlines that run stay as they were set.
#[derive(Debug, Clone)]
pub struct PutTeams {
    pub teams: Box<Teams>,
    pub document: Option<SavedDocument>,
}

impl SetZones {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        work.tx.remove_zones()?;
        self.zones.iter().try_for_each(|zone| work.tx.put_zone(zone))?;
        put_document(work, self.document.as_ref())?;
        self.place_all(work)?;
        work.after.zones = Some(self.zones.clone());
        Ok(Done::Nothing)
    }

    /// Every device may be selected by other rules now.
    fn place_all(&self, work: &mut Execution<'_>) -> Result<(), Stopped> {
        let classes: HashMap<&ZoneId, ZoneClass> =
            self.zones.iter().map(|zone| (&zone.id, zone.class)).collect();
        let (now, memory) = (work.now, work.memory);
        let mut effects = Vec::new();
        let directory = memory.reader().directory.read();
        for device in directory.devices().iter().filter(|device| device.state != DeviceState::Retired) {
            let class = device.zone.as_ref().and_then(|zone| classes.get(zone).copied());
            let placement = device.placement(class);
            let input = Input::Device { device: device.no, id: &device.id, placement: &placement };
            work.engine().apply(now, input, &mut effects);
        }
        drop(directory);
        work.store_effects(&effects)
    }
}

impl PutTeams {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        put_document(work, self.document.as_ref())?;
        let settings = OperationsSettings { teams: Teams::clone(&self.teams), ..work.settings.clone() };
        work.after.operations = Some(Arc::new(settings));
        Ok(Done::Nothing)
    }
}
