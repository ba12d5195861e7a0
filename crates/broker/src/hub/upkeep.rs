//! What time brings, and what changed rights take away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use sanimon_domain::mqtt::{RetainedRow, SessionChange, StoredMessage};
use sanimon_domain::{SessionKey, TimestampMs};

use crate::account::Account;
use crate::limit::Limit;
use crate::link::{Link, Stop};
use crate::message::Message;
use crate::packet::Qos;
use crate::sessions::{Passed, SharedSeat, lock};
use crate::topics::Topic;

use super::token::{Of, Tell};
use super::{Hub, OWN, Owner, Token};

/// How often time is looked at.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_millis(250);
/// What is done of each kind before others have their turn.
const STEPS_MAX: usize = 1_000;

/// What waits for a session.
struct Queue {
    bytes: usize,
    is_kept: bool,
    key: SessionKey,
    seat: SharedSeat,
}

impl Hub {
    /// Wills and sessions that are due, messages whose time is over, queues that are too full together.
    pub(crate) fn upkeep(self: &Arc<Self>) {
        let now_ms = self.now_ms();
        self.stepped_ms.store(self.ports.intake.wall_ms() - now_ms, Ordering::Relaxed);
        let mut table = self.table();
        let passed = table.sessions.pass(now_ms, STEPS_MAX);
        let expired = table.retained.expire(now_ms, STEPS_MAX);
        table.accounts.tidy(now_ms);
        if !passed.is_empty() {
            self.sessions_changed(&mut table);
        }
        // The file changes as the table does.
        for passed in &passed {
            if let Passed::Expired(key) = passed {
                self.change(SessionChange::Remove(key.clone()));
            }
        }
        for topic in expired {
            self.forget_retained(&mut table, topic);
        }
        drop(table);
        for passed in passed {
            if let Passed::Will(will) = passed {
                self.publish_will(will);
            }
        }
        self.bound_queues();
    }

    /// Where all queues together hold too much, in memory or in the file, the fullest sessions lose theirs.
    fn bound_queues(&self) {
        let table = self.table();
        let queue = |(key, seat): (&SessionKey, &SharedSeat)| {
            let session = &lock(seat).session;
            let (bytes, is_kept) = (session.outgoing.queue_bytes(), session.is_kept());
            (bytes > 0).then(|| Queue { bytes, is_kept, key: key.clone(), seat: seat.clone() })
        };
        let mut queues: Vec<Queue> = table.sessions.seats().filter_map(queue).collect();
        drop(table);
        self.shorten(&mut queues, self.limits.queue_bytes_total);
        queues.retain(|queue| queue.is_kept);
        self.shorten(&mut queues, self.limits.queue_bytes_stored);
    }

    /// Leaves those that need not go.
    fn shorten(&self, queues: &mut Vec<Queue>, max: usize) {
        let mut total: usize = queues.iter().map(|queue| queue.bytes).sum();
        if total <= max {
            return;
        }
        queues.sort_by_key(|queue| queue.bytes);
        while total > max
            && let Some(Queue { bytes, key, seat, .. }) = queues.pop()
        {
            total -= bytes;
            self.met(Limit::QueueBytesTotal, &key.owner);
            let mut seat = lock(&seat);
            let dropped = seat.session.outgoing.drop_queue();
            let link = seat.link().cloned();
            drop(seat);
            link.iter().for_each(|link| link.stop(Stop::Overflow));
            dropped.into_iter().for_each(|own| self.done(&key, own.order));
        }
    }

    /// Who may no longer do what it did loses its connection, its session and what it left. `have_changed`: somebody's rights did;
    /// otherwise only a credential's own time can be over.
    pub(crate) fn judge_again(&self, have_changed: bool) {
        let revoked = self.revoked(have_changed);
        let owners: Vec<Owner> = self.table().retained.owners().cloned().collect();
        let gone: Vec<Owner> = owners.into_iter().filter(|owner| !self.may_keep_on(owner)).collect();
        if revoked.is_empty() && gone.is_empty() {
            return;
        }
        let mut table = self.table();
        let mut stopped = Vec::new();
        for (key, account) in revoked {
            let Some(seat) = table.sessions.seat(&key).map(lock) else { continue };
            // It may have signed in anew meanwhile, and was judged then.
            if !Arc::ptr_eq(&seat.account, &account) {
                continue;
            }
            stopped.push((key.clone(), seat.link().cloned()));
            drop(seat);
            table.sessions.remove(&key);
            self.change(SessionChange::Remove(key));
        }
        self.sessions_changed(&mut table);
        let topics: Vec<Topic> = gone.iter().flat_map(|owner| table.retained.revoke(owner)).collect();
        for topic in topics {
            self.forget_retained(&mut table, topic);
        }
        drop(table);
        for (key, link) in stopped {
            tracing::info!(
                client_id = &*key.client_id,
                owner = &*key.owner,
                "session ended: its rights were taken away"
            );
            link.iter().for_each(|link| link.stop(Stop::Revoked));
        }
    }

    /// Sessions of accounts that may do less now. Others have the table's lock meanwhile.
    fn revoked(&self, have_changed: bool) -> Vec<(SessionKey, Arc<Account>)> {
        let table = self.table();
        let seats = table.sessions.seats().map(|(key, seat)| (key.clone(), seat.clone()));
        let seats: Vec<(SessionKey, SharedSeat)> = seats.collect();
        drop(table);
        let mut revoked = Vec::new();
        for (key, seat) in seats {
            let account = lock(&seat).account.clone();
            if !have_changed && !account.may_expire {
                continue;
            }
            match self.ports.permissions.now(&account.owner, account.credential, &key.client_id) {
                Some(now) if now == *account => {}
                Some(now) if now.rights.include(&account.rights) => {
                    let mut seat = lock(&seat);
                    if Arc::ptr_eq(&seat.account, &account) {
                        seat.account = Arc::new(now);
                    }
                }
                _ => revoked.push((key, account)),
            }
        }
        revoked
    }

    /// The product is about to stop: kept sessions are away since now, in the file.
    pub(crate) fn note_all_away(&self) {
        let now_ms = self.now_ms();
        let table = self.table();
        for (key, seat) in table.sessions.seats() {
            let seat = lock(seat);
            if seat.session.is_kept() && seat.link().is_some() {
                let row = self.session_row(key, &seat, Some(now_ms));
                self.change(SessionChange::Put(Box::new(row)));
            }
        }
    }

    /// The product stops: everybody is told.
    pub(crate) fn stop_all(&self) {
        let table = self.table();
        let links: Vec<Arc<Link>> =
            table.sessions.seats().filter_map(|(_, seat)| lock(seat).link().cloned()).collect();
        drop(table);
        links.iter().for_each(|link| link.stop(Stop::Stopping));
    }

    /// How many clients are connected.
    pub(crate) fn connected(&self) -> usize {
        self.table().accounts.connected()
    }

    /// The newest state of something of the product's own, for who may hear it; retained, until one without a payload
    /// comes. Resolves when it is on disk; false: it cannot be stored now.
    pub async fn publish_own(self: &Arc<Self>, topic: Topic, payload: Bytes, retain: bool) -> bool {
        let now_ms = self.now_ms();
        let message = Message::new(topic, payload, None, now_ms);
        let row = StoredMessage {
            received_at: TimestampMs(self.ports.intake.wall_ms()),
            ..self.stored_message(&message)
        };
        let owner: Owner = (OWN.into(), None);
        let tell = Tell {
            message,
            qos: Qos::AtLeastOnce,
            retain: retain.then(|| owner.clone()),
            is_retained: retain,
            publisher: None,
            owed: Vec::new(),
            chosen: Vec::new(),
            late: self.next_order(),
        };
        if !retain {
            self.deliver(tell);
            return true;
        }
        let link = Arc::new(Link::default());
        let row = RetainedRow { message: row, qos: Qos::AtLeastOnce as u8, owner: owner.0, credential: None };
        let token = Token::new(self, Of::Own(Box::new(tell), link.clone()));
        self.ports.intake.change(SessionChange::Retain(Box::new(row)), Some(token));
        std::future::poll_fn(|cx| {
            link.register(cx.waker());
            match link.take_notice() {
                Some((stop, _)) => Poll::Ready(stop.is_none()),
                None => Poll::Pending,
            }
        })
        .await
    }
}
