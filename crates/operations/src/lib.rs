//! What people must do about a case: pure functions, values in, values out.
//!
//! * [`consequences()`]: what follows from a change of a case, as decisions
//! * [`lifecycle`]: the table of steps that people may take, and who may take them
//! * [`Teams`]: whose a case is; [`deadlines`]: by when; [`escalation`]: who hears of a deadline that was missed
//! * [`routing`]: who is told of what, and when
//! * [`measures`]: how well the work is done
//!
//! It does *not* know rules or readings (`alerting` does), reads no clock, file or socket, and stores nothing: the
//! `writer` calls it inside the transaction of a change and stores what it answers.

#![forbid(unsafe_code)]

pub mod consequences;
pub mod deadlines;
pub mod escalation;
pub mod lifecycle;
pub mod measures;
pub mod routing;
mod settings;
pub mod teams;

pub use consequences::{CaseState, Change, Decision, Message, consequences, missed_deadline};
pub use deadlines::{Deadline, Deadlines, Progress, TimeLimit};
pub use routing::{Notification, NotificationRule};
pub use settings::OperationsSettings;
pub use teams::Teams;
