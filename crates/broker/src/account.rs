//! Who a client is, once it has signed in.

use std::sync::Arc;

use crate::rights::Rights;

/// A client's credential, and what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose sessions, messages and shares these are.
    pub owner: Arc<str>,
    /// The number of the credential; `None`: nobody in particular.
    pub credential: Option<i64>,
    pub rights: Rights,
    /// It speaks for many, and may have more of everything.
    pub is_gateway: bool,
    /// It ends by its own time, which is looked at now and then.
    pub may_expire: bool,
}

impl Account {
    /// A client without a name: all of them are one.
    pub fn nameless() -> Self {
        Self {
            owner: "".into(),
            credential: None,
            rights: Rights::everything(),
            is_gateway: true,
            may_expire: false,
        }
    }

    pub fn is_nameless(&self) -> bool {
        self.owner.is_empty()
    }
}
