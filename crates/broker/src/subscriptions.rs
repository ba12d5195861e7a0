//! Who gets a message: plain subscriptions and those that are shared. Pure.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::packet::Qos;
use crate::topics::{Asked, Group, GroupName, Presence, Topic, Tree};

/// A subscription as it was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    pub qos: Qos,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub id: Option<NonZeroU32>,
}

/// One copy of a message for a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient<K> {
    pub key: K,
    /// The highest of its subscriptions that match (3.3.4-2).
    pub qos: Qos,
    /// The retain flag goes on as it came.
    pub retain_as_published: bool,
    /// Of all that match (3.3.4-3).
    pub ids: Vec<NonZeroU32>,
    /// The group whose turn it had.
    pub shared: Option<Asked>,
}

/// All subscriptions, by filter.
#[derive(Debug)]
pub struct Subscriptions<K> {
    plain: Tree<K, Granted>,
    /// With what they asked for.
    shared: Tree<GroupName, (Asked, Group<K, Granted>)>,
}

impl<K> Default for Subscriptions<K> {
    fn default() -> Self {
        Self { plain: Tree::default(), shared: Tree::default() }
    }
}

impl<K: Ord + Clone> Subscriptions<K> {
    /// Puts a subscription in, in the place of the same one before. True: there was none.
    pub fn subscribe(&mut self, asked: &Asked, key: K, granted: Granted) -> bool {
        match asked {
            Asked::Plain(filter) => self.plain.insert(filter, key, granted).is_none(),
            Asked::Shared(name, filter) => {
                if let Some((_, group)) = self.shared.get_mut(filter, name) {
                    return group.join(key, granted).is_none();
                }
                let mut group = Group::default();
                group.join(key, granted);
                self.shared.insert(filter, name.clone(), (asked.clone(), group));
                true
            }
        }
    }

    /// True: there was one.
    pub fn unsubscribe(&mut self, asked: &Asked, key: &K) -> bool {
        match asked {
            Asked::Plain(filter) => self.plain.remove(filter, key).is_some(),
            Asked::Shared(name, filter) => {
                let Some((_, group)) = self.shared.get_mut(filter, name) else { return false };
                let was_there = group.leave(key).is_some();
                if group.is_empty() {
                    self.shared.remove(filter, name);
                }
                was_there
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.shared.is_empty()
    }

    /// Who gets a message: a copy for each plain subscriber that may hear it, and one for one member of each group. `chosen`:
    /// whose turn it was where that is decided; it stands while that one is in the group.
    pub fn recipients(
        &mut self,
        topic: &Topic,
        publisher: Option<&K>,
        (may_hear, presence): (impl Fn(&K) -> bool, impl Fn(&K) -> Presence),
        chosen: &[(Asked, K)],
    ) -> Vec<Recipient<K>> {
        let mut copies: BTreeMap<&K, Recipient<K>> = BTreeMap::new();
        self.plain.matching(topic, |key, granted| {
            let is_own = granted.no_local && publisher == Some(key);
            if is_own || !may_hear(key) {
                return;
            }
            let copy = copies.entry(key).or_insert_with(|| Recipient::new(key.clone(), None));
            copy.add(*granted);
        });
        let mut recipients: Vec<Recipient<K>> = copies.into_values().collect();
        self.shared.matching_mut(topic, |_, (asked, group)| {
            let decided = chosen.iter().find(|(own, _)| own == asked).map(|(_, key)| key);
            let decided =
                decided.and_then(|key| group.get(key)).map(|(key, granted)| (key.clone(), *granted));
            let turn =
                decided.or_else(|| group.next(&presence).map(|(key, granted)| (key.clone(), *granted)));
            if let Some((key, granted)) = turn {
                let mut copy = Recipient::new(key, Some(asked.clone()));
                copy.add(granted);
                recipients.push(copy);
            }
        });
        recipients
    }
}

impl<K: Ord + Clone> Subscriptions<K> {
    /// Whose turn it is in a group.
    pub fn turn(&mut self, asked: &Asked, presence: impl Fn(&K) -> Presence) -> Option<Recipient<K>> {
        let Asked::Shared(name, filter) = asked else { return None };
        let (_, group) = self.shared.get_mut(filter, name)?;
        let (key, granted) = group.next(presence)?;
        let mut copy = Recipient::new(key.clone(), Some(asked.clone()));
        copy.add(*granted);
        Some(copy)
    }
}

impl<K> Recipient<K> {
    const fn new(key: K, shared: Option<Asked>) -> Self {
        Self { key, qos: Qos::AtMostOnce, retain_as_published: false, ids: Vec::new(), shared }
    }

    fn add(&mut self, granted: Granted) {
        self.qos = self.qos.max(granted.qos);
        self.retain_as_published |= granted.retain_as_published;
        self.ids.extend(granted.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(qos: Qos, id: u32) -> Granted {
        Granted { qos, no_local: false, retain_as_published: false, id: NonZeroU32::new(id) }
    }

    fn asked(text: &str) -> Asked {
        Asked::parse(text).expect(text)
    }

    /// Who gets a message, with its QoS and the ids that it tells.
    fn told(subscriptions: &mut Subscriptions<u8>, topic: &str, publisher: u8) -> Vec<(u8, Qos, Vec<u32>)> {
        let topic = Topic::parse(topic).expect(topic);
        let here = |_: &u8| Presence::Here { queued: 0 };
        let recipients = subscriptions.recipients(&topic, Some(&publisher), (|_: &u8| true, here), &[]);
        let words = |own: Recipient<u8>| (own.key, own.qos, own.ids.into_iter().map(u32::from).collect());
        recipients.into_iter().map(words).collect()
    }

    #[test]
    fn n156_n157_filters_that_overlap_make_one_copy_with_the_highest_qos_and_all_ids() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.subscribe(&asked("a/#"), 1, granted(Qos::AtMostOnce, 3));
        subscriptions.subscribe(&asked("a/+"), 1, granted(Qos::ExactlyOnce, 0));
        subscriptions.subscribe(&asked("a/b"), 1, granted(Qos::AtLeastOnce, 4));
        let mut copies = told(&mut subscriptions, "a/b", 9);
        copies[0].2.sort_unstable();
        assert_eq!(copies, [(1, Qos::ExactlyOnce, vec![3, 4])]);
    }

    #[test]
    fn n147_n161_n163_the_same_filter_is_replaced_and_another_one_is_not_meant() {
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.subscribe(&asked("a/+"), 1, granted(Qos::AtMostOnce, 0)));
        assert!(!subscriptions.subscribe(&asked("a/+"), 1, granted(Qos::AtLeastOnce, 0)));
        assert!(
            !subscriptions.unsubscribe(&asked("a/b"), &1) && !subscriptions.unsubscribe(&asked("a/+"), &2)
        );
        assert_eq!(told(&mut subscriptions, "a/b", 9), [(1, Qos::AtLeastOnce, vec![])]);
        assert!(subscriptions.unsubscribe(&asked("a/+"), &1) && subscriptions.is_empty());
    }

    #[test]
    fn n158_who_wants_no_own_messages_gets_none() {
        let mut subscriptions = Subscriptions::default();
        let own = Granted { no_local: true, ..granted(Qos::AtLeastOnce, 0) };
        subscriptions.subscribe(&asked("a"), 1, own);
        assert_eq!(told(&mut subscriptions, "a", 1), []);
        assert_eq!(told(&mut subscriptions, "a", 2), [(1, Qos::AtLeastOnce, vec![])]);
    }

    #[test]
    fn n176_one_of_a_group_gets_it_and_groups_and_plain_ones_are_apart() {
        let mut subscriptions = Subscriptions::default();
        for (text, key) in
            [("$share/g/a", 1), ("$share/g/a", 2), ("$share/h/a", 1), ("a", 1), ("$share/g/+", 3)]
        {
            assert!(subscriptions.subscribe(&asked(text), key, granted(Qos::AtLeastOnce, 0)), "{text}");
        }
        let mut rounds: Vec<Vec<u8>> = Vec::new();
        for _ in 0..2 {
            let mut keys: Vec<u8> = told(&mut subscriptions, "a", 9).into_iter().map(|copy| copy.0).collect();
            keys.sort_unstable();
            rounds.push(keys);
        }
        assert_eq!(
            rounds,
            [[1, 1, 1, 3], [1, 1, 2, 3]],
            "plain 1, group h 1, group g in turn, the other g 3"
        );
        for (text, key) in
            [("$share/g/a", 1), ("$share/g/a", 2), ("$share/h/a", 1), ("a", 1), ("$share/g/+", 3)]
        {
            assert!(subscriptions.unsubscribe(&asked(text), &key), "{text}");
        }
        assert!(subscriptions.is_empty());
    }

    #[test]
    fn who_may_not_hear_it_gets_no_copy_of_either_kind() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.subscribe(&asked("#"), 1, granted(Qos::AtLeastOnce, 0));
        subscriptions.subscribe(&asked("$share/g/#"), 1, granted(Qos::AtLeastOnce, 0));
        let topic = Topic::parse("a").unwrap();
        assert_eq!(
            subscriptions.recipients(&topic, None, (|_: &u8| false, |_: &u8| Presence::Barred), &[]),
            []
        );
    }
}
