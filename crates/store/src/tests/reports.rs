//! What residents report, and how it is forgotten.

use sanimon_domain::time::DAY_MS;
use sanimon_domain::{AlertId, ReportCategory};

use super::*;

fn report(token: &str, code: &str) -> NewReport {
    NewReport {
        token: token.to_owned(),
        code: code.to_owned(),
        language: "zh".to_owned(),
        category: ReportCategory::Smell,
        text: Some("it smells".to_owned()),
        photo: Some(vec![0xFF, 0xD8].into()),
        title: ["Resident: it smells".to_owned(), "居民反映：有异味".to_owned()],
    }
}

fn town() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    commit(&mut store, &Group { new_devices: vec![device(0), device(1)], ..Group::default() });
    let codes = [("AAAA", 0), ("BBBB", 1)]
        .map(|(code, no)| PlaceCode { code: code.to_owned(), place: Place::Device(DeviceNo(no)) });
    store.writer.put_place_codes(&codes, START).expect("codes");
    (folder, store)
}

#[test]
fn reports_of_one_place_join_one_case_and_those_of_another_do_not() {
    let (_folder, mut store) = town();
    let first = store.writer.report(&report("t1", "AAAA"), AlertId(7), START).expect("a report");
    let second = store.writer.report(&report("t2", "AAAA"), AlertId(8), START).expect("a report");
    let other = store.writer.report(&report("t3", "BBBB"), AlertId(8), START).expect("a report");
    assert_eq!((first.alert, second.alert, other.alert), (AlertId(7), AlertId(7), AlertId(8)));
    assert_eq!(store.shared.reports_of(AlertId(7)).expect("reports").len(), 2);
    assert!(matches!(
        store.writer.report(&report("t4", "CCCC"), AlertId(9), START),
        Err(CommandError::NotFound { what: "place", .. })
    ));
}

#[test]
fn what_was_written_and_shown_is_forgotten_after_its_time_and_the_case_stays() {
    let (_folder, mut store) = town();
    let made = store.writer.report(&report("t1", "AAAA"), AlertId(1), START).expect("a report");
    assert!(made.has_photo && made.text.is_some());
    let later = START.plus_ms(DAY_MS);
    assert!(!store.writer.forget_reports(START, later).expect("nothing is old"));
    assert!(store.writer.forget_reports(later, later).expect("one is old"));
    let left = store.shared.report("t1").expect("an answer").expect("the report");
    assert_eq!((left.has_photo, left.text, left.category), (false, None, ReportCategory::Smell));
    assert_eq!(store.shared.report_photo(left.id).expect("an answer"), None);
    let (_, steps) = store.shared.alert(AlertId(1)).expect("an answer").expect("the case");
    let told: String = steps.iter().filter_map(|step| step.note.clone()).collect();
    assert!(
        !told.contains("it smells"),
        "the history is for ever, so it must not say what was written: {told}"
    );
}

#[test]
fn satisfaction_is_said_once_and_only_of_what_is_closed() {
    let (_folder, mut store) = town();
    store.writer.report(&report("t1", "AAAA"), AlertId(1), START).expect("a report");
    assert!(store.writer.rate_report("t1", 5, START).is_err(), "it is open");
    let dismiss = AlertAction {
        note: Some("a test".to_owned()),
        ..AlertAction::new(AlertId(1), sanimon_operations::lifecycle::Action::Dismiss, "lin")
    };
    let closed = store.writer.act(&dismiss, START).expect("a step");
    assert_eq!(closed.condition, sanimon_domain::Condition::Cleared);
    store.writer.rate_report("t1", 4, START).expect("said");
    assert!(store.writer.rate_report("t1", 1, START).is_err(), "said already");
    assert_eq!(store.shared.report("t1").expect("an answer").expect("it").satisfaction, Some(4));
}
