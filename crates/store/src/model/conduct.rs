//! What the store keeps about people's side of alerts: windows, messages, versions of the rules, reports.

use std::sync::Arc;

use sanimon_alerting::{MaintenanceWindow, RuleSet};
use sanimon_domain::{AlertId, DeviceNo, ReportCategory, RuleId, Severity, TimestampMs, ZoneId};
use sanimon_operations::routing::Event;

/// A maintenance window or a snooze to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWindow {
    pub device: Option<DeviceNo>,
    pub zone: Option<ZoneId>,
    pub rule: Option<RuleId>,
    pub from: TimestampMs,
    pub to: TimestampMs,
    pub reason: String,
    pub who: String,
}

/// A maintenance window as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowEntry {
    pub window: MaintenanceWindow,
    pub reason: String,
    pub who: String,
    pub created_at: TimestampMs,
    /// Who ended it before its time.
    pub ended_by: Option<String>,
    /// How many alerts it kept from being raised, and when the last.
    pub suppressed: i64,
    pub last_suppressed_at: Option<TimestampMs>,
}

/// Rules to be put in force, and the text that they were read from.
#[derive(Debug, Clone)]
pub struct NewRules {
    pub rules: RuleSet,
    pub text: String,
}

/// Rules that are or were in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesVersion {
    pub no: i64,
    pub since: TimestampMs,
    pub text: String,
}

/// A message in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxMessage {
    pub id: i64,
    pub channel: String,
    /// `None`: a test.
    pub alert: Option<AlertId>,
    pub event: Event,
    pub at: TimestampMs,
    /// At the time of the event.
    pub severity: Severity,
    pub value: Option<f64>,
    pub who: Option<String>,
    pub note: Option<String>,
    pub escalated_to: Option<String>,
    /// To be told together with the other warnings.
    pub is_digest: bool,
    pub due_at: TimestampMs,
    pub expires_at: TimestampMs,
    pub attempts: u32,
    pub state: MessageState,
    /// Why it has not gone out; of one that was sent: whom it did not reach.
    pub error: Option<String>,
    pub done_at: Option<TimestampMs>,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    Waiting,
    Sent,
    /// Given up: nobody was told. It can be tried again.
    Dead,
}

impl MessageState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Sent, Self::Dead].into_iter().find(|state| state.as_str() == word)
    }
}

/// A message that waits, as far as its turn depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingMessage {
    pub id: i64,
    pub due_at: TimestampMs,
    pub expires_at: TimestampMs,
    pub attempts: u32,
    pub is_digest: bool,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryOutcome {
    pub id: i64,
    /// How often it had been tried before. An outcome that is told twice is noted once.
    pub attempts: u32,
    pub at: TimestampMs,
    pub result: DeliveryResult,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// It went out.
    Sent {
        /// Whom it did not reach, and why.
        note: Option<String>,
    },
    /// Not yet: again at this time.
    Later { at: TimestampMs, error: String },
    /// Given up.
    Dead { error: String },
}

/// The code of a place's sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceCode {
    pub code: String,
    pub place: Place,
}

/// Where residents report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Device(DeviceNo),
    Zone(ZoneId),
}

/// What a resident says.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// By which the resident sees what becomes of it.
    pub token: String,
    pub code: String,
    pub language: String,
    pub category: ReportCategory,
    pub text: Option<String>,
    /// JPEG.
    pub photo: Option<Arc<[u8]>>,
    /// English, Chinese: of the case that it opens if there is none at the place.
    pub title: [String; 2],
}

/// A report as it is kept. Text and photo are forgotten after the site's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub id: i64,
    pub token: String,
    pub code: String,
    pub alert: AlertId,
    pub at: TimestampMs,
    pub language: String,
    pub category: ReportCategory,
    pub text: Option<String>,
    pub has_photo: bool,
    pub satisfaction: Option<u8>,
}
