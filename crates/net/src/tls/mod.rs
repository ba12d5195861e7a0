//! Certificates: read, judged, and read again while everything goes on.
//!
//! Two configurations come from the same files: browsers are not asked for a certificate, devices may show one. A
//! connection keeps what it began with; new ones get what is newest. Files that turn bad change nothing: what is in
//! force stays, and the log says why, each time they change.

mod files;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use sanimon_domain::Heartbeat;
use tokio::sync::watch;

#[cfg(test)]
pub(crate) use files::tests::{Folder, made};
pub use files::{Loaded, Minimum, TlsFault, TlsFiles, certificates, common_name};

/// How often it is looked whether the files have changed: certificates live for weeks.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How TLS is spoken. What arrives by the channel holds for new connections; those that are open keep theirs.
#[derive(Debug, Clone)]
pub struct TlsSource {
    /// What is newest.
    pub config: watch::Receiver<Arc<ServerConfig>>,
    /// The common name in a client's certificate.
    pub name_of: fn(&CertificateDer<'_>) -> Option<String>,
}

/// What is in force.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    /// Of the files, before they were read first.
    stamps: Stamps,
    http: watch::Sender<Arc<ServerConfig>>,
    mqtt: watch::Sender<Arc<ServerConfig>>,
}

/// When each file was written, and how long it is.
type Stamps = Vec<Option<(SystemTime, u64)>>;

impl Tls {
    /// Reads the files; the second answer says until when the site's own certificate is good, in Unix seconds.
    pub fn read(files: TlsFiles) -> Result<(Self, i64), TlsFault> {
        let stamps = files.stamps();
        let loaded = files.load()?;
        let (http, mqtt) = (watch::Sender::new(loaded.http), watch::Sender::new(loaded.mqtt));
        Ok((Self { files, stamps, http, mqtt }, loaded.expires_at_s))
    }

    /// For browsers, which are not asked who they are.
    pub fn for_browsers(&self) -> TlsSource {
        source(&self.http)
    }

    /// For the broker, which looks at clients' certificates.
    pub fn for_devices(&self) -> TlsSource {
        source(&self.mqtt)
    }

    /// Reads the files again whenever they change, for ever, and tells what came of it as [`Tls::read`] does.
    pub async fn keep(&self, heartbeat: &Heartbeat, told: impl Fn(Result<i64, TlsFault>)) {
        let mut seen = self.stamps.clone();
        let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
        let Ok(mut hangup) = hangup else { return };
        loop {
            heartbeat.working();
            let now = self.files.stamps();
            heartbeat.waiting();
            if now == seen {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = hangup.recv() => {}
                }
                continue;
            }
            seen = now;
            told(self.read_again().await);
        }
    }

    async fn read_again(&self) -> Result<i64, TlsFault> {
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || files.load()).await;
        let loaded = read.expect("reading files does not panic").inspect_err(|fault| {
            tracing::error!(%fault, "certificates were not changed: those in force stay");
        })?;
        self.http.send_replace(loaded.http);
        self.mqtt.send_replace(loaded.mqtt);
        tracing::info!("certificates were read again");
        Ok(loaded.expires_at_s)
    }
}

fn source(config: &watch::Sender<Arc<ServerConfig>>) -> TlsSource {
    TlsSource { config: config.subscribe(), name_of: |certificate| common_name(certificate) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn new_files_hold_for_new_connections_and_bad_ones_change_nothing() {
        let (folder, (certificate, key)) = (Folder::new(), made(|_| {}));
        let files = folder.files(&certificate.pem(), &key.serialize_pem());
        let (tls, _) = Tls::read(files).unwrap();
        let (mut browsers, mut devices) = (tls.for_browsers().config, tls.for_devices().config);
        folder.write("cert.pem", "hello");
        let fault = tls.read_again().await.unwrap_err();
        assert_eq!(fault.key, "certificate");
        assert!(!browsers.has_changed().unwrap() && !devices.has_changed().unwrap());
        let (certificate, key) = made(|params| params.not_after = rcgen::date_time_ymd(2090, 1, 1));
        folder.files(&certificate.pem(), &key.serialize_pem());
        assert_eq!(tls.read_again().await.unwrap(), 3_786_912_000, "that of the new certificate");
        for config in [&mut browsers, &mut devices] {
            assert!(config.has_changed().unwrap());
        }
    }
}
