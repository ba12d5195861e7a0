//! What managers review: the measures of each zone, team or kind beside those of the time before, and a score with its parts.

mod table;
mod wasted;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sanimon_domain::collection::Emptied;
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{DeviceKind, DeviceNo, LocalDay, Severity, StepKind, TimestampMs, ZoneId};
use sanimon_operations::Teams;
use sanimon_operations::measures::{
    Case, Fleet, GOALS, Goal, Measures, Quantiles, Span, measure, parts, score,
};
use sanimon_store::{Alert, Device, DeviceState, DirectoryState, Step};
use sanimon_writer::REPORT_RULE;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::User;
use crate::duties::team_of;
use crate::error::Problem;
use crate::state::ApiState;
use crate::telemetry;
use crate::trends::GroupBy;

/// Longer spans are asked for in parts.
const SPAN_MS_MAX: i64 = 400 * DAY_MS;

/// Which measures.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MeasureQuery {
    /// RFC 3339; 30 days before `to` if left out.
    from: Option<String>,
    /// RFC 3339; now if left out. Not included.
    to: Option<String>,
    /// `zone` (if left out), `team`, `kind`, `device`
    group_by: Option<String>,
    /// `json` (if left out), `csv` or `xlsx`
    format: Option<String>,
}

/// Half and nine tenths of the cases took at most so long.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuantilesBody {
    median_min: f64,
    p90_min: f64,
}

/// Null: there was nothing to measure.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeasuresBody {
    /// Raised in the span.
    alerts: usize,
    /// Hours of all bins at the critical level.
    overflow_h: Option<f64>,
    /// The same as a share of all bins' time.
    overflow_share: Option<f64>,
    flood_min: Option<f64>,
    /// Share of the toilets' hours within the limits of their smells.
    odour_kept: Option<f64>,
    /// Share of the devices' hours in which they were not silent.
    available: Option<f64>,
    acknowledge: Option<QuantilesBody>,
    arrive: Option<QuantilesBody>,
    resolve: Option<QuantilesBody>,
    /// Share of the deadlines in the span that were kept.
    deadlines_kept: Option<f64>,
    /// Share of resolved cases that came back.
    reopened: Option<f64>,
    /// Cases that residents opened.
    reports: usize,
    /// The same for a thousand inhabitants.
    reports_per_1000: Option<f64>,
    /// Share of emptyings of bins that were less than 40 % full.
    wasted: Option<f64>,
}

/// What the site wants of a measure.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GoalBody {
    /// `overflow_pct`, `acknowledge_min`, ...: see `[goals]` in teams.toml.
    measure: String,
    value: f64,
    /// False: at most.
    at_least: bool,
}

/// A part of a score.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartBody {
    /// `overflow`, `deadlines`, `odour`, `flood`, `available`
    name: String,
    /// 0 to 100
    points: f64,
    weight: f64,
}

/// A group's measures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeasuredGroup {
    /// The zone, team or kind; null: what has none.
    group: Option<String>,
    devices: usize,
    /// 0 to 100; null: nothing to measure.
    score: Option<f64>,
    parts: Vec<PartBody>,
    now: MeasuresBody,
    /// Of the span of the same length before; null: the site is younger than that.
    before: Option<MeasuresBody>,
    score_before: Option<f64>,
}

/// A day of the site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeasuredDay {
    /// `2026-03-01`
    day: String,
    alerts: usize,
    overflow_h: f64,
    /// Median, in minutes.
    acknowledge_min: Option<f64>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeasureAnswer {
    from: String,
    to: String,
    /// All devices as one.
    all: MeasuredGroup,
    /// In the order of their names.
    groups: Vec<MeasuredGroup>,
    /// The site's days in the span.
    days: Vec<MeasuredDay>,
    goals: Vec<GoalBody>,
}

/// A case and the group that it counts to.
struct Grouped {
    case: Case,
    group: Option<String>,
}

/// The measures of the domain by zone, team or kind, beside those of the time before.
#[utoipa::path(get, path = "/api/v1/measures", tag = "trends", params(MeasureQuery), responses(
    (status = 200, body = MeasureAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
))]
pub(crate) async fn measures(
    State(state): State<ApiState>,
    user: User,
    query: Result<Query<MeasureQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let (from, to) = telemetry::range(query.from.as_deref(), query.to.as_deref(), state.now(), 30 * DAY_MS)?;
    if to.since_ms(from) > SPAN_MS_MAX {
        return Err(Problem::bad_request("a span has at most 400 days"));
    }
    let group_by = GroupBy::parse(Some(query.group_by.as_deref().unwrap_or("zone")))?;
    let span = Span { from, to };
    let found = state.read(move |shared| shared.alerts_between(span.before().from, to)).await?;
    let operations = state.shared.standing.operations();
    let (cases, fleets, bins, is_old_enough) = {
        let directory = state.shared.directory.read();
        let group_by = Grouping {
            by: group_by,
            duties: operations.as_ref().map(|operations| &operations.teams),
            directory: &directory,
            user: &user,
        };
        let first = directory.devices().iter().map(|device| device.first_seen_at).min();
        let of_kind = |device: &&Arc<Device>| device.kind == DeviceKind::Bin && group_by.counts(device);
        let bins = directory.devices().iter().filter(of_kind).map(|device| (device.no, group_by.of(device)));
        let bins: Vec<(DeviceNo, Option<String>)> = bins.collect();
        let cases: Vec<Grouped> = found
            .into_iter()
            .filter(|(alert, _)| user.sees(alert.zone.as_ref()))
            .map(|(alert, steps)| grouped(&alert, &steps, &group_by))
            .collect();
        (cases, fleets(&group_by), bins, first.is_some_and(|first| first <= span.before().from))
    };
    let emptied = state.read(move |shared| wasted::read(shared, &bins, span)).await?;
    let mut whole =
        Fleet { inhabitants: inhabitants(&state.shared.directory.read(), &user, None), ..Fleet::default() };
    fleets.values().for_each(|fleet| {
        whole.bins += fleet.bins;
        whole.drains += fleet.drains;
        whole.toilets += fleet.toilets;
    });
    let every: Vec<&Case> = cases.iter().map(|grouped| &grouped.case).collect();
    // Parted once: with a group for each device, looking through all cases for each would be their product.
    let mut by_group: BTreeMap<&Option<String>, Vec<&Case>> = BTreeMap::new();
    cases.iter().for_each(|grouped| by_group.entry(&grouped.group).or_default().push(&grouped.case));
    let every_emptied: Vec<Emptied> = emptied.values().flatten().copied().collect();
    let all = group(None, whole, (span, is_old_enough), &every, &every_emptied);
    let groups: Vec<MeasuredGroup> = fleets
        .into_iter()
        .map(|(name, fleet)| {
            let own = by_group.get(&name).map(Vec::as_slice).unwrap_or_default();
            let emptied = emptied.get(&name).map(Vec::as_slice).unwrap_or_default();
            group(name, fleet, (span, is_old_enough), own, emptied)
        })
        .collect();
    let days = days(&state, span, whole, &cases);
    let goals = operations.as_ref().map(|operations| goals(&operations.teams)).unwrap_or_default();
    let answer = MeasureAnswer { from: from.to_string(), to: to.to_string(), all, groups, days, goals };
    answered(&answer, query.format.as_deref())
}

/// The answer in the form that was asked for.
fn answered(answer: &MeasureAnswer, format: Option<&str>) -> Result<Response, Problem> {
    let file = |kind: &'static str, name: &'static str, bytes: Vec<u8>| {
        let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
        (headers, bytes).into_response()
    };
    match format {
        None | Some("json") => Ok(Json(answer).into_response()),
        Some("csv") => {
            let name = "attachment; filename=\"measures.csv\"";
            Ok(file("text/csv; charset=utf-8", name, table::csv(answer).into_bytes()))
        }
        Some("xlsx") => {
            let book = table::xlsx(answer).map_err(Problem::internal)?;
            let kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
            Ok(file(kind, "attachment; filename=\"measures.xlsx\"", book))
        }
        Some(other) => Err(Problem::bad_request(format!("`format` is `{other}`: write json, csv or xlsx"))),
    }
}

fn goals(duties: &Teams) -> Vec<GoalBody> {
    let goal = |goal: &Goal| {
        let at_least = GOALS.iter().any(|(name, more)| *name == goal.measure && *more);
        GoalBody { measure: goal.measure.to_owned(), value: goal.value, at_least }
    };
    duties.goals.iter().map(goal).collect()
}

/// Who live in a zone, or in all of them.
fn inhabitants(directory: &DirectoryState, user: &User, zone: Option<&str>) -> u64 {
    let is_meant = |id: &ZoneId| user.sees(Some(id)) && zone.is_none_or(|zone| id.as_str() == zone);
    let own = directory.zones().iter().filter(|known| is_meant(&known.id));
    own.filter_map(|zone| zone.inhabitants).map(u64::from).sum()
}

/// By what is grouped, and all that says which group something is of.
struct Grouping<'a> {
    by: GroupBy,
    duties: Option<&'a Teams>,
    directory: &'a DirectoryState,
    /// Who asks: only what is theirs is counted.
    user: &'a User,
}

impl Grouping<'_> {
    fn counts(&self, device: &Device) -> bool {
        device.state != DeviceState::Retired && self.user.sees_device(device)
    }

    /// A device's group; its team is who is responsible for it today.
    fn of(&self, device: &Device) -> Option<String> {
        let (GroupBy::Team, Some(duties)) = (self.by, self.duties) else { return self.by.of(device) };
        Some(team_of(device, self.directory, duties).to_owned())
    }
}

fn fleets(grouping: &Grouping<'_>) -> BTreeMap<Option<String>, Fleet> {
    let mut fleets: BTreeMap<Option<String>, Fleet> = BTreeMap::new();
    let devices = grouping.directory.devices().iter().filter(|device| grouping.counts(device));
    devices.for_each(|device| fleets.entry(grouping.of(device)).or_default().add(device.kind));
    if matches!(grouping.by, GroupBy::Zone) {
        for (zone, fleet) in &mut fleets {
            fleet.inhabitants =
                zone.as_deref().map_or(0, |zone| inhabitants(grouping.directory, grouping.user, Some(zone)));
        }
    }
    fleets
}

fn grouped(alert: &Alert, steps: &[Step], grouping: &Grouping<'_>) -> Grouped {
    let device = alert.subject.device().and_then(|device| grouping.directory.device(device));
    let group = match (device, grouping.by) {
        // By where it was raised: a device may have moved.
        (_, GroupBy::Zone) => alert.zone.as_ref().map(ToString::to_string),
        (Some(device), _) => grouping.of(device),
        (None, _) => None,
    };
    let severity = |step: &Step| {
        matches!(step.kind, StepKind::Raised | StepKind::SeverityChanged).then_some((step.at, step.severity))
    };
    let severities: Vec<(TimestampMs, Severity)> = steps.iter().filter_map(severity).collect();
    let case = Case {
        kind: device.map(|device| device.kind),
        metric: alert.metric,
        is_report: alert.rule.as_str() == REPORT_RULE,
        raised_at: alert.raised_at,
        cleared_at: alert.cleared_at,
        acknowledged_at: alert.acknowledged_at,
        arrived_at: alert.arrived_at,
        resolved_at: alert.handled_at.into_iter().chain(alert.closed_at).min(),
        deadlines: alert.deadlines,
        severities,
        steps: steps.iter().map(|step| step.kind).collect(),
    };
    Grouped { case, group }
}

fn group(
    name: Option<String>,
    fleet: Fleet,
    (span, has_before): (Span, bool),
    cases: &[&Case],
    emptied: &[Emptied],
) -> MeasuredGroup {
    let now = measure(cases, emptied, fleet, span);
    let before = measure(cases, emptied, fleet, span.before());
    let own_parts = parts(&now, fleet, span);
    MeasuredGroup {
        group: name,
        devices: fleet.all(),
        score: score(&own_parts).map(round),
        score_before: score(&parts(&before, fleet, span.before())).filter(|_| has_before).map(round),
        parts: own_parts
            .into_iter()
            .map(|part| PartBody {
                name: part.name.to_owned(),
                points: round(part.points),
                weight: part.weight,
            })
            .collect(),
        now: body(&now),
        before: has_before.then(|| body(&before)),
    }
}

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn body(measures: &Measures) -> MeasuresBody {
    let quantiles = |found: Option<Quantiles>| {
        found
            .map(|found| QuantilesBody { median_min: round(found.median_min), p90_min: round(found.p90_min) })
    };
    MeasuresBody {
        alerts: measures.alerts,
        overflow_h: measures.overflow_h.map(round),
        overflow_share: measures.overflow_share.map(|share| (share * 1e6).round() / 1e6),
        flood_min: measures.flood_min.map(round),
        odour_kept: measures.odour_kept.map(round),
        available: measures.available.map(round),
        acknowledge: quantiles(measures.acknowledge),
        arrive: quantiles(measures.arrive),
        resolve: quantiles(measures.resolve),
        deadlines_kept: measures.deadlines_kept.map(round),
        reopened: measures.reopened.map(round),
        reports: measures.reports,
        reports_per_1000: measures.reports_per_1000.map(round),
        wasted: measures.wasted.map(round),
    }
}

fn days(state: &ApiState, span: Span, fleet: Fleet, cases: &[Grouped]) -> Vec<MeasuredDay> {
    let calendar = state.shared.calendar;
    let first = calendar.day_of(span.from);
    let last = calendar.day_of(span.to.minus_ms(1));
    (first.0..=last.0)
        .map(|day| {
            let day = LocalDay(day);
            let own = Span {
                from: calendar.start_of(day).max(span.from),
                to: calendar.start_of(day.plus(1)).min(span.to),
            };
            let is_near = |case: &&Case| {
                case.raised_at < own.to && case.cleared_at.is_none_or(|cleared| cleared >= own.from)
            };
            let near: Vec<&Case> = cases.iter().map(|grouped| &grouped.case).filter(is_near).collect();
            let measured = measure(&near, &[], fleet, own);
            MeasuredDay {
                day: day.iso(),
                alerts: measured.alerts,
                overflow_h: round(measured.overflow_h.unwrap_or_default()),
                acknowledge_min: measured.acknowledge.map(|found| round(found.median_min)),
            }
        })
        .collect()
}
