//! Messages in, readings out.

use sanimon_domain::{Calibration, DeviceNo, metric};
use sanimon_store::Device;
use sanimon_writer::{AcceptanceLimits, Message, SiteLimits};

use crate::say::{TOPIC, again, fill, message, minutes, published, topic};
use crate::site::{Site, options};

#[test]
fn a_dated_message_again_changes_nothing_with_or_without_the_dup_flag() {
    let mut site = Site::new();
    let dated =
        |minute| message(TOPIC, r#"{"ts":1772323200000,"fill_pct":50,"temperature_c":20}"#, minutes(minute));
    site.hear(&[published(dated(0), 1), published(dated(0), 2)]);
    site.hear(&[dated(5), again(dated(6), 1)]);
    assert_eq!(site.counts(), (2, 6, 0));
}

#[test]
fn another_value_for_the_same_identity_replaces_it_and_is_counted() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"{"ts":1772323200000,"fill_pct":50}"#, minutes(0))]);
    site.hear(&[message(TOPIC, r#"{"ts":1772323200000,"fill_pct":51}"#, minutes(1))]);
    assert_eq!(site.values("b-1", "fill_pct"), [51.0]);
    assert_eq!(site.counts().2, 1);
}

#[test]
fn an_undated_message_with_dup_is_the_same_message_for_ten_minutes() {
    let mut site = Site::new();
    let said = |minute| fill("b-1", 50.0, minutes(minute));
    site.hear(&[published(said(0), 1)]);
    site.hear(&[again(said(10), 1)]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0]);
    site.hear(&[again(said(11), 1)]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0], "after ten minutes it is a new one");
}

#[test]
fn an_undated_message_with_dup_but_another_payload_is_a_new_one() {
    let mut site = Site::new();
    site.hear(&[published(fill("b-1", 50.0, minutes(0)), 1)]);
    site.hear(&[again(fill("b-1", 51.0, minutes(1)), 1)]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 51.0]);
}

#[test]
fn undated_messages_of_one_millisecond_are_as_many_readings() {
    let mut site = Site::new();
    let burst: Vec<Message> = (0..100).map(|n| fill("b-1", f64::from(n), minutes(0))).collect();
    site.hear(&burst[..50]);
    site.hear(&burst[50..]);
    assert_eq!(site.values("b-1", "fill_pct"), (0..100).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn a_retained_message_without_a_time_is_never_a_reading() {
    let mut site = Site::new();
    site.hear(&[Message { is_retained: true, ..fill("b-1", 99.0, minutes(0)) }]);
    assert!(site.values("b-1", "fill_pct").is_empty());
    let known = site.shared().last_known(DeviceNo(0)).expect("an answer");
    assert_eq!(known.first().map(|value| value.value), Some(99.0));
}

#[test]
fn a_distance_becomes_a_level_by_the_device_s_own_calibration_and_the_raw_value_is_kept() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"{"distance_mm":700}"#, minutes(0))]);
    assert!(site.values("b-1", "fill_pct").is_empty(), "not calibrated yet");
    site.put(Device { calibration: Calibration::distances(1200.0, 200.0), ..site.device("b-1") });
    site.hear(&[
        message(TOPIC, r#"{"distance_mm":700}"#, minutes(1)),
        message(TOPIC, r#"{"distance_mm":700,"fill_pct":12}"#, minutes(2)),
    ]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 12.0], "what the device says itself counts");
    assert_eq!(site.values("b-1", metric::METRICS[1].name).len(), 3);
}

#[test]
fn unknown_devices_and_metrics_are_kept_up_to_the_site_s_limits() {
    let limits = SiteLimits { discovered_devices_max: 2, custom_metrics_max: 1, ..SiteLimits::default() };
    let acceptance = AcceptanceLimits { site: limits, ..AcceptanceLimits::default() };
    let mut site = Site::with(sanimon_writer::Options { acceptance, ..options(Vec::new()) });
    for n in 0..4 {
        site.hear(&[fill(&format!("b-{n}"), 1.0, minutes(n))]);
    }
    assert_eq!(site.shared().directory.read().discovered_count(), 2);
    site.hear(&[message(&topic("b-0"), r#"{"one":1,"two":2}"#, minutes(9))]);
    assert_eq!(site.values("b-0", "one"), [1.0]);
    assert_eq!(site.causes().iter().filter(|cause| *cause == "site_limit").count(), 3);
}

#[test]
fn a_clock_that_cannot_be_right_is_named_once_and_the_receipt_is_used() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"[{"ts":5,"fill_pct":1},{"ts":6,"fill_pct":1}]"#, minutes(0))]);
    assert_eq!(site.causes(), ["clock_wrong"]);
    // Two samples, a millisecond apart: neither replaces the other.
    assert_eq!(site.points("b-1", "fill_pct"), [(minutes(0), 1.0), (minutes(0).plus_ms(1), 1.0)]);
}
