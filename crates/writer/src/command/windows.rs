//! Maintenance windows and snoozes.

use sanimon_alerting::Input;
use sanimon_store::NewWindow;

use super::{Done, Execution, Stopped, found};

/// Begins a maintenance window, or plans one.
#[derive(Debug, Clone)]
pub struct PutWindow(pub NewWindow);

/// Ends a window now.
#[derive(Debug, Clone)]
pub struct EndWindow {
    pub id: i64,
}

impl PutWindow {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let id = work.tx.insert_window(&self.0, work.now)?;
        apply_windows(work)?;
        Ok(Done::Number(id))
    }
}

impl EndWindow {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let is_ended = work.tx.end_window(self.id, work.who(), work.now)?;
        found(is_ended, "maintenance window that is not over", &self.id)?;
        apply_windows(work)?;
        Ok(Done::Nothing)
    }
}

/// Tells the engine which windows there are, and stores what follows from it.
fn apply_windows(work: &mut Execution<'_>) -> Result<(), Stopped> {
    let now = work.now;
    // Also those that are over, for readings that come late.
    let windows = work.tx.windows_from(now.minus_ms(work.late_ms))?;
    let mut effects = Vec::new();
    work.engine().apply(now, Input::Windows(&windows), &mut effects);
    work.store_effects(&effects)
}
