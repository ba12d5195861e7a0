//! A disk that refuses: nothing is acknowledged that is not stored, nothing is stored twice, and memory is never ahead.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{Severity, metric};
use sanimon_store::{Call, DeliveryOutcome, DeliveryResult, DiskFault};
use sanimon_writer::{Input, Message, NoteOnly, Refusal};

use crate::disk::{
    APPLIED, CONSTRAINT, CORRUPT, FULL, IO, fails_once_at, full_at_commits, gone_from_the_commit,
};
use crate::say::{dated_fill, fill, message, minutes, published, rising, rule, topic};
use crate::site::{End, Site, entry};

fn site() -> Site {
    Site::with_rules(vec![rule("full", metric::FILL_PCT, vec![rising(Severity::Critical, 75.0, 60.0)])])
}

/// New devices, a metric of a device's own, a wrong time, an alert; undated and dated.
fn group(minute: i64) -> Vec<Message> {
    let at = minutes(minute);
    let all = [
        fill("b-1", 80.0, at),
        fill("b-1", 81.0, at),
        fill("b-2", 10.0, at),
        message(&topic("b-2"), r#"{"own":1}"#, at),
        message(&topic("b-3"), r#"{"ts":5,"fill_pct":90}"#, at),
        dated_fill("b-4", 20.0, at.minus_ms(MINUTE_MS), at),
    ];
    all.into_iter().zip(1..).map(|(message, packet_id)| published(message, packet_id)).collect()
}

impl Site {
    /// All that a group leaves, but for the times at which it was known.
    fn left(&self) -> BTreeMap<&'static str, i64> {
        let count = |what| (what, self.number(&format!("SELECT count(*) FROM {what}")));
        let mut left: BTreeMap<_, _> =
            ["device", "metric", "alert", "alert_step", "quarantine", "device_event", "rule_level"]
                .map(count)
                .into();
        left.insert(
            "counted in the quarantine",
            self.number("SELECT coalesce(sum(count), 0) FROM quarantine"),
        );
        left.insert("counted events", self.number("SELECT coalesce(sum(count), 0) FROM device_event"));
        for device in ["b-1", "b-2", "b-3", "b-4"] {
            left.insert(
                "readings",
                left.get("readings").unwrap_or(&0) + self.points(device, "fill_pct").len() as i64,
            );
        }
        left.insert("readings of its own", self.values("b-2", "own").len() as i64);
        left
    }

    /// Memory says what the file says: a restart changes nothing.
    fn is_not_ahead(&mut self) {
        let seen = |site: &Self| {
            let mut open = site.writer().open_alerts();
            open.sort();
            (site.left(), open, site.shared().directory.read().devices().to_vec())
        };
        let before = seen(self);
        self.restarts(minutes(100));
        assert_eq!(seen(self), before);
    }
}

#[test]
fn a_group_whose_commit_fails_is_held_whole_and_stored_once_after_the_reload() {
    for fault in [FULL, IO] {
        let mut site = site();
        let input = site.group(&group(0));
        site.fails(move |call| (call == Call::Commit).then_some(fault));
        site.is_held_at(minutes(0), input);
        assert!(site.acknowledged.is_empty());
        assert_eq!(site.shared().directory.read().devices().len(), 0, "readers see nothing of it");
        site.probe().expect_err("it refuses still");
        site.heals();
        site.recovers(minutes(7));
        site.is_all_acknowledged_once();
        assert_eq!(site.left(), undisturbed());
        // Nobody could act on it before.
        assert_eq!(site.alerts()[0].known_at, minutes(7));
        assert_eq!(site.alerts()[0].deadlines.acknowledge_by, Some(minutes(12)));
        site.is_not_ahead();
    }
}

fn undisturbed() -> BTreeMap<&'static str, i64> {
    let mut site = site();
    site.hear(&group(0));
    site.left()
}

#[test]
fn a_group_whose_commit_reached_the_disk_though_it_answered_with_an_error_is_not_applied_again() {
    let mut site = site();
    let input = site.group(&group(0));
    site.fails(|call| (call == Call::Commit).then_some(APPLIED));
    site.apply(minutes(0), input);
    site.heals();
    site.is_all_acknowledged_once();
    assert_eq!(site.left(), undisturbed());
    site.is_not_ahead();
}

#[test]
fn a_group_of_which_nobody_knew_whether_it_is_stored_is_stored_once() {
    for fault in [IO, APPLIED] {
        let mut site = site();
        let input = site.group(&group(0));
        site.fails(gone_from_the_commit(fault));
        site.is_held_at(minutes(0), input);
        assert!(site.acknowledged.is_empty(), "{fault:?}");
        assert!(!site.try_reload(minutes(1)), "the file cannot be read");
        site.heals();
        site.recovers(minutes(2));
        site.is_all_acknowledged_once();
        assert_eq!(site.left(), undisturbed(), "{fault:?}");
        site.is_not_ahead();
    }
}

/// A failure that names nobody, and that the same again would meet again: the group is made in halves. The disk goes away in
/// the middle of a later commit, the next one or the one after that.
fn halved_and_gone_at(commit: u32, fault: DiskFault) -> impl FnMut(Call) -> Option<DiskFault> + Send {
    let (mut is_first, mut commits, mut gone) = (true, 0, gone_from_the_commit(fault));
    move |call| {
        if std::mem::take(&mut is_first) {
            return Some(CONSTRAINT);
        }
        commits += u32::from(call == Call::Commit);
        if commits >= commit { gone(call) } else { None }
    }
}

#[test]
fn a_reload_acknowledges_what_is_stored_of_a_group_in_halves_and_nothing_else() {
    // First the engine is put back, then each half is committed.
    for commit in 1..=3 {
        for fault in [IO, APPLIED] {
            let mut site = site();
            let input = site.group(&group(0));
            site.fails(halved_and_gone_at(commit, fault));
            site.is_held_at(minutes(0), input);
            site.heals();
            site.recovers(minutes(2));
            site.is_all_acknowledged_once();
            assert_eq!(site.left(), undisturbed(), "{fault:?} at commit {commit}");
            site.is_not_ahead();
        }
    }
}

#[test]
fn whatever_statement_of_a_group_fails_it_is_stored_once_and_acknowledged_once() {
    let undisturbed = undisturbed();
    for fault in [FULL, IO, APPLIED] {
        for place in 0.. {
            let mut site = site();
            let input = site.group(&group(0));
            let (plan, has_failed) = fails_once_at(place, fault, |_| true);
            site.fails(plan);
            let (end, _) = site.try_apply(minutes(0), input);
            if !has_failed.load(Ordering::Relaxed) {
                assert!(place > 10);
                break;
            }
            if end == End::Held {
                assert!(site.acknowledged.is_empty(), "{fault:?}, statement {place}");
                site.recovers(minutes(0));
            }
            site.is_all_acknowledged_once();
            assert_eq!(site.left(), undisturbed, "{fault:?}, statement {place}");
            site.is_not_ahead();
        }
    }
}

#[test]
fn a_disk_that_fails_again_and_again_stores_each_message_once() {
    for seed in 0..40_u64 {
        let mut site = site();
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        site.fails(move |_| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            (dice % 40 == 0).then_some([FULL, IO, APPLIED][(dice / 64 % 3) as usize])
        });
        let input = site.group(&group(0));
        let (mut end, _) = site.try_apply(minutes(0), input);
        // As the driver does: a probe, a reload, what was left again; one of them may fail anew.
        for _ in 0..1_000 {
            if end == End::Done {
                break;
            }
            end = site.tries_again(minutes(0));
        }
        site.heals();
        site.is_all_acknowledged_once();
        assert_eq!(site.left(), undisturbed(), "seed {seed}");
        site.is_not_ahead();
    }
}

#[test]
fn a_damaged_file_ends_the_writer_and_nothing_is_acknowledged() {
    let mut site = site();
    let input = site.group(&group(0));
    site.fails(|call| matches!(call, Call::Write(_)).then_some(CORRUPT));
    assert_eq!(site.try_apply(minutes(0), input).0, End::Fatal);
    assert!(site.acknowledged.is_empty());
}

#[test]
fn a_command_is_told_at_once_that_the_disk_refuses() {
    let mut site = site();
    site.fails(|_| Some(FULL));
    let input = Input::Command(entry(minutes(0)), sanimon_writer::Ask::command(NoteOnly));
    let answer = site.is_held_at(minutes(0), input).expect("an answer");
    assert!(matches!(answer, Err(Refusal::Unavailable(_))), "{answer:?}");
    // It is not carried out later.
    site.heals();
    site.recovers(minutes(1));
    assert_eq!(site.number("SELECT count(*) FROM audit"), 0);
}

#[test]
fn who_delivered_messages_to_people_is_told_so_and_tells_it_again() {
    let outcome =
        DeliveryOutcome { id: 1, attempts: 0, at: minutes(0), result: DeliveryResult::Sent { note: None } };
    let mut site = site();
    site.fails(full_at_commits(1));
    let answer = site.is_held_at(minutes(0), Input::Deliveries(vec![outcome.clone()])).expect("an answer");
    assert!(matches!(answer, Err(Refusal::Unavailable(_))), "{answer:?}");
    site.recovers(minutes(1));
    assert!(site.apply(minutes(1), Input::Deliveries(vec![outcome])).expect("an answer").is_ok());
}

#[test]
fn time_that_passes_while_the_disk_refuses_is_not_lost() {
    let mut site = site();
    site.hear(&group(0));
    site.fails(full_at_commits(1));
    // A deadline is missed, and cannot be told.
    site.is_held_at(minutes(6), Input::Tick);
    site.recovers(minutes(7));
    site.waits_until(minutes(8));
    assert_eq!(site.alerts()[0].escalations, 1);
    assert_eq!(site.alerts()[0].escalated_at, Some(minutes(8)));
}
