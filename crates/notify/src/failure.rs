//! Why a message did not go out.

/// Whose trouble it is, as far as the receiver's answer says so by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The receiver says that it does not take this text.
    Content,
    /// It may be the message's trouble or the channel's: what happens to other messages decides.
    Undecided,
    /// Nothing of the message was judged: the line, a key, a rate. Time or people mend it.
    Passing,
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// For people: what the receiver answered, without addresses that hold a key.
    pub(crate) reason: String,
    /// How long the receiver wants to be left alone.
    pub(crate) retry_after_ms: Option<i64>,
}

impl Failure {
    pub(crate) fn content(reason: impl Into<String>) -> Self {
        Self { cause: Cause::Content, reason: reason.into(), retry_after_ms: None }
    }

    pub(crate) fn undecided(reason: impl Into<String>) -> Self {
        Self { cause: Cause::Undecided, reason: reason.into(), retry_after_ms: None }
    }

    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self { cause: Cause::Passing, reason: reason.into(), retry_after_ms: None }
    }
}
