//! How people and programs prove who they are: [`password`], [`session`], [`token`], [`oidc`], and what keeps guessers
//! away ([`throttle`]).

pub(crate) mod oidc;
pub(crate) mod password;
pub(crate) mod session;
pub(crate) mod throttle;
pub(crate) mod token;
