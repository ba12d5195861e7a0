//! What residents report, and the codes of the places at which they do.

use rusqlite::params;
use sanimon_domain::{AlertId, TimestampMs};

use crate::error::Result;
use crate::model::{NewReport, Place, PlaceCode, Report};
use crate::read;
use crate::sqlite::Tx;

impl Tx<'_> {
    /// The place behind the code of a sign.
    pub fn place_of(&self, code: &str) -> Result<Option<Place>> {
        self.read("read a place's code", |connection| read::place_of(connection, code))
    }

    /// Enters a report about an alert; gives it as it is kept.
    pub fn insert_report(&self, new: &NewReport, alert: AlertId, now: TimestampMs) -> Result<Option<Report>> {
        self.run(
            "write a report",
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
        )?;
        self.read("read a report", |connection| read::report(connection, &new.token))
    }

    /// How satisfied the resident is: said once, after the case was closed. False: it was not the time for it.
    pub fn rate_report(&self, token: &str, satisfaction: u8, now: TimestampMs) -> Result<bool> {
        let changed = self.run(
            "write how satisfied a resident is",
            "UPDATE report SET satisfaction = ?2, rated_at = ?3 WHERE token = ?1 AND satisfaction IS NULL
               AND (SELECT closed_at FROM alert WHERE id = alert_id) IS NOT NULL",
            params![token, satisfaction, now.0],
        )?;
        Ok(changed > 0)
    }

    /// Gives a place its code; a place that has one keeps it.
    pub fn put_place_code(&self, code: &PlaceCode, now: TimestampMs) -> Result<()> {
        let (device, zone) = match &code.place {
            Place::Device(device) => (Some(device.0), None),
            Place::Zone(zone) => (None, Some(zone.as_str())),
        };
        self.run(
            "write a place's code",
            "INSERT OR IGNORE INTO place_code VALUES (?1, ?2, ?3, ?4)",
            params![code.code, device, zone, now.0],
        )?;
        Ok(())
    }

    /// Forgets what residents wrote and showed before this time, some reports at once. Gives how many.
    pub fn forget_reports(&self, before: TimestampMs, limit: usize, now: TimestampMs) -> Result<usize> {
        self.run(
            "forget old reports",
            "UPDATE report SET text = NULL, photo = NULL, forgotten_at = ?2 WHERE id IN
               (SELECT id FROM report WHERE forgotten_at IS NULL AND at < ?1 ORDER BY at LIMIT ?3)",
            params![before.0, now.0, limit as i64],
        )
    }
}
