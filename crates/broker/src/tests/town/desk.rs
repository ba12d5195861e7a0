//! A model of the writer and of who knows the rights: the broker's ports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sanimon_domain::mqtt::SessionChange;
use sanimon_domain::{SessionKey, TimestampMs};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::account::Account;
use crate::hub::Token;
use crate::hub::ports::{Intake, Line, Notices, Permissions, Published, SignIn, Waiting};
use crate::limit::Limit;
use crate::reason::Reason;
use crate::rights::Rights;
use crate::tests::dice::Dice;

use super::file::File;

/// What one client's line takes.
const LINE_MAX: usize = 6;
/// So many changes, and nobody is read: in most towns it happens now and then.
const CROWD: usize = 8;
/// How often somebody found it so, in all towns.
pub(in crate::tests) static CROWDS: AtomicU64 = AtomicU64::new(0);
/// When the town begins, by the wall's clock.
const BEGIN_MS: i64 = 1_772_323_200_000;

/// The way to the writer of one life of the broker.
#[derive(Debug, Clone)]
pub(in crate::tests) struct Desk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waits: Mutex<Waits>,
    room: Notify,
    began: Instant,
}

/// What waits for its commit.
#[derive(Debug, Default)]
struct Waits {
    changes: Vec<(SessionChange, Option<Token>)>,
    lines: BTreeMap<u64, VecDeque<(Published, Token)>>,
    opened: u64,
    /// This life of the broker is over.
    is_dead: bool,
}

struct Own {
    desk: Desk,
    no: u64,
}

impl Desk {
    /// `began`: when the town did.
    pub(in crate::tests) fn new(began: Instant) -> Self {
        Self(Arc::new(Shared { waits: Mutex::default(), room: Notify::new(), began }))
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.0.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        let waits = self.waits();
        waits.changes.is_empty() && waits.lines.values().all(VecDeque::is_empty)
    }

    /// One transaction: all changes, then some messages, each line's in its order. `max`: messages at most. Gives what to
    /// settle.
    pub(super) fn commit(&self, file: &mut File, dice: &mut Dice, max: usize) -> Vec<Token> {
        let mut waits = self.waits();
        let mut tokens = Vec::new();
        for (change, token) in std::mem::take(&mut waits.changes) {
            file.change(&change);
            tokens.extend(token);
        }
        for _ in 0..max {
            let waiting: Vec<u64> =
                waits.lines.iter().filter(|(_, line)| !line.is_empty()).map(|(no, _)| *no).collect();
            if waiting.is_empty() {
                break;
            }
            let line = waits.lines.entry(*dice.pick(&waiting)).or_default();
            let (published, token) = line.pop_front().expect("it waits");
            file.publish(&published, TimestampMs(self.wall_ms()));
            tokens.push(token);
        }
        drop(waits);
        self.0.room.notify_waiters();
        tokens
    }

    /// A line's messages cannot be stored: their tokens are dropped.
    pub(super) fn refuse_one(&self, dice: &mut Dice) {
        let mut waits = self.waits();
        let is_awaited =
            |line: &VecDeque<(Published, Token)>| line.front().is_some_and(|(_, token)| token.is_awaited());
        let mut waiting: Vec<_> = waits.lines.values_mut().filter(|line| is_awaited(line)).collect();
        let number = waiting.len();
        let refused = waiting.get_mut(dice.below(number)).map(|line| std::mem::take(*line));
        drop(waits);
        drop(refused);
    }

    /// Senders that gave up will send again: what they left is not held any longer.
    pub(super) fn drop_gone(&self) {
        let mut waits = self.waits();
        let mut gone: Vec<VecDeque<_>> = Vec::new();
        for line in waits.lines.values_mut() {
            let (left, kept) = std::mem::take(line).into_iter().partition(|(_, token)| token.is_gone());
            *line = kept;
            gone.push(left);
        }
        drop(waits);
        drop(gone);
    }

    /// Whether a session is to be removed, and is not yet.
    pub(super) fn removes(&self, key: &SessionKey) -> bool {
        let is_meant = |change: &SessionChange| matches!(change, SessionChange::Remove(own) if own == key);
        self.waits().changes.iter().any(|(change, _)| is_meant(change))
    }

    /// The process is gone, with all that waits.
    pub(super) fn die(&self) {
        let mut waits = self.waits();
        waits.is_dead = true;
        let left = (std::mem::take(&mut waits.changes), std::mem::take(&mut waits.lines));
        drop(waits);
        drop(left);
    }
}

impl Intake for Desk {
    fn open(&self, _: &SessionKey) -> Box<dyn Line> {
        let mut waits = self.waits();
        waits.opened += 1;
        Box::new(Own { desk: self.clone(), no: waits.opened })
    }

    fn change(&self, change: SessionChange, token: Option<Token>) {
        let mut waits = self.waits();
        if !waits.is_dead {
            waits.changes.push((change, token));
        }
    }

    fn is_crowded(&self) -> bool {
        let is_crowded = self.waits().changes.len() >= CROWD;
        CROWDS.fetch_add(u64::from(is_crowded), Ordering::Relaxed);
        is_crowded
    }

    fn wall_ms(&self) -> i64 {
        BEGIN_MS + self.0.began.elapsed().as_millis() as i64
    }
}

impl Line for Own {
    fn flush(&mut self) {}

    fn offer(&mut self, published: Published, token: Token) -> Option<Waiting> {
        let mut waits = self.desk.waits();
        if waits.is_dead {
            return None;
        }
        let line = waits.lines.entry(self.no).or_default();
        if line.len() < LINE_MAX {
            line.push_back((published, token));
            return None;
        }
        let (desk, no) = (self.desk.clone(), self.no);
        Some(Box::pin(async move {
            loop {
                let room = desk.0.room.notified();
                let has_room = desk.waits().lines.entry(no).or_default().len() < LINE_MAX;
                if has_room {
                    break;
                }
                room.await;
            }
            let mut waits = desk.waits();
            if !waits.is_dead {
                waits.lines.entry(no).or_default().push_back((published, token));
            }
        }))
    }
}

/// Who may what: gateways by their names, each with the number of its credential. And what was counted.
#[derive(Debug, Default)]
pub(in crate::tests) struct Registry {
    credentials: Mutex<BTreeMap<String, i64>>,
    met: Mutex<BTreeSet<&'static str>>,
}

impl Registry {
    pub(super) fn allow(&self, owner: &str, credential: i64) {
        self.credentials().insert(owner.to_owned(), credential);
    }

    pub(super) fn is_allowed(&self, owner: &str) -> bool {
        self.credentials().contains_key(owner)
    }

    /// Gives the credential that it had.
    pub(super) fn revoke(&self, owner: &str) -> Option<i64> {
        self.credentials().remove(owner)
    }

    fn credentials(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Limits that were met since the beginning.
    pub(super) fn has_met(&self, limit: Limit) -> bool {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).contains(limit.name())
    }

    fn account(&self, owner: &str) -> Option<Account> {
        let credential = Some(*self.credentials().get(owner)?);
        Some(Account {
            owner: owner.into(),
            credential,
            rights: Rights::everything(),
            is_gateway: true,
            may_expire: false,
        })
    }
}

impl Permissions for Registry {
    fn sign_in(&self, who: &SignIn<'_>) -> Result<Account, Reason> {
        match who.username {
            None => Ok(Account::nameless()),
            Some(name) => self.account(name).ok_or(Reason::BadUsernameOrPassword),
        }
    }

    fn now(&self, owner: &Arc<str>, credential: Option<i64>, _: &str) -> Option<Account> {
        if owner.is_empty() {
            return Some(Account::nameless());
        }
        self.account(owner).filter(|own| own.credential == credential)
    }

    fn is_bound(&self, _: &str) -> bool {
        false
    }
}

impl Notices for Registry {
    fn limit(&self, limit: Limit, _: &str) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(limit.name());
    }

    fn refused(&self, _: &str, _: Reason) {}

    fn denied(&self, _: &str, _: &str) {}

    fn connected(&self, _: usize) {}

    fn acknowledged(&self, _: usize) {}
}
