//! One message, or one row, that cannot be stored: it is set aside with its cause, and all others go on.

use sanimon_domain::{AlertId, Severity, TimestampMs, metric};
use sanimon_operations::lifecycle::Action;
use sanimon_store::Counters;
use sanimon_writer::{Message, Refusal, TakeStep};

use crate::say::{START, dated_fill, fill, message, minutes, published, rising, rule, topic};
use crate::site::Site;

/// Bins are full, and hot.
fn site() -> Site {
    let full = vec![rising(Severity::Minor, 75.0, 60.0), rising(Severity::Critical, 95.0, 90.0)];
    let hot = vec![rising(Severity::Major, 60.0, 50.0)];
    Site::with_rules(vec![rule("full", metric::FILL_PCT, full), rule("hot", metric::TEMPERATURE_C, hot)])
}

impl Site {
    /// The rows of messages that could not be stored: topic, and how often.
    fn set_aside(&self) -> Vec<(String, i64)> {
        let rows = self.quarantine().into_iter().filter(|entry| entry.code == "cannot_store");
        rows.map(|entry| (entry.topic, entry.count)).collect()
    }

    /// Somebody enters a device by hand: its number is far off, so the next one's row collides by its id.
    fn is_entered_by_hand(&self, device: &str) {
        self.by_hand(&format!(
            "INSERT INTO device (no, id, name, kind, district, state, first_seen_at)
             VALUES (1000 + (SELECT count(*) FROM device), '{device}', '', 'bin', '', 'registered', 0)"
        ));
    }

    /// The rules' engine remembers what the file says.
    fn remembers_what_the_file_says(&mut self, now: TimestampMs) {
        let open = |site: &Self| {
            let mut open = site.writer().open_alerts();
            open.sort();
            open
        };
        let before = open(self);
        self.restarts(now);
        assert_eq!(open(self), before);
    }
}

#[test]
fn a_message_whose_rows_collide_is_set_aside_and_the_group_is_committed_in_the_same_apply() {
    let mut site = site();
    site.is_entered_by_hand("b-7");
    let group: Vec<Message> =
        (0..10).map(|n| published(fill(&format!("b-{n}"), 80.0, minutes(0)), n + 1)).collect();
    site.hear(&group);
    for n in (0..10).filter(|n| *n != 7) {
        assert_eq!(site.values(&format!("b-{n}"), "fill_pct"), [80.0], "b-{n}");
    }
    assert_eq!(site.set_aside(), [(topic("b-7"), 1)]);
    let entry = site.quarantine().remove(0);
    assert!(entry.message.contains("UNIQUE constraint failed: device.id"), "{}", entry.message);
    assert_eq!(entry.payload, br#"{"fill_pct":80}"#);
    // Nothing is doubled: neither readings, nor alerts, nor what is counted.
    assert_eq!(site.alerts().len(), 9);
    assert_eq!(site.number("SELECT count(*) FROM alert_step"), 9);
    assert_eq!(site.counts(), (9, 0, 0));
    assert_eq!(Counters::get(&site.shared().health.counters.committed), 10);
    assert_eq!(Counters::get(&site.shared().health.counters.quarantined), 1);
}

#[test]
fn several_culprits_are_set_aside_at_once_wherever_they_stand() {
    let mut site = site();
    let culprits = [0, 3, 4, 9, 17, 19];
    culprits.iter().for_each(|n| site.is_entered_by_hand(&format!("b-{n}")));
    let group: Vec<Message> =
        (0..20).map(|n| published(fill(&format!("b-{n}"), 10.0, minutes(0)), n + 1)).collect();
    site.hear(&group);
    assert_eq!(site.set_aside().len(), culprits.len());
    assert_eq!(site.counts().0, 14);
}

#[test]
fn a_message_for_which_the_commit_itself_fails_is_found_by_halves() {
    let mut site = site();
    // Judged at the commit only, so the error names nobody.
    site.by_hand(
        "CREATE TABLE known (id TEXT PRIMARY KEY);
         CREATE TABLE named (id TEXT REFERENCES known DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER poison AFTER INSERT ON device WHEN NEW.id = 'b-7'
         BEGIN INSERT INTO named VALUES (NEW.id); END",
    );
    let group: Vec<Message> =
        (0..10).map(|n| published(fill(&format!("b-{n}"), 80.0, minutes(0)), n + 1)).collect();
    site.hear(&group);
    assert_eq!(site.set_aside(), [(topic("b-7"), 1)]);
    assert!(site.quarantine()[0].message.contains("FOREIGN KEY"), "{}", site.quarantine()[0].message);
    assert_eq!((site.counts(), site.alerts().len()), ((9, 0, 0), 9));
    site.remembers_what_the_file_says(minutes(1));
}

#[test]
fn a_message_that_stands_alone_is_set_aside_as_well() {
    let mut site = site();
    site.is_entered_by_hand("b-1");
    site.hear(&[published(fill("b-1", 80.0, minutes(0)), 1)]);
    site.hear(&[published(fill("b-1", 80.0, minutes(1)), 2)]);
    assert_eq!(site.set_aside(), [(topic("b-1"), 2)]);
}

#[test]
fn alerts_that_the_file_refuses_one_after_another_do_not_stop_the_group() {
    let mut site = site();
    site.by_hand(
        "CREATE TRIGGER poison BEFORE INSERT ON alert WHEN NEW.rule_id = 'hot'
         BEGIN SELECT RAISE(ABORT, 'no heat'); END",
    );
    // More of them than a group is made again for.
    let hot =
        |n: u16| message(&topic(&format!("b-{n}")), r#"{"temperature_c":70,"fill_pct":80}"#, minutes(0));
    let group: Vec<Message> = (0..12)
        .map(|n| {
            published(if n % 2 == 0 { hot(n) } else { fill(&format!("b-{n}"), 80.0, minutes(0)) }, n + 1)
        })
        .collect();
    site.hear(&group);
    assert_eq!(site.set_aside().len(), 6);
    assert!(site.quarantine().iter().all(|entry| entry.message.contains("no heat")));
    assert_eq!((site.counts().0, site.alerts().len()), (6, 6));
    site.remembers_what_the_file_says(minutes(1));
}

#[test]
fn an_alert_whose_row_is_damaged_is_set_aside_and_its_message_is_stored() {
    let mut site = site();
    site.hear(&[fill("b-1", 80.0, minutes(0)), fill("b-2", 80.0, minutes(0))]);
    site.by_hand("UPDATE alert SET handling = 'xyz' WHERE id = 1");
    // What is refused of the row, and what is not.
    let group: Vec<Message> =
        [("b-1", 96.0), ("b-2", 96.0), ("b-3", 80.0)].map(|(bin, pct)| fill(bin, pct, minutes(15))).into();
    site.hear(&group);
    assert_eq!(site.values("b-1", "fill_pct"), [80.0, 96.0]);
    assert_eq!(site.set_aside(), [("alert/1".to_owned(), 1)]);
    assert!(site.quarantine()[0].message.contains("`xyz`"), "{}", site.quarantine()[0].message);
    let severities = "SELECT count(*) FROM alert WHERE severity = 'critical' AND id = 2";
    assert_eq!(site.number(severities), 1);
    // It comes to an end: the row stays as it was, the rules go on.
    site.hear(&[fill("b-1", 10.0, minutes(30)), fill("b-2", 10.0, minutes(30))]);
    assert_eq!(site.number("SELECT count(*) FROM alert WHERE id = 2 AND condition = 'cleared'"), 1);
    assert_eq!(site.number("SELECT count(*) FROM alert WHERE handling = 'xyz'"), 1);
    site.restarts(minutes(31));
    site.hear(&[fill("b-1", 80.0, minutes(45))]);
    assert_eq!(site.values("b-1", "fill_pct").len(), 4);
}

#[test]
fn a_deadline_of_a_damaged_alert_stops_nothing() {
    let mut site = site();
    site.hear(&[fill("b-1", 96.0, minutes(0)), fill("b-2", 96.0, minutes(1))]);
    site.by_hand("UPDATE alert SET handling = 'xyz' WHERE id = 1");
    site.waits_until(minutes(5));
    assert_eq!(site.set_aside(), [("alert/1".to_owned(), 1)]);
    site.waits_until(minutes(6));
    assert_eq!(site.number("SELECT escalations FROM alert WHERE id = 2"), 1);
    // It is not asked for again.
    site.waits_until(minutes(60));
    assert_eq!(site.set_aside(), [("alert/1".to_owned(), 1)]);
}

#[test]
fn whoever_takes_a_step_of_a_damaged_alert_is_told_of_the_damage() {
    let mut site = site();
    site.hear(&[fill("b-1", 96.0, minutes(0))]);
    site.by_hand("UPDATE alert SET handling = 'xyz' WHERE id = 1");
    let step = |alert| TakeStep::new(AlertId(alert), Action::Acknowledge);
    let refused = site.try_ask(minutes(1), step(1)).expect_err("damaged");
    assert!(
        matches!(&refused, Refusal::Failed(why) if why.contains("#1") && why.contains("`xyz`")),
        "{refused:?}"
    );
    let refused = site.try_ask(minutes(1), step(2)).expect_err("there is none");
    assert!(matches!(refused, Refusal::NotFound { .. }), "{refused:?}");
}

#[test]
fn a_damaged_alert_that_is_due_at_the_start_does_not_keep_a_site_from_starting() {
    let mut site = site();
    site.hear(&[fill("b-1", 96.0, minutes(0)), fill("b-2", 96.0, minutes(0))]);
    site.by_hand("UPDATE alert SET handling = 'xyz', severity = 'abc' WHERE id = 1");
    site.restarts(minutes(60));
    site.waits_until(minutes(61));
    assert_eq!(site.number("SELECT escalations FROM alert WHERE id = 2"), 1);
    site.hear(&[fill("b-1", 50.0, minutes(62)), fill("b-3", 80.0, minutes(62))]);
    assert_eq!(site.values("b-3", "fill_pct"), [80.0]);
}

#[test]
fn an_alert_of_a_tick_that_the_file_refuses_is_set_aside_and_messages_go_on() {
    let levels = vec![sanimon_alerting::Level { for_ms: 600_000, ..rising(Severity::Major, 75.0, 60.0) }];
    let mut site = Site::with_rules(vec![rule("full", metric::FILL_PCT, levels)]);
    site.hear(&[fill("b-1", 80.0, minutes(0))]);
    // Somebody entered an alert by hand: the next number is taken.
    site.by_hand(
        "INSERT INTO alert (id, device_no, rule_id, title_en, title_zh, metric_no, severity, condition, handling,
           raised_at, known_at, changed_at)
         VALUES (1, 0, 'by_hand', '', '', 0, 'minor', 'cleared', 'verified', 0, 0, 0)",
    );
    site.waits_until(minutes(10));
    assert_eq!(site.set_aside(), [("alert/1".to_owned(), 1)]);
    site.hear(&[fill("b-2", 10.0, minutes(12))]);
    assert_eq!(site.values("b-2", "fill_pct"), [10.0]);
    // Not for ever: the next start gives it a number that is free.
    site.restarts(minutes(13));
    assert_eq!(site.number("SELECT count(*) FROM alert WHERE rule_id = 'full'"), 1);
}

/// A time of receipt that no source gives makes the arithmetic of clocks overflow: in builds that check, it panics.
#[cfg(debug_assertions)]
#[test]
fn a_message_on_which_the_writer_panics_is_set_aside_and_the_others_are_committed() {
    let mut site = site();
    site.hear(&[dated_fill("b-1", 10.0, START, START)]);
    let broken =
        Message { received_at: TimestampMs(i64::MIN), ..dated_fill("b-1", 80.0, minutes(1), minutes(1)) };
    let group = [
        published(fill("b-2", 80.0, minutes(1)), 1),
        published(broken, 2),
        published(dated_fill("b-1", 20.0, minutes(2), minutes(2)), 3),
    ];
    site.hear(&group);
    assert_eq!(site.values("b-1", "fill_pct"), [10.0, 20.0]);
    assert_eq!(site.values("b-2", "fill_pct"), [80.0]);
    assert_eq!(site.set_aside(), [(topic("b-1"), 1)]);
    assert!(site.quarantine()[0].message.contains("panicked"), "{}", site.quarantine()[0].message);
    assert_eq!(site.alerts().len(), 1);
    site.remembers_what_the_file_says(minutes(3));
}
