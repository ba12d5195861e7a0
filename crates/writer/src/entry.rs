//! What the audit log says of a change, and who makes it.

use sanimon_domain::TimestampMs;
use sanimon_store::NewAudit;

/// What the audit log says of a change. It is written in the change's transaction, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: TimestampMs,
    pub author: Author,
    /// `device.put`, `rules.save`, ...
    pub action: &'static str,
    /// The id of what is changed; empty: the site.
    pub subject: String,
    /// JSON, without secrets.
    pub detail: String,
}

/// Who changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    Person(String),
    /// Somebody without an account, who reports from a place's sign.
    Resident,
    /// sanimon itself, as its log calls the part: `command line`, `hangup`, `start`.
    Site(&'static str),
}

impl Entry {
    /// An entry without details about the site as a whole.
    pub fn new(at: TimestampMs, author: Author, action: &'static str) -> Self {
        Self { at, author, action, subject: String::new(), detail: "{}".to_owned() }
    }

    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    pub(crate) fn row(&self) -> NewAudit {
        NewAudit {
            at: self.at,
            who: self.author.name().to_owned(),
            what: self.action,
            about: self.subject.clone(),
            detail: self.detail.clone(),
        }
    }
}

impl Author {
    /// As the audit log and the histories call them.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(account) => account,
            Self::Resident => "resident",
            Self::Site(part) => part,
        }
    }
}
