//! Numbers are those of the table of behaviours.

use bytes::Bytes;
use proptest::prelude::*;

use super::filters::WEIGHT_BYTES;
use super::*;
use crate::packet::Qos;
use crate::reason::Reason;
use crate::rights::Rights;
use crate::subscriptions::Granted;

const LOST: End = End::Lost(Reason::KeepAliveTimeout);

fn key(name: &str) -> SessionKey {
    SessionKey { owner: "gw".into(), client_id: name.into() }
}

fn will(delay_s: u32) -> Will {
    let (topic, qos, payload) = ("w".into(), Qos::AtMostOnce, Bytes::new());
    Will { topic, qos, retain: false, payload, properties: None, delay_s }
}

fn sessions() -> Sessions {
    Sessions::new(SessionsLimits { takeovers: u32::MAX, ..SessionsLimits::default() })
}

fn account(owner: &str) -> Arc<Account> {
    let rights = Rights::everything();
    Arc::new(Account { owner: owner.into(), credential: None, rights, is_gateway: false, may_expire: false })
}

fn newcomer(key: SessionKey, is_clean: bool) -> Newcomer {
    Newcomer { account: account(&key.owner), key, is_clean, link: Arc::default() }
}

/// A client that is let in, and says how long its session is kept and what its will is.
fn arrive(
    sessions: &mut Sessions,
    name: &str,
    (clean, expiry_s, own): (bool, u32, Option<u32>),
    now_ms: i64,
) -> Attached {
    let attached =
        sessions.attach(newcomer(key(name), clean), now_ms).expect("it may come as often as it likes");
    let mut seat = lock(&attached.seat);
    let session = seat.of(attached.generation).expect("it has just come");
    (session.expiry_s, session.will) = (expiry_s, own.map(will).map(Box::new));
    session.outgoing.connect();
    drop(seat);
    attached
}

fn wills(passed: &[Passed]) -> usize {
    passed.iter().filter(|own| matches!(own, Passed::Will(..))).count()
}

#[test]
fn n021_to_n023_n060_n061_a_newcomer_finds_what_was_kept_or_starts_clean() {
    let mut sessions = sessions();
    assert!(!arrive(&mut sessions, "a", (false, 60, None), 0).session_present);
    let second = arrive(&mut sessions, "a", (false, 60, None), 1);
    assert!(second.session_present && second.taken_over.is_some());
    assert!(!arrive(&mut sessions, "a", (true, 60, None), 2).session_present);
    let other =
        sessions.attach(newcomer(SessionKey { owner: "other".into(), client_id: "a".into() }, false), 3);
    let other = other.expect("it may");
    assert!(
        !other.session_present && other.taken_over.is_none(),
        "another credential has a session of its own"
    );
}

#[test]
fn n075_n076_a_session_ends_with_its_connection_or_when_its_time_is_over() {
    let mut sessions = sessions();
    let brief = arrive(&mut sessions, "brief", (false, 0, None), 0);
    sessions.detach(&key("brief"), brief.generation, LOST, 0);
    assert!(sessions.is_empty());
    let kept = arrive(&mut sessions, "kept", (false, 60, None), 0);
    sessions.detach(&key("kept"), kept.generation, LOST, 0);
    assert_eq!(sessions.pass(59_999, 9), []);
    assert_eq!(sessions.pass(60_000, 9), [Passed::Expired(key("kept"))]);
    let kept = arrive(&mut sessions, "kept", (false, 60, None), 0);
    sessions.detach(&key("kept"), kept.generation, LOST, 0);
    assert!(!arrive(&mut sessions, "kept", (false, 60, None), 60_000).session_present, "nobody swept it");
}

#[test]
fn n089_n090_wills_at_a_return_and_at_a_take_over() {
    // (delay, expiry, clean, connected still) -> published
    for (delay_s, expiry_s, clean, is_here, is_published) in [
        (0, 60, false, true, true),
        (5, 60, false, true, false),
        (5, 0, false, true, true),
        (5, 60, true, true, true),
        (5, 60, false, false, false),
        (5, 60, true, false, true),
    ] {
        let mut sessions = sessions();
        let first = arrive(&mut sessions, "a", (false, expiry_s, Some(delay_s)), 0);
        if !is_here {
            assert_eq!(
                sessions.detach(&key("a"), first.generation, LOST, 0).and_then(|left| left.will),
                None
            );
        }
        let second = arrive(&mut sessions, "a", (clean, expiry_s, None), 1_000);
        assert_eq!(second.will.is_some(), is_published, "{delay_s} {expiry_s} {clean} {is_here}");
        assert_eq!(wills(&sessions.pass(i64::MAX, 9)), 0, "and never again");
    }
}

#[test]
fn n088_a_will_comes_after_its_delay_or_with_the_end_of_its_session() {
    for (delay_s, expiry_s, at) in [(5, 60, 5_000), (60, 5, 5_000)] {
        let mut sessions = sessions();
        let own = arrive(&mut sessions, "a", (false, expiry_s, Some(delay_s)), 0);
        assert_eq!(sessions.detach(&key("a"), own.generation, LOST, 0).and_then(|left| left.will), None);
        assert_eq!((sessions.next_due_ms(), sessions.pass(at - 1, 9)), (Some(at), vec![]));
        assert_eq!(wills(&sessions.pass(at, 9)), 1);
        sessions.pass(60_000, 9);
        assert!(sessions.is_empty() && sessions.next_due_ms().is_none());
    }
}

#[test]
fn the_end_of_an_old_connection_touches_nothing_of_the_newcomer() {
    let mut sessions = sessions();
    let old = arrive(&mut sessions, "a", (false, 60, None), 0);
    let new = arrive(&mut sessions, "a", (false, 60, Some(0)), 1);
    assert!(new.taken_over.is_some());
    assert_eq!(sessions.detach(&key("a"), old.generation, LOST, 2), None);
    assert!(lock(&old.seat).of(old.generation).is_none());
    assert!(lock(&new.seat).of(new.generation).is_some_and(|own| own.will.is_some()));
}

#[test]
fn a_revoked_credential_leaves_neither_session_nor_will() {
    let mut sessions = sessions();
    let own = arrive(&mut sessions, "a", (false, 60, Some(0)), 0);
    sessions.subscribe(&key("a"), Asked::parse("#").unwrap(), granted());
    assert_eq!(sessions.detach(&key("a"), own.generation, End::Revoked, 0).and_then(|left| left.will), None);
    assert!(sessions.is_empty() && sessions.subscriptions.is_empty());
}

#[test]
fn n161_n163_a_subscription_is_taken_out_letter_by_letter() {
    let mut sessions = sessions();
    arrive(&mut sessions, "a", (false, 60, None), 0);
    for text in ["a/+", "$share/g/a"] {
        assert!(sessions.subscribe(&key("a"), Asked::parse(text).unwrap(), granted()));
        assert!(!sessions.subscribe(&key("a"), Asked::parse(text).unwrap(), granted()), "the same one");
    }
    assert!(!sessions.unsubscribe(&key("a"), "a/b") && !sessions.unsubscribe(&key("a"), "a"));
    assert!(sessions.unsubscribe(&key("a"), "a/+") && sessions.unsubscribe(&key("a"), "$share/g/a"));
    assert!(sessions.subscriptions.is_empty() && sessions.subscriptions() == (0, 0));
}

#[test]
fn where_too_many_are_kept_the_one_that_is_away_longest_goes() {
    // (of all, of one credential) -> who goes
    for (sessions_kept, of_one, gone) in [(2, 9, "old"), (9, 1, "mine")] {
        let limits = SessionsLimits {
            sessions_kept,
            sessions_kept_per_credential: of_one,
            ..SessionsLimits::default()
        };
        let mut sessions = Sessions::new(limits);
        let mut left = None;
        // Whoever has the most loses one of its own.
        for (at, (owner, name)) in
            [("other", "older"), ("gw", "old"), ("gw", "mine"), ("gw", "mine too")].into_iter().enumerate()
        {
            if sessions_kept == 9 && name == "old" || sessions_kept == 2 && name == "mine too" {
                continue;
            }
            let key = SessionKey { owner: owner.into(), client_id: name.into() };
            let own = sessions.attach(newcomer(key.clone(), false), at as i64).expect("it may");
            let mut seat = lock(&own.seat);
            (seat.session.expiry_s, seat.session.will) = (60, Some(Box::new(will(30))));
            drop(seat);
            left = sessions.detach(&key, own.generation, LOST, at as i64);
        }
        let (key, will) = left.and_then(|left| left.displaced).expect("one too many");
        assert_eq!(
            (&*key.owner, &*key.client_id, will.is_some()),
            ("gw", gone, true),
            "its will is due with its end"
        );
    }
}

#[test]
fn a_credential_of_the_same_name_that_may_less_finds_nothing_of_what_the_old_one_was_granted() {
    let mut sessions = sessions();
    let own = arrive(&mut sessions, "a", (false, 60, None), 0);
    sessions.subscribe(&key("a"), Asked::parse("#").unwrap(), granted());
    sessions.detach(&key("a"), own.generation, LOST, 0);
    let filter = crate::topics::Filter::parse("a/#").unwrap();
    let narrow = Account { rights: Rights::new(vec![filter], Vec::new()), ..(*account("gw")).clone() };
    let next = Newcomer { account: Arc::new(narrow), ..newcomer(key("a"), false) };
    let attached = sessions.attach(next, 1).expect("it may come");
    assert!(!attached.session_present);
    assert_eq!(sessions.subscriptions(), (0, 0));
}

#[test]
fn another_credential_of_the_same_name_finds_nothing_of_the_old_one_which_is_revoked_with_its_rows() {
    let mut sessions = sessions();
    let own = arrive(&mut sessions, "a", (false, 60, Some(30)), 0);
    sessions.detach(&key("a"), own.generation, LOST, 0);
    let next = Account { credential: Some(2), ..(*account("gw")).clone() };
    let next = Newcomer { account: Arc::new(next), ..newcomer(key("a"), false) };
    let attached = sessions.attach(next, 1).expect("it may come");
    assert!(!attached.session_present);
    assert!(attached.will.is_some(), "n088: the session's end is the end of its will's delay");
}

#[test]
fn who_takes_its_own_session_over_again_and_again_is_refused() {
    let mut sessions = Sessions::new(SessionsLimits { takeovers: 2, ..SessionsLimits::default() });
    let come = |sessions: &mut Sessions, at| sessions.attach(newcomer(key("a"), false), at).is_ok();
    assert_eq!([0, 1, 2, 3].map(|at| come(&mut sessions, at)), [true, true, true, false]);
    assert!(come(&mut sessions, MINUTE_MS + 1), "another minute");
}

#[test]
fn filters_are_bounded_for_a_credential_and_a_long_one_counts_for_more() {
    let limits = SessionsLimits { subscriptions_per_credential: 3, ..SessionsLimits::default() };
    let mut sessions = Sessions::new(limits);
    let long = "x".repeat(WEIGHT_BYTES);
    for (name, text, room) in
        [("a", "1", Ok(())), ("b", &*long, Ok(())), ("b", "2", Err(Full::OfOwner)), ("b", &*long, Ok(()))]
    {
        arrive(&mut sessions, name, (false, 60, None), 0);
        assert_eq!(sessions.has_room(&key(name), text), room, "{name} {text}");
        if room.is_ok() {
            let granted =
                Granted { qos: Qos::AtMostOnce, no_local: false, retain_as_published: false, id: None };
            sessions.subscribe(&key(name), Asked::parse(text).expect(text), granted);
        }
    }
    sessions.unsubscribe(&key("b"), &long);
    assert_eq!(sessions.has_room(&key("b"), "2"), Ok(()), "there is room again");
    sessions.remove(&key("a"));
    sessions.remove(&key("b"));
    assert!(sessions.weights.is_empty() && sessions.weight == 0);
}

#[test]
fn filters_are_bounded_for_a_session_and_for_all() {
    let limits = SessionsLimits { subscriptions: 2, subscriptions_total: 3, ..SessionsLimits::default() };
    let mut sessions = Sessions::new(limits);
    for (name, text, room) in [
        ("a", "1", Ok(())),
        ("a", "2", Ok(())),
        ("a", "3", Err(Full::OfSession)),
        ("a", "2", Ok(())),
        ("b", "1", Ok(())),
        ("b", "2", Err(Full::Total)),
    ] {
        if sessions.seat(&key(name)).is_none() {
            arrive(&mut sessions, name, (false, 0, None), 0);
        }
        assert_eq!(sessions.has_room(&key(name), text), room, "{name} {text}");
        if room.is_ok() {
            sessions.subscribe(&key(name), Asked::parse(text).unwrap(), granted());
        }
    }
}

fn granted() -> Granted {
    Granted { qos: Qos::AtLeastOnce, no_local: false, retain_as_published: false, id: None }
}

#[derive(Debug, Clone)]
enum Step {
    Arrive {
        name: usize,
        clean: bool,
        expiry_s: u32,
        will: Option<u32>,
    },
    Leave {
        name: usize,
        is_orderly: bool,
    },
    /// An old connection says that it has ended.
    LeaveLate {
        name: usize,
    },
    Subscribe {
        name: usize,
        filter: usize,
    },
    Unsubscribe {
        name: usize,
        filter: usize,
    },
    Wait(i64),
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const FILTERS: [&str; 3] = ["a/+", "#", "$share/g/a"];

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    let pair = (name.clone(), 0..FILTERS.len());
    prop_oneof![
        3 => (name.clone(), any::<bool>(), prop::sample::select(&[0_u32, 5, 60][..]), prop::option::of(prop::sample::select(&[0_u32, 3, 90][..])))
            .prop_map(|(name, clean, expiry_s, will)| Step::Arrive { name, clean, expiry_s, will }),
        2 => (name.clone(), any::<bool>()).prop_map(|(name, is_orderly)| Step::Leave { name, is_orderly }),
        1 => name.prop_map(|name| Step::LeaveLate { name }),
        2 => pair.clone().prop_map(|(name, filter)| Step::Subscribe { name, filter }),
        1 => pair.prop_map(|(name, filter)| Step::Unsubscribe { name, filter }),
        2 => (0_i64..20_000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whoever comes and goes: each will is published once or dropped once, what is due is what is away, the tree holds the
    /// subscriptions of the sessions that there are, and in the end nothing is left.
    #[test]
    fn the_table_adds_up(steps in prop::collection::vec(step(), 0..80)) {
        let mut sessions = sessions();
        let mut now_ms = 0;
        let mut here: BTreeMap<usize, Generation> = BTreeMap::new();
        let mut gone: Vec<(usize, Generation)> = Vec::new();
        let (mut given, mut published) = (0, 0);
        for step in steps {
            match step {
                Step::Arrive { name, clean, expiry_s, will } => {
                    let attached = arrive(&mut sessions, NAMES[name], (clean, expiry_s, will), now_ms);
                    prop_assert_eq!(attached.taken_over.is_some(), here.contains_key(&name));
                    given += usize::from(will.is_some());
                    published += usize::from(attached.will.is_some());
                    gone.extend(here.insert(name, attached.generation).map(|old| (name, old)));
                }
                Step::Leave { name, is_orderly } => {
                    let Some(generation) = here.remove(&name) else { continue };
                    let end = if is_orderly { End::Orderly } else { LOST };
                    let will = sessions.detach(&key(NAMES[name]), generation, end, now_ms).and_then(|left| left.will);
                    prop_assert!(!(is_orderly && will.is_some()));
                    published += usize::from(will.is_some());
                    gone.push((name, generation));
                }
                Step::LeaveLate { name } => {
                    let Some((_, old)) = gone.iter().find(|(own, _)| *own == name) else { continue };
                    prop_assert_eq!(sessions.detach(&key(NAMES[name]), *old, LOST, now_ms), None);
                }
                Step::Subscribe { name, filter } => {
                    sessions.subscribe(&key(NAMES[name]), Asked::parse(FILTERS[filter]).unwrap(), granted());
                }
                Step::Unsubscribe { name, filter } => drop(sessions.unsubscribe(&key(NAMES[name]), FILTERS[filter])),
                Step::Wait(ms) => {
                    now_ms += ms;
                    published += wills(&sessions.pass(now_ms, usize::MAX));
                }
            }
            let away = sessions.slots.values().filter(|slot| matches!(slot.presence, Presence::Away { .. })).count();
            prop_assert_eq!((sessions.away.due(), sessions.away.len()), (away, away));
            prop_assert_eq!(sessions.len() - away, here.len());
        }
        for (name, generation) in here {
            published += usize::from(sessions.detach(&key(NAMES[name]), generation, LOST, now_ms).is_some_and(|left| left.will.is_some()));
        }
        published += wills(&sessions.pass(i64::MAX, usize::MAX));
        prop_assert!(published <= given);
        prop_assert!(sessions.is_empty() && sessions.subscriptions.is_empty() && sessions.next_due_ms().is_none());
    }
}
