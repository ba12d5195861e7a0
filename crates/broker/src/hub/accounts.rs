//! How many connections a credential and an address have, and how fast a credential speaks.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;
use sanimon_net::{Addresses, Allowance, Bucket};

use crate::account::Account;
use crate::limit::Limit;
use crate::limits::Limits;
use crate::reason::Reason;

/// Who is connected.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_owner: HashMap<Arc<str>, Known>,
    addresses: Addresses,
    connected: usize,
    /// All clients without a name are one.
    nameless: Known,
}

#[derive(Debug, Default)]
struct Known {
    connections: usize,
    /// As its last client signed in: others like it share it.
    account: Option<Arc<Account>>,
    /// `None`: as fast as it likes.
    pace: Option<Arc<Pace>>,
    /// Digests of messages that were refused by closing, how often, and when the last one was.
    refused: VecDeque<(u64, u8)>,
    refused_at_ms: i64,
}

/// Digests that are remembered of a credential.
const REFUSED_KEPT: usize = 8;
/// How long.
const REFUSED_KEPT_MS: i64 = 3_600_000;
/// So often a message is refused by closing: a 3.1.1 client sends it again for ever.
const REFUSED_MAX: u8 = 2;

/// How fast a credential may speak, over all of its connections.
#[derive(Debug)]
pub(crate) struct Pace {
    messages: Allowance,
    bytes: Allowance,
    taken: Mutex<(Bucket, Bucket)>,
}

impl Pace {
    pub(crate) fn new(messages: Allowance, bytes: Allowance, now_ms: i64) -> Self {
        let full = |allowance| Bucket::full(allowance, now_ms as u64);
        Self { messages, bytes, taken: Mutex::new((full(messages), full(bytes))) }
    }

    /// How long nothing more of its sender is read, in milliseconds, now that it has sent so much.
    pub(crate) fn wait_ms(&self, bytes: usize, now_ms: i64) -> u64 {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (messages, octets) = &mut *taken;
        let now_ms = now_ms as u64;
        messages.borrow(self.messages, 1.0, now_ms).max(octets.borrow(self.bytes, bytes as f64, now_ms))
    }

    fn is_rested(&self, now_ms: i64) -> bool {
        let (mut messages, mut octets) = *self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        messages.take(self.messages, self.messages.burst, now_ms as u64)
            && octets.take(self.bytes, self.bytes.burst, now_ms as u64)
    }
}

impl Accounts {
    pub(crate) const fn connected(&self) -> usize {
        self.connected
    }

    /// An account for many connections, where it is the same.
    pub(crate) fn shared(&mut self, account: Account) -> Arc<Account> {
        let known = if account.is_nameless() {
            &mut self.nameless
        } else if let Some(known) = self.by_owner.get_mut(&account.owner) {
            known
        } else {
            return Arc::new(account);
        };
        match &known.account {
            Some(own) if **own == account => own.clone(),
            _ => known.account.insert(Arc::new(account)).clone(),
        }
    }

    /// One more connection. Gives how fast it may speak; `None`: as fast as it likes. `is_again`: another one goes for it.
    pub(crate) fn enter(
        &mut self,
        limits: &Limits,
        (account, address): (&Account, IpAddr),
        is_again: bool,
        now_ms: i64,
    ) -> Result<Option<Arc<Pace>>, (Limit, Reason)> {
        if self.connected >= limits.connections_total && !is_again {
            return Err((Limit::ConnectionsTotal, Reason::ServerBusy));
        }
        if !self.addresses.has_room(address, limits.connections_per_address) && !is_again {
            return Err((Limit::ConnectionsPerAddress, Reason::ConnectionRateExceeded));
        }
        let max = limits.connections_of(account.is_gateway);
        let pace = if account.is_nameless() {
            None
        } else {
            let known = self.by_owner.entry(account.owner.clone()).or_insert_with(|| {
                let (messages, bytes) = limits.rates_of(account.is_gateway);
                Known {
                    connections: 0,
                    account: None,
                    pace: Some(Arc::new(Pace::new(messages, bytes, now_ms))),
                    refused: VecDeque::new(),
                    refused_at_ms: 0,
                }
            });
            if known.connections >= max && !is_again {
                return Err((Limit::Connections, Reason::QuotaExceeded));
            }
            known.connections += 1;
            known.pace.clone()
        };
        self.addresses.enter(address);
        self.connected += 1;
        Ok(pace)
    }

    pub(crate) fn leave(&mut self, owner: &Arc<str>, address: IpAddr) {
        self.connected -= 1;
        if let Some(known) = self.by_owner.get_mut(owner) {
            known.connections -= 1;
        }
        self.addresses.leave(address);
    }

    /// How fast a credential may speak, where it is known.
    pub(crate) fn pace(&self, owner: &Arc<str>) -> Option<Arc<Pace>> {
        self.by_owner.get(owner)?.pace.clone()
    }

    /// A message is about to be refused by closing. True: that was done often enough, and it is to be set aside instead.
    pub(crate) fn refuse(&mut self, owner: &Arc<str>, digest: u64, now_ms: i64) -> bool {
        let Some(known) =
            self.by_owner.get_mut(owner).or_else(|| owner.is_empty().then_some(&mut self.nameless))
        else {
            return false;
        };
        known.refused_at_ms = now_ms;
        if let Some((_, times)) = known.refused.iter_mut().find(|(own, _)| *own == digest) {
            *times = times.saturating_add(1);
            return *times > REFUSED_MAX;
        }
        known.refused.push_back((digest, 1));
        if known.refused.len() > REFUSED_KEPT {
            known.refused.pop_front();
        }
        false
    }

    /// Forgets who is away and owes nothing: a pace is kept until then, or coming back would be a fresh start.
    pub(crate) fn tidy(&mut self, now_ms: i64) {
        self.by_owner.retain(|_, known| {
            let is_remembered = !known.refused.is_empty() && now_ms - known.refused_at_ms < REFUSED_KEPT_MS;
            known.connections > 0
                || is_remembered
                || known.pace.as_ref().is_some_and(|pace| !pace.is_rested(now_ms))
        });
    }
}
