//! Rounds of collection, and photos of work.

use sanimon_store::{NewPhoto, NewRound, StopMark};

use super::{Done, Execution, Refusal, Stopped, found};

/// Stores a round; answers its number.
#[derive(Debug, Clone)]
pub struct PutRound(pub NewRound);

/// What somebody says of a stop; what is said last counts.
#[derive(Debug, Clone)]
pub struct MarkStop(pub StopMark);

/// Ends a round: what is open stays open, for the next plan.
#[derive(Debug, Clone)]
pub struct EndRound {
    pub id: i64,
}

/// Adds a photo to an alert; answers its number.
#[derive(Debug, Clone)]
pub struct AddPhoto(pub NewPhoto);

impl PutRound {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        Ok(Done::Number(work.tx.insert_round(&self.0, work.now)?))
    }
}

impl MarkStop {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let is_marked = work.tx.mark_stop(&self.0, work.now)?;
        found(is_marked, "stop", &format!("{} of round {}", self.0.n, self.0.round))?;
        Ok(Done::Nothing)
    }
}

impl EndRound {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let is_ended = work.tx.end_round(self.id, work.who(), work.now)?;
        found(is_ended, "open round", &self.id)?;
        Ok(Done::Nothing)
    }
}

impl AddPhoto {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let not_found = || Refusal::NotFound { what: "alert", id: self.0.alert.0.to_string() };
        let alert = work.cases.read(self.0.alert)?.ok_or_else(not_found)?;
        let id = work.tx.insert_photo(&self.0, work.now)?;
        // Who looks at the alert sees it at once.
        work.cases.changed.insert(alert.id, alert);
        Ok(Done::Number(id))
    }
}
