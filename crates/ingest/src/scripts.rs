//! Codecs in JavaScript, on a thread of their own: whatever one does, messages of others go on.
//!
//! A codec's steps are counted, so an endless loop ends by itself. What cannot be counted (one call of a built-in function
//! that takes for ever) is noticed by the clock: the thread is left to itself, its codec is not used again until the next
//! start, and a new thread takes the others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sanimon_codec::Heard;
use sanimon_codec::script::{Host, Script};
use sanimon_domain::{Fault, FaultCode, TimestampMs};
use tokio::sync::{mpsc, oneshot};

/// Frames that wait for the thread at most: sources wait beyond that, as they do for the committer.
const JOBS_MAX: usize = 256;
/// A frame's codec takes microseconds; its counted steps end after some tens of milliseconds.
const STUCK_AFTER: Duration = Duration::from_secs(2);

struct Job {
    script: usize,
    heard: Heard,
    received: TimestampMs,
    reply: oneshot::Sender<(Heard, Vec<Fault>)>,
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
    worker: Mutex<Option<Worker>>,
    stuck: Mutex<HashSet<usize>>,
}

impl Scripts {
    pub(crate) fn new(scripts: Vec<Script>) -> Self {
        Self { all: scripts.into(), worker: Mutex::default(), stuck: Mutex::default() }
    }

    /// The codec for a model.
    pub(crate) fn find(&self, model: &str) -> Option<usize> {
        self.all.iter().position(|script| script.model.eq_ignore_ascii_case(model))
    }

    pub(crate) fn script(&self, index: usize) -> &Script {
        &self.all[index]
    }

    /// Runs a codec on what was heard. If nobody can, one fault says why.
    pub(crate) async fn decode(
        &self,
        script: usize,
        mut heard: Heard,
        received: TimestampMs,
        faults: &mut Vec<Fault>,
    ) -> Heard {
        loop {
            if self.stuck.lock().unwrap_or_else(PoisonError::into_inner).contains(&script) {
                faults.push(self.fault(script, "was found stuck: it is not used until the next start"));
                return heard;
            }
            let Some(worker) = self.worker() else {
                faults.push(self.fault(script, "cannot be run: there is no thread for it"));
                return heard;
            };
            let (reply, mut answer) = oneshot::channel();
            let job = Job { script, heard: heard.clone(), received, reply };
            if worker.jobs.send(job).await.is_err() {
                self.replace(&worker);
                continue;
            }
            loop {
                match tokio::time::timeout(STUCK_AFTER / 2, &mut answer).await {
                    Ok(Ok((decoded, said))) => {
                        heard = decoded;
                        faults.extend(said);
                        return heard;
                    }
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
            *worker = start(self.all.clone());
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

fn start(scripts: Arc<[Script]>) -> Option<Worker> {
    let (sender, receiver) = mpsc::channel(JOBS_MAX);
    let current = Current::default();
    let doing = current.clone();
    let thread = std::thread::Builder::new().name("codecs".to_owned());
    if let Err(error) = thread.spawn(move || run(&scripts, receiver, &doing)) {
        tracing::error!(%error, "cannot start the codecs' thread");
        return None;
    }
    Some(Worker { jobs: sender, current })
}

fn run(scripts: &[Script], mut jobs: mpsc::Receiver<Job>, current: &Current) {
    let mut hosts: Vec<Option<Result<Host, Fault>>> = scripts.iter().map(|_| None).collect();
    let set = |doing| *current.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    while let Some(Job { script, mut heard, received, reply }) = jobs.blocking_recv() {
        set(Some((script, Instant::now())));
        let mut faults = Vec::new();
        // Each on its first frame: a codec that nobody needs costs nothing.
        match hosts[script].get_or_insert_with(|| Host::new(scripts[script].clone())) {
            Ok(host) => host.decode(&mut heard, received, &mut faults),
            Err(fault) => faults.push(fault.clone()),
        }
        set(None);
        // The asker may have given up.
        let _ = reply.send((heard, faults));
    }
}
