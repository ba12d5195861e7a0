//! Who asked for what, found by a topic in a time that does not grow with the number of other filters.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};

use super::filter::Filter;
use super::name::Topic;

/// Entries by filter and key. What matches a topic is visited in an order that depends on the entries alone.
#[derive(Debug)]
pub struct Tree<K, V> {
    root: Node<K, V>,
    len: usize,
}

#[derive(Debug)]
struct Node<K, V> {
    children: HashMap<Box<str>, Node<K, V>>,
    /// Below `+`.
    any: Option<Box<Node<K, V>>>,
    /// Filters that end here.
    here: BTreeMap<K, V>,
    /// Filters that end here with `#`.
    all: BTreeMap<K, V>,
}

impl<K, V> Default for Node<K, V> {
    fn default() -> Self {
        Self { children: HashMap::new(), any: None, here: BTreeMap::new(), all: BTreeMap::new() }
    }
}

impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Self { root: Node::default(), len: 0 }
    }
}

impl<K: Ord, V> Tree<K, V> {
    /// Entries in it.
    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an entry in; gives the one that it replaces.
    pub fn insert(&mut self, filter: &Filter, key: K, value: V) -> Option<V> {
        let mut node = &mut self.root;
        for level in filter.levels() {
            node = match level {
                "#" => {
                    let before = node.all.insert(key, value);
                    self.len += usize::from(before.is_none());
                    return before;
                }
                "+" => node.any.get_or_insert_default(),
                level if node.children.contains_key(level) => {
                    node.children.get_mut(level).expect("it was there a moment ago")
                }
                level => node.children.entry(level.into()).or_default(),
            };
        }
        let before = node.here.insert(key, value);
        self.len += usize::from(before.is_none());
        before
    }

    /// Takes an entry out, and what was there for it alone.
    pub fn remove(&mut self, filter: &Filter, key: &K) -> Option<V> {
        let removed = self.root.remove(&mut filter.levels(), key);
        self.len -= usize::from(removed.is_some());
        removed
    }

    pub fn get(&self, filter: &Filter, key: &K) -> Option<&V> {
        self.entries(filter)?.get(key)
    }

    pub fn get_mut(&mut self, filter: &Filter, key: &K) -> Option<&mut V> {
        let mut node = &mut self.root;
        for level in filter.levels() {
            node = match level {
                "#" => return node.all.get_mut(key),
                "+" => node.any.as_deref_mut()?,
                level => node.children.get_mut(level)?,
            };
        }
        node.here.get_mut(key)
    }

    fn entries(&self, filter: &Filter) -> Option<&BTreeMap<K, V>> {
        let mut node = &self.root;
        for level in filter.levels() {
            node = match level {
                "#" => return Some(&node.all),
                "+" => node.any.as_deref()?,
                level => node.children.get(level)?,
            };
        }
        Some(&node.here)
    }

    /// Whether any filter matches.
    pub fn matches(&self, topic: &Topic) -> bool {
        let mut found = false;
        self.matching(topic, |_, _| found = true);
        found
    }

    /// Shows all entries whose filters match. A key with several filters is shown for each.
    pub fn matching<'t>(&'t self, topic: &Topic, mut visit: impl FnMut(&'t K, &'t V)) {
        let levels: Vec<&str> = topic.levels().collect();
        let Some((first, rest)) = levels.split_first() else { return };
        if !topic.is_reserved() {
            return self.root.matching(&levels, &mut visit);
        }
        // Wildcards in the first place say nothing of such a topic.
        if let Some(child) = self.root.children.get(*first) {
            child.matching(rest, &mut visit);
        }
    }
}

impl<K: Ord, V> Tree<K, V> {
    /// The same, where what was found may be changed.
    pub fn matching_mut(&mut self, topic: &Topic, mut visit: impl FnMut(&K, &mut V)) {
        let levels: Vec<&str> = topic.levels().collect();
        let Some((first, rest)) = levels.split_first() else { return };
        if !topic.is_reserved() {
            return self.root.matching_mut(&levels, &mut visit);
        }
        if let Some(child) = self.root.children.get_mut(*first) {
            child.matching_mut(rest, &mut visit);
        }
    }
}

impl<K: Ord, V> Node<K, V> {
    fn matching_mut(&mut self, levels: &[&str], visit: &mut impl FnMut(&K, &mut V)) {
        self.all.iter_mut().for_each(|(key, value)| visit(key, value));
        let Some((first, rest)) = levels.split_first() else {
            return self.here.iter_mut().for_each(|(key, value)| visit(key, value));
        };
        if let Some(child) = self.children.get_mut(*first) {
            child.matching_mut(rest, visit);
        }
        if let Some(any) = &mut self.any {
            any.matching_mut(rest, visit);
        }
    }

    /// Goes as deep as a topic has levels ([`super::TOPIC_LEVELS_MAX`]).
    fn matching<'t>(&'t self, levels: &[&str], visit: &mut impl FnMut(&'t K, &'t V)) {
        self.all.iter().for_each(|(key, value)| visit(key, value));
        let Some((first, rest)) = levels.split_first() else {
            return self.here.iter().for_each(|(key, value)| visit(key, value));
        };
        if let Some(child) = self.children.get(*first) {
            child.matching(rest, visit);
        }
        if let Some(any) = &self.any {
            any.matching(rest, visit);
        }
    }

    fn remove(&mut self, levels: &mut dyn Iterator<Item = &str>, key: &K) -> Option<V> {
        match levels.next() {
            None => self.here.remove(key),
            Some("#") => self.all.remove(key),
            Some("+") => {
                let any = self.any.as_mut()?;
                let removed = any.remove(levels, key);
                if any.is_empty() {
                    self.any = None;
                }
                removed
            }
            Some(level) => {
                let child = self.children.get_mut(level)?;
                let removed = child.remove(levels, key);
                if child.is_empty() {
                    self.children.remove(level);
                }
                removed
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.any.is_none() && self.here.is_empty() && self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILTERS: [&str; 16] = [
        "#", "+", "a", "b", "a/#", "a/+", "a/b", "+/b", "+/+/#", "a/+/c", "/", "/+", "$x/#", "$x/+", "+/#",
        "a//#",
    ];
    const TOPICS: [&str; 12] =
        ["a", "b", "a/b", "a/b/c", "/", "/a", "a/", "a//b", "$x", "$x/a", "$x/a/b", "b/b"];

    #[derive(Debug, Clone)]
    enum Step {
        Insert(usize, u8, u16),
        Remove(usize, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..FILTERS.len(), 0..4_u8, any::<u16>()).prop_map(|(f, k, v)| Step::Insert(f, k, v)),
            2 => (0..FILTERS.len(), 0..4_u8).prop_map(|(f, k)| Step::Remove(f, k)),
        ]
    }

    proptest! {
        #[test]
        fn a_tree_is_a_list_that_is_looked_through(steps in prop::collection::vec(step(), 0..60)) {
            let (mut tree, mut list) = (Tree::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(place, key, value) => {
                        let filter = Filter::parse(FILTERS[place]).unwrap();
                        prop_assert_eq!(tree.insert(&filter, key, value), list.insert((filter, key), value));
                    }
                    Step::Remove(place, key) => {
                        let filter = Filter::parse(FILTERS[place]).unwrap();
                        prop_assert_eq!(tree.remove(&filter, &key), list.remove(&(filter, key)));
                    }
                }
                prop_assert_eq!(tree.len(), list.len());
            }
            for ((filter, key), value) in &list {
                prop_assert_eq!(tree.get(filter, key), Some(value));
                prop_assert_eq!(tree.get_mut(filter, key).copied(), Some(*value));
            }
            for topic in TOPICS {
                let topic = Topic::parse(topic).unwrap();
                let mut found = Vec::new();
                tree.matching(&topic, |key, value| found.push((*key, *value)));
                let mut again = Vec::new();
                tree.matching_mut(&topic, |key, value| again.push((*key, *value)));
                prop_assert_eq!(&again, &found);
                let expected = list.iter().filter(|((filter, _), _)| filter.matches(&topic));
                let mut expected: Vec<(u8, u16)> = expected.map(|((_, key), value)| (*key, *value)).collect();
                found.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(found, expected, "{}", topic);
            }
            for (filter, key) in list.keys() {
                tree.remove(filter, key);
            }
            prop_assert!(tree.is_empty() && tree.root.is_empty(), "nothing is left of what was taken out");
        }
    }
}
