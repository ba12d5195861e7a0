//! Messages on their way to a subscriber: what waits, what was sent and is not acknowledged, and what goes again after a
//! reconnect, in the order first sent (4.4, 4.6).

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::message::Message;
use crate::packet::{Ack, Delivery, PacketId, Qos, ToClient};
use crate::reason::Reason;
use crate::topics::Asked;

/// What one session may have waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingLimits {
    pub queue_messages: usize,
    /// Of payloads, topics and properties.
    pub queue_bytes: usize,
    /// Sent and not acknowledged, and never above what the client takes.
    pub in_flight_out: usize,
}

impl Default for OutgoingLimits {
    fn default() -> Self {
        Self { queue_messages: 1_000, queue_bytes: 1024 * 1024, in_flight_out: 64 }
    }
}

/// A message for this subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    pub message: Arc<Message>,
    /// The lower of both.
    pub qos: Qos,
    /// As the subscription wants it told.
    pub retain: bool,
    pub subscription_ids: Vec<NonZeroU32>,
    /// It was this one's turn in a group: should its session end before it was sent, another of the group gets it.
    pub shared: Option<Asked>,
    /// By what its row is known in the file; `None`: it lives in memory only.
    pub order: Option<Order>,
}

impl Queued {
    /// What it takes: the message, and what the subscriptions add to it.
    pub fn bytes(&self) -> usize {
        self.message.bytes() + self.subscription_ids.len() * size_of::<u32>()
    }
}

/// The place of a stored message among all that are owed to sessions; it never comes again.
pub type Order = u64;

/// A packet that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    pub packet: ToClient,
    /// A stored message goes for the first time, under this id.
    pub first: Option<(Order, PacketId)>,
}

/// A message as it was stored. `packet_id`: it was sent under this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub queued: Queued,
    pub packet_id: Option<PacketId>,
    pub is_released: bool,
}

/// What became of a message for a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// QoS 0, and no room, or nobody there.
    NotQueued,
    /// No room, and the client is there: it is too slow, and its connection ends (0x97). The message is queued, for a session that
    /// is kept; these, the oldest, were dropped for it.
    Overflow(Vec<Queued>),
    /// No room, and the client is away: these, the oldest, were dropped for it.
    Displaced(Vec<Queued>),
}

/// What an acknowledgement did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// The message is done with: what was stored of it can go.
    Done(Option<Order>),
    /// PUBREL follows; from here on the message never goes again.
    Released(ToClient),
    /// The same, once that is on disk: [`Outgoing::to_store`].
    Releasing,
    /// Nobody knows the id: nothing, or an answer that says so.
    Unknown(Option<ToClient>),
}

/// How far a message has come. One of QoS 2 that is in the file takes no step that the file does not know of: after a crash its
/// client would take another message for it, or it for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has its id, and is sent once that is on disk.
    Naming,
    Published,
    /// PUBREC came; PUBREL follows once that is on disk.
    Releasing,
    Released,
}

/// What must be on disk before a message goes further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToStore {
    pub order: Order,
    pub packet_id: PacketId,
    /// PUBREL is to follow; else PUBLISH.
    pub is_release: bool,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, clippy::struct_field_names, reason = "each is a word of its own")]
struct Sent {
    id: PacketId,
    queued: Queued,
    stage: Stage,
    /// Its stage is on its way to the disk.
    is_asked: bool,
    /// On any connection.
    was_sent: bool,
    /// On this connection.
    went_here: bool,
    /// It takes a place of the client's receive maximum (4.9).
    is_counted: bool,
}

impl Sent {
    fn is_over(&self, now_ms: i64) -> bool {
        !self.was_sent && self.queued.message.expires_at_ms.is_some_and(|at| at <= now_ms)
    }
}

/// One session's messages.
#[derive(Debug, Clone)]
pub struct Outgoing {
    limits: OutgoingLimits,
    queue: VecDeque<Queued>,
    queue_bytes: usize,
    /// In the order first sent.
    in_flight: VecDeque<Sent>,
    /// Of `in_flight`, those that take a place of the client's receive maximum.
    counted: usize,
    next_id: PacketId,
    is_present: bool,
}

impl Outgoing {
    pub const fn new(limits: OutgoingLimits) -> Self {
        Self {
            limits,
            queue: VecDeque::new(),
            queue_bytes: 0,
            in_flight: VecDeque::new(),
            counted: 0,
            next_id: PacketId::MIN,
            is_present: false,
        }
    }

    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub const fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// The client is there: what is not acknowledged goes again, before anything new.
    pub fn connect(&mut self) {
        self.is_present = true;
        self.counted = 0;
        for sent in &mut self.in_flight {
            (sent.is_asked, sent.went_here, sent.is_counted) = (false, false, false);
        }
    }

    /// The client is away: QoS 0 is not kept for it.
    pub fn disconnect(&mut self) {
        self.is_present = false;
        let bytes = &mut self.queue_bytes;
        self.queue.retain(|queued| {
            let is_kept = queued.qos > Qos::AtMostOnce;
            *bytes -= if is_kept { 0 } else { queued.bytes() };
            is_kept
        });
    }

    /// The session ends: what it had of groups and others may have. QoS 2 that was begun is not (5.0, 4.8.2-5).
    pub fn take_shared(&mut self) -> Vec<Queued> {
        let is_free = |sent: &Sent| sent.queued.qos < Qos::ExactlyOnce || !sent.was_sent;
        let mut all: Vec<Queued> = self.in_flight.drain(..).filter(is_free).map(|sent| sent.queued).collect();
        all.extend(self.queue.drain(..));
        (self.queue_bytes, self.counted) = (0, 0);
        all.retain(|queued| queued.shared.is_some());
        all
    }

    /// Gives up what waits and is no longer asked for.
    pub fn drop_where(&mut self, is_unwanted: impl Fn(&Queued) -> bool) -> Vec<Queued> {
        let (dropped, kept): (VecDeque<Queued>, VecDeque<Queued>) =
            std::mem::take(&mut self.queue).into_iter().partition(&is_unwanted);
        self.queue = kept;
        self.queue_bytes = self.queue.iter().map(Queued::bytes).sum();
        let (unsent, kept): (VecDeque<Sent>, VecDeque<Sent>) = std::mem::take(&mut self.in_flight)
            .into_iter()
            .partition(|sent| !sent.was_sent && is_unwanted(&sent.queued));
        self.in_flight = kept;
        unsent.into_iter().map(|sent| sent.queued).chain(dropped).collect()
    }

    /// Gives up all that waits.
    pub fn drop_queue(&mut self) -> Vec<Queued> {
        self.queue_bytes = 0;
        self.queue.drain(..).collect()
    }

    /// Whether a message of this size can be queued without another one going. One alone always has room: how large it may be
    /// was judged when it came.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.queue.is_empty()
            || self.queue.len() < self.limits.queue_messages
                && self.queue_bytes + bytes <= self.limits.queue_bytes
    }

    /// One more message for this subscriber.
    pub fn push(&mut self, queued: Queued) -> Pushed {
        let bytes = queued.bytes();
        let has_room = |own: &Self| own.has_room(bytes);
        let mut displaced = Vec::new();
        if queued.qos == Qos::AtMostOnce && (!self.is_present || !has_room(self)) {
            return Pushed::NotQueued;
        }
        let is_overflow = self.is_present && !has_room(self);
        while !has_room(self) {
            let Some(oldest) = self.queue.pop_front() else { break };
            self.queue_bytes -= oldest.bytes();
            displaced.push(oldest);
        }
        self.queue_bytes += bytes;
        self.queue.push_back(queued);
        match displaced.is_empty() {
            _ if is_overflow => Pushed::Overflow(displaced),
            true => Pushed::Queued,
            false => Pushed::Displaced(displaced),
        }
    }

    /// The next packet that may go: first what goes again, then what waits, in order. A message whose time is over is left
    /// out, and goes to `expired`. `receive_max`: how many of QoS 1 and 2 the client takes at a time.
    pub fn next(
        &mut self,
        now_ms: i64,
        receive_max: usize,
        expired: &mut Vec<Option<Order>>,
    ) -> Option<Next> {
        if !self.is_present {
            return None;
        }
        let window = self.limits.in_flight_out.min(receive_max);
        loop {
            let waits = self.in_flight.iter().any(|sent| !sent.went_here);
            if let Some(place) = self.due() {
                let sent = &self.in_flight[place];
                if sent.is_over(now_ms) {
                    expired.push(sent.queued.order);
                    self.done(place);
                    continue;
                }
                return self.send(place, window, now_ms);
            }
            let queued = self.queue.front()?;
            let is_over = queued.message.expires_at_ms.is_some_and(|at| at <= now_ms);
            let has_room = match queued.qos {
                Qos::AtMostOnce => !waits,
                _ => self.in_flight.len() < window,
            };
            if !is_over && !has_room {
                return None;
            }
            let queued = self.queue.pop_front()?;
            self.queue_bytes -= queued.bytes();
            if is_over {
                expired.push(queued.order);
                continue;
            }
            if queued.qos == Qos::AtMostOnce {
                let packet = ToClient::Publish(delivery(&queued, None, false, now_ms));
                return Some(Next { packet, first: None });
            }
            let id = self.free_id();
            let is_named_first = queued.qos == Qos::ExactlyOnce && queued.order.is_some();
            let stage = if is_named_first { Stage::Naming } else { Stage::Published };
            self.in_flight.push_back(Sent {
                id,
                queued,
                stage,
                is_asked: false,
                was_sent: false,
                went_here: false,
                is_counted: false,
            });
        }
    }

    /// What is in flight and goes now: in the order first sent, and nothing new before one that waits for the disk.
    fn due(&self) -> Option<usize> {
        let is_due = |sent: &Sent| !sent.went_here && sent.stage != Stage::Releasing;
        let first = self.in_flight.iter().position(is_due)?;
        if self.in_flight[first].stage == Stage::Naming {
            return self.in_flight.iter().position(|sent| is_due(sent) && sent.stage == Stage::Released);
        }
        Some(first)
    }

    fn send(&mut self, place: usize, window: usize, now_ms: i64) -> Option<Next> {
        let sent = &mut self.in_flight[place];
        if sent.stage == Stage::Released {
            sent.went_here = true;
            let packet = ToClient::Pubrel(Ack::new(sent.id, Reason::Success));
            return Some(Next { packet, first: None });
        }
        if self.counted >= window {
            return None;
        }
        let (was_sent, is_named) = (sent.was_sent, sent.queued.qos == Qos::ExactlyOnce);
        (sent.was_sent, sent.went_here, sent.is_counted) = (true, true, true);
        self.counted += 1;
        // Once it was sent its expiry no longer counts (4.3.3-7): the time at which it was published is as good as any.
        let now_ms = if was_sent { i64::MIN } else { now_ms };
        let packet = ToClient::Publish(delivery(&sent.queued, Some(sent.id), was_sent, now_ms));
        let first = sent.queued.order.filter(|_| !was_sent && !is_named).map(|order| (order, sent.id));
        Some(Next { packet, first })
    }

    /// A message that goes no further before this is on disk: [`Outgoing::stored`] answers. Once on each connection.
    pub fn to_store(&mut self) -> Option<ToStore> {
        let waits =
            |sent: &&mut Sent| matches!(sent.stage, Stage::Naming | Stage::Releasing) && !sent.is_asked;
        let sent = self.in_flight.iter_mut().find(waits)?;
        sent.is_asked = true;
        let (order, packet_id) = (sent.queued.order?, sent.id);
        Some(ToStore { order, packet_id, is_release: sent.stage == Stage::Releasing })
    }

    /// That is on disk.
    pub fn stored(&mut self, stored: ToStore) {
        let ToStore { order, packet_id, is_release } = stored;
        let is_meant = |sent: &&mut Sent| sent.id == packet_id && sent.queued.order == Some(order);
        let Some(sent) = self.in_flight.iter_mut().find(is_meant) else { return };
        sent.is_asked = false;
        match sent.stage {
            Stage::Naming if !is_release => sent.stage = Stage::Published,
            Stage::Releasing if is_release => (sent.stage, sent.went_here) = (Stage::Released, false),
            _ => {}
        }
    }

    /// PUBACK.
    pub fn puback(&mut self, id: PacketId) -> Acknowledged {
        let place = self.place(id, |sent| sent.was_sent && sent.queued.qos == Qos::AtLeastOnce);
        place.map_or(Acknowledged::Unknown(None), |place| self.done(place))
    }

    /// PUBREC. A reason of 0x80 and above ends the message (4.4.0-2).
    pub fn pubrec(&mut self, id: PacketId, reason: Reason) -> Acknowledged {
        let Some(place) = self.place(id, |sent| sent.was_sent && sent.queued.qos == Qos::ExactlyOnce) else {
            return Acknowledged::Unknown(Some(ToClient::Pubrel(Ack::new(id, Reason::PacketIdNotFound))));
        };
        if reason.is_failure() {
            return self.done(place);
        }
        let sent = &mut self.in_flight[place];
        sent.went_here = true;
        if sent.queued.order.is_some() && sent.stage != Stage::Released {
            sent.stage = Stage::Releasing;
            return Acknowledged::Releasing;
        }
        sent.stage = Stage::Released;
        Acknowledged::Released(ToClient::Pubrel(Ack::new(id, Reason::Success)))
    }

    /// PUBCOMP.
    pub fn pubcomp(&mut self, id: PacketId) -> Acknowledged {
        let place = self.place(id, |sent| sent.stage == Stage::Released);
        place.map_or(Acknowledged::Unknown(None), |place| self.done(place))
    }

    /// A message that cannot be sent after all: it takes no id and no place. Gives its order.
    pub fn abandon(&mut self, id: PacketId) -> Option<Order> {
        let place = self.place(id, |_| true)?;
        match self.done(place) {
            Acknowledged::Done(order) => order,
            Acknowledged::Released(_) | Acknowledged::Releasing | Acknowledged::Unknown(_) => None,
        }
    }

    /// As it was stored: what was sent, in that order, and what waits.
    pub fn restored(limits: OutgoingLimits, stored: impl IntoIterator<Item = Restored>) -> Self {
        let mut own = Self::new(limits);
        for Restored { queued, packet_id, is_released } in stored {
            let Some(id) = packet_id else {
                own.queue_bytes += queued.bytes();
                own.queue.push_back(queued);
                continue;
            };
            let stage = if is_released { Stage::Released } else { Stage::Published };
            own.next_id = own.next_id.max(id.checked_add(1).unwrap_or(PacketId::MIN));
            own.in_flight.push_back(Sent {
                id,
                queued,
                stage,
                is_asked: false,
                was_sent: true,
                went_here: false,
                is_counted: false,
            });
        }
        own
    }

    fn place(&self, id: PacketId, is_meant: impl Fn(&Sent) -> bool) -> Option<usize> {
        self.in_flight.iter().position(|sent| sent.id == id && is_meant(sent))
    }

    fn done(&mut self, place: usize) -> Acknowledged {
        let sent = self.in_flight.remove(place).expect("its place was just found");
        self.counted -= usize::from(sent.is_counted);
        Acknowledged::Done(sent.queued.order)
    }

    /// The next id that is not in use. There is one: far fewer are in flight.
    fn free_id(&mut self) -> PacketId {
        loop {
            let id = self.next_id;
            self.next_id = id.checked_add(1).unwrap_or(PacketId::MIN);
            if !self.in_flight.iter().any(|sent| sent.id == id) {
                return id;
            }
        }
    }
}

fn delivery(queued: &Queued, packet_id: Option<PacketId>, dup: bool, now_ms: i64) -> Delivery {
    let message = &queued.message;
    Delivery {
        topic: Some(message.topic.clone()),
        alias: None,
        qos: queued.qos,
        packet_id,
        dup,
        retain: queued.retain,
        payload: message.payload.clone(),
        properties: message.properties.clone(),
        expiry_s: message.expiry_s(now_ms),
        subscription_ids: queued.subscription_ids.clone(),
    }
}

#[cfg(test)]
mod tests;
