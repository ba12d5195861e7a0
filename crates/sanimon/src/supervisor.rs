//! Keeps the threads and tasks that a promise depends on alive, or ends the process so that the service manager starts it
//! again.
//!
//! A task that panics or ends is started again where that is safe, later each time; where it is not, the process ends in
//! order with an error. What hangs cannot be ended from outside, so after a while that ends the process, too. Until then
//! `/readyz` names it ([`sanimon_store::Parts`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sanimon_domain::{Heartbeat, HeartbeatState};
use sanimon_store::{Health, Part};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};

/// How often heartbeats are looked at; with [`HANGS_AFTER`] a hang is told within two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A loop that has something to do and says nothing for so long hangs.
const HANGS_AFTER: Duration = Duration::from_millis(1_500);
/// A hang that lasts so long ends the process. A disk that takes this long for one write is as good as none.
const EXIT_AFTER_HANG: Duration = Duration::from_mins(2);
/// What the process gets to end in order; then it ends anyway.
const EXIT_WITHIN: Duration = Duration::from_secs(10);
/// Between a task's end and its next start. Doubles at each end, and begins anew after a time without one.
const RESTART_FIRST: Duration = Duration::from_secs(2);
const RESTART_MAX: Duration = Duration::from_mins(1);
const SOUND_AFTER: Duration = Duration::from_mins(5);

/// What happens when a part ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// It is started again: it has no state that could be half-changed.
    Restart,
    /// The process ends: what it held is gone, or it cannot be made again.
    Exit,
}

/// Watches the parts of a site; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Supervisor {
    health: Arc<Health>,
    failed: watch::Sender<Option<String>>,
    is_stopping: Arc<AtomicBool>,
}

impl Supervisor {
    /// Starts the thread that looks at heartbeats.
    pub(crate) fn start(health: Arc<Health>) -> std::io::Result<Self> {
        let supervisor = Self { health, failed: watch::Sender::default(), is_stopping: Arc::default() };
        let watching = supervisor.clone();
        std::thread::Builder::new().name("supervisor".to_owned()).spawn(move || watching.look())?;
        Ok(supervisor)
    }

    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// From here on parts may end.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Resolves with what failed, when the process must end.
    pub(crate) async fn failed(&self) -> String {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(failed) => failed.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Runs a task and starts it again whenever it ends by itself.
    pub(crate) fn run<F, Running>(&self, name: &str, make: F) -> JoinHandle<()>
    where
        F: Fn(Arc<Heartbeat>) -> Running + Send + 'static,
        Running: Future<Output = ()> + Send + 'static,
    {
        let (supervisor, name) = (self.clone(), name.to_owned());
        let part = self.health.parts.part(&name);
        tokio::spawn(async move {
            let mut pause = RESTART_FIRST;
            loop {
                let started = Instant::now();
                let ended = tokio::spawn(make(part.heartbeat.clone())).await;
                if !supervisor.ended(&name, &part, &ended, AtEnd::Restart) {
                    return;
                }
                if started.elapsed() > SOUND_AFTER {
                    pause = RESTART_FIRST;
                }
                part.heartbeat.waiting();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RESTART_MAX);
                part.recover();
            }
        })
    }

    /// Watches tasks that cannot be started again. The handle ends when all of them have.
    pub(crate) fn watch(&self, name: &str, mut tasks: JoinSet<()>) -> JoinHandle<()> {
        let (supervisor, name) = (self.clone(), name.to_owned());
        let part = self.health.parts.part(&name);
        tokio::spawn(async move {
            while let Some(ended) = tasks.join_next().await {
                supervisor.ended(&name, &part, &ended, AtEnd::Exit);
            }
        })
    }

    /// Watches a thread of somebody else's by the future that tells its end.
    pub(crate) fn watch_thread(&self, name: &str, ended: impl Future<Output = ()> + Send + 'static) {
        let (supervisor, name) = (self.clone(), name.to_owned());
        let part = self.health.parts.part(&name);
        tokio::spawn(async move {
            ended.await;
            supervisor.ended(&name, &part, &Ok(()), AtEnd::Exit);
        });
    }

    /// Notes that a part ended. False: that is in order, the site is stopping.
    fn ended(&self, name: &str, part: &Part, ended: &Result<(), JoinError>, at_end: AtEnd) -> bool {
        if self.is_stopping() {
            return false;
        }
        let why = match ended {
            Err(error) if error.is_panic() => "panicked",
            _ => "ended by itself",
        };
        part.fail(why);
        match at_end {
            AtEnd::Restart => tracing::error!(part = name, why, "a part of sanimon is started again"),
            AtEnd::Exit => self.exit(format!("{name} {why}")),
        }
        true
    }

    /// The process must end: in order, or after a while in any case.
    fn exit(&self, why: String) {
        tracing::error!(why, "sanimon cannot go on and ends; the service manager starts it again");
        let is_first = self.failed.send_if_modified(|failed| {
            let is_first = failed.is_none();
            failed.get_or_insert(why);
            is_first
        });
        if is_first {
            std::thread::spawn(|| {
                std::thread::sleep(EXIT_WITHIN);
                std::process::exit(1);
            });
        }
    }

    /// Looks at all heartbeats until the site stops.
    fn look(&self) {
        let mut seen = BTreeMap::new();
        while !self.is_stopping() {
            std::thread::sleep(LOOK_EVERY);
            #[cfg(debug_assertions)]
            traps::set(&self.health);
            for (name, part) in self.health.parts.all() {
                let sight = seen.entry(name.clone()).or_insert_with(|| Sight::of(&part));
                match sight.look(&part) {
                    Some(for_how_long) if for_how_long > exit_after_hang() => {
                        return self.exit(format!("{name} hangs for {} s", for_how_long.as_secs()));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// What was last seen of a heartbeat.
struct Sight {
    beats: u64,
    at: Instant,
    is_told: bool,
}

impl Sight {
    fn of(part: &Part) -> Self {
        Self { beats: part.heartbeat.beats(), at: Instant::now(), is_told: false }
    }

    /// For how long the part hangs, if it does.
    fn look(&mut self, part: &Part) -> Option<Duration> {
        let beats = part.heartbeat.beats();
        if beats != self.beats || part.heartbeat.state() == HeartbeatState::Waiting {
            (self.beats, self.at) = (beats, Instant::now());
            if std::mem::take(&mut self.is_told) {
                part.recover();
            }
            return None;
        }
        let since = self.at.elapsed();
        if since < HANGS_AFTER {
            return None;
        }
        if !self.is_told {
            self.is_told = true;
            part.fail("does not come around");
        }
        Some(since)
    }
}

fn exit_after_hang() -> Duration {
    #[cfg(debug_assertions)]
    if let Some(ms) = std::env::var("SANIMON_TEST_EXIT_AFTER_HANG_MS").ok().and_then(|ms| ms.parse().ok()) {
        return Duration::from_millis(ms);
    }
    EXIT_AFTER_HANG
}

/// For tests of debug builds: a file names the part that is to panic or hang at its next sign of life.
#[cfg(debug_assertions)]
mod traps {
    use sanimon_domain::Trap;
    use sanimon_store::Health;

    pub(super) fn set(health: &Health) {
        let Ok(path) = std::env::var("SANIMON_TEST_TRAPS") else { return };
        let Ok(text) = std::fs::read_to_string(&path) else { return };
        let _ = std::fs::remove_file(&path);
        for line in text.lines() {
            let Some((trap, name)) = line.split_once(' ') else { continue };
            let trap = if trap == "panic" { Trap::Panic } else { Trap::Hang };
            health.parts.part(name).heartbeat.set_trap(trap);
        }
    }
}
