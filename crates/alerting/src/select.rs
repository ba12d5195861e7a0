//! Which devices a rule is for, and which of its overrides speaks for one of them.

use sanimon_domain::{DeviceId, Placement, ZoneClass, ZoneId};

/// Devices by what the registry says of them. An empty list selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    pub zones: Vec<ZoneId>,
    pub zone_classes: Vec<ZoneClass>,
    /// A device with one of them.
    pub tags: Vec<String>,
    pub devices: Vec<DeviceId>,
}

impl Selector {
    pub fn selects(&self, device: &DeviceId, placement: &Placement) -> bool {
        self.objection(device, placement).is_none()
    }

    /// What keeps a device out.
    pub(crate) fn objection(&self, device: &DeviceId, placement: &Placement) -> Option<String> {
        let has_zone =
            self.zones.is_empty() || placement.zone.as_ref().is_some_and(|zone| self.zones.contains(zone));
        let has_class = self.zone_classes.is_empty()
            || placement.zone_class.is_some_and(|class| self.zone_classes.contains(&class));
        let has_tag = self.tags.is_empty() || placement.tags.iter().any(|tag| self.tags.contains(tag));
        let is_named = self.devices.is_empty() || self.devices.contains(device);
        if !has_zone {
            Some(format!("it is for the zones {}", list(&self.zones)))
        } else if !has_class {
            Some(format!("it is for zones of the class {}", list(&self.zone_classes)))
        } else if !has_tag {
            Some(format!("it is for devices with a tag of {}", list(&self.tags)))
        } else if !is_named {
            Some(format!("it is for the devices {}", list(&self.devices)))
        } else {
            None
        }
    }

    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// How particular it is: a device counts more than a zone, a zone more than a tag, a tag more than a class.
    pub fn rank(&self) -> u8 {
        [self.zone_classes.is_empty(), self.tags.is_empty(), self.zones.is_empty(), self.devices.is_empty()]
            .iter()
            .enumerate()
            .map(|(bit, is_empty)| u8::from(!is_empty) << bit)
            .sum()
    }

    /// Whether everything that the other selects is selected here, too, as far as the lists show it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        covers(&self.zones, &other.zones)
            && covers(&self.zone_classes, &other.zone_classes)
            && covers(&self.tags, &other.tags)
            && covers(&self.devices, &other.devices)
    }
}

fn covers<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|item| wide.contains(item)))
}

pub(crate) fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
