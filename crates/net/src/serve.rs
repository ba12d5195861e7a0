//! One way in for HTTP and MQTT: accept, take a place, speak TLS, hand over to the protocol.
//!
//! Whoever says nothing costs a socket, a small task and a place that goes to somebody else when it is needed.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use sanimon_domain::Heartbeat;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::admission::{Admission, Place};
use crate::stream::Stream;
use crate::tls::TlsSource;

/// TLS handshakes at a time: after a restart everybody comes at once, and other tasks want the processor, too.
pub const HANDSHAKES_MAX: usize = 64;
/// How long a handshake counts as one of those. What computes is done by then; what waits for its client goes on
/// uncounted, or a few clients that fall silent would keep everybody out. So all who may wait begin within seconds.
const HANDSHAKE_TURN: Duration = Duration::from_millis(100);
/// When the system gives no more sockets: a pause, so that others end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection that is silent for so long is asked by the system whether anybody is there: a device whose battery was taken out says
/// nothing, and without a keep-alive of its protocol's own nobody else would ever find out.
const SILENCE: Duration = Duration::from_mins(10);
/// How often it is asked again, and how many times, before the connection is given up.
const ASK_EVERY: Duration = Duration::from_secs(30);
const ASK_TIMES: u32 = 5;

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The name in its client certificate, which was verified.
    pub certificate_name: Option<String>,
    /// Nobody between can read along.
    pub is_tls: bool,
}

/// A connection whose client has not signed in. It may lose its place at any time: every await selects on
/// [`Place::lost`] until the place is dropped.
#[derive(Debug)]
pub struct Anonymous {
    /// What the client sends and gets.
    pub stream: Stream,
    /// Who it is, as far as the connection says.
    pub peer: Peer,
    /// Held until somebody has signed in.
    pub place: Place,
    /// When that must have happened.
    pub deadline: Instant,
}

/// Where clients come in, and what holds for them until they have signed in.
pub struct Door {
    /// Bound already.
    pub listener: TcpListener,
    /// `None`: plain.
    pub tls: Option<TlsSource>,
    /// May be shared with other doors.
    pub admission: Arc<Admission>,
    /// [`HANDSHAKES_MAX`] permits; may be shared with other doors.
    pub handshakes: Arc<Semaphore>,
    /// From the connection to the sign-in, TLS included.
    pub sign_in_max: Duration,
    /// Of the loop that accepts.
    pub heartbeat: Arc<Heartbeat>,
    /// Who is told.
    pub notices: Arc<dyn Notices>,
}

/// What happens at a door, for who counts or logs it.
pub trait Notices: Send + Sync {
    /// Somebody has connected.
    fn accepted(&self) {}
    /// So many lost their places to a newcomer.
    fn evicted(&self, _number: usize) {}
    /// A connection failed or took too long before its sign-in.
    fn not_signed_in(&self, _address: SocketAddr, _error: &io::Error) {}
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_tls = self.tls.is_some();
        f.debug_struct("Door")
            .field("listener", &self.listener)
            .field("is_tls", &is_tls)
            .finish_non_exhaustive()
    }
}

const fn keep_alive() -> TcpKeepalive {
    TcpKeepalive::new().with_time(SILENCE).with_interval(ASK_EVERY).with_retries(ASK_TIMES)
}

/// Accepts until it is told to stop, and hands each connection to `handle` in a task of its own; those tasks go on.
pub async fn serve<H, F>(door: Door, stop: impl Future, handle: H)
where
    H: Fn(Anonymous) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut stop = pin!(stop);
    loop {
        door.heartbeat.waiting();
        let accepted = tokio::select! {
            accepted = door.listener.accept() => accepted,
            _ = &mut stop => return,
        };
        door.heartbeat.working();
        match accepted {
            Ok((socket, address)) => {
                tokio::spawn(connection(Box::pin(open(&door, socket, address)), handle.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                door.heartbeat.waiting();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection's task. What opens it is in a box that is gone once it is handled: a handshake takes kilobytes, and a
/// device may stay for years.
async fn connection<O, H, F>(opening: Pin<Box<O>>, handle: H)
where
    O: Future<Output = Option<Anonymous>>,
    H: Fn(Anonymous) -> F,
    F: Future<Output = ()>,
{
    if let Some(anonymous) = opening.await {
        handle(anonymous).await;
    }
}

/// Takes a place at once; what follows may take until the deadline. `None`: the connection is over.
fn open(
    door: &Door,
    socket: TcpStream,
    address: SocketAddr,
) -> impl Future<Output = Option<Anonymous>> + Send + use<> {
    door.notices.accepted();
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(&socket).set_tcp_keepalive(&keep_alive());
    let (mut place, evicted) = door.admission.enter(address.ip().to_canonical());
    if evicted > 0 {
        door.notices.evicted(evicted);
    }
    let deadline = Instant::now() + door.sign_in_max;
    let tls = door.tls.clone();
    let (handshakes, notices) = (door.handshakes.clone(), door.notices.clone());
    async move {
        let opened = async {
            let Some(source) = tls else { return Ok((Stream::Plain(socket), None)) };
            let stream = timeout_at(deadline, handshake(socket, &source, &handshakes)).await??;
            let certificates = stream.get_ref().1.peer_certificates();
            let name = certificates.and_then(|chain| (source.name_of)(chain.first()?));
            Ok((Stream::Tls(Box::new(stream)), name))
        };
        let opened: io::Result<_> = tokio::select! {
            opened = opened => opened,
            () = place.lost() => return None,
        };
        match opened {
            Ok((stream, certificate_name)) => {
                let is_tls = matches!(stream, Stream::Tls(_));
                let peer = Peer { address, certificate_name, is_tls };
                Some(Anonymous { stream, peer, place, deadline })
            }
            Err(error) => {
                notices.not_signed_in(address, &error);
                None
            }
        }
    }
}

/// Waits for its turn first, and for the client's first word before that: who says nothing takes nobody's turn.
async fn handshake(
    socket: TcpStream,
    source: &TlsSource,
    handshakes: &Semaphore,
) -> io::Result<TlsStream<TcpStream>> {
    // `readable` may answer before there is anything to read.
    socket.peek(&mut [0]).await?;
    let turn = handshakes.acquire().await.map_err(io::Error::other)?;
    let acceptor = TlsAcceptor::from(source.config.borrow().clone());
    let mut accepting = pin!(acceptor.accept(socket));
    match timeout(HANDSHAKE_TURN, &mut accepting).await {
        Ok(accepted) => accepted,
        Err(_) => {
            drop(turn);
            accepting.await
        }
    }
}

#[cfg(test)]
mod tests;
