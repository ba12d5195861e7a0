//! A round as a file: GPX for a phone's navigation, CSV for a spreadsheet.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{RoundBody, RoundStopBody, found};
use crate::cells::Table;
use crate::error::Problem;
use crate::state::ApiState;

/// Which file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `gpx` (if left out) or `csv`
    format: Option<String>,
}

/// A round's stops in their order, as GPX 1.1 or CSV.
#[utoipa::path(get, path = "/api/v1/rounds/{id}/export", tag = "rounds", params(("id" = i64, Path), ExportQuery), responses(
    (status = 200, body = String, content_type = "application/gpx+xml"), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn export(
    State(state): State<ApiState>,
    id: Result<Path<i64>, PathRejection>,
    query: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (Path(id), Query(query)) = (id?, query?);
    let round = found(&state, id).await?;
    let (text, kind, ending) = match query.format.as_deref() {
        None | Some("gpx") => (gpx(&round), "application/gpx+xml", "gpx"),
        Some("csv") => (csv(&round), "text/csv; charset=utf-8", "csv"),
        Some(other) => {
            return Err(Problem::bad_request(format!("`format` is `{other}`: write gpx or csv")));
        }
    };
    let disposition = format!("attachment; filename=\"round-{id}.{ending}\"");
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, text).into_response())
}

fn label(stop: &RoundStopBody) -> &str {
    if stop.name.is_empty() { &stop.device } else { &stop.name }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The route's points in their order (GPX 1.1, `rte`).
fn gpx(round: &RoundBody) -> String {
    let point = |stop: &RoundStopBody| {
        let (lat, lon) = (stop.lat?, stop.lon?);
        let name = escaped(&format!("{}. {}", stop.n + 1, label(stop)));
        Some(format!("    <rtept lat=\"{lat}\" lon=\"{lon}\"><name>{name}</name></rtept>\n"))
    };
    let points: String = round.stops.iter().filter_map(point).collect();
    let name = escaped(&format!("{} {}", round.vehicle, round.from));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <gpx version=\"1.1\" creator=\"sanimon\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n  <rte>\n    \
         <name>{name}</name>\n{points}  </rte>\n</gpx>\n"
    )
}

fn csv(round: &RoundBody) -> String {
    const COLUMNS: [&str; 10] =
        ["stop", "trip", "device", "name", "zone", "lat", "lon", "planned_at", "fill_pct", "state"];
    let mut table = Table::new(&COLUMNS);
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for stop in &round.stops {
        table.row(&[
            (stop.n + 1).to_string(),
            (stop.trip + 1).to_string(),
            stop.device.clone(),
            stop.name.clone(),
            stop.zone.clone().unwrap_or_default(),
            number(stop.lat),
            number(stop.lon),
            stop.planned_at.clone(),
            stop.fill_pct.to_string(),
            stop.state.clone(),
        ]);
    }
    table.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round() -> RoundBody {
        let stop = RoundStopBody {
            n: 0,
            device: "bin-1".to_owned(),
            name: "=Tom & <Co>".to_owned(),
            zone: None,
            lat: Some(30.2),
            lon: Some(119.6),
            trip: 0,
            planned_at: "2026-03-01T06:00:00Z".to_owned(),
            fill_pct: 80.0,
            state: "open".to_owned(),
            state_at: None,
            state_by: None,
            note: None,
        };
        RoundBody {
            id: 1,
            vehicle: "truck".to_owned(),
            team: None,
            from: "2026-03-01T06:00:00Z".to_owned(),
            to: "2026-03-01T14:00:00Z".to_owned(),
            length_m: 10,
            made_by: "me".to_owned(),
            made_at: String::new(),
            ended_at: None,
            depot: None,
            stops: vec![stop],
        }
    }

    #[test]
    fn names_break_neither_xml_nor_a_spreadsheet() {
        assert!(
            gpx(&round())
                .contains("<rtept lat=\"30.2\" lon=\"119.6\"><name>1. =Tom &amp; &lt;Co&gt;</name></rtept>")
        );
        assert!(csv(&round()).contains("\n1,1,bin-1,'=Tom & <Co>,,30.2,119.6,"));
    }
}
