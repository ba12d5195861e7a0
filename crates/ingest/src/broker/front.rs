//! The front: it accepts connections, speaks TLS, lets only those through who say CONNECT in time, and hands them to
//! rmqtt, which listens on this machine only and knows no other connection.
//!
//! rmqtt 0.24 waits for the first packet without a limit and takes its certificates once; this is what stands before it.
//! A connection that says nothing costs a socket and a small task here, and nothing there. What comes in carries its
//! bytes through one more pair of sockets, which about doubles a small message's cost: a listener that only this machine
//! reaches has nobody to be kept away, so rmqtt answers there itself.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sanimon_net::{Admission, Place, TlsSource};
use sanimon_store::{Counters, Health};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::peers::{Peer, Peers};

/// From the connection to the sign-in, TLS included: NB-IoT modules take some seconds for their handshake.
const SIGN_IN_MAX: Duration = Duration::from_secs(20);
/// A CONNECT packet: client id, username, password and a last will.
const CONNECT_BYTES_MAX: usize = 16 * 1024;
/// The head of a WebSocket's request.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Of a connection's two ways; a device's message fits.
const UP_BUFFER: usize = 8 * 1024;
const DOWN_BUFFER: usize = 1024;
/// When the system gives no more sockets: a pause, so that others end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Mqtt,
    WebSocket,
}

/// One door to the broker.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) wire: Wire,
    pub(crate) tls: Option<TlsSource>,
    /// Where rmqtt waits.
    pub(crate) inner: SocketAddr,
    pub(crate) anonymous: bool,
}

/// What all doors share.
#[derive(Debug)]
pub(crate) struct Hall {
    pub(crate) peers: Arc<Peers>,
    pub(crate) waiting: Arc<Admission>,
    /// Connections that may be signed in at a time.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) health: Arc<Health>,
}

impl Door {
    /// As `/readyz` calls it.
    const fn name(&self) -> &'static str {
        match (self.wire, &self.tls) {
            (Wire::Mqtt, None) => "mqtt",
            (Wire::Mqtt, Some(_)) => "mqtts",
            (Wire::WebSocket, None) => "mqtt-ws",
            (Wire::WebSocket, Some(_)) => "mqtt-wss",
        }
    }
}

/// Accepts for ever.
pub(crate) async fn serve(door: Door, hall: Arc<Hall>) {
    let door = Arc::new(door);
    let heartbeat = hall.health.parts.part(door.name()).heartbeat.clone();
    loop {
        heartbeat.waiting();
        let accepted = door.listener.accept().await;
        heartbeat.working();
        match accepted {
            Ok((socket, address)) => {
                Counters::add(&hall.health.counters.mqtt_connections, 1);
                tokio::spawn(admit(socket, address, door.clone(), hall.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                heartbeat.waiting();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection's whole life, bounded until somebody has signed in.
async fn admit(socket: TcpStream, address: SocketAddr, door: Arc<Door>, hall: Arc<Hall>) {
    let (mut place, evicted) = hall.waiting.enter(address.ip().to_canonical());
    if evicted > 0 {
        Counters::add(&hall.health.counters.mqtt_evicted, evicted as u64);
    }
    let deadline = Instant::now() + SIGN_IN_MAX;
    let _ = socket.set_nodelay(true);
    let opened = async {
        match &door.tls {
            None => open(socket, address, None, &door, &hall, deadline).await.map(Opened::Plain),
            Some(source) => {
                let acceptor = TlsAcceptor::from(source.config.borrow().clone());
                let stream = timeout_at(deadline, acceptor.accept(socket)).await??;
                let certificates = stream.get_ref().1.peer_certificates();
                let name = certificates.and_then(|chain| (source.name_of)(chain.first()?));
                let opened = open(stream, address, name, &door, &hall, deadline).await?;
                Ok(Opened::Tls(Box::new(opened)))
            }
        }
    };
    let opened = tokio::select! {
        opened = opened => opened,
        () = place.lost() => return,
    };
    match opened {
        Ok(Opened::Plain(passage)) => passage.pump(&hall, deadline, place).await,
        Ok(Opened::Tls(passage)) => passage.pump(&hall, deadline, place).await,
        Err(error) => {
            tracing::debug!(%error, %address, "connection ended before its sign-in");
            Counters::add(&hall.health.counters.mqtt_not_signed_in, 1);
        }
    }
}

enum Opened {
    Plain(Passage<TcpStream>),
    Tls(Box<Passage<tokio_rustls::server::TlsStream<TcpStream>>>),
}

/// Between a client and rmqtt.
struct Passage<S> {
    client: S,
    inner: TcpStream,
    peer: Arc<Peer>,
    /// As rmqtt sees it.
    seen_as: SocketAddr,
}

/// Reads the first packet and opens the way to rmqtt.
async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: S,
    address: SocketAddr,
    certificate: Option<String>,
    door: &Door,
    hall: &Hall,
    deadline: Instant,
) -> io::Result<Passage<S>> {
    let first = match door.wire {
        Wire::Mqtt => timeout_at(deadline, connect_packet(&mut client)).await??,
        Wire::WebSocket => timeout_at(deadline, request_head(&mut client)).await??,
    };
    let inner = TcpStream::connect(door.inner).await?;
    inner.set_nodelay(true)?;
    let seen_as = inner.local_addr()?;
    let peer = Arc::new(Peer { address, certificate, anonymous: door.anonymous, admitted: Notify::new() });
    // Before rmqtt sees a byte of it.
    hall.peers.enter(seen_as, peer.clone());
    let mut passage = Passage { client, inner, peer, seen_as };
    if let Err(error) = passage.inner.write_all(&first).await {
        hall.peers.leave(seen_as);
        return Err(error);
    }
    Ok(passage)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Passage<S> {
    /// Carries bytes until one side ends, the connection is cut, or nobody signs in.
    async fn pump(mut self, hall: &Hall, deadline: Instant, place: Place) {
        let peer = self.peer.clone();
        let carried = async {
            let carry = tokio::io::copy_bidirectional_with_sizes(
                &mut self.client,
                &mut self.inner,
                UP_BUFFER,
                DOWN_BUFFER,
            );
            tokio::pin!(carry);
            tokio::select! {
                _ = &mut carry => return,
                () = peer.admitted.notified() => {}
                () = tokio::time::sleep_until(deadline) => {
                    Counters::add(&hall.health.counters.mqtt_not_signed_in, 1);
                    return;
                }
            }
            // Signed in: the place is for somebody who waits.
            drop(place);
            let Ok(_room) = hall.room.try_acquire() else {
                tracing::warn!(address = %peer.address, "connection refused: the broker is full");
                return;
            };
            let _ = carry.await;
        };
        carried.await;
        hall.peers.leave(self.seen_as);
    }
}

/// The first packet as a whole: CONNECT, and none that is longer than one can be.
async fn connect_packet<S: AsyncRead + Unpin>(client: &mut S) -> io::Result<Vec<u8>> {
    const CONNECT: u8 = 0x10;
    let mut packet = vec![client.read_u8().await?];
    if packet[0] != CONNECT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first packet is not CONNECT"));
    }
    let mut length = 0_usize;
    for shift in [0, 7, 14] {
        let byte = client.read_u8().await?;
        packet.push(byte);
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let is_whole = packet.last().is_some_and(|byte| byte & 0x80 == 0);
    if !is_whole || length > CONNECT_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the CONNECT packet is too long"));
    }
    let start = packet.len();
    packet.resize(start + length, 0);
    client.read_exact(&mut packet[start..]).await?;
    Ok(packet)
}

/// What a WebSocket's client sends first, up to the empty line (what follows it included).
async fn request_head<S: AsyncRead + Unpin>(client: &mut S) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1_024);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request's head is too long"));
        }
        if client.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_whole_connect_packet_passes() {
        let packet = [&[0x10, 12, 0, 4][..], b"MQTT", &[4, 2, 0, 60, 0, 0]].concat();
        assert_eq!(connect_packet(&mut packet.as_slice()).await.expect("a packet"), packet);
        for bad in [
            &[0x30, 0][..],
            &[0x10, 0x80, 0x80, 0x80, 0x80, 1],
            &[0x10, 0xff, 0xff, 0x7f, 0],
            &[0x10, 5, 0],
            &[],
        ] {
            assert!(connect_packet(&mut &bad[..]).await.is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_given_up() {
        let endless = vec![b'a'; 100_000];
        assert!(request_head(&mut endless.as_slice()).await.is_err());
        let head = b"GET / HTTP/1.1\r\n\r\nmore";
        assert_eq!(request_head(&mut &head[..]).await.expect("a head"), head);
    }
}
