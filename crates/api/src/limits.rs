//! How many requests an address may send. What is on this machine is not counted, unless it is a proxy that says for whom.

use std::net::IpAddr;
use std::time::Instant;

use axum::http::StatusCode;
use sanimon_net::{Allowance, Limiter, network};

use crate::error::Problem;

/// A console loads some dozens of answers at once, and an office of people may share an address.
pub const REQUESTS_PER_S: f64 = 100.0;
/// The burst, as seconds of the rate.
const BURST_S: f64 = 5.0;
/// Addresses remembered at most.
const ADDRESSES_MAX: usize = 50_000;

#[derive(Debug)]
pub(crate) struct Limits {
    allowance: Allowance,
    started: Instant,
    addresses: Limiter<IpAddr>,
}

impl Limits {
    pub(crate) fn new(requests_per_s: f64) -> Self {
        let allowance = Allowance { per_s: requests_per_s, burst: requests_per_s * BURST_S };
        Self { allowance, started: Instant::now(), addresses: Limiter::new(ADDRESSES_MAX) }
    }

    /// Refuses what is too much.
    pub(crate) fn admit_request(&self, address: IpAddr) -> Result<(), Problem> {
        let now_ms = self.started.elapsed().as_millis() as u64;
        if address.is_loopback() || self.take(address, now_ms) {
            return Ok(());
        }
        let text = "too many requests from this address: wait a moment";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, text).after_s(1))
    }

    fn take(&self, address: IpAddr, now_ms: u64) -> bool {
        self.addresses.take(network(address), self.allowance, 1.0, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_that_asks_too_much_keeps_no_other_from_asking() {
        let limits = Limits::new(10.0);
        let (loud, calm) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert_eq!((0..1_000).filter(|_| limits.take(loud, 0)).count(), 50);
        assert!(limits.take(calm, 0));
        assert!(limits.take(loud, 1_000));
    }

    #[test]
    fn another_address_of_the_same_network_is_no_way_around() {
        let limits = Limits::new(10.0);
        let of = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, n, 0, 0, 1]);
        assert_eq!((0..1_000).filter(|n| limits.take(of(*n), 0)).count(), 50);
    }
}
