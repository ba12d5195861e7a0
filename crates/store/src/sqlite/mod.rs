//! The file: opening it and bringing it up to date, the writing transaction, readers' connections, checkpoints, copies.
//!
//! [`File`] is the one writing connection, owned by one thread. [`Tx`] is the only thing that can write: every statement of
//! the writer goes through it, so a test can let any of them fail ([`Faults`]). It knows statements, not subjects: what is
//! written stands beside its subject.

mod backup;
mod checkpoint;
mod faults;
mod file;
mod pool;
pub(crate) mod schema;
mod tx;
mod verify;

pub use backup::{backup, restore};
pub use faults::{Call, DiskFault, Faults};
pub use file::{Durability, File};
pub(crate) use pool::ReaderPool;
pub use tx::{CommitFailed, Tx};
pub use verify::{Verified, verify};
