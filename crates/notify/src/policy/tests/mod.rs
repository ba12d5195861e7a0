//! The policy as tables and as properties of a small world: a receiver that comes and goes, messages that are poisoned.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

mod properties;
mod tables;

/// What a message is in the world of these tests. A smaller `rank` is more urgent.
#[derive(Debug, Clone, Copy)]
struct Letter {
    rank: u8,
    comes_at_s: i64,
    /// The receiver does not take it, even when it is well.
    poison: Option<Cause>,
}

const fn healthy(rank: u8, comes_at_s: i64) -> Letter {
    Letter { rank, comes_at_s, poison: None }
}

const fn poisoned(rank: u8, comes_at_s: i64, cause: Cause) -> Letter {
    Letter { rank, comes_at_s, poison: Some(cause) }
}

/// A try: when, of which message, whether it went out.
type Try = (i64, Key, bool);

#[derive(Debug, Default)]
struct History {
    tries: Vec<Try>,
    sent_at_s: BTreeMap<Key, i64>,
    given_up: BTreeSet<Key>,
}

/// One try takes so long.
const TRY_MS: i64 = 200;

struct World {
    letters: Vec<Letter>,
    /// The receiver fails from the first second until the second one.
    outages_s: Vec<(i64, i64)>,
    outage: Cause,
    retry_after_s: Option<i64>,
}

impl World {
    fn of(letters: Vec<Letter>) -> Self {
        Self { letters, outages_s: Vec::new(), outage: Cause::Undecided, retry_after_s: None }
    }

    fn down(self, from_s: i64, until_s: i64) -> Self {
        Self { outages_s: vec![(from_s, until_s)], ..self }
    }

    fn answer(&self, key: Key, now_ms: i64) -> Result<(), Failure> {
        let is_down =
            self.outages_s.iter().any(|(from, until)| (from * 1_000..until * 1_000).contains(&now_ms));
        let cause = if is_down { Some(self.outage) } else { self.letters[key as usize - 1].poison };
        let retry_after_ms = self.retry_after_s.filter(|_| is_down).map(|s| s * 1_000);
        cause.map_or(Ok(()), |cause| Err(Failure { cause, reason: String::new(), retry_after_ms }))
    }

    /// Lives until the second, or until nothing waits.
    fn run(&self, until_s: i64) -> History {
        let (mut policy, mut history, mut now_ms) = (Policy::default(), History::default(), 0);
        let mut waiting: Vec<Key> = (1..=self.letters.len() as Key).collect();
        let letter = |key: Key| self.letters[key as usize - 1];
        waiting.sort_by_key(|key| (letter(*key).rank, *key));
        while now_ms < until_s * 1_000 && !waiting.is_empty() {
            if let Some(at) = policy.rests_until(TimestampMs(now_ms)) {
                now_ms = at.0;
                continue;
            }
            let mut chooser = policy.chooser(TimestampMs(now_ms));
            for key in waiting.iter().filter(|key| letter(**key).comes_at_s * 1_000 <= now_ms) {
                let due_at = TimestampMs(letter(*key).comes_at_s * 1_000);
                if chooser.consider(&Turn { key: *key, due_at, was_tried: false }).is_break() {
                    break;
                }
            }
            let key = match chooser.choice() {
                Choice::Send(key) => key,
                Choice::Wait(at) => {
                    let coming = waiting.iter().map(|key| letter(*key).comes_at_s * 1_000);
                    let next = coming.filter(|at| *at > now_ms).chain(at.map(|at| at.0)).min();
                    let next = next.expect("something to wait for while a message waits");
                    assert!(next > now_ms, "it would look again and again: {policy:?}");
                    now_ms = next;
                    continue;
                }
            };
            now_ms += TRY_MS;
            let is_sent = match self.answer(key, now_ms) {
                Ok(()) => {
                    policy.succeeded(key);
                    history.sent_at_s.insert(key, now_ms / 1_000);
                    true
                }
                Err(failure) => {
                    if policy.failed(key, &failure, TimestampMs(now_ms)) == Verdict::GiveUp {
                        history.given_up.insert(key);
                    }
                    false
                }
            };
            history.tries.push((now_ms / 1_000, key, is_sent));
            waiting.retain(|key| !history.sent_at_s.contains_key(key) && !history.given_up.contains(key));
        }
        history
    }
}

fn tries_of(history: &History, key: Key) -> usize {
    history.tries.iter().filter(|(_, tried, _)| *tried == key).count()
}

fn steady(count: i64, every_s: i64) -> Vec<Letter> {
    (0..count).map(|n| healthy(2, n * every_s)).collect()
}
