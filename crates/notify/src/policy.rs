//! Whose trouble a failure is, the message's or the channel's, and what follows from it.
//!
//! A state machine without a clock and without input or output: times and outcomes come in, decisions go out.
//!
//! * A message that fails while others pass has a trouble of its own: it is put off alone, and set aside when it failed
//!   [`FAILURES_MAX`] times with a success of another message between each two ([`REFUSALS_MAX`] times where the receiver
//!   says that it does not take this text).
//! * Two different messages that fail in a row, without a success between, are the channel's trouble: it rests, and nothing
//!   of it speaks against a message. The first success ends it.
//! * A message of which it is known that it fails while others pass says nothing about the channel: some poisoned
//!   messages cannot stop the healthy ones.
//!
//! Whose turn it is stands in [`turn`].

mod turn;

use std::collections::HashMap;

use sanimon_domain::TimestampMs;
use sanimon_domain::time::{MINUTE_MS, SECOND_MS};

use crate::failure::{Cause, Failure};

pub(crate) use turn::{Choice, Turn};

/// What goes out at once: a message by its number, or the digest.
pub(crate) type Key = i64;

/// The warnings of a day go out as one message. Numbers of messages begin at 1.
pub(crate) const DIGEST: Key = 0;

/// A message that fails, or a channel, is left alone for this long at first, then twice as long each time.
const BACKOFF_FIRST_MS: i64 = 5 * SECOND_MS;
/// Longer would be felt as lost: nobody waits for more than ten minutes after a receiver has come back.
const BACKOFF_MAX_MS: i64 = 10 * MINUTE_MS;
/// While a channel rests, a message that has just come may be tried, one in this time.
const PROBE_EVERY_MS: i64 = 5 * SECOND_MS;
/// So many failures of a message, with successes of others between, are no chance.
const FAILURES_MAX: u32 = 3;
/// A receiver that says of a text twice that it does not take it, and takes others between, means it.
const REFUSALS_MAX: u32 = 2;
/// Messages of which it is known that they fail may be tried one after the other up to this many; then the channel rests.
const SUSPECTS_IN_A_ROW_MAX: usize = 5;
/// After a rest two messages may fail before the next one, then twice as many each time, up to this many: as long as it
/// rests, so many it tries. Poisoned messages, however many, do not keep the healthy ones from their turn.
const TRIES_AFTER_REST_MAX: u32 = 16;

/// What is to become of a message that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Later; the time is what can be said now, a success of another message may bring it forward.
    Again(TimestampMs),
    /// Never: it is set aside with the receiver's reason.
    GiveUp,
}

/// What is known about one channel and the messages that fail on it.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// How many messages went out.
    successes: u64,
    failing: HashMap<Key, Failing>,
    /// The different messages that failed since the last success.
    streak: Vec<Failed>,
    /// Until when the receiver wants to be left alone.
    asked_until: TimestampMs,
    trouble: Option<Trouble>,
}

/// A message that failed and waits.
#[derive(Debug, Default)]
struct Failing {
    /// Its own back-off doubles with them.
    failures: u32,
    /// Failures that speak against it, and those of them by which the receiver refused the text.
    held_against: u32,
    refusals: u32,
    /// The channel's successes at its last failure.
    successes_seen: u64,
    /// It failed again although others had passed.
    is_suspect: bool,
    last_at: TimestampMs,
    next_at: TimestampMs,
    /// How often it was tried in the channel's trouble, and after which rest the last time.
    tries: u32,
    tried_after: u32,
}

/// A failure since the last success.
#[derive(Debug)]
struct Failed {
    key: Key,
    is_suspect: bool,
    is_held_against: bool,
    is_refusal: bool,
}

/// The channel does not get anything through.
#[derive(Debug)]
struct Trouble {
    since: TimestampMs,
    rests: u32,
    /// The end of the rest.
    until: TimestampMs,
    /// How many may fail before it rests again, and how many have.
    tries: u32,
    tried: u32,
    next_probe_at: TimestampMs,
    /// The newest message when it began; `None`: not yet looked.
    newest: Option<Key>,
}

fn backoff_ms(times: u32) -> i64 {
    (BACKOFF_FIRST_MS << times.saturating_sub(1).min(20)).min(BACKOFF_MAX_MS)
}

impl Policy {
    /// A message went out: whatever the channel's trouble put off is due at once.
    pub(crate) fn succeeded(&mut self, key: Key) {
        // It had failed while others passed, and passes now: failures come by chance here, and speak against nobody.
        let is_by_chance = self.failing.remove(&key).is_some_and(|failing| failing.held_against > 0);
        self.successes += 1;
        self.streak.clear();
        self.asked_until = TimestampMs::default();
        self.trouble = None;
        for failing in self.failing.values_mut() {
            failing.tried_after = 0;
            if failing.tries > 0 {
                failing.tries = 0;
                failing.failures = 0;
                failing.next_at = TimestampMs::default();
            } else if !failing.is_suspect {
                // Nobody knew whose trouble it was: now it can be found out.
                failing.next_at = failing.next_at.min(failing.last_at.plus_ms(BACKOFF_FIRST_MS));
            }
            if is_by_chance {
                failing.held_against = failing.refusals;
            }
        }
    }

    /// A message failed.
    pub(crate) fn failed(&mut self, key: Key, failure: &Failure, now: TimestampMs) -> Verdict {
        if let Some(wait_ms) = failure.retry_after_ms {
            self.asked_until = self.asked_until.max(now.plus_ms(wait_ms.clamp(0, BACKOFF_MAX_MS)));
        }
        if self.trouble.is_some() {
            return Verdict::Again(self.failed_in_trouble(key, failure, now));
        }
        // Right after the failure of another one nobody knows whose trouble it is, unless that one fails anyway.
        let is_told_apart = self.streak.iter().all(|failed| failed.key == key || failed.is_suspect);
        let is_first = !self.failing.contains_key(&key);
        let successes = self.successes;
        let failing = self.failing.entry(key).or_default();
        let have_others_passed = !is_first && successes > failing.successes_seen;
        failing.is_suspect |= have_others_passed;
        let is_held_against =
            failure.cause != Cause::Passing && is_told_apart && (is_first || have_others_passed);
        let is_refusal = is_held_against && failure.cause == Cause::Content;
        failing.held_against += u32::from(is_held_against);
        failing.refusals += u32::from(is_refusal);
        failing.failures += 1;
        failing.successes_seen = successes;
        failing.last_at = now;
        failing.next_at = now.plus_ms(backoff_ms(failing.failures)).max(self.asked_until);
        let (is_suspect, next_at) = (failing.is_suspect, failing.next_at);
        let is_given_up = failing.held_against >= FAILURES_MAX || failing.refusals >= REFUSALS_MAX;
        match self.streak.iter_mut().find(|failed| failed.key == key) {
            Some(failed) => failed.is_suspect = is_suspect,
            None => self.streak.push(Failed { key, is_suspect, is_held_against, is_refusal }),
        }
        if is_given_up {
            self.failing.remove(&key);
            return Verdict::GiveUp;
        }
        Verdict::Again(self.begin_trouble_if_due(now).unwrap_or(next_at))
    }

    /// A part of a message is to be tried again, though the channel works: it is put off alone and nothing is held
    /// against it.
    pub(crate) fn put_off(&mut self, key: Key, now: TimestampMs) -> TimestampMs {
        let rests = self.trouble.as_ref().map_or(0, |trouble| trouble.rests);
        let failing = self.failing.entry(key).or_default();
        failing.is_suspect = true;
        failing.failures += 1;
        failing.successes_seen = self.successes;
        failing.last_at = now;
        failing.next_at = now.plus_ms(backoff_ms(failing.failures));
        failing.tried_after = rests;
        failing.next_at
    }

    /// A message waits for this time, whatever happens to others.
    pub(crate) fn hold_back(&mut self, key: Key, until: TimestampMs) {
        let failing = self.failing.entry(key).or_default();
        failing.is_suspect = true;
        failing.next_at = until;
    }

    /// A message does not wait any more.
    pub(crate) fn forget(&mut self, key: Key) {
        self.failing.remove(&key);
    }

    fn failed_in_trouble(&mut self, key: Key, failure: &Failure, now: TimestampMs) -> TimestampMs {
        let Some(trouble) = &mut self.trouble else { return now };
        let failing = self.failing.entry(key).or_default();
        failing.tries += 1;
        failing.tried_after = trouble.rests;
        failing.successes_seen = self.successes;
        failing.last_at = now;
        if failing.is_suspect {
            failing.failures += 1;
            failing.next_at = now.plus_ms(backoff_ms(failing.failures));
        }
        if now < trouble.until {
            trouble.next_probe_at = now.plus_ms(PROBE_EVERY_MS);
        } else {
            trouble.tried += 1;
            if trouble.tried >= trouble.tries || failure.retry_after_ms.is_some() {
                trouble.rest(now);
            }
        }
        trouble.until = trouble.until.max(self.asked_until);
        trouble.next_probe_at = trouble.next_probe_at.max(self.asked_until);
        trouble.until.max(now.plus_ms(backoff_ms(trouble.rests)))
    }

    /// When different messages failed in a row: until when the channel rests.
    fn begin_trouble_if_due(&mut self, now: TimestampMs) -> Option<TimestampMs> {
        let unsuspected = self.streak.iter().filter(|failed| !failed.is_suspect).count();
        if unsuspected < 2 && self.streak.len() < SUSPECTS_IN_A_ROW_MAX {
            return None;
        }
        for failed in &self.streak {
            let Some(failing) = self.failing.get_mut(&failed.key) else { continue };
            failing.tries = 1;
            if unsuspected >= 2 {
                failing.held_against -= u32::from(failed.is_held_against).min(failing.held_against);
                failing.refusals -= u32::from(failed.is_refusal).min(failing.refusals);
            }
        }
        let mut trouble = Trouble {
            since: now,
            rests: 0,
            until: now,
            tries: 0,
            tried: 0,
            next_probe_at: now.max(self.asked_until),
            newest: None,
        };
        trouble.rest(now);
        trouble.until = trouble.until.max(self.asked_until);
        let until = trouble.until;
        self.trouble = Some(trouble);
        Some(until)
    }
}

impl Trouble {
    fn rest(&mut self, now: TimestampMs) {
        self.rests += 1;
        self.until = now.plus_ms(backoff_ms(self.rests));
        self.tries = (2 << (self.rests - 1).min(20)).min(TRIES_AFTER_REST_MAX);
        self.tried = 0;
    }
}

#[cfg(test)]
mod tests;
