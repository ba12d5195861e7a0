//! The HTTP server: bounded in connections, in what a request's head may be, and in time.
//!
//! A connection first waits for its request among those that may be given up, the oldest first; with the first request
//! it gets room of its own. What an address may have at once is bounded, too; addresses of this machine are not, for a
//! proxy in front speaks for everybody.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use sanimon_api::OverTls;
use sanimon_domain::Heartbeat;
use sanimon_net::{Admission, AdmissionLimits, Place};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// From the connection to the end of the request's head, and the longest rest between two requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;
/// Connections that have sent a request.
const ROOM: usize = 4_096;
const ROOM_OF_ADDRESS: usize = 128;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What listens, and what all of it shares.
#[derive(Debug)]
pub(crate) struct Server {
    router: Router,
    waiting: Arc<Admission>,
    room: Arc<Semaphore>,
    of_address: Mutex<HashMap<IpAddr, usize>>,
}

/// What a connection with a request holds.
struct Room {
    server: Arc<Server>,
    address: IpAddr,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut counts = self.server.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

impl Server {
    pub(crate) fn new(router: Router) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(ROOM));
        let waiting = Arc::new(Admission::new(AdmissionLimits::default()));
        Arc::new(Self { router, waiting, room, of_address: Mutex::default() })
    }

    fn room(self: &Arc<Self>, address: IpAddr) -> Option<Room> {
        let permit = self.room.clone().try_acquire_owned().ok()?;
        let mut counts = self.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= ROOM_OF_ADDRESS && !address.is_loopback() {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Room { server: self.clone(), address, _permit: permit })
    }

    /// Serves until it is told to stop; then requests that are under way end, as long as the caller waits.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        heartbeat: Arc<Heartbeat>,
        mut stop: watch::Receiver<bool>,
    ) {
        let graceful = GracefulShutdown::new();
        loop {
            heartbeat.waiting();
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            heartbeat.working();
            let (socket, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no http connection can be accepted");
                    heartbeat.waiting();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let _ = socket.set_nodelay(true);
            let watcher = graceful.watcher();
            let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(tls.borrow().clone()));
            let server = self.clone();
            tokio::spawn(async move { server.connection(socket, address, acceptor, watcher).await });
        }
        drop(listener);
        graceful.shutdown().await;
    }

    async fn connection(
        self: Arc<Self>,
        socket: TcpStream,
        address: SocketAddr,
        acceptor: Option<TlsAcceptor>,
        watcher: hyper_util::server::graceful::Watcher,
    ) {
        let (mut place, _) = self.waiting.enter(address.ip().to_canonical());
        let Some(acceptor) = acceptor else {
            return self.requests(socket, address, None, place, watcher).await;
        };
        let handshake = tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(socket));
        let stream = tokio::select! {
            stream = handshake => stream,
            () = place.lost() => return,
        };
        match stream {
            Ok(Ok(stream)) => self.requests(stream, address, Some(OverTls), place, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, %address, "tls handshake failed"),
            Err(_) => tracing::debug!(%address, "tls handshake took too long"),
        }
    }

    async fn requests<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        stream: S,
        address: SocketAddr,
        over_tls: Option<OverTls>,
        mut place: Place,
        watcher: hyper_util::server::graceful::Watcher,
    ) {
        let (begun, first) = watch::channel(false);
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            begun.send_replace(true);
            request.extensions_mut().insert(ConnectInfo(address));
            if let Some(over_tls) = over_tls {
                request.extensions_mut().insert(over_tls);
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
            let Some(_room) = self.room(address.ip().to_canonical()) else {
                tracing::debug!(%address, "http connection refused: too many");
                return;
            };
            let _ = connection.await;
        }
    }
}
