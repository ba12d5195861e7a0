//! What people ask for: all of it or nothing, with its entry of the audit log, whatever the disk does meanwhile.

mod cases;
mod fixture;
mod remembered;

use std::sync::atomic::Ordering;

use sanimon_store::{Call, DiskFault};
use sanimon_writer::{Answer, Author, Command, Entry, Input, Refusal};

use crate::disk::{APPLIED, CONSTRAINT, FULL, IO, fails_once_at, gone_from_the_commit};
use crate::site::{End, Site};
use cases::{Case, cases};
use fixture::{NOW, site};
use remembered::{Remembered, Rows};

impl Site {
    fn command(&mut self, command: Command) -> (End, Answer) {
        let person = Author::Person("lin".to_owned());
        let entry = Entry::new(NOW, person, "spec.case").about("it").with_detail(r#"{"n":1}"#);
        let (end, answer) = self.try_apply(NOW, Input::Command(entry, command));
        (end, answer.expect("a command is always answered"))
    }

    /// The rows of the audit log that are new since then, as who, what, about, detail.
    fn audited_since(&self, before: &Rows) -> Vec<[String; 4]> {
        let new = self.shared().audit(None, 100).expect("a page").items.into_iter();
        let count = self.rows().table("audit").len() - before.table("audit").len();
        new.take(count).map(|entry| [entry.who, entry.what, entry.about, entry.detail]).collect()
    }
}

fn one_entry() -> Vec<[String; 4]> {
    vec![["lin", "spec.case", "it", r#"{"n":1}"#].map(str::to_owned)]
}

/// Nothing is other than it was: no row, and nothing that is remembered.
fn is_unchanged(site: &mut Site, (rows, memory): &(Rows, Remembered), what: &str) {
    let now = site.rows();
    assert_eq!(now.differences(rows), Vec::<String>::new(), "{what}");
    assert_eq!(site.remembered().differences(memory), Vec::<String>::new(), "{what}");
}

/// What is remembered is what a start on this file would read.
fn memory_is_the_file_s(site: &mut Site, case: &Case) {
    let before = site.remembered();
    (case.written)(site);
    site.restarts(NOW);
    assert_eq!(site.remembered().differences(&before), Vec::<String>::new(), "{}", case.name);
}

#[test]
fn a_command_that_is_carried_out_leaves_one_entry_and_memory_is_what_the_file_says() {
    for case in cases() {
        let mut site = site();
        let (rows, access) = (site.rows(), site.shared().access.version());
        let (end, answer) = site.command((case.good)());
        assert!(answer.is_ok() && end == End::Done, "{}: {answer:?}", case.name);
        assert_eq!(site.audited_since(&rows), one_entry(), "{}", case.name);
        assert_eq!(site.shared().access.version() > access, case.is_of_access, "{}", case.name);
        let changed = site.rows().differences(&rows);
        assert!(
            changed.iter().all(|table| table == "audit" || case.tables.contains(&table.as_str())),
            "{changed:?}"
        );
        assert_eq!(changed.len(), case.tables.len() + 1, "{}: {changed:?}", case.name);
        memory_is_the_file_s(&mut site, &case);
    }
}

#[test]
fn a_command_that_is_refused_leaves_no_entry_and_changes_nothing() {
    for case in cases() {
        let Some(refused) = case.refused else { continue };
        let mut site = site();
        site.by_hand(case.before_refusal);
        let (before, access) = ((site.rows(), site.remembered()), site.shared().access.version());
        let (end, answer) = site.command(refused());
        assert!(answer.is_err() && end == End::Done, "{}: {answer:?}", case.name);
        assert!(!matches!(answer, Err(Refusal::Unavailable(_))), "{}: {answer:?}", case.name);
        is_unchanged(&mut site, &before, case.name);
        assert_eq!(site.shared().access.version(), access, "{}", case.name);
        // Whoever asks for something that is possible is served all the same.
        assert!(site.command((case.good)()).1.is_ok(), "{}", case.name);
    }
}

/// Carries out each command with each of its statements failing once; gives the site to `check`, after the failure.
fn at_each_statement(fault: DiskFault, check: impl Fn(&mut Site, (End, Answer), &(Rows, Remembered), &str)) {
    for case in cases() {
        let mut site = site();
        let before = (site.rows(), site.remembered());
        for place in 0.. {
            let what = format!("{}, statement {place}", case.name);
            // A question meets no constraint.
            let counts = move |call: Call| fault != CONSTRAINT || !matches!(call, Call::Read(_));
            let (plan, has_failed) = fails_once_at(place, fault, counts);
            site.fails(plan);
            let told = site.command((case.good)());
            site.heals();
            if !has_failed.load(Ordering::Relaxed) {
                assert!(told.1.is_ok() && place > 1, "{what}: {told:?}");
                break;
            }
            check(&mut site, told, &before, &what);
        }
    }
}

#[test]
fn a_command_that_meets_a_full_disk_at_any_statement_is_told_so_and_changes_nothing() {
    at_each_statement(FULL, |site, (end, answer), before, what| {
        assert_eq!(end, End::Held, "{what}");
        assert!(matches!(answer, Err(Refusal::Unavailable(_))), "{what}: {answer:?}");
        site.recovers(NOW);
        is_unchanged(site, before, what);
    });
}

#[test]
fn a_command_of_which_any_row_is_refused_is_told_so_and_changes_nothing() {
    at_each_statement(CONSTRAINT, |site, (end, answer), before, what| {
        assert_eq!(end, End::Done, "{what}");
        assert!(matches!(answer, Err(Refusal::Failed(_))), "{what}: {answer:?}");
        is_unchanged(site, before, what);
    });
}

#[test]
fn a_command_whose_commit_reached_the_disk_is_carried_out_though_it_answered_with_an_error() {
    for case in cases() {
        let mut site = site();
        let rows = site.rows();
        site.fails(|call| (call == Call::Commit).then_some(APPLIED));
        let (end, answer) = site.command((case.good)());
        site.heals();
        assert!(answer.is_ok() && end == End::Done, "{}: {answer:?}", case.name);
        assert_eq!(site.audited_since(&rows), one_entry(), "{}", case.name);
        memory_is_the_file_s(&mut site, &case);
    }
}

#[test]
fn a_command_of_which_nobody_knew_whether_it_is_stored_is_seen_after_the_reload() {
    for is_applied in [true, false] {
        for case in cases() {
            let mut site = site();
            let before = (site.rows(), site.remembered());
            site.fails(gone_from_the_commit(if is_applied { APPLIED } else { IO }));
            let (end, answer) = site.command((case.good)());
            site.heals();
            assert!(
                matches!(answer, Err(Refusal::Unsure(_))) && end == End::Held,
                "{}: {answer:?}",
                case.name
            );
            site.recovers(NOW);
            if is_applied {
                assert_eq!(site.audited_since(&before.0), one_entry(), "{}", case.name);
                memory_is_the_file_s(&mut site, &case);
            } else {
                is_unchanged(&mut site, &before, case.name);
            }
        }
    }
}
