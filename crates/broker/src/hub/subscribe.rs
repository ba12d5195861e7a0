//! What a client asks for, and no longer asks for.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use sanimon_domain::mqtt::SessionChange;
use sanimon_net::Allowance;

use crate::limit::Limit;
use crate::link::Ticket;
use crate::packet::{Qos, RetainHandling};
use crate::reason::Reason;
use crate::retained::Next;
use crate::session::{Cursor, Queued, Wanted};
use crate::sessions::{Full, lock};
use crate::subscriptions::Granted;
use crate::topics::{Asked, Tree};

use super::attach::Admitted;
use super::rows::subscription_row;
use super::token::Of;
use super::{Hub, Token};

/// What became of a SUBSCRIBE.
#[derive(Debug, Default)]
pub(crate) struct Granting {
    /// One for each filter, in order.
    pub(crate) reasons: Vec<Reason>,
    /// Retained messages that follow.
    pub(crate) cursors: Vec<Cursor>,
    /// The answer waits for a commit.
    pub(crate) is_awaited: bool,
}

/// Topics that are looked at for retained messages before others have their turn.
const RETAINED_STEPS: usize = 1_000;
/// Topics that are looked at for all subscriptions together: to look costs about as much as to send.
pub(super) const RETAINED_LOOKS: Allowance = Allowance { per_s: 500_000.0, burst: 50_000.0 };
/// Retained messages that wait in a session's queue at a time.
const RETAINED_QUEUED: usize = 64;

impl Hub {
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        client: &Admitted,
        wanted: Vec<Wanted>,
        ticket: Ticket,
    ) -> Granting {
        let mut granting = Granting::default();
        let mut changes = Vec::new();
        let mut table = self.table();
        let account = {
            let mut seat = lock(&client.sender.seat);
            // Taken over meanwhile: a connection that has gone changes nothing of the newcomer's.
            if seat.of(client.sender.generation).is_none() {
                return granting;
            }
            seat.account.clone()
        };
        for Wanted { filter, options, id } in wanted {
            let asked = match filter {
                Ok(asked) => asked,
                Err(reason) => {
                    granting.reasons.push(reason);
                    continue;
                }
            };
            if !account.rights.may_subscribe(&asked) {
                self.ports.notices.denied(&client.key.owner, &asked.to_string());
                granting.reasons.push(Reason::NotAuthorized);
                continue;
            }
            if let Err(full) = table.sessions.has_room(&client.key, &asked.to_string()) {
                let limit = match full {
                    Full::OfSession => Limit::Subscriptions,
                    Full::OfOwner => Limit::SubscriptionsPerCredential,
                    Full::Total => Limit::SubscriptionsTotal,
                };
                self.met(limit, &client.key.owner);
                granting.reasons.push(Reason::QuotaExceeded);
                continue;
            }
            // A Mosquitto that bridges does not want its own messages back, and retained ones with their flag.
            let is_plain = matches!(asked, Asked::Plain(_));
            let no_local = options.no_local || client.is_bridge && is_plain;
            let retain_as_published = options.retain_as_published || client.is_bridge;
            let granted = Granted { qos: options.qos, no_local, retain_as_published, id };
            if client.is_stored {
                changes.push(SessionChange::Subscribe(client.key.clone(), subscription_row(&asked, granted)));
            }
            let is_new = table.sessions.subscribe(&client.key, asked.clone(), granted);
            let sends = match options.retained {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
            if let (true, Asked::Plain(filter)) = (sends, asked) {
                let left = self.limits.retained_per_subscribe;
                granting.cursors.push(Cursor { filter, granted, after: None, left });
            }
            granting.reasons.push(match granted.qos {
                Qos::AtMostOnce => Reason::Success,
                Qos::AtLeastOnce => Reason::GrantedQos1,
                Qos::ExactlyOnce => Reason::GrantedQos2,
            });
        }
        self.sessions_changed(&mut table);
        // The file changes as the table does.
        granting.is_awaited = self.changes(client, changes, ticket);
        drop(table);
        granting
    }

    /// Gives a reason for each filter, in order, and whether the answer waits for a commit.
    pub(crate) fn unsubscribe(
        self: &Arc<Self>,
        client: &Admitted,
        filters: &[String],
        ticket: Ticket,
    ) -> (Vec<Reason>, bool) {
        let mut table = self.table();
        if lock(&client.sender.seat).of(client.sender.generation).is_none() {
            return (Vec::new(), false);
        }
        let (mut changes, mut dropped) = (Vec::new(), Vec::<Queued>::new());
        let mut reasons = Vec::with_capacity(filters.len());
        let (mut removed, mut gone) = (Tree::default(), BTreeSet::new());
        for (number, text) in filters.iter().enumerate() {
            let was_there = table.sessions.unsubscribe(&client.key, text);
            reasons.push(if was_there { Reason::Success } else { Reason::NoSubscriptionExisted });
            if was_there {
                if let Ok(asked) = Asked::parse(text) {
                    removed.insert(asked.filter(), number, ());
                }
                gone.insert(text.as_str());
                if client.is_stored {
                    changes.push(SessionChange::Unsubscribe(client.key.clone(), text.as_str().into()));
                }
            }
        }
        let mut seat = lock(&client.sender.seat);
        seat.session.owed_retained.retain(|cursor| !gone.contains(cursor.filter.as_str()));
        if !removed.is_empty() && !seat.session.outgoing.is_empty() {
            // Queued, and nothing of it sent: nobody asks for it any more (3.10.4-2).
            let interest = table.sessions.interest(&client.key);
            let is_unwanted = |own: &Queued| {
                let topic = &own.message.topic;
                removed.matches(topic) && !interest.matches(topic)
            };
            dropped = seat.session.outgoing.drop_where(is_unwanted);
        }
        drop(seat);
        self.sessions_changed(&mut table);
        dropped.iter().for_each(|own| self.done(&client.key, own.order));
        // What it had of a group another one of it gets.
        self.give_on(&mut table, dropped);
        let is_awaited = self.changes(client, changes, ticket);
        drop(table);
        (reasons, is_awaited)
    }

    /// Stores changes; the last of them is waited for. True: there is one.
    fn changes(self: &Arc<Self>, client: &Admitted, changes: Vec<SessionChange>, ticket: Ticket) -> bool {
        let last = changes.len().saturating_sub(1);
        let is_awaited = !changes.is_empty();
        for (place, change) in changes.into_iter().enumerate() {
            let token = || Token::new(self, Of::Change(client.sender.link.clone(), ticket));
            self.ports.intake.change(change, (place == last).then(token));
        }
        is_awaited
    }

    /// Draws retained messages into a session's queue, as it has room. `Some`: there is more, after so many milliseconds: what
    /// all together look through in a second is bounded. Where the queue is full the client's acknowledgements make room.
    pub(crate) fn draw_retained(&self, client: &Admitted) -> Option<u64> {
        let mut steps = RETAINED_STEPS;
        let has_more = self.draw_some(client, &mut steps);
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let wait_ms = looks.borrow(RETAINED_LOOKS, (RETAINED_STEPS - steps) as f64, self.now_ms() as u64);
        has_more.then_some(wait_ms)
    }

    /// `steps`: how many topics may be looked at, which it takes. True: something was drawn or looked through, and there is more.
    fn draw_some(&self, client: &Admitted, steps: &mut usize) -> bool {
        let now_ms = self.now_ms();
        let table = self.table();
        let mut seat = lock(&client.sender.seat);
        let account = seat.account.clone();
        let Some(session) = seat.of(client.sender.generation) else { return false };
        let mut has_drawn = false;
        while let Some(cursor) = session.owed_retained.front_mut() {
            if session.outgoing.queued() >= RETAINED_QUEUED {
                return has_drawn;
            }
            if *steps == 0 {
                return true;
            }
            if cursor.left == 0 {
                self.met(Limit::RetainedPerSubscribe, &client.key.owner);
                session.owed_retained.pop_front();
                continue;
            }
            match table.retained.next(&cursor.filter, cursor.after.as_ref(), now_ms, steps) {
                // It waits for room: what others have published meanwhile does not go for it.
                Next::Found(kept) if !session.outgoing.has_room(kept.message.bytes()) => return has_drawn,
                Next::Found(kept) => {
                    cursor.after = Some(kept.message.topic.clone());
                    if !account.rights.may_hear(&kept.message.topic) {
                        continue;
                    }
                    cursor.left -= 1;
                    has_drawn = true;
                    let mut queued = Queued {
                        message: kept.message.clone(),
                        qos: kept.qos.min(cursor.granted.qos),
                        retain: true,
                        subscription_ids: cursor.granted.id.into_iter().collect(),
                        shared: None,
                        order: None,
                    };
                    if client.is_stored {
                        self.owe(&client.key, &mut queued, self.next_order());
                    }
                    let _ = session.outgoing.push(queued);
                }
                Next::Paused(topic) => {
                    cursor.after = Some(topic);
                    return true;
                }
                Next::Over => drop(session.owed_retained.pop_front()),
            }
        }
        false
    }
}
