//! The plan of a round: which bins a vehicle empties in a shift, in which order, and what that is worth.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use sanimon_domain::collection::{Route, Vehicle, WASTED_BELOW_PCT};
use sanimon_domain::time::{DAY_MS, HOUR_MS};
use sanimon_domain::{DeviceNo, TimestampMs};
use sanimon_operations::OperationsSettings;
use sanimon_store::{Device, NewRound, PlannedStop, Shared};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bins::{self, Bin, NEXT_ROUND_MS};
use crate::access::User;
use crate::error::Problem;
use crate::site::Planner;
use crate::state::ApiState;
use crate::wire::instant;

const SHIFT_H_DEFAULT: f64 = 8.0;
const SHIFT_H_MAX: f64 = 24.0;
/// Nobody plans further ahead: forecasts look three days ahead.
const AHEAD_MS_MAX: i64 = 3 * DAY_MS;

/// What is to be planned.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanRequest {
    /// One of `GET /api/v1/vehicles`.
    pub(super) vehicle: String,
    /// RFC 3339; now if left out.
    from: Option<String>,
    /// How long the shift is; 8 if left out.
    hours: Option<f64>,
    /// Devices in an order made by hand; left out: those that are due, in the best order that is found.
    order: Option<Vec<String>>,
}

/// A stop of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlannedStopBody {
    device: String,
    name: String,
    zone: Option<String>,
    lat: f64,
    lon: f64,
    /// From 0: the vehicle is emptied at its depot between trips.
    trip: u32,
    at: String,
    /// As it is expected then.
    fill_pct: f64,
    load_l: f64,
    /// How likely it overflows before that, 0 to 1.
    overflow: f64,
}

/// A bin that the plan does not empty.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OtherBin {
    device: String,
    name: String,
    zone: Option<String>,
    lat: f64,
    lon: f64,
    fill_pct: f64,
    /// How likely it overflows before the next round, 0 to 1.
    overflow: f64,
    /// It is due, but does not fit into the shift.
    left_out: bool,
}

/// The round that empties every bin, to compare with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FixedRound {
    stops: usize,
    trips: u32,
    length_m: f64,
    ends_at: String,
    /// Stops at bins that are less than 40 % full.
    wasted: usize,
    expected_overflows: f64,
}

/// A plan. Nothing is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanBody {
    vehicle: String,
    team: String,
    from: String,
    to: String,
    /// `[lon, lat]`
    #[schema(value_type = Vec<f64>)]
    depot: [f64; 2],
    capacity_l: f64,
    stops: Vec<PlannedStopBody>,
    others: Vec<OtherBin>,
    trips: u32,
    length_m: f64,
    ends_at: String,
    load_l: f64,
    wasted: usize,
    expected_overflows: f64,
    /// No order of these stops is shorter than this; null: the order was made by hand.
    bound_m: Option<f64>,
    fixed: FixedRound,
}

/// A plan as it was reckoned.
pub(super) struct Reckoned {
    vehicle: Vehicle,
    span: (TimestampMs, TimestampMs),
    bins: Vec<Bin>,
    /// Which of the bins are visits, in the order of the task.
    chosen: Vec<usize>,
    route: Route,
    fixed: Route,
}

/// Which bins a vehicle should empty in a shift, and in which order.
#[utoipa::path(post, path = "/api/v1/rounds/plan", tag = "rounds", request_body = PlanRequest, responses(
    (status = 200, body = PlanBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn plan(
    State(state): State<ApiState>,
    user: User,
    body: Result<Json<PlanRequest>, JsonRejection>,
) -> Result<Json<PlanBody>, Problem> {
    let Json(request) = body?;
    Ok(Json(reckon(&state, &user, request).await?.body()))
}

pub(super) async fn reckon(state: &ApiState, user: &User, request: PlanRequest) -> Result<Reckoned, Problem> {
    let operations = state.shared.standing.operations();
    let operations = operations.ok_or_else(|| Problem::internal("nobody's duties are known"))?;
    let vehicle = operations.teams.vehicles.iter().find(|vehicle| vehicle.id == request.vehicle);
    let vehicle = vehicle.ok_or_else(|| Problem::not_found("vehicle", &request.vehicle))?.clone();
    let now = state.now();
    let from = instant(request.from.as_deref(), "from")?.unwrap_or(now);
    let hours = request.hours.unwrap_or(SHIFT_H_DEFAULT);
    if !(0.5..=SHIFT_H_MAX).contains(&hours) {
        return Err(Problem::bad_request("`hours` is between 0.5 and 24"));
    }
    if from.since_ms(now).abs() > AHEAD_MS_MAX {
        return Err(Problem::bad_request("`from` is within three days: forecasts look no further"));
    }
    let span = (from, from.plus_ms((hours * HOUR_MS as f64) as i64));
    let taken = state.read(move |shared| taken_at(shared, now)).await?;
    let (shared, planner) = (state.shared.clone(), state.site.planner);
    let permit = state.trials.clone().acquire_owned().await.map_err(Problem::internal)?;
    let user = user.clone();
    let reckoned = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let own = |device: &Device| user.sees_device(device) && !taken.contains(&device.no);
        let found = bins::of_team(&shared, &operations.teams, &vehicle.team, own, now)?;
        Ok::<_, sanimon_store::StoreError>(Reckoned::new(
            found,
            vehicle,
            &operations,
            planner,
            span,
            &request,
        ))
    });
    Ok(reckoned.await.map_err(Problem::internal)??)
}

/// Bins that are still open in another round.
fn taken_at(shared: &Shared, now: TimestampMs) -> sanimon_store::Result<Vec<DeviceNo>> {
    let rounds = shared.rounds(now, 0)?;
    let open = rounds.iter().flat_map(|round| &round.stops);
    Ok(open
        .filter(|stop| stop.state == sanimon_store::StopState::Open)
        .map(|stop| stop.planned.device)
        .collect())
}

impl Reckoned {
    fn new(
        bins: Vec<Bin>,
        vehicle: Vehicle,
        operations: &Arc<OperationsSettings>,
        planner: Planner,
        span: (TimestampMs, TimestampMs),
        request: &PlanRequest,
    ) -> Self {
        let chosen: Vec<usize> = match &request.order {
            None => (0..bins.len()).filter(|index| bins[*index].is_due(span.0)).collect(),
            Some(order) => order.iter().filter_map(|id| bins.iter().position(|bin| bin.id == *id)).collect(),
        };
        let (collection, calendar) = (&operations.teams.collection, operations.teams.calendar);
        let own: Vec<&Bin> = chosen.iter().map(|index| &bins[*index]).collect();
        let all: Vec<&Bin> = bins.iter().collect();
        let task = bins::task(&vehicle, collection, calendar, span, &own);
        // The fixed round is driven to its end, however long that takes.
        let open_end = (span.0, span.0.plus_ms(7 * DAY_MS));
        let fixed_task = bins::task(&vehicle, collection, calendar, open_end, &all);
        let (route, fixed) = std::thread::scope(|scope| {
            let fixed = scope.spawn(|| (planner.plan)(&fixed_task));
            let route = match &request.order {
                None => (planner.plan)(&task),
                Some(_) => (planner.follow)(&task, &(0..own.len()).collect::<Vec<_>>()),
            };
            (route, fixed.join().expect("a plan does not panic"))
        });
        Self { vehicle, span, bins, chosen, route, fixed }
    }

    fn bin(&self, visit: usize) -> &Bin {
        &self.bins[self.chosen[visit]]
    }

    pub(super) fn round(&self, made_by: &str) -> NewRound {
        let stop = |stop: &sanimon_domain::collection::RouteStop| {
            let bin = self.bin(stop.visit);
            PlannedStop { device: bin.no, trip: stop.trip, at: stop.at, fill_pct: bin.fill_pct(stop.at) }
        };
        NewRound {
            vehicle: self.vehicle.id.clone(),
            team: Some(self.vehicle.team.clone()),
            from: self.span.0,
            to: self.span.1,
            length_m: self.route.length_m.round() as i64,
            made_by: made_by.to_owned(),
            stops: self.route.stops.iter().map(stop).collect(),
        }
    }

    fn body(&self) -> PlanBody {
        let stops: Vec<PlannedStopBody> = self.route.stops.iter().map(|stop| self.stop_body(stop)).collect();
        let others = self.others();
        let before_stops: f64 = stops.iter().map(|stop| stop.overflow).sum();
        let before_next: f64 = others.iter().map(|other| other.overflow).sum();
        PlanBody {
            vehicle: self.vehicle.id.clone(),
            team: self.vehicle.team.clone(),
            from: self.span.0.to_string(),
            to: self.span.1.to_string(),
            depot: self.vehicle.depot,
            capacity_l: self.vehicle.capacity_l,
            trips: trips(&self.route),
            length_m: self.route.length_m.round(),
            ends_at: self.route.ends_at.to_string(),
            load_l: stops.iter().map(|stop| stop.load_l).sum::<f64>().round(),
            wasted: stops.iter().filter(|stop| stop.fill_pct < WASTED_BELOW_PCT).count(),
            expected_overflows: round(before_stops + before_next),
            bound_m: self.route.bound_m.map(f64::round),
            fixed: self.fixed_body(),
            stops,
            others,
        }
    }

    fn stop_body(&self, stop: &sanimon_domain::collection::RouteStop) -> PlannedStopBody {
        let bin = self.bin(stop.visit);
        PlannedStopBody {
            device: bin.id.clone(),
            name: bin.name.clone(),
            zone: bin.zone.clone(),
            lat: bin.place[1],
            lon: bin.place[0],
            trip: stop.trip,
            at: stop.at.to_string(),
            fill_pct: round(bin.fill_pct(stop.at)),
            load_l: bin.load_l(stop.at).round(),
            overflow: round(bin.likelihood(stop.at)),
        }
    }

    fn others(&self) -> Vec<OtherBin> {
        let visited: Vec<usize> = self.route.stops.iter().map(|stop| self.chosen[stop.visit]).collect();
        let next = self.span.0.plus_ms(NEXT_ROUND_MS);
        let other = |(index, bin): (usize, &Bin)| OtherBin {
            device: bin.id.clone(),
            name: bin.name.clone(),
            zone: bin.zone.clone(),
            lat: bin.place[1],
            lon: bin.place[0],
            fill_pct: round(bin.fill_pct(self.span.0)),
            overflow: round(bin.likelihood(next)),
            left_out: self.chosen.contains(&index),
        };
        self.bins.iter().enumerate().filter(|(index, _)| !visited.contains(index)).map(other).collect()
    }

    fn fixed_body(&self) -> FixedRound {
        let bin = |stop: &sanimon_domain::collection::RouteStop| &self.bins[stop.visit];
        let stops = &self.fixed.stops;
        FixedRound {
            stops: stops.len(),
            trips: trips(&self.fixed),
            length_m: self.fixed.length_m.round(),
            ends_at: self.fixed.ends_at.to_string(),
            wasted: stops.iter().filter(|stop| bin(stop).fill_pct(stop.at) < WASTED_BELOW_PCT).count(),
            expected_overflows: round(stops.iter().map(|stop| bin(stop).likelihood(stop.at)).sum()),
        }
    }
}

fn trips(route: &Route) -> u32 {
    route.stops.last().map_or(0, |stop| stop.trip + 1)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
