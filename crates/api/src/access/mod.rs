//! Who may do what: roles, zones, and the [`table`] of endpoints. [`guard`] asks it before a handler is reached.

pub(crate) mod client;
pub(crate) mod guard;
mod remembered;
pub(crate) mod table;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use sanimon_domain::{TimestampMs, ZoneId};
use sanimon_store::{Account, Device};

use crate::error::Problem;
use crate::state::ApiState;

pub(crate) use remembered::{Kind, Remembered};

/// What a person may do, each all of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Viewer,
    Crew,
    Dispatcher,
    Manager,
    Admin,
}

/// Roles in the order of what they may do.
pub const ROLES: [&str; 5] = ["viewer", "crew", "dispatcher", "manager", "admin"];

impl Role {
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Crew, Self::Dispatcher, Self::Manager, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        ROLES[self as usize]
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// By what somebody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    Session {
        token_sha256: [u8; 32],
        /// When this token was given, and when the person signed in.
        created_at: TimestampMs,
        signed_in_at: TimestampMs,
    },
    /// A program's key, with its scopes.
    Token { token_sha256: [u8; 32], scopes: Arc<[String]> },
}

/// Who asks. As a handler's argument it refuses everyone who is not signed in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Empty: the whole site.
    pub(crate) zones: Arc<[ZoneId]>,
    pub(crate) proof: Proof,
}

impl User {
    /// `None`: the account's role is none that is known.
    pub(crate) fn new(account: Account, proof: Proof) -> Option<Self> {
        let Account { name, role, zones, .. } = account;
        Some(Self { name, role: Role::parse(&role)?, zones: zones.into(), proof })
    }

    /// Refuses roles below this one.
    pub(crate) fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let text = format!("this needs the role {}; yours is {}", role.as_str(), self.role.as_str());
        Err(Problem::new(StatusCode::FORBIDDEN, text))
    }

    pub(crate) fn sees_whole_site(&self) -> bool {
        self.zones.is_empty()
    }

    /// Whether something in this zone, or in none, is the account's to see.
    pub(crate) fn sees(&self, zone: Option<&ZoneId>) -> bool {
        self.sees_whole_site() || zone.is_some_and(|zone| self.zones.contains(zone))
    }

    /// The zones that a question is about: those that it names and the account sees; empty: all. `None`: none of them.
    pub(crate) fn zones_of(&self, asked: Vec<String>) -> Option<Vec<String>> {
        if self.sees_whole_site() {
            return Some(asked);
        }
        let own = self.zones.iter().map(ToString::to_string);
        let both: Vec<String> = own.filter(|zone| asked.is_empty() || asked.contains(zone)).collect();
        (!both.is_empty()).then_some(both)
    }

    /// The zones that the account is limited to; empty: the whole site.
    pub(crate) fn own_zones(&self) -> Vec<String> {
        self.zones.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn sees_device(&self, device: &Device) -> bool {
        self.sees(device.zone.as_ref())
    }

    /// Refuses to put something where the account sees nothing.
    pub(crate) fn require_zone(&self, zone: Option<&ZoneId>) -> Result<(), Problem> {
        if self.sees(zone) {
            return Ok(());
        }
        let own: Vec<&str> = self.zones.iter().map(ZoneId::as_str).collect();
        let text = format!("your account is limited to the zones {}", own.join(", "));
        Err(Problem::new(StatusCode::FORBIDDEN, text))
    }
}

impl FromRequestParts<ApiState> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &ApiState) -> Result<Self, Problem> {
        // The guard has looked who it is.
        parts.extensions.get::<Self>().cloned().ok_or_else(guard::nobody)
    }
}
