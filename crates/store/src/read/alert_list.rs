//! Lists of alerts in an order, page by page, and how many there are.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use sanimon_domain::{
    AlertId, Condition, DeviceKind, DeviceNo, Handling, MetricNo, RuleId, Severity, TimestampMs,
};

use super::Page;
use super::alerts::{COLUMNS, understood};
use crate::damage::Damage;
use crate::error::{Result, StoreError};
use crate::model::Alert;

/// Of alerts that are not only open ones, so many of the newest are looked at to count those that fit: two milliseconds, as long
/// as reading a page takes. Open ones are all counted: a town has so many at most as it has devices and rules.
pub(crate) const COUNTED_MAX: i64 = 20_000;

/// Which alerts; an empty list selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    pub conditions: Vec<Condition>,
    pub handlings: Vec<Handling>,
    pub severities: Vec<Severity>,
    pub zones: Vec<String>,
    /// Teams or persons whose alerts are wanted.
    pub assignees: Vec<String>,
    pub device: Option<DeviceNo>,
    pub kinds: Vec<DeviceKind>,
    pub metrics: Vec<MetricNo>,
    pub rules: Vec<RuleId>,
    /// Open at some time from here on.
    pub from: Option<TimestampMs>,
    /// Raised before this.
    pub to: Option<TimestampMs>,
    /// Alerts with a smaller number.
    pub before: Option<i64>,
}

/// In which order alerts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlertOrder {
    /// The newest first.
    #[default]
    Newest,
    /// The worst severity first, then those that were raised first.
    Urgent,
}

/// The last alert of a page: the next one begins after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertCursor {
    Newest { id: i64 },
    Urgent { severity: Severity, raised_at: TimestampMs, id: i64 },
}

impl AlertCursor {
    pub const fn order(self) -> AlertOrder {
        match self {
            Self::Newest { .. } => AlertOrder::Newest,
            Self::Urgent { .. } => AlertOrder::Urgent,
        }
    }

    fn of(alert: &Alert, order: AlertOrder) -> Self {
        let Alert { id: AlertId(id), severity, raised_at, .. } = *alert;
        let id = id as i64;
        match order {
            AlertOrder::Newest => Self::Newest { id },
            AlertOrder::Urgent => Self::Urgent { severity, raised_at, id },
        }
    }
}

/// A page of alerts, with how many there are in all.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertList {
    pub items: Vec<Alert>,
    /// `None`: this was the last page.
    pub next: Option<AlertCursor>,
    /// How many fit the filter, on all pages.
    pub total: u64,
    /// False: there may be more, among alerts too old to be counted.
    pub total_is_exact: bool,
}

/// How many alerts are open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenAlertCounts {
    /// Without the severities that have none.
    pub by_severity: BTreeMap<Severity, u64>,
    /// Those that nobody has taken on.
    pub unacknowledged: u64,
    /// Those whose next promise is past.
    pub overdue: u64,
}

impl OpenAlertCounts {
    pub fn total(&self) -> u64 {
        self.by_severity.values().sum()
    }
}

/// Conditions of a query with their values.
struct Selection {
    sql: String,
    values: Vec<Value>,
}

impl Selection {
    fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }

    /// The column, or the query in which `?` stands for all of them, has one of these values; none: any.
    fn one_of(&mut self, sql: &str, values: impl ExactSizeIterator<Item = Value>) {
        if values.len() > 0 {
            let places = vec!["?"; values.len()].join(",");
            self.add(&sql.replace('?', &places), values);
        }
    }

    fn without(&mut self, alerts: &[i64]) {
        self.one_of("id NOT IN (?)", alerts.iter().map(|id| (*id).into()));
    }

    fn after(&mut self, cursor: AlertCursor) {
        match cursor {
            AlertCursor::Newest { id } => self.add("id < ?", [id.into()]),
            AlertCursor::Urgent { severity, raised_at, id } => {
                // The first condition is the index's; a comparison of rows alone would begin at the top each time.
                let urgency = urgency(severity);
                self.add("severity_rank >= ?", [urgency.into()]);
                let place = [urgency.into(), raised_at.0.into(), id.into()];
                self.add("(severity_rank, raised_at, id) > (?, ?, ?)", place);
            }
        }
    }
}

/// As the column `severity_rank` has it.
const fn urgency(severity: Severity) -> i64 {
    Severity::Critical as i64 - severity as i64
}

impl AlertFilter {
    /// Whether only open alerts are wanted: then indexes of open alerts serve.
    fn is_open_only(&self) -> bool {
        self.conditions == [Condition::Active]
    }

    fn selection(&self) -> Selection {
        let text = |word: &str| Value::Text(word.to_owned());
        let mut selection = Selection { sql: "1".to_owned(), values: Vec::new() };
        if self.is_open_only() {
            // As it stands in the indexes: SQLite does not see it in a value that is bound later.
            selection.add("condition = 'active'", []);
        } else {
            selection.one_of("condition IN (?)", self.conditions.iter().map(|c| text(c.as_str())));
        }
        selection.one_of("handling IN (?)", self.handlings.iter().map(|h| text(h.as_str())));
        selection.one_of("severity IN (?)", self.severities.iter().map(|s| text(s.as_str())));
        selection.one_of("assignee IN (?)", self.assignees.iter().map(|who| text(who)));
        selection.one_of("rule_id IN (?)", self.rules.iter().map(|rule| text(rule.as_str())));
        selection.one_of("zone IN (?)", self.zones.iter().map(|zone| text(zone)));
        selection.one_of(
            "device_no IN (SELECT no FROM device WHERE kind IN (?))",
            self.kinds.iter().map(|kind| text(kind.as_str())),
        );
        selection.one_of("metric_no IN (?)", self.metrics.iter().map(|metric| i64::from(metric.0).into()));
        if let Some(from) = self.from {
            selection.add("(cleared_at IS NULL OR cleared_at >= ?)", [from.0.into()]);
        }
        if let Some(to) = self.to {
            selection.add("raised_at < ?", [to.0.into()]);
        }
        if let Some(device) = self.device {
            selection.add("device_no = ?", [i64::from(device.0).into()]);
        }
        if let Some(before) = self.before {
            selection.add("id < ?", [before.into()]);
        }
        selection
    }
}

/// The query of a page, and its values.
pub(crate) fn page_query(
    filter: &AlertFilter,
    (order, after): (AlertOrder, Option<AlertCursor>),
    limit: usize,
) -> (String, Vec<Value>) {
    let mut selection = filter.selection();
    if let Some(after) = after {
        selection.after(after);
    }
    debug_assert!(after.is_none_or(|after| after.order() == order), "a cursor of another order");
    let order = match order {
        AlertOrder::Newest => "id DESC".to_owned(),
        AlertOrder::Urgent => "severity_rank, raised_at, id".to_owned(),
    };
    let Selection { sql, mut values } = selection;
    values.push(Value::Integer(limit as i64));
    (format!("SELECT {COLUMNS} FROM alert WHERE {sql} ORDER BY {order} LIMIT ?"), values)
}

/// The first rows of a page that can be understood: those that cannot be take nobody's place.
fn rows(
    connection: &Connection,
    damage: &Damage,
    (filter, place): (&AlertFilter, (AlertOrder, Option<AlertCursor>)),
    limit: usize,
) -> Result<Vec<Alert>> {
    let doing = || StoreError::doing("read alerts");
    let mut asked = limit;
    loop {
        let (sql, values) = page_query(filter, place, asked);
        let mut statement = connection.prepare_cached(&sql).map_err(doing())?;
        let (mut rows, mut found) = (statement.query(params_from_iter(values)).map_err(doing())?, 0);
        let mut alerts = Vec::new();
        while let Some(row) = rows.next().map_err(doing())? {
            found += 1;
            alerts.extend(understood(row, damage).map_err(doing())?);
        }
        if alerts.len() >= limit || found < asked {
            alerts.truncate(limit);
            return Ok(alerts);
        }
        asked = limit + (found - alerts.len());
    }
}

/// The newest alerts first.
pub(crate) fn alerts(
    connection: &Connection,
    damage: &Damage,
    filter: &AlertFilter,
    limit: usize,
) -> Result<Page<Alert>> {
    let items = rows(connection, damage, (filter, (AlertOrder::Newest, None)), limit + 1)?;
    Ok(Page::of(items, limit, |alert: &Alert| alert.id.0 as i64))
}

/// A page in this order that begins after the cursor. The page and the count are of the same moment.
pub(crate) fn alert_list(
    connection: &Connection,
    damage: &Damage,
    filter: &AlertFilter,
    (order, after): (AlertOrder, Option<AlertCursor>),
    limit: usize,
) -> Result<AlertList> {
    let snapshot = connection.unchecked_transaction().map_err(StoreError::doing("read alerts"))?;
    let mut items = rows(&snapshot, damage, (filter, (order, after)), limit + 1)?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(|last| AlertCursor::of(last, order));
    let (total, total_is_exact) = total(&snapshot, filter, &damage.alerts())?;
    Ok(AlertList { items, next, total, total_is_exact })
}

/// How many fit, and whether that is all of them. `damaged`: they are in no list.
fn total(connection: &Connection, filter: &AlertFilter, damaged: &[i64]) -> Result<(u64, bool)> {
    let doing = || StoreError::doing("count alerts");
    let number = |sql: &str, values: Vec<Value>| {
        let mut statement = connection.prepare_cached(sql).map_err(doing())?;
        statement.query_row(params_from_iter(values), |row| row.get::<_, i64>(0)).map_err(doing())
    };
    let mut selection = filter.selection();
    selection.without(damaged);
    let mut is_exact = true;
    if !filter.is_open_only() {
        let newest = number("SELECT coalesce(max(id), 0) FROM alert", Vec::new())?;
        let floor = newest - COUNTED_MAX;
        is_exact = number("SELECT NOT EXISTS (SELECT 1 FROM alert WHERE id <= ?)", vec![floor.into()])? == 1;
        selection.add("id > ?", [floor.into()]);
    }
    let Selection { sql, values } = selection;
    Ok((number(&format!("SELECT count(*) FROM alert WHERE {sql}"), values)? as u64, is_exact))
}

/// By when somebody has promised the next thing; null: no clock runs. The console reckons the same (`promise` in `board.ts`).
const PROMISED_BY: &str = "CASE \
    WHEN handling IN ('new', 'reopened') AND acknowledge_by IS NOT NULL THEN acknowledge_by \
    WHEN handling NOT IN ('new', 'reopened', 'acknowledged', 'dispatched') THEN NULL \
    WHEN arrived_at IS NULL AND arrive_by IS NOT NULL THEN arrive_by \
    ELSE resolve_by END";

/// The query of the counts, and its values. `alert_urgent` holds all that it reads.
pub(crate) fn counts_query(zones: &[String], now: TimestampMs, damaged: &[i64]) -> (String, Vec<Value>) {
    let conditions = vec![Condition::Active];
    let filter = AlertFilter { conditions, zones: zones.to_owned(), ..AlertFilter::default() };
    let mut selection = filter.selection();
    selection.without(damaged);
    let Selection { sql, values } = selection;
    let sql = format!(
        "SELECT severity_rank AS urgency, count(*) AS open, count(*) FILTER (WHERE handling = 'new') AS waiting, \
         count(*) FILTER (WHERE {PROMISED_BY} < ?) AS overdue FROM alert WHERE {sql} GROUP BY urgency"
    );
    (sql, std::iter::once(Value::Integer(now.0)).chain(values).collect())
}

/// Of the open alerts in these zones; none: in all.
pub(crate) fn alert_counts(
    connection: &Connection,
    damage: &Damage,
    zones: &[String],
    now: TimestampMs,
) -> Result<OpenAlertCounts> {
    let doing = || StoreError::doing("count alerts");
    let (sql, values) = counts_query(zones, now, &damage.alerts());
    let mut statement = connection.prepare_cached(&sql).map_err(doing())?;
    let mut rows = statement.query(params_from_iter(values)).map_err(doing())?;
    let mut counts = OpenAlertCounts::default();
    while let Some(row) = rows.next().map_err(doing())? {
        let number = |name: &str| row.get::<_, i64>(name).map_err(doing());
        let place = number("urgency")?;
        let severity = Severity::ALL.iter().find(|severity| urgency(**severity) == place);
        counts.by_severity.insert(*severity.expect("each place is a severity's"), number("open")? as u64);
        counts.unacknowledged += number("waiting")? as u64;
        counts.overdue += number("overdue")? as u64;
    }
    Ok(counts)
}
