//! When a bin will be full, from how it filled in the last four weeks.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use sanimon_alerting::forecast::{Filling, Forecast};
use sanimon_domain::{Metric, metric};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::alerts::device_number;
use crate::error::Problem;
use crate::state::ApiState;

const LEVEL_DEFAULT: f64 = 100.0;

/// Of what, and up to where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForecastQuery {
    /// A metric that rises until somebody empties it; `fill_pct` if left out.
    metric: Option<String>,
    /// 100 if left out.
    level: Option<f64>,
}

/// When a level is reached if nobody empties it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastBody {
    metric: String,
    level: f64,
    /// Null: too little is known yet, or it will not be within three days.
    at: Option<String>,
    /// Nine times in ten it is between these two.
    earliest: Option<String>,
    latest: Option<String>,
    /// How often it is usually emptied before that; 1 is once.
    emptyings: Option<f64>,
}

/// When a device's level is reached, as it usually fills by the hour of workdays and weekends.
#[utoipa::path(get, path = "/api/v1/devices/{id}/forecast", tag = "devices", params(("id" = String, Path), ForecastQuery), responses(
    (status = 200, body = ForecastBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn forecast(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<ForecastQuery>, QueryRejection>,
) -> Result<Json<ForecastBody>, Problem> {
    let Path(id) = id?;
    let Query(query) = query?;
    let device = device_number(&state, &id)?;
    let name = query.metric.unwrap_or_else(|| "fill_pct".to_owned());
    let known = metric::by_name(&name).map(Metric::Known);
    let known = known.unwrap_or_else(|| Metric::Custom(name.clone().into_boxed_str()));
    let number = state.shared.directory.read().metric_number(&known);
    let number = number.ok_or_else(|| Problem::bad_request(format!("there is no metric `{name}`")))?;
    let level = query.level.filter(|level| level.is_finite()).unwrap_or(LEVEL_DEFAULT);
    let now = state.now();
    let found: Option<Forecast> = state
        .read(move |shared| {
            let points = shared.telemetry(device, number, now.minus_ms(Filling::MEMORY_MS), now)?;
            let past = points.iter().map(|point| (point.at, point.value));
            Ok(Filling::learned(shared.calendar, past).forecast(level))
        })
        .await?;
    Ok(Json(ForecastBody {
        metric: name,
        level,
        at: found.map(|forecast| forecast.at.to_string()),
        earliest: found.map(|forecast| forecast.earliest.to_string()),
        latest: found.map(|forecast| forecast.latest.to_string()),
        emptyings: found.map(|forecast| (forecast.emptyings * 100.0).round() / 100.0),
    }))
}
