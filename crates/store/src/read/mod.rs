//! The reading side: snapshots on connections of their own. WAL lets them read while the writer writes.

mod access;
mod alert_list;
mod alerts;
mod conduct;
mod engine;
mod mqtt;
mod outbox;
mod rows;
mod setup;
mod telemetry;

pub(crate) use access::{account, account_of_subject, accounts, credentials, session, token, tokens};
pub use alert_list::{AlertCursor, AlertFilter, AlertList, AlertOrder, OpenAlertCounts};
#[cfg(test)]
pub(crate) use alert_list::{COUNTED_MAX, counts_query, page_query};
pub(crate) use alert_list::{alert_counts, alert_list, alerts};
pub(crate) use alerts::{alert, alerts_between, each_damaged, steps};
pub(crate) use conduct::{
    open_alert_at, place_codes, place_of, report, report_photo, reports_of, rules_versions, windows,
    zone_of_report,
};
pub use engine::{EngineMemory, RememberedLevel};
pub(crate) use mqtt::stored_sessions;
pub(crate) use outbox::{
    digest_messages, earlier_messages, message_counts, messages, next_message_due, visit_waiting,
    waiting_message,
};
pub(crate) use rows::{device_event, device_in_force, doubted, last_known, meta, quarantine, zone};
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
