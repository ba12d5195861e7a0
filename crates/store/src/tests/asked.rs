//! What InfluxDB is asked for windows: few questions, whatever waits and however many devices there are.

use std::sync::{Arc, Mutex};

use sanimon_domain::{DeviceNo, MetricNo};

use super::between::{Event, Town, ask};
use super::stand_in::StandIn;
use super::windows::at;
use super::{Group, commit, deliver, device, influxd, message};
use crate::*;

/// A town of which all is delivered but the newest reading of each device and one of last week.
fn waiting_town(stand_in: &StandIn, folder: &std::path::Path, devices: u32) -> Town {
    let mut town = Town::new(stand_in, folder);
    let hourly = |no: u32| (0..10 * 24).map(move |hour| message(no, at(hour * 60), 1.0));
    let messages = (0..devices).flat_map(hourly).collect();
    let new_devices = (0..devices).map(device).collect();
    commit(&mut town.store, &Group { new_devices, messages, ..Group::default() });
    town.accept();
    town.let_go();
    let newest = |no: u32| [message(no, at(10 * 24 * 60), 1.0), message(no, at(3 * 24 * 60 + 1), 1.0)];
    let messages = (0..devices).flat_map(newest).collect();
    commit(&mut town.store, &Group { messages, ..Group::default() });
    town
}

fn counted(window: &str) -> WindowQuery {
    let (from, to) = (at(0), at(11 * 24 * 60));
    let window = window.parse().expect("a window");
    WindowQuery { metric: MetricNo(0), from, to, window, function: Function::Count }
}

#[test]
fn a_delivery_that_is_accepted_before_any_of_the_questions_counts_once() {
    for window in ["1h", "1d", "1w", "1mo"] {
        for nth in 0..3 {
            for events in [vec![(nth, Event::Accept)], vec![(nth, Event::Accept), (nth, Event::LetGo)]] {
                let (stand_in, folder) = (StandIn::start(), tempfile::tempdir().expect("a folder"));
                let town = Arc::new(Mutex::new(waiting_town(&stand_in, folder.path(), 2)));
                let groups = [vec![DeviceNo(0), DeviceNo(1)]];
                let (answer, _) =
                    ask(&stand_in, &town, &events, |shared| shared.windows(counted(window), &groups));
                let count: f64 = answer.expect("an answer")[0].iter().map(|point| point.value).sum();
                assert_eq!(count, 2.0 * (10.0 * 24.0 + 2.0), "{window} {events:?}");
                assert_eq!(stand_in.asked().len(), 3);
            }
        }
    }
}

#[test]
fn three_questions_are_asked_whatever_the_number_of_devices_groups_and_windows() {
    let (stand_in, folder) = (StandIn::start(), tempfile::tempdir().expect("a folder"));
    let mut town = waiting_town(&stand_in, folder.path(), 40);
    let groups: Vec<Vec<DeviceNo>> =
        (0..8).map(|group| (group * 5..group * 5 + 5).map(DeviceNo).collect()).collect();
    for window in ["15m", "1d", "1mo"] {
        stand_in.before_each(|_| {});
        let answer = town.store.shared.windows(counted(window), &groups).expect("an answer");
        let counts: Vec<f64> =
            answer.iter().map(|group| group.iter().map(|point| point.value).sum()).collect();
        assert_eq!(counts, [5.0 * (10.0 * 24.0 + 2.0); 8], "{window}");
        assert_eq!(stand_in.asked().len(), 3, "{window}");
    }
    // A month is not fetched for its last second: two points of each device wait, in two spans.
    let points = stand_in.asked().pop().expect("the points");
    assert_eq!(points.matches("from(").count(), 2, "{points}");
    assert_eq!(stand_in.rows(&points), 0, "they are not there yet");

    town.accept();
    town.let_go();
    stand_in.before_each(|_| {});
    town.store.shared.windows(counted("1d"), &groups).expect("an answer");
    assert_eq!(stand_in.asked().len(), 1, "nothing waits");
}

#[test]
fn influxdb_reads_once_for_the_sum_and_the_count_of_a_mean() {
    let Some(server) = influxd::Server::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    store.use_influx(Influx::new(server.bucket("mean")).expect("a client"));
    let messages = (0..100).map(|minute| message(0, at(minute), 1.0)).collect();
    commit(&mut store, &Group { new_devices: vec![device(0)], messages, ..Group::default() });
    deliver(&mut store);
    let read = |function: Function| -> Vec<String> {
        let query = WindowQuery { function, ..counted("1h") };
        let operations =
            store.shared.influx.as_ref().expect("it").operations(query, store.shared.calendar, "fill_pct");
        operations.into_iter().filter(|name| name.contains("influxdb.read")).collect()
    };
    assert_eq!(read(Function::Mean), ["*influxdb.readFilterSource"]);
    assert_eq!(read(Function::Sum), ["*influxdb.readWindowAggregateSource"]);
}
