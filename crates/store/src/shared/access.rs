//! What readers ask about who may do what.

use sanimon_domain::TimestampMs;

use crate::error::Result;
use crate::model::{Account, Session, Token};
use crate::read;
use crate::shared::Shared;

impl Shared {
    pub fn account(&self, name: &str) -> Result<Option<Account>> {
        self.with_reader(|connection| read::account(connection, name))
    }

    /// The account of somebody who signs in at an OpenID provider: `issuer subject`.
    pub fn account_of_subject(&self, subject: &str) -> Result<Option<Account>> {
        self.with_reader(|connection| read::account_of_subject(connection, subject))
    }

    /// Everybody who may sign in, by name.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        self.with_reader(read::accounts)
    }

    /// The session of a token, if it is valid now.
    pub fn session(&self, token_sha256: &[u8; 32], now: TimestampMs) -> Result<Option<Session>> {
        self.with_reader(|connection| read::session(connection, token_sha256, now))
    }

    /// A program's key, if it is valid now, with whose it is.
    pub fn token(&self, token_sha256: &[u8; 32], now: TimestampMs) -> Result<Option<(Account, Token)>> {
        self.with_reader(|connection| read::token(connection, token_sha256, now))
    }

    /// An account's keys for programs, or everybody's.
    pub fn tokens(&self, account: Option<&str>) -> Result<Vec<Token>> {
        self.with_reader(|connection| read::tokens(connection, account))
    }
}
