//! What the API needs of the files that the site is set up by. The binary knows how they are written.

use std::sync::Arc;

use sanimon_alerting::RuleSet;
use sanimon_domain::TimestampMs;
use sanimon_operations::Teams;
use sanimon_store::{NewRules, Shared, Zone};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::devices::table::TableFault;

/// A file that people may change in the console, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupDocument {
    Rules,
    Zones,
    Teams,
}

impl SetupDocument {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Zones => "zones",
            Self::Teams => "teams",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Rules, Self::Zones, Self::Teams].into_iter().find(|document| document.as_str() == word)
    }
}

/// A document that was read, and has no fault.
#[derive(Debug)]
pub enum Checked {
    Rules(Box<NewRules>),
    Zones(Vec<Zone>),
    Teams(Box<Teams>),
}

/// A change of a document's text. What it does not touch stays as it is written, comments included.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The table's key: `rule`, `zone`, `team`, `goals`, ...
    pub table: String,
    /// Which of `[[table]]`, by its `id`; left out: the `[table]` itself.
    pub id: Option<String>,
    /// What stands there afterwards; null or left out: nothing.
    #[schema(value_type = Option<Object>)]
    pub entry: Option<serde_json::Map<String, serde_json::Value>>,
    /// All of `[[table]]`, for those without an `id`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub entries: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
}

/// How many alerts a rule raised under the rules in force and under the draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TriedRule {
    pub rule: String,
    pub then: usize,
    pub now: usize,
    pub both: usize,
    pub only_then: usize,
    pub only_now: usize,
}

/// An alert that only one of both raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TriedAlert {
    pub rule: String,
    /// A device, a zone or a gateway.
    pub about: String,
    pub severity: String,
    pub raised_at: String,
    /// Null: it was open at the end.
    pub cleared_at: Option<String>,
}

/// A draft of the rules on real history, beside the rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tried {
    pub from: String,
    pub to: String,
    pub readings: usize,
    pub took_ms: u64,
    pub rules: Vec<TriedRule>,
    /// The first ones of those that the draft raises in addition.
    pub more: Vec<TriedAlert>,
    /// The first ones of those that it does not raise any more.
    pub fewer: Vec<TriedAlert>,
}

/// A file that is written, and not in its place yet. Dropped it is gone.
pub trait StagedFile: Send {
    /// Moves it into place: after a crash there is the old one or the new one.
    fn put_in_place(self: Box<Self>) -> Result<(), String>;
}

/// The site's files.
pub trait SetupSource: Send + Sync + std::fmt::Debug {
    /// The file's name, for those who look for a fault.
    fn name(&self, document: SetupDocument) -> String;
    /// A document's text as it is now.
    fn text(&self, document: SetupDocument, zones: &[Arc<Zone>]) -> Result<String, String>;
    /// Reads a text; gives every fault with its line.
    fn check(&self, document: SetupDocument, text: &str) -> Result<Checked, Vec<TableFault>>;
    /// What a text says, as JSON; null for what is no TOML.
    fn entries(&self, text: &str) -> serde_json::Value;
    fn edit(&self, text: &str, edits: &[Edit]) -> Result<String, String>;
    /// The SHA-256 of what a document's file says now; `None`: there is no file.
    fn file_digest(&self, document: SetupDocument) -> Option<[u8; 32]>;
    /// Writes a document beside its place, synced. An error says what to do.
    fn stage(&self, document: SetupDocument, text: &str) -> Result<Box<dyn StagedFile>, String>;
    /// Runs both over stored history.
    fn try_rules(
        &self,
        shared: &Shared,
        rules: [Arc<RuleSet>; 2],
        span: (TimestampMs, TimestampMs),
    ) -> Result<Tried, String>;
}
