//! The table of sessions: who is here, who is away and until when, and what a newcomer finds. No clock, no socket.
//!
//! A client id belongs to its credential: the key is both. A connection has a *generation*; what an old one still says is
//! dropped, so its end cannot touch the newcomer's session or will. A session is taken over as it is: nothing is copied.

mod away;
mod filters;
mod recipients;
mod seat;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sanimon_domain::SessionKey;

use crate::account::Account;
use crate::link::Link;
use crate::packet::Will;
use crate::session::will::{Due, End, due};
use crate::session::{OutgoingLimits, Queued, Session};
use crate::subscriptions::Subscriptions;
use crate::topics::Asked;

use away::Away;
use filters::weight;
pub use recipients::{Choice, Copy};
pub use seat::{Generation, Seat, SharedSeat, lock};

/// How many sessions are kept whose clients are away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionsLimits {
    pub sessions_kept: usize,
    pub sessions_kept_per_credential: usize,
    pub sessions_kept_per_gateway: usize,
    pub subscriptions: usize,
    pub subscriptions_of_gateway: usize,
    pub subscriptions_per_credential: usize,
    pub subscriptions_total: usize,
    /// Of one session in a minute.
    pub takeovers: u32,
    pub outgoing: OutgoingLimits,
}

impl Default for SessionsLimits {
    fn default() -> Self {
        Self {
            sessions_kept: 20_000,
            sessions_kept_per_credential: 4,
            sessions_kept_per_gateway: 64,
            subscriptions: 64,
            subscriptions_of_gateway: 1_024,
            subscriptions_per_credential: 10_000,
            subscriptions_total: 200_000,
            takeovers: 30,
            outgoing: OutgoingLimits::default(),
        }
    }
}

const MINUTE_MS: i64 = 60_000;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here(Generation),
    Away { since_ms: i64, until_ms: i64, will_at_ms: Option<i64> },
}

#[derive(Debug)]
struct Slot {
    seat: SharedSeat,
    subscriptions: BTreeMap<String, Entered>,
    presence: Presence,
    /// Since when take-overs are counted, and how many there were.
    takeovers: (i64, u32),
}

#[derive(Debug)]
struct Entered {
    asked: Asked,
    /// The session is kept: whoever publishes must look for it before the commit.
    is_kept: bool,
}

/// Who comes.
#[derive(Debug, Clone)]
pub struct Newcomer {
    pub key: SessionKey,
    pub account: Arc<Account>,
    /// Whatever its session held is gone.
    pub is_clean: bool,
    pub link: Arc<Link>,
}

/// What a newcomer finds.
#[derive(Debug)]
pub struct Attached {
    pub seat: SharedSeat,
    pub generation: Generation,
    pub session_present: bool,
    /// A session was there before that is in the file, and has ended.
    pub has_ended: bool,
    /// The connection that it took the session from: it is told, and closed.
    pub taken_over: Option<Arc<Link>>,
    /// The will of the session's last connection, due by this.
    pub will: Option<DueWill>,
}

/// A will that is due, and whose it is: its topic is judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueWill {
    pub will: Box<Will>,
    pub key: SessionKey,
    pub account: Arc<Account>,
}

/// What a connection's end left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Due at once.
    pub will: Option<DueWill>,
    /// The session is over.
    pub is_over: bool,
    /// A kept session that had to go for this one, with its will: a session's end is the end of its delay.
    pub displaced: Option<(SessionKey, Option<DueWill>)>,
}

/// The same client comes too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften;

/// What the time brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed {
    /// Its delay is over.
    Will(DueWill),
    Expired(SessionKey),
}

/// A subscription is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    OfSession,
    OfOwner,
    Total,
}

/// All sessions, and their subscriptions.
#[derive(Debug)]
pub struct Sessions {
    limits: SessionsLimits,
    slots: BTreeMap<SessionKey, Slot>,
    away: Away,
    subscriptions: Subscriptions<SessionKey>,
    entered: usize,
    entered_kept: usize,
    /// What all filters weigh together, and those of each owner.
    weight: usize,
    weights: BTreeMap<Arc<str>, usize>,
    generation: u64,
    /// The newest session's.
    incarnation: i64,
    /// What sessions that have ended had of groups: others get it.
    orphans: Vec<Queued>,
}

impl Sessions {
    pub fn new(limits: SessionsLimits) -> Self {
        Self {
            limits,
            slots: BTreeMap::new(),
            away: Away::default(),
            subscriptions: Subscriptions::default(),
            entered: 0,
            entered_kept: 0,
            weight: 0,
            weights: BTreeMap::new(),
            generation: 0,
            incarnation: 0,
            orphans: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Subscriptions in force, and those of them that belong to kept sessions.
    pub const fn subscriptions(&self) -> (usize, usize) {
        (self.entered, self.entered_kept)
    }

    /// A client is let in.
    ///
    /// # Errors
    /// It takes its own session over too often: two devices with one client id would do so for ever.
    pub fn attach(&mut self, newcomer: Newcomer, now_ms: i64) -> Result<Attached, TooOften> {
        let Newcomer { key, account, is_clean, link } = newcomer;
        let (mut taken_over, mut will, mut session_present, mut has_ended) = (None, None, false, false);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.count_takeover(self.limits.takeovers, now_ms)?;
            let mut seat = lock(&slot.seat);
            // What an old credential of this name had ends with it, in the file as well; and one that may less now finds
            // nothing of what it was granted.
            let is_other = account.credential != seat.account.credential;
            let is_clean = is_clean || is_other || !account.rights.include(&seat.account.rights);
            let (end, expiry_s) = (End::TakenOver { is_clean }, seat.session.expiry_s);
            let (is_due, is_over) = match slot.presence {
                Presence::Here(_) => {
                    let waits_s = seat.session.will.as_ref().map_or(0, |own| own.delay_s);
                    // A session that is not kept ends with its connection.
                    (due(end, now_ms, (waits_s, expiry_s)) == Due::Now, expiry_s == 0)
                }
                Presence::Away { until_ms, will_at_ms, .. } => {
                    // Back before the delay: nothing is published. A clean start ends the session, and its will is due.
                    let is_over = until_ms <= now_ms;
                    (will_at_ms.is_some() && (is_clean || is_over), is_over)
                }
            };
            let own = seat.session.will.take().filter(|_| is_due);
            will = own.map(|will| DueWill { will, key: key.clone(), account: seat.account.clone() });
            taken_over = seat.leave();
            let is_stored = seat.is_stored;
            drop(seat);
            if is_clean || is_over {
                has_ended = is_stored;
                let takeovers = slot.takeovers;
                self.remove(&key);
                let slot = self.enter(&key, &account);
                slot.takeovers = takeovers;
            } else {
                session_present = true;
                self.forget_absence(&key);
            }
        } else {
            self.enter(&key, &account);
        }
        self.generation += 1;
        let generation = Generation(self.generation);
        let slot = self.slots.get_mut(&key).expect("it was entered");
        slot.presence = Presence::Here(generation);
        let mut seat = lock(&slot.seat);
        (seat.generation, seat.link, seat.account) = (Some(generation), Some(link), account);
        drop(seat);
        Ok(Attached { seat: slot.seat.clone(), generation, session_present, has_ended, taken_over, will })
    }

    fn enter(&mut self, key: &SessionKey, account: &Arc<Account>) -> &mut Slot {
        let mut session = Session::new(self.limits.outgoing);
        self.incarnation += 1;
        session.incarnation = self.incarnation;
        self.slots.entry(key.clone()).or_insert_with(|| Slot {
            seat: Arc::new(Mutex::new(Seat {
                session,
                is_over: false,
                account: account.clone(),
                is_stored: false,
                generation: None,
                link: None,
            })),
            subscriptions: BTreeMap::new(),
            presence: Presence::Away { since_ms: 0, until_ms: i64::MAX, will_at_ms: None },
            takeovers: (0, 0),
        })
    }

    /// Puts a session in as it was stored; its client is away.
    pub fn restore(
        &mut self,
        key: &SessionKey,
        account: &Arc<Account>,
        session: Session,
        since_ms: i64,
        will_at_ms: Option<i64>,
    ) {
        let until_ms = since_ms + i64::from(session.expiry_s) * 1_000;
        let slot = self.enter(key, account);
        slot.presence = Presence::Away { since_ms, until_ms, will_at_ms };
        let seat = slot.seat.clone();
        self.incarnation = self.incarnation.max(session.incarnation);
        let mut seat = lock(&seat);
        (seat.session, seat.is_stored) = (session, true);
        drop(seat);
        self.away.enter(key, since_ms, will_at_ms.unwrap_or(until_ms));
    }

    /// A session, whoever is connected.
    pub fn seat(&self, key: &SessionKey) -> Option<&SharedSeat> {
        self.slots.get(key).map(|slot| &slot.seat)
    }

    /// Whether its client is connected.
    pub fn is_here(&self, key: &SessionKey) -> bool {
        self.slots.get(key).is_some_and(|slot| matches!(slot.presence, Presence::Here(_)))
    }

    /// Since when its client is away; `None`: it is here, or there is no such session.
    pub fn away_since(&self, key: &SessionKey) -> Option<i64> {
        match self.slots.get(key)?.presence {
            Presence::Away { since_ms, .. } => Some(since_ms),
            Presence::Here(_) => None,
        }
    }

    pub fn seats(&self) -> impl Iterator<Item = (&SessionKey, &SharedSeat)> {
        self.slots.iter().map(|(key, slot)| (key, &slot.seat))
    }

    /// A connection ended. `None`: it was an old one, whose end changes nothing.
    pub fn detach(
        &mut self,
        key: &SessionKey,
        generation: Generation,
        end: End,
        now_ms: i64,
    ) -> Option<Left> {
        let slot = self.slots.get_mut(key).filter(|slot| slot.presence == Presence::Here(generation))?;
        let mut seat = lock(&slot.seat);
        let (expiry_s, is_gateway) = (seat.session.expiry_s, seat.account.is_gateway);
        let when = match &seat.session.will {
            Some(own) => due(end, now_ms, (own.delay_s, expiry_s)),
            None => Due::Never,
        };
        let (own, will_at_ms) = match when {
            Due::Never => {
                seat.session.will = None;
                (None, None)
            }
            Due::Now => (seat.session.will.take(), None),
            Due::At(at) => (None, Some(at)),
        };
        let will = own.map(|will| DueWill { will, key: key.clone(), account: seat.account.clone() });
        seat.leave();
        if expiry_s == 0 || end == End::Revoked {
            drop(seat);
            self.remove(key);
            return Some(Left { will, is_over: true, displaced: None });
        }
        seat.session.outgoing.disconnect();
        drop(seat);
        let until_ms = now_ms + i64::from(expiry_s) * 1_000;
        slot.presence = Presence::Away { since_ms: now_ms, until_ms, will_at_ms };
        self.away.enter(key, now_ms, will_at_ms.unwrap_or(until_ms));
        Some(Left { will, is_over: false, displaced: self.make_room(&key.owner, is_gateway) })
    }

    /// What became due by now, at most so many.
    pub fn pass(&mut self, now_ms: i64, max: usize) -> Vec<Passed> {
        let mut passed = Vec::new();
        while passed.len() < max
            && let Some(key) = self.away.take_due(now_ms)
        {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            let Presence::Away { until_ms, will_at_ms, since_ms } = slot.presence else { continue };
            let mut seat = lock(&slot.seat);
            if will_at_ms.is_some()
                && let Some(will) = seat.session.will.take()
            {
                let account = seat.account.clone();
                drop(seat);
                slot.presence = Presence::Away { until_ms, will_at_ms: None, since_ms };
                self.away.put_due(&key, until_ms);
                passed.push(Passed::Will(DueWill { will, key, account }));
                continue;
            }
            drop(seat);
            self.remove(&key);
            passed.push(Passed::Expired(key));
        }
        passed
    }

    #[cfg(test)]
    pub(crate) fn filters_of(&self, key: &SessionKey) -> Vec<&str> {
        self.slots
            .get(key)
            .map_or_else(Vec::new, |slot| slot.subscriptions.keys().map(String::as_str).collect())
    }

    /// When [`Sessions::pass`] has something to do.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.away.next_due_ms()
    }

    /// A session ends, with all that it holds. Gives its seat, which nobody has any more.
    pub fn remove(&mut self, key: &SessionKey) -> Option<SharedSeat> {
        self.forget_absence(key);
        let slot = self.slots.remove(key)?;
        self.lighten(key, slot.subscriptions.keys().map(String::as_str).map(weight).sum());
        for own in slot.subscriptions.values() {
            self.entered -= 1;
            self.entered_kept -= usize::from(own.is_kept);
            self.subscriptions.unsubscribe(&own.asked, key);
        }
        let mut seat = lock(&slot.seat);
        seat.leave();
        (seat.is_stored, seat.is_over) = (false, true);
        self.orphans.extend(seat.session.outgoing.take_shared());
        drop(seat);
        Some(slot.seat)
    }

    /// What sessions that have ended since had of groups.
    pub fn take_orphans(&mut self) -> Vec<Queued> {
        std::mem::take(&mut self.orphans)
    }

    fn forget_absence(&mut self, key: &SessionKey) {
        let Some(slot) = self.slots.get(key) else { return };
        if let Presence::Away { since_ms, until_ms, will_at_ms } = slot.presence {
            self.away.leave(key, since_ms, will_at_ms.unwrap_or(until_ms));
        }
    }

    /// Where too many are kept, of this credential or of all, the one that is away longest goes.
    fn make_room(&mut self, owner: &Arc<str>, is_gateway: bool) -> Option<(SessionKey, Option<DueWill>)> {
        let own_max = match is_gateway {
            _ if owner.is_empty() => self.limits.sessions_kept,
            true => self.limits.sessions_kept_per_gateway,
            false => self.limits.sessions_kept_per_credential,
        };
        let key = if self.away.of_owner(owner) > own_max {
            self.away.oldest_of(owner)
        } else if self.away.len() > self.limits.sessions_kept {
            self.away.oldest_of_fullest()
        } else {
            None
        }?;
        let seat = self.remove(&key)?;
        let mut seat = lock(&seat);
        let account = seat.account.clone();
        let will = seat.session.will.take().map(|will| DueWill { will, key: key.clone(), account });
        Some((key, will))
    }
}

impl Slot {
    fn count_takeover(&mut self, max: u32, now_ms: i64) -> Result<(), TooOften> {
        if !matches!(self.presence, Presence::Here(_)) {
            return Ok(());
        }
        let (since_ms, number) = &mut self.takeovers;
        if now_ms - *since_ms >= MINUTE_MS {
            (*since_ms, *number) = (now_ms, 0);
        }
        *number += 1;
        if *number > max { Err(TooOften) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
