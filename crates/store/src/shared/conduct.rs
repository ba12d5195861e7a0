//! What readers ask about people's side of alerts.

use sanimon_domain::{AlertId, TimestampMs, ZoneId};

use crate::error::Result;
use crate::model::{Alert, Place, PlaceCode, Report, RulesVersion, Step, WindowEntry};
use crate::read;
use crate::shared::Shared;

impl Shared {
    /// Maintenance windows that are not over, and as many of the others as wanted, the newest first.
    pub fn maintenance_windows(&self, now: TimestampMs, others: usize) -> Result<Vec<WindowEntry>> {
        self.with_reader(|connection| read::windows(connection, now, others))
    }

    /// Alerts that were open at some time from `from` until before `to`, with their histories, the oldest first.
    pub fn alerts_between(&self, from: TimestampMs, to: TimestampMs) -> Result<Vec<(Alert, Vec<Step>)>> {
        self.with_reader(|connection| read::alerts_between(connection, &self.readers.damage, from, to))
    }

    /// Every version of the rules, the newest first.
    pub fn rules_versions(&self) -> Result<Vec<RulesVersion>> {
        self.with_reader(read::rules_versions)
    }

    pub fn report(&self, token: &str) -> Result<Option<Report>> {
        self.with_reader(|connection| read::report(connection, token))
    }

    /// What residents said about an alert.
    pub fn reports_of(&self, alert: AlertId) -> Result<Vec<Report>> {
        self.with_reader(|connection| read::reports_of(connection, alert))
    }

    pub fn report_photo(&self, report: i64) -> Result<Option<Vec<u8>>> {
        self.with_reader(|connection| read::report_photo(connection, report))
    }

    /// The zone of the alert that a report belongs to.
    pub fn zone_of_report(&self, report: i64) -> Result<Option<ZoneId>> {
        self.with_reader(|connection| read::zone_of_report(connection, report))
    }

    /// The place behind the code of a sign.
    pub fn place_of(&self, code: &str) -> Result<Option<Place>> {
        self.with_reader(|connection| read::place_of(connection, code))
    }

    pub fn place_codes(&self) -> Result<Vec<PlaceCode>> {
        self.with_reader(read::place_codes)
    }
}
