//! Sessions and tokens that were looked up lately: a request asks the file only when something changed.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use sanimon_domain::TimestampMs;
use sanimon_store::Access;

use super::User;

/// More are forgotten all at once, and asked for again: a table that a flood of made-up tokens cannot grow, for only
/// valid ones are remembered.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Remembered(RwLock<HashMap<[u8; 32], Known>>);

#[derive(Debug)]
struct Known {
    user: User,
    expires_at: TimestampMs,
    /// Of [`Access`], before it was looked up.
    version: u64,
}

impl Remembered {
    pub(crate) fn find(&self, digest: &[u8; 32], access: &Access, now: TimestampMs) -> Option<User> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = table.get(digest)?;
        (known.version == access.version() && known.expires_at > now).then(|| known.user.clone())
    }

    pub(crate) fn put(&self, digest: [u8; 32], user: User, expires_at: TimestampMs, version: u64) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= REMEMBERED_MAX {
            table.clear();
        }
        table.insert(digest, Known { user, expires_at, version });
    }
}
