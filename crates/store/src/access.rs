//! What is kept in memory of who may do what: devices' credentials, and a number that says when anything changed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sanimon_domain::TimestampMs;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::model::Credential;

/// The digest that a device's secret is known by. Secrets are random and long, so a fast hash is enough: nobody can try
/// them all, and a storm of connections costs little.
pub fn secret_digest(salt: &[u8; 16], secret: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(secret).finalize().into()
}

/// Who may do what, as readers on the hot paths ask it.
#[derive(Debug, Default)]
pub struct Access {
    /// Raised with each change of accounts, sessions, tokens and credentials: what was remembered before is void.
    version: watch::Sender<u64>,
    credentials: RwLock<HashMap<String, Vec<Arc<Credential>>>>,
}

impl Access {
    /// What was remembered at another version is void.
    pub fn version(&self) -> u64 {
        *self.version.borrow()
    }

    pub(crate) fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Changes when anybody's rights do.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn set_credentials(&self, all: Vec<Credential>) {
        let mut by_name: HashMap<String, Vec<Arc<Credential>>> = HashMap::new();
        for credential in all {
            by_name.entry(credential.username.clone()).or_default().push(Arc::new(credential));
        }
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = by_name;
    }

    /// The credential that this secret belongs to, if it is valid now.
    pub fn credential(&self, username: &str, secret: &[u8], now: TimestampMs) -> Option<Arc<Credential>> {
        let table = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        // The comparison's time says something about digests at most, which nobody can choose.
        table
            .get(username)?
            .iter()
            .find(|known| is_valid(known, now) && secret_digest(&known.salt, secret) == known.secret_sha256)
            .cloned()
    }

    /// A credential that somebody signed in with, if it is still valid.
    pub fn valid_credential(&self, username: &str, id: i64, now: TimestampMs) -> Option<Arc<Credential>> {
        let table = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        table.get(username)?.iter().find(|known| known.id == id && is_valid(known, now)).cloned()
    }

    /// All credentials of a name, the newest last.
    pub fn credentials_of(&self, username: &str) -> Vec<Arc<Credential>> {
        let table = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        table.get(username).cloned().unwrap_or_default()
    }

    /// Every name with a credential, in order.
    pub fn usernames(&self) -> Vec<String> {
        let table = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = table.keys().cloned().collect();
        names.sort();
        names
    }
}

fn is_valid(credential: &Credential, now: TimestampMs) -> bool {
    credential.expires_at.is_none_or(|at| at > now)
}
