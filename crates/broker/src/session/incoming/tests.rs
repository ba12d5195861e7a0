use proptest::prelude::*;

use super::*;

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("it is not zero")
}

fn offered(taken: Taken) -> Ordinal {
    match taken {
        Taken::Offer(ordinal) => ordinal,
        other => panic!("{other:?}"),
    }
}

fn publish(incoming: &mut Incoming, qos: Qos, number: u16) -> Ordinal {
    offered(incoming.publish(qos, (qos > Qos::AtMostOnce).then(|| id(number)), 64))
}

fn commit(incoming: &mut Incoming, ordinal: Ordinal) {
    incoming.committed(ordinal, Reason::Success, None);
}

fn answers(incoming: &mut Incoming) -> Vec<(&'static str, u16, Reason)> {
    let mut found = Vec::new();
    while let Some(packet) = incoming.answer() {
        found.push(match packet {
            ToClient::Puback(ack) => ("PUBACK", ack.packet_id.get(), ack.reason),
            ToClient::Pubrec(ack) => ("PUBREC", ack.packet_id.get(), ack.reason),
            ToClient::Pubcomp(ack) => ("PUBCOMP", ack.packet_id.get(), ack.reason),
            other => panic!("{other:?}"),
        });
    }
    found
}

const OK: Reason = Reason::Success;

#[test]
fn n123_n135_answers_come_after_the_commit_and_in_the_order_of_receipt() {
    let mut incoming = Incoming::default();
    let first = publish(&mut incoming, Qos::AtLeastOnce, 7);
    let second = publish(&mut incoming, Qos::ExactlyOnce, 3);
    let third = publish(&mut incoming, Qos::AtMostOnce, 0);
    let fourth = publish(&mut incoming, Qos::AtLeastOnce, 5);
    [second, third, fourth].into_iter().for_each(|ordinal| commit(&mut incoming, ordinal));
    assert_eq!(answers(&mut incoming), [], "the first one still waits");
    commit(&mut incoming, first);
    assert_eq!(answers(&mut incoming), [("PUBACK", 7, OK), ("PUBREC", 3, OK), ("PUBACK", 5, OK)]);
}

#[test]
fn n129_after_puback_the_id_is_new() {
    let mut incoming = Incoming::default();
    for _ in 0..3 {
        let ordinal = publish(&mut incoming, Qos::AtLeastOnce, 1);
        commit(&mut incoming, ordinal);
        assert_eq!(answers(&mut incoming), [("PUBACK", 1, OK)]);
    }
    assert!(incoming.is_at_rest());
}

#[test]
fn n132_the_same_id_before_its_release_is_received_once_however_often_it_comes() {
    let mut incoming = Incoming::default();
    let ordinal = publish(&mut incoming, Qos::ExactlyOnce, 1);
    assert_eq!(incoming.publish(Qos::ExactlyOnce, Some(id(1)), 64), Taken::Answered, "while it waits");
    assert_eq!(answers(&mut incoming), []);
    commit(&mut incoming, ordinal);
    assert_eq!(answers(&mut incoming), [("PUBREC", 1, OK), ("PUBREC", 1, OK)]);
    for _ in 0..3 {
        assert_eq!(incoming.publish(Qos::ExactlyOnce, Some(id(1)), 1), Taken::Answered, "it counts once");
        assert_eq!(answers(&mut incoming), [("PUBREC", 1, OK)]);
    }
    incoming.reconnect();
    assert_eq!(incoming.publish(Qos::ExactlyOnce, Some(id(1)), 64), Taken::Answered, "over a reconnect");
    let mut restored = Incoming::restored([id(1)]);
    assert_eq!(restored.publish(Qos::ExactlyOnce, Some(id(1)), 64), Taken::Answered, "over a restart");
}

#[test]
fn n133_after_a_refusal_the_id_is_new() {
    let mut incoming = Incoming::default();
    let ordinal = publish(&mut incoming, Qos::ExactlyOnce, 1);
    assert_eq!(incoming.publish(Qos::ExactlyOnce, Some(id(1)), 64), Taken::Answered);
    incoming.committed(ordinal, Reason::NotAuthorized, None);
    let refused = ("PUBREC", 1, Reason::NotAuthorized);
    assert_eq!(answers(&mut incoming), [refused, refused]);
    assert!(incoming.is_at_rest());
    publish(&mut incoming, Qos::ExactlyOnce, 1);
}

#[test]
fn only_what_is_stored_counts_as_acknowledged() {
    let mut incoming = Incoming::default();
    let [stored, dropped, refused] = [1, 2, 3].map(|number| publish(&mut incoming, Qos::AtLeastOnce, number));
    let twice = publish(&mut incoming, Qos::ExactlyOnce, 4);
    assert_eq!(incoming.publish(Qos::ExactlyOnce, Some(id(4)), 64), Taken::Answered);
    commit(&mut incoming, stored);
    incoming.drop_offer(dropped);
    incoming.committed(refused, Reason::NotAuthorized, None);
    commit(&mut incoming, twice);
    assert_eq!(answers(&mut incoming).len(), 5);
    assert_eq!((incoming.take_acknowledged(), incoming.take_acknowledged()), (2, 0));
}

#[test]
fn n134_a_kept_sessions_id_is_new_once_its_removal_is_committed() {
    let mut incoming = Incoming::default();
    let ordinal = publish(&mut incoming, Qos::ExactlyOnce, 1);
    commit(&mut incoming, ordinal);
    answers(&mut incoming);
    let removal = offered(incoming.release(id(1), true));
    assert_eq!(answers(&mut incoming), [], "PUBCOMP waits");
    commit(&mut incoming, removal);
    assert_eq!(answers(&mut incoming), [("PUBCOMP", 1, OK)]);
    publish(&mut incoming, Qos::ExactlyOnce, 1);
}

#[test]
fn n131_a_session_that_is_not_kept_is_released_at_once() {
    let mut incoming = Incoming::default();
    let ordinal = publish(&mut incoming, Qos::ExactlyOnce, 1);
    commit(&mut incoming, ordinal);
    answers(&mut incoming);
    assert_eq!(incoming.release(id(1), false), Taken::Answered);
    assert_eq!(answers(&mut incoming), [("PUBCOMP", 1, OK)]);
    assert!(incoming.is_at_rest());
}

#[test]
fn n080_a_release_of_an_unknown_id_is_told_so() {
    let mut incoming = Incoming::default();
    assert_eq!(incoming.release(id(9), true), Taken::Answered);
    assert_eq!(answers(&mut incoming), [("PUBCOMP", 9, Reason::PacketIdNotFound)]);
}

#[test]
fn n137_more_under_way_than_was_told_is_seen_and_qos_2_counts_until_pubcomp() {
    let mut incoming = Incoming::default();
    let ordinal = offered(incoming.publish(Qos::ExactlyOnce, Some(id(1)), 2));
    commit(&mut incoming, ordinal);
    answers(&mut incoming);
    let second = offered(incoming.publish(Qos::AtLeastOnce, Some(id(2)), 2));
    assert!(matches!(incoming.publish(Qos::AtMostOnce, None, 2), Taken::Offer(_)), "QoS 0 is not counted");
    assert_eq!(incoming.clone().publish(Qos::AtLeastOnce, Some(id(3)), 2), Taken::Exceeded);
    commit(&mut incoming, second);
    answers(&mut incoming);
    assert!(matches!(incoming.publish(Qos::AtLeastOnce, Some(id(3)), 2), Taken::Offer(_)));
}

#[test]
fn n140_the_count_begins_anew_with_a_connection() {
    let mut incoming = Incoming::default();
    let ordinal = publish(&mut incoming, Qos::ExactlyOnce, 1);
    commit(&mut incoming, ordinal);
    answers(&mut incoming);
    let lost = publish(&mut incoming, Qos::AtLeastOnce, 2);
    incoming.reconnect();
    assert_eq!(incoming.under_way(), 0);
    commit(&mut incoming, lost);
    assert_eq!(answers(&mut incoming), [], "it belonged to the connection that has gone");
    assert_eq!(incoming.release(id(1), false), Taken::Answered);
    assert_eq!(answers(&mut incoming), [("PUBCOMP", 1, OK)]);
    assert_eq!(incoming.under_way(), 0, "what was not counted here is not given back here");
}

#[test]
fn n132_what_was_under_way_at_a_reconnect_is_decided_before_it_may_come_again() {
    for is_stored in [true, false] {
        let mut incoming = Incoming::default();
        publish(&mut incoming, Qos::ExactlyOnce, 1);
        incoming.reconnect();
        assert!(incoming.is_full(64, true) && incoming.is_full(64, false));
        if is_stored {
            incoming.received_before(id(1));
        } else {
            incoming.lost(id(1));
        }
        assert!(!incoming.is_full(64, true));
        let again = incoming.publish(Qos::ExactlyOnce, Some(id(1)), 64);
        assert_eq!(again == Taken::Answered, is_stored, "{again:?}");
    }
}

#[test]
fn n141_a_client_of_3_1_1_is_not_read_beyond_the_maximum() {
    let mut incoming = Incoming::default();
    publish(&mut incoming, Qos::AtLeastOnce, 1);
    publish(&mut incoming, Qos::AtMostOnce, 0);
    assert!(incoming.is_full(2, false) && !incoming.is_full(2, true));
    publish(&mut incoming, Qos::AtMostOnce, 0);
    assert!(incoming.is_full(2, true));
}

#[test]
fn n134_an_id_that_is_released_twice_ends_one_message_only() {
    for is_kept in [true, false] {
        let mut incoming = Incoming::default();
        let ordinal = publish(&mut incoming, Qos::ExactlyOnce, 1);
        commit(&mut incoming, ordinal);
        publish(&mut incoming, Qos::AtMostOnce, 0);
        let released = incoming.release(id(1), is_kept);
        assert_eq!(incoming.release(id(1), is_kept), Taken::Answered);
        commit(&mut incoming, 1);
        if let Taken::Offer(ordinal) = released {
            commit(&mut incoming, ordinal);
        }
        let unknown = Reason::PacketIdNotFound;
        assert_eq!(answers(&mut incoming), [("PUBREC", 1, OK), ("PUBCOMP", 1, OK), ("PUBCOMP", 1, unknown)]);
        assert_eq!(incoming.under_way(), 0);
    }
}

#[test]
fn n139_packets_that_do_not_count_are_taken_but_not_without_an_end() {
    let mut incoming = Incoming::default();
    publish(&mut incoming, Qos::AtLeastOnce, 1);
    let mut number = 0;
    while !incoming.is_full(2, true) {
        assert_eq!(incoming.release(id(9), true), Taken::Answered);
        number += 1;
    }
    assert_eq!(number, 7, "the line is four times what may be under way");
}

#[derive(Debug, Clone)]
enum Step {
    Publish(Qos, u16),
    Release(u16),
    Commit(usize, bool),
    Answer,
    /// Whether what was under way is on disk.
    Reconnect(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let qos = prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)];
    prop_oneof![
        4 => (qos, 1..4_u16).prop_map(|(qos, number)| Step::Publish(qos, number)),
        2 => (1..4_u16).prop_map(Step::Release),
        4 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(place, is_ok)| Step::Commit(place, is_ok)),
        2 => Just(Step::Answer),
        1 => any::<bool>().prop_map(Step::Reconnect),
    ]
}

proptest! {
    /// Whatever a client does, and in whatever order commits come: the count is never below zero, nothing is answered that
    /// was not committed, and all is at rest once everything is committed and released.
    #[test]
    fn a_line_always_comes_to_rest(steps in prop::collection::vec(step(), 0..80), is_kept in any::<bool>()) {
        let mut incoming = Incoming::default();
        // A release is never refused: where its removal cannot be stored, the connection ends.
        let mut waiting: Vec<(Ordinal, bool, Option<PacketId>)> = Vec::new();
        for step in steps {
            match step {
                Step::Publish(qos, number) => {
                    let own = (qos > Qos::AtMostOnce).then(|| id(number));
                    if let Taken::Offer(ordinal) = incoming.publish(qos, own, 8) {
                        waiting.push((ordinal, true, own.filter(|_| qos == Qos::ExactlyOnce)));
                    }
                }
                Step::Release(number) => {
                    if let Taken::Offer(ordinal) = incoming.release(id(number), is_kept) {
                        waiting.push((ordinal, false, None));
                    }
                }
                Step::Commit(place, is_ok) if !waiting.is_empty() => {
                    let (ordinal, is_refusable, _) = waiting.remove(place % waiting.len());
                    incoming.committed(ordinal, if is_ok || !is_refusable { OK } else { Reason::NotAuthorized }, None);
                }
                Step::Commit(..) => {}
                Step::Answer => drop(answers(&mut incoming)),
                Step::Reconnect(is_stored) => {
                    incoming.reconnect();
                    for own in waiting.drain(..).filter_map(|(.., own)| own) {
                        prop_assert!(incoming.is_full(8, true), "it would be another message");
                        if is_stored { incoming.received_before(own) } else { incoming.lost(own) }
                    }
                    prop_assert!(!incoming.is_full(8, true));
                }
            }
            prop_assert!(incoming.under_way() <= 8);
        }
        waiting.drain(..).for_each(|(ordinal, ..)| commit(&mut incoming, ordinal));
        answers(&mut incoming);
        for number in 1..4 {
            if let Taken::Offer(ordinal) = incoming.release(id(number), is_kept) {
                commit(&mut incoming, ordinal);
            }
        }
        answers(&mut incoming);
        prop_assert!(incoming.is_at_rest(), "{:?}", incoming);
        prop_assert!(incoming.received.is_empty());
    }
}
