//! The reading side: snapshots on connections of their own. WAL lets them read while the writer writes.

mod access;
mod alerts;
mod conduct;
mod engine;
mod pool;
mod rows;
mod setup;
mod telemetry;

pub(crate) use access::{account, account_of_subject, accounts, credentials, session, token, tokens};
pub use alerts::AlertFilter;
pub(crate) use alerts::{alert, alerts, alerts_between, steps};
pub(crate) use conduct::{
    due_messages, message_counts, messages, open_alert_at, place_codes, place_of, report, report_photo,
    reports_of, rules_versions, windows, zone_of_report,
};
pub use engine::{EngineMemory, RememberedLevel};
pub(crate) use pool::ReaderPool;
pub(crate) use rows::{device, device_event, doubted, last_known, meta, quarantine, zone};
pub(crate) use setup::{audit, photo, photos_of, round_of, rounds};
pub use telemetry::WindowQuery;
pub(crate) use telemetry::{Sums, WindowPlan};

/// A page of a longer list: the items, and where the next page begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Pass it on as it is; `None` when this was the last page.
    pub next_cursor: Option<i64>,
}

impl<T> Page<T> {
    /// From a query that asked for one row more than the page holds.
    pub(crate) fn of(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> i64) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = if more { items.last().map(cursor) } else { None };
        Self { items, next_cursor }
    }
}
