//! What people set up and plan: who changed what, rounds of collection, photos of work.

use sanimon_domain::{AlertId, DeviceNo, TimestampMs};

/// A change that is to be remembered with who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    pub at: TimestampMs,
    pub who: String,
    /// `device.put`, `rules.save`, ...
    pub what: &'static str,
    /// The id of what is changed; empty: the site.
    pub about: String,
    /// JSON, without secrets.
    pub detail: String,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: i64,
    pub at: TimestampMs,
    pub who: String,
    pub what: String,
    pub about: String,
    pub detail: String,
}

/// A document that people save in the console: rules, zones or teams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedDocument {
    pub name: String,
    pub text: String,
    /// The SHA-256 of what its file said before; `None`: there was no file.
    pub replaces: Option<[u8; 32]>,
    /// Its file says this text.
    pub is_in_file: bool,
}

/// What became of a stop of a round, as people say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopState {
    Open,
    Done,
    Skipped,
}

impl StopState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Skipped => "skipped",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Done, Self::Skipped].into_iter().find(|state| state.as_str() == word)
    }
}

/// A round to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRound {
    pub vehicle: String,
    pub team: Option<String>,
    pub from: TimestampMs,
    pub to: TimestampMs,
    pub length_m: i64,
    pub made_by: String,
    /// In their order.
    pub stops: Vec<PlannedStop>,
}

/// Where a round stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedStop {
    pub device: DeviceNo,
    /// From 0; the vehicle returns to its depot between trips.
    pub trip: u32,
    pub at: TimestampMs,
    /// As it is expected at that time.
    pub fill_pct: f64,
}

/// A stop with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundStop {
    pub n: u32,
    pub planned: PlannedStop,
    pub state: StopState,
    pub state_at: Option<TimestampMs>,
    pub state_by: Option<String>,
    pub note: Option<String>,
}

/// A round as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    pub id: i64,
    pub vehicle: String,
    pub team: Option<String>,
    pub from: TimestampMs,
    pub to: TimestampMs,
    pub length_m: i64,
    pub made_by: String,
    pub made_at: TimestampMs,
    pub ended_by: Option<String>,
    pub ended_at: Option<TimestampMs>,
    pub stops: Vec<RoundStop>,
}

/// What somebody says of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopMark {
    pub round: i64,
    pub n: u32,
    pub state: StopState,
    pub who: String,
    pub note: Option<String>,
}

/// A photo that a crew adds to an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPhoto {
    pub alert: AlertId,
    pub who: String,
    /// JPEG.
    pub photo: Vec<u8>,
}

/// A photo without its picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoEntry {
    pub id: i64,
    pub at: TimestampMs,
    pub who: String,
}
