//! What keeps guessers of passwords away without locking anybody out.
//!
//! Failures are counted for each account at each address, for each address, and for each account. Past a limit the next
//! attempt has to wait, twice as long after each failure. An address from which somebody has signed in to an account is
//! that person's: the limits of the address and of the account, which strangers can reach, do not hold there.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sanimon_net::{Limiter, network};

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
/// Remembered at most of each: of accounts at addresses, of addresses, of accounts, of homes.
const ENTRIES_MAX: usize = 20_000;

#[derive(Debug)]
pub(crate) struct Throttle {
    both: Limiter<(String, IpAddr), Failures>,
    addresses: Limiter<IpAddr, Failures>,
    accounts: Limiter<String, Failures>,
    /// Who has signed in from where.
    homes: Limiter<(String, IpAddr), ()>,
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

impl Default for Throttle {
    fn default() -> Self {
        Self {
            both: Limiter::new(ENTRIES_MAX),
            addresses: Limiter::new(ENTRIES_MAX),
            accounts: Limiter::new(ENTRIES_MAX),
            homes: Limiter::new(ENTRIES_MAX),
        }
    }
}

impl Throttle {
    /// How long this attempt has to wait; `None`: not at all.
    pub(crate) fn wait(&self, account: &str, address: IpAddr, now: Instant) -> Option<Duration> {
        let both = (key(account), network(address));
        let mut found = vec![self.both.get(&both)];
        if self.homes.get(&both).is_none() {
            found.extend([self.addresses.get(&both.1), self.accounts.get(&both.0)]);
        }
        let waits =
            found.into_iter().flatten().map(|failures| failures.free_at.saturating_duration_since(now));
        waits.max().filter(|wait| !wait.is_zero())
    }

    pub(crate) fn failed(&self, account: &str, address: IpAddr, now: Instant) {
        let (account, address) = (key(account), network(address));
        let none = || Failures::none(now);
        self.accounts
            .update(account.clone(), none, |failures| failures.count(now, BY_ACCOUNT, WAIT_MAX_ACCOUNT));
        self.addresses.update(address, none, |failures| failures.count(now, BY_ADDRESS, WAIT_MAX));
        self.both.update((account, address), none, |failures| failures.count(now, BY_BOTH, WAIT_MAX));
    }

    pub(crate) fn succeeded(&self, account: &str, address: IpAddr) {
        let both = (key(account), network(address));
        self.both.forget(&both);
        self.homes.update(both, || (), |()| ());
    }
}

impl Failures {
    fn none(now: Instant) -> Self {
        Self { count: 0, last: now, free_at: now }
    }

    /// One more: past those that are free, the next attempt has to wait.
    fn count(&mut self, now: Instant, free: u32, wait_max: Duration) {
        let rested = now.saturating_duration_since(self.last);
        if rested >= FORGOTTEN_AFTER && self.free_at <= now {
            self.count = 0;
        }
        self.count += 1;
        self.last = now;
        if self.count >= free {
            let doublings = (self.count - free).min(16);
            self.free_at = now + Duration::from_secs(1 << doublings).min(wait_max);
        }
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
