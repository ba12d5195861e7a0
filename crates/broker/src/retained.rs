//! Retained messages by topic, with their expiry. Pure.
//!
//! What a new subscription is owed is drawn in steps ([`Retained::next`]), as room comes: a thousand of them never wait in
//! a queue.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use crate::message::Message;
use crate::packet::Qos;
use crate::topics::{Filter, Topic};

/// What is kept, of all and of one credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainedLimits {
    pub retained: usize,
    pub retained_bytes: usize,
}

impl Default for RetainedLimits {
    fn default() -> Self {
        Self { retained: 20_000, retained_bytes: 64 * 1024 * 1024 }
    }
}

/// A retained message. `O`: whose it is; revoked, it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<O> {
    pub message: Arc<Message>,
    pub qos: Qos,
    pub owner: O,
}

/// There is no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    OfOwner,
    OfAll,
}

#[derive(Debug)]
pub struct Retained<O> {
    limits: RetainedLimits,
    by_topic: BTreeMap<Topic, Kept<O>>,
    /// Those with an end, by it.
    expiries: BTreeSet<(i64, Topic)>,
    /// How many each owner has.
    owners: HashMap<O, usize>,
    bytes: usize,
}

impl<O: Eq + Hash + Clone> Retained<O> {
    pub fn new(limits: RetainedLimits) -> Self {
        let (by_topic, expiries, owners) = (BTreeMap::new(), BTreeSet::new(), HashMap::new());
        Self { limits, by_topic, expiries, owners, bytes: 0 }
    }

    /// Who has any.
    pub fn owners(&self) -> impl Iterator<Item = &O> {
        self.owners.keys()
    }

    /// Whether one more message has room: of its owner, who may have so many, and of all.
    pub fn has_room(
        &self,
        topic: &Topic,
        bytes: usize,
        owner: &O,
        max_of_owner: usize,
    ) -> Result<(), NoRoom> {
        let before = self.by_topic.get(topic);
        let own = self.owners.get(owner).copied().unwrap_or(0);
        let is_own = before.is_some_and(|known| known.owner == *owner);
        let bytes = self.bytes - before.map_or(0, |known| known.message.bytes()) + bytes;
        let number = self.by_topic.len() + usize::from(before.is_none());
        match () {
            () if own + usize::from(!is_own) > max_of_owner => Err(NoRoom::OfOwner),
            () if number > self.limits.retained || bytes > self.limits.retained_bytes => Err(NoRoom::OfAll),
            () => Ok(()),
        }
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = &Kept<O>> {
        self.by_topic.values()
    }

    pub fn len(&self) -> usize {
        self.by_topic.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }

    /// Keeps a message in the place of the one before. An empty payload only removes that (3.3.1-6).
    ///
    /// # Errors
    /// There is no room; what was kept before stays.
    pub fn put(&mut self, kept: Kept<O>) -> Result<(), NoRoom> {
        self.put_own(false, kept)
    }

    /// The same. `is_own`: one of the product's, which counts against nothing.
    ///
    /// # Errors
    /// There is no room; what was kept before stays.
    pub fn put_own(&mut self, is_own: bool, kept: Kept<O>) -> Result<(), NoRoom> {
        let topic = kept.message.topic.clone();
        if kept.message.payload.is_empty() {
            self.remove(&topic);
            return Ok(());
        }
        if !is_own {
            self.has_room(&topic, kept.message.bytes(), &kept.owner, usize::MAX)?;
        }
        self.remove(&topic);
        *self.owners.entry(kept.owner.clone()).or_default() += 1;
        self.bytes += kept.message.bytes();
        if let Some(at) = kept.message.expires_at_ms {
            self.expiries.insert((at, topic.clone()));
        }
        self.by_topic.insert(topic, kept);
        Ok(())
    }

    pub fn remove(&mut self, topic: &Topic) -> Option<Kept<O>> {
        let kept = self.by_topic.remove(topic)?;
        self.bytes -= kept.message.bytes();
        if let Some(at) = kept.message.expires_at_ms {
            self.expiries.remove(&(at, topic.clone()));
        }
        if let Some(own) = self.owners.get_mut(&kept.owner) {
            *own -= 1;
            if *own == 0 {
                self.owners.remove(&kept.owner);
            }
        }
        Some(kept)
    }

    /// Takes out those whose time is over; gives their topics, at most so many.
    pub fn expire(&mut self, now_ms: i64, max: usize) -> Vec<Topic> {
        let over: Vec<Topic> = self
            .expiries
            .iter()
            .take_while(|(at, _)| *at <= now_ms)
            .take(max)
            .map(|(_, topic)| topic.clone())
            .collect();
        over.iter().for_each(|topic| drop(self.remove(topic)));
        over
    }

    /// Takes out what an owner left; gives the topics.
    pub fn revoke(&mut self, owner: &O) -> Vec<Topic> {
        let theirs = self.by_topic.iter().filter(|(_, kept)| kept.owner == *owner);
        let topics: Vec<Topic> = theirs.map(|(topic, _)| topic.clone()).collect();
        topics.iter().for_each(|topic| drop(self.remove(topic)));
        topics
    }

    /// The first message of a filter behind this topic, in the order of the topics. `steps`: how many topics may be looked
    /// at, which it takes; where they do not suffice, the last one that was.
    pub fn next(
        &self,
        filter: &Filter,
        after: Option<&Topic>,
        now_ms: i64,
        steps: &mut usize,
    ) -> Next<'_, O> {
        // All that match begin as the filter does up to its first wildcard.
        let begin = filter.as_str().find(['+', '#']).map_or(filter.as_str(), |at| &filter.as_str()[..at]);
        // `a/#` is `a`, too.
        let begin = begin.strip_suffix('/').unwrap_or(begin);
        let from = match (after, Topic::parse(begin)) {
            (Some(after), _) => Bound::Excluded(after.clone()),
            (None, Ok(topic)) => Bound::Included(topic),
            (None, Err(_)) => Bound::Unbounded,
        };
        // To begin costs as well.
        *steps = steps.saturating_sub(1);
        for (topic, kept) in self.by_topic.range((from, Bound::Unbounded)) {
            *steps = steps.saturating_sub(1);
            if !topic.as_str().starts_with(begin) {
                return Next::Over;
            }
            if filter.matches(topic) && kept.message.expires_at_ms.is_none_or(|at| at > now_ms) {
                return Next::Found(kept);
            }
            if *steps == 0 {
                return Next::Paused(topic.clone());
            }
        }
        Next::Over
    }
}

/// What [`Retained::next`] came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'r, O> {
    Found(&'r Kept<O>),
    /// Go on behind this one, another time.
    Paused(Topic),
    Over,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn kept(topic: &str, payload: &'static str, expires_at_ms: Option<i64>) -> Kept<u8> {
        let (topic, payload) = (Topic::parse(topic).expect(topic), Bytes::from_static(payload.as_bytes()));
        let message = Message { topic, payload, properties: None, received_at_ms: 0, expires_at_ms };
        Kept { message: Arc::new(message), qos: Qos::AtMostOnce, owner: 1 }
    }

    fn found(retained: &Retained<u8>, filter: &str, now_ms: i64, steps: usize) -> Vec<String> {
        let filter = Filter::parse(filter).expect(filter);
        let (mut after, mut topics) = (None, Vec::new());
        loop {
            match retained.next(&filter, after.as_ref(), now_ms, &mut { steps }) {
                Next::Found(kept) => {
                    topics.push(kept.message.topic.to_string());
                    after = Some(kept.message.topic.clone());
                }
                Next::Paused(topic) => after = Some(topic),
                Next::Over => return topics,
            }
        }
    }

    #[test]
    fn n099_n101_the_last_one_is_kept_and_an_empty_one_removes_it() {
        let mut retained = Retained::new(RetainedLimits::default());
        for payload in ["1", "2"] {
            assert_eq!(retained.put(kept("a", payload, None)), Ok(()));
        }
        let Next::Found(own) = retained.next(&Filter::parse("a").unwrap(), None, 0, &mut 9) else {
            panic!("it is kept")
        };
        assert_eq!(&own.message.payload[..], b"2");
        assert_eq!(retained.put(kept("a", "", None)), Ok(()));
        assert_eq!((retained.len(), retained.bytes), (0, 0));
    }

    #[test]
    fn n110_what_is_over_is_not_given_and_goes() {
        let mut retained = Retained::new(RetainedLimits::default());
        retained.put(kept("a", "1", Some(100))).unwrap();
        retained.put(kept("b", "1", Some(50))).unwrap();
        retained.put(kept("b", "2", None)).unwrap();
        assert_eq!(found(&retained, "#", 100, 9), ["b"], "nobody swept it, and it is not given");
        assert_eq!(retained.expire(100, 9).iter().map(Topic::as_str).collect::<Vec<_>>(), ["a"]);
        assert_eq!(retained.len(), 1);
    }

    #[test]
    fn there_is_room_for_so_many_and_what_was_kept_stays() {
        let mut retained = Retained::new(RetainedLimits { retained: 1, retained_bytes: 4 });
        assert_eq!(retained.put(kept("a", "1", None)), Ok(()));
        assert_eq!(retained.put(kept("b", "1", None)), Err(NoRoom::OfAll));
        assert_eq!(retained.put(kept("a", "12345", None)), Err(NoRoom::OfAll));
        assert_eq!(retained.put(kept("a", "123", None)), Ok(()), "in its own place");
        assert_eq!(found(&retained, "#", 0, 9), ["a"]);
    }

    #[test]
    fn an_owner_has_room_for_so_many_in_their_own_places() {
        let mut retained = Retained::new(RetainedLimits::default());
        let topic = |text: &str| Topic::parse(text).unwrap();
        retained.put(kept("a", "1", None)).unwrap();
        assert_eq!(retained.has_room(&topic("b"), 1, &1, 1), Err(NoRoom::OfOwner));
        assert_eq!(retained.has_room(&topic("a"), 1, &1, 1), Ok(()), "it takes the place of its own");
        assert_eq!(retained.has_room(&topic("a"), 1, &2, 1), Ok(()), "somebody else's first");
        retained.put(kept("a", "", None)).unwrap();
        assert_eq!((retained.has_room(&topic("b"), 1, &1, 1), retained.owners().count()), (Ok(()), 0));
    }

    #[test]
    fn what_somebody_left_goes_with_the_credential() {
        let mut retained = Retained::new(RetainedLimits::default());
        retained.put(kept("a", "1", None)).unwrap();
        retained.put(Kept { owner: 2, ..kept("b", "1", None) }).unwrap();
        assert_eq!(retained.revoke(&1).iter().map(Topic::as_str).collect::<Vec<_>>(), ["a"]);
        assert_eq!(found(&retained, "#", 0, 9), ["b"]);
    }

    fn any_text(levels: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(levels), 1..4).prop_map(|levels| levels.join("/"))
    }

    proptest! {
        /// Whatever is kept, and in however small steps it is looked for: all that match are found, once, in order.
        #[test]
        fn a_filter_finds_all_that_match(
            topics in prop::collection::btree_set(any_text(&["a", "b", "ab", "", "$x"]), 0..20),
            filter in any_text(&["a", "b", "ab", "", "$x", "+"]),
            has_rest in any::<bool>(),
            steps in 1_usize..5,
        ) {
            let mut retained = Retained::new(RetainedLimits::default());
            let topics: Vec<Topic> = topics.iter().filter_map(|text| Topic::parse(text).ok()).collect();
            topics.iter().for_each(|topic| retained.put(kept(topic.as_str(), "1", None)).unwrap());
            let text = if has_rest { format!("{filter}/#") } else { filter };
            let Ok(filter) = Filter::parse(&text) else { return Ok(()) };
            let expected: Vec<String> =
                topics.iter().filter(|topic| filter.matches(topic)).map(ToString::to_string).collect();
            prop_assert_eq!(found(&retained, &text, 0, steps), expected, "{}", text);
        }
    }
}
