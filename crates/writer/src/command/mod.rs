//! What people and programs ask for, each in one transaction with its entry in the audit log.
//!
//! A command is judged inside the transaction that carries it out, on what is true then. Whoever is told no changed nothing
//! and left no entry; whoever is told yes is on record.

mod access;
mod device_import;
mod devices;
mod execution;
mod messages;
mod reports;
mod rounds;
mod rules;
mod step;
mod windows;
mod zones;

use sanimon_operations::lifecycle::NotAllowed;
use sanimon_store::{Alert, Class, Report};

use crate::failure::Failure;

pub use access::{
    EndSession, NoteOnly, PutAccount, PutCredentials, PutToken, RemoveAccount, RevokeCredential, RevokeToken,
    StartSession,
};
pub(crate) use device_import::discard;
pub use device_import::{
    AdoptDevices, DEVICES_AT_ONCE_MAX, DiscardImport, KNOWN_DEVICES_PER_IMPORT_MAX, StageDevices,
    WriteImport, try_import,
};
pub use devices::{NoteEvent, PutDevices, RemoveMetric, RetireDevice};
pub use messages::{RetryMessage, TestChannel};
pub use reports::{MakePlaceCodes, REPORT_RULE, RateReport, TakeReport};
pub use rounds::{AddPhoto, EndRound, MarkStop, PutRound};
pub use rules::{AdoptDocument, DocumentInFile, PutRules};
pub use step::TakeStep;
pub use windows::{EndWindow, PutWindow};
pub use zones::{PutTeams, SetZones};

use execution::found;
pub(crate) use execution::{After, Execution, Stopped};

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error("there is no {what} `{id}`")]
    NotFound { what: &'static str, id: String },
    #[error("the hardware `{hardware}` belongs to the device `{device}`: take it from there first")]
    HardwareTaken { hardware: String, device: String },
    /// The disk refuses now: nothing was changed, and the same may be asked again later.
    #[error("{0}")]
    Unavailable(String),
    /// The disk answered with an error, and it is not known whether the change is stored.
    #[error("{0}: it is not known whether this was stored; look before you ask again")]
    Unsure(String),
    /// Not now, or not so much at once.
    #[error("{0}")]
    Conflict(String),
    /// It can never be stored like this.
    #[error("{0}")]
    Failed(String),
    #[error("sanimon is stopping")]
    Stopping,
}

impl From<&Failure> for Refusal {
    fn from(failure: &Failure) -> Self {
        let text = failure.text.clone();
        match failure.class {
            Class::Permanent => Self::Failed(text),
            _ if failure.unsure_of.is_some() => Self::Unsure(text),
            _ => Self::Unavailable(text),
        }
    }
}

/// What a command that was carried out answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    Nothing,
    Number(i64),
    Numbers(Vec<i64>),
    Alert(Box<Alert>),
    Report(Box<Report>),
}

/// A command by its own type, with the type of its answer.
pub trait Ask {
    type Answer;
    fn command(self) -> Command;
    /// `None`: the answer is another command's.
    fn answer(done: Done) -> Option<Self::Answer>;
}

/// What of an answer belongs to a command.
trait FromDone: Sized {
    fn from_done(done: Done) -> Option<Self>;
}

macro_rules! from_done {
    ($($type:ty: $pattern:pat => $value:expr;)*) => {
        $(impl FromDone for $type {
            fn from_done(done: Done) -> Option<Self> {
                if let $pattern = done { Some($value) } else { None }
            }
        })*
    };
}

from_done! {
    (): Done::Nothing => ();
    i64: Done::Number(number) => number;
    Vec<i64>: Done::Numbers(numbers) => numbers;
    Alert: Done::Alert(alert) => *alert;
    Report: Done::Report(report) => *report;
}

macro_rules! commands {
    ($($name:ident => $answer:ty,)*) => {
        /// Everything that somebody can ask for. Closed: a new kind is a new line here and a type with its own `carry_out`.
        #[derive(Debug)]
        pub enum Command {
            $($name($name),)*
        }

        $(impl Ask for $name {
            type Answer = $answer;
            fn command(self) -> Command {
                Command::$name(self)
            }
            fn answer(done: Done) -> Option<$answer> {
                FromDone::from_done(done)
            }
        })*

        impl Command {
            pub(crate) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
                match self {
                    $(Self::$name(command) => command.carry_out(work),)*
                }
            }
        }
    };
}

commands! {
    TakeStep => Alert,
    AddPhoto => i64,
    PutDevices => (),
    StageDevices => i64,
    AdoptDevices => (),
    WriteImport => i64,
    DiscardImport => i64,
    RetireDevice => (),
    NoteEvent => (),
    RemoveMetric => (),
    PutWindow => i64,
    EndWindow => (),
    PutRules => i64,
    SetZones => (),
    PutTeams => (),
    DocumentInFile => (),
    AdoptDocument => (),
    TakeReport => Report,
    RateReport => (),
    MakePlaceCodes => (),
    TestChannel => i64,
    RetryMessage => (),
    PutRound => i64,
    MarkStop => (),
    EndRound => (),
    PutAccount => (),
    RemoveAccount => (),
    StartSession => (),
    EndSession => (),
    PutToken => i64,
    RevokeToken => (),
    PutCredentials => Vec<i64>,
    RevokeCredential => (),
    NoteOnly => (),
}

impl Command {
    /// A step of something that is not in force yet has no entry in the audit log: its end has one.
    pub(crate) fn is_noted(&self) -> bool {
        !matches!(self, Self::StageDevices(_) | Self::WriteImport(_) | Self::DiscardImport(_))
    }
}
