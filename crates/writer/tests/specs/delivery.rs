//! Delivery to an InfluxDB that misbehaves: nothing is lost, and nothing that it refuses stops the rest.

use std::collections::BTreeSet;

use sanimon_domain::time::{DAY_MS, HOUR_MS};
use sanimon_domain::{DeviceKind, DeviceNo, SiteCalendar, TimestampMs, metric};
use sanimon_store::{Counters, Device, JournalMessage, JournalReading, Retention, Store};
use sanimon_writer::{History, Input, JobOutcome, Message, Options};

use crate::bucket::Bucket;
use crate::disk::{APPLIED, IO, full_at_commits, gone_from_the_commit};
use crate::look::id;
use crate::say::{START, fill, minutes};
use crate::site::{Site, options};

const NOW: TimestampMs = TimestampMs(START.0 + HOUR_MS);

/// A point of each of eight devices.
fn says_eight_points(site: &mut Site) {
    let messages: Vec<Message> =
        (0..8).map(|n| fill(&format!("b-{n}"), n as f64, START.plus_ms(n))).collect();
    site.hear(&messages);
}

fn with_points(bucket: &Bucket) -> Site {
    let mut site = Site::with_bucket(bucket);
    says_eight_points(&mut site);
    site
}

#[test]
fn a_server_that_is_away_slow_or_overloaded_gets_everything_in_the_end() {
    let bucket = Bucket::answering(|nth, _| match nth {
        0 => Some((429, r#"{"message":"too many"}"#)),
        1 => Some((500, "oops")),
        2 => None,
        3 => Some((401, r#"{"message":"unauthorized"}"#)),
        _ => Some((204, "")),
    });
    let mut site = with_points(&bucket);
    site.delivers(NOW);
    assert_eq!(bucket.devices().len(), 8);
    assert_eq!(site.unsealed_points(), 0);
    assert!(site.quarantine().is_empty());
    assert!(site.shared().health.backend().expect("a state").connected);
    assert_eq!(Counters::get(&site.shared().health.counters.delivered_points), 8);
    assert_eq!(site.number("SELECT count(*) FROM journal"), 0);
}

#[test]
fn refused_lines_go_to_the_quarantine_with_the_reason_and_the_rest_goes_on() {
    let bucket = Bucket::answering(|_, body| {
        if body.contains("device=b-3") || body.contains("device=b-6") {
            return Some((400, r#"{"code":"invalid","message":"unable to parse: a field conflict"}"#));
        }
        Some((204, ""))
    });
    let mut site = with_points(&bucket);
    site.delivers(NOW);
    let devices = bucket.devices();
    assert_eq!(devices.len(), 6);
    assert!(!devices.contains("b-3") && !devices.contains("b-6"));
    let refused = site.quarantine();
    assert_eq!(refused.len(), 2);
    for entry in refused {
        assert_eq!(entry.code, "refused_by_influxdb");
        assert!(entry.message.contains("a field conflict"), "{}", entry.message);
        assert!(String::from_utf8(entry.payload).expect("text").contains("fill_pct="));
    }
}

#[test]
fn a_batch_that_is_too_large_is_halved_until_it_fits_and_a_line_that_never_fits_is_refused() {
    let bucket = Bucket::answering(|_, body| {
        let is_too_large = body.lines().count() > 2 || body.contains("device=b-3");
        Some(if is_too_large { (413, r#"{"message":"too large"}"#) } else { (204, "") })
    });
    let mut site = with_points(&bucket);
    site.delivers(NOW);
    let devices = bucket.devices();
    assert_eq!(devices.len(), 7);
    assert!(!devices.contains("b-3"));
    let refused = site.quarantine();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].message.contains("too large"), "{}", refused[0].message);
}

/// The same lines may be sent twice, which changes nothing there.
fn has_each_line_twice(bucket: &Bucket) {
    let accepted = bucket.accepted();
    assert_eq!((accepted.len(), accepted.iter().collect::<BTreeSet<_>>().len()), (16, 8));
}

#[test]
fn a_restart_between_the_answer_and_the_commit_sends_all_again() {
    let bucket = Bucket::accepting();
    let mut site = with_points(&bucket);
    let (_, job) = site.delivery(NOW).expect("something waits");
    job.run(|| NOW).expect("sent").expect("not void");
    site.restarts(NOW);
    assert_eq!(site.unsealed_points(), 8);
    site.delivers(NOW);
    has_each_line_twice(&bucket);
    assert_eq!(site.unsealed_points(), 0);
}

#[test]
fn a_delivery_whose_commit_fails_rests_and_sends_all_again() {
    let bucket = Bucket::accepting();
    let mut site = with_points(&bucket);
    let (id, job) = site.delivery(NOW).expect("something waits");
    let step = job.run(|| NOW).expect("sent").expect("not void");
    site.fails(full_at_commits(1));
    site.apply(NOW, Input::Maintenance(id, JobOutcome::Delivered(step)));
    assert_eq!(Counters::get(&site.shared().health.counters.job_failures), 1);
    assert!(site.job.is_none() && site.writer_mut().begin_delivery(NOW).is_none(), "not at once");
    assert_eq!(site.unsealed_points(), 8);
    site.delivers(NOW.plus_ms(HOUR_MS));
    has_each_line_twice(&bucket);
    assert_eq!(site.unsealed_points(), 0);
}

#[test]
fn nor_is_anything_lost_when_nobody_knew_whether_a_delivery_was_stored() {
    for (fault, waits) in [(IO, 8), (APPLIED, 0)] {
        let bucket = Bucket::accepting();
        let mut site = with_points(&bucket);
        let (id, job) = site.delivery(NOW).expect("something waits");
        let step = job.run(|| NOW).expect("sent").expect("not void");
        site.fails(gone_from_the_commit(fault));
        site.is_held_at(NOW, Input::Maintenance(id, JobOutcome::Delivered(step)));
        site.heals();
        site.recovers(NOW);
        assert_eq!(site.unsealed_points(), waits);
        site.delivers(NOW.plus_ms(HOUR_MS));
        assert_eq!((bucket.devices().len(), site.unsealed_points()), (8, 0));
    }
}

#[test]
fn points_that_wait_too_long_for_the_memory_are_delivered_from_blocks() {
    let bucket = Bucket::accepting();
    let mut site = Site::sealing_at(10);
    site.delivers_to(&bucket, START);
    says_eight_points(&mut site);
    let (id, stuck) = site.delivery(NOW).expect("something waits");
    site.hear(&[fill("b-0", 1.0, minutes(1)), fill("b-1", 1.0, minutes(1))]);
    assert!(stuck.run(|| NOW).expect("no fault").is_none(), "nobody waits for it any more");
    site.apply(minutes(1), Input::Maintenance(id, JobOutcome::GaveWay));
    site.works(minutes(1));
    assert_eq!(site.unsealed_points(), 0);
    assert!(bucket.accepted().is_empty());
    site.delivers(NOW);
    assert_eq!((bucket.devices().len(), bucket.accepted().len()), (8, 10));
    assert_eq!(site.number("SELECT count(*) FROM open_block"), 0);
}

#[test]
fn a_stop_ends_a_delivery_and_what_it_was_about_waits_on_disk() {
    let bucket = Bucket::answering(|_, _| Some((500, "oops")));
    let mut site = with_points(&bucket);
    let (_, job) = site.delivery(NOW).expect("something waits");
    site.writer_mut().end_delivery();
    assert!(job.run(|| NOW).expect("no fault").is_none());
    site.restarts(NOW);
    assert_eq!(site.unsealed_points(), 8);
}

#[test]
fn the_days_of_readings_that_are_gone_stay_when_everything_else_has_moved() {
    let calendar = SiteCalendar::named("Asia/Shanghai").expect("a zone");
    let folder = tempfile::tempdir().expect("a folder");
    drop(Store::open(folder.path(), Some(calendar)).expect("a store"));
    let retention = Retention { months: vec![(DeviceKind::Bin, 3)] };
    let mut site = Site::copy_of(folder.path(), Options { retention, ..options(Vec::new()) }, START);
    // A reading an hour, for a year.
    let first = START.minus_ms(365 * DAY_MS);
    let reading =
        |n| JournalReading { metric: metric::FILL_PCT, at: first.plus_ms(n * HOUR_MS), value: n as f64 };
    let (device, readings) = (DeviceNo(0), (0..365 * 24).map(reading).collect());
    let message = JournalMessage { device, received_at: START, digest: None, is_old_news: false, readings };
    let new_devices = vec![Device { no: device, ..Device::new(id("b-0"), DeviceKind::Bin, first) }];
    site.apply(START, Input::History(History { new_devices, messages: vec![message], ..History::default() }));
    site.seals(START);
    (0..10).for_each(|_| drop(site.apply(START, Input::Tidy)));
    let months = |site: &Site| site.column::<i32>("SELECT month FROM day_month ORDER BY month");
    let before = months(&site);

    let bucket = Bucket::accepting();
    site.delivers_to(&bucket, START);
    site.delivers(START);
    let this_month = calendar.day_of(START).month();
    let expected: Vec<i32> = before.into_iter().filter(|month| *month < this_month - 3).collect();
    assert!(expected.len() > 6, "{expected:?}");
    assert_eq!(months(&site), expected);
}

#[test]
fn the_token_is_in_no_text() {
    let bucket = Bucket::accepting();
    let mut site = with_points(&bucket);
    let (_, job) = site.delivery(NOW).expect("something waits");
    let asked = site.shared().telemetry(DeviceNo(0), metric::FILL_PCT, START, START.plus_ms(1));
    let error = asked.expect_err("refused");
    assert!(error.to_string().contains("unauthorized access"), "{error}");
    let said = format!("{error:?} {:?} {:?} {job:?}", site.shared(), site.writer());
    assert!(!said.contains("secret-token"), "{said}");
}
