//! The one writer: a deterministic state machine. Inputs in, one transaction, outputs out.
//!
//! ```text
//! Input ──▶ Writer<Live>::apply ──▶ Done { writer, outputs }          it is on disk: acknowledge, tell, begin jobs
//!                               └─▶ Held { Writer<Stale>, rest }      the disk refuses: wait, reload, apply again
//!                               └─▶ Fatal                             the file is damaged: end the process
//! ```
//!
//! * [`Writer<Live>`]: memory equals the file. [`Writer<Stale>`]: memory may be ahead of it; nothing can be applied, only
//!   [`Writer::reload`] leads back. What an input changes is decided, written and committed inside `apply`; the tokens by
//!   which senders wait come out in [`Outputs`] only, and only a commit makes those.
//! * What people ask for is one closed [`Command`], each with an [`Entry`] for the audit log that cannot be left out.
//! * A message that cannot be committed is set aside alone, in the quarantine, with the cause; the others go on.
//!
//! It does *not* have a thread, a clock or a socket, and it knows no broker: the acknowledgement's type is a parameter. The
//! driver (`sanimon-ingest`) has them. The simulated towns in `tests/` drive exactly this crate.
//!
//! # A message's way
//!
//! From the queue to its acknowledgement, six functions to open, in this order:
//!
//! 1. `Worker::run` (`ingest/src/driver.rs`): takes what waits from the queue and has it applied
//! 2. [`Writer::apply`](crate::Writer::apply) (`apply.rs`): which of all inputs it is
//! 3. [`Writer::group`](crate::Writer::group) (`group/mod.rs`): admits each message, has the group committed, sets aside what
//!    cannot be
//! 4. [`Site::commit_group`](crate::state::Site::commit_group) (`group/transaction.rs`): BEGIN, changes of MQTT sessions, the
//!    rows, the rules, the alerts with their owners, deadlines and messages to people, COMMIT
//! 5. [`Writer::committed`](crate::Writer::committed) (`group/mod.rs`, called by `group`): what is on disk goes to memory and
//!    to the feed, and the tokens into [`Outputs`]
//! 6. `Worker::send` (`ingest/src/driver.rs`, called by `run`): the tokens go back to the senders
//!
//! What one stage does in detail is behind one name: [`Batch::message`](crate::admit::Batch::message) (who, when, seen
//! before, plausible, what it means here), [`RowWriter::write`](crate::change::RowWriter::write),
//! [`evaluate`](crate::evaluate::evaluate) (the rules), [`Cases::apply`](crate::cases::Cases::apply) (what follows for
//! people), [`publish`](crate::publish::publish).
//!
//! # The room
//!
//! From top to bottom: a module uses what stands below it, never what stands above; `tests/system/house` checks that there
//! is no circle.
//!
//! * `apply`: the only way in
//! * `group`, `execute` (commands), `maintenance` and `tidy`, `entered` (outcomes of deliveries, history), `start`, `reload`:
//!   what each kind of input does to the writer
//! * `state`: the writer itself, [`Live`] or [`Stale`], and what became of an input; `input`, `outputs`
//! * `command`: what people ask for, one type each
//! * `admit` with `judge`; `evaluate`; `cases`; `restore` (the engine from the file); `retention`; `publish`
//! * `change` (what one message changes), `gathered` (what comes together), `message`, `entry`, `job`, `outages`, `options`,
//!   `failure`: plain words

#![forbid(unsafe_code)]
#![allow(rustdoc::private_intra_doc_links, reason = "the map of the room is for those who work in it")]

mod admit;
mod apply;
mod cases;
mod change;
mod command;
mod entered;
mod entry;
mod evaluate;
mod execute;
mod failure;
mod gathered;
mod group;
mod input;
mod job;
mod judge;
mod maintenance;
mod message;
mod options;
mod outages;
mod outputs;
mod publish;
mod reload;
mod restore;
mod retention;
mod start;
mod state;
mod tidy;

pub use command::*;
pub use entry::{Author, Entry};
pub use failure::Failure;
pub use gathered::{Changed, Group};
pub use input::{History, Input};
pub use job::{Job, JobId, JobOutcome, Work};
pub use message::{Connection, Message, Qos, Received};
pub use options::{AcceptanceLimits, Options, SiteLimits, Thresholds};
pub use outputs::{Answer, Outputs};
pub use state::{Applied, Live, Reloaded, Rest, Stale, Writer};
