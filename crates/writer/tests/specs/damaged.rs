//! Delivery and sealing beside what a disk has damaged: what can be read goes on, what cannot is kept and named.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proptest::prelude::*;
use sanimon_domain::time::HOUR_MS;
use sanimon_domain::{DeviceKind, DeviceNo, TimestampMs, metric};
use sanimon_store::{Device, JournalMessage, JournalReading, verify};
use sanimon_writer::{History, Input};

use crate::bucket::Bucket;
use crate::look::id;
use crate::say::{START, fill};
use crate::site::Site;

/// Later than all that is said.
const NOW: TimestampMs = TimestampMs(START.0 + 1_000 * HOUR_MS);

fn at(hours: i64) -> TimestampMs {
    START.plus_ms(hours * HOUR_MS)
}

impl Site {
    /// A disk changes a byte of each of these rows.
    fn flips(&self, table: &str, column: &str, condition: &str) -> usize {
        let flipped = format!(
            "UPDATE {table} SET {column} = CAST(substr({column}, 1, 7) || x'5a' || substr({column}, 9) AS BLOB)
             WHERE {condition}"
        );
        self.connection().execute(&flipped, []).expect("flipped")
    }

    /// One row of the journal a point.
    fn hears_hourly(&mut self, device: &str, hours: Range<i64>) {
        hours.for_each(|hour| self.hear(&[fill(device, hour as f64, at(hour))]));
    }

    /// Devices with points of the past, in blocks.
    fn has_blocks_of(&mut self, hours_of: &[(&str, Range<i64>)]) {
        let (mut new_devices, mut messages) = (Vec::new(), Vec::new());
        for (no, (name, hours)) in (0..).zip(hours_of) {
            let device = DeviceNo(no);
            let reading =
                |hour: i64| JournalReading { metric: metric::FILL_PCT, at: at(hour), value: hour as f64 };
            let (received_at, readings) = (START, hours.clone().map(reading).collect());
            new_devices.push(Device { no: device, ..Device::new(id(name), DeviceKind::Bin, START) });
            messages.push(JournalMessage { device, received_at, digest: None, is_old_news: false, readings });
        }
        self.apply(START, Input::History(History { new_devices, messages, ..History::default() }));
        self.seals(START);
    }

    fn damaged_places(&self) -> usize {
        self.shared().damaged_places()
    }

    fn faults(&self) -> Vec<String> {
        verify(self.folder(), |_, _| {}).expect("it can be read").expect("there is a database").faults
    }
}

/// The numbers of the journal's rows.
fn seqs(site: &Site) -> Vec<i64> {
    site.column("SELECT seq FROM journal ORDER BY seq")
}

/// The hours that InfluxDB has of a device.
fn arrived(bucket: &Bucket, device: &str) -> BTreeSet<i64> {
    let name = format!("device={device} ");
    let lines = bucket.accepted().into_iter().filter(|line| line.contains(&name));
    let ms = lines.map(|line| line.rsplit(' ').next().expect("a time").parse::<i64>().expect("a number"));
    ms.map(|ms| (ms - START.0) / HOUR_MS).collect()
}

/// Points in a full block.
const FULL_BLOCK: i64 = 1_024;
/// Two full blocks, and some more.
const HOURS_OF_PAST: i64 = 2 * FULL_BLOCK + 10;

/// Two devices; the first has two full blocks and an open one, the second an open one. Nothing else waits.
fn with_blocks() -> Site {
    let mut site = Site::new();
    site.has_blocks_of(&[("b-0", -HOURS_OF_PAST..0), ("b-1", 0..3)]);
    assert_eq!(site.number("SELECT count(*) FROM closed_block"), 2);
    site
}

#[test]
fn a_damaged_block_is_set_aside_and_everything_else_is_delivered() {
    let (mut site, bucket) = (with_blocks(), Bucket::accepting());
    assert_eq!(site.flips("closed_block", "points", "id = 1"), 1);
    let damaged: Vec<Vec<u8>> = site.column("SELECT points FROM closed_block WHERE id = 1");
    site.delivers_to(&bucket, at(3));
    site.hears_hourly("b-1", 3..4);
    assert_eq!(site.delivers(at(3)), [true, false], "the blocks, then the journal");
    assert_eq!(arrived(&bucket, "b-0"), (FULL_BLOCK - HOURS_OF_PAST..0).collect());
    assert_eq!(arrived(&bucket, "b-1"), (0..4).collect());
    // It stays as it was, is named, and the days that it told are still told.
    assert_eq!(site.column::<Vec<u8>>("SELECT points FROM closed_block"), damaged);
    let said = site.faults();
    assert!(said.iter().any(|said| said.starts_with("closed_block 1, b-0 fill_pct from")), "{said:?}");
    assert!(said.iter().any(|said| said.starts_with("closed_block 1, since 2026-")), "{said:?}");
    assert_eq!(site.damaged_places(), 1);
    assert_eq!(site.column::<i64>("SELECT DISTINCT device_no FROM day_month"), [0]);
    // A restart neither forgets nor chooses it.
    site.restarts(NOW);
    assert_eq!(site.damaged_places(), 1);
    assert!(site.delivery(NOW).is_none());
}

#[test]
fn more_damaged_blocks_than_a_step_sets_aside_do_not_stop_the_journal_either() {
    const SET_ASIDE_IN_A_STEP: usize = 1_000;
    let names: Vec<String> = (0..SET_ASIDE_IN_A_STEP + 6).map(|n| format!("b-{n}")).collect();
    let hours_of: Vec<(&str, Range<i64>)> = names.iter().map(|name| (name.as_str(), 0..1)).collect();
    let (mut site, bucket) = (Site::new(), Bucket::accepting());
    site.has_blocks_of(&hours_of);
    let damaged = site.flips("open_block", "points", "device_no < 1005");
    assert_eq!(damaged, SET_ASIDE_IN_A_STEP + 5);
    site.delivers_to(&bucket, at(5));
    site.hears_hourly("b-0", 5..6);
    // The second step comes to the one that is sound.
    assert_eq!(site.delivers(at(5)), [false, true, false]);
    assert_eq!((arrived(&bucket, "b-1005"), arrived(&bucket, "b-0")), ([0].into(), [5].into()));
    assert_eq!(site.damaged_places(), damaged);
}

#[test]
fn a_step_that_delivers_nothing_is_not_followed_at_once() {
    let (mut site, bucket) = (with_blocks(), Bucket::accepting());
    site.flips("closed_block", "points", "1");
    site.flips("open_block", "points", "1");
    site.delivers_to(&bucket, NOW);
    assert_eq!(site.delivers(NOW), [false]);
    assert!(bucket.accepted().is_empty());
}

#[test]
fn a_new_open_block_in_the_place_of_a_damaged_one_is_delivered() {
    let (mut site, bucket) = (with_blocks(), Bucket::accepting());
    assert_eq!(site.flips("open_block", "points", "device_no = 1"), 1);
    site.delivers_to(&bucket, START);
    site.delivers(at(2));
    site.hears_hourly("b-1", 3..5);
    site.seals(at(5));
    site.delivers(NOW);
    assert_eq!(arrived(&bucket, "b-1"), (3..5).collect());
    assert_eq!(site.number("SELECT count(*) FROM closed_block"), 1, "the damaged one");
}

const ROWS: &str = "SELECT records FROM journal ORDER BY seq";
const KEPT: &str = "SELECT records FROM damaged_journal ORDER BY seq";

impl Site {
    fn hears_three_points(&mut self) {
        self.hears_hourly("b-0", 0..3);
    }

    /// Of three rows of the journal the second is damaged; gives its bytes.
    fn damages_the_second_row(&self) -> Vec<u8> {
        assert_eq!(self.flips("journal", "records", "seq = (SELECT min(seq) + 1 FROM journal)"), 1);
        self.column::<Vec<u8>>(ROWS)[1].clone()
    }

    /// The row is gone from the journal, its bytes are kept, and one entry of the quarantine has them.
    fn has_kept_and_told(&self, damaged: &[u8]) {
        assert!(self.column::<Vec<u8>>(ROWS).is_empty());
        assert_eq!(self.column::<Vec<u8>>(KEPT), [damaged]);
        let told = self.quarantine();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].code.as_str(), told[0].payload.as_slice()), ("damaged_record", damaged));
        assert!(told[0].message.contains("checksum"), "{}", told[0].message);
    }
}

#[test]
fn a_row_that_is_damaged_while_sanimon_runs_is_kept_and_its_readings_arrive_from_memory() {
    let bucket = Bucket::accepting();
    let mut site = Site::with_bucket(&bucket);
    site.hears_three_points();
    let damaged = site.damages_the_second_row();
    site.delivers(NOW);
    assert_eq!(arrived(&bucket, "b-0"), (0..3).collect());
    site.has_kept_and_told(&damaged);
    assert_eq!(site.damaged_places(), 1);
}

#[test]
fn a_row_that_is_damaged_while_sanimon_is_stopped_is_kept_and_named() {
    let bucket = Bucket::accepting();
    let mut site = Site::new();
    site.hears_three_points();
    let (damaged, seq) = (site.damages_the_second_row(), seqs(&site)[1]);
    site.delivers_to(&bucket, NOW);
    assert_eq!(site.damaged_places(), 1, "found when memory was loaded");
    site.delivers(NOW);
    assert_eq!(arrived(&bucket, "b-0"), [0, 2].into());
    site.has_kept_and_told(&damaged);
    let said = site.faults();
    assert!(said.len() == 1 && said[0].starts_with(&format!("journal row {seq}, since 2026-")), "{said:?}");
    assert!(said[0].contains("damaged and kept: ") && said[0].contains("checksum"), "{said:?}");
    assert_eq!(site.damaged_places(), 1);
}

#[test]
fn a_seal_keeps_a_damaged_row_too() {
    let mut site = Site::new();
    site.hears_three_points();
    let damaged = site.damages_the_second_row();
    site.restarts(NOW);
    site.seals(NOW);
    assert_eq!(site.points("b-0", "fill_pct"), [(at(0), 0.0), (at(2), 2.0)]);
    site.has_kept_and_told(&damaged);
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Commit,
    /// A byte of the journal's row of this place.
    Flip(usize),
    Deliver,
    Seal,
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => Just(Event::Commit),
        3 => (0_usize..6).prop_map(Event::Flip),
        1 => Just(Event::Deliver),
        1 => Just(Event::Seal),
        2 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..30)
}

/// A reading a row of the journal: the hour by its row, and the row's bytes by its hour once it is damaged.
#[derive(Default)]
struct Rows {
    hour_of: BTreeMap<i64, i64>,
    bytes: BTreeMap<i64, Vec<u8>>,
}

fn happens(site: &mut Site, event: Event, hour: i64, rows: &mut Rows) {
    match event {
        Event::Commit => {
            site.hears_hourly("b-0", hour..hour + 1);
            rows.hour_of.insert(*seqs(site).last().expect("a row"), hour);
        }
        Event::Flip(place) => {
            if let Some(seq) = seqs(site).get(place) {
                site.flips("journal", "records", &format!("seq = {seq}"));
                let bytes = site.column(&format!("SELECT records FROM journal WHERE seq = {seq}")).remove(0);
                rows.bytes.insert(rows.hour_of[seq], bytes);
            }
        }
        Event::Deliver => drop(site.delivers(at(hour))),
        Event::Seal => site.seals(at(hour)),
        Event::Restart => site.restarts(at(hour)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 48 } else { 1_000 }))]

    #[test]
    fn each_reading_arrives_or_the_bytes_of_its_row_are_kept(events in events()) {
        let (bucket, mut rows) = (Bucket::accepting(), Rows::default());
        let mut site = Site::with_bucket(&bucket);
        for (hour, event) in (0_i64..).zip(events) {
            happens(&mut site, event, hour, &mut rows);
        }
        site.delivers(NOW);
        prop_assert!(seqs(&site).is_empty());
        let (arrived, kept) = (arrived(&bucket, "b-0"), site.column::<Vec<u8>>(KEPT));
        for hour in rows.hour_of.values() {
            let is_kept = rows.bytes.get(hour).is_some_and(|bytes| kept.contains(bytes));
            prop_assert!(arrived.contains(hour) || is_kept, "{hour} of {arrived:?}, {} kept", kept.len());
        }
        let here = site.shared().points_here(DeviceNo(0), metric::FILL_PCT, TimestampMs(0), at(10_000));
        prop_assert_eq!(here.expect("an answer"), vec![]);
    }
}
