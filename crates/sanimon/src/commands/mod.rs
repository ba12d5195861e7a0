//! One file a command: its arguments, and what it does.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod certificate;
pub(crate) mod check;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod device;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod import;
mod offline;
mod operators;
pub(crate) mod place;
pub(crate) mod replay;
pub(crate) mod rules;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod user;
