//! What keeps guessers of passwords away without locking anybody out.
//!
//! Failures are counted for each account at each address, for each address, and for each account. Past a limit the next
//! attempt has to wait, twice as long after each failure. An address from which somebody has signed in to an account is
//! that person's: the limits of the address and of the account, which strangers can reach, do not hold there.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::network;

/// Failures before the first wait: of an account at an address, of an address, of an account from anywhere.
const BY_BOTH: u32 = 5;
const BY_ADDRESS: u32 = 30;
const BY_ACCOUNT: u32 = 50;
/// The longest waits. That for an account is short: a stranger who goes on guessing must not shut its owner out for
/// long, even where the owner was never seen before.
const WAIT_MAX: Duration = Duration::from_mins(15);
const WAIT_MAX_ACCOUNT: Duration = Duration::from_secs(30);
/// Without another failure, all is forgotten after this time.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(30);
/// Entries of a table at most.
const ENTRIES_MAX: usize = 20_000;

#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    both: HashMap<(String, IpAddr), Failures>,
    addresses: HashMap<IpAddr, Failures>,
    accounts: HashMap<String, Failures>,
    /// Who has signed in from where.
    homes: HashSet<(String, IpAddr)>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
    free_at: Instant,
}

/// Names are told apart as the store does; of absurdly long ones the beginning counts.
fn key(account: &str) -> String {
    account.chars().take(64).collect()
}

impl Throttle {
    /// How long this attempt has to wait; `None`: not at all.
    pub(crate) fn wait(&self, account: &str, address: IpAddr, now: Instant) -> Option<Duration> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (account, address) = (key(account), network(address));
        let both = (account, address);
        let mut found = vec![tables.both.get(&both)];
        if !tables.homes.contains(&both) {
            found.extend([tables.addresses.get(&address), tables.accounts.get(&both.0)]);
        }
        let waits =
            found.into_iter().flatten().map(|failures| failures.free_at.saturating_duration_since(now));
        waits.max().filter(|wait| !wait.is_zero())
    }

    pub(crate) fn failed(&self, account: &str, address: IpAddr, now: Instant) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (account, address) = (key(account), network(address));
        count(&mut tables.accounts, account.clone(), now, (BY_ACCOUNT, WAIT_MAX_ACCOUNT));
        count(&mut tables.addresses, address, now, (BY_ADDRESS, WAIT_MAX));
        count(&mut tables.both, (account, address), now, (BY_BOTH, WAIT_MAX));
    }

    pub(crate) fn succeeded(&self, account: &str, address: IpAddr) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let both = (key(account), network(address));
        tables.both.remove(&both);
        if tables.homes.len() >= ENTRIES_MAX {
            tables.homes.clear();
        }
        tables.homes.insert(both);
    }
}

fn count<K: Hash + Eq>(
    table: &mut HashMap<K, Failures>,
    key: K,
    now: Instant,
    (free, wait_max): (u32, Duration),
) {
    let is_fresh = |failures: &Failures| {
        now.saturating_duration_since(failures.last) < FORGOTTEN_AFTER || failures.free_at > now
    };
    if table.len() >= ENTRIES_MAX {
        table.retain(|_, failures| is_fresh(failures));
    }
    if table.len() >= ENTRIES_MAX {
        // Only somebody with very many addresses or names comes so far; those who are waited for keep their places.
        table.retain(|_, failures| failures.free_at > now);
    }
    if table.len() >= ENTRIES_MAX {
        return;
    }
    let failures = table.entry(key).or_insert(Failures { count: 0, last: now, free_at: now });
    if !is_fresh(failures) {
        failures.count = 0;
    }
    failures.count += 1;
    failures.last = now;
    if failures.count >= free {
        let doublings = (failures.count - free).min(16);
        failures.free_at = now + Duration::from_secs(1 << doublings).min(wait_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    /// Tries as fast as it may for an hour; gives how many attempts that were.
    fn attempts_in_an_hour(throttle: &Throttle, account: &str, from: impl Fn(u32) -> IpAddr) -> u32 {
        let start = Instant::now();
        let (mut now, mut attempts) = (start, 0);
        while now < start + Duration::from_hours(1) {
            if let Some(wait) = throttle.wait(account, from(attempts), now) {
                now += wait;
                continue;
            }
            throttle.failed(account, from(attempts), now);
            attempts += 1;
            now += Duration::from_millis(50);
        }
        attempts
    }

    #[test]
    fn a_guesser_at_one_address_gets_some_attempts_an_hour() {
        let attempts = attempts_in_an_hour(&Throttle::default(), "a", |_| address(1));
        assert!(attempts < 25, "{attempts}");
    }

    #[test]
    fn guessing_many_names_from_one_address_is_no_way_around() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let tried = (0..1_000).filter(|n| {
            let name = format!("name-{n}");
            let may = throttle.wait(&name, address(1), now).is_none();
            if may {
                throttle.failed(&name, address(1), now);
            }
            may
        });
        assert_eq!(tried.count(), BY_ADDRESS as usize);
    }

    #[test]
    fn guessing_from_many_addresses_is_slow_and_does_not_shut_the_owner_out() {
        let throttle = Throttle::default();
        throttle.succeeded("a", address(200));
        let attempts =
            attempts_in_an_hour(&throttle, "a", |n| IpAddr::from([11, 0, (n >> 8) as u8, n as u8]));
        assert!(attempts < 250, "{attempts}");
        let now = Instant::now() + Duration::from_hours(1);
        // At home nothing is noticed; elsewhere the wait is short.
        assert_eq!(throttle.wait("a", address(200), now), None);
        assert!(throttle.wait("a", address(201), now).is_none_or(|wait| wait <= WAIT_MAX_ACCOUNT));
        assert_eq!(throttle.wait("b", address(201), now), None);
    }

    #[test]
    fn people_who_mistype_some_times_notice_nothing() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..BY_BOTH - 1 {
            assert_eq!(throttle.wait("a", address(1), now), None);
            throttle.failed("a", address(1), now);
        }
        assert_eq!(throttle.wait("a", address(1), now), None);
        throttle.succeeded("a", address(1));
        throttle.failed("a", address(1), now);
        assert_eq!(throttle.wait("a", address(1), now), None);
    }
}
