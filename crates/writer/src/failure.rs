//! Why something could not be stored.

use std::fmt;

use sanimon_store::{Class, CommitFailed, StoreError};

/// Why something could not be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: Class,
    /// One line for people.
    pub text: String,
    pub(crate) unsure_of: Option<u64>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { class: error.class(), text: error.to_string(), unsure_of: None }
    }
}

impl From<CommitFailed> for Failure {
    fn from(failed: CommitFailed) -> Self {
        // Whether it is stored decides the file, not the error.
        let class = if failed.unsure_of.is_some() { Class::Passing } else { failed.error.class() };
        Self { class, text: failed.error.to_string(), unsure_of: failed.unsure_of }
    }
}

impl Failure {
    pub(crate) fn passing(text: impl Into<String>) -> Self {
        Self { class: Class::Passing, text: text.into(), unsure_of: None }
    }
}
