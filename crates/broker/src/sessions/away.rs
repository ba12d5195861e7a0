//! Sessions whose clients are away: when something is due of them, and who has how many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sanimon_domain::SessionKey;

#[derive(Debug, Default)]
pub(super) struct Away {
    /// When something is due.
    due: BTreeSet<(i64, SessionKey)>,
    /// By owner, since when.
    since: BTreeMap<Arc<str>, BTreeSet<(i64, SessionKey)>>,
    number: usize,
}

impl Away {
    pub(super) const fn len(&self) -> usize {
        self.number
    }

    pub(super) fn enter(&mut self, key: &SessionKey, since_ms: i64, due_ms: i64) {
        self.due.insert((due_ms, key.clone()));
        let is_new = self.since.entry(key.owner.clone()).or_default().insert((since_ms, key.clone()));
        self.number += usize::from(is_new);
    }

    pub(super) fn leave(&mut self, key: &SessionKey, since_ms: i64, due_ms: i64) {
        self.due.remove(&(due_ms, key.clone()));
        let Some(own) = self.since.get_mut(&key.owner) else { return };
        self.number -= usize::from(own.remove(&(since_ms, key.clone())));
        if own.is_empty() {
            self.since.remove(&key.owner);
        }
    }

    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Something was due by now; it is no longer entered as such.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Option<SessionKey> {
        self.due.first().filter(|(at, _)| *at <= now_ms)?;
        self.due.pop_first().map(|(_, key)| key)
    }

    pub(super) fn put_due(&mut self, key: &SessionKey, at_ms: i64) {
        self.due.insert((at_ms, key.clone()));
    }

    pub(super) fn of_owner(&self, owner: &Arc<str>) -> usize {
        self.since.get(owner).map_or(0, BTreeSet::len)
    }

    pub(super) fn oldest_of(&self, owner: &Arc<str>) -> Option<SessionKey> {
        self.since.get(owner)?.first().map(|(_, key)| key.clone())
    }

    pub(super) fn oldest_of_fullest(&self) -> Option<SessionKey> {
        let (_, fullest) = self.since.iter().max_by_key(|(_, own)| own.len())?;
        fullest.first().map(|(_, key)| key.clone())
    }

    #[cfg(test)]
    pub(super) fn due(&self) -> usize {
        self.due.len()
    }
}
