//! The store as a whole, on real files.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sanimon_domain::time::HOUR_MS;
use sanimon_domain::{
    AlertId, Condition, DeviceId, DeviceKind, DeviceNo, FaultCode, Handling, MetricNo, RuleId, Severity,
    Subject, TimestampMs,
};
use sanimon_operations::Deadlines;

use crate::*;

mod alert_list;
mod asked;
mod between;
mod damaged_alert;
mod http;
mod influxd;
mod mqtt;
mod outbox;
mod stand_in;
mod windows;

const START: TimestampMs = TimestampMs(1_772_323_200_000);

fn device(no: u32) -> Device {
    let id = DeviceId::new(&format!("d-{no}")).expect("a sound id");
    let device = Device::new(id, DeviceKind::Bin, START);
    Device { no: DeviceNo(no), district: "east".to_owned(), state: DeviceState::Discovered, ..device }
}

fn message(no: u32, at: TimestampMs, value: f64) -> JournalMessage {
    let readings = vec![JournalReading { metric: MetricNo(0), at, value }];
    JournalMessage { device: DeviceNo(no), received_at: at, digest: None, is_old_news: false, readings }
}

/// An open alert of the device that has its number.
fn alert(id: u64) -> Alert {
    let (subject, rule) =
        (Subject::Device(DeviceNo(id as u32)), RuleId::new("bin_fill").expect("a sound id"));
    Alert {
        title_en: "Bin is full".to_owned(),
        title_zh: "垃圾桶已满".to_owned(),
        value: Some(92.0),
        ..Alert::new(AlertId(id), subject, rule, Severity::Minor, START)
    }
}

/// Enters rows, in one transaction.
fn enter<T>(store: &mut Store, rows: impl FnOnce(&Tx<'_>) -> Result<T>) -> T {
    let tx = store.file.begin().expect("a transaction");
    let entered = rows(&tx).expect("rows");
    tx.commit().expect("a commit");
    entered
}

/// What is entered together.
#[derive(Debug, Default)]
struct Group {
    new_devices: Vec<Device>,
    new_metrics: Vec<(MetricNo, Box<str>)>,
    messages: Vec<JournalMessage>,
    statuses: Vec<(DeviceNo, bool, TimestampMs)>,
    quarantine: Vec<QuarantineEntry>,
}

/// In the file first, then in memory, as the writer does.
fn commit(store: &mut Store, group: &Group) {
    enter(store, |tx| {
        group.new_devices.iter().try_for_each(|device| tx.put_device(device))?;
        group.new_metrics.iter().try_for_each(|(no, name)| tx.put_metric(*no, name, None))?;
        group.statuses.iter().try_for_each(|(device, online, at)| tx.put_status(*device, *online, *at))?;
        let mut rows = tx.count_quarantined()?;
        for entry in &group.quarantine {
            rows += tx.put_quarantined(entry, QuarantineLimits::default(), rows)?.rows;
        }
        tx.put_journal(tx.no(), group.messages.iter(), START)
    });
    let memory = &mut store.memory;
    memory.put_devices(group.new_devices.iter());
    group.new_metrics.iter().for_each(|(no, name)| memory.put_metric(*no, name, None));
    memory.set_statuses(&group.statuses);
    memory.add_messages(group.messages.iter());
}

/// All steps of a seal of what waits; none of them is applied.
fn begin_seal(store: &mut Store) -> Vec<SealStep> {
    let up_to_seq = store.file.last_journal_row().expect("a number");
    let mut steps = Vec::new();
    if let Some(job) = store.memory.begin_seal(up_to_seq) {
        job.run(|step| {
            steps.push(step);
            true
        })
        .expect("a seal");
    }
    steps
}

fn apply_seal_step(store: &mut Store, step: &SealStep) {
    let recent = store.shared.hot.clone();
    enter(store, |tx| {
        step.changes.iter().try_for_each(|change| tx.put_series_change(change))?;
        tx.put_latest(&recent.read(), step.changes.iter().map(|change| change.series))?;
        step.done_up_to_seq.map_or(Ok(Vec::new()), |seq| tx.remove_journal(seq, std::iter::empty(), START))
    });
    if step.done_up_to_seq.is_some() {
        store.memory.end_seal(&[]);
    }
}

fn seal(store: &mut Store) {
    let steps = begin_seal(store);
    steps.iter().for_each(|step| apply_seal_step(store, step));
}

/// What waits, for InfluxDB: the blocks first. `None`: nothing waits.
fn begin_delivery(store: &mut Store) -> Option<DeliveryJob> {
    let up_to_seq = store.file.last_journal_row().expect("a number");
    match store.file.has_blocks().expect("an answer") {
        true => store.memory.begin_delivery(Delivery::Blocks),
        false if up_to_seq > 0 => store.memory.begin_delivery(Delivery::Journal { up_to_seq }),
        false => None,
    }
}

fn apply_delivery_step(store: &mut Store, step: &DeliveryStep) {
    let (recent, calendar) = (store.shared.hot.clone(), store.shared.calendar);
    enter(store, |tx| tx.remove_delivered(step, &recent.read(), calendar));
    if step.is_of_journal() {
        store.memory.end_seal(&[]);
    }
}

/// Everything that waits is delivered.
fn deliver(store: &mut Store) {
    while let Some(job) = begin_delivery(store) {
        let step = job.run(|| START).expect("sent").expect("not void");
        apply_delivery_step(store, &step);
    }
}

fn all(store: &Store, no: u32) -> Vec<(i64, f64)> {
    let points = store
        .shared
        .telemetry(DeviceNo(no), MetricNo(0), TimestampMs(0), TimestampMs(i64::MAX / 2))
        .expect("an answer");
    points.iter().map(|p| (p.at.0, p.value)).collect()
}

/// By which redeliveries of a device are known.
fn digests(store: &Store, no: u32) -> Vec<([u8; 16], TimestampMs)> {
    let recent = store.shared.hot.read();
    let messages = recent.recent_messages(DeviceNo(no)).expect("a device");
    messages.iter().map(|message| (message.digest, message.received_at)).collect()
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
    assert_eq!(digests(&store, 0), [([7; 16], START)]);
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
    let latest = store.shared.hot.read().latest(DeviceNo(0)).next().map(|latest| latest.value);
    assert_eq!(latest, Some(83.0));
    assert_eq!(digests(&store, 0), [([9; 16], START)]);
}

#[test]
fn a_seal_that_breaks_off_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    let devices: Vec<Device> = (0..200).map(device).collect();
    let messages = (0..200).map(|no| message(no, START, f64::from(no))).collect();
    commit(&mut store, &Group { new_devices: devices, messages, ..Group::default() });
    let steps = begin_seal(&mut store);
    assert!(steps.len() > 2, "the test needs several steps");
    apply_seal_step(&mut store, &steps[0]);
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
fn a_directory_is_for_one_sanimon_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = Store::open(folder.path(), None).expect("a store");
    let error = Store::open(folder.path(), None).expect_err("in use").to_string();
    assert!(error.contains("another sanimon"), "{error}");
}

fn quarantined(topic: &str, message: &str) -> QuarantineEntry {
    // Each topic has a sender of its own.
    QuarantineEntry::new((topic, "test".into(), topic), (FaultCode::NotJson, message), b"{", START)
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
    let bound = usize::try_from(QuarantineLimits::default().rows_max).expect("a small number");
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
