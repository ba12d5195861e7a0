//! A device's readings over time, as they are or in windows.

use std::str::FromStr;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs, Window, metric, window};
use sanimon_store::{Function, Shared, WindowQuery};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use crate::alerts::device_number;
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::instant;

/// Points in an answer if nothing else is asked for; with more, windows are made or made longer, and the answer says so.
const POINTS_DEFAULT: u64 = 20_000;
/// Points that may be asked for. A large answer is streamed: it is never whole in memory.
const POINTS_MAX: u64 = 10_000_000;
/// What is read, written and sent at once of a large answer.
const SLICE_MS: i64 = 7 * DAY_MS;
/// Slices waiting for a slow client at most.
const SLICES_WAITING: usize = 2;

/// Which readings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TelemetryQuery {
    metric: String,
    /// RFC 3339; a day before `to` if left out.
    from: Option<String>,
    /// RFC 3339; now if left out. Readings at this very time are given, windows end before it.
    to: Option<String>,
    /// A window's length, in the site's calendar: `15m`, `1h`, `1d`, `1w`, `1mo`. Left out: the readings as they are.
    every: Option<String>,
    /// `mean` (if left out), `min`, `max`, `sum`, `count`, `first`, `last`
    r#fn: Option<String>,
    /// Points in the answer at most, 20,000 if left out, at most 10,000,000.
    points_max: Option<u64>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Telemetry {
    metric: String,
    unit: String,
    /// The window that was really used, such as `1h`; null: readings as they are.
    every: Option<String>,
    /// The window is longer than asked, for the answer would have had too many points.
    coarsened: bool,
    /// Readings of this time that are not simply believed: `points` does not have them. 1,000 at most.
    doubted: Vec<DoubtedPoint>,
    /// `[time in Unix milliseconds, value]`, ascending; a window without a reading is left out.
    #[schema(value_type = Vec<Vec<f64>>)]
    points: Vec<(i64, f64)>,
}

/// A reading that is not simply believed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoubtedPoint {
    at_ms: i64,
    value: f64,
    /// `suspect` or `bad`
    quality: String,
    /// `spike`, `blind_zone`, `frozen`, ...
    reason: String,
}

const DOUBTED_MAX: usize = 1_000;

async fn doubted(
    state: &ApiState,
    series: (DeviceNo, MetricNo),
    from: TimestampMs,
    to: TimestampMs,
) -> Result<Vec<DoubtedPoint>, Problem> {
    let found = state.read(move |shared| shared.doubted_between(series, from, to)).await?;
    let newest = found.into_iter().rev().take(DOUBTED_MAX).map(|doubted| DoubtedPoint {
        at_ms: doubted.at.0,
        value: doubted.value,
        quality: doubted.quality.to_string(),
        reason: doubted.reason.to_string(),
    });
    Ok(newest.collect())
}

/// A range of time from a query.
pub(crate) fn range(
    from: Option<&str>,
    to: Option<&str>,
    now: TimestampMs,
    default_ms: i64,
) -> Result<(TimestampMs, TimestampMs), Problem> {
    let to = instant(to, "to")?.unwrap_or(now);
    let from = instant(from, "from")?.unwrap_or(to.minus_ms(default_ms));
    if from > to {
        return Err(Problem::bad_request("`from` is after `to`"));
    }
    Ok((from, to))
}

pub(crate) fn window_of(text: &str) -> Result<Window, Problem> {
    Window::from_str(text).map_err(|error| Problem::bad_request(format!("`every` is `{text}`: {error}")))
}

pub(crate) fn function(word: Option<&str>) -> Result<Function, Problem> {
    let word = word.unwrap_or("mean");
    Function::parse(word).ok_or_else(|| {
        let known: Vec<&str> = Function::ALL.iter().map(|(name, _)| *name).collect();
        Problem::bad_request(format!("`fn` is `{word}`: it is one of {}", known.join(", ")))
    })
}

pub(crate) fn metric_number(state: &ApiState, name: &str) -> Result<MetricNo, Problem> {
    let number = state.shared.directory.read().metric_by_name(name);
    number.ok_or_else(|| Problem::not_found("metric", name))
}

pub(crate) fn unit(number: MetricNo) -> String {
    metric::info(number).map_or("", |info| info.unit).to_owned()
}

/// The shortest window, not shorter than the one asked for, with which the range has at most so many points.
pub(crate) fn fitting(asked: Window, range_ms: i64, points_max: u64) -> Window {
    let fits = |window: Window| range_ms / window.approximate_ms() <= points_max.max(1) as i64;
    if fits(asked) {
        return asked;
    }
    let mut coarser =
        window::COARSER.into_iter().filter(|coarser| coarser.approximate_ms() > asked.approximate_ms());
    coarser.clone().find(|coarser| fits(*coarser)).or(coarser.next_back()).unwrap_or(asked)
}

/// Readings of one metric.
#[utoipa::path(get, path = "/api/v1/devices/{id}/telemetry", tag = "devices", params(("id" = String, Path), TelemetryQuery), responses(
    (status = 200, body = Telemetry), (status = 400, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn telemetry(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<TelemetryQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (Path(id), Query(query)) = (id?, query?);
    let device = device_number(&state, &id)?;
    let (from, to) = range(query.from.as_deref(), query.to.as_deref(), state.now(), DAY_MS)?;
    let asked = query.every.as_deref().map(window_of).transpose()?;
    let function = function(query.r#fn.as_deref())?;
    let number = metric_number(&state, &query.metric)?;
    let points_max = query.points_max.unwrap_or(POINTS_DEFAULT).clamp(1, POINTS_MAX);
    let raw_fits = match asked {
        Some(_) => false,
        None => {
            let count =
                state.read(move |shared| shared.telemetry_count_at_most(device, number, from, to)).await?;
            count <= points_max
        }
    };
    let head = Telemetry {
        unit: unit(number),
        metric: query.metric,
        every: None,
        coarsened: false,
        doubted: doubted(&state, (device, number), from, to).await?,
        points: Vec::new(),
    };
    if raw_fits && points_max <= POINTS_DEFAULT {
        let points = state.read(move |shared| shared.telemetry(device, number, from, to)).await?;
        let points = points.into_iter().map(|point| (point.at.0, point.value)).collect();
        return Ok(Json(Telemetry { points, ..head }).into_response());
    }
    if raw_fits {
        return stream(&state, &head, (device, number), from, to).await;
    }
    let range_ms = to.since_ms(from);
    let window = fitting(asked.unwrap_or(window::COARSER[0]), range_ms, points_max);
    let query = WindowQuery { metric: number, from, to, window, function };
    let mut windows = state.read(move |shared| shared.windows(query, &[vec![device]])).await?;
    let points = windows.swap_remove(0).into_iter().map(|point| (point.at.0, point.value));
    let answer = Telemetry {
        every: Some(window.to_string()),
        coarsened: asked != Some(window),
        points: points.collect(),
        ..head
    };
    Ok(Json(answer).into_response())
}

/// Readings as they are, slice by slice: a year of one device is never whole in memory.
async fn stream(
    state: &ApiState,
    head: &Telemetry,
    series: (DeviceNo, MetricNo),
    from: TimestampMs,
    to: TimestampMs,
) -> Result<Response, Problem> {
    // The points' place is the end: what stands before it is written as it is.
    let head = serde_json::to_string(head).map_err(Problem::internal)?;
    let head = head.strip_suffix("]}").map(str::to_owned).ok_or_else(|| Problem::internal("a head"))?;
    let shared = state.shared.clone();
    // Nothing is older than the first reading: no slices of nothing since 1970.
    let first = state.read(move |shared| shared.first_at(series.0, series.1)).await?;
    let from = first.map_or(to, |first| from.max(first));
    // And nothing is newer than the newest: no slices of nothing until 2099.
    let newest = state.shared.hot.read().latest(series.0).find(|latest| latest.metric == series.1);
    let to = newest.map_or(to, |newest| to.min(newest.at));
    let (sender, receiver) = mpsc::channel::<Result<Bytes, sanimon_store::StoreError>>(SLICES_WAITING);
    tokio::task::spawn_blocking(move || send_slices(&shared, &sender, head, series, from, to));
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|slice| (slice, receiver))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(stream)).into_response())
}

/// Ends early when the client has gone, and with an error, which breaks the connection off, when reading fails: a cut
/// answer must not look like a whole one.
fn send_slices(
    shared: &Shared,
    sender: &mpsc::Sender<Result<Bytes, sanimon_store::StoreError>>,
    mut text: String,
    (device, metric): (DeviceNo, MetricNo),
    from: TimestampMs,
    to: TimestampMs,
) {
    let (mut start, mut is_first) = (from, true);
    loop {
        let end = start.plus_ms(SLICE_MS - 1).min(to);
        // A range behind the newest reading is empty, and no question for a database.
        let points = if start > end { Ok(Vec::new()) } else { shared.telemetry(device, metric, start, end) };
        let points = match points {
            Ok(points) => points,
            Err(error) => {
                let _ = sender.blocking_send(Err(error));
                return;
            }
        };
        for point in points {
            if !std::mem::take(&mut is_first) {
                text.push(',');
            }
            let value = serde_json::Number::from_f64(point.value)
                .map_or_else(|| "null".to_owned(), |n| n.to_string());
            text.push_str(&format!("[{},{value}]", point.at.0));
        }
        let is_last = end >= to;
        if is_last {
            text.push_str("]}");
        }
        if sender.blocking_send(Ok(Bytes::from(std::mem::take(&mut text)))).is_err() || is_last {
            return;
        }
        start = end.plus_ms(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_grows_until_the_answer_fits_and_never_shrinks() {
        let hour = window_of("1h").expect("a window");
        for (days, points_max, expected) in
            [(1, 24, "1h"), (1, 23, "3h"), (365, 400, "1d"), (365, 100, "1w"), (36_500, 1, "120mo")]
        {
            let expected = window_of(expected).expect("a window");
            assert_eq!(fitting(hour, days * DAY_MS, points_max), expected, "{days} {points_max}");
        }
    }
}
