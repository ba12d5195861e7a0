//! The embedded broker: `sanimon-broker`, with its ports filled.
//!
//! [`permissions`]: credentials become rights; [`intake`]: publishes and changes of sessions go to the writer's queue;
//! [`notices`]: what is counted. The broker knows none of these.

mod intake;
mod notices;
mod permissions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sanimon_broker::{Broker, Carrier, Hub, Limits, Listener, Ports};
use sanimon_domain::Clock;
use sanimon_net::{Admission, Door, HANDSHAKES_MAX, TlsSource};
use sanimon_store::{Shared, SourceState};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::error::IngestError;
use crate::queue::Queue;

use intake::{Writing, wall_ms};
use notices::Counted;
use permissions::Credentials;

/// The name of this source in the quarantine and in `/readyz`.
pub const SOURCE: &str = "embedded";

/// Sockets that are not the broker's.
const SOCKETS_OF_OTHERS: usize = 1_000;
const CONNECTIONS_MIN: usize = 64;
/// How long `drained` waits for connections to write the acknowledgements that were released.
const DRAIN_MAX: Duration = Duration::from_secs(2);

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
    pub limits: Limits,
    /// Files and sockets that the process may have open.
    pub sockets_max: usize,
}

/// The running broker.
#[derive(Debug)]
pub struct Embedded {
    /// The addresses it really listens on (a port may have been 0).
    pub tcp: SocketAddr,
    pub websocket: Option<SocketAddr>,
    pub tls_tcp: Option<SocketAddr>,
    pub tls_websocket: Option<SocketAddr>,
    broker: Broker,
}

/// Opens the listeners, one after another.
struct Doors {
    options: EmbeddedOptions,
    shared: Shared,
    admission: Arc<Admission>,
    handshakes: Arc<Semaphore>,
    notices: Arc<Counted>,
    listeners: Vec<Listener>,
}

impl Embedded {
    /// Puts in what was stored, binds the listeners and serves.
    /// `clock`: the site's.
    pub async fn start(
        options: EmbeddedOptions,
        queue: Queue,
        shared: &Shared,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IngestError> {
        let stored = shared.mqtt_sessions().map_err(IngestError::Sessions)?;
        let notices = Arc::new(Counted::new(shared.clone(), clock));
        let permissions = Credentials::new(shared.clone(), queue.clone(), options.anonymous);
        let ports = Ports {
            intake: Arc::new(Writing::new(queue.clone())),
            permissions: Arc::new(permissions),
            notices: notices.clone(),
        };
        let room = options.sockets_max.saturating_sub(SOCKETS_OF_OTHERS).max(CONNECTIONS_MIN);
        let limits =
            Limits { connections_total: options.limits.connections_total.min(room), ..options.limits };
        // A client that was connected when sanimon last lived is away since.
        let stopped_ms = shared.heard_until().map_or_else(wall_ms, |at| at.0);
        let mut broker = Broker::new(limits, ports, stored, stopped_ms);
        let (tcp, websocket) = (options.tcp, options.websocket);
        let (tls_tcp, tls_websocket) = (options.tls_tcp, options.tls_websocket);
        let mut doors = Doors {
            options,
            shared: shared.clone(),
            admission: Arc::new(Admission::new(limits.admission)),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            notices,
            listeners: Vec::new(),
        };
        let tcp = doors.open(tcp, Carrier::Tcp, false).await?;
        let websocket = doors.maybe(websocket, Carrier::WebSocket, false).await?;
        let tls_tcp = doors.maybe(tls_tcp, Carrier::Tcp, true).await?;
        let tls_websocket = doors.maybe(tls_websocket, Carrier::WebSocket, true).await?;
        broker.listen(doors.listeners, shared.access.changes());
        let detail = format!("listening on {tcp}");
        shared.health.set_source(SOURCE, SourceState { connected: true, detail });
        Ok(Self { tcp, websocket, tls_tcp, tls_websocket, broker })
    }

    /// For the product's own messages.
    pub fn hub(&self) -> Arc<Hub> {
        self.broker.hub().clone()
    }

    /// The broker's tasks, for who watches them: none may end before [`Embedded::close`]. Dropped, they end.
    pub fn take_tasks(&mut self) -> JoinSet<()> {
        self.broker.take_tasks()
    }

    /// Takes no new connection; messages that wait for their commit keep waiting.
    pub fn close(&self) {
        self.broker.close();
    }

    /// Before the last commit: kept sessions are noted as away from now on.
    pub fn leave(&self) {
        self.broker.leave();
    }

    /// After the last commit: lets connections write the acknowledgements that were released, and tells them to go.
    pub async fn drained(&self) {
        if tokio::time::timeout(DRAIN_MAX, self.broker.drained()).await.is_err() {
            tracing::debug!("some connections did not take their last acknowledgements");
        }
    }
}

impl Doors {
    async fn maybe(
        &mut self,
        address: Option<SocketAddr>,
        carrier: Carrier,
        is_tls: bool,
    ) -> Result<Option<SocketAddr>, IngestError> {
        match address {
            Some(address) if !is_tls || self.options.tls.is_some() => {
                self.open(address, carrier, is_tls).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn open(
        &mut self,
        address: SocketAddr,
        carrier: Carrier,
        is_tls: bool,
    ) -> Result<SocketAddr, IngestError> {
        let failed = |error: std::io::Error| IngestError::Listen { address, detail: error.to_string() };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        // As `/readyz` calls it.
        let name = match (carrier, is_tls) {
            (Carrier::Tcp, false) => "mqtt",
            (Carrier::Tcp, true) => "mqtts",
            (Carrier::WebSocket, false) => "mqtt-ws",
            (Carrier::WebSocket, true) => "mqtt-wss",
        };
        let door = Door {
            listener,
            tls: self.options.tls.clone().filter(|_| is_tls),
            admission: self.admission.clone(),
            handshakes: self.handshakes.clone(),
            sign_in_max: self.options.limits.connect_time,
            heartbeat: self.shared.health.parts.part(name).heartbeat.clone(),
            notices: self.notices.clone(),
        };
        let may_be_nameless = self.options.anonymous && bound.ip().is_loopback();
        self.listeners.push(Listener { door, carrier, may_be_nameless });
        Ok(bound)
    }
}
