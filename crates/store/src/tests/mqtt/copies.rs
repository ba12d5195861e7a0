//! What `check` says of it, and what a backup brings back.

use rusqlite::Connection;

use super::*;

#[test]
fn a_row_that_cannot_be_understood_is_named_and_stops_no_other() {
    let (folder, mut store) = store();
    change(&mut store, &["a", "b"].map(|client_id| put(session(client_id))));
    owe(&mut store, "t/1", vec![owed("a", 1), owed("b", 2)]);
    let file = Connection::open(folder.path().join("sanimon.db")).expect("the file");
    file.execute_batch(
        "UPDATE mqtt_session SET version = 1000 WHERE client_id = 'a';
         UPDATE mqtt_outgoing SET subscription_ids = x'01' WHERE order_no = 2",
    )
    .expect("sound SQL");
    let found = read(&store);
    assert_eq!((found.sessions, found.outgoing, found.last_order), (vec![session("b")], Vec::new(), 2));
    let faults = verify(folder.path(), |_, _| ()).expect("an answer").expect("data").faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn a_backup_that_is_put_back_has_what_was_retained_and_no_sessions() {
    let (folder, mut store) = store();
    change(&mut store, &[put(session("a")), SessionChange::Retain(Box::new(retained("t/1", None)))]);
    owe(&mut store, "t/1", vec![owed("a", 1)]);
    let copy = folder.path().join("copy.db");
    backup(folder.path(), &copy).expect("a backup");
    let other = tempfile::tempdir().expect("a folder");
    restore(&copy, other.path(), false).expect("it is put back");
    let mut restored = Store::open(other.path(), None).expect("a store");
    let expected = StoredSessions { retained: vec![retained("t/1", None)], ..StoredSessions::default() };
    assert_eq!(read(&restored), expected);
    assert_eq!(count(&mut restored, "mqtt_message"), 0);
}
