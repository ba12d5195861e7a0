//! Who may do what: people, their sessions and programs, and devices.

use sanimon_domain::{TimestampMs, ZoneId};

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    /// Argon2id, as a PHC string. Empty: the person signs in elsewhere (OIDC).
    pub password_hash: String,
    /// `viewer`, `crew`, `dispatcher`, `manager`, `admin`
    pub role: String,
    /// All that the person sees and does something about; empty: the whole site.
    pub zones: Vec<ZoneId>,
    /// `issuer subject` at an OpenID provider.
    pub oidc_subject: Option<String>,
}

impl Account {
    /// An account of the whole site with a password.
    pub fn new(name: &str, password_hash: String, role: &str) -> Self {
        Self {
            name: name.to_owned(),
            password_hash,
            role: role.to_owned(),
            zones: Vec::new(),
            oidc_subject: None,
        }
    }
}

/// A session that is to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    pub token_sha256: [u8; 32],
    pub account: String,
    /// When this token was given.
    pub now: TimestampMs,
    /// When the person proved who they are.
    pub signed_in_at: TimestampMs,
    pub expires_at: TimestampMs,
}

/// A session that is valid now, with whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub account: Account,
    pub created_at: TimestampMs,
    pub signed_in_at: TimestampMs,
    pub expires_at: TimestampMs,
}

/// A program's key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    pub token_sha256: [u8; 32],
    pub account: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub now: TimestampMs,
    pub expires_at: TimestampMs,
}

/// A program's key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: i64,
    pub account: String,
    pub name: String,
    /// `read`, `alerts`, `devices`, `setup`
    pub scopes: Vec<String>,
    pub created_at: TimestampMs,
    pub expires_at: TimestampMs,
}

/// A device's credential that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// The device's id, or a gateway's name.
    pub username: String,
    pub salt: [u8; 16],
    /// Of salt and secret ([`crate::secret_digest`]).
    pub secret_sha256: [u8; 32],
    /// Topic filters; empty: the device's own topics.
    pub publish: Vec<String>,
    pub subscribe: Vec<String>,
    pub created_by: String,
    /// Until when those that the username has already stay valid; `None`: they stay as they are.
    pub others_until: Option<TimestampMs>,
}

/// A device's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub id: i64,
    pub username: String,
    pub salt: [u8; 16],
    pub secret_sha256: [u8; 32],
    pub publish: Vec<String>,
    pub subscribe: Vec<String>,
    pub created_at: TimestampMs,
    pub created_by: String,
    /// `None`: until it is revoked.
    pub expires_at: Option<TimestampMs>,
}
