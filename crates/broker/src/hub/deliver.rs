//! What a commit lets out: acknowledgements to who waits, messages to who asked for them.

use std::sync::Arc;

use sanimon_domain::SessionKey;
use sanimon_domain::mqtt::{OutgoingRow, Owed, RetainedRow, SessionChange};
use tokio::sync::mpsc;

use crate::limit::Limit;
use crate::link::{Link, Stop};
use crate::message::Message;
use crate::packet::Qos;
use crate::reason::Reason;
use crate::retained::Kept;
use crate::session::{Pushed, Queued};
use crate::sessions::{Copy, lock};

use super::owed::own_payload;
use super::token::{Inner, Of, Tell};
use super::{Hub, OWN, Owner, Table, Token};

/// Told with the acknowledgement of a message that was to be kept.
const NOT_KEPT: &str = "stored, but not kept for its topic: a limit of retained messages is reached";
/// Tokens that are taken before connections are woken, and others have the table's lock.
const SETTLED_AT_ONCE: usize = 256;

/// Takes what is committed, in the commit's order, until the writer has ended.
pub(crate) async fn settle(mut committed: mpsc::UnboundedReceiver<Vec<Token>>) {
    while let Some(mut tokens) = committed.recv().await {
        while !tokens.is_empty() {
            let rest = tokens.split_off(tokens.len().min(SETTLED_AT_ONCE));
            settle_some(std::mem::replace(&mut tokens, rest));
            tokio::task::consume_budget().await;
        }
    }
}

fn settle_some(tokens: Vec<Token>) {
    let mut woken: Vec<Arc<Link>> = Vec::with_capacity(tokens.len());
    for Inner { hub, of } in tokens.into_iter().filter_map(Token::into_inner).map(|own| *own) {
        match of {
            Of::Publish { from, ordinal, qos2, is_not_kept, tell, .. } => {
                let mut seat = lock(&from.seat);
                if let Some(session) = seat.of(from.generation) {
                    let text = is_not_kept.then(|| NOT_KEPT.to_owned());
                    session.incoming.committed(ordinal, Reason::Success, text);
                    drop(seat);
                    // One connection's messages stand together.
                    if !woken.last().is_some_and(|last| Arc::ptr_eq(last, &from.link)) {
                        woken.push(from.link);
                    }
                } else {
                    if let Some(id) = qos2 {
                        seat.session.incoming.received_before(id);
                        // Whoever came after it has waited for this.
                        woken.extend(seat.link().cloned());
                    }
                    // Its sender may be among those who hear it.
                    drop(seat);
                }
                tell.into_iter().for_each(|tell| hub.deliver(*tell));
            }
            Of::Place { from, ordinal } => {
                if let Some(session) = lock(&from.seat).of(from.generation) {
                    session.incoming.committed(ordinal, Reason::Success, None);
                }
                woken.push(from.link);
            }
            Of::Stage(from, stage) => {
                let mut seat = lock(&from.seat);
                seat.session.outgoing.stored(stage);
                woken.extend(seat.link().cloned());
            }
            Of::Change(link, ticket) => link.committed(ticket),
            Of::Will(tell, key) => {
                tell.into_iter().for_each(|tell| hub.deliver(*tell));
                hub.will_settled();
                hub.forget_will(&key);
            }
            Of::Own(tell, link) => {
                hub.deliver(*tell);
                link.committed(0);
            }
        }
    }
    woken.iter().for_each(|link| link.wake());
}

impl Hub {
    /// Gives a message to who asked for it, and keeps it for its topic.
    pub(super) fn deliver(&self, tell: Tell) {
        let Tell { message, qos, retain, is_retained, publisher, mut owed, chosen, late } = tell;
        let mut table = self.table();
        let copies = table.sessions.recipients(&message.topic, publisher.as_ref(), &chosen);
        if copies.is_empty() && retain.is_none() && owed.is_empty() {
            return;
        }
        let message = Arc::new(Message { payload: own_payload(&message.payload), ..message });
        if let Some(owner) = retain {
            self.keep(&mut table, Kept { message: message.clone(), qos, owner });
        }
        drop(table);
        let mut orphans = Vec::new();
        for copy in copies {
            // A session may get two: one of its own, and one of a group.
            let place = owed.iter().position(|(key, ..)| *key == copy.key);
            let row = place.map(|place| owed.remove(place));
            let order = row.as_ref().map(|(_, order, _)| *order);
            // Where a higher one was granted since, what the file says stands: after a crash it goes again as that.
            let lower = qos.min(copy.qos).min(row.map_or(qos, |(.., stored)| stored));
            let is_stored = lower > Qos::AtMostOnce;
            self.done(&copy.key, order.filter(|_| !is_stored));
            let undelivered = self.push(
                &copy,
                Queued {
                    message: message.clone(),
                    qos: lower,
                    retain: is_retained && copy.retain_as_published,
                    subscription_ids: copy.subscription_ids.clone(),
                    shared: copy.shared.clone(),
                    order: order.filter(|_| is_stored),
                },
                // It stands where its message does, but a session's second copy has a place of its own.
                if copy.shared.is_none() { late } else { self.next_order() },
            );
            orphans.extend(undelivered);
        }
        if !orphans.is_empty() {
            self.give_on(&mut self.table(), orphans);
        }
        // Who is owed it no longer asks for it.
        owed.iter().for_each(|(key, order, _)| self.done(key, Some(*order)));
    }

    /// Messages that one of a group had and did not get: another one of it gets them.
    pub(super) fn give_on(&self, table: &mut Table, orphans: Vec<Queued>) {
        for queued in orphans {
            let Some(asked) = &queued.shared else { continue };
            let Some(copy) = table.sessions.turn(asked, &queued.message.topic) else { continue };
            let lower = queued.qos.min(copy.qos);
            let subscription_ids = copy.subscription_ids.clone();
            let queued = Queued { qos: lower, subscription_ids, order: None, ..queued };
            // Under the table's lock no session ends.
            let _ = self.push(&copy, queued, self.next_order());
        }
    }

    fn keep(&self, table: &mut Table, kept: Kept<Owner>) {
        let (topic, owner) = (kept.message.topic.clone(), kept.owner.0.clone());
        let is_own = &*owner == OWN;
        if !self.may_keep_on(&kept.owner) {
            // Revoked since it was offered: the file has kept it and lost it again, with what it was in the place of, or not
            // kept it. Nothing is what both agree on.
            table.retained.remove(&topic);
            return self.forget_retained(table, topic);
        }
        // It may be out of the file again.
        let again = table.forgotten.may_have(&topic, kept.message.received_at_ms).then(|| {
            let (message, qos) = (self.stored_message(&kept.message), kept.qos as u8);
            RetainedRow { message, qos, owner: owner.clone(), credential: kept.owner.1 }
        });
        if table.retained.put_own(is_own, kept).is_err() {
            // There was room before its commit, and others took it. In the file it is in the place of the one before.
            self.met(Limit::Retained, &owner);
            table.retained.remove(&topic);
            self.forget_retained(table, topic);
        } else if let Some(row) = again {
            self.change(SessionChange::Retain(Box::new(row)));
            // What it is put in the place of may come after it, and be under way as well.
            table.forgotten.enter(topic, self.now_ms());
        }
    }

    /// Gives back what a session can no longer get that has ended meanwhile, where it is one of a group.
    fn push(&self, copy: &Copy, mut queued: Queued, late: u64) -> Option<Queued> {
        let mut seat = lock(&copy.seat);
        if seat.is_over {
            return Some(queued).filter(|own| own.shared.is_some());
        }
        let link = seat.link().cloned();
        if seat.is_stored {
            self.owe(&copy.key, &mut queued, late);
        }
        let pushed = seat.session.outgoing.push(queued);
        drop(seat);
        match pushed {
            Pushed::Queued => {}
            Pushed::NotQueued if link.is_none() => {}
            Pushed::NotQueued => self.met(Limit::QueueMessages, &copy.key.owner),
            Pushed::Overflow(oldest) | Pushed::Displaced(oldest) => {
                self.met(Limit::QueueMessages, &copy.key.owner);
                link.iter().for_each(|link| link.stop(Stop::Overflow));
                oldest.into_iter().for_each(|own| self.done(&copy.key, own.order));
            }
        }
        link.iter().for_each(|link| link.wake());
        None
    }

    /// What a kept session must get is in the file, also what was not known before the message's commit: a client may have a
    /// part of it when a crash comes, and would take the next message under its id for it.
    pub(super) fn owe(&self, key: &SessionKey, queued: &mut Queued, order: u64) {
        if queued.order.is_some() || queued.qos == Qos::AtMostOnce {
            return;
        }
        queued.order = Some(order);
        let owed = Owed {
            key: key.clone(),
            order,
            qos: queued.qos as u8,
            retain: queued.retain,
            subscription_ids: queued.subscription_ids.iter().map(|id| id.get()).collect(),
        };
        let message = Arc::new(self.stored_message(&queued.message));
        let row = OutgoingRow { owed, packet_id: None, is_released: false, message };
        self.change(SessionChange::Owe(Box::new(row)));
    }

    /// A stored message is done with.
    pub(crate) fn done(&self, key: &SessionKey, order: Option<u64>) {
        if let Some(order) = order {
            self.change(SessionChange::Done { key: key.clone(), order });
        }
    }
}
