//! Those who share a filter: one of them gets each message (MQTT 5.0, 4.8.2).

use std::collections::BTreeMap;

/// The members of one group.
#[derive(Debug, Clone)]
pub struct Group<K, V> {
    members: BTreeMap<K, V>,
    /// Who had the last message.
    last: Option<K>,
}

/// How a member stands when a message comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Connected, with so many messages that wait for it.
    Here { queued: usize },
    /// Its session is kept until then (milliseconds, UTC).
    Away { until_ms: i64 },
    /// It cannot take this one: its rights, or no local.
    Barred,
}

impl<K, V> Default for Group<K, V> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), last: None }
    }
}

impl<K: Ord + Clone, V> Group<K, V> {
    pub fn join(&mut self, key: K, value: V) -> Option<V> {
        self.members.insert(key, value)
    }

    pub fn leave(&mut self, key: &K) -> Option<V> {
        self.members.remove(key)
    }

    pub fn get(&self, key: &K) -> Option<(&K, &V)> {
        self.members.get_key_value(key)
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Who gets the next message: of those who are here the one with the fewest waiting, in turn where several have as few;
    /// when all are away, the one whose session is kept longest.
    pub fn next(&mut self, presence: impl Fn(&K) -> Presence) -> Option<(&K, &V)> {
        let rank = |key: &K| match presence(key) {
            Presence::Here { queued } => Some((0, queued as i64)),
            Presence::Away { until_ms } => Some((1, -until_ms)),
            Presence::Barred => None,
        };
        // After the last one's turn come those behind it, then those before it.
        let had_it = |key: &K| self.last.as_ref().is_some_and(|last| key <= last);
        let ranked = self.members.keys().filter_map(|key| Some(((rank(key)?, had_it(key)), key)));
        let chosen = ranked.min_by_key(|(rank, _)| *rank)?.1.clone();
        self.last = Some(chosen.clone());
        self.members.get_key_value(&chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(members: &[u8]) -> Group<u8, ()> {
        let mut group = Group::default();
        members.iter().for_each(|key| {
            group.join(*key, ());
        });
        group
    }

    fn turns(group: &mut Group<u8, ()>, number: usize, presence: impl Fn(&u8) -> Presence) -> Vec<u8> {
        (0..number).filter_map(|_| group.next(&presence).map(|(key, ())| *key)).collect()
    }

    #[test]
    fn those_who_are_here_get_messages_in_turn() {
        let mut group = group(&[1, 2, 3]);
        assert_eq!(turns(&mut group, 5, |_| Presence::Here { queued: 0 }), [1, 2, 3, 1, 2]);
        group.leave(&3);
        assert_eq!(
            turns(&mut group, 2, |_| Presence::Here { queued: 0 }),
            [1, 2],
            "who had the last one may be gone"
        );
    }

    #[test]
    fn who_has_less_to_do_comes_first_and_who_is_away_last() {
        let presence = |key: &u8| match key {
            1 => Presence::Here { queued: 9 },
            2 => Presence::Here { queued: 2 },
            _ => Presence::Away { until_ms: 100 },
        };
        assert_eq!(turns(&mut group(&[1, 2, 3]), 3, presence), [2, 2, 2]);
    }

    #[test]
    fn when_all_are_away_it_is_kept_for_the_one_that_is_kept_longest() {
        let presence = |key: &u8| Presence::Away { until_ms: i64::from(*key) };
        assert_eq!(turns(&mut group(&[1, 3, 2]), 2, presence), [3, 3]);
    }

    #[test]
    fn who_may_not_hear_it_is_passed_over() {
        let presence = |key: &u8| if *key == 1 { Presence::Barred } else { Presence::Here { queued: 5 } };
        assert_eq!(turns(&mut group(&[1, 2]), 2, presence), [2, 2]);
        assert_eq!(turns(&mut group(&[1]), 1, |_| Presence::Barred), [0_u8; 0]);
        assert_eq!(turns(&mut group(&[]), 1, |_| Presence::Here { queued: 0 }), [0_u8; 0]);
    }
}
