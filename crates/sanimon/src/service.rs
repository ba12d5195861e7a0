//! What a service manager is told (`sd_notify`): ready, alive, stopping. Without one nothing happens.
//!
//! Alive means more than that a process is there: the writer's thread came around since the last time, and the runtime
//! that tells it is not stuck. A full disk is no reason to be restarted, for a restart mends no disk: the thread comes
//! around while it waits.

use std::time::Duration;

use sanimon_store::Shared;
use sd_notify::NotifyState;
use tokio::task::JoinHandle;

/// The watchdog's task, if the manager wants one.
pub(crate) type Watchdog = Option<JoinHandle<()>>;

/// Everything has started.
pub(crate) fn ready(shared: &Shared) -> Watchdog {
    tell(&[NotifyState::Ready]);
    let within = sd_notify::watchdog_enabled()?;
    tracing::info!(within_s = within.as_secs_f64(), "the service manager watches");
    Some(tokio::spawn(beat(within, shared.clone())))
}

/// The last group is being finished.
pub(crate) fn stopping(watchdog: Watchdog) {
    // It goes on until the end: the stop is bounded by itself.
    drop(watchdog);
    tell(&[NotifyState::Stopping]);
}

async fn beat(within: Duration, shared: Shared) {
    let writer = shared.health.parts.part("writer");
    loop {
        tokio::time::sleep(within / 4).await;
        match writer.fault() {
            None => tell(&[NotifyState::Watchdog, NotifyState::Status(&status(&shared))]),
            Some(fault) => tracing::error!(
                fault,
                "the writer does not live: the service manager is not told that all is well"
            ),
        }
    }
}

/// One line for `systemctl status`.
fn status(shared: &Shared) -> String {
    match shared.health.store_fault() {
        Some(fault) => format!("nothing is acknowledged: {fault}"),
        None => format!("{} devices", shared.directory.read().devices().len()),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
