//! Passwords: Argon2id, checked a few at a time, and the same way for names that nobody has.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use axum::http::StatusCode;
use rand::Rng;
use sanimon_store::Account;
use tokio::sync::Semaphore;

use crate::error::Problem;

/// OWASP's choice with the largest memory: 46 MiB, 1 pass, 1 lane. An allocation above 32 MiB always gets pages of
/// its own from glibc, which go back when the check is over. With the 19 MiB of the crate's default, each thread
/// that ever checked a password kept them: 8 sign-ins held 140 MB on a small box.
const ARGON2_MEMORY_KIB: u32 = 46 * 1024;
/// Checks at once: each takes the memory above and some tens of milliseconds by design.
const AT_ONCE_MAX: usize = 1;
/// Checks that wait. More are refused: a flood of them must not keep people waiting for minutes.
const WAITING_MAX: usize = 40;

/// NIST SP 800-63B asks for at least 8 characters of a password that a person chooses.
const CHARS_MIN: usize = 8;
const CHARS_MAX: usize = 256;

/// Where passwords are checked and hashed.
#[derive(Debug)]
pub(crate) struct Passwords {
    at_once: Semaphore,
    waiting: AtomicUsize,
}

/// Counts who waits, also when the asker goes away meanwhile.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { at_once: Semaphore::new(AT_ONCE_MAX), waiting: AtomicUsize::new(0) }
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_MAX {
            let text = "too many people are signing in: try again in a moment";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).after_s(2));
        }
        let _permit = self.at_once.acquire().await.map_err(Problem::internal)?;
        let done = tokio::task::spawn_blocking(work).await.map_err(Problem::internal);
        drop(waiting);
        done
    }

    /// The account, if this is its password. An unknown name takes as long.
    pub(crate) async fn matching(
        &self,
        account: Option<Account>,
        password: String,
    ) -> Result<Option<Account>, Problem> {
        self.work(move || check(account, &password)).await
    }

    pub(crate) async fn hashed(&self, password: String) -> Result<String, Problem> {
        self.work(move || hash_password(&password)).await?.map_err(Problem::internal)
    }
}

/// Checks against a hash that nobody has when the name is unknown or has no password, so that all take the same time.
fn check(account: Option<Account>, password: &str) -> Option<Account> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let nobody = || NOBODY.get_or_init(|| hash_password(&random_password()).unwrap_or_default());
    let known = account.filter(|account| !account.password_hash.is_empty());
    let hash = known.as_ref().map_or_else(nobody, |account| &account.password_hash);
    let parsed = PasswordHash::new(hash).ok()?;
    argon2().verify_password(password.as_bytes(), &parsed).ok()?;
    known
}

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(ARGON2_MEMORY_KIB, 1, 1, None).expect("the parameters are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The PHC string of a password (Argon2id, OWASP's parameters). Takes tens of milliseconds.
pub fn hash_password(password: &str) -> Result<String, String> {
    argon2()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// A password that is shown once: 16 letters and digits that cannot be mistaken for one another.
pub fn random_password() -> String {
    random_text(16)
}

pub(crate) fn sound_password(password: &str) -> Result<(), Problem> {
    let length = password.chars().count();
    if (CHARS_MIN..=CHARS_MAX).contains(&length) {
        return Ok(());
    }
    Err(Problem::bad_request(format!("a password has {CHARS_MIN} to {CHARS_MAX} characters")))
}

/// An account's name: what fits a log line and a URL.
pub fn valid_account_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'))
}

/// Letters and digits that nobody mistakes for one another: 5.75 bits each.
pub fn random_text(length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789";
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
}
