//! A device's readings over time, as they are or in windows.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use sanimon_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use sanimon_domain::{TimestampMs, metric};
use sanimon_store::{Function, Window, aggregate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::alerts::device_number;
use crate::auth::User;
use crate::error::Problem;
use crate::state::ApiState;

/// Points in an answer; with more, windows are made or made longer, and the answer says so.
const POINTS_MAX: usize = 20_000;

/// Which readings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TelemetryQuery {
    metric: String,
    /// RFC 3339; a day before `to` if left out.
    from: Option<String>,
    /// RFC 3339; now if left out.
    to: Option<String>,
    /// A window's length: `15m`, `1h`, `1d`. Left out: the readings as they are.
    every: Option<String>,
    /// `mean` (if left out), `min`, `max`, `sum`, `count`, `first`, `last`
    r#fn: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Telemetry {
    metric: String,
    unit: String,
    /// The window that was really used, in milliseconds; null: readings as they are.
    every_ms: Option<i64>,
    /// The window is longer than asked, for the answer would have had too many points.
    coarsened: bool,
    /// `[time in Unix milliseconds, value]`, ascending; a window without a reading is left out.
    #[schema(value_type = Vec<Vec<f64>>)]
    points: Vec<(i64, f64)>,
}

/// A duration in words: digits and `s`, `m`, `h`, `d` or `w`.
fn duration_ms(text: &str) -> Option<i64> {
    let unit_ms = match text.bytes().last()? {
        b's' => SECOND_MS,
        b'm' => MINUTE_MS,
        b'h' => HOUR_MS,
        b'd' => DAY_MS,
        b'w' => 7 * DAY_MS,
        _ => return None,
    };
    let count: i64 = text[..text.len() - 1].parse().ok()?;
    (1..=100_000).contains(&count).then_some(count * unit_ms)
}

fn time(text: Option<&str>, name: &str, default: TimestampMs) -> Result<TimestampMs, Problem> {
    match text {
        None => Ok(default),
        Some(text) => TimestampMs::parse_rfc3339(text).ok_or_else(|| {
            Problem::bad_request(format!("`{name}` is not an RFC 3339 time, like 2026-03-01T08:00:00Z"))
        }),
    }
}

/// Readings of one metric.
#[utoipa::path(get, path = "/api/v1/devices/{id}/telemetry", tag = "devices", params(("id" = String, Path), TelemetryQuery), responses(
    (status = 200, body = Telemetry), (status = 400, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn telemetry(
    State(state): State<ApiState>,
    _user: User,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<TelemetryQuery>, QueryRejection>,
) -> Result<Json<Telemetry>, Problem> {
    let (Path(id), Query(query)) = (id?, query?);
    let device = device_number(&state, &id)?;
    let to = time(query.to.as_deref(), "to", state.now())?;
    let from = time(query.from.as_deref(), "from", to.minus_ms(DAY_MS))?;
    if from > to {
        return Err(Problem::bad_request("`from` is after `to`"));
    }
    let every_ms = query.every.as_deref().map(|text| {
        let wrong =
            || Problem::bad_request(format!("`every` is a duration like 15m, 1h or 1d, not `{text}`"));
        duration_ms(text).ok_or_else(wrong)
    });
    let every_ms = every_ms.transpose()?;
    let word = query.r#fn.as_deref().unwrap_or("mean");
    let function =
        Function::parse(word).ok_or_else(|| Problem::bad_request(format!("`{word}` is not a function")))?;
    let number = state.shared.directory.read().metric_by_name(&query.metric);
    let number = number.ok_or_else(|| Problem::not_found("metric", &query.metric))?;

    let points = state.read(move |shared| shared.telemetry(device, number, from, to)).await?;
    let fewest_ms = (to.since_ms(from) / POINTS_MAX as i64).max(1);
    let (used_ms, coarsened) = match every_ms {
        Some(every_ms) if every_ms >= fewest_ms || points.len() <= POINTS_MAX => (Some(every_ms), false),
        None if points.len() <= POINTS_MAX => (None, false),
        _ => (Some((fewest_ms / MINUTE_MS + 1) * MINUTE_MS), true),
    };
    let points = match used_ms {
        Some(length_ms) => {
            aggregate(&points, Window { length_ms, origin: state.site.local_midnight(from) }, function)
        }
        None => points,
    };
    Ok(Json(Telemetry {
        unit: metric::info(number).map_or("", |info| info.unit).to_owned(),
        metric: query.metric,
        every_ms: used_ms,
        coarsened,
        points: points.into_iter().map(|point| (point.at.0, point.value)).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, ms) in [
            ("15m", Some(900_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("2w", Some(1_209_600_000)),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
        for text in ["", "m", "0m", "-1h", "1.5h", "1x", "99999999999d", "1µ"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }
}
