//! Whose time a reading has, and since when sanimon knows of what follows from it.

use sanimon_alerting::{Rule, Watch};
use sanimon_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use sanimon_domain::{Severity, TimestampMs, metric};
use sanimon_writer::Message;

use crate::say::{TOPIC, dated_fill, fill, message, minutes, rising, rule};
use crate::site::Site;

const QUARTER: i64 = 15;

/// The hours after the start, on the site's clock.
fn hours(n: i64) -> TimestampMs {
    minutes(n * 60)
}

/// A message of a device whose clock says this.
fn claims(observed: TimestampMs, at: TimestampMs) -> Message {
    dated_fill("b-1", 40.0, observed, at)
}

/// A report every quarter of an hour from this minute on; the device's clock is so many hours behind.
fn reports(site: &mut Site, from: i64, count: i64, behind_h: i64) {
    for n in 0..count {
        let at = minutes(from + n * QUARTER);
        site.hear(&[claims(at.minus_ms(behind_h * HOUR_MS), at)]);
    }
}

/// When the readings of `b-1` are filed, in minutes after the start.
fn filed(site: &Site) -> Vec<i64> {
    site.points("b-1", "fill_pct").iter().map(|(at, _)| at.since_ms(minutes(0)) / MINUTE_MS).collect()
}

#[test]
fn each_sample_of_a_backlog_has_its_own_time_and_the_alert_is_known_since_the_receipt() {
    let mut site =
        Site::with_rules(vec![rule("full", metric::FILL_PCT, vec![rising(Severity::Critical, 90.0, 80.0)])]);
    let sample = |minute, percent| format!(r#"{{"ts":{},"fill_pct":{percent}}}"#, minutes(minute).0);
    let backlog = format!("[{},{},{}]", sample(0, 70), sample(15, 95), sample(30, 96));
    site.hear(&[message(TOPIC, &backlog, hours(3))]);
    assert_eq!(filed(&site), [0, 15, 30]);
    let alert = site.alerts().remove(0);
    assert_eq!((alert.raised_at, alert.known_at), (minutes(15), hours(3)));
    assert_eq!(alert.deadlines.acknowledge_by, Some(hours(3).plus_ms(5 * MINUTE_MS)));
    // Nobody is told of a deadline that nobody could have kept.
    site.waits_until(hours(3).plus_ms(5 * MINUTE_MS - 1));
    assert_eq!(site.alerts()[0].escalations, 0);
    site.waits_until(hours(3).plus_ms(5 * MINUTE_MS));
    assert_eq!(site.alerts()[0].escalations, 1);
}

#[test]
fn an_alert_that_got_worse_hours_ago_has_its_deadlines_from_the_receipt_on() {
    let levels = vec![rising(Severity::Warning, 70.0, 60.0), rising(Severity::Critical, 90.0, 80.0)];
    let mut site = Site::with_rules(vec![rule("full", metric::FILL_PCT, levels)]);
    site.hear(&[dated_fill("b-1", 75.0, minutes(0), minutes(0))]);
    site.hear(&[dated_fill("b-1", 95.0, minutes(15), hours(3))]);
    assert_eq!(site.alerts()[0].deadlines.acknowledge_by, Some(hours(3).plus_ms(5 * MINUTE_MS)));
    assert_eq!(site.alerts()[0].escalations, 0);
}

#[test]
fn samples_of_one_message_without_a_time_are_a_millisecond_apart_and_no_rise() {
    let watch = Watch::Rate { within_ms: 10 * MINUTE_MS };
    let levels = vec![rising(Severity::Major, 20.0, 10.0)];
    let mut site = Site::with_rules(vec![Rule { watch, ..rule("fast", metric::FILL_PCT, levels) }]);
    site.hear(&[message(TOPIC, r#"[{"fill_pct":10},{"fill_pct":50},{"fill_pct":90}]"#, minutes(0))]);
    let at = |ms| minutes(0).plus_ms(ms);
    assert_eq!(site.points("b-1", "fill_pct"), [(at(0), 10.0), (at(1), 50.0), (at(2), 90.0)]);
    assert!(site.alerts().is_empty(), "{:?}", site.alerts());
    // Two messages without a time have those of their receipts, and these do tell of a rise.
    site.hear(&[fill("b-1", 10.0, minutes(20))]);
    site.hear(&[fill("b-1", 50.0, minutes(25))]);
    assert_eq!(site.alerts().len(), 1);
}

#[test]
fn a_clock_that_is_always_eight_hours_behind_is_corrected_and_named_once() {
    let mut site = Site::new();
    reports(&mut site, 0, 20, 8);
    // It is certain with the third message; what was said before is left where it is.
    let corrected: Vec<i64> = (2..20).map(|n| n * QUARTER).collect();
    assert_eq!(filed(&site), [[-480, -465].as_slice(), &corrected].concat());
    assert_eq!(site.events("b-1"), [("clock_wrong".to_owned(), 18)]);
    let quarantine = site.quarantine();
    assert_eq!((quarantine.len(), quarantine[0].code.as_str(), quarantine[0].count), (1, "clock_wrong", 18));
    assert!(quarantine[0].message.contains("8 h behind"), "{}", quarantine[0].message);
    // It outlives a restart.
    site.restarts(minutes(300));
    reports(&mut site, 300, 1, 8);
    assert_eq!(filed(&site).last(), Some(&300));
}

#[test]
fn a_backlog_that_is_sent_at_once_is_no_wrong_clock() {
    let mut site = Site::new();
    reports(&mut site, 0, 2, 0);
    for n in 2..33 {
        let at = hours(8).plus_ms(n * SECOND_MS);
        site.hear(&[claims(minutes(n * QUARTER), at)]);
    }
    assert_eq!(filed(&site), (0..33).map(|n| n * QUARTER).collect::<Vec<_>>());
    assert!(site.events("b-1").is_empty() && site.quarantine().is_empty());
}

/// Silent for eight hours, then one stored sample for each new one: the distance stays. What is filed when.
fn one_for_one(site: &mut Site, between: impl Fn(&mut Site, i64)) {
    reports(site, 0, 4, 0);
    for n in 0..12 {
        let at = hours(8).plus_ms(n * QUARTER * MINUTE_MS);
        between(site, n);
        site.hear(&[claims(minutes((4 + n) * QUARTER), at)]);
    }
    assert_eq!(filed(site), (0..16).map(|n| n * QUARTER).collect::<Vec<_>>());
    assert!(site.events("b-1").is_empty() && site.quarantine().is_empty());
}

#[test]
fn one_stored_sample_for_each_new_one_after_a_silence_is_no_wrong_clock() {
    one_for_one(&mut Site::new(), |_, _| {});
}

#[test]
fn nor_is_it_when_the_site_itself_was_away_or_restarts_meanwhile() {
    for restart_before in [0, 1, 2, 6] {
        one_for_one(&mut Site::new(), |site, n| {
            if n == restart_before {
                site.seals(hours(8));
                site.restarts(hours(8).plus_ms(n * QUARTER * MINUTE_MS - SECOND_MS));
            }
        });
    }
}

#[test]
fn nor_is_it_when_its_messages_share_their_groups_with_one_that_cannot_be_stored() {
    let mut site = Site::new();
    site.by_hand(
        "CREATE TRIGGER poison BEFORE INSERT ON device WHEN NEW.id = 'poison'
         BEGIN SELECT RAISE(ABORT, 'poison'); END",
    );
    reports(&mut site, 0, 4, 0);
    let stored = |n: i64| claims(minutes((4 + n) * QUARTER), hours(8).plus_ms(n * QUARTER * MINUTE_MS));
    for n in 0..6 {
        let poison = fill("poison", 1.0, stored(2 * n + 1).received_at);
        site.hear(&[stored(2 * n), stored(2 * n + 1), poison]);
    }
    assert_eq!(filed(&site), (0..16).map(|n| n * QUARTER).collect::<Vec<_>>());
}

#[test]
fn a_wrong_clock_is_found_over_a_restart() {
    let mut site = Site::new();
    reports(&mut site, 0, 2, 8);
    site.restarts(minutes(20));
    reports(&mut site, 30, 3, 8);
    assert_eq!(filed(&site).last(), Some(&60));
}

#[test]
fn a_clock_that_is_right_again_is_no_longer_corrected() {
    let mut site = Site::new();
    reports(&mut site, 0, 4, 8);
    reports(&mut site, 60, 4, 0);
    assert_eq!(filed(&site), [-480, -465, 30, 45, 60, 75, 90, 105]);
    assert_eq!(site.events("b-1"), [("clock_wrong".to_owned(), 2)]);
    assert_eq!(site.number("SELECT count(*) FROM device_clock"), 0);
    site.restarts(minutes(110));
    reports(&mut site, 120, 1, 0);
    assert_eq!(filed(&site).last(), Some(&120));
}

#[test]
fn a_clock_that_goes_wrong_while_it_runs_is_corrected_from_its_third_message_on() {
    let mut site = Site::new();
    reports(&mut site, 0, 40, 0);
    reports(&mut site, 600, 4, 8);
    assert_eq!(filed(&site).last(), Some(&645));
    assert_eq!(site.events("b-1"), [("clock_wrong".to_owned(), 2)]);
}

#[test]
fn a_time_that_cannot_be_is_the_receipt_s() {
    for claimed in
        [TimestampMs(0), minutes(0).minus_ms(40 * DAY_MS), minutes(6), minutes(0).plus_ms(3_650 * DAY_MS)]
    {
        let mut site = Site::new();
        site.hear(&[claims(claimed, minutes(0))]);
        assert_eq!(filed(&site), [0], "{claimed}");
        assert_eq!(site.events("b-1"), [("clock_wrong".to_owned(), 1)], "{claimed}");
        assert_eq!(site.causes(), ["clock_wrong"], "{claimed}");
    }
}

#[test]
fn messages_of_one_millisecond_are_as_many_readings_whether_dated_or_not_and_however_they_are_grouped() {
    let group =
        [claims(minutes(0), minutes(0)), fill("b-1", 50.0, minutes(0)), fill("b-1", 60.0, minutes(0))];
    let (mut together, mut alone) = (Site::new(), Site::new());
    together.hear(&group);
    group.into_iter().for_each(|message| alone.hear(&[message]));
    assert_eq!(alone.values("b-1", "fill_pct"), [40.0, 50.0, 60.0]);
    assert_eq!(together.points("b-1", "fill_pct"), alone.points("b-1", "fill_pct"));
}
