use proptest::prelude::*;
use sanimon_domain::TimestampMs;
use sanimon_domain::collection::{Pace, RoundTask, Visit};

use super::*;

const SHIFT: TimestampMs = TimestampMs(1_772_323_200_000);

fn visit(east: f64, north: f64, load_l: f64) -> Visit {
    Visit { place: [119.65 + east * 0.001, 30.23 + north * 0.001], load_l, closed: Vec::new() }
}

fn task(visits: Vec<Visit>) -> RoundTask {
    let depot = [119.65, 30.23];
    let pace = Pace::default();
    RoundTask { depot, capacity_l: 8_000.0, from: SHIFT, to: SHIFT.plus_ms(8 * 3_600_000), pace, visits }
}

fn order(route: &Route) -> Vec<usize> {
    route.stops.iter().map(|stop| stop.visit).collect()
}

#[test]
fn a_square_is_driven_around_and_the_bound_says_that_nothing_is_shorter() {
    let corners = [(0.0, 10.0), (10.0, 0.0), (10.0, 10.0)];
    let task = task(corners.iter().map(|(east, north)| visit(*east, *north, 100.0)).collect());
    let route = plan(&task);
    assert!(order(&route) == [0, 2, 1] || order(&route) == [1, 2, 0], "{:?}", order(&route));
    assert!(route.left_out.is_empty());
    let bound = route.bound_m.expect("looked for");
    assert!((route.length_m / bound - 1.0).abs() < 1e-3, "{} against {bound}", route.length_m);
}

#[test]
fn a_vehicle_that_is_full_is_emptied_between_two_trips() {
    let full: Vec<Visit> = (0..10).map(|n| visit(f64::from(n), 5.0, 2_000.0)).collect();
    let route = plan(&task(full));
    assert!(route.left_out.is_empty(), "{route:?}");
    for trip in 0..=route.stops.last().expect("stops").trip {
        let load = route.stops.iter().filter(|stop| stop.trip == trip).count() * 2_000;
        assert!(load > 0 && load <= 8_000, "trip {trip} carries {load} litres");
    }
}

#[test]
fn nobody_stops_at_a_market_while_it_is_open() {
    let mut visits: Vec<Visit> = (0..6).map(|n| visit(f64::from(n), 1.0, 100.0)).collect();
    let opens = SHIFT.plus_ms(3 * 3_600_000);
    visits[2].closed = vec![(SHIFT, opens)];
    let route = plan(&task(visits));
    let stop = route.stops.iter().find(|stop| stop.visit == 2).expect("it is visited all the same");
    assert!(stop.at >= opens);
}

#[test]
fn what_does_not_fit_into_the_shift_is_left_out_and_told() {
    let mut far = task(vec![visit(1.0, 1.0, 10.0), visit(900.0, 900.0, 10.0)]);
    far.to = far.from.plus_ms(3_600_000);
    let route = plan(&far);
    assert_eq!((order(&route), route.left_out), (vec![0], vec![1]));
    assert!(route.ends_at <= far.to);
}

#[test]
fn nothing_to_do_is_no_round() {
    let route = plan(&task(Vec::new()));
    assert_eq!((route.length_m, route.stops.len(), route.bound_m), (0.0, 0, Some(0.0)));
}

#[test]
fn a_hundred_bins_come_near_the_bound() {
    let scattered = |n: i32| visit(f64::from(n * 37 % 41) * 0.7, f64::from(n * 53 % 61) * 0.5, 40.0);
    let task = task((0..100).map(scattered).collect());
    let route = plan(&task);
    let share = route.length_m / route.bound_m.expect("looked for");
    assert!(share < 1.25, "{share} times the bound");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The bound holds for every order, also for one that nobody would drive.
    #[test]
    fn no_order_is_shorter_than_the_bound(places in prop::collection::vec((0.0..30.0_f64, 0.0..30.0_f64, 1.0..3_000.0_f64), 1..12)) {
        let mut task = task(places.iter().map(|(east, north, load)| visit(*east, *north, *load)).collect());
        task.to = task.from.plus_ms(100 * 3_600_000);
        let all: Vec<usize> = (0..task.visits.len()).collect();
        let route = follow(&task, &trips(&task, &all));
        prop_assert!(route.left_out.is_empty());
        prop_assert!(bound_m(&task, &all) <= route.length_m * (1.0 + 1e-9));
        prop_assert!(route.stops.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].trip <= pair[1].trip));
    }
}
