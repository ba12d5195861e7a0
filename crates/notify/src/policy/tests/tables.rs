//! One case each.

use super::*;

#[test]
fn the_most_urgent_goes_first_and_the_older_of_two_equal_ones() {
    let history = World::of(vec![healthy(2, 0), healthy(0, 0), healthy(1, 0), healthy(0, 0)]).run(60);
    let order: Vec<Key> = history.tries.iter().map(|(_, key, _)| *key).collect();
    assert_eq!(order, [2, 4, 3, 1]);
}

#[test]
fn a_critical_one_that_comes_in_the_middle_of_a_slow_batch_is_next() {
    let mut letters = vec![healthy(2, 0); 150];
    letters.push(healthy(0, 3));
    let history = World::of(letters).run(60);
    let place = history.tries.iter().position(|(_, key, _)| *key == 151).expect("it went out");
    assert_eq!(place, 15, "as many as go out in three seconds, and then it");
}

#[test]
fn one_poisoned_message_holds_up_nobody_and_is_given_up_after_three_failures_with_successes_between() {
    let mut letters = vec![poisoned(0, 0, Cause::Undecided)];
    letters.extend(steady(40, 1));
    let history = World::of(letters).run(120);
    assert_eq!(history.given_up, BTreeSet::from([1]));
    assert_eq!(tries_of(&history, 1), 3);
    let late = (2..=41).filter(|key| history.sent_at_s[key] > (key - 2) + 1).count();
    assert_eq!(late, 0, "{:?}", history.sent_at_s);
}

#[test]
fn a_text_that_the_receiver_says_it_does_not_take_is_given_up_after_two() {
    let mut letters = vec![poisoned(0, 0, Cause::Content)];
    letters.extend(steady(10, 1));
    let history = World::of(letters).run(60);
    assert_eq!((tries_of(&history, 1), history.given_up.len()), (2, 1));
}

#[test]
fn what_the_receiver_calls_passing_is_never_held_against_a_message() {
    let mut letters = vec![poisoned(0, 0, Cause::Passing)];
    letters.extend(steady(100, 30));
    let history = World::of(letters).run(3_000);
    assert!(history.given_up.is_empty());
    assert_eq!(history.sent_at_s.len(), 100);
    assert!(tries_of(&history, 1) < 15, "its own pauses double: {}", tries_of(&history, 1));
}

#[test]
fn a_lone_message_is_tried_with_longer_and_longer_pauses_and_never_given_up() {
    for cause in [Cause::Content, Cause::Undecided, Cause::Passing] {
        let history = World::of(vec![poisoned(0, 0, cause)]).run(4_000);
        let at: Vec<i64> = history.tries.iter().map(|(at, _, _)| *at).collect();
        let pauses: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // In whole seconds; a try takes a part of one.
        let doubled = [5, 10, 20, 40, 80, 160, 320, 600, 600];
        let is_close =
            pauses.iter().zip(doubled).all(|(pause, wanted)| (wanted..=wanted + 1).contains(pause));
        assert!(is_close && pauses.len() >= 9, "{cause:?}: {pauses:?}");
        assert!(history.given_up.is_empty());
    }
}

#[test]
fn an_outage_kills_nothing_and_when_it_ends_all_go_out_at_once_the_worst_first() {
    for outage in [Cause::Content, Cause::Undecided, Cause::Passing] {
        let letters: Vec<Letter> = (0..30).map(|n| healthy(n % 4, 0)).collect();
        let world = World { outage, ..World::of(letters).down(0, 60) };
        let history = world.run(3_600);
        assert!(history.given_up.is_empty(), "{outage:?}");
        assert_eq!(history.sent_at_s.len(), 30);
        let (first, last) = (history.sent_at_s.values().min(), history.sent_at_s.values().max());
        assert!(last <= first.map(|first| first + 7).as_ref(), "{:?}", history.sent_at_s);
        let in_vain = history.tries.iter().filter(|(_, _, is_sent)| !is_sent).count();
        assert!(in_vain <= 32, "a receiver that is down is left alone: {in_vain} tries");
        let sent = history.tries.iter().filter(|(_, _, is_sent)| *is_sent).map(|(_, key, _)| *key);
        let sent: Vec<u8> = sent.skip(1).map(|key| ((key - 1) % 4) as u8).collect();
        assert!(sent.is_sorted(), "after the first one the worst first: {sent:?}");
    }
}

#[test]
fn while_the_channel_rests_what_comes_anew_is_tried_and_not_more_than_one_in_five_seconds() {
    let mut letters = vec![healthy(2, 0); 2];
    letters.extend((0..20).map(|n| healthy(2, 61 + n / 10)));
    let history = World::of(letters).down(0, 1_000).run(95);
    let probes: Vec<i64> =
        history.tries.iter().filter(|(at, key, _)| *key > 2 && *at < 75).map(|(at, ..)| *at).collect();
    assert!(probes.len() >= 2 && probes[0] == 61, "{probes:?}");
    assert!(probes.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{probes:?}");
}

#[test]
fn a_new_message_that_passes_ends_the_rest_for_all() {
    let mut letters = vec![healthy(2, 0); 5];
    letters.push(healthy(0, 200));
    let history = World::of(letters).down(0, 190).run(230);
    assert_eq!(history.sent_at_s.len(), 6);
    assert!(history.sent_at_s.values().all(|at| *at <= 202), "{:?}", history.sent_at_s);
}

#[test]
fn a_receiver_that_asks_to_be_left_alone_is_left_alone() {
    let world = World { retry_after_s: Some(120), ..World::of(vec![healthy(0, 0); 4]).down(0, 60) };
    let at: Vec<i64> = world.run(600).tries.iter().map(|(at, ..)| *at).collect();
    assert!(at[1] <= 1 && at[2] >= 120, "{at:?}");
    let world = World { retry_after_s: Some(86_400), ..World::of(vec![healthy(0, 0); 4]).down(0, 60) };
    let history = world.run(700);
    assert_eq!(history.sent_at_s.len(), 4, "but not for a day: {:?}", history.tries);
}

#[test]
fn ten_poisoned_critical_messages_do_not_keep_the_healthy_ones_back() {
    let mut letters = vec![poisoned(0, 0, Cause::Undecided); 10];
    letters.extend((0..200).map(|n| healthy(2, n)));
    let history = World::of(letters).run(2_000);
    assert_eq!(history.sent_at_s.len(), 200);
    let worst = (11..=210).map(|key| history.sent_at_s[&key] - (key - 11)).max().unwrap_or(0);
    assert!(worst <= 45, "{worst} s late");
    assert_eq!(history.given_up, (1..=10).collect(), "{:?}", history.tries);
}

#[test]
fn failures_by_chance_are_held_against_nobody() {
    // Every second answer is an error, whatever the message is.
    let mut policy = Policy::default();
    let mut given_up = 0;
    let mut waiting: Vec<Key> = (1..=400).collect();
    let mut now = TimestampMs(0);
    for n in 0_u64.. {
        let mut chooser = policy.chooser(now);
        let _ = waiting.iter().try_for_each(|key| {
            chooser.consider(&Turn { key: *key, due_at: TimestampMs(0), was_tried: false })
        });
        match chooser.choice() {
            Choice::Send(key) if n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 0 => {
                policy.succeeded(key);
                waiting.retain(|other| *other != key);
            }
            Choice::Send(key) => {
                if policy.failed(key, &Failure::undecided(""), now) == Verdict::GiveUp {
                    given_up += 1;
                    waiting.retain(|other| *other != key);
                }
            }
            Choice::Wait(Some(at)) => now = at,
            Choice::Wait(None) => break,
        }
        now = now.plus_ms(TRY_MS);
    }
    assert!(given_up <= 2, "{given_up} of 400");
}

#[test]
fn a_part_that_is_tried_again_holds_nothing_up_and_is_not_given_up() {
    let mut policy = Policy::default();
    policy.succeeded(1);
    assert_eq!(policy.put_off(1, TimestampMs(0)), TimestampMs(5_000));
    for key in [2, 3] {
        policy.succeeded(key);
        policy.put_off(key, TimestampMs(0));
    }
    let now = TimestampMs(6_000);
    for key in [1, 2, 3] {
        assert_eq!(policy.put_off(key, now), TimestampMs(16_000), "no trouble of the channel");
    }
    let mut chooser = policy.chooser(now);
    let turn = |key| Turn { key, due_at: TimestampMs(0), was_tried: key < 4 };
    let _ = (1..=4).try_for_each(|key| chooser.consider(&turn(key)));
    assert_eq!(chooser.choice(), Choice::Send(4));
}

#[test]
fn what_was_put_off_before_a_restart_waits_for_its_time_or_for_the_first_success() {
    let mut policy = Policy::default();
    let old = Turn { key: 1, due_at: TimestampMs(600_000), was_tried: true };
    let mut chooser = policy.chooser(TimestampMs(0));
    let _ = chooser.consider(&old);
    assert_eq!(chooser.choice(), Choice::Wait(Some(TimestampMs(600_000))));
    policy.succeeded(2);
    let mut chooser = policy.chooser(TimestampMs(1_000));
    let _ = chooser.consider(&old);
    assert_eq!(chooser.choice(), Choice::Send(1));
}
