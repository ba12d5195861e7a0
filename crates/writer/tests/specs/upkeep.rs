//! Work beside the messages: sealing, retention, what is forgotten.

use sanimon_domain::time::{DAY_MS, MINUTE_MS};
use sanimon_domain::{DeviceKind, DeviceNo, TimestampMs, metric};
use sanimon_store::{Call, Counters, Device, JournalMessage, JournalReading, Retention};
use sanimon_writer::{History, Input, Job, JobOutcome, Message, Options, Thresholds, Work};

use crate::disk::{APPLIED, FULL, IO, fails_once_at, gone_from_the_commit};
use crate::look::id;
use crate::say::{START, fill, minutes};
use crate::site::{Site, options};

impl Site {
    /// A seal is due when so many points wait.
    pub(crate) fn sealing_at(points: usize) -> Self {
        let thresholds = Thresholds {
            seal_at_points: points,
            seal_at_points_per_series: 1,
            seal_at_points_max: points,
            unsealed_points_max: 2 * points,
            ..Thresholds::default()
        };
        Self::with(Options { thresholds, ..options(Vec::new()) })
    }

    /// Does the job that is due, as a thread beside the writer would.
    pub(crate) fn works(&mut self, now: TimestampMs) {
        let Job { id, work: Work::Seal(job) } = self.job.take().expect("a job") else {
            panic!("a delivery is due")
        };
        let step = |step| {
            self.apply(now, Input::Maintenance(id, JobOutcome::Sealed(step)));
            true
        };
        job.run(step).expect("a seal");
    }

    fn hears_each_minute(&mut self, minutes_heard: std::ops::Range<i64>) {
        minutes_heard.for_each(|n| self.hear(&[fill("b-1", n as f64, minutes(n))]));
    }
}

#[test]
fn messages_begin_a_seal_when_enough_points_wait() {
    let mut site = Site::sealing_at(10);
    site.hears_each_minute(0..9);
    assert!(site.job.is_none());
    site.hears_each_minute(9..10);
    site.works(minutes(9));
    assert_eq!(site.number("SELECT count(*) FROM journal"), 0);
    assert_eq!(site.values("b-1", "fill_pct").len(), 10);
}

#[test]
fn a_tick_begins_a_seal_that_had_to_rest() {
    let mut site = Site::sealing_at(10);
    site.hears_each_minute(0..10);
    let lost = site.job.take().expect("a seal");
    site.apply(minutes(9), Input::Maintenance(lost.id, JobOutcome::Lost));
    assert!(site.job.is_none(), "not at once");
    site.waits_until(minutes(10));
    site.works(minutes(10));
    assert_eq!(site.number("SELECT count(*) FROM journal"), 0);
}

#[test]
fn a_seal_whose_commit_fails_rests_and_loses_nothing() {
    let mut site = Site::sealing_at(10);
    site.hears_each_minute(0..10);
    site.fails(|call| (call == Call::Commit).then_some(FULL));
    site.works(minutes(9));
    site.heals();
    assert_eq!(Counters::get(&site.shared().health.counters.job_failures), 1);
    assert_eq!(site.values("b-1", "fill_pct").len(), 10);
    site.waits_until(minutes(10));
    site.works(minutes(10));
    assert_eq!(site.number("SELECT count(*) FROM journal"), 0);
    site.restarts(minutes(11));
    assert_eq!(site.values("b-1", "fill_pct").len(), 10);
}

#[test]
fn no_row_leaves_the_journal_before_all_of_its_readings_are_in_blocks() {
    // More series than are sealed in one step.
    let mut site = Site::sealing_at(100);
    let group: Vec<Message> = (0..100).map(|n| fill(&format!("b-{n}"), 1.0, minutes(0))).collect();
    site.hear(&group);
    let Some(Job { id, work: Work::Seal(job) }) = site.job.take() else { panic!("no seal") };
    let mut steps = Vec::new();
    let take = |step| {
        steps.push(step);
        true
    };
    job.run(take).expect("a seal");
    assert!(steps.len() > 1);
    // It ends after its first step.
    site.apply(minutes(0), Input::Maintenance(id, JobOutcome::Sealed(steps.swap_remove(0))));
    site.restarts(minutes(1));
    for n in 0..100 {
        assert_eq!(site.values(&format!("b-{n}"), "fill_pct"), [1.0], "b-{n}");
    }
}

#[test]
fn a_series_that_the_file_refuses_stays_in_the_journal_and_the_others_are_sealed() {
    let mut site = Site::sealing_at(10);
    site.hears_each_minute(0..5);
    (0..5).for_each(|n| site.hear(&[fill("b-2", 1.0, minutes(n))]));
    site.by_hand(
        "CREATE TRIGGER poison BEFORE INSERT ON open_block WHEN NEW.device_no = 0
         BEGIN SELECT RAISE(ABORT, 'poison'); END",
    );
    site.works(minutes(5));
    assert_eq!(site.number("SELECT sum(count) FROM open_block WHERE device_no = 1"), 5);
    site.restarts(minutes(6));
    assert_eq!((site.values("b-1", "fill_pct").len(), site.values("b-2", "fill_pct").len()), (5, 5));
}

#[test]
fn messages_wait_while_too_many_points_are_not_sealed_and_all_else_goes_on() {
    let mut site = Site::sealing_at(10);
    site.hears_each_minute(0..20);
    assert!(site.writer().is_full().is_some());
    // The seal that will make room.
    site.waits_until(minutes(20));
    site.works(minutes(20));
    // What came since the seal began.
    while site.writer().is_full().is_some() {
        site.works(minutes(21));
    }
    site.hears_each_minute(22..23);
    assert_eq!(site.values("b-1", "fill_pct").len(), 21);
}

const DEVICES: u32 = 5;
/// Two closed blocks of a series, and some more.
const POINTS_OF_DEVICE: i64 = 2_100;

/// Bins with blocks of four months ago, of which nothing is kept but the last whole month.
fn with_a_past() -> Site {
    let thresholds = Thresholds { expired_blocks_per_step: 3, ..Thresholds::default() };
    let retention = Retention { months: vec![(DeviceKind::Bin, 1)] };
    let mut site = Site::with(Options { thresholds, retention, ..options(Vec::new()) });
    let first = START.minus_ms(120 * DAY_MS);
    let device =
        |no: u32| Device { no: DeviceNo(no), ..Device::new(id(&format!("b-{no}")), DeviceKind::Bin, first) };
    let reading = |n: i64| JournalReading {
        metric: metric::FILL_PCT,
        at: first.plus_ms(n * MINUTE_MS),
        value: n as f64,
    };
    let message = |no: u32| JournalMessage {
        device: DeviceNo(no),
        received_at: START,
        digest: None,
        is_old_news: false,
        readings: (0..POINTS_OF_DEVICE).map(reading).collect(),
    };
    let (new_devices, messages) = ((0..DEVICES).map(device).collect(), (0..DEVICES).map(message).collect());
    let history = History { new_devices, messages, ..History::default() };
    let answer = site.apply(START, Input::History(history)).expect("an answer");
    assert!(answer.is_ok(), "{answer:?}");
    site.seals(START);
    assert_eq!(site.blocks(), 2 * i64::from(DEVICES));
    site
}

impl Site {
    fn blocks(&self) -> i64 {
        self.number("SELECT count(*) FROM closed_block")
    }

    /// Nobody waits, so often.
    fn tidies(&mut self, now: TimestampMs, times: usize) {
        (0..times).for_each(|_| {
            self.apply(now, Input::Tidy);
        });
    }
}

#[test]
fn retention_takes_all_that_is_over_in_steps() {
    let mut site = with_a_past();
    site.tidies(START, 1);
    assert!(site.blocks() > 0, "not all at once");
    site.tidies(START, 10);
    assert_eq!(site.blocks(), 0);
    let expired = Counters::get(&site.shared().health.counters.expired_points);
    assert_eq!(expired, 2 * 1_024 * u64::from(DEVICES));
}

#[test]
fn retention_that_fails_in_the_middle_goes_on_with_the_same_series() {
    let deletes = |call| call == Call::Write("delete a block");
    let commits = |call| call == Call::Commit;
    for (what, fails) in [("a delete", deletes as fn(Call) -> bool), ("a commit", commits)] {
        for place in 0..4 {
            let mut site = with_a_past();
            site.fails(fails_once_at(place, FULL, fails).0);
            site.tidies(START, 12);
            assert_eq!(site.blocks(), 0, "{what}, {place}");
        }
    }
}

#[test]
fn nor_does_it_skip_any_when_nobody_knew_whether_a_step_was_stored() {
    for fault in [IO, APPLIED] {
        let mut site = with_a_past();
        site.tidies(START, 1);
        site.fails(gone_from_the_commit(fault));
        site.is_held_at(START, Input::Tidy);
        site.heals();
        site.recovers(START);
        site.tidies(START, 10);
        assert_eq!(site.blocks(), 0);
    }
}
