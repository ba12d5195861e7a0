//! How often somebody may do something, for very many somebodies: one [`Limiter`] remembers so many keys at most, and
//! forgets the one that was quiet for longest.
//!
//! Whoever wants to be forgotten needs as many keys as there are places, and each of those is limited, too. Time is an
//! argument.

mod bucket;

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

pub use bucket::{Allowance, Bucket};

/// What is remembered of keys: a [`Bucket`] of each, unless the user has a measure of its own.
#[derive(Debug)]
pub struct Limiter<K, S = Bucket> {
    known: Mutex<LruCache<K, S>>,
}

impl<K: Hash + Eq, S> Limiter<K, S> {
    /// Remembers so many keys at most.
    pub fn new(keys_max: usize) -> Self {
        Self { known: Mutex::new(LruCache::new(keys_max)) }
    }

    /// Changes what is remembered of a key, or what is `fresh` where nothing is.
    pub fn update<R>(&self, key: K, fresh: impl FnOnce() -> S, change: impl FnOnce(&mut S) -> R) -> R {
        let mut known = self.lock();
        if let Some(state) = known.get_mut(&key) {
            return change(state);
        }
        let mut state = fresh();
        let answer = change(&mut state);
        known.insert(key, state);
        answer
    }

    /// What is remembered of a key, which counts as a use of it.
    pub fn get(&self, key: &K) -> Option<S>
    where
        S: Copy,
    {
        self.lock().get(key).copied()
    }

    /// Nothing is remembered of the key any more.
    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<K, S>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Limiter<K> {
    /// Takes an amount if it is there: [`Bucket::take`].
    pub fn take(&self, key: K, allowance: Allowance, amount: f64, now_ms: u64) -> bool {
        let full = || Bucket::full(allowance, now_ms);
        self.update(key, full, |bucket| bucket.take(allowance, amount, now_ms))
    }

    /// Takes an amount on credit and says how many milliseconds to wait for it: [`Bucket::borrow`].
    pub fn borrow(&self, key: K, allowance: Allowance, amount: f64, now_ms: u64) -> u64 {
        let full = || Bucket::full(allowance, now_ms);
        self.update(key, full, |bucket| bucket.borrow(allowance, amount, now_ms))
    }
}

/// What counts as one address: who has one of IPv6 has a whole network of them.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Allowance = Allowance { per_s: 1.0, burst: 1.0 };

    #[test]
    fn each_key_has_its_own_share() {
        let limiter = Limiter::new(8);
        assert!(limiter.take("a", ONE, 1.0, 0));
        assert!(!limiter.take("a", ONE, 1.0, 0));
        assert!(limiter.take("b", ONE, 1.0, 0));
        assert_eq!(limiter.borrow("a", ONE, 1.0, 500), 500);
        limiter.forget(&"a");
        assert_eq!(limiter.borrow("a", ONE, 1.0, 500), 0);
    }

    #[test]
    fn so_many_keys_at_most_and_the_least_recently_used_goes() {
        let limiter = Limiter::new(3);
        for key in ["a", "b", "c"] {
            assert!(limiter.take(key, ONE, 1.0, 0));
        }
        // Used again, one by being refused, one by being looked at: the third is the oldest now.
        assert!(!limiter.take("a", ONE, 1.0, 0));
        assert!(limiter.get(&"b").is_some());
        for (newcomer, expected) in [("d", ["a", "b", "d"]), ("e", ["b", "d", "e"])] {
            assert!(limiter.take(newcomer, ONE, 1.0, 0));
            let known: Vec<_> = limiter.lock().iter().map(|(key, _)| *key).collect();
            assert_eq!(known, expected);
        }
        assert!(!limiter.take("b", ONE, 1.0, 0), "who is known stays limited");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let of = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, n, 0, 0, 1]);
        assert_eq!(network(of(1)), network(of(2)));
        assert_ne!(network(of(1)), network(IpAddr::from([0x2001, 0xdb8, 0, 2, 1, 0, 0, 1])));
    }
}
