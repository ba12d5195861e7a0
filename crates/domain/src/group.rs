//! What an alert is about: a device, or a group of devices that share something.

use std::sync::Arc;

use crate::device::words;
use crate::ids::DeviceNo;

words! {
    /// What the devices of a group share.
    GroupKind { Zone => "zone", Gateway => "gateway" }
}

/// A group of devices, by what they share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey {
    pub kind: GroupKind,
    /// The zone's or the gateway's id.
    pub id: Box<str>,
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Device(DeviceNo),
    Group(Arc<GroupKey>),
}

impl Subject {
    pub fn group(kind: GroupKind, id: &str) -> Self {
        Self::Group(Arc::new(GroupKey { kind, id: id.into() }))
    }

    pub fn device(&self) -> Option<DeviceNo> {
        match self {
            Self::Device(device) => Some(*device),
            Self::Group(_) => None,
        }
    }
}
