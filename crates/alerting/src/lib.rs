//! Rules and the engine that applies them: `(state, now, input) -> effects`.
//!
//! [`RuleSet`] holds validated rules; [`Engine`] holds what must be remembered between readings (since when a
//! level is pending or active, which alert is open) and turns [`Input`]s into [`Effect`]s. The caller stores the
//! effects in the transaction of the reading that caused them, and restores the engine from the store.
//!
//! It does *not* read a clock (time is an argument, [`Engine::next_deadline`] says when to come back), it keeps no
//! history, and it sends nothing to anybody.

#![forbid(unsafe_code)]

mod cell;
pub mod collection;
mod engine;
mod explain;
pub mod forecast;
mod group;
mod level;
mod rule;
mod rule_set;
mod select;
mod watch;
mod window;

pub use engine::{Effect, Engine, Input, OpenAlert, RestoredLevel, RuleNo};
pub use explain::{Explained, Verdict};
pub use level::{Direction, Level, LevelState};
pub use rule::{Override, Rule, Variant};
pub use rule_set::{RuleFault, RuleSet};
pub use select::Selector;
pub use watch::Watch;
pub use window::MaintenanceWindow;

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watch_tests;
