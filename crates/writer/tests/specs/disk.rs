//! Disks that fail, as plans of which statements do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sanimon_store::{Call, DiskFault, Faults};

use crate::site::Site;

pub(crate) const FULL: DiskFault = DiskFault { code: 13, is_applied: false };
pub(crate) const IO: DiskFault = DiskFault { code: 10, is_applied: false };
/// Of a commit: it reaches the disk, and answers with an error.
pub(crate) const APPLIED: DiskFault = DiskFault { code: 10, is_applied: true };
/// The same again would fail again.
pub(crate) const CONSTRAINT: DiskFault = DiskFault { code: 19, is_applied: false };
pub(crate) const CORRUPT: DiskFault = DiskFault { code: 11, is_applied: false };

impl Site {
    /// Which statements fail from now on.
    pub(crate) fn fails(&mut self, plan: impl FnMut(Call) -> Option<DiskFault> + Send + 'static) {
        self.file_mut().set_faults(Faults::plan(plan));
    }

    /// Nothing fails any more.
    pub(crate) fn heals(&mut self) {
        self.file_mut().set_faults(Faults::default());
    }
}

/// The disk is full at the next commits, so many times.
pub(crate) fn full_at_commits(mut times: u32) -> impl FnMut(Call) -> Option<DiskFault> + Send {
    move |call| {
        let fails = call == Call::Commit && times > 0;
        times -= u32::from(fails);
        fails.then_some(FULL)
    }
}

/// The disk is gone from the commit on: the file cannot even be asked whether that is stored.
pub(crate) fn gone_from_the_commit(fault: DiskFault) -> impl FnMut(Call) -> Option<DiskFault> + Send {
    let mut is_gone = false;
    move |call| {
        is_gone |= call == Call::Commit;
        is_gone.then_some(fault)
    }
}

/// The statement at this place fails, of those that count; and whether there was one.
pub(crate) fn fails_once_at(
    place: usize,
    fault: DiskFault,
    counts: impl Fn(Call) -> bool + Send,
) -> (impl FnMut(Call) -> Option<DiskFault> + Send, Arc<AtomicBool>) {
    let has_failed = Arc::new(AtomicBool::new(false));
    let (mut met, told) = (0, has_failed.clone());
    let plan = move |call| {
        if !counts(call) {
            return None;
        }
        met += 1;
        let fails = met == place + 1;
        told.fetch_or(fails, Ordering::Relaxed);
        fails.then_some(fault)
    };
    (plan, has_failed)
}
