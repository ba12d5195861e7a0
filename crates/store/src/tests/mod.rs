//! The store as a whole, on real files.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sanimon_alerting::RuleSet;
use sanimon_domain::time::HOUR_MS;
use sanimon_domain::{DeviceId, DeviceKind, DeviceNo, Fault, FaultCode, MetricNo, TimestampMs};

use crate::*;

mod delivery;
mod influxd;
mod reports;
mod windows;

const START: TimestampMs = TimestampMs(1_772_323_200_000);

fn device(no: u32) -> Device {
    let id = DeviceId::new(&format!("d-{no}")).expect("a sound id");
    let device = Device::new(id, DeviceKind::Bin, START);
    Device { no: DeviceNo(no), district: "east".to_owned(), state: DeviceState::Discovered, ..device }
}

fn message(no: u32, at: TimestampMs, value: f64) -> JournalMessage {
    let readings = vec![JournalReading { metric: MetricNo(0), at, value }];
    JournalMessage { device: DeviceNo(no), received_at: at, digest: None, readings }
}

fn commit(store: &mut Store, group: &Group) {
    store.writer.commit(group, &RuleSet::default(), START).expect("a commit");
}

fn seal(store: &mut Store) {
    if let Some(job) = store.writer.begin_seal().expect("a job") {
        let mut steps = Vec::new();
        job.run(|step| {
            steps.push(step);
            true
        })
        .expect("a seal");
        steps.iter().for_each(|step| store.writer.apply_seal_step(step).expect("a step"));
    }
}

fn all(store: &Store, no: u32) -> Vec<(i64, f64)> {
    let points = store
        .shared
        .telemetry(DeviceNo(no), MetricNo(0), TimestampMs(0), TimestampMs(i64::MAX / 2))
        .expect("an answer");
    points.iter().map(|p| (p.at.0, p.value)).collect()
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    let group = Group {
        new_devices: vec![device(0)],
        new_metrics: vec![(MetricNo(1_000), "door_angle".into())],
        messages: vec![JournalMessage { digest: Some([7; 16]), ..message(0, START, 83.0) }],
        statuses: vec![(DeviceNo(0), true, START)],
        ..Group::default()
    };
    commit(&mut store, &group);
    drop(store);

    let store = Store::open(folder.path(), None).expect("the store again");
    assert_eq!(all(&store, 0), [(START.0, 83.0)]);
    let directory = store.shared.directory.read();
    assert_eq!(directory.metric_name(MetricNo(1_000)), Some("door_angle"));
    assert_eq!(directory.device(DeviceNo(0)).expect("the device").online, Some((true, START)));
    assert_eq!(store.shared.hot.read().digest(DeviceNo(0)), Some(([7; 16], START)));
}

#[test]
fn sealing_keeps_the_newest_reading_and_the_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    let digested = JournalMessage { digest: Some([9; 16]), ..message(0, START, 83.0) };
    commit(&mut store, &Group { new_devices: vec![device(0)], messages: vec![digested], ..Group::default() });
    seal(&mut store);
    assert_eq!(store.shared.hot.read().unsealed_points(), 0);
    drop(store);

    let store = Store::open(folder.path(), None).expect("the store again");
    let hot = store.shared.hot.read();
    assert_eq!(hot.latest(DeviceNo(0)).next().map(|latest| latest.value), Some(83.0));
    assert_eq!(hot.digest(DeviceNo(0)), Some(([9; 16], START)));
}

#[test]
fn a_seal_that_breaks_off_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    let devices: Vec<Device> = (0..200).map(device).collect();
    let messages = (0..200).map(|no| message(no, START, f64::from(no))).collect();
    commit(&mut store, &Group { new_devices: devices, messages, ..Group::default() });
    let job = store.writer.begin_seal().expect("a job").expect("work to do");
    let mut steps = Vec::new();
    job.run(|step| {
        steps.push(step);
        true
    })
    .expect("a seal");
    assert!(steps.len() > 2, "the test needs several steps");
    store.writer.apply_seal_step(&steps[0]).expect("the first step only");
    drop(store);

    let mut store = Store::open(folder.path(), None).expect("the store again");
    for no in 0..200 {
        assert_eq!(all(&store, no), [(START.0, f64::from(no))]);
    }
    seal(&mut store);
    for no in 0..200 {
        assert_eq!(all(&store, no), [(START.0, f64::from(no))]);
    }
}

#[test]
fn a_reload_makes_the_steps_of_an_older_seal_void() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    commit(
        &mut store,
        &Group { new_devices: vec![device(0)], messages: vec![message(0, START, 1.0)], ..Group::default() },
    );
    let job = store.writer.begin_seal().expect("a job").expect("work to do");
    store.writer.reload().expect("a reload");
    job.run(|step| store.writer.apply_seal_step(&step).is_ok()).expect("a seal");
    assert_eq!(all(&store, 0), [(START.0, 1.0)]);
    assert_eq!(store.shared.hot.read().unsealed_points(), 1);
}

#[test]
fn a_directory_is_for_one_sanimon_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = Store::open(folder.path(), None).expect("a store");
    let error = Store::open(folder.path(), None).expect_err("in use").to_string();
    assert!(error.contains("another sanimon"), "{error}");
}

fn quarantined(topic: &str, message: &str) -> QuarantineEntry {
    QuarantineEntry::new(topic, "test".into(), Fault::new(FaultCode::NotJson, message), b"{", START)
}

#[test]
fn the_same_fault_a_thousand_times_is_one_entry_with_a_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    for _ in 0..10 {
        commit(&mut store, &Group { quarantine: vec![quarantined("t", "why"); 100], ..Group::default() });
    }
    let page = store.shared.quarantine(None, 10).expect("a page");
    assert_eq!((page.items.len(), page.items[0].count), (1, 1_000));
}

#[test]
fn the_quarantine_is_bounded_and_its_pages_cover_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    let bound = usize::try_from(crate::write::QUARANTINE_ROWS_MAX).expect("a small number");
    for batch in 0..11 {
        let entries = (0..1_000).map(|n| quarantined(&format!("t/{batch}/{n}"), "why")).collect();
        commit(&mut store, &Group { quarantine: entries, ..Group::default() });
    }
    let (mut count, mut before) = (0, None);
    loop {
        let page = store.shared.quarantine(before, 999).expect("a page");
        count += page.items.len();
        before = page.next_cursor;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(count, bound);
}

/// What can happen to a series.
#[derive(Debug, Clone)]
enum Happening {
    Points(Vec<(i64, f64)>),
    Seal,
    Restart,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    // Three days at 6-hour steps: duplicates, corrections and late points are common.
    let point = (0_i64..12, 0.0_f64..100.0).prop_map(|(step, value)| (START.0 + step * 6 * HOUR_MS, value));
    let happening = prop_oneof![
        4 => prop::collection::vec(point, 1..8).prop_map(Happening::Points),
        2 => Just(Happening::Seal),
        1 => Just(Happening::Restart),
    ];
    prop::collection::vec(happening, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_answer_never_depends_on_what_is_sealed_or_restarted(happenings in happenings()) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path(), None).expect("a store");
        commit(&mut store, &Group { new_devices: vec![device(0)], ..Group::default() });
        let mut model: BTreeMap<i64, f64> = BTreeMap::new();
        for happening in happenings {
            match happening {
                Happening::Points(points) => {
                    model.extend(points.iter().copied());
                    let messages = points.iter().map(|(at, v)| message(0, TimestampMs(*at), *v)).collect();
                    commit(&mut store, &Group { messages, ..Group::default() });
                }
                Happening::Seal => seal(&mut store),
                Happening::Restart => {
                    drop(store);
                    store = Store::open(folder.path(), None).expect("the store again");
                }
            }
            prop_assert_eq!(all(&store, 0), model.iter().map(|(at, v)| (*at, *v)).collect::<Vec<_>>());
        }
    }
}
