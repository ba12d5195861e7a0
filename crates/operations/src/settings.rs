//! What a site has decided about the work on its cases.

use sanimon_domain::SiteCalendar;

use crate::lifecycle::Policy;
use crate::routing::NotificationRule;
use crate::teams::Teams;

/// Everything that a site has decided about what people do with alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationsSettings {
    pub policy: Policy,
    pub teams: Teams,
    /// One for each channel.
    pub notification_rules: Vec<NotificationRule>,
}

impl OperationsSettings {
    /// Of a site that has decided nothing.
    pub fn standard(calendar: SiteCalendar) -> Self {
        Self { policy: Policy::default(), teams: Teams::standard(calendar), notification_rules: Vec::new() }
    }
}
