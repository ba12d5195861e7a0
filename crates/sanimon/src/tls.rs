//! Certificates of the site, kept up to date by a task that is watched; `/readyz` and `/metrics` say how they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sanimon_net::{Tls, TlsFiles};

use crate::supervisor::Supervisor;

/// Reads the files, and reads them again whenever they change.
pub(crate) fn start(files: TlsFiles, supervisor: &Supervisor) -> anyhow::Result<Arc<Tls>> {
    let health = supervisor.health().clone();
    let (tls, expires_at_s) = Tls::read(files).map_err(|fault| anyhow::anyhow!("[tls] {fault}"))?;
    health.tls_expires_at_s.store(expires_at_s, Ordering::Relaxed);
    let tls = Arc::new(tls);
    let kept = tls.clone();
    supervisor.run("tls", move |heartbeat| {
        let (kept, health) = (kept.clone(), health.clone());
        async move {
            let told = |read: Result<i64, _>| {
                health.tls_fault.store(read.is_err(), Ordering::Relaxed);
                if let Ok(expires_at_s) = read {
                    health.tls_expires_at_s.store(expires_at_s, Ordering::Relaxed);
                }
            };
            kept.keep(&heartbeat, told).await;
        }
    });
    Ok(tls)
}
