//! The HTTP server: bounded in connections, in what a request's head may be, and in time.
//!
//! A connection first waits for its request among those that may be given up, the oldest first; with the first request
//! it gets room of its own. What an address may have at once is bounded, too; addresses of this machine are not, for a
//! proxy in front speaks for everybody.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use sanimon_api::OverTls;
use sanimon_domain::Heartbeat;
use sanimon_net::{
    Addresses, Admission, AdmissionLimits, Anonymous, Door, HANDSHAKES_MAX, Notices, TlsSource,
};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::Service;

/// From the connection to the end of the request's head, and the longest rest between two requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;
/// Connections that have sent a request.
const ROOM: usize = 4_096;
const ROOM_OF_ADDRESS: usize = 128;

/// What listens, and what all of it shares.
#[derive(Debug)]
pub(crate) struct Server {
    router: Router,
    admission: Arc<Admission>,
    handshakes: Arc<Semaphore>,
    room: Arc<Semaphore>,
    addresses: Mutex<Addresses>,
}

/// What a connection with a request holds.
struct Room {
    server: Arc<Server>,
    address: IpAddr,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Drop for Room {
    fn drop(&mut self) {
        lock(&self.server.addresses).leave(self.address);
    }
}

impl Server {
    pub(crate) fn new(router: Router) -> Arc<Self> {
        Arc::new(Self {
            router,
            admission: Arc::new(Admission::new(AdmissionLimits::default())),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            room: Arc::new(Semaphore::new(ROOM)),
            addresses: Mutex::default(),
        })
    }

    fn room(self: &Arc<Self>, address: IpAddr) -> Option<Room> {
        let permit = self.room.clone().try_acquire_owned().ok()?;
        let mut addresses = lock(&self.addresses);
        if !addresses.has_room(address, ROOM_OF_ADDRESS) {
            return None;
        }
        addresses.enter(address);
        drop(addresses);
        Some(Room { server: self.clone(), address, _permit: permit })
    }

    /// Serves until it is told to stop; then requests that are under way end, as long as the caller waits.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsSource>,
        heartbeat: Arc<Heartbeat>,
        mut stop: watch::Receiver<bool>,
    ) {
        let door = Door {
            listener,
            tls,
            admission: self.admission.clone(),
            handshakes: self.handshakes.clone(),
            // hyper itself watches what follows.
            sign_in_max: HANDSHAKE_TIME_MAX,
            heartbeat,
            notices: Arc::new(Log),
        };
        // Gone when the server stops: whoever comes through a handshake later is not served.
        let graceful = Arc::new(Mutex::new(Some(GracefulShutdown::new())));
        let shared = graceful.clone();
        let handle = move |anonymous| {
            let watcher = lock(&shared).as_ref().map(GracefulShutdown::watcher);
            let server = self.clone();
            async move {
                if let Some(watcher) = watcher {
                    server.requests(anonymous, watcher).await;
                }
            }
        };
        sanimon_net::serve(door, stop.wait_for(|stop| *stop), handle).await;
        let open = lock(&graceful).take();
        if let Some(graceful) = open {
            graceful.shutdown().await;
        }
    }

    async fn requests(self: &Arc<Self>, anonymous: Anonymous, watcher: Watcher) {
        let Anonymous { stream, peer, mut place, .. } = anonymous;
        let (begun, first) = watch::channel(false);
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            begun.send_replace(true);
            request.extensions_mut().insert(ConnectInfo(peer.address));
            if peer.is_tls {
                request.extensions_mut().insert(OverTls);
            }
            let mut router = router.clone();
            async move { router.call(request.map(axum::body::Body::new)).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let connection = watcher.watch(connection);
        tokio::pin!(connection);
        let mut begins = first;
        let ended = tokio::select! {
            ended = &mut connection => Some(ended),
            () = place.lost() => return,
            _ = begins.wait_for(|begun| *begun) => None,
        };
        drop(place);
        if ended.is_none() {
            let address = peer.address;
            let Some(_room) = self.room(address.ip().to_canonical()) else {
                tracing::debug!(%address, "http connection refused: too many");
                return;
            };
            let _ = connection.await;
        }
    }
}

/// What happens at the doors of HTTP is not counted.
struct Log;

impl Notices for Log {
    fn not_signed_in(&self, address: SocketAddr, error: &io::Error) {
        tracing::debug!(%error, %address, "tls handshake failed");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
