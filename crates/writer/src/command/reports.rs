//! What residents report.

use sanimon_domain::{GroupKind, RuleId, Severity, StepKind, Subject, metric};
use sanimon_store::{NewReport, NewStep, Place, PlaceCode};

use super::{Done, Execution, Refusal, Stopped, found};
use crate::cases::NewAlert;

/// The rule that a report's case is said to come from: no file has it.
pub const REPORT_RULE: &str = "resident_report";

/// Takes a resident's report in: it joins the open alert of its place, or opens a case.
#[derive(Debug, Clone)]
pub struct TakeReport(pub NewReport);

/// How satisfied the resident is, 1 to 5. Said once, after the case was closed.
#[derive(Debug, Clone)]
pub struct RateReport {
    pub token: String,
    pub satisfaction: u8,
}

/// Gives each place a code for its sign; a place that has one keeps it.
#[derive(Debug, Clone)]
pub struct MakePlaceCodes(pub Vec<PlaceCode>);

impl TakeReport {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let new = &self.0;
        let place = work.tx.place_of(&new.code)?;
        let subject = match place.ok_or_else(|| Refusal::NotFound { what: "place", id: new.code.clone() })? {
            Place::Device(device) => Subject::Device(device),
            Place::Zone(zone) => Subject::group(GroupKind::Zone, zone.as_str()),
        };
        let alert = match work.tx.open_alert_at(&subject)? {
            Some(alert) => alert,
            None => self.open_case(work, &subject)?,
        };
        let report = work.tx.insert_report(new, alert, work.now)?;
        let severity = work.cases.read(alert)?.map_or(Severity::Minor, |alert| alert.severity);
        // The history is for ever, so it has the category only: what was written is forgotten after its time.
        work.tx.append_step(&NewStep {
            alert,
            at: work.now,
            kind: StepKind::Reported,
            who: None,
            severity,
            value: None,
            note: Some(new.category.as_str()),
            assignee: None,
        })?;
        if let Some(changed) = work.cases.read(alert)? {
            work.cases.changed.insert(alert, changed);
        }
        let not_found = || Refusal::NotFound { what: "report", id: new.token.clone() };
        Ok(Done::Report(Box::new(report.ok_or_else(not_found)?)))
    }

    fn open_case(
        &self,
        work: &mut Execution<'_>,
        subject: &Subject,
    ) -> Result<sanimon_domain::AlertId, Stopped> {
        let id = work.engine().next_alert();
        let rule = RuleId::new(REPORT_RULE).expect("a sound id");
        let new = NewAlert {
            id,
            subject,
            rule: &rule,
            rules_version: None,
            title: [&self.0.title[0], &self.0.title[1]],
            metric: metric::DEVICE_COUNT,
            severity: Severity::Minor,
            at: work.now,
            value: Some(1.0),
            report_token: Some(&self.0.token),
        };
        work.cases.enter(&new, None)?;
        Ok(id)
    }
}

impl RateReport {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let is_rated = work.tx.rate_report(&self.token, self.satisfaction, work.now)?;
        found(is_rated, "closed report that waits for an answer", &self.token)?;
        Ok(Done::Nothing)
    }
}

impl MakePlaceCodes {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        self.0.iter().try_for_each(|code| work.tx.put_place_code(code, work.now))?;
        Ok(Done::Nothing)
    }
}
