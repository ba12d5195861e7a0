//! The table of sessions: who is here, who is away and until when, and what a newcomer finds. Pure.
//!
//! A client id belongs to its credential: the key is both. A connection has a *generation*; what an old one still says is
//! dropped, so its end cannot touch the newcomer's session or will.

use std::collections::{BTreeMap, BTreeSet};

use sanimon_domain::SessionKey;

use crate::packet::Will;
use crate::session::will::{Due, End, due};
use crate::session::{OutgoingLimits, Session};
use crate::subscriptions::{Granted, Subscriptions};
use crate::topics::Asked;

/// One connection of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here(Generation),
    Away { since_ms: i64, until_ms: i64, will_at_ms: Option<i64> },
}

#[derive(Debug)]
struct Slot {
    session: Session,
    subscriptions: BTreeMap<String, (Asked, Granted)>,
    presence: Presence,
}

/// What a newcomer finds.
#[derive(Debug, PartialEq, Eq)]
pub struct Attached {
    pub generation: Generation,
    pub session_present: bool,
    /// The connection that it took the session from: it is told, and closed.
    pub taken_over: Option<Generation>,
    /// The will of the session's last connection, due by this.
    pub will: Option<Box<Will>>,
    /// A kept session that went for this one's, with its will: the end of a session is the end of its delay.
    pub displaced: Option<(SessionKey, Option<Box<Will>>)>,
}

/// How many sessions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionsLimits {
    pub sessions_kept: usize,
    pub outgoing: OutgoingLimits,
}

impl Default for SessionsLimits {
    fn default() -> Self {
        Self { sessions_kept: 20_000, outgoing: OutgoingLimits::default() }
    }
}

/// What the time brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed {
    /// Its delay is over.
    Will(SessionKey, Box<Will>),
    Expired(SessionKey),
}

/// All sessions, and their subscriptions.
#[derive(Debug)]
pub struct Sessions {
    limits: SessionsLimits,
    slots: BTreeMap<SessionKey, Slot>,
    /// When something is due of those who are away.
    due: BTreeSet<(i64, SessionKey)>,
    /// Those who are away, since when.
    away: BTreeSet<(i64, SessionKey)>,
    subscriptions: Subscriptions<SessionKey>,
    generation: u64,
}

impl Sessions {
    pub fn new(limits: SessionsLimits) -> Self {
        Self {
            limits,
            slots: BTreeMap::new(),
            due: BTreeSet::new(),
            away: BTreeSet::new(),
            subscriptions: Subscriptions::default(),
            generation: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A client is let in. `clean`: whatever its session held is gone.
    pub fn attach(&mut self, key: &SessionKey, clean: bool, now_ms: i64) -> Attached {
        self.generation += 1;
        let generation = Generation(self.generation);
        let (mut taken_over, mut will, mut session_present) = (None, None, false);
        if let Some(slot) = self.slots.get_mut(key) {
            let (end, expiry_s) = (End::TakenOver { is_clean: clean }, slot.session.expiry_s);
            let is_over = match slot.presence {
                Presence::Here(old) => {
                    taken_over = Some(old);
                    let waits = slot.session.will.as_ref().map_or(0, |own| own.delay_s);
                    if due(end, now_ms, (waits, expiry_s)) == Due::Now {
                        will = slot.session.will.take();
                    }
                    // A session that is not kept ends with its connection.
                    expiry_s == 0
                }
                Presence::Away { until_ms, will_at_ms, .. } => {
                    // Back before the delay: nothing is published, but a clean start ends the session, and that is due.
                    let is_over = until_ms <= now_ms;
                    if will_at_ms.is_some() && (clean || is_over) {
                        will = slot.session.will.take();
                    }
                    is_over
                }
            };
            slot.session.will = None;
            if clean || is_over {
                self.remove(key);
            } else {
                session_present = true;
            }
        }
        self.forget_absence(key);
        let slot = self.slots.entry(key.clone()).or_insert_with(|| Slot {
            session: Session::new(self.limits.outgoing),
            subscriptions: BTreeMap::new(),
            presence: Presence::Here(generation),
        });
        slot.presence = Presence::Here(generation);
        Attached { generation, session_present, taken_over, will, displaced: self.make_room() }
    }

    /// The session of a connection, if it still has it.
    pub fn session(&mut self, key: &SessionKey, generation: Generation) -> Option<&mut Session> {
        let slot = self.slots.get_mut(key)?;
        (slot.presence == Presence::Here(generation)).then_some(&mut slot.session)
    }

    /// A session, whoever is connected: for what is delivered to it.
    pub fn any(&mut self, key: &SessionKey) -> Option<&mut Session> {
        self.slots.get_mut(key).map(|slot| &mut slot.session)
    }

    /// A connection ended. Gives the will if it is due at once. An old connection's end changes nothing.
    pub fn detach(
        &mut self,
        key: &SessionKey,
        generation: Generation,
        end: End,
        now_ms: i64,
    ) -> Option<Box<Will>> {
        let slot = self.slots.get_mut(key).filter(|slot| slot.presence == Presence::Here(generation))?;
        let expiry_s = slot.session.expiry_s;
        let when = match &slot.session.will {
            Some(own) => due(end, now_ms, (own.delay_s, expiry_s)),
            None => Due::Never,
        };
        let (will, will_at_ms) = match when {
            Due::Never => {
                slot.session.will = None;
                (None, None)
            }
            Due::Now => (slot.session.will.take(), None),
            Due::At(at) => (None, Some(at)),
        };
        if expiry_s == 0 || end == End::Revoked {
            self.remove(key);
            return will;
        }
        slot.session.outgoing.disconnect();
        let until_ms = now_ms + i64::from(expiry_s) * 1_000;
        slot.presence = Presence::Away { since_ms: now_ms, until_ms, will_at_ms };
        self.due.insert((will_at_ms.unwrap_or(until_ms), key.clone()));
        self.away.insert((now_ms, key.clone()));
        will
    }

    /// What became due by now, at most so many.
    pub fn pass(&mut self, now_ms: i64, max: usize) -> Vec<Passed> {
        let mut passed = Vec::new();
        while passed.len() < max
            && let Some((_, key)) = self.due.first().filter(|(at, _)| *at <= now_ms).cloned()
        {
            self.due.pop_first();
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            let Presence::Away { until_ms, will_at_ms, since_ms } = slot.presence else { continue };
            if will_at_ms.is_some()
                && let Some(will) = slot.session.will.take()
            {
                slot.presence = Presence::Away { until_ms, will_at_ms: None, since_ms };
                self.due.insert((until_ms, key.clone()));
                passed.push(Passed::Will(key, will));
                continue;
            }
            self.remove(&key);
            passed.push(Passed::Expired(key));
        }
        passed
    }

    /// When [`Sessions::pass`] has something to do.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Enters a subscription that was granted. True: there was none of this filter.
    pub fn subscribe(&mut self, key: &SessionKey, asked: Asked, granted: Granted) -> bool {
        let Some(slot) = self.slots.get_mut(key) else { return false };
        let is_new = self.subscriptions.subscribe(&asked, key.clone(), granted);
        slot.subscriptions.insert(asked.to_string(), (asked, granted));
        is_new
    }

    /// Takes a subscription out, by its text letter by letter (3.10.4-1). True: there was one.
    pub fn unsubscribe(&mut self, key: &SessionKey, text: &str) -> bool {
        let Some(slot) = self.slots.get_mut(key) else { return false };
        let Some((asked, _)) = slot.subscriptions.remove(text) else { return false };
        self.subscriptions.unsubscribe(&asked, key)
    }

    /// How many filters a session has.
    pub fn subscriptions_of(&self, key: &SessionKey) -> usize {
        self.slots.get(key).map_or(0, |slot| slot.subscriptions.len())
    }

    /// A session ends, with all that it holds.
    pub fn remove(&mut self, key: &SessionKey) -> Option<Session> {
        self.forget_absence(key);
        let slot = self.slots.remove(key)?;
        for (asked, _) in slot.subscriptions.values() {
            self.subscriptions.unsubscribe(asked, key);
        }
        Some(slot.session)
    }

    fn forget_absence(&mut self, key: &SessionKey) {
        let Some(slot) = self.slots.get(key) else { return };
        if let Presence::Away { since_ms, until_ms, will_at_ms } = slot.presence {
            self.due.remove(&(will_at_ms.unwrap_or(until_ms), key.clone()));
            self.away.remove(&(since_ms, key.clone()));
        }
    }

    /// Where too many are kept, the one that is away longest goes.
    fn make_room(&mut self) -> Option<(SessionKey, Option<Box<Will>>)> {
        if self.slots.len() <= self.limits.sessions_kept {
            return None;
        }
        let (_, key) = self.away.first().cloned()?;
        let will = self.remove(&key).and_then(|session| session.will);
        Some((key, will))
    }
}

#[cfg(test)]
mod tests;
