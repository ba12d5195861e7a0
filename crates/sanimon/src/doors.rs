//! Where people and devices come in: what listens, over which certificates, and whom it lets in.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use sanimon_api::{OidcOptions, Reached};
use sanimon_ingest::broker::{EmbeddedOptions, OwnClient};
use sanimon_net::{Tls, TlsFiles};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{EmbeddedConfig, HttpConfig};
use crate::http;
use crate::supervisor::Supervisor;
use crate::tls;

/// Of sanimon itself on its own broker.
const OWN_PASSWORD_CHARS: usize = 32;

/// Where people and devices come in.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) http: HttpDoors,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) oidc: Option<OidcOptions>,
    pub(crate) embedded: Option<EmbeddedConfig>,
}

/// What is bound for HTTP.
#[derive(Debug)]
pub(crate) struct HttpDoors {
    plain: TcpListener,
    over_tls: Option<TcpListener>,
    pub(crate) reached: Reached,
    pub(crate) requests_per_s: f64,
}

impl HttpDoors {
    pub(crate) fn plain_address(&self) -> Option<SocketAddr> {
        self.plain.local_addr().ok()
    }
}

impl Doors {
    /// Binds what is to listen for HTTP.
    pub(crate) async fn open(
        http: &HttpConfig,
        tls: Option<TlsFiles>,
        oidc: Option<OidcOptions>,
        embedded: Option<EmbeddedConfig>,
    ) -> anyhow::Result<Self> {
        let over_tls = match http.tls_listen {
            Some(address) => Some(http::listen(address).await?),
            None => None,
        };
        let http = HttpDoors {
            plain: http::listen(http.listen).await?,
            over_tls,
            reached: http.reached.clone(),
            requests_per_s: http.requests_per_s,
        };
        Ok(Self { http, tls, oidc, embedded })
    }
}

/// The servers that run.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Ends when all servers have.
    pub(crate) tasks: JoinHandle<()>,
}

impl Served {
    pub(crate) fn start(
        doors: HttpDoors,
        tls: Option<TlsFiles>,
        router: Router,
        supervisor: &Supervisor,
        stop: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let tls = tls.map(|files| tls::start(files, supervisor)).transpose()?;
        let http = doors.plain.local_addr()?;
        let https = doors.over_tls.as_ref().map(TcpListener::local_addr).transpose()?;
        let server = http::Server::new(router);
        let mut tasks = JoinSet::new();
        let heartbeat = |name: &str| supervisor.health().parts.part(name).heartbeat.clone();
        tasks.spawn(Arc::clone(&server).serve(doors.plain, None, heartbeat("http"), stop.clone()));
        if let (Some(listener), Some(tls)) = (doors.over_tls, &tls) {
            let tls = Some(tls.for_browsers());
            tasks.spawn(server.serve(listener, tls, heartbeat("https"), stop.clone()));
        }
        Ok(Self { http, https, tls, tasks: supervisor.watch("http", tasks) })
    }
}

/// A client id and a password that nobody else knows.
pub(crate) fn own_client() -> OwnClient {
    OwnClient {
        client_id: format!("sanimon-{}", sanimon_api::random_password()),
        password: sanimon_api::random_text(OWN_PASSWORD_CHARS),
    }
}

pub(crate) fn embedded_options(config: &EmbeddedConfig, tls: Option<&Tls>) -> EmbeddedOptions {
    EmbeddedOptions {
        tcp: config.tcp,
        websocket: config.websocket,
        tls_tcp: config.tls_tcp,
        tls_websocket: config.tls_websocket,
        tls: tls.map(Tls::for_devices),
        anonymous: config.anonymous,
        limits: config.limits,
        sockets_max: sockets_max(),
    }
}

/// As many files and sockets as the system gives: its default of 1,024 would be 300 devices.
fn sockets_max() -> usize {
    // Where it may not be raised, what the service manager gave counts.
    let given = || rlimit::Resource::NOFILE.get_soft();
    let limit = rlimit::increase_nofile_limit(u64::MAX).or_else(|_| given()).unwrap_or(1_024);
    usize::try_from(limit).unwrap_or(usize::MAX)
}
