//! An order of visits, reckoned: ways, times, trips.

use sanimon_domain::TimestampMs;
use sanimon_domain::collection::{RoundTask, Route, RouteStop};

/// Parts an order into trips: when the next bin does not go in any more, the vehicle is emptied first.
pub fn trips(task: &RoundTask, order: &[usize]) -> Vec<(usize, u32)> {
    let (mut load_l, mut trip) = (0.0, 0);
    let mut parted = Vec::with_capacity(order.len());
    for &visit in order {
        let Some(wanted) = task.visits.get(visit) else { continue };
        if load_l > 0.0 && load_l + wanted.load_l > task.capacity_l {
            (load_l, trip) = (0.0, trip + 1);
        }
        load_l += wanted.load_l;
        parted.push((visit, trip));
    }
    parted
}

/// Drives an order: each visit with its trip. A vehicle waits where nobody may stop yet; what it cannot reach and be back from by
/// the end of the shift is left out.
pub fn follow(task: &RoundTask, order: &[(usize, u32)]) -> Route {
    let mut route = Route { ends_at: task.from, ..Route::default() };
    let (mut place, mut now_ms, mut trip) = (task.depot, task.from.0 as f64, None);
    let mut way_m = 0.0;
    for &(index, own_trip) in order {
        let Some(visit) = task.visits.get(index) else { continue };
        let (mut from, mut ready_ms, mut driven_m) = (place, now_ms, way_m);
        if trip.is_some_and(|trip| trip != own_trip) {
            let home_m = task.pace.way_m(place, task.depot);
            (from, driven_m) = (task.depot, way_m + home_m);
            ready_ms += task.pace.drive_ms(home_m) + task.pace.unload_ms as f64;
        }
        let leg_m = task.pace.way_m(from, visit.place);
        let there_ms = opened(visit.closed.as_slice(), ready_ms + task.pace.drive_ms(leg_m));
        let done_ms = there_ms + task.pace.stop_ms as f64;
        let home_ms = task.pace.drive_ms(task.pace.way_m(visit.place, task.depot));
        if done_ms + home_ms > task.to.0 as f64 {
            route.left_out.push(index);
            continue;
        }
        // Trips that nothing is left of are not counted.
        let number = route.stops.last().map_or(0, |last| last.trip + u32::from(trip != Some(own_trip)));
        route.stops.push(RouteStop { visit: index, trip: number, at: TimestampMs(there_ms as i64) });
        (place, now_ms, way_m, trip) = (visit.place, done_ms, driven_m + leg_m, Some(own_trip));
    }
    let home_m = task.pace.way_m(place, task.depot);
    route.length_m = way_m + home_m;
    route.ends_at = TimestampMs((now_ms + task.pace.drive_ms(home_m)) as i64);
    let driven: Vec<usize> = order.iter().map(|(index, _)| *index).collect();
    route.left_out.extend((0..task.visits.len()).filter(|index| !driven.contains(index)));
    route.left_out.sort_unstable();
    route
}

/// The first instant from here on at which somebody may stop.
fn opened(closed: &[(TimestampMs, TimestampMs)], at_ms: f64) -> f64 {
    closed.iter().fold(
        at_ms,
        |at_ms, (from, to)| {
            if from.0 as f64 <= at_ms && at_ms < to.0 as f64 { to.0 as f64 } else { at_ms }
        },
    )
}
