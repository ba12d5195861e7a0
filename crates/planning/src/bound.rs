//! A length below which no order of the stops can be.
//!
//! Trips can be joined at the depot into one tour that is no longer, for a straight way is never longer than one over the depot. So
//! each bound of the travelling salesman holds: here that of Held and Karp (1971), a minimum spanning tree with one cycle
//! whose nodes are pulled towards two neighbours each. Where capacity decides, the sum of all loads, each carried home straight,
//! may be larger (Haimovich and Rinnooy Kan, 1985).

use sanimon_domain::collection::{LonLat, RoundTask};

/// Each improves the bound a little; it is near its limit long before.
const ROUNDS: usize = 150;

/// No order of these stops is shorter than this, in metres.
pub fn bound_m(task: &RoundTask, stops: &[usize]) -> f64 {
    let visits: Vec<_> = stops.iter().filter_map(|stop| task.visits.get(*stop)).collect();
    let radial: f64 = visits
        .iter()
        .map(|visit| 2.0 * task.pace.way_m(task.depot, visit.place) * visit.load_l / task.capacity_l)
        .sum();
    let places: Vec<LonLat> =
        std::iter::once(task.depot).chain(visits.iter().map(|visit| visit.place)).collect();
    tour_bound_m(&places, |a, b| task.pace.way_m(a, b)).max(radial)
}

fn tour_bound_m(places: &[LonLat], way_m: impl Fn(LonLat, LonLat) -> f64) -> f64 {
    let n = places.len();
    match n {
        0 | 1 => return 0.0,
        2 => return 2.0 * way_m(places[0], places[1]),
        _ => {}
    }
    let ways: Vec<f64> = places.iter().flat_map(|a| places.iter().map(|b| way_m(*a, *b))).collect();
    let mut pull = vec![0.0; n];
    let (mut best, mut step) = (0.0_f64, None::<f64>);
    for round in 0..ROUNDS {
        let (length, degrees) = one_tree(&ways, n, &pull);
        let value = length - 2.0 * pull.iter().sum::<f64>();
        best = best.max(value);
        let off: f64 = degrees.iter().map(|degree| f64::from(degree - 2).powi(2)).sum();
        if off == 0.0 {
            break; // The tree is a tour: there is no shorter one.
        }
        let first = *step.get_or_insert(0.1 * length / off.max(1.0));
        let size = first * (1.0 - round as f64 / ROUNDS as f64);
        pull.iter_mut().zip(&degrees).for_each(|(pull, degree)| *pull += size * f64::from(degree - 2));
    }
    best
}

/// The shortest tree over all places but the first, with the first one's two shortest edges; each way is longer by the pulls of
/// its ends.
fn one_tree(ways: &[f64], n: usize, pull: &[f64]) -> (f64, Vec<i32>) {
    let way = |a: usize, b: usize| ways[a * n + b] + pull[a] + pull[b];
    let (mut degrees, mut length) = (vec![0; n], 0.0);
    let (mut nearest, mut parent) = (vec![f64::INFINITY; n], vec![1; n]);
    let mut is_in = vec![false; n];
    let mut newest = 1;
    is_in[1] = true;
    for _ in 2..n {
        let mut next = (f64::INFINITY, 0);
        for place in (2..n).filter(|place| !is_in[*place]).collect::<Vec<_>>() {
            let own = way(newest, place);
            if own < nearest[place] {
                (nearest[place], parent[place]) = (own, newest);
            }
            if nearest[place] < next.0 {
                next = (nearest[place], place);
            }
        }
        let (own, place) = next;
        is_in[place] = true;
        length += own;
        degrees[place] += 1;
        degrees[parent[place]] += 1;
        newest = place;
    }
    let mut edges: Vec<(f64, usize)> = (1..n).map(|place| (way(0, place), place)).collect();
    edges.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    for (own, place) in &edges[..2] {
        length += own;
        degrees[0] += 1;
        degrees[*place] += 1;
    }
    (length, degrees)
}
