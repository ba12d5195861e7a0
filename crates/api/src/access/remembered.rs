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
pub(crate) struct Remembered(RwLock<HashMap<(Kind, [u8; 32]), Known>>);

/// What a digest is of. The same text as the other kind is something else: it is no session because it is a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Session,
    Token,
}

#[derive(Debug)]
struct Known {
    user: User,
    expires_at: TimestampMs,
    /// Of [`Access`], before it was looked up.
    version: u64,
}

impl Remembered {
    pub(crate) fn find(&self, key: &(Kind, [u8; 32]), access: &Access, now: TimestampMs) -> Option<User> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = table.get(key)?;
        (known.version == access.version() && known.expires_at > now).then(|| known.user.clone())
    }

    pub(crate) fn put(&self, key: (Kind, [u8; 32]), user: User, expires_at: TimestampMs, version: u64) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= REMEMBERED_MAX {
            table.clear();
        }
        table.insert(key, Known { user, expires_at, version });
    }
}
