//! What holds whatever comes.

use proptest::prelude::*;

use super::*;

fn letters() -> impl Strategy<Value = Vec<Letter>> {
    let cause = prop_oneof![Just(Cause::Content), Just(Cause::Undecided), Just(Cause::Passing)];
    let poison = prop_oneof![9 => Just(None), 1 => cause.prop_map(Some)];
    let letter = (0_u8..4, 0_i64..600, poison);
    prop::collection::vec(
        letter.prop_map(|(rank, comes_at_s, poison)| Letter { rank, comes_at_s, poison }),
        1..60,
    )
    .prop_map(|mut letters| {
        letters.sort_by_key(|letter| letter.comes_at_s);
        letters
    })
}

fn outages() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((0_i64..600, 1_i64..200).prop_map(|(from, long)| (from, from + long)), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn healthy_messages_always_go_out_soon_after_the_receiver_is_well_and_are_never_given_up(
        letters in letters(), outages_s in outages(),
    ) {
        let well_from = outages_s.iter().map(|(_, until)| *until).max().unwrap_or(0);
        let world = World { outages_s, ..World::of(letters.clone()) };
        let history = world.run(20_000);
        for (index, letter) in letters.iter().enumerate().filter(|(_, letter)| letter.poison.is_none()) {
            let key = index as Key + 1;
            prop_assert!(!history.given_up.contains(&key));
            let sent_at = history.sent_at_s.get(&key);
            // The longest rest, and what poisoned ones cost.
            let latest = letter.comes_at_s.max(well_from) + 600 + 60;
            prop_assert!(sent_at.is_some_and(|at| *at <= latest), "{key}: {sent_at:?}, {latest}");
        }
    }

    #[test]
    fn without_an_outage_and_poison_the_order_is_that_of_urgency(letters in letters()) {
        let letters: Vec<Letter> = letters.into_iter().map(|letter| Letter { poison: None, ..letter }).collect();
        let history = World::of(letters.clone()).run(20_000);
        let mut waiting: Vec<Key> = (1..=letters.len() as Key).collect();
        for (at_s, key, _) in &history.tries {
            let letter = |key: Key| letters[key as usize - 1];
            let is_there = |other: &&Key| letter(**other).comes_at_s * 1_000 <= at_s * 1_000 - 1_000;
            let best = waiting.iter().filter(is_there).map(|key| (letter(*key).rank, *key)).min();
            prop_assert!(best.is_none_or(|best| (letter(*key).rank, *key) <= best));
            waiting.retain(|other| other != key);
        }
    }

    #[test]
    fn a_receiver_that_is_down_is_not_pestered(count in 1_usize..300, ranks in 1_usize..4) {
        let letters: Vec<Letter> = (0..count).map(|n| healthy((n % ranks) as u8, 0)).collect();
        let history = World::of(letters).down(0, 100_000).run(7_200);
        prop_assert!(history.tries.len() <= 2 + 14 + 16 * 15, "{} tries in two hours", history.tries.len());
        prop_assert!(history.given_up.is_empty());
    }
}

proptest! {
    // Long lives: few of them.
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn however_many_are_poisoned_all_others_pass_and_the_poisoned_ones_are_given_up(
        poison in prop::collection::vec((0_u8..4, prop_oneof![Just(Cause::Content), Just(Cause::Undecided)]), 0..40),
    ) {
        let count = poison.len() as Key;
        let mut letters: Vec<Letter> = poison.iter().map(|(rank, cause)| poisoned(*rank, 0, *cause)).collect();
        letters.extend(steady(500, 3));
        let history = World::of(letters).run(20_000);
        prop_assert_eq!(history.sent_at_s.len(), 500);
        let late = |n: i64| history.sent_at_s[&(count + 1 + n)] - 3 * n;
        let worst = (0..500).map(late).max().unwrap_or(0);
        prop_assert!(worst <= 120, "{} s late", worst);
        prop_assert_eq!(history.given_up.len() as Key, count);
    }
}
