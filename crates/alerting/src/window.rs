//! When nobody wants to be told: maintenance windows and snoozes.

use sanimon_domain::{DeviceNo, RuleId, TimestampMs, ZoneId};

/// Alerts that would be raised in this time are not: for a device, a zone, a rule, or what several of them name together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceWindow {
    pub id: i64,
    pub device: Option<DeviceNo>,
    pub zone: Option<ZoneId>,
    pub rule: Option<RuleId>,
    pub from: TimestampMs,
    /// Not included.
    pub to: TimestampMs,
}

impl MaintenanceWindow {
    pub fn holds(&self, at: TimestampMs) -> bool {
        self.from <= at && at < self.to
    }

    /// Whether it is about this rule on this device, or on a group of this zone.
    pub fn covers(&self, device: Option<DeviceNo>, zone: Option<&ZoneId>, rule: &RuleId) -> bool {
        self.device.is_none_or(|own| Some(own) == device)
            && self.zone.as_ref().is_none_or(|own| Some(own) == zone)
            && self.rule.as_ref().is_none_or(|own| own == rule)
    }
}
