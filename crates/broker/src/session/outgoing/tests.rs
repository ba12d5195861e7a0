use proptest::prelude::*;

use super::*;
use crate::topics::Topic;

const NOW: i64 = 1_000_000;

fn message(text: &str, expires_at_ms: Option<i64>) -> Arc<Message> {
    let topic = Topic::parse("t").expect("it is one");
    let payload = text.as_bytes().to_vec().into();
    Arc::new(Message { topic, payload, properties: None, received_at_ms: NOW, expires_at_ms })
}

fn queued(qos: Qos, text: &str) -> Queued {
    // Stored under the place of its first letter.
    let order = text.bytes().next().map(|first| u64::from(first.saturating_sub(b'a')));
    Queued {
        message: message(text, None),
        qos,
        retain: false,
        subscription_ids: Vec::new(),
        shared: None,
        order,
    }
}

fn connected(limits: OutgoingLimits) -> Outgoing {
    let mut outgoing = Outgoing::new(limits);
    outgoing.connect();
    outgoing
}

/// What may go, on a disk that takes everything at once.
fn next(outgoing: &mut Outgoing, receive_max: usize) -> Option<Next> {
    loop {
        let next = outgoing.next(NOW, receive_max, &mut Vec::new());
        match outgoing.to_store() {
            Some(stage) if next.is_none() => outgoing.stored(stage),
            Some(stage) => {
                outgoing.stored(stage);
                return next;
            }
            None => return next,
        }
    }
}

/// What may go, in words.
fn sent(outgoing: &mut Outgoing, receive_max: usize) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(packet) = next(outgoing, receive_max) {
        words.push(match packet.packet {
            ToClient::Publish(own) => {
                let id = own.packet_id.map_or(String::new(), |id| format!(" {id}"));
                let dup = if own.dup { " dup" } else { "" };
                format!("{}{id}{dup}", String::from_utf8_lossy(&own.payload))
            }
            ToClient::Pubrel(own) => format!("rel {}", own.packet_id),
            other => panic!("{other:?}"),
        });
    }
    words
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("it is not zero")
}

#[test]
fn n127_n128_messages_go_in_order_with_an_id_where_one_is_due() {
    let mut outgoing = connected(OutgoingLimits::default());
    for (qos, text) in [(Qos::AtMostOnce, "a"), (Qos::AtLeastOnce, "b"), (Qos::ExactlyOnce, "c")] {
        assert_eq!(outgoing.push(queued(qos, text)), Pushed::Queued);
    }
    assert_eq!(sent(&mut outgoing, 64), ["a", "b 1", "c 2"]);
    assert_eq!(outgoing.puback(id(1)), Acknowledged::Done(Some(1)));
    assert_eq!(outgoing.pubrec(id(2), Reason::Success), Acknowledged::Releasing);
    assert_eq!(sent(&mut outgoing, 64), ["rel 2"]);
    assert_eq!(outgoing.pubcomp(id(2)), Acknowledged::Done(Some(2)));
    assert_eq!((outgoing.in_flight(), outgoing.queued(), outgoing.queue_bytes()), (0, 0, 0));
}

#[test]
fn n008_ids_in_use_are_passed_over_and_numbers_begin_again() {
    let mut outgoing = connected(OutgoingLimits::default());
    outgoing.next_id = PacketId::MAX;
    for text in ["a", "b", "c"] {
        outgoing.push(queued(Qos::AtLeastOnce, text));
    }
    assert_eq!(sent(&mut outgoing, 64), ["a 65535", "b 1", "c 2"]);
    outgoing.next_id = PacketId::MAX;
    outgoing.push(queued(Qos::AtLeastOnce, "d"));
    assert_eq!(sent(&mut outgoing, 64), ["d 3"]);
}

/// A crash between would make its client take another message for it.
#[test]
fn n081_n130_qos_2_takes_no_step_that_is_not_on_disk_and_what_is_behind_waits_for_it() {
    let mut outgoing = connected(OutgoingLimits::default());
    for (qos, text) in [(Qos::ExactlyOnce, "a"), (Qos::AtLeastOnce, "b"), (Qos::AtMostOnce, "c")] {
        outgoing.push(queued(qos, text));
    }
    let nothing = |outgoing: &mut Outgoing| assert_eq!(outgoing.next(NOW, 64, &mut Vec::new()), None);
    nothing(&mut outgoing);
    let named = outgoing.to_store().expect("its id");
    assert_eq!((named.order, named.packet_id, named.is_release), (0, id(1), false));
    assert_eq!(outgoing.to_store(), None, "once on each connection");
    assert_eq!(outgoing.pubrec(id(1), Reason::Success), unknown(1), "it was not sent");
    outgoing.connect();
    nothing(&mut outgoing);
    assert_eq!(outgoing.to_store(), Some(named), "the answer may not have come");
    outgoing.stored(named);
    assert_eq!(sent(&mut outgoing, 64), ["a 1", "b 2", "c"]);
    assert_eq!(outgoing.pubrec(id(1), Reason::Success), Acknowledged::Releasing);
    assert_eq!(outgoing.pubcomp(id(1)), Acknowledged::Unknown(None));
    nothing(&mut outgoing);
    let released = outgoing.to_store().expect("that it was received");
    assert!(released.is_release);
    outgoing.stored(released);
    assert_eq!(sent(&mut outgoing, 64), ["rel 1"]);
}

fn unknown(number: u16) -> Acknowledged {
    Acknowledged::Unknown(Some(ToClient::Pubrel(Ack::new(id(number), Reason::PacketIdNotFound))))
}

#[test]
fn n138_no_more_are_under_way_than_the_client_takes_and_what_is_behind_waits_in_order() {
    let mut outgoing = connected(OutgoingLimits::default());
    for (qos, text) in
        [(Qos::AtLeastOnce, "a"), (Qos::ExactlyOnce, "b"), (Qos::AtLeastOnce, "c"), (Qos::AtMostOnce, "d")]
    {
        outgoing.push(queued(qos, text));
    }
    assert_eq!(sent(&mut outgoing, 2), ["a 1", "b 2"]);
    outgoing.pubrec(id(2), Reason::Success);
    assert_eq!(sent(&mut outgoing, 2), ["rel 2"], "QoS 2 counts until PUBCOMP");
    outgoing.puback(id(1));
    assert_eq!(sent(&mut outgoing, 2), ["c 3", "d"]);
}

#[test]
fn n077_n078_what_is_not_acknowledged_goes_again_after_a_reconnect_in_its_order_and_only_then() {
    let mut outgoing = connected(OutgoingLimits::default());
    for (qos, text) in
        [(Qos::AtLeastOnce, "a"), (Qos::ExactlyOnce, "b"), (Qos::ExactlyOnce, "c"), (Qos::AtLeastOnce, "d")]
    {
        outgoing.push(queued(qos, text));
    }
    assert_eq!(sent(&mut outgoing, 3), ["a 1", "b 2", "c 3"]);
    outgoing.pubrec(id(2), Reason::Success);
    outgoing.disconnect();
    assert_eq!(sent(&mut outgoing, 64), Vec::<String>::new(), "nobody is there");
    outgoing.connect();
    assert_eq!(sent(&mut outgoing, 64), ["a 1 dup", "rel 2", "c 3 dup", "d 4"]);
    assert_eq!(sent(&mut outgoing, 64), Vec::<String>::new(), "once");
}

#[test]
fn n140_what_goes_again_counts_and_a_smaller_window_is_kept() {
    let mut outgoing = connected(OutgoingLimits::default());
    for text in ["a", "b", "c"] {
        outgoing.push(queued(Qos::AtLeastOnce, text));
    }
    assert_eq!(sent(&mut outgoing, 64).len(), 3);
    outgoing.connect();
    assert_eq!(sent(&mut outgoing, 1), ["a 1 dup"]);
    outgoing.puback(id(1));
    assert_eq!(sent(&mut outgoing, 1), ["b 2 dup"]);
    outgoing.puback(id(2));
    assert_eq!(sent(&mut outgoing, 1), ["c 3 dup"]);
}

#[test]
fn n079_n080_refusals_end_a_message_and_unknown_ids_are_answered_as_the_standard_says() {
    let mut outgoing = connected(OutgoingLimits::default());
    outgoing.push(queued(Qos::ExactlyOnce, "a"));
    sent(&mut outgoing, 64);
    assert_eq!(outgoing.puback(id(1)), Acknowledged::Unknown(None), "PUBACK does not answer QoS 2");
    assert_eq!(outgoing.pubcomp(id(1)), Acknowledged::Unknown(None), "nor does PUBCOMP before PUBREC");
    assert_eq!(outgoing.pubrec(id(1), Reason::QuotaExceeded), Acknowledged::Done(Some(0)));
    assert_eq!(outgoing.pubrec(id(1), Reason::Success), unknown(1));
}

#[test]
fn n109_to_n111_what_is_over_is_not_sent_what_is_not_tells_its_rest_and_once_sent_it_counts_no_more() {
    let mut outgoing = connected(OutgoingLimits::default());
    let timed = |at: i64| Queued { message: message("x", Some(NOW + at)), ..queued(Qos::AtLeastOnce, "") };
    outgoing.push(timed(0));
    outgoing.push(timed(1_001));
    let mut expired = Vec::new();
    let packet = outgoing.next(NOW, 64, &mut expired).expect("the second one goes");
    assert!(
        matches!(&packet.packet, ToClient::Publish(own) if own.expiry_s.map(u32::from) == Some(2)),
        "{packet:?}"
    );
    assert_eq!(expired, [None]);
    outgoing.connect();
    assert!(outgoing.next(NOW + 9_999, 64, &mut expired).is_some(), "it was sent before");
    assert_eq!(expired, [None]);
}

#[test]
fn a_slow_client_is_told_and_for_one_that_is_away_the_oldest_go() {
    let limits = OutgoingLimits { queue_messages: 2, ..OutgoingLimits::default() };
    let mut outgoing = connected(limits);
    for (qos, pushed) in [
        (Qos::AtLeastOnce, Pushed::Queued),
        (Qos::AtMostOnce, Pushed::Queued),
        (Qos::AtMostOnce, Pushed::NotQueued),
        (Qos::AtLeastOnce, Pushed::Overflow(vec![queued(Qos::AtLeastOnce, "x")])),
    ] {
        assert_eq!(outgoing.push(queued(qos, "x")), pushed, "{qos:?}");
    }
    outgoing.disconnect();
    assert_eq!(outgoing.queued(), 1, "QoS 0 is not kept");
    assert_eq!(outgoing.push(queued(Qos::AtMostOnce, "y")), Pushed::NotQueued);
    assert_eq!(outgoing.push(queued(Qos::AtLeastOnce, "y")), Pushed::Queued);
    assert_eq!(
        outgoing.push(queued(Qos::AtLeastOnce, "z")),
        Pushed::Displaced(vec![queued(Qos::AtLeastOnce, "x")])
    );
    outgoing.connect();
    assert_eq!(sent(&mut outgoing, 64), ["y 1", "z 2"]);
}

#[test]
fn bytes_are_bounded_as_messages_are() {
    let limits = OutgoingLimits { queue_bytes: 10, ..OutgoingLimits::default() };
    let mut outgoing = connected(limits);
    assert_eq!(outgoing.push(queued(Qos::AtLeastOnce, "12345")), Pushed::Queued);
    let oldest = vec![queued(Qos::AtLeastOnce, "12345")];
    assert_eq!(outgoing.push(queued(Qos::AtLeastOnce, "12345")), Pushed::Overflow(oldest));
    assert_eq!(outgoing.push(queued(Qos::AtLeastOnce, "123")), Pushed::Queued);
    assert_eq!(outgoing.queue_bytes(), 10);
}

#[test]
fn n180_what_a_group_may_still_have_is_given_up_and_qos_2_that_was_begun_is_not() {
    let mut outgoing = connected(OutgoingLimits::default());
    let asked = Asked::parse("$share/g/t").expect("it is one");
    for (qos, text, is_shared) in
        [(Qos::ExactlyOnce, "a", true), (Qos::AtLeastOnce, "b", true), (Qos::AtLeastOnce, "c", false)]
    {
        let shared = is_shared.then(|| asked.clone());
        outgoing.push(Queued { shared, ..queued(qos, text) });
    }
    assert_eq!(sent(&mut outgoing, 64), ["a 1", "b 2", "c 3"]);
    outgoing.push(Queued { shared: Some(asked), ..queued(Qos::ExactlyOnce, "d") });
    let left = outgoing.take_shared();
    let texts: Vec<&[u8]> = left.iter().map(|own| &own.message.payload[..]).collect();
    assert_eq!(texts, [b"b", b"d"]);
}

#[test]
fn a_message_alone_has_room_however_large_it_is() {
    let limits = OutgoingLimits { queue_bytes: 10, ..OutgoingLimits::default() };
    let mut outgoing = connected(limits);
    assert_eq!(outgoing.push(queued(Qos::AtLeastOnce, "0123456789")), Pushed::Queued);
}

#[derive(Debug, Clone)]
enum Step {
    Push(Qos),
    Send,
    Puback(u16),
    Pubrec(u16),
    Pubcomp(u16),
    Reconnect,
    Disconnect,
}

fn step() -> impl Strategy<Value = Step> {
    let qos = prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)];
    prop_oneof![
        4 => qos.prop_map(Step::Push),
        3 => Just(Step::Send),
        2 => (1..9_u16).prop_map(Step::Puback),
        2 => (1..9_u16).prop_map(Step::Pubrec),
        2 => (1..9_u16).prop_map(Step::Pubcomp),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Disconnect),
    ]
}

proptest! {
    /// Whatever acknowledgements come and wherever the connection breaks: each message of QoS 1 and 2 arrives in order at
    /// its first sending, one of QoS 2 never again after its PUBREC, and all is at rest once the client answers.
    #[test]
    fn every_message_arrives_in_order_and_the_queue_comes_to_rest(
        steps in prop::collection::vec(step(), 0..80),
        window in 1_usize..5,
    ) {
        let mut outgoing = connected(OutgoingLimits::default());
        let (mut number, mut owed, mut first_sent) = (0, Vec::new(), Vec::new());
        let mut released = Vec::new();
        let take = |outgoing: &mut Outgoing, first_sent: &mut Vec<u32>, released: &[u32]| {
            let mut answers = Vec::new();
            while let Some(packet) = next(outgoing, window) {
                match packet.packet {
                    ToClient::Publish(own) => {
                        let text: u32 = String::from_utf8_lossy(&own.payload).parse().unwrap();
                        assert!(!released.contains(&text), "PUBREC ended it");
                        if own.qos > Qos::AtMostOnce {
                            if !own.dup {
                                first_sent.push(text);
                            }
                            answers.push((own.packet_id.unwrap(), own.qos));
                        }
                    }
                    ToClient::Pubrel(own) => answers.push((own.packet_id, Qos::ExactlyOnce)),
                    other => panic!("{other:?}"),
                }
                assert!(outgoing.counted <= window, "never more than the client takes");
            }
            answers
        };
        for step in steps {
            match step {
                Step::Push(qos) => {
                    number += 1;
                    let pushed = outgoing.push(queued(qos, &number.to_string()));
                    if qos > Qos::AtMostOnce && pushed == Pushed::Queued {
                        owed.push(number);
                    }
                }
                Step::Send => drop(take(&mut outgoing, &mut first_sent, &released)),
                Step::Puback(own) => drop(outgoing.puback(id(own))),
                Step::Pubrec(own) => {
                    let meant = outgoing.in_flight.iter().find(|sent| sent.id == id(own)).map(|sent| sent.queued.clone());
                    if let Acknowledged::Releasing = outgoing.pubrec(id(own), Reason::Success) {
                        released.push(String::from_utf8_lossy(&meant.unwrap().message.payload).parse().unwrap());
                    }
                }
                Step::Pubcomp(own) => drop(outgoing.pubcomp(id(own))),
                Step::Reconnect => outgoing.connect(),
                Step::Disconnect => outgoing.disconnect(),
            }
        }
        outgoing.connect();
        for _ in 0..500 {
            for (own, qos) in take(&mut outgoing, &mut first_sent, &released) {
                if qos == Qos::AtLeastOnce {
                    outgoing.puback(own);
                } else {
                    outgoing.pubrec(own, Reason::Success);
                    while let Some(stage) = outgoing.to_store() {
                        outgoing.stored(stage);
                    }
                    outgoing.pubcomp(own);
                }
            }
        }
        prop_assert_eq!(first_sent, owed);
        prop_assert_eq!((outgoing.in_flight(), outgoing.queued(), outgoing.queue_bytes(), outgoing.counted), (0, 0, 0, 0));
    }
}
