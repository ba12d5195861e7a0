//! What the store keeps, as the other crates see it.

mod access;
mod conduct;
mod setup;

pub use access::{Account, Credential, NewCredential, NewSession, NewToken, Session, Token};
pub use conduct::{
    DeliveryOutcome, DeliveryResult, MessageState, NewReport, NewRules, NewWindow, OutboxMessage, Place,
    PlaceCode, Report, RulesVersion, WaitingMessage, WindowEntry,
};
pub use sanimon_domain::mqtt::{
    MqttPart, OutgoingRow, Owed, ReceivedBy, Retain, RetainedRow, SessionChange, SessionRow, StoredMessage,
    StoredSessions, SubscriptionRow, WillRow,
};
pub use setup::{
    AuditEntry, NewAudit, NewPhoto, NewRound, PhotoEntry, PlannedStop, Round, RoundStop, SavedDocument,
    StopMark, StopState,
};

use sanimon_domain::device::INTERVAL_DEFAULT_MS;
use sanimon_domain::{
    AlertId, Calibration, Condition, DeviceId, DeviceKind, DeviceNo, GatewayId, Handling, HardwareId,
    MetricNo, Placement, Quality, Reason, RuleId, Severity, StepKind, Subject, TimestampMs, ZoneClass,
    ZoneId,
};
use sanimon_operations::teams::Facts;
use sanimon_operations::{CaseState, Deadlines};

/// How a device came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Entered by a person.
    Registered,
    /// Heard, and not yet accepted by a person. Its readings are kept and its rules run.
    Discovered,
    /// Deleted by a person: its history stays, its readings are still kept.
    Retired,
}

impl DeviceState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Discovered => "discovered",
            Self::Retired => "retired",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Registered, Self::Discovered, Self::Retired].into_iter().find(|state| state.as_str() == word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatLon {
    pub lat: f64,
    pub lon: f64,
}

/// What the registry knows of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    pub no: DeviceNo,
    pub id: DeviceId,
    pub name: String,
    pub kind: DeviceKind,
    pub zone: Option<ZoneId>,
    /// Who looks after it.
    pub team: Option<String>,
    pub district: String,
    /// Words that people sort devices by.
    pub tags: Vec<String>,
    pub state: DeviceState,
    /// What decodes its frames: a model that sanimon knows, or a codec of the configuration.
    pub model: Option<String>,
    /// What its messages call it, where that is not its id.
    pub hardware_id: Option<HardwareId>,
    pub place: Option<LatLon>,
    /// What its uplinks come through.
    pub gateway: Option<GatewayId>,
    /// How often it is expected to report, in milliseconds.
    pub interval_ms: Option<i64>,
    /// What a bin holds, in litres.
    pub volume_l: Option<f64>,
    pub calibration: Calibration,
    /// What the next distance will be taken for.
    pub calibrate_next: Option<CalibrationPoint>,
    pub first_seen_at: TimestampMs,
    /// What the status topic said last, and when.
    pub online: Option<(bool, TimestampMs)>,
}

/// An end of the scale that a person calibrates on site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalibrationPoint {
    Empty,
    Full,
}

impl CalibrationPoint {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Full => "full",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Empty, Self::Full].into_iter().find(|point| point.as_str() == word)
    }
}

/// Something that a device said besides readings, once for each word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEvent {
    pub device: DeviceNo,
    /// A metric's name, or `device`.
    pub about: Box<str>,
    pub what: Box<str>,
    /// As it was said last.
    pub detail: Option<Box<str>>,
    pub count: i64,
    pub first_at: TimestampMs,
    pub last_at: TimestampMs,
}

impl DeviceEvent {
    /// What a person says of a device: its place was cleaned. The device itself has said nothing.
    pub const CLEANED: &str = "cleaned";
}

/// A reading that is not simply believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubted {
    pub device: DeviceNo,
    pub metric: MetricNo,
    pub at: TimestampMs,
    pub received_at: TimestampMs,
    pub value: f64,
    pub quality: Quality,
    pub reason: Reason,
    /// The next reading decides whether it was right.
    pub held: bool,
}

/// Hardware that a device had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedHardware {
    pub hardware_id: String,
    pub model: Option<String>,
    pub replaced_at: TimestampMs,
}

/// A zone of the town.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    pub id: ZoneId,
    pub name_en: String,
    pub name_zh: String,
    pub class: ZoneClass,
    /// `[lon, lat]` corners, the first repeated at the end.
    pub outline: Vec<[f64; 2]>,
    /// Who live there: for reports per thousand of them.
    pub inhabitants: Option<u32>,
}

impl Device {
    /// A device of which nothing else is known yet. The store gives its number when it is entered.
    pub fn new(id: DeviceId, kind: DeviceKind, first_seen_at: TimestampMs) -> Self {
        Self {
            no: DeviceNo(0),
            id,
            name: String::new(),
            kind,
            zone: None,
            team: None,
            district: String::new(),
            tags: Vec::new(),
            state: DeviceState::Registered,
            model: None,
            hardware_id: None,
            place: None,
            gateway: None,
            interval_ms: None,
            volume_l: None,
            calibration: Calibration::default(),
            calibrate_next: None,
            first_seen_at,
            online: None,
        }
    }

    /// What rules select by.
    pub fn placement(&self, zone_class: Option<ZoneClass>) -> Placement {
        let interval_ms = self.expected_interval_ms();
        let (zone, gateway, tags) = (self.zone.clone(), self.gateway.clone(), self.tags.clone());
        Placement { kind: self.kind, zone, zone_class, gateway, tags, interval_ms }
    }

    /// How often it is expected to report, also when nobody has said.
    pub fn expected_interval_ms(&self) -> i64 {
        self.interval_ms.unwrap_or(INTERVAL_DEFAULT_MS)
    }
}

/// A point of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub at: TimestampMs,
    pub value: f64,
}

/// The newest reading of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latest {
    pub metric: MetricNo,
    pub at: TimestampMs,
    pub received_at: TimestampMs,
    pub value: f64,
}

/// An alert as it stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub id: AlertId,
    pub subject: Subject,
    pub rule: RuleId,
    /// Of the rules that raised it.
    pub rules_version: Option<i64>,
    pub title_en: String,
    pub title_zh: String,
    pub metric: MetricNo,
    /// Where it was raised: a device may move.
    pub zone: Option<ZoneId>,
    pub severity: Severity,
    pub condition: Condition,
    pub handling: Handling,
    /// At the last transition; `None`: there was none to tell.
    pub value: Option<f64>,
    /// When the condition began to hold, by the time of the readings.
    pub raised_at: TimestampMs,
    /// When sanimon knew: deadlines and messages count from here.
    pub known_at: TimestampMs,
    pub changed_at: TimestampMs,
    pub cleared_at: Option<TimestampMs>,
    /// The wider alert that stands for it.
    pub replaced_by: Option<AlertId>,
    pub deadlines: Deadlines,
    pub acknowledged_at: Option<TimestampMs>,
    pub arrived_at: Option<TimestampMs>,
    /// Whose it is: the responsible team when it was raised, then whoever it was sent to.
    pub assignee: Option<String>,
    /// How often a missed deadline was told, when last and to whom.
    pub escalations: u32,
    pub escalated_at: Option<TimestampMs>,
    pub escalated_to: Option<String>,
    /// When the next missed deadline is to be told; `None`: nothing is waited for.
    pub next_escalation_at: Option<TimestampMs>,
    /// A resident's report opened it: it has no sensor, its condition is what people say.
    pub is_report: bool,
    /// Who said that it is done.
    pub handled_by: Option<String>,
    pub handled_at: Option<TimestampMs>,
    /// When it was verified or dismissed.
    pub closed_at: Option<TimestampMs>,
}

impl Alert {
    /// An open one that nobody owns yet, known when it was raised. What else it has is to be filled in.
    pub fn new(
        id: AlertId,
        subject: Subject,
        rule: RuleId,
        severity: Severity,
        raised_at: TimestampMs,
    ) -> Self {
        Self {
            id,
            subject,
            rule,
            rules_version: None,
            title_en: String::new(),
            title_zh: String::new(),
            metric: MetricNo(0),
            zone: None,
            severity,
            condition: Condition::Active,
            handling: Handling::New,
            value: None,
            raised_at,
            known_at: raised_at,
            changed_at: raised_at,
            cleared_at: None,
            replaced_by: None,
            deadlines: Deadlines::default(),
            acknowledged_at: None,
            arrived_at: None,
            assignee: None,
            escalations: 0,
            escalated_at: None,
            escalated_to: None,
            next_escalation_at: None,
            is_report: false,
            handled_by: None,
            handled_at: None,
            closed_at: None,
        }
    }

    /// Its case, as far as what follows from a change depends on it.
    pub fn case_state(&self, zone_class: Option<ZoneClass>) -> CaseState {
        CaseState {
            severity: self.severity,
            condition: self.condition,
            handling: self.handling,
            zone: self.zone.clone(),
            zone_class,
            owner: self.assignee.clone(),
            deadlines: self.deadlines,
            is_acknowledged: self.acknowledged_at.is_some(),
            has_arrived: self.arrived_at.is_some(),
            escalations: self.escalations,
            escalated_at: self.escalated_at,
        }
    }
}

/// Where a subject is, as far as the owner and the deadlines of its case depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseSetting {
    pub kind: Option<DeviceKind>,
    pub zone: Option<ZoneId>,
    pub zone_class: Option<ZoneClass>,
    /// The team that the registry names for the device.
    pub team: Option<String>,
}

impl CaseSetting {
    pub fn facts(&self) -> Facts<'_> {
        let Self { kind, zone, zone_class, team } = self;
        Facts { kind: *kind, zone: zone.as_ref(), zone_class: *zone_class, team: team.as_deref() }
    }
}

/// One entry of an alert's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub at: TimestampMs,
    pub kind: StepKind,
    /// `None`: the engine.
    pub who: Option<String>,
    pub severity: Severity,
    pub value: Option<f64>,
    pub note: Option<String>,
    /// To whom the step gave it.
    pub assignee: Option<String>,
}

/// An entry of the quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct Quarantined {
    pub id: i64,
    pub topic: String,
    pub source: String,
    pub code: String,
    pub message: String,
    pub payload: Vec<u8>,
    pub payload_bytes: i64,
    pub count: i64,
    pub first_at: TimestampMs,
    pub last_at: TimestampMs,
}

/// A value from a retained message without a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LastKnown {
    pub metric: MetricNo,
    pub value: f64,
    pub received_at: TimestampMs,
}
