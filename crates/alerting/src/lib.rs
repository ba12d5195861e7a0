//! Rules and the engine that applies them: `(state, now, input) -> effects`.
//!
//! [`RuleSet`] holds validated rules; [`Engine`] holds what must be remembered between readings (since when a
//! level is pending or active, which alert is open) and turns [`Input`]s into [`Effect`]s. The caller stores the
//! effects in the transaction of the reading that caused them, and restores the engine from the store.
//! [`lifecycle`] is the table of what people may do with an alert.
//!
//! It does *not* read a clock (time is an argument, [`Engine::next_deadline`] says when to come back), it keeps no
//! history, and it does not know who is responsible for what.

mod cell;
mod engine;
mod level;
pub mod lifecycle;
mod rule;
mod watch;

pub use engine::{Effect, Engine, Input, OpenAlert, RestoredLevel, RuleNo};
pub use level::{Direction, Level, LevelState};
pub use rule::{Rule, RuleFault, RuleSet, Title, acknowledge_within_ms};
pub use watch::Watch;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod watch_tests;
