//! Codecs in JavaScript, on a thread of their own: whatever one does, messages of others go on.
//!
//! A codec's steps are counted, so an endless loop ends by itself. What cannot be counted (one call of a built-in function
//! that takes for ever) is noticed by the clock: the thread is left to itself, its codec is not used again until the next
//! start, and a new thread takes the others.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sanimon_codec::script::{Host, Script};
use sanimon_codec::{RawFrame, Samples};
use sanimon_domain::{Fault, FaultCode, Heartbeat, TimeReader};
use sanimon_store::Part;
use tokio::sync::{mpsc, oneshot};

/// Frames that wait for the thread at most: sources wait beyond that, as they do for the committer.
const JOBS_MAX: usize = 256;
/// A frame's codec takes microseconds; its counted steps end after some tens of milliseconds.
const STUCK_AFTER: Duration = Duration::from_secs(2);

struct Job {
    script: usize,
    frame: RawFrame,
    times: TimeReader,
    reply: oneshot::Sender<Result<Samples, Fault>>,
}

/// What the thread is doing since when.
type Current = Arc<Mutex<Option<(usize, Instant)>>>;

#[derive(Debug, Clone)]
struct Worker {
    jobs: mpsc::Sender<Job>,
    current: Current,
}

/// The site's codecs.
#[derive(Debug)]
pub(crate) struct Scripts {
    all: Arc<[Script]>,
    part: Arc<Part>,
    worker: Mutex<Option<Worker>>,
    stuck: Mutex<HashSet<usize>>,
}

impl Scripts {
    pub(crate) fn new(scripts: Vec<Script>, part: Arc<Part>) -> Self {
        Self { all: scripts.into(), part, worker: Mutex::default(), stuck: Mutex::default() }
    }

    /// The codec for a model.
    pub(crate) fn find(&self, model: &str) -> Option<usize> {
        self.all.iter().position(|script| script.model.eq_ignore_ascii_case(model))
    }

    pub(crate) fn script(&self, index: usize) -> &Script {
        &self.all[index]
    }

    /// Runs a codec on a frame. If nobody can, the fault says why.
    pub(crate) async fn decode(
        &self,
        script: usize,
        frame: RawFrame,
        times: TimeReader,
    ) -> Result<Samples, Fault> {
        loop {
            if self.stuck.lock().unwrap_or_else(PoisonError::into_inner).contains(&script) {
                return Err(self.fault(script, "was found stuck: it is not used until the next start"));
            }
            let Some(worker) = self.worker() else {
                return Err(self.fault(script, "cannot be run: there is no thread for it"));
            };
            let (reply, mut answer) = oneshot::channel();
            let job = Job { script, frame: frame.clone(), times, reply };
            if worker.jobs.send(job).await.is_err() {
                self.part.fail("panicked");
                self.replace(&worker);
                self.part.recover();
                continue;
            }
            loop {
                match tokio::time::timeout(STUCK_AFTER / 2, &mut answer).await {
                    Ok(Ok(said)) => return said,
                    // The thread was replaced while the job waited: once more.
                    Ok(Err(_)) => break,
                    Err(_) if self.is_stuck(&worker) => break,
                    Err(_) => {}
                }
            }
        }
    }

    fn fault(&self, script: usize, why: &str) -> Fault {
        Fault::new(FaultCode::BadScript, format!("the codec of `{}` {why}", self.all[script].model))
    }

    fn worker(&self) -> Option<Worker> {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_none() {
            *worker = start(self.all.clone(), self.part.clone());
        }
        worker.clone()
    }

    fn replace(&self, old: &Worker) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.as_ref().is_some_and(|current| Arc::ptr_eq(&current.current, &old.current)) {
            *worker = None;
        }
    }

    /// True if the thread has been at one frame for too long; then its codec is given up, and the thread with it.
    fn is_stuck(&self, worker: &Worker) -> bool {
        let current = *worker.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((script, since)) = current.filter(|(_, since)| since.elapsed() > STUCK_AFTER) else {
            return false;
        };
        let is_news = self.stuck.lock().unwrap_or_else(PoisonError::into_inner).insert(script);
        if is_news {
            let model = &self.all[script].model;
            tracing::error!(%model, since_ms = since.elapsed().as_millis() as u64, "codec stuck, given up");
        }
        self.replace(worker);
        true
    }
}

fn start(scripts: Arc<[Script]>, part: Arc<Part>) -> Option<Worker> {
    let (sender, receiver) = mpsc::channel(JOBS_MAX);
    let current = Current::default();
    let doing = current.clone();
    let thread = std::thread::Builder::new().name("codecs".to_owned());
    if let Err(error) = thread.spawn(move || run(&scripts, receiver, &doing, &part.heartbeat)) {
        tracing::error!(%error, "cannot start the codecs' thread");
        return None;
    }
    Some(Worker { jobs: sender, current })
}

fn run(scripts: &[Script], mut jobs: mpsc::Receiver<Job>, current: &Current, heartbeat: &Heartbeat) {
    let mut hosts: Vec<Option<Result<Host, Fault>>> = scripts.iter().map(|_| None).collect();
    let set = |doing| *current.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    loop {
        heartbeat.waiting();
        let Some(Job { script, frame, times, reply }) = jobs.blocking_recv() else { return };
        heartbeat.working();
        set(Some((script, Instant::now())));
        // Each on its first frame: a codec that nobody needs costs nothing.
        let said = match hosts[script].get_or_insert_with(|| Host::new(scripts[script].clone())) {
            Ok(host) => catch_unwind(AssertUnwindSafe(|| host.decode(&frame, times))).map_err(|_| {
                Fault::new(
                    FaultCode::BadScript,
                    "its interpreter panicked: it is not used until the next start",
                )
            }),
            Err(fault) => Err(fault.clone()),
        };
        if let Err(fault) = &said {
            hosts[script] = Some(Err(fault.clone()));
        }
        set(None);
        // The asker may have given up.
        let _ = reply.send(said);
    }
}
