//! MQTT over WebSocket (MQTT 5.0, 6): binary frames, a text frame ends it, the subprotocol is asked for and answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream as _};
use sanimon_net::{Anonymous, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

use crate::hub::Hub;
use crate::limit::Limit;

use super::client::Client;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const TOO_LONG: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// Which way of speaking MQTT a client asks for, and is answered.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];
const PATHS: [&str; 2] = ["/mqtt", "/"];
/// Of each connection: most are silent most of the time.
const READ_BUFFER: usize = 4 * 1024;
/// Written, and not yet taken by the socket: our own output is bounded before it.
const WRITE_BUFFER: usize = 256 * 1024;
/// What goes out in one frame: a packet may be larger than the buffer, and may come in as many frames as it likes.
const FRAME: usize = 64 * 1024;

/// Greets a WebSocket's client, then serves it as any other.
pub(super) async fn serve(hub: &Arc<Hub>, anonymous: Anonymous, may_be_nameless: bool) {
    let Anonymous { stream, peer, mut place, deadline } = anonymous;
    let greeted = tokio::select! {
        greeted = tokio::time::timeout_at(deadline, Box::pin(greet(hub, stream))) => greeted,
        () = place.lost() => return,
    };
    match greeted {
        Ok(Ok(stream)) => {
            Client::new(hub, Frames::new(stream), (peer, place, deadline), may_be_nameless).run().await;
        }
        Ok(Err(error)) => {
            if error.kind() == io::ErrorKind::FileTooLarge {
                hub.met(Limit::WebsocketHeadBytes, &peer.address.ip().to_string());
            }
            tracing::debug!(%error, address = %peer.address, "websocket not greeted");
        }
        Err(_) => hub.met(Limit::ConnectTime, &peer.address.ip().to_string()),
    }
}

async fn greet(hub: &Arc<Hub>, mut stream: Stream) -> io::Result<WebSocketStream<Prefixed>> {
    let head = match head(&mut stream, hub.limits.websocket_head_bytes).await {
        Ok(head) => head,
        Err(error) => {
            if error.kind() == io::ErrorKind::FileTooLarge {
                stream.write_all(TOO_LONG).await?;
                stream.shutdown().await?;
            }
            return Err(error);
        }
    };
    let bytes = hub.limits.wire.packet_bytes;
    let config = WebSocketConfig::default()
        .max_frame_size(Some(bytes))
        // A packet may come in parts, but a message of many fragments without an end is nobody's packet.
        .max_message_size(Some(bytes))
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER);
    let stream = Prefixed { head: Bytes::from(head), stream };
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, judge, Some(config)).await;
    accepted.map_err(io::Error::other)
}

/// The request's head, as far as it has come with it; what follows is read again.
async fn head(stream: &mut Stream, max: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1_024);
    while !head.windows(END_OF_HEAD.len()).any(|end| end == END_OF_HEAD) {
        if head.len() >= max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the request's head is too long"));
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

type Refusal = tokio_tungstenite::tungstenite::handshake::server::ErrorResponse;

fn refuse(status: StatusCode, text: &str) -> Refusal {
    let mut response = Refusal::new(Some(text.to_owned()));
    *response.status_mut() = status;
    response
}

/// Whether a request is for MQTT, and from a page of our own where it is from a page.
#[expect(clippy::result_large_err, reason = "the shape is the library's")]
fn judge(request: &Request, mut response: Response) -> Result<Response, Refusal> {
    if !PATHS.contains(&request.uri().path()) {
        return Err(refuse(StatusCode::NOT_FOUND, "MQTT is at /mqtt\n"));
    }
    if !is_from_here(request) {
        return Err(refuse(StatusCode::FORBIDDEN, "a page of another site may not speak MQTT here\n"));
    }
    let asked = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let asked = asked.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let Some(known) = asked.map(str::trim).find_map(|name| SUBPROTOCOLS.into_iter().find(|own| *own == name))
    else {
        return Err(refuse(StatusCode::BAD_REQUEST, "ask for the subprotocol `mqtt`\n"));
    };
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(known));
    Ok(response)
}

/// A browser says which page speaks. Any page can reach a broker of its own machine: only pages of this host may.
fn is_from_here(request: &Request) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else { return true };
    let host = |authority: &str| {
        let name =
            authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
        name.map_or(authority, |(name, _)| name).to_ascii_lowercase()
    };
    let page = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, rest)| host(rest));
    let own = request.headers().get(HOST).and_then(|value| value.to_str().ok()).map(host);
    page.is_some() && page == own
}

/// What was read before goes first.
#[derive(Debug)]
pub(super) struct Prefixed {
    head: Bytes,
    stream: Stream,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let number = buffer.remaining().min(self.head.len());
        let part = self.head.split_to(number);
        buffer.put_slice(&part);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A WebSocket's binary frames as bytes.
pub(super) struct Frames {
    socket: WebSocketStream<Prefixed>,
    read: Bytes,
    /// A text frame came, or a close: that is answered, and nothing more is read.
    is_over: bool,
}

impl Frames {
    const fn new(socket: WebSocketStream<Prefixed>) -> Self {
        Self { socket, read: Bytes::new(), is_over: false }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(io::Error::other)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Frames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.is_over {
                return self.poll_end(cx);
            }
            if !self.read.is_empty() {
                let number = buffer.remaining().min(self.read.len());
                buffer.put_slice(&self.read[..number]);
                self.read.advance(number);
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.read = bytes,
                Some(Ok(Message::Text(_))) => {
                    let (code, reason) = (CloseCode::Unsupported, "MQTT comes in binary frames".into());
                    let close = Message::Close(Some(CloseFrame { code, reason }));
                    let _ = Pin::new(&mut self.socket).start_send(close);
                    self.is_over = true;
                }
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                // The library has its answer ready.
                Some(Ok(Message::Close(_))) => self.is_over = true,
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
    }
}

impl AsyncWrite for Frames {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let part = &bytes[..bytes.len().min(FRAME)];
        let frame = Message::Binary(Bytes::copy_from_slice(part));
        Pin::new(&mut self.socket).start_send(frame).map_err(io::Error::other)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut builder = tokio_tungstenite::tungstenite::http::Request::builder().uri("/mqtt");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request")
    }

    #[test]
    fn n198_n199_a_request_asks_for_mqtt_and_comes_from_no_foreign_page() {
        let mqtt = ("sec-websocket-protocol", "mqtt");
        let host = ("host", "town.example:1884");
        for (headers, status) in [
            (vec![mqtt, host], None),
            (vec![("sec-websocket-protocol", "chat, mqttv3.1"), host], None),
            (vec![host], Some(400)),
            (vec![("sec-websocket-protocol", "chat"), host], Some(400)),
            (vec![mqtt, host, ("origin", "https://town.example")], None),
            (vec![mqtt, host, ("origin", "http://town.example:8080")], None),
            (vec![mqtt, host, ("origin", "https://evil.example")], Some(403)),
            (vec![mqtt, host, ("origin", "null")], Some(403)),
            (vec![mqtt, ("origin", "https://evil.example")], Some(403)),
        ] {
            let answer = judge(&request(&headers), Response::new(()));
            assert_eq!(answer.err().map(|refused| refused.status().as_u16()), status, "{headers:?}");
        }
    }
}
