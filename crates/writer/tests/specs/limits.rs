//! Bounds, and the share of each: who sends too much takes nothing from others.

use sanimon_domain::{DeviceKind, MetricNo};
use sanimon_store::{Device, DeviceState};
use sanimon_writer::{Message, RemoveMetric};

use crate::disk::full_at_commits;
use crate::look::id;
use crate::say::{START, TOPIC, client, fill, message, minutes, topic};
use crate::site::{Site, options};

/// A message with so many metrics that no table knows.
fn own_metrics(device: &str, names: std::ops::Range<usize>, minute: i64) -> Message {
    let fields: Vec<String> = names.map(|n| format!(r#""own_{n}":1"#)).collect();
    message(&topic(device), &format!("{{{}}}", fields.join(",")), minutes(minute))
}

impl Site {
    fn own_metric_count(&self) -> usize {
        self.shared().directory.read().custom_metric_count()
    }

    fn metric_number(&self, name: &str) -> Option<MetricNo> {
        self.shared().directory.read().metric_by_name(name)
    }

    fn accepts(&mut self, device: &str) {
        self.put(Device::new(id(device), DeviceKind::Bin, START));
    }

    fn discovered(&self) -> usize {
        self.shared().directory.read().discovered_count()
    }
}

#[test]
fn a_message_with_150_000_fields_leaves_one_row_of_the_quarantine_and_is_counted() {
    let mut site = Site::new();
    site.hear(&[own_metrics("b-1", 0..150_000, 0)]);
    let quarantine = site.quarantine();
    assert_eq!(quarantine.len(), 1);
    assert!(quarantine[0].message.contains("149488 fields"), "{}", quarantine[0].message);
    assert_eq!(site.met("fields"), 150_000 - 512);
    assert_eq!((site.met("custom_metrics"), site.own_metric_count()), (512 - 32, 32));
    // The same again is the same row.
    site.hear(&[own_metrics("b-1", 0..150_000, 1)]);
    assert_eq!((site.quarantine().len(), site.quarantine()[0].count), (1, 2));
}

#[test]
fn a_device_has_32_metrics_of_its_own_and_others_still_get_theirs() {
    let mut site = Site::new();
    site.accepts("b-1");
    site.accepts("b-2");
    for minute in 0..20 {
        let first = minute as usize * 20;
        site.hear(&[own_metrics("b-1", first..first + 20, minute)]);
    }
    assert_eq!(site.own_metric_count(), 32);
    assert_eq!(site.met("custom_metrics"), 400 - 32);
    site.hear(&[own_metrics("b-2", 500..510, 20)]);
    assert_eq!(site.values("b-2", "own_509"), [1.0]);
    // What it has goes on.
    site.hear(&[own_metrics("b-1", 31..33, 21)]);
    assert_eq!(site.values("b-1", "own_31").len(), 2);
    // A name that another one brought counts as well.
    site.hear(&[own_metrics("b-1", 500..501, 22)]);
    assert_eq!(site.values("b-1", "own_500"), [0.0; 0]);
}

#[test]
fn nor_can_it_bring_more_of_them_in_messages_that_are_kept_by_its_broker() {
    let mut site = Site::new();
    site.accepts("b-1");
    for minute in 0..4 {
        let first = minute as usize * 20;
        site.hear(&[Message { is_retained: true, ..own_metrics("b-1", first..first + 20, minute) }]);
    }
    assert_eq!(site.own_metric_count(), 32);
}

#[test]
fn devices_that_nobody_has_accepted_share_300_metrics() {
    let mut site = Site::new();
    site.accepts("b-99");
    for n in 0..12_usize {
        site.hear(&[own_metrics(&format!("b-{n}"), n * 30..n * 30 + 30, n as i64)]);
    }
    assert_eq!(site.own_metric_count(), 300);
    site.hear(&[own_metrics("b-99", 900..910, 13)]);
    assert_eq!(site.values("b-99", "own_909"), [1.0], "an accepted one gets its own");
    site.hear(&[own_metrics("b-11", 800..801, 14)]);
    assert_eq!(site.own_metric_count(), 310);
    // Accepted, its metrics are no longer of those that nobody has accepted.
    site.put(Device { state: DeviceState::Registered, ..site.device("b-0") });
    site.hear(&[own_metrics("b-11", 800..801, 15)]);
    assert_eq!(site.values("b-11", "own_800"), [1.0]);
}

#[test]
fn a_metric_whose_name_is_taken_away_makes_room_and_its_number_is_never_given_again() {
    let mut site = Site::new();
    site.accepts("b-1");
    site.hear(&[own_metrics("b-1", 0..40, 0)]);
    let (gone, last) = (site.metric_number("own_31"), site.metric_number("own_31").expect("a number").0);
    site.ask(minutes(1), RemoveMetric("own_31".to_owned()));
    assert_eq!((site.own_metric_count(), site.metric_number("own_31")), (31, None));
    for (minute, is_restarted) in [(2, false), (4, true)] {
        if is_restarted {
            site.ask(minutes(minute), RemoveMetric("own_50".to_owned()));
            site.seals(minutes(minute));
            site.restarts(minutes(minute));
        }
        // There is room for one more, and for one only.
        site.hear(&[own_metrics("b-1", 50..52, minute + 1)]);
        assert_eq!((site.own_metric_count(), site.metric_number("own_51")), (32, None));
    }
    assert_eq!(site.metric_number("own_50"), Some(MetricNo(last + 2)));
    assert_ne!(site.metric_number("own_50"), gone);
    assert_eq!(site.values("b-1", "own_50"), [1.0], "the readings of before are of another number");
}

/// A connection brings at most 200 unknown devices an hour.
fn with_share_of_200() -> Site {
    let mut options = options(Vec::new());
    options.acceptance.site.discovered_by_connection_max = 200;
    Site::with(options)
}

#[test]
fn a_connection_brings_its_share_of_unknown_devices_an_hour_and_another_one_still_brings_its_own() {
    let mut site = with_share_of_200();
    let from = |owner: &str, n: usize, minute| {
        let connection = client(owner, owner);
        Message { connection, ..fill(&format!("{owner}-{n}"), 1.0, minutes(minute)) }
    };
    let storm: Vec<Message> = (0..250).map(|n| from("gw-1", n, 0)).collect();
    site.hear(&storm);
    assert_eq!((site.discovered(), site.met("discovered_devices")), (200, 50));
    site.hear(&[from("gw-2", 0, 1), from("gw-1", 300, 1)]);
    assert_eq!(site.discovered(), 201);
    assert_eq!(site.values("gw-2-0", "fill_pct"), [1.0]);
    // Those that are known go on, and after an hour it may bring more.
    site.hear(&[from("gw-1", 0, 59), from("gw-1", 300, 60)]);
    assert_eq!(site.values("gw-1-0", "fill_pct").len(), 2);
    assert_eq!(site.discovered(), 202);
}

#[test]
fn a_group_that_is_made_again_takes_its_share_of_new_devices_once() {
    let mut site = with_share_of_200();
    site.by_hand(
        "CREATE TRIGGER poison BEFORE INSERT ON device WHEN NEW.id = 'poison'
         BEGIN SELECT RAISE(ABORT, 'poison'); END",
    );
    let from = |device: &str| Message { connection: client("gw-1", "gw-1"), ..fill(device, 1.0, minutes(0)) };
    let mut group: Vec<Message> = (0..150).map(|n| from(&format!("b-{n}"))).collect();
    group.push(from("poison"));
    site.hear(&group);
    assert_eq!((site.discovered(), site.met("discovered_devices")), (150, 0));
    // And what the disk refuses, however often.
    let next: Vec<Message> = (150..200).map(|n| from(&format!("b-{n}"))).collect();
    let input = site.group(&next);
    site.fails(full_at_commits(3));
    site.is_held_at(minutes(1), input);
    for _ in 0..2 {
        site.probe().expect_err("it is still full");
    }
    site.recovers(minutes(2));
    assert_eq!((site.discovered(), site.met("discovered_devices")), (200, 0));
    site.hear(&[from("b-200")]);
    assert_eq!((site.discovered(), site.met("discovered_devices")), (200, 1));
}

#[test]
fn a_sender_s_200_rows_of_the_quarantine_push_out_only_its_own() {
    let mut site = Site::new();
    let nonsense = |owner: &str, n: usize, minute| {
        let connection = client(owner, owner);
        Message { connection, ..message(&format!("nonsense/{owner}/{n}"), "{", minutes(minute)) }
    };
    site.hear(&[nonsense("quiet", 0, 0)]);
    for minute in 1..11 {
        let group: Vec<Message> =
            (0..100).map(|n| nonsense("loud", minute as usize * 100 + n, minute)).collect();
        site.hear(&group);
    }
    let topics: Vec<String> = site.quarantine().into_iter().map(|entry| entry.topic).collect();
    assert_eq!(topics.len(), 201);
    assert_eq!(topics.last().map(String::as_str), Some("nonsense/quiet/0"));
    assert_eq!(topics.first().map(String::as_str), Some("nonsense/loud/1099"));
    assert_eq!(site.met("quarantine_rows"), 800);
    assert_eq!(site.number("SELECT count(*) FROM quarantine WHERE sender = 'loud'"), 200);
}

#[test]
fn a_device_that_says_too_many_words_loses_its_own_and_is_counted() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"{"fill_pct":1}"#, minutes(0))]);
    site.by_hand(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
         INSERT INTO device_event SELECT 0, 'device', 'word-' || i, NULL, 1, 0, 0 FROM n",
    );
    // A wrong clock is one word more.
    site.hear(&[message(TOPIC, r#"{"ts":5,"fill_pct":1}"#, minutes(1))]);
    assert_eq!(site.met("device_events"), 1);
    assert_eq!(site.values("b-1", "fill_pct").len(), 2);
}
