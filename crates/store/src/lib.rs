//! The store: one SQLite file, and what of it is kept in memory.
//!
//! * [`Store::open`] gives the [`Writer`] (one thread owns it) and [`Shared`] (cloned to everyone who reads).
//! * [`Group`] is what one transaction holds; [`Writer::commit`] syncs it, then updates the memory and the
//!   [`Feed`]. Nothing is visible before it is durable.
//! * Telemetry goes to an append-only journal and is sealed in the background into compressed blocks
//!   ([`seal`]); [`Shared::telemetry`] gives the same answer whatever is sealed.
//!
//! It does *not* decide anything: what is a duplicate, what raises an alert and who may do what is decided by
//! its callers. It opens no socket.

#![forbid(unsafe_code)]

mod access;
mod aggregate;
mod backup;
mod block;
mod command;
mod days;
mod directory;
mod error;
mod feed;
mod health;
mod hot;
mod influx;
mod journal;
mod model;
mod pack;
mod parts;
mod read;
mod rebuild;
mod schema;
mod seal;
mod sealed;
mod shared;
mod verify;
mod write;

pub use access::{Access, secret_digest};
pub use aggregate::Function;
pub use backup::{backup, restore};
pub use command::{AccessCommand, AlertAction, Command, CommandError, Reply, SetupCommand};
pub use directory::{Directory, DirectoryState};
pub use error::{Result, StoreError};
pub use feed::{Committed, Event, Feed, FeedReading, Subscription};
pub use health::{Counters, Health, SourceState};
pub use hot::{Hot, HotState};
pub use influx::deliver::{DeliveryJob, DeliveryStep};
pub use influx::lines::line;
pub use influx::{BucketState, Influx, InfluxOptions, Setup};
pub use journal::{Digest, JournalMessage, JournalReading};
pub use model::{
    Account, Alert, AuditEntry, CalibrationPoint, Credential, DeliveryOutcome, DeliveryResult, Device,
    DeviceEvent, DeviceState, Doubted, LastKnown, LatLon, Latest, MessageState, NewAudit, NewCredential,
    NewPhoto, NewReport, NewRound, NewRules, NewSession, NewToken, NewWindow, OutboxMessage, PhotoEntry,
    Place, PlaceCode, PlannedStop, Point, Quarantined, ReplacedHardware, Report, Round, RoundStop,
    RulesVersion, Session, Step, StopMark, StopState, Token, WindowEntry, Zone,
};
pub use parts::in_parts;
pub use read::{AlertFilter, EngineMemory, Page, RememberedLevel, WindowQuery};
pub use schema::DATA_VERSION;
pub use seal::{SealJob, SealStep};
pub use shared::{Shared, Standing, Store};
pub use verify::{Verified, verify};
pub use write::{Group, QuarantineEntry, REPORT_RULE, Retention, Writer};

#[cfg(test)]
mod tests;
