//! What was stored comes back, before anybody is let in.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sanimon_domain::mqtt::{OutgoingRow, SessionChange, StoredSessions};
use sanimon_domain::{SessionKey, TimestampMs};

use crate::packet::Qos;
use crate::retained::Kept;
use crate::session::{Incoming, Outgoing, Queued, Restored, Session};
use crate::sessions::lock;
use crate::topics::Asked;

use super::rows::{granted_of, version_of, will_of};
use super::{Hub, OWN, Owner, Table};

impl Hub {
    /// Puts all of it in. Every client is away, since its row says or else since `stopped_ms`. What belongs to a credential that
    /// is no longer good is taken out of the file.
    pub fn restore(&self, stored: StoredSessions, stopped_ms: i64) {
        let StoredSessions { sessions, subscriptions, outgoing, incoming, retained, last_order } = stored;
        self.next_order.store(last_order + 1, Ordering::Relaxed);
        let mut owed: BTreeMap<SessionKey, Vec<Restored>> = BTreeMap::new();
        for row in outgoing {
            let key = row.owed.key.clone();
            owed.entry(key).or_default().extend(self.restored(&row));
        }
        let mut received: BTreeMap<SessionKey, Vec<NonZeroU16>> = BTreeMap::new();
        for (key, id) in incoming {
            received.entry(key).or_default().extend(NonZeroU16::new(id));
        }
        let mut table = self.table();
        for row in sessions {
            let account = self.ports.permissions.now(&row.key.owner, row.credential, &row.key.client_id);
            let Some(account) = account else {
                self.change(SessionChange::Remove(row.key));
                continue;
            };
            let mut session = Session::new(self.limits.sessions.outgoing);
            session.outgoing =
                Outgoing::restored(self.limits.sessions.outgoing, owed.remove(&row.key).unwrap_or_default());
            session.incoming = Incoming::restored(received.remove(&row.key).unwrap_or_default());
            (session.expiry_s, session.version) = (row.expiry_s, version_of(&row));
            session.incarnation = row.incarnation;
            session.will = row.will.as_deref().map(|own| Box::new(will_of(own)));
            let since_ms = self.of_wall(row.away_since.map_or(stopped_ms, |at| at.0));
            let will_at_ms = row.will.as_ref().map(|own| {
                let delay_ms = i64::from(own.delay_s.min(row.expiry_s)) * 1_000;
                // The session's end is the end of the delay.
                let latest_ms = since_ms + delay_ms;
                own.due_at.map_or(latest_ms, |at| self.of_wall(at.0).min(latest_ms))
            });
            if row.away_since.is_none() {
                // It was here when the product ended. The next start must not take it for here until then.
                let mut row = row.clone();
                row.away_since = Some(TimestampMs(self.to_wall(since_ms)));
                if let (Some(will), Some(at_ms)) = (&mut row.will, will_at_ms) {
                    will.due_at = Some(TimestampMs(self.to_wall(at_ms)));
                }
                self.change(SessionChange::Put(Box::new(row)));
            }
            table.sessions.restore(&row.key, &Arc::new(account), session, since_ms, will_at_ms);
        }
        for (key, row) in subscriptions {
            let Some(seat) = table.sessions.seat(&key) else { continue };
            let account = lock(seat).account.clone();
            match Asked::parse(&row.filter) {
                Ok(asked) if account.rights.may_subscribe(&asked) => {
                    table.sessions.subscribe(&key, asked, granted_of(&row));
                }
                _ => self.change(SessionChange::Unsubscribe(key, row.filter)),
            }
        }
        self.drop_unwanted(&table);
        for row in retained {
            let is_own = &*row.owner == OWN;
            let owner: Owner = (row.owner, row.credential);
            let message = self.message_of(&row.message).filter(|_| self.may_keep_on(&owner));
            let topic: Arc<str> = row.message.topic;
            let kept = message.is_some_and(|message| {
                let message = Arc::new(message);
                table.retained.put_own(is_own, Kept { message, qos: Qos::of_number(row.qos), owner }).is_ok()
            });
            if !kept {
                self.change(SessionChange::ForgetRetained(topic));
            }
        }
        self.sessions_changed(&mut table);
    }

    /// What a session had collected by a filter that it may no longer have.
    fn drop_unwanted(&self, table: &Table) {
        for (key, seat) in table.sessions.seats() {
            let mut seat = lock(seat);
            if seat.session.outgoing.is_empty() {
                continue;
            }
            let (account, interest) = (seat.account.clone(), table.sessions.interest(key));
            let is_unwanted = |own: &Queued| {
                let topic = &own.message.topic;
                !account.rights.may_hear(topic) || !interest.matches(topic)
            };
            let dropped = seat.session.outgoing.drop_where(is_unwanted);
            dropped.into_iter().for_each(|own| self.done(key, own.order));
        }
    }

    fn restored(&self, row: &OutgoingRow) -> Option<Restored> {
        let message = Arc::new(self.message_of(&row.message)?);
        let queued = Queued {
            message,
            qos: Qos::of_number(row.owed.qos),
            retain: row.owed.retain,
            subscription_ids: row
                .owed
                .subscription_ids
                .iter()
                .filter_map(|id| NonZeroU32::new(*id))
                .collect(),
            shared: None,
            order: Some(row.owed.order),
        };
        let packet_id = row.packet_id.and_then(NonZeroU16::new);
        Some(Restored { queued, packet_id, is_released: row.is_released })
    }
}
