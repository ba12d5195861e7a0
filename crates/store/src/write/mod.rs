//! Rows, written inside a transaction: one file a subject. Nothing is decided here.

mod access;
mod alerts;
mod deliver;
pub(crate) mod device_import;
mod mqtt;
mod outbox;
mod quarantine;
mod registry;
mod reports;
pub(crate) mod retention;
mod seal;
mod setup;
mod telemetry;
mod windows;

pub use alerts::{LevelRow, NewStep};
pub use outbox::ToldChange;
pub use quarantine::{QuarantineEntry, QuarantineGrowth, QuarantineLimits};
pub use registry::DEVICE_EVENTS_MAX;
pub use retention::{ExpiredBlock, Retention};
pub(crate) use windows::document;
