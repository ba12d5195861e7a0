//! What keeps the public page from being flooded, without anybody else's help: a stamp that only this page gives and that
//! is neither too fresh nor too old, and limits by address, by place and for all.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sanimon_net::network;
use sha2::{Digest, Sha256};

/// People need longer than this to choose; programs do not.
const FRESH: Duration = Duration::from_secs(2);
/// A page that was left open for longer is asked again.
const STALE: Duration = Duration::from_hours(2);
const WINDOW: Duration = Duration::from_hours(1);
/// Reports an hour from one address, at one place, and at all.
const BY_ADDRESS: usize = 6;
const BY_PLACE: usize = 20;
const BY_SITE: usize = 500;
/// Addresses remembered at most.
const ADDRESSES_MAX: usize = 10_000;

/// The doorkeeper of public pages.
#[derive(Debug)]
pub(crate) struct Guard {
    secret: [u8; 32],
    started: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    addresses: HashMap<IpAddr, VecDeque<Instant>>,
    places: HashMap<String, VecDeque<Instant>>,
    all: VecDeque<Instant>,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self { secret: rand::random(), started: Instant::now(), seen: Mutex::default() }
    }

    /// `seconds.signature`: when the page was made, in seconds of this process.
    pub(super) fn stamp(&self, code: &str) -> String {
        let seconds = self.started.elapsed().as_secs();
        format!("{seconds}.{}", self.sign(code, seconds))
    }

    fn sign(&self, code: &str, seconds: u64) -> String {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(format!("{code} {seconds}"));
        // A key before a message of fixed form, and a cut hash: nothing can be appended.
        hash.finalize()[..12].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// Whether this page gave the stamp, long enough ago and not too long.
    pub(super) fn is_genuine(&self, code: &str, stamp: &str) -> bool {
        let Some((seconds, signature)) = stamp.split_once('.') else { return false };
        let Ok(seconds) = seconds.parse::<u64>() else { return false };
        let age = self.started.elapsed().saturating_sub(Duration::from_secs(seconds));
        signature == self.sign(code, seconds) && age >= FRESH && age <= STALE
    }

    /// Counts a report; false when there were too many.
    pub(super) fn admit(&self, address: IpAddr, code: &str) -> bool {
        self.admit_at(Instant::now(), address, code)
    }

    fn admit_at(&self, now: Instant, address: IpAddr, code: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.addresses.len() >= ADDRESSES_MAX {
            seen.addresses.retain(|_, times| times.back().is_some_and(|at| now.duration_since(*at) < WINDOW));
        }
        let Seen { addresses, places, all } = &mut *seen;
        let by_address = addresses.entry(network(address)).or_default();
        let by_place = places.entry(code.to_owned()).or_default();
        let limits = [(by_address, BY_ADDRESS), (by_place, BY_PLACE), (all, BY_SITE)];
        let mut is_free = true;
        let times: Vec<&mut VecDeque<Instant>> = limits
            .into_iter()
            .map(|(times, limit)| {
                while times.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
                    times.pop_front();
                }
                is_free &= times.len() < limit;
                times
            })
            .collect();
        if is_free {
            times.into_iter().for_each(|times| times.push_back(now));
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_of_this_page_and_of_no_other() {
        let guard = Guard::new();
        let stamp = guard.stamp("ABC");
        assert!(!guard.is_genuine("ABC", &stamp), "too fresh");
        let old =
            Guard { started: Instant::now().checked_sub(Duration::from_mins(1)).expect("a past"), ..guard };
        let at_start = format!("0.{}", old.sign("ABC", 0));
        assert!(old.is_genuine("ABC", &at_start));
        assert!(!old.is_genuine("ABD", &at_start));
        assert!(!old.is_genuine("ABC", "0.00"));
        assert!(!old.is_genuine("ABC", "x"));
    }

    #[test]
    fn an_address_may_report_some_times_an_hour_and_a_network_counts_as_one() {
        let (guard, now) = (Guard::new(), Instant::now());
        let six = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, n, 0, 0, 1]);
        for n in 0..BY_ADDRESS {
            assert!(guard.admit_at(now, six(n as u16), "A"));
        }
        assert!(!guard.admit_at(now, six(99), "A"));
        assert!(guard.admit_at(now, IpAddr::from([10, 0, 0, 1]), "A"));
        assert!(guard.admit_at(now + WINDOW, six(99), "A"));
    }
}
