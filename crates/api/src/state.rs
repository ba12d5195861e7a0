//! What every handler can reach.

use std::pin::Pin;
use std::sync::Arc;

use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::Shared;
use sanimon_writer::{Answer, Ask, Author, Command, Entry};
use tokio::sync::{Semaphore, watch};

use crate::access::{Remembered, User};
use crate::error::Problem;
use crate::limits::Limits;
use crate::reports::Guard;
use crate::signin::oidc::Pending;
use crate::signin::password::Passwords;
use crate::signin::throttle::Throttle;
use crate::site::SiteInfo;

/// The way to the writer: the binary hands in the queue.
pub trait WriterPort: Send + Sync + std::fmt::Debug {
    /// Resolves with the commit, or with why there was none.
    fn ask(&self, entry: Entry, command: Command) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>>;
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub shared: Shared,
    pub clock: Arc<dyn Clock>,
    pub site: Arc<SiteInfo>,
    pub(crate) writer: Arc<dyn WriterPort>,
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
        writer: Arc<dyn WriterPort>,
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
            writer,
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

    /// What the audit log says of a change. The detail holds no secrets.
    pub(crate) fn audit(
        &self,
        user: &User,
        action: &'static str,
        subject: &str,
        detail: &serde_json::Value,
    ) -> Entry {
        let author = Author::Person(user.name.clone());
        Entry::new(self.now(), author, action).about(subject).with_detail(detail.to_string())
    }

    /// Asks the writer for a change and waits for its answer. Who asked is stored with it, or nothing is.
    pub(crate) async fn change<C: Ask>(&self, entry: Entry, command: C) -> Result<C::Answer, Problem> {
        let done = self.writer.ask(entry, command.command()).await?;
        C::answer(done).ok_or_else(|| Problem::internal("the writer's answer is of another kind"))
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
