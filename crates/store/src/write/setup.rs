//! What people set up and plan in the console, each in one transaction with its entry in the audit log.

use rusqlite::{Transaction, params};
use sanimon_domain::TimestampMs;

use super::Writer;
use crate::command::CommandError;
use crate::error::{Result, StoreError};
use crate::feed::Committed;
use crate::model::{NewAudit, NewPhoto, NewRound, StopMark};
use crate::read;

type Outcome<T> = std::result::Result<T, CommandError>;

pub(super) fn append_audit(transaction: &Transaction<'_>, entry: &NewAudit) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO audit (at, who, what, about, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![entry.at.0, entry.who, entry.what, entry.about, entry.detail],
        )
        .map(|_| ())
        .map_err(StoreError::doing("write the audit log"))
}

impl Writer {
    /// The next transaction carries this entry: the change and who made it are stored together or not at all.
    pub fn begin_audited(&mut self, entry: NewAudit) {
        self.audited = Some(entry);
    }

    /// What was refused before it began, or changed nothing, leaves no entry.
    pub fn end_audited(&mut self) {
        self.audited = None;
    }

    /// Remembers something that no other transaction stands for.
    pub fn audit(&mut self, entry: NewAudit) -> Result<()> {
        self.begin_audited(entry);
        let transaction = self.transaction()?;
        transaction.commit().map_err(StoreError::doing("commit an entry of the audit log"))
    }

    /// Stores a round; gives its number.
    pub fn put_round(&mut self, round: &NewRound, now: TimestampMs) -> Result<i64> {
        let doing = || StoreError::doing("write a round");
        let transaction = self.transaction()?;
        transaction
            .execute(
                "INSERT INTO round (vehicle, team, from_at, to_at, length_m, made_by, made_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    round.vehicle,
                    round.team,
                    round.from.0,
                    round.to.0,
                    round.length_m,
                    round.made_by,
                    now.0
                ],
            )
            .map_err(doing())?;
        let id = transaction.last_insert_rowid();
        for (n, stop) in round.stops.iter().enumerate() {
            transaction
                .execute(
                    "INSERT INTO round_stop (round_id, n, device_no, trip, planned_at, fill_pct, state)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'open')",
                    params![id, n as i64, stop.device.0, stop.trip, stop.at.0, stop.fill_pct],
                )
                .map_err(doing())?;
        }
        transaction.commit().map_err(StoreError::doing("commit a round"))?;
        Ok(id)
    }

    /// What somebody says of a stop; the last word counts.
    pub fn mark_stop(&mut self, mark: &StopMark, now: TimestampMs) -> Outcome<()> {
        let transaction = self.transaction()?;
        let changed = transaction
            .execute(
                "UPDATE round_stop SET state = ?3, state_at = ?4, state_by = ?5, note = ?6
                 WHERE round_id = ?1 AND n = ?2",
                params![mark.round, mark.n, mark.state.as_str(), now.0, mark.who, mark.note],
            )
            .map_err(StoreError::doing("write a stop of a round"))?;
        if changed == 0 {
            let id = format!("{} of round {}", mark.n, mark.round);
            return Err(CommandError::NotFound { what: "stop", id });
        }
        transaction.commit().map_err(StoreError::doing("commit a stop of a round"))?;
        Ok(())
    }

    /// Ends a round: what is open stays open, for the next plan.
    pub fn end_round(&mut self, id: i64, who: &str, now: TimestampMs) -> Outcome<()> {
        let transaction = self.transaction()?;
        let changed = transaction
            .execute(
                "UPDATE round SET ended_by = ?2, ended_at = ?3 WHERE id = ?1 AND ended_at IS NULL",
                params![id, who, now.0],
            )
            .map_err(StoreError::doing("end a round"))?;
        if changed == 0 {
            return Err(CommandError::NotFound { what: "open round", id: id.to_string() });
        }
        transaction.commit().map_err(StoreError::doing("commit the end of a round"))?;
        Ok(())
    }

    /// Adds a photo to an alert; gives its number.
    pub fn add_photo(&mut self, new: &NewPhoto, now: TimestampMs) -> Outcome<i64> {
        let transaction = self.transaction()?;
        let alert = read::alert(&transaction, new.alert)?;
        let alert =
            alert.ok_or_else(|| CommandError::NotFound { what: "alert", id: new.alert.0.to_string() })?;
        transaction
            .execute(
                "INSERT INTO alert_photo (alert_id, at, who, photo) VALUES (?1, ?2, ?3, ?4)",
                params![new.alert.0 as i64, now.0, new.who, new.photo],
            )
            .map_err(StoreError::doing("write a photo"))?;
        let id = transaction.last_insert_rowid();
        transaction.commit().map_err(StoreError::doing("commit a photo"))?;
        // Who looks at the alert sees it at once.
        self.shared.feed.publish(Committed { alerts: vec![alert], ..Committed::default() });
        Ok(id)
    }
}
