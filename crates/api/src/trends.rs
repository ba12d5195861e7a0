//! Trends over many devices: is the town getting cleaner?

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{DeviceKind, DeviceNo};
use sanimon_store::{Device, DeviceState, WindowQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::User;
use crate::error::Problem;
use crate::state::ApiState;
use crate::telemetry;
use crate::wire::words;

/// Points in an answer at most, over all groups: 2,000 devices by day for four months.
const POINTS_MAX: u64 = 250_000;
/// Groups in an answer at most: more than the devices of a town.
const GROUPS_MAX: usize = 20_000;

/// Which trend.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrendQuery {
    metric: String,
    /// `bin`, `drain`, `toilet`, or several with commas.
    kind: Option<String>,
    /// Zones, separated by commas.
    zone: Option<String>,
    /// RFC 3339; 30 days before `to` if left out.
    from: Option<String>,
    /// RFC 3339; now if left out. The last window ends before it.
    to: Option<String>,
    /// A window's length, in the site's calendar: `15m`, `1h`, `1d` (if left out), `1w`, `1mo`.
    every: Option<String>,
    /// Over all readings of a group: `mean` (if left out), `min`, `max`, `sum`, `count`, `first`, `last`
    r#fn: Option<String>,
    /// `zone`, `kind`, `team`, `device`, or left out: all as one.
    group_by: Option<String>,
}

/// One line of the chart.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trend {
    /// The zone, kind, team or device; null: those that have none, or all when nothing was grouped.
    group: Option<String>,
    /// Devices in the group.
    devices: usize,
    /// `[start of the window in Unix milliseconds, value]`, ascending; a window without a reading is left out.
    #[schema(value_type = Vec<Vec<f64>>)]
    points: Vec<(i64, f64)>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrendAnswer {
    metric: String,
    unit: String,
    /// The window that was really used, such as `1d`.
    every: String,
    /// The window is longer than asked, for the answer would have had too many points.
    coarsened: bool,
    /// In the order of the groups' names. A group without a reading in the range has no points.
    trends: Vec<Trend>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum GroupBy {
    All,
    Zone,
    Kind,
    Team,
    Device,
}

impl GroupBy {
    pub(crate) fn parse(word: Option<&str>) -> Result<Self, Problem> {
        Ok(match word {
            None | Some("") => Self::All,
            Some("zone") => Self::Zone,
            Some("kind") => Self::Kind,
            Some("team") => Self::Team,
            Some("device") => Self::Device,
            Some(other) => {
                return Err(Problem::bad_request(format!(
                    "`group_by` is `{other}`: it is one of zone, kind, team and device"
                )));
            }
        })
    }

    pub(crate) fn of(self, device: &Device) -> Option<String> {
        match self {
            Self::All => None,
            Self::Zone => device.zone.as_ref().map(ToString::to_string),
            Self::Kind => Some(device.kind.to_string()),
            Self::Team => device.team.clone(),
            Self::Device => Some(device.id.to_string()),
        }
    }
}

/// A metric over many devices, in windows. Each group's value is taken over all readings of its devices.
#[utoipa::path(get, path = "/api/v1/trends", tag = "trends", params(TrendQuery), responses(
    (status = 200, body = TrendAnswer), (status = 400, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn trends(
    State(state): State<ApiState>,
    user: User,
    query: Result<Query<TrendQuery>, QueryRejection>,
) -> Result<Json<TrendAnswer>, Problem> {
    let Query(query) = query?;
    let (from, to) = telemetry::range(query.from.as_deref(), query.to.as_deref(), state.now(), 30 * DAY_MS)?;
    let asked = telemetry::window_of(query.every.as_deref().unwrap_or("1d"))?;
    let function = telemetry::function(query.r#fn.as_deref())?;
    let metric = telemetry::metric_number(&state, &query.metric)?;
    let groups = groups(&state, &user, &query)?;
    let points_max = POINTS_MAX / groups.len().max(1) as u64;
    let window = telemetry::fitting(asked, to.since_ms(from), points_max);

    let (names, devices): (Vec<Option<String>>, Vec<Vec<DeviceNo>>) = groups.into_iter().unzip();
    let counts: Vec<usize> = devices.iter().map(Vec::len).collect();
    let windows = state
        .read(move |shared| shared.windows(WindowQuery { metric, from, to, window, function }, &devices))
        .await?;
    let trends = names.into_iter().zip(counts).zip(windows).map(|((group, devices), windows)| Trend {
        group,
        devices,
        points: windows.into_iter().map(|point| (point.at.0, point.value)).collect(),
    });
    Ok(Json(TrendAnswer {
        unit: telemetry::unit(metric),
        metric: query.metric,
        every: window.to_string(),
        coarsened: window != asked,
        trends: trends.collect(),
    }))
}

/// The devices that are asked for, by their group.
fn groups(
    state: &ApiState,
    user: &User,
    query: &TrendQuery,
) -> Result<BTreeMap<Option<String>, Vec<DeviceNo>>, Problem> {
    let kinds = words(query.kind.as_deref(), "kind", DeviceKind::parse)?;
    let zones: Vec<String> = words(query.zone.as_deref(), "zone", |zone| Some(zone.to_owned()))?;
    let group_by = GroupBy::parse(query.group_by.as_deref())?;
    let directory = state.shared.directory.read();
    if let Some(unknown) =
        zones.iter().find(|zone| !directory.zones().iter().any(|known| known.id.as_str() == **zone))
    {
        return Err(Problem::not_found("zone", unknown));
    }
    let mut groups: BTreeMap<Option<String>, Vec<DeviceNo>> = BTreeMap::new();
    for device in directory.devices() {
        let is_wanted = device.state != DeviceState::Retired
            && user.sees_device(device)
            && (kinds.is_empty() || kinds.contains(&device.kind))
            && (zones.is_empty()
                || device.zone.as_ref().is_some_and(|z| zones.iter().any(|zone| zone == z.as_str())));
        if is_wanted {
            groups.entry(group_by.of(device)).or_default().push(device.no);
        }
    }
    if groups.len() > GROUPS_MAX {
        return Err(Problem::bad_request(format!(
            "{} groups are too many for one answer: name a zone or a kind",
            groups.len()
        )));
    }
    Ok(groups)
}
