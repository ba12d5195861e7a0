//! What residents report.

use rusqlite::{OptionalExtension, params};
use sanimon_domain::{AlertId, RuleId, Severity, StepKind, Subject, TimestampMs};

use super::Writer;
use super::alerts::{self, NewAlert, NewStep};
use crate::command::CommandError;
use crate::error::StoreError;
use crate::feed::Committed;
use crate::model::{NewReport, Place, PlaceCode, Report};
use crate::read;

/// The rule that a report's case is said to come from: no file has it.
pub const REPORT_RULE: &str = "resident_report";

type Outcome<T> = std::result::Result<T, CommandError>;

impl Writer {
    /// Takes a report in: it joins the open alert of its place, or opens a case with the number `fresh`.
    pub fn report(&mut self, new: &NewReport, fresh: AlertId, now: TimestampMs) -> Outcome<Report> {
        let place = read::place_of(&self.connection, &new.code)?;
        let place = place.ok_or_else(|| CommandError::NotFound { what: "place", id: new.code.clone() })?;
        let conduct = self.conduct.clone();
        let transaction = self.transaction()?;
        let subject = match place {
            Place::Device(device) => Subject::Device(device),
            Place::Zone(zone) => Subject::group(sanimon_domain::GroupKind::Zone, zone.as_str()),
        };
        let open = read::open_alert_at(&transaction, &subject)?;
        let alert = match open {
            Some(alert) => alert,
            None => {
                let rule = RuleId::new(REPORT_RULE).expect("a sound id");
                let entered = NewAlert {
                    id: fresh,
                    subject: &subject,
                    rule: &rule,
                    rules_version: None,
                    title: [&new.title[0], &new.title[1]],
                    metric: sanimon_domain::metric::DEVICE_COUNT.0,
                    severity: Severity::Minor,
                    at: now,
                    value: 1.0,
                    report_token: Some(&new.token),
                    note: None,
                };
                alerts::enter(&transaction, &conduct, &entered)?;
                fresh
            }
        };
        transaction
            .execute(
                "INSERT INTO report (token, code, alert_id, at, language, category, text, photo)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    new.token,
                    new.code,
                    alert.0 as i64,
                    now.0,
                    new.language,
                    new.category.as_str(),
                    new.text,
                    new.photo.as_deref(),
                ],
            )
            .map_err(StoreError::doing("write a report"))?;
        let severity = read::alert(&transaction, alert)?.map_or(Severity::Minor, |alert| alert.severity);
        // The history is for ever, so it has the category only: what was written is forgotten after its time.
        let step = NewStep {
            alert,
            at: now,
            kind: StepKind::Reported,
            who: None,
            severity,
            value: None,
            note: Some(new.category.as_str()),
            assignee: None,
        };
        alerts::append(&transaction, &step)?;
        let report = read::report(&transaction, &new.token)?;
        let changed = read::alert(&transaction, alert)?;
        transaction.commit().map_err(StoreError::doing("commit a report"))?;
        self.note_clocks()?;
        self.shared.feed.publish(Committed { alerts: changed.into_iter().collect(), ..Committed::default() });
        self.shared.ring_outbox();
        report.ok_or_else(|| CommandError::NotFound { what: "report", id: new.token.clone() })
    }

    /// How satisfied the resident is. Said once.
    pub fn rate_report(&mut self, token: &str, satisfaction: u8, now: TimestampMs) -> Outcome<()> {
        let changed = self
            .connection
            .execute(
                "UPDATE report SET satisfaction = ?2, rated_at = ?3 WHERE token = ?1 AND satisfaction IS NULL
                   AND (SELECT closed_at FROM alert WHERE id = alert_id) IS NOT NULL",
                params![token, satisfaction, now.0],
            )
            .map_err(StoreError::doing("write how satisfied a resident is"))?;
        match changed {
            0 => Err(CommandError::NotFound {
                what: "closed report that waits for a word",
                id: token.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Gives places their codes; a place that has one keeps it.
    pub fn put_place_codes(&mut self, codes: &[PlaceCode], now: TimestampMs) -> Outcome<()> {
        let transaction = self.transaction()?;
        for PlaceCode { code, place } in codes {
            let (device, zone) = match place {
                Place::Device(device) => (Some(device.0), None),
                Place::Zone(zone) => (None, Some(zone.as_str())),
            };
            transaction
                .execute(
                    "INSERT OR IGNORE INTO place_code VALUES (?1, ?2, ?3, ?4)",
                    params![code, device, zone, now.0],
                )
                .map_err(StoreError::doing("write a place's code"))?;
        }
        transaction.commit().map_err(StoreError::doing("commit places' codes"))?;
        Ok(())
    }

    /// Forgets what residents wrote and showed before this time. True if there was anything.
    pub fn forget_reports(&mut self, before: TimestampMs, now: TimestampMs) -> Outcome<bool> {
        let due: Option<i64> = self
            .connection
            .query_row(
                "SELECT id FROM report WHERE forgotten_at IS NULL AND at < ?1 LIMIT 1",
                [before.0],
                |row| row.get(0),
            )
            .optional()
            .map_err(StoreError::doing("look for old reports"))?;
        if due.is_none() {
            return Ok(false);
        }
        self.connection
            .execute(
                "UPDATE report SET text = NULL, photo = NULL, forgotten_at = ?2 WHERE forgotten_at IS NULL AND at < ?1",
                params![before.0, now.0],
            )
            .map_err(StoreError::doing("forget old reports"))?;
        Ok(true)
    }
}
