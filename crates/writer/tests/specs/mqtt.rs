//! What the embedded broker keeps: in the transaction of the message, or of a change of its own; all of it or nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sanimon_domain::SessionKey;
use sanimon_store::{
    MqttPart, NewCredential, Owed, ReceivedBy, Retain, RetainedRow, SessionChange, SessionRow, StoredMessage,
    StoredSessions, SubscriptionRow,
};
use sanimon_writer::{Changed, Group, Input, Message, PutCredentials, RevokeCredential};

use crate::disk::{APPLIED, FULL, IO, fails_once_at, full_at_commits, gone_from_the_commit};
use crate::say::{START, fill, message, minutes, published};
use crate::site::{Ack, End, Site};

fn key(client_id: &str) -> SessionKey {
    SessionKey { owner: "gw-1".into(), client_id: client_id.into() }
}

fn session(client_id: &str) -> SessionRow {
    let (credential, away_since, will) = (None, None, None);
    SessionRow { key: key(client_id), credential, incarnation: 1, version: 5, expiry_s: 60, away_since, will }
}

fn put(client_id: &str) -> SessionChange {
    SessionChange::Put(Box::new(session(client_id)))
}

fn subscribe(client_id: &str, filter: &str) -> SessionChange {
    let (qos, no_local, retain_as_published, id) = (1, false, false, None);
    let row = SubscriptionRow { filter: filter.into(), qos, no_local, retain_as_published, id };
    SessionChange::Subscribe(key(client_id), row)
}

/// It is owed to session `a`, came with QoS 2 from session `b`, and is kept for its topic.
fn part(order: u64) -> MqttPart {
    let owed = Owed { key: key("a"), order, qos: 1, retain: false, subscription_ids: vec![3] };
    MqttPart {
        owed_to: vec![owed],
        received_by: Some(ReceivedBy { key: key("b"), incarnation: 1, packet_id: order as u16 }),
        retained: Some(Retain { qos: 2, owner: "gw-1".into(), credential: None }),
        ..MqttPart::default()
    }
}

fn with(part: MqttPart, message: Message) -> Message {
    Message { mqtt: Some(Arc::new(part)), ..published(message, 1) }
}

impl Site {
    /// Two sessions that are kept.
    fn with_two_sessions() -> Self {
        let mut site = Self::new();
        site.changes(vec![put("a"), put("b")]);
        site
    }

    /// Changes and messages with their tokens, as an input: first the changes are counted.
    fn gathered(&mut self, changes: Vec<SessionChange>, messages: &[Message]) -> Input<Ack> {
        let first = self.received;
        self.received += changes.len();
        let sessions =
            changes.into_iter().zip(first..).map(|(change, ack)| Changed { change, ack }).collect();
        let Input::Messages(Group { messages, .. }) = self.group(messages) else { panic!("a group") };
        Input::Messages(Group { messages, sessions })
    }

    fn changes(&mut self, changes: Vec<SessionChange>) {
        let input = self.gathered(changes, &[]);
        self.apply(START, input);
    }

    fn kept(&self) -> StoredSessions {
        self.shared().mqtt_sessions().expect("an answer")
    }

    /// Rows of the journal, and of what messages brought besides.
    fn rows_of_messages(&self) -> [i64; 4] {
        let tables = ["journal", "mqtt_outgoing", "mqtt_incoming", "mqtt_retained"];
        tables.map(|table| self.number(&format!("SELECT count(*) FROM {table}")))
    }
}

#[test]
fn a_message_and_what_it_brings_are_on_disk_together_or_not_at_all() {
    let group = || [with(part(1), fill("b-1", 80.0, minutes(0)))];
    let mut undisturbed = Site::with_two_sessions();
    undisturbed.hear(&group());
    let expected = undisturbed.kept();
    assert_eq!((expected.outgoing.len(), expected.incoming.len(), expected.retained.len()), (1, 1, 1));
    assert_eq!(&*expected.outgoing[0].message.payload, br#"{"fill_pct":80}"#);
    for fault in [FULL, IO, APPLIED] {
        for place in 0.. {
            let mut site = Site::with_two_sessions();
            let input = site.group(&group());
            let (plan, has_failed) = fails_once_at(place, fault, |_| true);
            site.fails(plan);
            let (end, _) = site.try_apply(minutes(0), input);
            if !has_failed.load(Ordering::Relaxed) {
                assert!(place > 6);
                break;
            }
            let rows = site.rows_of_messages();
            assert!([[0; 4], [1; 4]].contains(&rows), "{fault:?}, statement {place}: {rows:?}");
            if end == End::Held {
                site.recovers(minutes(0));
            }
            site.is_all_acknowledged_once();
            assert_eq!(site.rows_of_messages(), [1; 4], "{fault:?}, statement {place}");
            assert_eq!(site.kept(), expected, "{fault:?}, statement {place}");
        }
    }
}

#[test]
fn a_message_that_nobody_understands_goes_to_whom_it_is_owed() {
    let mut site = Site::with_two_sessions();
    site.hear(&[with(part(1), message("nonsense", "{", minutes(0)))]);
    assert_eq!((site.quarantine().len(), site.rows_of_messages()), (1, [0, 1, 1, 1]));
    assert_eq!(&*site.kept().retained[0].message.topic, "nonsense");
    // An empty one removes what was kept, and is a message all the same.
    let retained = part(2).retained;
    site.hear(&[with(MqttPart { retained, ..MqttPart::default() }, message("nonsense", "", minutes(1)))]);
    assert_eq!(site.rows_of_messages(), [0, 1, 1, 0]);
}

#[test]
fn a_message_that_is_set_aside_brings_nothing() {
    let mut site = Site::with_two_sessions();
    site.by_hand(
        "CREATE TRIGGER poison BEFORE INSERT ON device WHEN NEW.id = 'b-7'
         BEGIN SELECT RAISE(ABORT, 'no such bin'); END",
    );
    // The rows of one fail by themselves; the other has the place of a message that was before it.
    let bins = [("b-1", 1), ("b-7", 2), ("b-2", 1), ("b-3", 3)];
    site.hear(&bins.map(|(bin, order)| with(part(order), fill(bin, 80.0, minutes(0)))));
    assert_eq!(site.causes(), ["cannot_store"; 2]);
    assert_eq!((site.values("b-1", "fill_pct"), site.values("b-2", "fill_pct")), (vec![80.0], vec![]));
    let orders: Vec<u64> = site.kept().outgoing.iter().map(|row| row.owed.order).collect();
    assert_eq!((orders, site.kept().incoming.len(), site.kept().retained.len()), (vec![1, 3], 2, 2));
}

#[test]
fn changes_are_written_before_the_messages_that_came_with_them() {
    let mut site = Site::new();
    let changes = vec![put("a"), put("b"), SessionChange::Remove(key("b"))];
    let input = site.gathered(changes, &[with(part(1), fill("b-1", 80.0, minutes(0)))]);
    site.apply(minutes(0), input);
    assert_eq!(site.acknowledged, [0, 1, 2, 3]);
    assert_eq!(site.rows_of_messages(), [1, 1, 0, 1], "owed to the one, and the other is gone");
}

#[test]
fn how_far_a_message_came_is_known_after_a_restart() {
    let mut site = Site::with_two_sessions();
    site.hear(&[1, 2].map(|order| with(part(order), fill("b-1", order as f64, minutes(order as i64)))));
    let stage = |site: &Site| {
        let rows = site.kept().outgoing.into_iter();
        rows.map(|row| (row.owed.order, row.packet_id, row.is_released)).collect::<Vec<_>>()
    };
    let (sent, releasing) = (
        SessionChange::Sent { key: key("a"), order: 1, packet_id: 7 },
        SessionChange::Releasing { key: key("a"), order: 1 },
    );
    site.changes(vec![sent, releasing, SessionChange::Released(key("b"), 2)]);
    site.restarts(minutes(3));
    assert_eq!(stage(&site), [(1, Some(7), true), (2, None, false)]);
    assert_eq!((site.kept().incoming, site.kept().last_order), (vec![(key("b"), 1)], 2));
    site.changes(vec![SessionChange::Done { key: key("a"), order: 1 }, SessionChange::Released(key("b"), 1)]);
    site.restarts(minutes(4));
    assert_eq!((stage(&site), site.kept().incoming), (vec![(2, None, false)], vec![]));
    assert_eq!(site.kept().sessions, [session("a"), session("b")]);
    site.is_all_acknowledged_once();
}

#[test]
fn a_change_that_can_never_be_stored_is_left_out_alone() {
    let at_once = "CREATE TRIGGER poison BEFORE INSERT ON mqtt_subscription WHEN NEW.filter = 'bad'
                   BEGIN SELECT RAISE(ABORT, 'no'); END";
    // Judged at the commit only, so the error names nobody.
    let at_the_commit = "CREATE TABLE known (id TEXT PRIMARY KEY);
                         CREATE TABLE named (id TEXT REFERENCES known DEFERRABLE INITIALLY DEFERRED);
                         CREATE TRIGGER poison AFTER INSERT ON mqtt_subscription WHEN NEW.filter = 'bad'
                         BEGIN INSERT INTO named VALUES (NEW.filter); END";
    for poison in [at_once, at_the_commit] {
        for messages in [&[fill("b-1", 80.0, minutes(0)), fill("b-2", 80.0, minutes(0))][..], &[]] {
            let mut site = Site::new();
            site.by_hand(poison);
            let changes = vec![put("a"), subscribe("a", "bad"), subscribe("a", "good"), put("b")];
            let input = site.gathered(changes, messages);
            site.apply(minutes(0), input);
            let others: Vec<Ack> = (0..site.received).filter(|ack| *ack != 1).collect();
            assert_eq!(site.acknowledged, others, "its token alone is dropped");
            assert_eq!((site.kept().sessions.len(), site.kept().subscriptions.len()), (2, 1));
            assert_eq!((site.met("mqtt_session_changes"), site.quarantine().len()), (1, 0));
            assert_eq!(site.counts().0, messages.len() as u64);
            // Alone in its group as well.
            let input = site.gathered(vec![subscribe("a", "bad")], &[]);
            site.apply(minutes(1), input);
            assert_eq!((site.met("mqtt_session_changes"), site.acknowledged), (2, others));
        }
    }
}

#[test]
fn changes_that_the_disk_refuses_are_stored_when_it_takes_something_again() {
    for messages in [&[with(part(1), fill("b-1", 80.0, minutes(0)))][..], &[]] {
        for is_unsure in [None, Some(IO), Some(APPLIED)] {
            let mut site = Site::new();
            let input = site.gathered(vec![put("a"), put("b"), subscribe("a", "#")], messages);
            match is_unsure {
                None => site.fails(full_at_commits(1)),
                Some(fault) => site.fails(gone_from_the_commit(fault)),
            }
            site.is_held_at(minutes(0), input);
            assert_eq!(site.acknowledged, [] as [Ack; 0]);
            site.heals();
            site.recovers(minutes(7));
            assert!(site.acknowledged.iter().copied().eq(0..3 + messages.len()), "{is_unsure:?}");
            assert_eq!((site.kept().sessions.len(), site.kept().subscriptions.len()), (2, 1));
            assert_eq!(site.kept().outgoing.len(), messages.len());
        }
    }
}

#[test]
fn what_came_with_a_credential_goes_when_it_is_revoked() {
    let mut site = Site::new();
    let credential = |username: &str| NewCredential {
        username: username.to_owned(),
        salt: [1; 16],
        secret_sha256: [2; 32],
        publish: Vec::new(),
        subscribe: Vec::new(),
        created_by: "lin".to_owned(),
        others_until: None,
    };
    let ids = site.ask(START, PutCredentials(vec![credential("gw-1"), credential("gw-2")]));
    let of = |credential, client_id| SessionRow { credential, ..session(client_id) };
    let put = |row: SessionRow| SessionChange::Put(Box::new(row));
    let own = |credential, topic: &str| {
        let (payload, received_at) = ((&b"1"[..]).into(), START);
        let message =
            StoredMessage { topic: topic.into(), payload, properties: None, received_at, expires_at: None };
        SessionChange::Retain(Box::new(RetainedRow { message, qos: 1, owner: "gw-1".into(), credential }))
    };
    let (first, second) = (Some(ids[0]), Some(ids[1]));
    let changes = || {
        let sessions = [of(first, "a"), of(second, "b"), of(None, "c")].map(put);
        let retained = [(first, "t/1"), (second, "t/2"), (None, "t/3")].map(|(of, topic)| own(of, topic));
        [&sessions[..], &[subscribe("a", "#")], &retained].concat()
    };
    site.changes(changes());
    let retained = part(1).retained.map(|retain| Retain { credential: first, ..retain });
    let said =
        |order| with(MqttPart { retained: retained.clone(), ..part(order) }, fill("b-1", 80.0, minutes(0)));
    let input = site.group(&[said(1)]);
    site.apply(minutes(0), input);
    assert_eq!(site.rows_of_messages(), [1, 1, 1, 4]);

    // In the transaction of the command.
    let revoke = || {
        Input::Command(
            crate::site::entry(minutes(1)),
            sanimon_writer::Ask::command(RevokeCredential { id: ids[0] }),
        )
    };
    site.fails(full_at_commits(1));
    let _refused = site.is_held_at(minutes(1), revoke());
    site.recovers(minutes(1));
    assert_eq!((site.kept().sessions.len(), site.kept().retained.len()), (3, 4));
    site.ask(minutes(1), RevokeCredential { id: ids[0] });
    let is_gone = |site: &Site| {
        let StoredSessions { sessions, subscriptions, outgoing, incoming, retained, .. } = site.kept();
        assert_eq!(sessions, [of(second, "b"), of(None, "c")]);
        assert_eq!((subscriptions.len(), outgoing.len(), incoming.len()), (0, 0, 1));
        assert_eq!(retained.into_iter().map(|row| row.credential).collect::<Vec<_>>(), [second, None]);
    };
    is_gone(&site);
    assert_eq!(site.number("SELECT count(*) FROM mqtt_message"), 0);
    // What was on its way meanwhile brings nothing of it back; its readings are stored.
    let input = site.gathered(changes(), &[said(1)]);
    site.apply(minutes(2), input);
    is_gone(&site);
    site.is_all_acknowledged_once();
    assert_eq!(site.values("b-1", "fill_pct").len(), 2);
}
