//! What is in force now, for those who explain it.

use std::sync::{Arc, PoisonError, RwLock};

use sanimon_alerting::RuleSet;
use sanimon_operations::OperationsSettings;

/// The rules and the operations that the writer works by.
#[derive(Debug, Default)]
pub struct Standing {
    rules: RwLock<Arc<RuleSet>>,
    operations: RwLock<Option<Arc<OperationsSettings>>>,
}

impl Standing {
    pub fn rules(&self) -> Arc<RuleSet> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None`: the site's writer has not started.
    pub fn operations(&self) -> Option<Arc<OperationsSettings>> {
        self.operations.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_rules(&self, rules: Arc<RuleSet>) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    pub(crate) fn set_operations(&self, operations: Arc<OperationsSettings>) {
        *self.operations.write().unwrap_or_else(PoisonError::into_inner) = Some(operations);
    }
}
