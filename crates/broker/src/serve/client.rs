//! One connection: bytes in, the machine, bytes out. The same for TCP, TLS and WebSocket.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sanimon_net::{Bucket, Peer, Place};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::hub::ports::{Line, Waiting};
use crate::hub::{Admitted, Hub, LOST};
use crate::limit::Limit;
use crate::link::{Link, Ticket};
use crate::reason::Reason;
use crate::session::Connection;
use crate::session::will::End;
use crate::wire::Wire;

use super::effects::Awaited;
use super::scratch;

/// What is written before messages wait in the session's own queue.
const OUTPUT_BYTES: usize = 64 * 1024;
/// A buffer that is larger than this is given back when it is empty.
const BUFFER_KEPT: usize = 4 * 1024;
/// How long a connection that we close may take to hear why.
const LINGER: Duration = Duration::from_secs(1);
/// How often it is looked whether others have left room again: nobody tells.
pub(super) const ROOM_LOOK_MS: i64 = 250;
/// A moment that does not come.
const NEVER_MS: i64 = i64::MAX;

/// What happened.
enum Event {
    /// There may be something to send, or somebody wants it to end.
    Woken,
    Read,
    Wrote,
    /// What it waited for is there.
    Resumed,
    Time,
    /// The peer says nothing more.
    Ended,
    /// The peer has gone, or its place was needed.
    Gone,
}

const fn flushed(is_broken: bool) -> Event {
    if is_broken { Event::Gone } else { Event::Wrote }
}

/// When a time is over that has begun.
fn end_ms(since_ms: Option<i64>, time: Duration) -> Option<i64> {
    since_ms.map(|at| at + time.as_millis() as i64)
}

/// A connection and all that it has.
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
pub(super) struct Client<S> {
    pub(super) hub: Arc<Hub>,
    pub(super) stream: S,
    pub(super) peer: Peer,
    pub(super) may_be_nameless: bool,
    pub(super) link: Arc<Link>,
    pub(super) machine: Connection,
    pub(super) wire: Wire,
    pub(super) admitted: Option<Box<Admitted>>,
    pub(super) line: Option<Box<dyn Line>>,
    pub(super) awaited: Vec<(Ticket, Awaited)>,
    pub(super) next_ticket: Ticket,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    /// Nothing more is read before it resolves.
    pub(super) waiting: Option<Waiting>,
    /// Its CONNECT is judged when the wait is over.
    pub(super) held_connect: Option<Box<crate::packet::Connect>>,
    /// Among those that have not signed in.
    pub(super) place: Option<Place>,
    /// Until then it must have signed in.
    sign_in_ms: i64,
    /// Since when an unfinished packet lies here, and how many bytes of it.
    packet_since_ms: Option<i64>,
    partial: usize,
    /// What lies here is a part of a packet, and not whole ones that wait.
    pub(super) is_incomplete: bool,
    /// Since when the socket takes nothing of what it has to take.
    stuck_since_ms: Option<i64>,
    /// Nothing is read before that: it spoke too fast.
    pub(super) read_at_ms: i64,
    /// Retained messages are not looked for before that: all together look for too much.
    pub(super) draw_at_ms: i64,
    pub(super) control: Bucket,
    pub(super) is_closing: bool,
    needs_flush: bool,
    timer: Pin<Box<Sleep>>,
    timer_ms: i64,
    /// The broker's time, when this task was woken.
    pub(super) now_ms: i64,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    pub(super) fn new(
        hub: &Arc<Hub>,
        stream: S,
        (peer, place, deadline): (Peer, Place, Instant),
        may_be_nameless: bool,
    ) -> Box<Self> {
        let (wire, now_ms) = (Wire::new(hub.limits.wire), hub.now_ms());
        let left = deadline.saturating_duration_since(Instant::now());
        let sign_in_ms = now_ms + left.as_millis() as i64;
        // In a box: what runs it would hold it twice.
        Box::new(Self {
            stream,
            peer,
            may_be_nameless,
            link: Arc::default(),
            machine: Connection::new(wire, hub.limits.session, now_ms),
            wire,
            admitted: None,
            line: None,
            awaited: Vec::new(),
            next_ticket: 1,
            input: BytesMut::new(),
            output: BytesMut::new(),
            waiting: None,
            held_connect: None,
            place: Some(place),
            sign_in_ms,
            packet_since_ms: None,
            partial: 0,
            is_incomplete: false,
            stuck_since_ms: None,
            read_at_ms: 0,
            draw_at_ms: 0,
            control: Bucket::full(hub.limits.control_packets, now_ms as u64),
            is_closing: false,
            needs_flush: false,
            timer: Box::pin(tokio::time::sleep_until(deadline)),
            timer_ms: sign_in_ms,
            now_ms,
            hub: hub.clone(),
        })
    }

    /// The whole life of a connection.
    pub(super) async fn run(mut self: Box<Self>) {
        loop {
            let event = std::future::poll_fn(|cx| self.next(cx)).await;
            self.now_ms = self.hub.now_ms();
            match event {
                Event::Woken => self.woken(),
                Event::Read => self.process(),
                Event::Wrote => self.flush(),
                Event::Resumed => self.resumed(),
                Event::Time => self.time(),
                Event::Ended => {
                    self.leave(LOST);
                    return Box::pin(self.linger()).await;
                }
                Event::Gone => return self.leave(LOST),
            }
            if self.is_closing && self.output.is_empty() && !self.needs_flush {
                // In a box: its buffer would be part of each connection's task.
                return Box::pin(self.linger()).await;
            }
            self.arm();
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        self.link.register(cx.waker());
        if !self.is_closing && self.link.take_woken() {
            return Poll::Ready(Event::Woken);
        }
        if let Poll::Ready(event) = self.write(cx) {
            return Poll::Ready(event);
        }
        if let Some(waiting) = &mut self.waiting {
            if waiting.as_mut().poll(cx).is_ready() {
                self.waiting = None;
                return Poll::Ready(Event::Resumed);
            }
        } else if self.waits_for_others() {
            self.arm_for(self.hub.now_ms(), ROOM_LOOK_MS);
        } else if self.may_read()
            && let Poll::Ready(event) = self.read(cx)
        {
            return Poll::Ready(event);
        }
        if let Some(place) = &mut self.place
            && pin!(place.lost()).poll(cx).is_ready()
        {
            return Poll::Ready(Event::Gone);
        }
        if self.timer_ms == NEVER_MS {
            // It has run out, and nothing is due: polled again it would say so for ever.
            return Poll::Pending;
        }
        ready!(self.timer.as_mut().poll(cx));
        self.timer_ms = NEVER_MS;
        Poll::Ready(Event::Time)
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.output.is_empty() {
            let Ok(written @ 1..) = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output)) else {
                self.output.clear();
                return Poll::Ready(Event::Gone);
            };
            self.output.advance(written);
            (self.needs_flush, self.stuck_since_ms) = (true, None);
            if self.output.is_empty() && self.output.capacity() > BUFFER_KEPT {
                self.output = BytesMut::new();
            }
            return Poll::Ready(Event::Wrote);
        }
        if self.needs_flush {
            let is_broken = ready!(Pin::new(&mut self.stream).poll_flush(cx)).is_err();
            self.needs_flush = false;
            return if is_broken || self.is_closing {
                Poll::Ready(flushed(is_broken))
            } else {
                Poll::Pending
            };
        }
        Poll::Pending
    }

    /// All connections together hold too much: parts of packets, or changes that wait for the disk.
    fn waits_for_others(&self) -> bool {
        self.hub.is_crowded() || self.hub.is_partial_full() && self.partial > 0
    }

    fn may_read(&self) -> bool {
        let is_paused = self.read_at_ms > 0 && self.read_at_ms > self.hub.now_ms();
        // Answers are always written: who asks and does not read is not read, either.
        let reads = self.output.len() < OUTPUT_BYTES;
        !self.is_closing && reads && !self.waits_for_others() && !is_paused && self.wants_input()
    }

    /// Bytes come into a buffer that all connections of this thread share: one that is silent has none.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        scratch::with(|buffer| {
            let mut buffer = ReadBuf::uninit(buffer);
            let Ok(()) = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) else {
                return Poll::Ready(Event::Gone);
            };
            if buffer.filled().is_empty() {
                return Poll::Ready(Event::Ended);
            }
            self.input.extend_from_slice(buffer.filled());
            Poll::Ready(Event::Read)
        })
    }

    /// Notes what lies here of a packet that has not come to its end.
    pub(super) fn note_partial(&mut self) {
        let partial = if self.is_incomplete { self.input.len() } else { 0 };
        if partial != self.partial {
            if self.hub.hold_partial(self.partial, partial) {
                self.hub.met(Limit::PartialBytes, &self.owner());
            }
            self.partial = partial;
        }
        if partial == 0 {
            self.packet_since_ms = None;
            if self.input.is_empty() {
                self.input = BytesMut::new();
            }
        } else if self.packet_since_ms.is_none() {
            self.packet_since_ms = Some(self.now_ms);
        }
    }

    /// A packet has come to its end: the next one's time begins.
    pub(super) fn packet_ended(&mut self) {
        self.packet_since_ms = None;
    }

    /// How much of messages may go to the buffer.
    pub(super) fn room(&self) -> usize {
        OUTPUT_BYTES.saturating_sub(self.output.len())
    }

    fn time(&mut self) {
        let now_ms = self.now_ms;
        let limits = &self.hub.limits;
        let is_over =
            |since: Option<i64>, time: Duration| end_ms(since, time).is_some_and(|at_ms| at_ms <= now_ms);
        let owner = self.owner();
        if self.place.is_some() && self.sign_in_ms <= now_ms {
            if !self.hub.is_crowded() {
                self.hub.met(Limit::ConnectTime, &owner);
            }
            return self.leave(LOST);
        }
        if is_over(self.stuck_since_ms, limits.slow_reader) {
            self.hub.met(Limit::SlowReader, &owner);
            self.output.clear();
            return self.leave(End::Lost(Reason::QuotaExceeded));
        }
        let is_read = self.read_at_ms <= now_ms && !self.hub.is_crowded();
        if is_over(self.packet_since_ms, limits.packet_time) && is_read {
            self.hub.met(Limit::PacketTime, &owner);
            return self.close(Reason::KeepAliveTimeout);
        }
        if self.waiting.is_some() || !self.may_read() {
            // What is not read is no silence of the client's.
            self.machine.note_heard(now_ms);
        }
        if self.tick(now_ms) && self.read_at_ms <= now_ms {
            // A pause is over: what has come meanwhile is looked at.
            self.process();
        }
    }

    /// Sets the timer to what is due first.
    fn arm(&mut self) {
        if !self.output.is_empty() && self.stuck_since_ms.is_none() {
            self.stuck_since_ms = Some(self.now_ms);
        }
        let limits = &self.hub.limits;
        let due = [
            self.place.as_ref().map(|_| self.sign_in_ms),
            end_ms(self.stuck_since_ms, limits.slow_reader),
            end_ms(self.packet_since_ms, limits.packet_time),
            self.machine.deadline_ms(),
            (self.read_at_ms > self.now_ms).then_some(self.read_at_ms),
            (self.draw_at_ms > self.now_ms).then_some(self.draw_at_ms),
        ];
        let Some(due_ms) = due.into_iter().flatten().min() else { return };
        self.arm_for(self.now_ms, due_ms - self.now_ms);
    }

    /// A later moment is armed when the earlier one has come: most packets move it on.
    fn arm_for(&mut self, now_ms: i64, in_ms: i64) {
        let due_ms = now_ms + in_ms;
        if due_ms < self.timer_ms {
            self.timer.as_mut().reset(Instant::now() + Duration::from_millis(in_ms.max(1) as u64));
            self.timer_ms = due_ms;
        }
    }

    /// The connection gives its session back; what is written still goes out.
    pub(super) fn leave(&mut self, end: End) {
        self.is_closing = true;
        self.waiting = None;
        self.hub.hold_partial(self.partial, 0);
        self.partial = 0;
        if let Some(client) = self.admitted.take() {
            self.hub.detach(&client, end);
        }
    }

    /// Says that nothing more comes, and reads what the peer still sends: closing with bytes unread sends a reset, which
    /// overtakes what was written.
    async fn linger(mut self: Box<Self>) {
        let _ = tokio::time::timeout(LINGER, async {
            self.stream.shutdown().await?;
            let mut unread = [0; 1_024];
            while self.stream.read(&mut unread).await? > 0 {}
            std::io::Result::Ok(())
        })
        .await;
    }
}

impl<S> Drop for Client<S> {
    fn drop(&mut self) {
        self.hub.hold_partial(self.partial, 0);
        if let Some(client) = self.admitted.take() {
            self.hub.detach(&client, LOST);
        }
    }
}
