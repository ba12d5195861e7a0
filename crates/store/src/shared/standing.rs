//! What is in force now, for those who explain it.

use std::sync::{Arc, PoisonError, RwLock};

use sanimon_alerting::RuleSet;
use sanimon_alerting::routing::Conduct;

/// The rules and the conduct that the writer works by.
#[derive(Debug, Default)]
pub struct Standing {
    rules: RwLock<Arc<RuleSet>>,
    conduct: RwLock<Option<Arc<Conduct>>>,
}

impl Standing {
    pub fn rules(&self) -> Arc<RuleSet> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None`: the site's writer has not started.
    pub fn conduct(&self) -> Option<Arc<Conduct>> {
        self.conduct.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_rules(&self, rules: Arc<RuleSet>) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    pub(crate) fn set_conduct(&self, conduct: Arc<Conduct>) {
        *self.conduct.write().unwrap_or_else(PoisonError::into_inner) = Some(conduct);
    }
}
