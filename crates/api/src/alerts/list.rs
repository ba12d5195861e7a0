//! The list of alerts, page by page, and how many are open.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sanimon_domain::{Condition, DeviceKind, Handling, RuleId, Severity, TimestampMs, metric};
use sanimon_store::{AlertCursor, AlertFilter, AlertOrder};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::device_number;
use crate::access::User;
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::{AlertBody, instant, words};

const PAGE_DEFAULT: usize = 100;
/// A thousand alerts are a megabyte of JSON. It stands in the document, too: see `limit`.
pub(crate) const PAGE_MAX: usize = 1_000;

/// Which alerts. Lists of words are separated by commas.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertQuery {
    /// `active`, `cleared`
    condition: Option<String>,
    /// `new`, `acknowledged`, ...
    handling: Option<String>,
    /// `critical`, `major`, `minor`, `warning`
    severity: Option<String>,
    /// Zone ids.
    zone: Option<String>,
    /// Teams or persons whose alerts they are.
    team: Option<String>,
    /// A device's id.
    device: Option<String>,
    /// `bin`, `drain`, `toilet`: about devices of these kinds.
    kind: Option<String>,
    /// Metrics that the alerts are about.
    metric: Option<String>,
    /// Ids of rules.
    rule: Option<String>,
    /// RFC 3339: open at some time from here on.
    from: Option<String>,
    /// RFC 3339: raised before this.
    to: Option<String>,
    /// `newest` (if left out): the newest first. `urgent`: the worst severity first, then those that were raised first.
    sort: Option<String>,
    /// `next_cursor` of the page before, as it is. It belongs to the order in which it was given.
    cursor: Option<String>,
    /// 1 to 1000; 100 if left out. More is refused.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertPage {
    items: Vec<AlertBody>,
    /// Null: this is the last page. An alert that stays as it is while the pages are read is on one of them, once. One that
    /// becomes more or less severe meanwhile may be missing or there twice in the order `urgent`: the live events tell of it.
    next_cursor: Option<String>,
    /// How many alerts fit, on all pages.
    total: u64,
    /// Open alerts (`condition=active`) are all counted. Otherwise the newest 20,000 alerts are looked at; false: there are
    /// older ones, of which more may fit.
    total_is_exact: bool,
}

impl AlertPage {
    const EMPTY: Self = Self { items: Vec::new(), next_cursor: None, total: 0, total_is_exact: true };
}

/// Alerts, the newest first, or the most urgent.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertQuery), responses(
    (status = 200, body = AlertPage), (status = 400, body = Problem), (status = 401, body = Problem),
))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    user: User,
    query: Result<Query<AlertQuery>, QueryRejection>,
) -> Result<Json<AlertPage>, Problem> {
    let Query(query) = query?;
    let limit = query.limit()?;
    let (order, after) = query.place()?;
    let Some(filter) = query.filter(&state, &user)? else { return Ok(Json(AlertPage::EMPTY)) };
    let list = state.read(move |shared| shared.alert_list(&filter, order, after, limit)).await?;
    let directory = state.shared.directory.read();
    Ok(Json(AlertPage {
        items: list.items.iter().map(|alert| AlertBody::new(alert, &directory)).collect(),
        next_cursor: list.next.map(cursor_text),
        total: list.total,
        total_is_exact: list.total_is_exact,
    }))
}

impl AlertQuery {
    /// A list that is shorter than was asked for would be taken for the whole: too much is refused.
    fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(PAGE_DEFAULT),
            Some(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
            Some(limit) => {
                let text =
                    format!("`limit` is {limit}: it is 1 to {PAGE_MAX}; `next_cursor` leads to the rest");
                Err(Problem::bad_request(text))
            }
        }
    }

    /// The order, and after which alert the page begins.
    fn place(&self) -> Result<(AlertOrder, Option<AlertCursor>), Problem> {
        let order = match self.sort.as_deref() {
            None | Some("newest") => AlertOrder::Newest,
            Some("urgent") => AlertOrder::Urgent,
            Some(word) => {
                return Err(Problem::bad_request(format!("`sort` is `{word}`: it is `newest` or `urgent`")));
            }
        };
        let Some(text) = self.cursor.as_deref() else { return Ok((order, None)) };
        let unknown = || {
            let text = "`cursor` is none that was given: pass `next_cursor` of the page before as it is";
            Problem::bad_request(text)
        };
        let cursor = parse_cursor(text).ok_or_else(unknown)?;
        if cursor.order() != order {
            let text =
                "`cursor` was given in another order: leave `sort` as it was, or begin without a cursor";
            return Err(Problem::bad_request(text));
        }
        Ok((order, Some(cursor)))
    }

    /// `None`: the account sees none of the zones.
    fn filter(self, state: &ApiState, user: &User) -> Result<Option<AlertFilter>, Problem> {
        let device = self.device.as_deref().map(|id| device_number(state, id)).transpose()?;
        let asked = words(self.zone.as_deref(), "zone", |zone| Some(zone.to_owned()))?;
        let Some(zones) = user.zones_of(asked) else { return Ok(None) };
        Ok(Some(AlertFilter {
            conditions: words(self.condition.as_deref(), "condition", Condition::parse)?,
            handlings: words(self.handling.as_deref(), "handling", Handling::parse)?,
            severities: words(self.severity.as_deref(), "severity", Severity::parse)?,
            zones,
            assignees: words(self.team.as_deref(), "team", |team| Some(team.to_owned()))?,
            device,
            kinds: words(self.kind.as_deref(), "kind", DeviceKind::parse)?,
            metrics: words(self.metric.as_deref(), "metric", metric::by_name)?,
            rules: words(self.rule.as_deref(), "rule", |rule| RuleId::new(rule).ok())?,
            from: instant(self.from.as_deref(), "from")?,
            to: instant(self.to.as_deref(), "to")?,
            before: None,
        }))
    }
}

/// A cursor as clients carry it: the order's name, then what the order goes by.
fn cursor_text(cursor: AlertCursor) -> String {
    match cursor {
        AlertCursor::Newest { id } => format!("newest.{id}"),
        AlertCursor::Urgent { severity, raised_at, id } => format!("urgent.{severity}.{}.{id}", raised_at.0),
    }
}

fn parse_cursor(text: &str) -> Option<AlertCursor> {
    let parts: Vec<&str> = text.split('.').collect();
    match parts[..] {
        ["newest", id] => Some(AlertCursor::Newest { id: id.parse().ok()? }),
        ["urgent", severity, raised_at, id] => Some(AlertCursor::Urgent {
            severity: Severity::parse(severity)?,
            raised_at: TimestampMs(raised_at.parse().ok()?),
            id: id.parse().ok()?,
        }),
        _ => None,
    }
}

/// How many alerts are open in the account's zones.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertCounts {
    total: u64,
    by_severity: SeverityCounts,
    /// Those that nobody has taken on: their handling is `new`.
    unacknowledged: u64,
    /// Those for which somebody has not done the next thing by when it was promised.
    overdue: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeverityCounts {
    critical: u64,
    major: u64,
    minor: u64,
    warning: u64,
}

/// How many alerts are open: all are counted, also those that a list leaves out.
#[utoipa::path(get, path = "/api/v1/alerts/counts", tag = "alerts", responses(
    (status = 200, body = AlertCounts), (status = 401, body = Problem),
))]
pub(crate) async fn counts(State(state): State<ApiState>, user: User) -> Result<Json<AlertCounts>, Problem> {
    let (zones, now) = (user.own_zones(), state.now());
    let counts = state.read(move |shared| shared.open_alert_counts(&zones, now)).await?;
    let of = |severity| counts.by_severity.get(&severity).copied().unwrap_or(0);
    Ok(Json(AlertCounts {
        total: counts.total(),
        by_severity: SeverityCounts {
            critical: of(Severity::Critical),
            major: of(Severity::Major),
            minor: of(Severity::Minor),
            warning: of(Severity::Warning),
        },
        unacknowledged: counts.unacknowledged,
        overdue: counts.overdue,
    }))
}
