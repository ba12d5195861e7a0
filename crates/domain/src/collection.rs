//! Collection: vehicles, what they have to visit, and in which order they do. Who decides the order is `planning`.

use crate::hours::Hours;
use crate::time::{HOUR_MS, MINUTE_MS, TimestampMs};
use crate::title::Title;

/// Emptying a bin that is less full is a wasted trip (the domain page's measure).
pub const WASTED_BELOW_PCT: f64 = 40.0;

/// A place on the ground: `[longitude, latitude]` in degrees (WGS 84).
pub type LonLat = [f64; 2];

/// The mean radius of the Earth in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// As the crow flies, in metres.
pub fn crow_m(a: LonLat, b: LonLat) -> f64 {
    let ([lon_a, lat_a], [lon_b, lat_b]) = (a.map(f64::to_radians), b.map(f64::to_radians));
    let half = |angle: f64| (angle / 2.0).sin().powi(2);
    let share = half(lat_b - lat_a) + lat_a.cos() * lat_b.cos() * half(lon_b - lon_a);
    2.0 * EARTH_RADIUS_M * share.sqrt().min(1.0).asin()
}

/// How long ways and stops take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub speed_kmh: f64,
    /// Kilometres of street for each as the crow flies.
    pub detour: f64,
    /// How long a stop takes.
    pub stop_ms: i64,
    /// How long it takes to empty the vehicle between two trips.
    pub unload_ms: i64,
}

impl Default for Pace {
    /// Common practice, not verified against a standard: 20 km/h in a town, streets 1.3 times as long as the crow flies, 2 min a
    /// stop, 20 min to unload.
    fn default() -> Self {
        Self { speed_kmh: 20.0, detour: 1.3, stop_ms: 2 * MINUTE_MS, unload_ms: 20 * MINUTE_MS }
    }
}

impl Pace {
    /// Metres of street between two places.
    pub fn way_m(&self, a: LonLat, b: LonLat) -> f64 {
        crow_m(a, b) * self.detour
    }

    /// How long it takes to drive so far.
    pub fn drive_ms(&self, way_m: f64) -> f64 {
        way_m / (self.speed_kmh * 1_000.0) * HOUR_MS as f64
    }
}

/// What collects the bins' contents.
#[derive(Debug, Clone, PartialEq)]
pub struct Vehicle {
    pub id: String,
    pub name: Title,
    pub team: String,
    /// How much it takes before it must be emptied, in litres as they lie in the bins: compaction is counted in.
    pub capacity_l: f64,
    /// Where it starts, is emptied and returns to.
    pub depot: LonLat,
}

/// How rounds of collection are reckoned.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    pub pace: Pace,
    /// What a bin holds of which the registry says nothing, in litres.
    pub bin_l: f64,
    /// When no vehicle stops in zones of the class `market`.
    pub market_closed: Option<Hours>,
}

impl Default for Collection {
    /// Wheeled bins of 240 litres (a size of EN 840-1).
    fn default() -> Self {
        Self { pace: Pace::default(), bin_l: 240.0, market_closed: None }
    }
}

/// A bin was emptied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Emptied {
    pub at: TimestampMs,
    /// How full it was.
    pub fill_pct: f64,
}

/// A bin that is to be emptied.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    pub place: LonLat,
    /// What it will hold, in litres.
    pub load_l: f64,
    /// When nobody may stop there: sorted, from until before.
    pub closed: Vec<(TimestampMs, TimestampMs)>,
}

/// What a vehicle has to do in a shift.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundTask {
    pub depot: LonLat,
    pub capacity_l: f64,
    pub from: TimestampMs,
    pub to: TimestampMs,
    pub pace: Pace,
    pub visits: Vec<Visit>,
}

/// A stop of a planned round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RouteStop {
    /// Its place in the task's list.
    pub visit: usize,
    /// From 0; the vehicle is emptied at its depot between trips.
    pub trip: u32,
    /// When the vehicle is there.
    pub at: TimestampMs,
}

/// An order of visits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Route {
    pub stops: Vec<RouteStop>,
    /// What does not fit into the shift.
    pub left_out: Vec<usize>,
    pub length_m: f64,
    /// When the vehicle is back.
    pub ends_at: TimestampMs,
    /// No order of these stops is shorter than this; `None`: nobody has looked.
    pub bound_m: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degree_of_latitude_is_111_kilometres_and_one_of_longitude_shrinks_to_the_north() {
        let north = crow_m([119.0, 30.0], [119.0, 31.0]);
        let east = crow_m([119.0, 30.0], [120.0, 30.0]);
        assert!((north - 111_195.0).abs() < 10.0, "{north}");
        assert!((east / north - 30.0_f64.to_radians().cos()).abs() < 1e-3, "{east}");
        assert_eq!(crow_m([119.0, 30.0], [119.0, 30.0]), 0.0);
    }
}
