//! The pipeline as a specification: messages in, what is stored and raised out, with a clock that the test moves.

use std::sync::Arc;

use bytes::Bytes;
use sanimon_alerting::RuleSet;
use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{Calibration, DeviceId, TimestampMs, metric};
use sanimon_store::{Counters, Device, Store};

use crate::Backfill;
use crate::message::Message;
use crate::pipeline::{Admission, SiteLimits};

const START: TimestampMs = TimestampMs(1_772_323_200_000);
const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";

struct Site {
    backfill: Backfill,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self::with(Admission::default())
    }

    fn with(admission: Admission) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), None).expect("a store");
        let backfill =
            Backfill::start(store, Arc::new(RuleSet::default()), admission, START).expect("a start");
        Self { backfill, _folder: folder }
    }

    fn hear(&mut self, messages: &[Message]) {
        let now = messages.iter().map(|message| message.received_at).max().unwrap_or(START);
        self.backfill.group(now, messages).expect("a commit");
    }

    fn values(&self, device: &str, name: &str) -> Vec<f64> {
        let shared = self.backfill.shared();
        let (device, metric) = {
            let directory = shared.directory.read();
            let id = DeviceId::new(device).expect("a sound id");
            let Some(device) = directory.number(&id) else { return Vec::new() };
            (device, directory.metric_by_name(name).expect("a metric"))
        };
        let points =
            shared.telemetry(device, metric, TimestampMs(0), TimestampMs(i64::MAX / 2)).expect("an answer");
        points.into_iter().map(|point| point.value).collect()
    }

    fn counts(&self) -> (u64, u64, u64) {
        let counters = &self.backfill.shared().health.counters;
        (
            Counters::get(&counters.readings),
            Counters::get(&counters.duplicates),
            Counters::get(&counters.corrections),
        )
    }

    fn causes(&self) -> Vec<String> {
        let page = self.backfill.shared().quarantine(None, 100).expect("a page");
        page.items.into_iter().map(|entry| entry.code).collect()
    }
}

fn message(topic: &str, payload: &str, minute: i64) -> Message {
    let at = START.plus_ms(minute * MINUTE_MS);
    Message::decode("test".into(), topic.to_owned(), Bytes::from(payload.to_owned()), at)
}

fn again(payload: &str, minute: i64) -> Message {
    Message { dup: true, ..message(TOPIC, payload, minute) }
}

#[test]
fn a_dated_message_again_changes_nothing_with_or_without_the_dup_flag() {
    let mut site = Site::new();
    let payload = r#"{"ts":1772323200000,"fill_pct":50,"temperature_c":20}"#;
    site.hear(&[message(TOPIC, payload, 0), message(TOPIC, payload, 0)]);
    site.hear(&[message(TOPIC, payload, 5), again(payload, 6)]);
    assert_eq!(site.counts(), (2, 6, 0));
}

#[test]
fn another_value_for_the_same_identity_replaces_it_and_is_counted() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"{"ts":1772323200000,"fill_pct":50}"#, 0)]);
    site.hear(&[message(TOPIC, r#"{"ts":1772323200000,"fill_pct":51}"#, 1)]);
    assert_eq!(site.values("b-1", "fill_pct"), [51.0]);
    assert_eq!(site.counts().2, 1);
}

#[test]
fn an_undated_message_with_dup_is_the_same_message_for_ten_minutes() {
    let mut site = Site::new();
    let payload = r#"{"fill_pct":50}"#;
    site.hear(&[message(TOPIC, payload, 0)]);
    site.hear(&[again(payload, 10)]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0]);
    site.hear(&[again(payload, 11)]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0], "after ten minutes it is a new one");
}

#[test]
fn an_undated_message_with_dup_but_another_payload_is_a_new_one() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"{"fill_pct":50}"#, 0)]);
    site.hear(&[again(r#"{"fill_pct":51}"#, 1)]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 51.0]);
}

#[test]
fn undated_messages_of_one_millisecond_are_as_many_readings() {
    let mut site = Site::new();
    let burst: Vec<Message> = (0..100).map(|n| message(TOPIC, &format!("{{\"fill_pct\":{n}}}"), 0)).collect();
    site.hear(&burst[..50]);
    site.hear(&burst[50..]);
    assert_eq!(site.values("b-1", "fill_pct"), (0..100).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn a_retained_message_without_a_time_is_never_a_reading() {
    let mut site = Site::new();
    site.hear(&[Message { retained: true, ..message(TOPIC, r#"{"fill_pct":99}"#, 0) }]);
    assert!(site.values("b-1", "fill_pct").is_empty());
    let known = site.backfill.shared().last_known(sanimon_domain::DeviceNo(0)).expect("an answer");
    assert_eq!(known.first().map(|value| value.value), Some(99.0));
}

#[test]
fn a_distance_becomes_a_level_by_the_device_s_own_calibration_and_the_raw_value_is_kept() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"{"distance_mm":700}"#, 0)]);
    assert!(site.values("b-1", "fill_pct").is_empty(), "not calibrated yet");
    let device = site.backfill.shared().directory.read().devices()[0].clone();
    let device = Device { calibration: Calibration::distances(1200.0, 200.0), ..Device::clone(&device) };
    site.backfill.enter(START, Vec::new(), vec![device]).expect("an entry");
    site.hear(&[
        message(TOPIC, r#"{"distance_mm":700}"#, 1),
        message(TOPIC, r#"{"distance_mm":700,"fill_pct":12}"#, 2),
    ]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 12.0], "what the device says itself counts");
    assert_eq!(site.values("b-1", metric::METRICS[1].name).len(), 3);
}

#[test]
fn unknown_devices_and_metrics_are_kept_up_to_the_site_s_limits() {
    let limits = SiteLimits { discovered_devices_max: 2, custom_metrics_max: 1 };
    let mut site = Site::with(Admission { limits, ..Admission::default() });
    for n in 0..4 {
        site.hear(&[message(&format!("sanitation/east/bin/b-{n}/telemetry"), r#"{"fill_pct":1}"#, n)]);
    }
    assert_eq!(site.backfill.shared().directory.read().discovered_count(), 2);
    site.hear(&[message("sanitation/east/bin/b-0/telemetry", r#"{"one":1,"two":2}"#, 9)]);
    assert_eq!(site.values("b-0", "one"), [1.0]);
    assert_eq!(site.causes().iter().filter(|cause| *cause == "site_limit").count(), 3);
}

#[test]
fn a_clock_that_cannot_be_right_is_named_once_and_the_receipt_is_used() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"[{"ts":5,"fill_pct":1},{"ts":6,"fill_pct":1}]"#, 0)]);
    assert_eq!(site.causes(), ["clock_wrong"]);
    assert_eq!(site.values("b-1", "fill_pct").len(), 1);
}

mod sensors;
mod silence;
mod town;
