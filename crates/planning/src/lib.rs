//! The order of a round of collection.
//!
//! * [`plan`] looks for a short order within a second or two (`vrp-core`) and says which length no order can be below
//!   ([`bound`]).
//! * [`follow`] reckons an order that somebody else has made: when the vehicle is where, and what does not fit.
//!
//! Ways are as the crow flies, longer by the site's detour: there is no map of streets here. It does *not* decide which bins are
//! due: that is `alerting`'s `collection`.

#![forbid(unsafe_code)]

mod bound;
mod follow;
mod solve;

use sanimon_domain::collection::{RoundTask, Route};

pub use bound::bound_m;
pub use follow::{follow, trips};

/// Visits of which an order is looked for; the others are left out. A vehicle empties some hundred bins in a shift.
pub const VISITS_MAX: usize = 600;

/// A short order of the visits.
pub fn plan(task: &RoundTask) -> Route {
    let few = task.visits.len().min(VISITS_MAX);
    let found = solve::solve(task, few).unwrap_or_else(|error| {
        tracing::warn!(error, "no order was found: visits stay as they are");
        trips(task, &(0..few).collect::<Vec<_>>())
    });
    let mut route = follow(task, &found);
    let stops: Vec<usize> = route.stops.iter().map(|stop| stop.visit).collect();
    route.bound_m = Some(bound_m(task, &stops));
    route
}

#[cfg(test)]
mod tests;
