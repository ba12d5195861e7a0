//! What all connections share: the table of sessions, what is kept by topic, the ways out.
//!
//! A publish goes from its connection to the writer with a [`Token`], which comes back after the commit. One task takes them
//! in the commit's order ([`settle`]): it marks what is committed, for the connection to acknowledge, and gives the message to
//! who asked for it. Lock order: the table, then a seat.

mod accounts;
mod attach;
mod deliver;
mod owed;
pub(crate) mod ports;
mod restore;
mod rows;
mod subscribe;
mod token;
mod upkeep;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sanimon_domain::mqtt::SessionChange;
use sanimon_net::{Allowance, Bucket, Limiter, network};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::account::Account;
use crate::limit::Limit;
use crate::limits::Limits;
use crate::retained::Retained;
use crate::session::{Ordinal, ToStore};
use crate::sessions::Sessions;
use crate::topics::Topic;

use accounts::Accounts;
pub(crate) use accounts::Pace;
pub(crate) use attach::{Admitted, Claim};
pub(crate) use deliver::settle;
pub(crate) use owed::LOST;
use ports::Ports;
pub(crate) use subscribe::Granting;
use subscribe::RETAINED_LOOKS;
pub use token::Token;
pub(crate) use upkeep::UPKEEP_EVERY;

/// Whose a retained message is: the owner, and the number of its credential.
pub(crate) type Owner = (Arc<str>, Option<i64>);

/// Whose the product's own messages are: no username has a slash.
const OWN: &str = "/own";
/// Wills that wait for their commit before nobody with a will is let in: a client that comes and goes while the disk is slow
/// leaves one each time.
const WILLS_MAX: usize = 4_096;
/// Addresses whose wrong passwords are remembered.
const FAILURES_KEPT: usize = 16_384;

/// What is decided under the table's lock.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) sessions: Sessions,
    pub(crate) retained: Retained<Owner>,
    pub(crate) accounts: Accounts,
    forgotten: Forgotten,
}

/// Topics whose message was taken out of the file, and when: one that was under way meanwhile has to be put in again.
#[derive(Debug, Default)]
struct Forgotten {
    by_topic: HashMap<Topic, i64>,
    /// All that are older may have been forgotten: writing one once more does no harm.
    until_ms: i64,
}

/// Forgotten topics that are known one by one.
const FORGOTTEN_MAX: usize = 4_096;

impl Forgotten {
    fn enter(&mut self, topic: Topic, now_ms: i64) {
        if self.by_topic.len() >= FORGOTTEN_MAX {
            (self.by_topic, self.until_ms) = (HashMap::new(), now_ms);
        }
        self.by_topic.insert(topic, now_ms);
    }

    /// Whether a message for the topic that came at this time may have been taken out of the file since.
    fn may_have(&self, topic: &Topic, received_at_ms: i64) -> bool {
        let own_ms = self.by_topic.get(topic).copied().unwrap_or(i64::MIN);
        received_at_ms <= own_ms.max(self.until_ms)
    }
}

/// All of it.
#[derive(Debug)]
pub struct Hub {
    pub(crate) limits: Limits,
    pub(crate) ports: Ports,
    table: Mutex<Table>,
    /// Subscriptions, all and those of kept sessions: most messages are for nobody, and need no lock to know it.
    subscriptions: AtomicUsize,
    kept_subscriptions: AtomicUsize,
    /// The place of the next message that is owed to a kept session.
    next_order: AtomicU64,
    /// Of what is looked through for retained messages.
    looks: Mutex<Bucket>,
    /// Wills on their way to their commit.
    wills: AtomicUsize,
    /// Bytes of packets that have not come to their end.
    partial_bytes: AtomicUsize,
    /// Addresses that said wrong passwords.
    failures: Limiter<IpAddr>,
    committed: mpsc::UnboundedSender<Vec<Token>>,
    began: Instant,
    began_ms: i64,
    /// What the wall's clock has stepped since.
    stepped_ms: AtomicI64,
}

impl Hub {
    /// What is committed comes out of the receiver, for [`settle`].
    pub fn new(limits: Limits, ports: Ports) -> (Arc<Self>, mpsc::UnboundedReceiver<Vec<Token>>) {
        let (committed, settled) = mpsc::unbounded_channel();
        let began_ms = ports.intake.wall_ms();
        let table = Table {
            sessions: Sessions::new(limits.sessions),
            retained: Retained::new(limits.retained),
            accounts: Accounts::default(),
            forgotten: Forgotten::default(),
        };
        let hub = Self {
            limits,
            ports,
            table: Mutex::new(table),
            subscriptions: AtomicUsize::new(0),
            kept_subscriptions: AtomicUsize::new(0),
            next_order: AtomicU64::new(1),
            looks: Mutex::new(Bucket::full(RETAINED_LOOKS, began_ms as u64)),
            wills: AtomicUsize::new(0),
            partial_bytes: AtomicUsize::new(0),
            failures: Limiter::new(FAILURES_KEPT),
            committed,
            began: Instant::now(),
            began_ms,
            stepped_ms: AtomicI64::new(0),
        };
        (Arc::new(hub), settled)
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The broker's time: it began as the wall's, and never steps.
    pub(crate) fn now_ms(&self) -> i64 {
        self.began_ms + self.began.elapsed().as_millis() as i64
    }

    /// What the wall says of a moment of the broker's time, and the other way round.
    fn to_wall(&self, at_ms: i64) -> i64 {
        at_ms.saturating_add(self.stepped_ms.load(Ordering::Relaxed))
    }

    fn of_wall(&self, at_ms: i64) -> i64 {
        at_ms.saturating_sub(self.stepped_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn met(&self, limit: Limit, who: &str) {
        self.ports.notices.limit(limit, who);
    }

    /// What a connection holds of a packet that has not come to its end. True: there is no room for more of all.
    pub(crate) fn hold_partial(&self, before: usize, now: usize) -> bool {
        if now >= before {
            self.partial_bytes.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.partial_bytes.fetch_sub(before - now, Ordering::Relaxed);
        }
        self.is_partial_full()
    }

    pub(crate) fn is_partial_full(&self) -> bool {
        self.partial_bytes.load(Ordering::Relaxed) > self.limits.partial_bytes
    }

    /// Nothing more is read of anybody before the writer has caught up.
    pub(crate) fn is_crowded(&self) -> bool {
        self.ports.intake.is_crowded()
    }

    #[cfg(test)]
    pub(crate) fn partial_bytes(&self) -> usize {
        self.partial_bytes.load(Ordering::Relaxed)
    }

    /// What is kept for a topic no longer is, in memory: nor in the file.
    fn forget_retained(&self, table: &mut Table, topic: Topic) {
        self.change(SessionChange::ForgetRetained(topic.as_str().into()));
        table.forgotten.enter(topic, self.now_ms());
    }

    /// Whether what somebody left may still be kept: the product's own, and what its credential allows.
    fn may_keep_on(&self, (owner, credential): &Owner) -> bool {
        &**owner == OWN || self.ports.permissions.now(owner, *credential, "").is_some()
    }

    /// The place of a message among all that are owed to kept sessions.
    fn next_order(&self) -> u64 {
        self.next_order.fetch_add(1, Ordering::Relaxed)
    }

    /// A change that nobody waits for.
    pub(crate) fn change(&self, change: SessionChange) {
        self.ports.intake.change(change, None);
    }

    /// A change that stands in a connection's line: its answer waits for it.
    pub(crate) fn change_in_line(
        self: &Arc<Self>,
        client: &Admitted,
        change: SessionChange,
        ordinal: Ordinal,
    ) {
        let token = Token::new(self, token::Of::Place { from: client.sender.clone(), ordinal });
        self.ports.intake.change(change, Some(token));
    }

    /// How far a message has come on its way to a client, which goes on when that is on disk.
    pub(crate) fn store_stage(self: &Arc<Self>, client: &Admitted, stage: ToStore) {
        let (key, order) = (client.key.clone(), stage.order);
        let change = if stage.is_release {
            SessionChange::Releasing { key, order }
        } else {
            SessionChange::Sent { key, order, packet_id: stage.packet_id.get() }
        };
        let token = Token::new(self, token::Of::Stage(client.sender.clone(), stage));
        self.ports.intake.change(change, Some(token));
    }

    /// How fast who has this account may speak; `None`: as fast as it likes, or it was never here.
    pub(crate) fn pace_of(&self, account: &Account) -> Option<Arc<Pace>> {
        self.table().accounts.pace(&account.owner)
    }

    /// A message is about to be refused by closing. True: often enough, and it is to be set aside.
    pub(crate) fn refuse(&self, owner: &Arc<str>, digest: u64, now_ms: i64) -> bool {
        self.table().accounts.refuse(owner, digest, now_ms)
    }

    /// Whether an address has said so many wrong passwords lately that it has to wait.
    pub(crate) fn has_failed_too_often(&self, address: IpAddr) -> bool {
        let now_ms = self.now_ms() as u64;
        let known = self.failures.get(&network(address));
        known.is_some_and(|mut bucket| !bucket.take(self.failed(), 1.0, now_ms))
    }

    pub(crate) fn note_failed(&self, address: IpAddr) {
        self.failures.take(network(address), self.failed(), 1.0, self.now_ms() as u64);
    }

    fn failed(&self) -> Allowance {
        let burst = self.limits.failed_per_address as f64;
        Allowance { per_s: burst / 60.0, burst }
    }

    /// Sessions or subscriptions came or went: the numbers are for who publishes without the table's lock, and what a session that
    /// has ended had of groups goes to others.
    fn sessions_changed(&self, table: &mut Table) {
        let (all, kept) = table.sessions.subscriptions();
        self.subscriptions.store(all, Ordering::Release);
        self.kept_subscriptions.store(kept, Ordering::Release);
        let orphans = table.sessions.take_orphans();
        self.give_on(table, orphans);
    }
}
