//! The audit log, rounds of collection, photos of work.

use rusqlite::params;
use sanimon_domain::TimestampMs;

use crate::error::Result;
use crate::model::{NewAudit, NewPhoto, NewRound, StopMark};
use crate::sqlite::Tx;

impl Tx<'_> {
    /// Appends to the audit log. Nothing there is ever changed.
    pub fn append_audit(&self, entry: &NewAudit) -> Result<()> {
        self.run(
            "write the audit log",
            "INSERT INTO audit (at, who, what, about, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![entry.at.0, entry.who, entry.what, entry.about, entry.detail],
        )?;
        Ok(())
    }

    /// Stores a round; gives its number.
    pub fn insert_round(&self, round: &NewRound, now: TimestampMs) -> Result<i64> {
        const DOING: &str = "write a round";
        let NewRound { vehicle, team, from, to, length_m, made_by, stops } = round;
        self.run(
            DOING,
            "INSERT INTO round (vehicle, team, from_at, to_at, length_m, made_by, made_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![vehicle, team, from.0, to.0, length_m, made_by, now.0],
        )?;
        let id = self.last_id();
        for (n, stop) in stops.iter().enumerate() {
            self.run(
                DOING,
                "INSERT INTO round_stop (round_id, n, device_no, trip, planned_at, fill_pct, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'open')",
                params![id, n as i64, stop.device.0, stop.trip, stop.at.0, stop.fill_pct],
            )?;
        }
        Ok(id)
    }

    /// What somebody says of a stop; what is said last counts. False: there is no such stop.
    pub fn mark_stop(&self, mark: &StopMark, now: TimestampMs) -> Result<bool> {
        let changed = self.run(
            "write a stop of a round",
            "UPDATE round_stop SET state = ?3, state_at = ?4, state_by = ?5, note = ?6
             WHERE round_id = ?1 AND n = ?2",
            params![mark.round, mark.n, mark.state.as_str(), now.0, mark.who, mark.note],
        )?;
        Ok(changed > 0)
    }

    /// Ends a round: what is open stays open, for the next plan. False: there is no such open round.
    pub fn end_round(&self, id: i64, who: &str, now: TimestampMs) -> Result<bool> {
        let changed = self.run(
            "end a round",
            "UPDATE round SET ended_by = ?2, ended_at = ?3 WHERE id = ?1 AND ended_at IS NULL",
            params![id, who, now.0],
        )?;
        Ok(changed > 0)
    }

    /// Adds a photo to an alert; gives its number.
    pub fn insert_photo(&self, new: &NewPhoto, now: TimestampMs) -> Result<i64> {
        self.run(
            "write a photo",
            "INSERT INTO alert_photo (alert_id, at, who, photo) VALUES (?1, ?2, ?3, ?4)",
            params![new.alert.0 as i64, now.0, new.who, new.photo],
        )?;
        Ok(self.last_id())
    }
}
