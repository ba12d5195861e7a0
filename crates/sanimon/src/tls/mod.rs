//! Certificates: read, judged, and read again while everything goes on.
//!
//! Two configurations come from the same files: browsers are not asked for a certificate, devices may show one. A
//! connection keeps what it began with; new ones get what is newest. Files that turn bad change nothing: what is in
//! force stays, and the log says why, each time they change.

mod files;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use sanimon_domain::Heartbeat;
use sanimon_ingest::broker::TlsSource;
use sanimon_store::Health;
use tokio::sync::watch;

use crate::supervisor::Supervisor;

pub(crate) use files::{Minimum, TlsFiles, certificates, common_name};

/// How often it is looked whether the files have changed: certificates live for weeks.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is in force.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) http: watch::Receiver<Arc<ServerConfig>>,
    mqtt: watch::Receiver<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files, and reads them again whenever they change.
    pub(crate) fn start(files: TlsFiles, supervisor: &Supervisor) -> anyhow::Result<Self> {
        let health = supervisor.health().clone();
        let stamps = files.stamps();
        let loaded = files.load().map_err(|fault| anyhow::anyhow!("[tls] {fault}"))?;
        health.tls_expires_at_s.store(loaded.expires_at_s, Ordering::Relaxed);
        let (http, http_receiver) = watch::channel(loaded.http);
        let (mqtt, mqtt_receiver) = watch::channel(loaded.mqtt);
        let in_force = Arc::new(InForce { http, mqtt, health, stamps });
        supervisor.run("tls", move |heartbeat| keep(files.clone(), in_force.clone(), heartbeat));
        Ok(Self { http: http_receiver, mqtt: mqtt_receiver })
    }

    /// For the broker, which looks at clients' certificates.
    pub(crate) fn for_devices(&self) -> TlsSource {
        TlsSource { config: self.mqtt.clone(), name_of: |certificate| common_name(certificate) }
    }
}

struct InForce {
    http: watch::Sender<Arc<ServerConfig>>,
    mqtt: watch::Sender<Arc<ServerConfig>>,
    health: Arc<Health>,
    /// Of the files at the start.
    stamps: Vec<Option<(SystemTime, u64)>>,
}

/// Reads the files again when they change.
async fn keep(files: TlsFiles, in_force: Arc<InForce>, heartbeat: Arc<Heartbeat>) {
    let InForce { http, mqtt, health, stamps } = &*in_force;
    let mut seen = stamps.clone();
    let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
    let Ok(mut hangup) = hangup else { return };
    loop {
        heartbeat.working();
        let now = files.stamps();
        if now == seen {
            heartbeat.waiting();
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = hangup.recv() => {}
            }
            continue;
        }
        seen = now;
        heartbeat.waiting();
        let reading = files.clone();
        match tokio::task::spawn_blocking(move || reading.load()).await {
            Ok(Ok(loaded)) => {
                let _ = (http.send(loaded.http), mqtt.send(loaded.mqtt));
                health.tls_expires_at_s.store(loaded.expires_at_s, Ordering::Relaxed);
                health.tls_fault.store(false, Ordering::Relaxed);
                tracing::info!("certificates were read again");
            }
            Ok(Err(fault)) => {
                health.tls_fault.store(true, Ordering::Relaxed);
                tracing::error!(%fault, "certificates were not changed: those in force stay");
            }
            Err(_) => return,
        }
    }
}
