//! A WebSocket as a stream of bytes: what is in the client's binary frames, and frames around what is written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::decoder::{BINARY, CLOSE, Decoder, Heard, NORMAL, PONG, UNSUPPORTED};

const LAST: u8 = 0x80;
/// What goes out in one frame, so that its length has two bytes at most.
const FRAME_MAX: usize = 0xFFFF;
/// How often in turn the socket may give nothing but empty frames and pings before others have their turn: a clock that ends
/// this connection is among them.
const ROUNDS: u8 = 16;
/// What stays reserved for the next frame's head.
const UNSENT_KEPT: usize = 16;

/// Reads into the reader's own buffer and takes the frames apart there: an idle connection has no buffer.
#[derive(Debug)]
pub(super) struct Frames<S> {
    stream: S,
    /// What came with the request.
    early: Vec<u8>,
    decoder: Decoder,
    /// Heads and whole control frames that the socket has not taken, before anything else goes out.
    unsent: Vec<u8>,
    /// The frame that is being written still needs so many bytes.
    frame_left: usize,
    /// What the newest ping said. Earlier ones need no answer (RFC 6455, 5.5.3), so nothing is queued.
    ping: Option<Box<[u8]>>,
    needs_flush: bool,
    end: End,
    /// Nothing more is written.
    is_shut: bool,
}

/// How far it has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    No,
    /// The client has ended it, or broken the rules: it is to hear a close with that code.
    Owed(Option<u16>),
    Told,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(super) fn new(stream: S, early: Vec<u8>) -> Self {
        let (decoder, unsent) = (Decoder::default(), Vec::new());
        let (frame_left, ping, end) = (0, None, End::No);
        Self { stream, early, decoder, unsent, frame_left, ping, needs_flush: false, end, is_shut: false }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let number = buffer.remaining().min(self.early.len());
        buffer.put_slice(&self.early[..number]);
        if number < self.early.len() {
            self.early.drain(..number);
        } else {
            self.early = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Takes apart what has come into the buffer behind `from`.
    fn decode(&mut self, buffer: &mut ReadBuf<'_>, from: usize) {
        let Self { decoder, ping, end, .. } = self;
        let kept = decoder.decode(&mut buffer.filled_mut()[from..], |heard| match heard {
            Heard::Ping(data) => *ping = Some(data.into()),
            Heard::End(code) => *end = End::Owed(code),
        });
        buffer.set_filled(from + kept);
    }

    /// Puts the control frames that are owed where they go out next: between two frames.
    fn queue_control(&mut self) {
        if self.frame_left > 0 || !self.unsent.is_empty() {
            return;
        }
        if let Some(data) = self.ping.take().filter(|_| self.end != End::Told) {
            self.unsent.extend([LAST | PONG, data.len() as u8]);
            self.unsent.extend_from_slice(&data);
        }
        if let End::Owed(code) = self.end {
            self.end = End::Told;
            let reason: &[u8] = if code == Some(UNSUPPORTED) { b"MQTT comes in binary frames" } else { b"" };
            let payload = code.map_or(Vec::new(), |code| [&code.to_be_bytes(), reason].concat());
            self.unsent.extend([LAST | CLOSE, payload.len() as u8]);
            self.unsent.extend_from_slice(&payload);
        }
    }

    /// A frame begins.
    fn begin(&mut self, length: usize) {
        self.frame_left = length;
        match length {
            0..126 => self.unsent.extend([LAST | BINARY, length as u8]),
            _ => {
                self.unsent.extend([LAST | BINARY, 126]);
                self.unsent.extend((length as u16).to_be_bytes());
            }
        }
    }

    /// Writes what is unsent, control frames that are owed included.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.queue_control();
            if self.unsent.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent))?;
            self.sent(written)?;
        }
    }

    /// The same while somebody reads, who will not flush.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.needs_flush |=
            self.ping.is_some() || !self.unsent.is_empty() || matches!(self.end, End::Owed(_));
        if self.needs_flush {
            ready!(self.poll_unsent(cx))?;
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// So much was written, of what is unsent and then of the frame; answers how much of the frame.
    fn sent(&mut self, written: usize) -> io::Result<usize> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let own = written.min(self.unsent.len());
        self.unsent.drain(..own);
        if self.unsent.is_empty() && self.unsent.capacity() > UNSENT_KEPT {
            self.unsent = Vec::new();
        }
        self.frame_left -= written - own;
        Ok(written - own)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_shut {
            // It is read to its end, and nobody looks at it.
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        for _ in 0..ROUNDS {
            let told = self.poll_control(cx);
            if self.end != End::No {
                // The reader ends it, now that the client can know why.
                return told;
            }
            let from = buffer.filled().len();
            ready!(self.poll_bytes(cx, buffer))?;
            if buffer.filled().len() == from {
                return Poll::Ready(Ok(()));
            }
            self.decode(buffer, from);
            if buffer.filled().len() > from {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let own = &mut *self;
        loop {
            if own.frame_left == 0 {
                ready!(own.poll_unsent(cx))?;
                if own.end == End::Told {
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                }
                own.begin(bytes.len().min(FRAME_MAX));
            }
            let part = &bytes[..bytes.len().min(own.frame_left)];
            let parts = [IoSlice::new(&own.unsent), IoSlice::new(part)];
            let parts = if own.unsent.is_empty() { &parts[1..] } else { &parts };
            let written = ready!(Pin::new(&mut own.stream).poll_write_vectored(cx, parts))?;
            let of_frame = own.sent(written)?;
            if of_frame > 0 {
                return Poll::Ready(Ok(of_frame));
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end == End::No {
            self.end = End::Owed(Some(NORMAL));
        }
        // In a frame that will never be whole nothing else can be said.
        if self.frame_left == 0 {
            ready!(self.poll_unsent(cx))?;
        }
        self.is_shut = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
