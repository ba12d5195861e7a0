//! What follows from a packet, a commit or the time, carried out.

use std::collections::BTreeSet;

use sanimon_domain::mqtt::SessionChange;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::hub::{Admitted, Granting};
use crate::limit::Limit;
use crate::link::{Stop, Ticket};
use crate::packet::{FromClient, PacketId, ToClient};
use crate::reason::Reason;
use crate::session::will::End;
use crate::session::{Acknowledged, Admission, Cursor, Effect, Session, Wanted};
use crate::sessions::lock;

use super::client::{Client, ROOM_LOOK_MS};
use super::scratch;

/// What is done once a change is on disk.
pub(super) enum Awaited {
    Connack(Admission),
    Suback(PacketId, Vec<Reason>, Vec<Cursor>),
    Unsuback(PacketId, Vec<Reason>),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// Whose limits these are, for people.
    pub(super) fn owner(&self) -> String {
        match &self.admitted {
            Some(client) if !client.key.owner.is_empty() => client.key.owner.to_string(),
            _ => self.peer.address.ip().to_canonical().to_string(),
        }
    }

    pub(super) fn wants_input(&self) -> bool {
        match &self.admitted {
            Some(client) => match lock(&client.sender.seat).of(client.sender.generation) {
                Some(session) => self.machine.wants_input(session),
                None => false,
            },
            None => self.machine.wants_input(&Session::new(self.hub.limits.sessions.outgoing)),
        }
    }

    /// Takes packets out of what has come, as long as more may be under way.
    pub(super) fn process(&mut self) {
        self.is_incomplete = false;
        while self.step() {}
        if let Some(line) = &mut self.line {
            line.flush();
        }
        self.note_partial();
        self.flush();
    }

    /// One packet. False: there is none, or no more are taken now.
    fn step(&mut self) -> bool {
        if self.is_closing || self.waiting.is_some() || self.input.is_empty() {
            return false;
        }
        let now_ms = self.now_ms;
        if self.read_at_ms > now_ms {
            return false;
        }
        if self.hub.is_crowded() {
            self.look_later();
            return false;
        }
        let (mut effects, room) = (scratch::take_effects(), self.room());
        let mut nobody = None;
        let mut seat =
            self.admitted.as_ref().map(|client| (lock(&client.sender.seat), client.sender.generation));
        let session = match &mut seat {
            Some((seat, generation)) => seat.of(*generation),
            None => Some(nobody.insert(Session::new(self.hub.limits.sessions.outgoing))),
        };
        // Without a session it was taken over or revoked: the notice of it is on its way.
        let Some(session) = session else { return false };
        if !self.machine.wants_input(session) {
            return false;
        }
        match self.wire.take(&mut self.input) {
            Ok(None) => {
                self.is_incomplete = !self.input.is_empty();
                return false;
            }
            Ok(Some(packet)) => {
                let cost = control_cost(&packet);
                self.machine.set_room(room);
                self.machine.packet(session, now_ms, (self.wire, packet), &mut effects);
                drop(seat);
                self.packet_ended();
                let cost = cost + f64::from(self.machine.take_strays()) * STRAY_OF_CONTROL_PACKET;
                let allowance = self.hub.limits.control_packets;
                if cost > 0.0 && !self.control.take(allowance, cost, now_ms as u64) {
                    self.hub.met(Limit::ControlPacketsPerS, &self.owner());
                    self.close(Reason::MessageRateTooHigh);
                    return false;
                }
            }
            Err(fault) => {
                self.machine.fault(self.wire, fault, &mut effects);
                drop(seat);
            }
        }
        self.apply(effects);
        true
    }

    /// The writer has come around, or somebody wants this connection to end.
    pub(super) fn woken(&mut self) {
        if let Some((stop, committed)) = self.link.take_notice() {
            committed.into_iter().for_each(|ticket| self.committed(ticket));
            if let Some(stop) = stop {
                return self.stop(stop);
            }
        }
        self.flush();
        if !self.input.is_empty() {
            self.process();
        }
    }

    fn stop(&mut self, why: Stop) {
        let mut effects = Vec::new();
        // What was committed before is acknowledged first.
        self.flush();
        match why {
            Stop::TakenOver { is_clean } => self.machine.taken_over(is_clean, &mut effects),
            Stop::Revoked => self.machine.revoked(&mut effects),
            Stop::Overflow => self.machine.close(Reason::QuotaExceeded, &mut effects),
            Stop::CannotStore => self.machine.close(Reason::ImplementationSpecific, &mut effects),
            Stop::Stopping => self.machine.stopping(&mut effects),
        }
        self.apply(effects);
        // It has not signed in: there is nothing to say.
        if !self.is_closing {
            self.leave(End::Stopping);
        }
    }

    pub(super) fn close(&mut self, reason: Reason) {
        let mut effects = Vec::new();
        self.machine.close(reason, &mut effects);
        self.apply(effects);
    }

    /// The time goes on. False: the connection ends.
    pub(super) fn tick(&mut self, now_ms: i64) -> bool {
        let mut effects = Vec::new();
        self.machine.tick(now_ms, &mut effects);
        self.apply(effects);
        !self.is_closing
    }

    /// Sends what is due: answers in order, then messages, as far as there is room.
    pub(super) fn flush(&mut self) {
        let Some(client) = &self.admitted else { return };
        if !self.machine.is_connected() {
            return;
        }
        // What a kept session is sent is written to the file.
        let must_wait = client.is_stored && self.hub.is_crowded();
        let room = if must_wait { 0 } else { self.room() };
        let mut effects = scratch::take_effects();
        let mut seat = lock(&client.sender.seat);
        let mut draw_at_ms = self.draw_at_ms;
        if room > 0 && draw_at_ms <= self.now_ms && !seat.session.owed_retained.is_empty() {
            drop(seat);
            match self.hub.draw_retained(client) {
                None => {}
                // There is more: others have their turn before.
                Some(0) => self.link.wake(),
                Some(wait_ms) => draw_at_ms = self.now_ms + wait_ms as i64,
            }
            seat = lock(&client.sender.seat);
        }
        let Some(session) = seat.of(client.sender.generation) else { return };
        self.machine.set_room(room);
        self.machine.flush(session, self.now_ms, &mut effects);
        let acknowledged = session.incoming.take_acknowledged();
        drop(seat);
        self.draw_at_ms = draw_at_ms;
        if acknowledged > 0 {
            self.hub.ports.notices.acknowledged(acknowledged);
        }
        if must_wait {
            self.look_later();
        }
        self.apply(effects);
    }

    /// The writer has to catch up first: it is looked again after a while, for nobody tells.
    fn look_later(&mut self) {
        self.read_at_ms = self.read_at_ms.max(self.now_ms + ROOM_LOOK_MS);
    }

    /// What it waited for is there: room in the queue, or the end of a pause.
    pub(super) fn resumed(&mut self) {
        if let Some(connect) = self.held_connect.take() {
            self.admit(&connect, true);
        }
        self.process();
    }

    pub(super) fn apply(&mut self, effects: Vec<Effect>) {
        if effects.is_empty() {
            return scratch::give_back(effects);
        }
        let mut unsent = None;
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send(_) if unsent.is_some() => {}
                Effect::Send(packet) => {
                    let is_sent = self.wire.write(&packet, &mut self.output).is_ok();
                    // A message that the client does not take was left out before.
                    unsent = (!is_sent && !matches!(packet, ToClient::Disconnect(..))).then_some(packet);
                }
                Effect::Admit(connect) => self.admit(&connect, false),
                Effect::Offer(offer) => effects.extend(self.offer(offer)),
                Effect::Forget(ordinal, id) => self.with_client(|hub, client| {
                    let change = SessionChange::Released(client.key.clone(), id.get());
                    hub.change_in_line(client, change, ordinal);
                }),
                Effect::Subscribe(id, wanted) => effects.extend(self.subscribe(id, wanted)),
                Effect::Unsubscribe(id, filters) => effects.extend(self.unsubscribe(id, &filters)),
                Effect::Acknowledged(Acknowledged::Done(order)) => {
                    self.with_client(|hub, client| hub.done(&client.key, order));
                }
                Effect::Acknowledged(_) => {}
                Effect::Store(stage) => self.with_client(|hub, client| hub.store_stage(client, stage)),
                Effect::Sent(order, id) => self.with_client(|hub, client| {
                    hub.change(SessionChange::Sent { key: client.key.clone(), order, packet_id: id.get() });
                }),
                Effect::Dropped(order, limit) => self.with_client(|hub, client| {
                    hub.met(limit, &client.key.owner);
                    hub.done(&client.key, order);
                }),
                Effect::Count(limit) => self.hub.met(limit, &self.owner()),
                Effect::Close(end) => self.leave(end),
            }
        }
        scratch::give_back(effects.into());
        match unsent {
            None => {}
            // It is the first packet, or there is none.
            Some(ToClient::Connack(_)) => self.leave(End::Lost(Reason::PacketTooLarge)),
            // An answer that the client does not take would be waited for without end.
            Some(_) => self.close(Reason::PacketTooLarge),
        }
    }

    fn with_client(&self, act: impl FnOnce(&std::sync::Arc<crate::hub::Hub>, &Admitted)) {
        if let Some(client) = &self.admitted {
            act(&self.hub, client);
        }
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.next_ticket
    }

    fn committed(&mut self, ticket: Ticket) {
        let Some(place) = self.awaited.iter().position(|(own, _)| *own == ticket) else { return };
        let answer = self.awaited.remove(place).1;
        let effects = self.answer(answer);
        self.apply(effects);
    }

    /// Answers at once, or when a change is on disk.
    pub(super) fn answer_after(&mut self, is_awaited: bool, ticket: Ticket, answer: Awaited) -> Vec<Effect> {
        if is_awaited {
            self.awaited.push((ticket, answer));
            return Vec::new();
        }
        self.answer(answer)
    }

    fn answer(&mut self, answer: Awaited) -> Vec<Effect> {
        let mut effects = Vec::new();
        match answer {
            Awaited::Connack(admission) => self.let_in(&admission),
            Awaited::Suback(id, reasons, cursors) => {
                self.owe_retained(cursors);
                self.machine.subscribed(id, reasons, &mut effects);
            }
            Awaited::Unsuback(id, reasons) => self.machine.unsubscribed(id, reasons, &mut effects),
        }
        effects
    }

    fn subscribe(&mut self, id: PacketId, wanted: Vec<Wanted>) -> Vec<Effect> {
        let ticket = self.ticket();
        let Some(client) = &self.admitted else { return Vec::new() };
        let Granting { reasons, cursors, is_awaited } = self.hub.subscribe(client, wanted, ticket);
        self.answer_after(is_awaited, ticket, Awaited::Suback(id, reasons, cursors))
    }

    fn unsubscribe(&mut self, id: PacketId, filters: &[String]) -> Vec<Effect> {
        let ticket = self.ticket();
        let Some(client) = &self.admitted else { return Vec::new() };
        let (reasons, is_awaited) = self.hub.unsubscribe(client, filters, ticket);
        self.answer_after(is_awaited, ticket, Awaited::Unsuback(id, reasons))
    }

    fn owe_retained(&self, cursors: Vec<Cursor>) {
        let Some(client) = self.admitted.as_ref().filter(|_| !cursors.is_empty()) else { return };
        if let Some(session) = lock(&client.sender.seat).of(client.sender.generation) {
            // Asked for again, it begins again; named twice in one packet, the last one counts.
            let mut again = BTreeSet::new();
            let mut last: Vec<Cursor> = cursors.into_iter().rev().collect();
            last.retain(|own| again.insert(own.filter.as_str().to_owned()));
            session.owed_retained.retain(|own| !again.contains(own.filter.as_str()));
            session.owed_retained.extend(last.into_iter().rev());
        }
        self.link.wake();
    }
}

/// Filters of a packet that are as dear as a packet of its own.
const FILTERS_OF_CONTROL_PACKET: f64 = 16.0;

/// An answer to a packet id that nobody knows: after a lost connection there may be as many as were under way.
const STRAY_OF_CONTROL_PACKET: f64 = 0.25;

/// What is bounded by its number in a second, neither messages nor answers to ours, and for how many it counts.
fn control_cost(packet: &FromClient) -> f64 {
    let with_filters = |number: usize| 1.0 + number as f64 / FILTERS_OF_CONTROL_PACKET;
    match packet {
        FromClient::Pingreq | FromClient::Auth => 1.0,
        FromClient::Subscribe(subscribe) => with_filters(subscribe.filters.len()),
        FromClient::Unsubscribe(unsubscribe) => with_filters(unsubscribe.filters.len()),
        _ => 0.0,
    }
}
