//! Rounds of collection: planned, driven, ticked.

mod bins;
pub(crate) mod export;
pub(crate) mod plan;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sanimon_alerting::collection::EMPTY_PCT;
use sanimon_alerting::forecast::EMPTIED_BY;
use sanimon_domain::{TimestampMs, metric};
use sanimon_store::{DirectoryState, Round, RoundStop, Shared, StopMark, StopState};
use sanimon_writer::{EndRound, MarkStop, PutRound};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::access::User;
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::Text;
use plan::PlanRequest;

/// Rounds that are over, shown beside those that are not.
const PAST_ROUNDS: usize = 20;
const NOTE_CHARS_MAX: usize = 500;

/// What collects the bins' contents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VehicleBody {
    id: String,
    name: Text,
    team: String,
    capacity_l: f64,
    /// `[lon, lat]`
    #[schema(value_type = Vec<f64>)]
    depot: [f64; 2],
}

/// The vehicles of `teams.toml`.
#[utoipa::path(get, path = "/api/v1/vehicles", tag = "rounds", responses((status = 200, body = Vec<VehicleBody>), (status = 401, body = Problem)))]
pub(crate) async fn vehicles(State(state): State<ApiState>) -> Json<Vec<VehicleBody>> {
    let Some(operations) = state.shared.standing.operations() else { return Json(Vec::new()) };
    let body = operations.teams.vehicles.iter().map(|vehicle| VehicleBody {
        id: vehicle.id.clone(),
        name: Text { en: vehicle.name.en.clone(), zh: vehicle.name.zh.clone() },
        team: vehicle.team.clone(),
        capacity_l: vehicle.capacity_l,
        depot: vehicle.depot,
    });
    Json(body.collect())
}

/// A stop with what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoundStopBody {
    n: u32,
    device: String,
    name: String,
    zone: Option<String>,
    lat: Option<f64>,
    lon: Option<f64>,
    trip: u32,
    planned_at: String,
    /// As it was expected then.
    fill_pct: f64,
    /// `open`, `done`, `skipped`
    state: String,
    state_at: Option<String>,
    /// Who said so; null for a bin whose sensor did.
    state_by: Option<String>,
    note: Option<String>,
}

/// A round.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoundBody {
    id: i64,
    vehicle: String,
    team: Option<String>,
    from: String,
    to: String,
    length_m: i64,
    made_by: String,
    made_at: String,
    /// Null: it is under way, or to come.
    ended_at: Option<String>,
    /// `[lon, lat]`; null: the vehicle is not known any more.
    #[schema(value_type = Option<Vec<f64>>)]
    depot: Option<[f64; 2]>,
    stops: Vec<RoundStopBody>,
}

/// The number of a round.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoundNumber {
    id: i64,
}

/// What a crew says of a stop.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkEntry {
    /// `done`, `skipped`, or `open` again
    state: String,
    note: Option<String>,
}

/// A round as it stands: what people have not said, sensors may have.
fn settled(shared: &Shared, mut round: Round, now: TimestampMs) -> sanimon_store::Result<Round> {
    let end = round.ended_at.unwrap_or(now).min(now);
    for stop in round.stops.iter_mut().filter(|stop| stop.state_by.is_none()) {
        if let Some(at) = emptied_at(shared, stop, (round.from, end))? {
            (stop.state, stop.state_at) = (StopState::Done, Some(at));
        }
    }
    Ok(round)
}

/// When the bin's own sensor first read empty within the round.
fn emptied_at(
    shared: &Shared,
    stop: &RoundStop,
    (from, to): (TimestampMs, TimestampMs),
) -> sanimon_store::Result<Option<TimestampMs>> {
    if to <= from {
        return Ok(None);
    }
    let limit = EMPTY_PCT.min(stop.planned.fill_pct - EMPTIED_BY);
    let points = shared.telemetry(stop.planned.device, metric::FILL_PCT, from, to)?;
    Ok(points.iter().find(|point| point.value <= limit).map(|point| point.at))
}

fn body(round: Round, directory: &DirectoryState, state: &ApiState) -> RoundBody {
    let operations = state.shared.standing.operations();
    let vehicles =
        operations.as_ref().map(|operations| operations.teams.vehicles.as_slice()).unwrap_or_default();
    let depot = vehicles.iter().find(|vehicle| vehicle.id == round.vehicle).map(|vehicle| vehicle.depot);
    let stops = round.stops.into_iter().map(|stop| stop_body(stop, directory));
    RoundBody {
        id: round.id,
        team: round.team,
        from: round.from.to_string(),
        to: round.to.to_string(),
        length_m: round.length_m,
        made_by: round.made_by,
        made_at: round.made_at.to_string(),
        ended_at: round.ended_at.map(|at| at.to_string()),
        depot,
        stops: stops.collect(),
        vehicle: round.vehicle,
    }
}

fn stop_body(stop: RoundStop, directory: &DirectoryState) -> RoundStopBody {
    let device = directory.device(stop.planned.device);
    let place = device.and_then(|device| device.place);
    RoundStopBody {
        n: stop.n,
        device: device.map(|device| device.id.to_string()).unwrap_or_default(),
        name: device.map(|device| device.name.clone()).unwrap_or_default(),
        zone: device.and_then(|device| device.zone.as_ref()).map(ToString::to_string),
        lat: place.map(|place| place.lat),
        lon: place.map(|place| place.lon),
        trip: stop.planned.trip,
        planned_at: stop.planned.at.to_string(),
        fill_pct: stop.planned.fill_pct.round(),
        state: stop.state.as_str().to_owned(),
        state_at: stop.state_at.map(|at| at.to_string()),
        state_by: stop.state_by,
        note: stop.note,
    }
}

/// Rounds that are not over, and the last ones that are, the newest first. A bin that reads empty has ticked itself.
#[utoipa::path(get, path = "/api/v1/rounds", tag = "rounds", responses((status = 200, body = Vec<RoundBody>), (status = 401, body = Problem)))]
pub(crate) async fn list(State(state): State<ApiState>, user: User) -> Result<Json<Vec<RoundBody>>, Problem> {
    let now = state.now();
    let rounds = state
        .read(move |shared| {
            let rounds = shared.rounds(now, PAST_ROUNDS)?;
            rounds
                .into_iter()
                .map(|round| settled(shared, round, now))
                .collect::<sanimon_store::Result<Vec<_>>>()
        })
        .await?;
    let directory = state.shared.directory.read();
    let sees = |stop: &RoundStop| {
        directory.device(stop.planned.device).is_some_and(|device| user.sees_device(device))
    };
    let own = rounds.into_iter().filter(|round| user.sees_whole_site() || round.stops.iter().any(sees));
    Ok(Json(own.map(|round| body(round, &directory, &state)).collect()))
}

async fn found(state: &ApiState, id: i64) -> Result<RoundBody, Problem> {
    let now = state.now();
    let round = state
        .read(move |shared| shared.round(id)?.map(|round| settled(shared, round, now)).transpose())
        .await?;
    let round = round.ok_or_else(|| Problem::not_found("round", &id.to_string()))?;
    Ok(body(round, &state.shared.directory.read(), state))
}

/// A round as it stands now.
#[utoipa::path(get, path = "/api/v1/rounds/{id}", tag = "rounds", params(("id" = i64, Path)), responses(
    (status = 200, body = RoundBody), (status = 401, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Json<RoundBody>, Problem> {
    Ok(Json(found(&state, id?.0).await?))
}

/// Plans a round and gives it to the vehicle's team.
#[utoipa::path(post, path = "/api/v1/rounds", tag = "rounds", request_body = PlanRequest, responses(
    (status = 201, body = RoundNumber), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn make(
    State(state): State<ApiState>,
    user: User,
    request: Result<Json<PlanRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<RoundNumber>), Problem> {
    let Json(request) = request?;
    let round = plan::reckon(&state, &user, request).await?.round(&user.name);
    if round.stops.is_empty() {
        return Err(Problem::bad_request("the round would stop nowhere: no bin is due, or none was named"));
    }
    let detail = json!({ "vehicle": round.vehicle, "stops": round.stops.len() });
    let audit = state.audit(&user, "round.make", "", &detail);
    let id = state.change(audit, PutRound(round)).await?;
    Ok((StatusCode::CREATED, Json(RoundNumber { id })))
}

/// Says what became of a stop; the last word counts.
#[utoipa::path(post, path = "/api/v1/rounds/{id}/stops/{n}", tag = "rounds", params(("id" = i64, Path), ("n" = u32, Path)), request_body = MarkEntry, responses(
    (status = 200, body = RoundBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn mark(
    State(state): State<ApiState>,
    user: User,
    path: Result<Path<(i64, u32)>, PathRejection>,
    entry: Result<Json<MarkEntry>, JsonRejection>,
) -> Result<Json<RoundBody>, Problem> {
    let (Path((round, n)), Json(entry)) = (path?, entry?);
    let stop_state = StopState::parse(&entry.state).ok_or_else(|| {
        Problem::bad_request(format!("`state` is `{}`: write done, skipped or open", entry.state))
    })?;
    let note = crate::alerts::said(entry.note, "note", NOTE_CHARS_MAX)?;
    let audit =
        state.audit(&user, "round.mark", &round.to_string(), &json!({ "stop": n, "state": entry.state }));
    let mark = StopMark { round, n, state: stop_state, who: user.name, note };
    state.change(audit, MarkStop(mark)).await?;
    Ok(Json(found(&state, round).await?))
}

/// Ends a round: what is open is for the next plan.
#[utoipa::path(delete, path = "/api/v1/rounds/{id}", tag = "rounds", params(("id" = i64, Path)), responses(
    (status = 204, description = "Ended"), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn end(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<i64>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    let audit = state.audit(&user, "round.end", &id.to_string(), &json!({}));
    state.change(audit, EndRound { id }).await?;
    Ok(StatusCode::NO_CONTENT)
}
