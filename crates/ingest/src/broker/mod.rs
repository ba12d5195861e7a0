//! The embedded broker: rmqtt as a library behind a [`front`], its PUBACK held until the commit.
//!
//! rmqtt awaits `MessagePublishCheckAcl` before it answers a PUBLISH, one after another for each connection, so that
//! hook is where a message waits for its commit. A last will passes only `MessagePublish`. There is no stop call: the
//! future of `run()` is owned here and dropped.
//!
//! Who may connect, publish and subscribe is decided in [`hooks`] by [`rights`]; [`peers`] knows who is connected.

mod front;
mod hooks;
mod inner;
mod peers;
pub(crate) mod retain;
mod rights;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rmqtt::context::ServerContext;
use sanimon_net::{Admission, AdmissionLimits, Allowance, TlsSource};
use sanimon_store::{Shared, SourceState};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use self::front::{Door, Hall, Wire};
use self::hooks::Hook;
use self::inner::Inner;
use self::peers::Peers;
use crate::error::IngestError;
use crate::queue::Queue;

/// The name of this source in the quarantine and in `/readyz`.
pub const SOURCE: &str = "embedded";

/// Connections at most, where the system gives as many sockets: three for each, here and in rmqtt.
const CONNECTIONS_MAX: usize = 20_000;
const SOCKETS_OF_CONNECTION: usize = 3;
/// Sockets that are not the broker's.
const SOCKETS_OF_OTHERS: usize = 1_000;
/// How long `stop` waits for sessions to write the acknowledgements that were released.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How soon a revoked credential's connections are cut, and how soon an expired one's.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_AT_EXPIRY_EVERY: Duration = Duration::from_secs(30);

/// Where the broker listens and whom it lets in.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    pub tcp: SocketAddr,
    pub websocket: Option<SocketAddr>,
    /// The same, over TLS; they need `tls`.
    pub tls_tcp: Option<SocketAddr>,
    pub tls_websocket: Option<SocketAddr>,
    pub tls: Option<TlsSource>,
    /// Clients without a name are let in by the listeners that are on this machine.
    pub anonymous: bool,
    pub limits: DeviceLimits,
    /// Files and sockets that the process may have open.
    pub sockets_max: usize,
}

/// What a username may do, over all of its connections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceLimits {
    pub connections: usize,
    pub messages_per_s: f64,
    pub bytes_per_s: f64,
    /// How many times more a gateway may, which speaks for many.
    pub gateway_factor: f64,
}

impl Default for DeviceLimits {
    /// A device that sends each second, and a backlog of a day at once; a gateway of some hundred of them.
    fn default() -> Self {
        Self { connections: 4, messages_per_s: 20.0, bytes_per_s: 65_536.0, gateway_factor: 100.0 }
    }
}

/// A device may save up so much of its rate: a backlog after an outage.
const BURST_S: f64 = 60.0;

impl DeviceLimits {
    fn factor(self, is_gateway: bool) -> f64 {
        if is_gateway { self.gateway_factor } else { 1.0 }
    }

    pub(crate) fn connections(self, is_gateway: bool) -> usize {
        (self.connections as f64 * self.factor(is_gateway)) as usize
    }

    pub(crate) fn messages(self, is_gateway: bool) -> Allowance {
        let per_s = self.messages_per_s * self.factor(is_gateway);
        Allowance { per_s, burst: per_s * BURST_S }
    }

    pub(crate) fn bytes(self, is_gateway: bool) -> Allowance {
        let per_s = self.bytes_per_s * self.factor(is_gateway);
        Allowance { per_s, burst: per_s * BURST_S }
    }
}

/// By what sanimon itself signs in to publish the state of alerts.
#[derive(Clone)]
pub struct OwnClient {
    pub client_id: String,
    pub password: String,
}

impl OwnClient {
    /// The username of sanimon itself.
    pub const USERNAME: &'static str = "sanimon";
}

impl std::fmt::Debug for OwnClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnClient").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// The running broker.
#[derive(Debug)]
pub struct Embedded {
    /// The addresses it really listens on (a port may have been 0).
    pub tcp: SocketAddr,
    pub websocket: Option<SocketAddr>,
    pub tls_tcp: Option<SocketAddr>,
    pub tls_websocket: Option<SocketAddr>,
    tasks: JoinSet<()>,
    aborts: Vec<AbortHandle>,
    gate: Arc<Gate>,
}

/// Shared by all hooks: closed at the stop.
#[derive(Debug, Default)]
struct Gate {
    closed: AtomicBool,
    waiting: AtomicUsize,
}

impl Embedded {
    /// Binds the listeners and serves.
    pub async fn start(
        options: EmbeddedOptions,
        own: OwnClient,
        queue: Queue,
        shared: &Shared,
    ) -> Result<Self, IngestError> {
        let peers = Arc::new(Peers::default());
        let gate: Arc<Gate> = Arc::default();
        let hook = Hook {
            queue: queue.clone(),
            gate: gate.clone(),
            source: SOURCE.into(),
            own: Arc::new(own),
            peers: peers.clone(),
            shared: shared.clone(),
            limits: options.limits,
            anonymous: options.anonymous,
            started: Instant::now(),
        };
        let inner = Inner::start(&options, &hook).await?;
        let places = (options.sockets_max.saturating_sub(SOCKETS_OF_OTHERS) / SOCKETS_OF_CONNECTION).max(64);
        let hall = Arc::new(Hall {
            peers: peers.clone(),
            waiting: Arc::new(Admission::new(AdmissionLimits::default())),
            room: Arc::new(Semaphore::new(places.min(CONNECTIONS_MAX))),
            health: shared.health.clone(),
        });
        let mut tasks = JoinSet::new();
        let mut aborts = vec![tasks.spawn(inner.serve)];
        let mut open = async |address: SocketAddr, wire: Wire, tls: Option<TlsSource>| {
            let listener = bind(address).await?;
            let bound = listener.local_addr().unwrap_or(address);
            let to = if wire == Wire::Mqtt { inner.tcp } else { inner.websocket };
            let anonymous = options.anonymous && bound.ip().is_loopback();
            let door = Door { listener, wire, tls, inner: to, anonymous };
            aborts.push(tasks.spawn(front::serve(door, hall.clone())));
            Ok::<_, IngestError>(bound)
        };
        let tcp = match inner.direct_tcp {
            Some(bound) => bound,
            None => open(options.tcp, Wire::Mqtt, None).await?,
        };
        let websocket = match (inner.direct_websocket, options.websocket) {
            (None, Some(address)) => Some(open(address, Wire::WebSocket, None).await?),
            (bound, _) => bound,
        };
        let (mut tls_tcp, mut tls_websocket) = (None, None);
        if let Some(tls) = &options.tls {
            if let Some(address) = options.tls_tcp {
                tls_tcp = Some(open(address, Wire::Mqtt, Some(tls.clone())).await?);
            }
            if let Some(address) = options.tls_websocket {
                tls_websocket = Some(open(address, Wire::WebSocket, Some(tls.clone())).await?);
            }
        }
        aborts.push(tasks.spawn(cut_revoked(inner.context, peers, shared.clone(), queue)));
        let detail = format!("listening on {tcp}");
        shared.health.set_source(SOURCE, SourceState { connected: true, detail });
        Ok(Self { tcp, websocket, tls_tcp, tls_websocket, tasks, aborts, gate })
    }

    /// The broker's tasks, for who watches them: none may end before [`Embedded::close`]. Dropped, they end.
    pub fn take_tasks(&mut self) -> JoinSet<()> {
        std::mem::take(&mut self.tasks)
    }

    /// Takes no new connection and no new message; messages that wait for their commit keep waiting.
    pub fn close(&self) {
        self.gate.closed.store(true, Ordering::Release);
        self.aborts.iter().for_each(AbortHandle::abort);
    }

    /// After the committer has stopped: lets sessions write the acknowledgements that were released.
    pub async fn drained(&self) {
        let deadline = tokio::time::Instant::now() + DRAIN_MAX;
        while self.gate.waiting.load(Ordering::Acquire) > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A hook that has returned is about to write its PUBACK, which the front then carries.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends the connections of credentials that are no longer good.
async fn cut_revoked(context: ServerContext, peers: Arc<Peers>, shared: Shared, queue: Queue) {
    let (mut seen, mut looked_at) = (shared.access.version(), Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let version = shared.access.version();
        if version == seen && looked_at.elapsed() < LOOK_AT_EXPIRY_EVERY {
            continue;
        }
        (seen, looked_at) = (version, Instant::now());
        let now = queue.now();
        // A certificate has no number here.
        let is_good = |name: &str, id: i64| {
            id == hooks::CERTIFICATE || shared.access.is_credential_valid(name, id, now)
        };
        for client_id in peers.without_right(is_good) {
            inner::kick(&context, &client_id).await;
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, IngestError> {
    let listen = |error: std::io::Error| IngestError::Listen { address, detail: error.to_string() };
    TcpListener::bind(address).await.map_err(listen)
}
