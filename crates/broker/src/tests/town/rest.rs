//! In the end everybody comes back, all is committed, and nothing may be owed; then all leave, and nothing may stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::hub::Token;
use crate::limit::Limit;
use crate::sessions::lock;

use super::words::{Phase, Ways};
use super::{EXPIRY_MAX_S, Town};

/// Rounds in which everything must have come to rest.
const ROUNDS: usize = 3_000;

impl Town {
    /// After each step: nothing is above its limit.
    pub(super) fn look_at_limits(&self) {
        let (outgoing, table) = (self.limits.sessions.outgoing, self.hub().table());
        for (key, seat) in table.sessions.seats() {
            let seat = lock(seat);
            let own = &seat.session.outgoing;
            // What was committed and not delivered before a crash is not counted before it is sent.
            let max = outgoing.queue_messages.max(self.restored);
            assert!(own.queued() <= max, "{key:?}: {} wait", own.queued());
            let is_bounded = own.queue_bytes() <= outgoing.queue_bytes || own.queued() == 1;
            assert!(is_bounded, "{key:?}: {} bytes wait", own.queue_bytes());
            assert!(own.in_flight() <= outgoing.in_flight_out, "{key:?}: {} under way", own.in_flight());
        }
        assert!(table.retained.len() <= self.limits.retained.retained, "{} are kept", table.retained.len());
    }

    pub(super) async fn rest(&mut self) {
        self.tell(|| "all comes to rest".to_owned());
        self.is_held = false;
        self.desk.drop_gone();
        for owner in ["gw", "dev"] {
            if !self.registry.is_allowed(owner) {
                self.allow(owner);
            }
        }
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            self.round(true).await;
            let are_quiet = self.people.iter().all(super::Person::is_at_rest);
            let is_quiet = are_quiet && self.desk.is_empty() && self.has_sent_all();
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet > 20 {
                break;
            }
        }
        for own in &self.people {
            assert!(own.is_at_rest(), "no rest: {own:?}");
        }
        assert!(quiet > 20, "there is no rest: {:?}", self.hub().table().sessions);
        self.look_at_rest();
        self.leave_all().await;
    }

    /// Nothing waits in a queue, or for its answer.
    fn has_sent_all(&self) -> bool {
        let waits = |seat: &_| {
            let outgoing = &lock(seat).session.outgoing;
            outgoing.queued() + outgoing.in_flight() > 0
        };
        !self.hub().table().sessions.seats().any(|(_, seat)| waits(seat))
    }

    async fn round(&mut self, comes: bool) {
        for place in 0..self.people.len() {
            let (own, now_ms) = (&self.people[place], self.now_ms());
            if comes && own.phase == Phase::Off {
                let (is_clean, expiry_s) =
                    (own.must_start_clean(now_ms), if own.is_5 { EXPIRY_MAX_S } else { 0 });
                let expiry_s = if own.is_5 || is_clean { expiry_s } else { EXPIRY_MAX_S };
                let (receive_max, alias_max, keep_alive_s) = (4, 0, 0);
                self.come(
                    place,
                    Ways { is_clean, expiry_s, receive_max, alias_max, keep_alive_s, will: None },
                );
            }
            self.people[place].write(&mut self.dice, usize::MAX);
            self.read(place);
        }
        let tokens = self.commit(usize::MAX);
        Token::settle(tokens);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.look_at_tasks();
        self.look_at_limits();
    }

    fn look_at_rest(&self) {
        for (key, own) in &self.file.sessions {
            assert!(own.outgoing.is_empty(), "{key:?} is owed {:?}", own.outgoing.values());
            assert!(own.incoming.is_empty(), "{key:?} has {:?}", own.incoming);
        }
        let table = self.hub().table();
        let mut kept = BTreeSet::new();
        for (key, seat) in table.sessions.seats() {
            let seat = lock(seat);
            let session = &seat.session;
            assert!(session.incoming.is_at_rest(), "{key:?}: {:?}", session.incoming);
            assert_eq!((session.outgoing.queued(), session.outgoing.in_flight()), (0, 0), "{key:?}");
            assert!(session.owed_retained.is_empty(), "{key:?} is owed what is retained");
            if session.is_kept() {
                kept.insert(key.clone());
            }
        }
        let stored: BTreeSet<_> = self.file.sessions.keys().cloned().collect();
        assert_eq!(stored, kept, "sessions in the file, and in memory");
        for (key, own) in &self.file.sessions {
            let rows: Vec<&str> = own.subscriptions.keys().map(|filter| &**filter).collect();
            assert_eq!(
                rows,
                table.sessions.filters_of(key),
                "{key:?}: subscriptions in the file, and in memory"
            );
        }
        let stored: BTreeMap<&str, &[u8]> =
            self.file.retained.iter().map(|(topic, row)| (&**topic, &*row.message.payload)).collect();
        let kept = table.retained.all().map(|kept| (kept.message.topic.as_str(), &*kept.message.payload));
        assert_eq!(stored, kept.collect(), "retained messages in the file, and in memory");
        let met = |limit| self.registry.has_met(limit);
        let (is_bounded, was_slow) = (met(Limit::QueueMessages), met(Limit::SlowReader));
        self.oracle.rest(&self.people, &self.file, (is_bounded, was_slow));
    }

    async fn leave_all(&mut self) {
        self.people.iter_mut().for_each(super::Person::leave);
        for _ in 0..50 {
            self.round(false).await;
        }
        tokio::time::sleep(Duration::from_secs(u64::from(EXPIRY_MAX_S) + 1)).await;
        self.round(false).await;
        assert!(self.people.iter().all(|own| own.phase == Phase::Off), "somebody is still there");
        assert!(self.file.sessions.is_empty(), "sessions are still stored: {:?}", self.file.sessions.keys());
        let table = self.hub().table();
        assert!(table.sessions.is_empty(), "sessions are still there: {:?}", table.sessions);
        assert_eq!((table.sessions.subscriptions(), table.accounts.connected()), ((0, 0), 0));
        drop(table);
        assert_eq!(self.hub().partial_bytes(), 0, "bytes of nobody's packets");
    }
}
