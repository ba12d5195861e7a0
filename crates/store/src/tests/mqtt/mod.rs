//! What the embedded broker keeps: every kind of row comes back as it was, and goes with what it hangs on.

use std::sync::Arc;

use bytes::Bytes;
use sanimon_domain::SessionKey;

use super::*;

mod copies;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), None).expect("a store");
    (folder, store)
}

fn key(client_id: &str) -> SessionKey {
    SessionKey { owner: "gw-1".into(), client_id: client_id.into() }
}

fn stored(topic: &str) -> StoredMessage {
    StoredMessage {
        topic: topic.into(),
        payload: (&b"\0\xff"[..]).into(),
        properties: Some((&b"p"[..]).into()),
        received_at: START,
        expires_at: Some(START.plus_ms(1)),
    }
}

fn session(client_id: &str) -> SessionRow {
    SessionRow {
        key: key(client_id),
        credential: None,
        incarnation: 1,
        version: 5,
        expiry_s: u32::MAX,
        away_since: None,
        will: None,
    }
}

fn with_will(client_id: &str) -> SessionRow {
    let will = WillRow {
        message: stored("wills/a"),
        qos: 2,
        retain: true,
        delay_s: u32::MAX,
        due_at: Some(START.plus_ms(9)),
    };
    SessionRow { away_since: Some(START), will: Some(Box::new(will)), ..session(client_id) }
}

fn subscription(filter: &str, id: Option<u32>) -> SubscriptionRow {
    let (no_local, retain_as_published) = (id.is_some(), id.is_none());
    SubscriptionRow { filter: filter.into(), qos: 1, no_local, retain_as_published, id }
}

fn received(client_id: &str, packet_id: u16) -> ReceivedBy {
    ReceivedBy { key: key(client_id), incarnation: 1, packet_id }
}

fn owed(client_id: &str, order: u64) -> Owed {
    Owed { key: key(client_id), order, qos: 2, retain: true, subscription_ids: vec![1, 268_435_455] }
}

fn outgoing(owed: Owed, message: &Arc<StoredMessage>) -> OutgoingRow {
    OutgoingRow { owed, packet_id: None, is_released: false, message: message.clone() }
}

fn retained(topic: &str, credential: Option<i64>) -> RetainedRow {
    RetainedRow { message: stored(topic), qos: 1, owner: "gw-1".into(), credential }
}

fn put(row: SessionRow) -> SessionChange {
    SessionChange::Put(Box::new(row))
}

fn change(store: &mut Store, changes: &[SessionChange]) {
    enter(store, |tx| changes.iter().try_for_each(|change| tx.put_session_change(change)));
}

fn publish(store: &mut Store, message: &StoredMessage, part: &MqttPart) {
    enter(store, |tx| tx.put_mqtt_part(message, part));
}

fn owe(store: &mut Store, topic: &str, owed_to: Vec<Owed>) {
    publish(store, &stored(topic), &MqttPart { owed_to, ..MqttPart::default() });
}

fn read(store: &Store) -> StoredSessions {
    store.shared.mqtt_sessions().expect("an answer")
}

fn count(store: &mut Store, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    enter(store, |tx| tx.row("count", &count, [], |row| row.get(0))).expect("a number")
}

#[test]
fn every_kind_of_row_comes_back_as_it_was() {
    let (folder, mut store) = store();
    assert_eq!(read(&store), StoredSessions::default());
    let credential = NewCredential {
        username: "gw-1".to_owned(),
        salt: [1; 16],
        secret_sha256: [2; 32],
        publish: Vec::new(),
        subscribe: Vec::new(),
        created_by: "lin".to_owned(),
        others_until: None,
    };
    let credential = Some(enter(&mut store, |tx| tx.insert_credential(&credential, START)));
    let (a, b) = (SessionRow { credential, ..with_will("a") }, SessionRow { version: 3, ..session("b") });
    let filters = [subscription("#", None), subscription("a/+", Some(268_435_455))];
    change(&mut store, &[put(a.clone()), put(b.clone())]);
    let subscribe = |row: &SubscriptionRow| SessionChange::Subscribe(key("a"), row.clone());
    change(&mut store, &filters.each_ref().map(subscribe));
    change(&mut store, &[SessionChange::Retain(Box::new(retained("t/own", None)))]);
    let message = Arc::new(stored("t/1"));
    let part = MqttPart {
        owed_to: vec![owed("a", 7), Owed { subscription_ids: Vec::new(), ..owed("b", 8) }],
        received_by: Some(received("b", u16::MAX)),
        retained: Some(Retain { qos: 1, owner: "gw-1".into(), credential }),
        ..MqttPart::default()
    };
    publish(&mut store, &message, &part);
    drop(store);

    let store = Store::open(folder.path(), None).expect("a store");
    let found = read(&store);
    let expected = StoredSessions {
        sessions: vec![a, b],
        subscriptions: filters.map(|row| (key("a"), row)).into(),
        outgoing: part.owed_to.into_iter().map(|owed| outgoing(owed, &message)).collect(),
        incoming: vec![(key("b"), u16::MAX)],
        retained: vec![retained("t/1", credential), retained("t/own", None)],
        last_order: 8,
    };
    assert_eq!(found, expected);
    assert!(Arc::ptr_eq(&found.outgoing[0].message, &found.outgoing[1].message), "one for both");
    assert_eq!(verify(folder.path(), |_, _| ()).expect("an answer").expect("data").faults, [""; 0]);
}

#[test]
fn a_session_that_is_put_again_keeps_what_hangs_on_it() {
    let (_folder, mut store) = store();
    change(
        &mut store,
        &[
            put(with_will("a")),
            SessionChange::Subscribe(key("a"), subscription("#", None)),
            SessionChange::Subscribe(key("a"), subscription("#", Some(3))),
        ],
    );
    owe(&mut store, "t/1", vec![owed("a", 1)]);
    change(&mut store, &[put(session("a"))]);
    let found = read(&store);
    assert_eq!((found.sessions, found.outgoing.len()), (vec![session("a")], 1));
    assert_eq!(found.subscriptions, [(key("a"), subscription("#", Some(3)))], "in place of the other one");
}

#[test]
fn a_message_to_a_session_goes_through_its_stages() {
    let (_folder, mut store) = store();
    change(&mut store, &[put(session("a")), put(session("b"))]);
    for order in 1..=3 {
        owe(&mut store, "t/1", vec![owed("a", order)]);
    }
    change(
        &mut store,
        &[
            SessionChange::Sent { key: key("a"), order: 1, packet_id: 5 },
            SessionChange::Sent { key: key("a"), order: 2, packet_id: 6 },
            SessionChange::Releasing { key: key("a"), order: 1 },
            SessionChange::Done { key: key("a"), order: 3 },
        ],
    );
    let found = read(&store);
    let stages = found.outgoing.iter().map(|row| (row.owed.order, row.packet_id, row.is_released));
    assert_eq!(stages.collect::<Vec<_>>(), [(1, Some(5), true), (2, Some(6), false)]);
    assert_eq!(found.last_order, 2);

    let part = |received_by| MqttPart { received_by: Some(received_by), ..MqttPart::default() };
    // The same id of another session is another one; seen twice it is one.
    for client_id in ["a", "a", "b"] {
        publish(&mut store, &stored("t/1"), &part(received(client_id, 9)));
    }
    // And a session that has ended says nothing of the one that came after it.
    publish(&mut store, &stored("t/1"), &part(ReceivedBy { incarnation: 2, ..received("b", 10) }));
    change(&mut store, &[SessionChange::Released(key("a"), 9)]);
    assert_eq!(read(&store).incoming, [(key("b"), 9)]);
}

#[test]
fn a_message_can_be_owed_after_its_commit() {
    let (_folder, mut store) = store();
    let row = outgoing(owed("a", 4), &Arc::new(stored("t/1")));
    change(&mut store, &[put(session("a")), SessionChange::Owe(Box::new(row.clone()))]);
    let found = read(&store);
    assert_eq!((found.outgoing, found.last_order), (vec![row], 4));
    change(&mut store, &[SessionChange::Done { key: key("a"), order: 4 }]);
    assert_eq!((read(&store).outgoing.len(), count(&mut store, "mqtt_message")), (0, 0));
}

#[test]
fn a_message_is_stored_once_and_goes_with_the_last_session_that_must_get_it() {
    let (_folder, mut store) = store();
    let everybody = ["a", "b", "c"];
    change(&mut store, &everybody.map(|client_id| put(session(client_id))));
    for order in [1, 2] {
        owe(&mut store, "t/1", everybody.map(|client_id| owed(client_id, order)).into());
    }
    assert_eq!((count(&mut store, "mqtt_outgoing"), count(&mut store, "mqtt_message")), (6, 2));
    change(
        &mut store,
        &[SessionChange::Done { key: key("a"), order: 1 }, SessionChange::Done { key: key("b"), order: 1 }],
    );
    assert_eq!(count(&mut store, "mqtt_message"), 2, "one session must get it still");
    change(&mut store, &[SessionChange::Done { key: key("c"), order: 1 }]);
    assert_eq!(count(&mut store, "mqtt_message"), 1);
    // The same if the sessions themselves go.
    change(&mut store, &["a", "b"].map(|client_id| SessionChange::Remove(key(client_id))));
    assert_eq!(count(&mut store, "mqtt_message"), 1);
    change(&mut store, &[SessionChange::Remove(key("c"))]);
    assert_eq!((count(&mut store, "mqtt_outgoing"), count(&mut store, "mqtt_message")), (0, 0));
}

#[test]
fn a_session_goes_with_all_that_hangs_on_it_and_nothing_of_another_one() {
    let (_folder, mut store) = store();
    for client_id in ["a", "b"] {
        let subscribe = SessionChange::Subscribe(key(client_id), subscription("#", None));
        change(&mut store, &[put(with_will(client_id)), subscribe]);
        let received_by = Some(received(client_id, 1));
        let part = MqttPart { owed_to: vec![owed(client_id, 1)], received_by, ..MqttPart::default() };
        publish(&mut store, &stored("t/1"), &part);
    }
    change(&mut store, &[SessionChange::Remove(key("a"))]);
    let StoredSessions { sessions, subscriptions, outgoing, incoming, .. } = read(&store);
    assert_eq!(sessions, [with_will("b")]);
    assert_eq!((subscriptions.len(), outgoing.len(), incoming.len()), (1, 1, 1));
    assert!(subscriptions[0].0 == key("b") && outgoing[0].owed.key == key("b") && incoming[0].0 == key("b"));
    assert_eq!(count(&mut store, "mqtt_message"), 1);
}

#[test]
fn changes_that_are_about_unknown_rows_do_nothing() {
    let (_folder, mut store) = store();
    let gone = || key("gone");
    let of_no_session = [
        SessionChange::Remove(gone()),
        SessionChange::Subscribe(gone(), subscription("#", None)),
        SessionChange::Unsubscribe(gone(), "#".into()),
        SessionChange::Owe(Box::new(outgoing(owed("gone", 1), &Arc::new(stored("t/1"))))),
        SessionChange::Sent { key: gone(), order: 1, packet_id: 1 },
        SessionChange::Releasing { key: gone(), order: 1 },
        SessionChange::Done { key: gone(), order: 1 },
        SessionChange::Released(gone(), 1),
        SessionChange::ForgetRetained("t/1".into()),
    ];
    change(&mut store, &of_no_session);
    let part = MqttPart {
        owed_to: vec![owed("gone", 1)],
        received_by: Some(received("gone", 1)),
        ..MqttPart::default()
    };
    publish(&mut store, &stored("t/1"), &part);
    assert_eq!(read(&store), StoredSessions::default());
    assert_eq!(count(&mut store, "mqtt_message"), 0, "nobody must get it");

    change(&mut store, &[put(session("a"))]);
    let before = read(&store);
    change(
        &mut store,
        &[
            SessionChange::Unsubscribe(key("a"), "#".into()),
            SessionChange::Sent { key: key("a"), order: 1, packet_id: 1 },
            SessionChange::Releasing { key: key("a"), order: 1 },
            SessionChange::Done { key: key("a"), order: 1 },
            SessionChange::Released(key("a"), 1),
        ],
    );
    assert_eq!(read(&store), before);
    // Of several, those that are there.
    owe(&mut store, "t/1", vec![owed("gone", 1), owed("a", 2)]);
    assert_eq!(read(&store).outgoing.len(), 1);
    // A credential that is not there any more keeps nothing.
    let late = [
        put(SessionRow { credential: Some(1), ..session("b") }),
        SessionChange::Retain(Box::new(retained("t/1", Some(1)))),
    ];
    change(&mut store, &late);
    assert_eq!((read(&store).sessions.len(), read(&store).retained.len()), (1, 0));
}

#[test]
fn a_retained_message_is_replaced_and_an_empty_one_removes_it() {
    let (_folder, mut store) = store();
    let retain = |row: RetainedRow| SessionChange::Retain(Box::new(row));
    change(&mut store, &["t/1", "t/2", "t/3"].map(|topic| retain(retained(topic, None))));
    let part = MqttPart {
        retained: Some(Retain { qos: 0, owner: "b-1".into(), credential: None }),
        ..MqttPart::default()
    };
    let newer = StoredMessage { payload: (&b"new"[..]).into(), properties: None, ..stored("t/1") };
    publish(&mut store, &newer, &part);
    publish(&mut store, &StoredMessage { payload: Bytes::new(), ..stored("t/2") }, &part);
    let empty = StoredMessage { payload: Bytes::new(), ..stored("t/3") };
    change(&mut store, &[retain(RetainedRow { message: empty, ..retained("t/3", None) })]);
    assert_eq!(
        read(&store).retained,
        [RetainedRow { message: newer, qos: 0, owner: "b-1".into(), credential: None }]
    );
    change(&mut store, &[SessionChange::ForgetRetained("t/1".into())]);
    assert_eq!(read(&store).retained, []);
}
