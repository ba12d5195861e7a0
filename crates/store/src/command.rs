//! What people and programs ask the writer's thread to do, besides readings.

use sanimon_domain::{AlertId, DeviceId, Handling, TimestampMs};
use sanimon_operations::Teams;
use sanimon_operations::lifecycle::{Action, NotAllowed, Request};
use tokio::sync::oneshot;

use crate::error::StoreError;
use crate::model::{
    Account, Alert, DeliveryOutcome, Device, DeviceEvent, NewAudit, NewCredential, NewPhoto, NewReport,
    NewRound, NewRules, NewSession, NewToken, NewWindow, PlaceCode, Report, StopMark, Zone,
};

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error("there is no {what} `{id}`")]
    NotFound { what: &'static str, id: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("sanimon is stopping")]
    Stopping,
}

pub type Reply<T> = oneshot::Sender<Result<T, CommandError>>;

/// A step of an alert's life that a person takes.
#[derive(Debug)]
pub struct AlertAction {
    pub alert: AlertId,
    pub action: Action,
    pub who: String,
    pub note: Option<String>,
    /// To whom it goes.
    pub assignee: Option<String>,
    /// Where the person saw it.
    pub seen: Option<Handling>,
}

impl AlertAction {
    /// A step without anything said.
    pub fn new(alert: AlertId, action: Action, who: &str) -> Self {
        Self { alert, action, who: who.to_owned(), note: None, assignee: None, seen: None }
    }

    pub(crate) fn step(&self) -> Request<'_> {
        Request {
            action: self.action,
            who: &self.who,
            note: self.note.as_deref(),
            assignee: self.assignee.as_deref(),
            seen: self.seen,
        }
    }
}

/// One task for the writer's thread. A dropped reply is no error: the asker has gone.
#[derive(Debug)]
pub enum Command {
    Alert(AlertAction, Reply<Alert>),
    /// Enters or changes devices, all or none. Numbers of devices that are new are given by the store.
    PutDevices(Vec<Device>, Reply<()>),
    RetireDevice(DeviceId, Reply<()>),
    /// Begins a maintenance window, or plans one.
    PutWindow(NewWindow, Reply<i64>),
    /// Ends it now; `who` did.
    EndWindow {
        id: i64,
        who: String,
        reply: Reply<()>,
    },
    /// Puts other rules in force.
    PutRules(NewRules, Reply<i64>),
    /// A message to a channel, to see whether it works.
    TestChannel {
        channel: String,
        reply: Reply<i64>,
    },
    /// What became of messages.
    Delivered(Vec<DeliveryOutcome>, Reply<()>),
    /// Tries a message again that was given up.
    RetryMessage {
        id: i64,
        reply: Reply<()>,
    },
    /// A resident's report.
    Report(NewReport, Reply<Report>),
    /// How satisfied the resident is, 1 to 5.
    RateReport {
        token: String,
        satisfaction: u8,
        reply: Reply<()>,
    },
    /// Gives each place a code for its sign.
    MakePlaceCodes {
        codes: Vec<PlaceCode>,
        reply: Reply<()>,
    },
    /// A change that is remembered with who made it.
    Audited(NewAudit, Box<Command>),
    /// What people set up and plan in the console.
    Setup(SetupCommand),
    /// Who may do what.
    Access(AccessCommand),
}

/// Changes of who may do what.
#[derive(Debug)]
pub enum AccessCommand {
    PutAccount(Account, Reply<()>),
    RemoveAccount {
        name: String,
        reply: Reply<()>,
    },
    StartSession {
        session: NewSession,
        /// The token that it replaces, and until when that is still good.
        replaces: Option<([u8; 32], TimestampMs)>,
        reply: Reply<()>,
    },
    EndSession {
        token_sha256: [u8; 32],
        reply: Reply<()>,
    },
    PutToken(NewToken, Reply<i64>),
    RevokeToken {
        id: i64,
        /// Whose it must be; `None`: anybody's.
        account: Option<String>,
        reply: Reply<()>,
    },
    /// All or none.
    PutCredentials(Vec<NewCredential>, Reply<Vec<i64>>),
    RevokeCredential {
        id: i64,
        reply: Reply<()>,
    },
    /// Nothing but an entry of the audit log: somebody was refused.
    Note(Reply<()>),
}

/// What people set up and plan in the console.
#[derive(Debug)]
pub enum SetupCommand {
    /// Makes these the only zones.
    SetZones(Vec<Zone>, Reply<()>),
    /// Other teams, responsibilities, deadlines and goals, from now on.
    PutDuties(Box<Teams>, Reply<()>),
    PutRound(NewRound, Reply<i64>),
    MarkStop(StopMark, Reply<()>),
    EndRound {
        id: i64,
        who: String,
        reply: Reply<()>,
    },
    AddPhoto(NewPhoto, Reply<i64>),
    /// What somebody says of a device: that it was cleaned.
    NoteEvent(DeviceEvent, Reply<()>),
}
