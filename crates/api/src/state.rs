//! What every handler can reach.

use std::sync::Arc;

use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::{Command, CommandError, NewAudit, Reply, Shared};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::access::{Remembered, User};
use crate::error::Problem;
use crate::limits::Limits;
use crate::reports::Guard;
use crate::signin::oidc::Pending;
use crate::signin::password::Passwords;
use crate::signin::throttle::Throttle;
use crate::site::SiteInfo;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub shared: Shared,
    pub clock: Arc<dyn Clock>,
    pub site: Arc<SiteInfo>,
    commands: mpsc::Sender<Command>,
    /// Becomes true when sanimon stops: event streams end then, or the server would wait for them for ever.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) throttle: Arc<Throttle>,
    /// Sign-ins at the OpenID provider that are under way.
    pub(crate) pending: Arc<Pending>,
    /// Sessions and tokens that were looked up lately.
    pub(crate) remembered: Arc<Remembered>,
    pub(crate) limits: Arc<Limits>,
    /// Drafts of rules that are tried at once: each takes all cores.
    pub(crate) trials: Arc<Semaphore>,
    /// Held by who saves a document.
    pub(crate) saving: Arc<tokio::sync::Mutex<()>>,
    /// Keeps residents' pages from being flooded.
    pub(crate) reports: Arc<Guard>,
    /// Tells this run of the process from others in event ids.
    pub(crate) run_id: Arc<str>,
}

impl ApiState {
    pub fn new(
        shared: Shared,
        clock: Arc<dyn Clock>,
        site: SiteInfo,
        commands: mpsc::Sender<Command>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let run_id = format!("{:08x}", rand::random::<u32>()).into();
        let (trials, saving) = (Arc::new(Semaphore::new(1)), Arc::default());
        let reports = Arc::new(Guard::new());
        Self {
            shared,
            clock,
            limits: Arc::new(Limits::new(site.requests_per_s)),
            site: Arc::new(site),
            commands,
            stop,
            passwords: Arc::new(Passwords::new()),
            throttle: Arc::default(),
            pending: Arc::default(),
            remembered: Arc::default(),
            trials,
            saving,
            reports,
            run_id,
        }
    }

    pub(crate) fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    /// What is remembered of a change. The detail holds no secrets.
    pub(crate) fn audit(
        &self,
        user: &User,
        what: &'static str,
        about: &str,
        detail: &serde_json::Value,
    ) -> NewAudit {
        let (who, about) = (user.name.clone(), about.to_owned());
        NewAudit { at: self.now(), who, what, about, detail: detail.to_string() }
    }

    /// Sends a command that is remembered with who asked for it: both are stored together, or none.
    pub(crate) async fn change<T>(
        &self,
        audit: NewAudit,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, Problem> {
        self.command(|reply| Command::Audited(audit, Box::new(command(reply)))).await
    }

    /// Sends a command to the writer and waits for its answer.
    pub(crate) async fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let stopping = || Problem::from(CommandError::Stopping);
        self.commands.send(command(reply)).await.map_err(|_| stopping())?;
        Ok(answer.await.map_err(|_| stopping())??)
    }

    /// Reads from the store off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> sanimon_store::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let shared = self.shared.clone();
        let outcome = tokio::task::spawn_blocking(move || read(&shared)).await;
        outcome.map_err(|_| Problem::internal("a reading task broke off"))?.map_err(Problem::from)
    }
}
