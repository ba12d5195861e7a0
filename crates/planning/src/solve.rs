//! The search for a short order, by `vrp-core`.

use std::sync::Arc;

use sanimon_domain::collection::{LonLat, RoundTask, Visit};
use vrp_core::models::common::TimeWindow;
use vrp_core::models::problem::{JobIdDimension, VehicleIdDimension};
use vrp_core::prelude::*;

/// The search ends after this time, or when it has looked so often.
const SECONDS_MAX: usize = 2;
const GENERATIONS_MAX: usize = 2_000;
/// Loads differ from what is foretold; a trip more is no harm, for an empty one is not driven.
const SPARE_SHARE: f64 = 1.1;
const TRIPS_MAX: usize = 12;
/// A second is worth so many metres: a crew that waits for a market to close costs, too, so it goes elsewhere first.
const METRES_PER_SECOND: f64 = 1.0;

/// Visits in their order, each with its trip.
pub(crate) fn solve(task: &RoundTask, count: usize) -> Result<Vec<(usize, u32)>, String> {
    if count == 0 {
        return Ok(Vec::new());
    }
    search(task, count).map_err(|error| error.to_string())
}

fn search(task: &RoundTask, count: usize) -> GenericResult<Vec<(usize, u32)>> {
    let visits = &task.visits[..count];
    let transport: Arc<dyn TransportCost> = Arc::new(ways(task, visits)?);
    let problem = Arc::new(
        ProblemBuilder::default()
            .add_jobs(jobs(task, visits)?.into_iter())
            .add_vehicles(vehicles(task, visits)?.into_iter())
            .with_goal(goal(&transport)?)
            .with_transport_cost(transport)
            .build()?,
    );
    let quiet =
        Environment { logger: Arc::new(|_| ()), ..Environment::new_with_time_quota(Some(SECONDS_MAX)) };
    let config = VrpConfigBuilder::new(problem.clone())
        .set_environment(Arc::new(quiet))
        .prebuild()?
        .with_max_time(Some(SECONDS_MAX))
        .with_max_generations(Some(GENERATIONS_MAX))
        .build()?;
    let solution = Solver::new(problem, config).solve()?;
    let mut order = Vec::with_capacity(count);
    let mut routes: Vec<(u32, Vec<usize>)> = solution
        .routes
        .iter()
        .map(|route| {
            let trip = route.actor.vehicle.dimens.get_vehicle_id().and_then(|id| id.parse().ok());
            let jobs = route.tour.all_activities().filter_map(|activity| activity.job.as_ref());
            let visits = jobs.filter_map(|job| job.dimens.get_job_id()?.parse().ok()).collect();
            (trip.unwrap_or(0), visits)
        })
        .collect();
    routes.sort_unstable_by_key(|(trip, _)| *trip);
    routes.into_iter().for_each(|(trip, visits)| order.extend(visits.into_iter().map(|visit| (visit, trip))));
    Ok(order)
}

/// Place 0 is the depot; seconds and metres.
fn ways(task: &RoundTask, visits: &[Visit]) -> GenericResult<SimpleTransportCost> {
    let places: Vec<LonLat> =
        std::iter::once(task.depot).chain(visits.iter().map(|visit| visit.place)).collect();
    let metres: Vec<f64> =
        places.iter().flat_map(|a| places.iter().map(|b| task.pace.way_m(*a, *b))).collect();
    let seconds = metres.iter().map(|way_m| task.pace.drive_ms(*way_m) / 1_000.0).collect();
    SimpleTransportCost::new(seconds, metres)
}

fn goal(transport: &Arc<dyn TransportCost>) -> GenericResult<GoalContext> {
    let as_many_as_possible = MinimizeUnassignedBuilder::new("as many as possible").build()?;
    let short = TransportFeatureBuilder::new("short")
        .set_transport_cost(transport.clone())
        .set_time_constrained(true)
        .build_minimize_cost()?;
    let capacity = CapacityFeatureBuilder::<SingleDimLoad>::new("capacity").build()?;
    GoalContextBuilder::with_features(&[as_many_as_possible, short, capacity])?.build()
}

fn jobs(task: &RoundTask, visits: &[Visit]) -> GenericResult<Vec<Job>> {
    visits
        .iter()
        .enumerate()
        .map(|(index, visit)| {
            SingleBuilder::default()
                .id(&index.to_string())
                .demand(Demand::pickup(litres(visit.load_l)))
                .location(index + 1)?
                .duration(task.pace.stop_ms as f64 / 1_000.0)?
                .times(open_times(task, visit))?
                .build_as_job()
        })
        .collect()
}

fn litres(load_l: f64) -> i32 {
    load_l.round().clamp(0.0, f64::from(i32::MAX)) as i32
}

/// When somebody may stop, in seconds of the shift.
fn open_times(task: &RoundTask, visit: &Visit) -> Vec<TimeWindow> {
    let seconds = |at: sanimon_domain::TimestampMs| at.since_ms(task.from).max(0) as f64 / 1_000.0;
    let end = seconds(task.to);
    let (mut from, mut open) = (0.0, Vec::new());
    for (closes, opens) in &visit.closed {
        if seconds(*closes) > from {
            open.push(TimeWindow::new(from, seconds(*closes).min(end)));
        }
        from = from.max(seconds(*opens));
    }
    if from < end || open.is_empty() {
        open.push(TimeWindow::new(from.min(end), end));
    }
    open
}

/// One for each trip: they follow each other, so each has its part of the shift.
fn vehicles(task: &RoundTask, visits: &[Visit]) -> GenericResult<Vec<Vehicle>> {
    let load_l: f64 = visits.iter().map(|visit| visit.load_l).sum();
    let trips = if load_l <= task.capacity_l {
        1
    } else {
        ((load_l * SPARE_SHARE / task.capacity_l).ceil() as usize).clamp(2, TRIPS_MAX)
    };
    let shift_s = task.to.since_ms(task.from) as f64 / 1_000.0;
    let (part_s, unload_s) = (shift_s / trips as f64, task.pace.unload_ms as f64 / 1_000.0);
    (0..trips)
        .map(|trip| {
            let from = part_s * trip as f64 + if trip == 0 { 0.0 } else { unload_s.min(part_s / 2.0) };
            VehicleBuilder::default()
                .id(&trip.to_string())
                .set_distance_cost(1.0)
                .set_duration_cost(METRES_PER_SECOND)
                .add_detail(
                    VehicleDetailBuilder::default()
                        .set_start_location(0)
                        .set_start_time(from)
                        .set_end_location(0)
                        .set_end_time(part_s * (trip + 1) as f64)
                        .build()?,
                )
                .capacity(SingleDimLoad::new(litres(task.capacity_l)))
                .build()
        })
        .collect()
}
