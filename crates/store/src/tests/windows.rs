//! Every answer against a naive model: a map of all points, in random histories with late, repeated and corrected
//! points, seals, seals that break off and restarts.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use sanimon_domain::{DeviceNo, MetricNo, SiteCalendar, TimestampMs, Window, time::MINUTE_MS};

use super::{Group, apply_seal_step, begin_seal, commit, deliver, device, influxd, message, seal};
use crate::*;

const DEVICES: u32 = 3;
/// The week around the end of daylight saving in Europe, 2026-10-25.
const FIRST: TimestampMs = TimestampMs(1_792_540_800_000);
const SPAN_MINUTES: i64 = 12 * 24 * 60;

#[derive(Debug, Clone)]
pub(super) enum Happening {
    Points(Vec<(u32, i64, f64)>),
    /// What the background does is done.
    Settle,
    /// Only so many steps of a seal are applied, then the process is killed.
    BrokenSeal(usize),
    Restart,
    Zone(&'static str),
}

#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) window: &'static str,
    /// Minutes.
    pub(super) from: i64,
    pub(super) length: i64,
    pub(super) devices: Vec<u32>,
}

pub(super) fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    // Steps of 4 hours and odd minutes: equal times, corrections and late points are common.
    let at = prop_oneof![
        3 => (0..SPAN_MINUTES / 240).prop_map(|step| step * 240),
        1 => 0..SPAN_MINUTES,
    ];
    let value = prop_oneof![Just(0.0), (0..1_000).prop_map(|n| f64::from(n) / 10.0), -1e3_f64..1e3];
    let point = (0..DEVICES, at, value);
    let happening = prop_oneof![
        6 => prop::collection::vec(point, 1..40).prop_map(Happening::Points),
        3 => Just(Happening::Settle),
        1 => (0_usize..3).prop_map(Happening::BrokenSeal),
        1 => Just(Happening::Restart),
        1 => prop::sample::select(vec!["Europe/Berlin", "Asia/Shanghai", "UTC"]).prop_map(Happening::Zone),
    ];
    prop::collection::vec(happening, 1..14)
}

pub(super) fn questions() -> impl Strategy<Value = Vec<Question>> {
    let window = prop::sample::select(vec!["15m", "1h", "6h", "1d", "2d", "1w", "1mo"]);
    let from =
        prop_oneof![Just(-SPAN_MINUTES), -2_000..SPAN_MINUTES, (0..12_i64).prop_map(|day| day * 24 * 60)];
    let question = (window, from, 1..2 * SPAN_MINUTES, prop::collection::vec(0..DEVICES, 1..3));
    prop::collection::vec(
        question.prop_map(|(window, from, length, mut devices)| {
            devices.sort_unstable();
            devices.dedup();
            Question { window, from, length, devices }
        }),
        1..6,
    )
}

/// All points by device and time.
type Model = BTreeMap<u32, BTreeMap<i64, f64>>;

pub(super) fn at(minutes: i64) -> TimestampMs {
    FIRST.plus_ms(minutes * MINUTE_MS)
}

/// The answer by the book: each point alone.
fn expected(model: &Model, question: &Question, calendar: SiteCalendar) -> BTreeMap<i64, Vec<Point>> {
    let window: Window = question.window.parse().expect("a window");
    let (from, to) = (at(question.from), at(question.from + question.length));
    let mut windows: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for device in &question.devices {
        for (ms, value) in model.get(device).into_iter().flatten() {
            let point = Point { at: TimestampMs(*ms), value: *value };
            if point.at >= from && point.at < to {
                windows.entry(window.start(calendar, point.at).0).or_default().push(point);
            }
        }
    }
    windows
}

fn check(store: &Store, model: &Model, question: &Question) -> std::result::Result<(), TestCaseError> {
    let devices: Vec<DeviceNo> = question.devices.iter().copied().map(DeviceNo).collect();
    let expected = expected(model, question, store.shared.calendar);
    for (_, function) in Function::ALL {
        let query = WindowQuery {
            metric: MetricNo(0),
            from: at(question.from),
            to: at(question.from + question.length),
            window: question.window.parse().expect("a window"),
            function: *function,
        };
        let answer =
            store.shared.windows(query, std::slice::from_ref(&devices)).expect("an answer").remove(0);
        let starts: Vec<i64> = answer.iter().map(|point| point.at.0).collect();
        prop_assert_eq!(starts, expected.keys().copied().collect::<Vec<_>>());
        for (window, points) in answer.iter().zip(expected.values()) {
            prop_assert!(says(points, *function, window.value), "{function:?} {window:?} of {points:?}");
        }
    }
    Ok(())
}

/// Whether this is what the points say.
pub(super) fn says(points: &[Point], function: Function, value: f64) -> bool {
    let values = || points.iter().map(|point| point.value);
    let total: f64 = values().sum();
    let near = |expected: f64| (value - expected).abs() < 1e-6;
    // Of several devices' points at the same time, any may be the first or last one.
    let at = |at: Option<TimestampMs>| points.iter().any(|p| Some(p.at) == at && p.value == value);
    match function {
        Function::Count => value == points.len() as f64,
        Function::Min => value == values().fold(f64::INFINITY, f64::min),
        Function::Max => value == values().fold(f64::NEG_INFINITY, f64::max),
        Function::Sum => near(total),
        Function::Mean => near(total / points.len() as f64),
        Function::First => at(points.iter().map(|p| p.at).min()),
        Function::Last => at(points.iter().map(|p| p.at).max()),
    }
}

fn seal_steps(store: &mut Store, most: usize) {
    begin_seal(store).iter().take(most).for_each(|step| apply_seal_step(store, step));
}

/// Where the points of a history are kept.
enum Backend {
    Embedded,
    /// A bucket of its own for each history.
    Influx(InfluxOptions),
}

impl Backend {
    fn open(&self, folder: &Path, calendar: Option<SiteCalendar>) -> Store {
        let mut store = Store::open(folder, calendar).expect("a store");
        if let Self::Influx(options) = self {
            store.use_influx(Influx::new(options.clone()).expect("a client"));
        }
        store
    }

    /// What happens in the background: everything is sealed, or delivered.
    fn settle(&self, store: &mut Store) {
        match self {
            Self::Embedded => seal(store),
            Self::Influx(_) => deliver(store),
        }
    }
}

/// The suite that every back end must pass: a history, then questions.
fn conforms(
    backend: &Backend,
    happenings: Vec<Happening>,
    questions: &[Question],
) -> std::result::Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = backend.open(folder.path(), SiteCalendar::named("Europe/Berlin"));
    commit(&mut store, &Group { new_devices: (0..DEVICES).map(device).collect(), ..Group::default() });
    let mut model = Model::new();
    for happening in happenings {
        match happening {
            Happening::Points(points) => {
                let messages =
                    points.iter().map(|(no, minutes, value)| message(*no, at(*minutes), *value)).collect();
                for (no, minutes, value) in points {
                    model.entry(no).or_default().insert(at(minutes).0, value);
                }
                commit(&mut store, &Group { messages, ..Group::default() });
            }
            Happening::Settle => backend.settle(&mut store),
            Happening::BrokenSeal(most) => {
                seal_steps(&mut store, most);
                drop(store);
                store = backend.open(folder.path(), None);
            }
            Happening::Restart => {
                drop(store);
                store = backend.open(folder.path(), None);
            }
            Happening::Zone(zone) => {
                drop(store);
                store = backend.open(folder.path(), SiteCalendar::named(zone));
            }
        }
    }
    for question in questions {
        check(&store, &model, question)?;
    }
    for no in 0..DEVICES {
        let (from, to) = (TimestampMs(0), TimestampMs(4_000_000_000_000));
        let points = store.shared.telemetry(DeviceNo(no), MetricNo(0), from, to).expect("an answer");
        let expected = model.get(&no).cloned().unwrap_or_default();
        prop_assert_eq!(
            points.iter().map(|p| (p.at.0, p.value)).collect::<Vec<_>>(),
            expected.into_iter().collect::<Vec<_>>()
        );
    }
    prop_assert_eq!(store.shared.damaged_places(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 48 } else { 2_000 }))]

    #[test]
    fn the_embedded_store_answers_as_the_model_does(happenings in happenings(), questions in questions()) {
        conforms(&Backend::Embedded, happenings, &questions)?;
    }
}

/// Each asks InfluxDB some fifty times; `SANIMON_SLOW=1` for a long proof.
fn influx_cases() -> u32 {
    if std::env::var_os("SANIMON_SLOW").is_some() { 300 } else { 16 }
}

#[test]
fn influxdb_answers_as_the_model_does() {
    let Some(server) = influxd::Server::start() else { return };
    let config =
        ProptestConfig { cases: influx_cases(), failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let mut buckets = 0..;
    let buckets = std::cell::RefCell::new(&mut buckets);
    runner
        .run(&(happenings(), questions()), |(happenings, questions)| {
            let number: u32 = buckets.borrow_mut().next().expect("numbers have no end");
            conforms(&Backend::Influx(server.bucket(&format!("case-{number}"))), happenings, &questions)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// A year of one device, sealed, at a point an hour.
fn a_year(folder: &std::path::Path) -> (Store, BTreeMap<i64, f64>) {
    let mut store = Store::open(folder, SiteCalendar::named("Asia/Shanghai")).expect("a store");
    let mut model = BTreeMap::new();
    commit(&mut store, &Group { new_devices: vec![device(0)], ..Group::default() });
    for day in 0..365 {
        let messages = (0..24).map(|hour| {
            let (at, value) = (FIRST.plus_ms((day * 24 + hour) * 60 * MINUTE_MS), (day + hour) as f64 / 10.0);
            model.insert(at.0, value);
            message(0, at, value)
        });
        let messages = messages.collect();
        commit(&mut store, &Group { messages, ..Group::default() });
        if day % 3 == 0 {
            seal(&mut store);
        }
    }
    (store, model)
}

fn by_day(store: &Store, from: TimestampMs, to: TimestampMs) -> Vec<Point> {
    let query =
        WindowQuery { metric: MetricNo(0), from, to, window: Window::Days(1), function: Function::Count };
    store.shared.windows(query, &[vec![DeviceNo(0)]]).expect("an answer").remove(0)
}

#[test]
fn a_corrupt_block_is_skipped_and_the_rest_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, model) = a_year(folder.path());
    let before = by_day(&store, FIRST, FIRST.plus_ms(400 * 24 * 60 * MINUTE_MS)).len();
    drop(store);
    let file = rusqlite::Connection::open(folder.path().join("sanimon.db")).expect("the file");
    let flipped = "UPDATE closed_block SET points = CAST(substr(points, 1, 20) || x'5a5a' || substr(points, 23) AS BLOB) WHERE id = 7";
    assert_eq!(file.execute(flipped, []).expect("flipped"), 1);
    drop(file);

    let store = Store::open(folder.path(), None).expect("the store again");
    let points = store
        .shared
        .telemetry(DeviceNo(0), MetricNo(0), TimestampMs(0), TimestampMs(i64::MAX / 2))
        .expect("the rest");
    assert_eq!(points.len(), model.len() - crate::block::PART_POINTS);
    assert_eq!(store.shared.damaged_places(), 1);
    let said = verify(folder.path(), |_, _| {}).expect("it can be read").expect("there is a database").faults;
    assert!(said.len() == 1 && said[0].contains("closed_block 7, d-0 fill_pct from 20"), "{said:?}");
    // Days are told by their own sums.
    assert_eq!(by_day(&store, FIRST, FIRST.plus_ms(400 * 24 * 60 * MINUTE_MS)).len(), before);
}
