//! Messages to people: whose turn it is, and outcomes that are told twice.

use std::ops::ControlFlow;

use rusqlite::{Connection, params};

use super::*;

/// A store, and messages of channel `c` in its outbox: severity, and how long until they are due.
fn outbox(messages: &[(&str, i64)]) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), None).expect("a store");
    let file = Connection::open(folder.path().join("sanimon.db")).expect("the file");
    for (severity, due_in_ms) in messages {
        file.execute(
            "INSERT INTO outbox (channel, event, at, severity, is_digest, due_at, expires_at, state)
             VALUES ('c', 'raised', ?1, ?2, 0, ?3, ?4, 'waiting')",
            params![START.0, severity, START.0 + due_in_ms, START.0 + HOUR_MS],
        )
        .expect("a message");
    }
    (folder, store)
}

fn in_view(store: &Store, now: TimestampMs, at_most: usize) -> Vec<i64> {
    let mut seen = Vec::new();
    store
        .shared
        .visit_waiting("c", now, &mut |message| {
            seen.push(message.id);
            if seen.len() == at_most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .expect("an answer");
    seen
}

fn note(store: &mut Store, outcome: &DeliveryOutcome) {
    enter(store, |tx| tx.put_outcome(outcome));
}

fn outcome(id: i64, attempts: u32, result: DeliveryResult) -> DeliveryOutcome {
    DeliveryOutcome { id, attempts, at: START, result }
}

fn later(id: i64, attempts: u32) -> DeliveryOutcome {
    let at = START.plus_ms(HOUR_MS);
    outcome(id, attempts, DeliveryResult::Later { at, error: "busy".to_owned() })
}

#[test]
fn the_most_urgent_message_is_seen_first_and_the_older_of_two_equal_ones() {
    let (_folder, mut store) = outbox(&[
        ("minor", 0),
        ("critical", 0),
        ("warning", 0),
        ("major", 0),
        ("critical", 0),
        ("critical", 5),
    ]);
    assert_eq!(in_view(&store, START, 9), [2, 5, 4, 1, 3]);
    assert_eq!(in_view(&store, START, 2), [2, 5], "no further than wanted");
    assert_eq!(in_view(&store, START.plus_ms(5), 9), [2, 5, 6, 4, 1, 3]);
    let next = |after| store.shared.next_message_due("c", after).expect("an answer");
    assert_eq!((next(START), next(START.plus_ms(5))), (Some(START.plus_ms(5)), None));
    // What was tried stays in view: when it is tried again is not for the store to say.
    note(&mut store, &later(2, 0));
    assert_eq!(in_view(&store, START, 1), [2]);
}

#[test]
fn an_outcome_that_is_told_twice_is_noted_once() {
    let (_folder, mut store) = outbox(&[("minor", 0)]);
    let message = |store: &Store| store.shared.messages(None, None, 1).expect("a page").items.remove(0);
    for _ in 0..2 {
        note(&mut store, &later(1, 0));
        assert_eq!(message(&store).attempts, 1);
    }
    let dead = outcome(1, 1, DeliveryResult::Dead { error: "no".to_owned() });
    note(&mut store, &dead);
    assert!(enter(&mut store, |tx| tx.retry_message(1, START)), "tried again");
    assert!(!enter(&mut store, |tx| tx.retry_message(1, START)), "once");
    note(&mut store, &dead);
    assert_eq!(message(&store).state, MessageState::Waiting, "somebody had it tried again in between");
    let sent = outcome(1, 0, DeliveryResult::Sent { note: Some("not to one".to_owned()) });
    note(&mut store, &sent);
    let sent = message(&store);
    assert_eq!((sent.state, sent.error.as_deref()), (MessageState::Sent, Some("not to one")));
}
