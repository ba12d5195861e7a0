//! An alert whose row cannot be understood: the others are listed all the same.

use rusqlite::Connection;

use super::*;

/// Three open alerts, each with its first entry.
fn sound_town() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), None).expect("a store");
    enter(&mut store, |tx| (1..=3).try_for_each(|id| tx.insert_alert(&alert(id), None)));
    by_hand(
        &folder,
        "INSERT INTO alert_step SELECT id, 1, 0, 'raised', NULL, severity, NULL, NULL, NULL FROM alert",
    );
    (folder, store)
}

/// The same, and something done to the row of the second one by hand.
fn town(damage: &str) -> (tempfile::TempDir, Store) {
    let (folder, store) = sound_town();
    by_hand(&folder, &format!("UPDATE alert SET {damage} WHERE id = 2"));
    (folder, store)
}

fn by_hand(folder: &tempfile::TempDir, sql: &str) {
    let file = Connection::open(folder.path().join("sanimon.db")).expect("the file");
    file.execute_batch(sql).expect("sound SQL");
}

fn faults(folder: &tempfile::TempDir) -> Vec<String> {
    verify(folder.path(), |_, _| {}).expect("it can be read").expect("there is a database").faults
}

fn ids(alerts: &[Alert]) -> Vec<u64> {
    alerts.iter().map(|alert| alert.id.0).collect()
}

const DAMAGES: [&str; 4] =
    ["handling = 'xyz'", "severity = 'xyz'", "rule_id = 'no rule'", "device_no = NULL, group_kind = 'xyz'"];

#[test]
fn every_list_has_the_others_and_the_damage_counts_once() {
    let all = AlertFilter::default();
    let open = AlertFilter { conditions: vec![Condition::Active], ..all.clone() };
    for damage in DAMAGES {
        let (_folder, store) = town(damage);
        let shared = &store.shared;
        for _ in 0..2 {
            assert_eq!(ids(&shared.alerts(&all, 10).expect("a page").items), [3, 1], "{damage}");
            for (order, expected) in [(AlertOrder::Newest, [3, 1]), (AlertOrder::Urgent, [1, 3])] {
                for filter in [&all, &open] {
                    let list = shared.alert_list(filter, order, None, 10).expect("a list");
                    assert_eq!((ids(&list.items), list.total), (expected.to_vec(), 2), "{damage}");
                }
            }
            let between = shared.alerts_between(START, START.plus_ms(1)).expect("alerts");
            assert_eq!(between.iter().map(|(alert, _)| alert.id.0).collect::<Vec<_>>(), [1, 3], "{damage}");
            assert_eq!(shared.open_alert_counts(&[], START).expect("counts").total(), 2, "{damage}");
            assert_eq!(shared.damaged_places(), 1, "{damage}");
        }
    }
}

#[test]
fn a_page_is_as_long_as_it_was_asked_for_and_the_next_one_begins_after_it() {
    for damage in DAMAGES {
        for order in [AlertOrder::Newest, AlertOrder::Urgent] {
            let (_folder, store) = town(damage);
            let page =
                |after| store.shared.alert_list(&AlertFilter::default(), order, after, 1).expect("a list");
            let first = page(None);
            let second = page(first.next);
            let both = [ids(&first.items), ids(&second.items)].concat();
            let expected = if order == AlertOrder::Newest { [3, 1] } else { [1, 3] };
            assert_eq!((both, second.next), (expected.to_vec(), None), "{damage}");
        }
    }
}

#[test]
fn counts_that_are_asked_first_are_given_too() {
    let (_folder, store) = town("severity = 'xyz', handling = 'xyz'");
    // That it cannot be understood is known once a list has met it.
    assert_eq!(store.shared.open_alert_counts(&[], START).expect("counts").total(), 3);
}

#[test]
fn it_is_said_to_be_damaged_by_whoever_asks_for_it_alone_and_by_a_check() {
    for damage in DAMAGES {
        let (folder, store) = town(damage);
        let error = store.shared.alert(AlertId(2)).expect_err(damage);
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.starts_with("an alert in the database is damaged: #2: "), "{said}");
        assert!(said.contains("`xyz` in column") || said.contains("`no rule` in column"), "{said}");
        assert_eq!(store.shared.damaged_places(), 1);
        assert!(store.shared.alert(AlertId(1)).expect("an answer").is_some());
        assert!(store.shared.alert(AlertId(4)).expect("an answer").is_none());
        let faults = faults(&folder);
        assert!(faults.len() == 1 && faults[0].starts_with("alert 2: "), "{faults:?}");
        assert!(faults[0].contains("in column"), "{faults:?}");
    }
}

#[test]
fn a_damaged_entry_of_a_history_is_left_out_and_named() {
    for (kind, severity) in [("xyz", "minor"), ("cleared", "xyz")] {
        let (folder, store) = sound_town();
        assert!(faults(&folder).is_empty());
        // An entry is never rewritten: the damaged one stands between two that are sound.
        let entry =
            |n, kind, severity| format!("(2, {n}, 0, '{kind}', NULL, '{severity}', NULL, NULL, NULL)");
        let (damaged, sound) = (entry(2, kind, severity), entry(3, "cleared", "minor"));
        by_hand(&folder, &format!("INSERT INTO alert_step VALUES {damaged}, {sound}"));
        let shared = &store.shared;
        for _ in 0..2 {
            let between = shared.alerts_between(START, START.plus_ms(1)).expect("alerts");
            let entries: Vec<usize> = between.iter().map(|(_, steps)| steps.len()).collect();
            assert_eq!(entries, [1, 2, 1], "{kind}");
            let (_, steps) = shared.alert(AlertId(2)).expect("an answer").expect("the alert");
            assert_eq!(steps, between[1].1);
            assert_eq!(shared.damaged_places(), 1);
        }
        assert_eq!(
            shared.alert_list(&AlertFilter::default(), AlertOrder::Newest, None, 10).expect("it").total,
            3
        );
        let faults = faults(&folder);
        assert!(
            faults.len() == 1 && faults[0].starts_with("alert 2, entry 2 of its history: "),
            "{faults:?}"
        );
    }
}
