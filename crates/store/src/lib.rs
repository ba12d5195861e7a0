//! The store: one SQLite file, and what of it is kept in memory. It reads and writes rows; it decides nothing.
//!
//! * [`Store::open`] gives the [`File`] and the [`Memory`] (the writer owns both) and [`Shared`] (cloned to everyone who reads).
//! * [`Tx`] is a transaction: every row is written by one of its methods. What readers see changes only through
//!   [`Memory`], after the commit. Nothing is visible before it is durable.
//! * Telemetry goes to an append-only journal and is sealed in the background into compressed blocks
//!   ([`seal`]); [`Shared::telemetry`] gives the same answer whatever is sealed.
//! * [`Class`] tells errors apart: what passes, what never will, what ends the writer.
//!
//! It does *not* decide anything: what is a duplicate, what raises an alert and who may do what is decided by the
//! `writer`. It opens no socket but those to InfluxDB.

#![forbid(unsafe_code)]

mod access;
mod aggregate;
mod block;
mod damage;
mod days;
mod directory;
mod error;
mod failure;
mod feed;
mod health;
mod hot;
mod influx;
mod journal;
mod memory;
mod model;
mod pack;
mod parts;
mod read;
mod rebuild;
mod recent;
mod seal;
mod sealed;
mod shared;
mod sqlite;
mod write;

pub use access::{Access, secret_digest};
pub use aggregate::Function;
pub use directory::{Directory, DirectoryState};
pub use error::{Result, StoreError};
pub use failure::Class;
pub use feed::{Committed, Event, Feed, FeedReading, Subscription};
pub use health::{Counters, Health, LimitCounters, Offender, Part, Parts, SourceState};
pub use hot::{Hot, HotState};
pub use influx::deliver::{Delivery, DeliveryJob, DeliveryStep};
pub use influx::lines::line;
pub use influx::{BucketState, Influx, InfluxOptions, Setup};
pub use journal::{Digest, JournalMessage, JournalReading};
pub use memory::{Memory, RecentChange};
pub use model::{
    Account, Alert, AuditEntry, CalibrationPoint, CaseSetting, Credential, DeliveryOutcome, DeliveryResult,
    Device, DeviceEvent, DeviceState, Doubted, LastKnown, LatLon, Latest, MessageState, MqttPart, NewAudit,
    NewCredential, NewPhoto, NewReport, NewRound, NewRules, NewSession, NewToken, NewWindow, OutboxMessage,
    OutgoingRow, Owed, PhotoEntry, Place, PlaceCode, PlannedStop, Point, Quarantined, ReceivedBy,
    ReplacedHardware, Report, Retain, RetainedRow, Round, RoundStop, RulesVersion, SavedDocument, Session,
    SessionChange, SessionRow, Step, StopMark, StopState, StoredMessage, StoredSessions, SubscriptionRow,
    Token, WaitingMessage, WillRow, WindowEntry, Zone,
};
pub use parts::in_parts;
pub use read::{
    AlertCursor, AlertFilter, AlertList, AlertOrder, EngineMemory, OpenAlertCounts, Page, RememberedLevel,
    WindowQuery,
};
pub use recent::{RECENT_MESSAGES_MAX, REDELIVERY_WINDOW_MS, RecentMessage, RecentMessages};
pub use seal::{SealJob, SealStep, SeriesChange};
pub use sealed::Series;
pub use shared::{META_IMPORTED_AT, META_NEXT_METRIC, Shared, Standing, Store};
pub use sqlite::schema::DATA_VERSION;
pub use sqlite::{
    Call, CommitFailed, DiskFault, Durability, Faults, File, Tx, Verified, backup, restore, verify,
};
pub use write::{
    DEVICE_EVENTS_MAX, ExpiredBlock, LevelRow, NewStep, QuarantineEntry, QuarantineGrowth, QuarantineLimits,
    Retention, ToldChange,
};

#[cfg(test)]
mod tests;
