//! Whose turn it is.

use std::ops::ControlFlow;

use sanimon_domain::TimestampMs;

use super::{Key, Policy, Trouble};

/// A message that waits, as far as its turn depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) key: Key,
    pub(crate) due_at: TimestampMs,
    /// It was tried at some time, perhaps before a restart.
    pub(crate) was_tried: bool,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Send(Key),
    /// Nothing, until this time at the latest; `None`: until something new comes.
    Wait(Option<TimestampMs>),
}

/// Looks through the messages that wait, the most urgent first.
#[derive(Debug)]
pub(crate) struct Chooser<'a> {
    policy: &'a mut Policy,
    now: TimestampMs,
    /// How far the best one so far is from being the one that nothing speaks against.
    best: Option<(Rank, Key)>,
    /// When something that has to wait may go.
    wait_until: Option<TimestampMs>,
    newest: Key,
}

/// A suspect comes after the others; then the one that was tried more often in the channel's trouble.
type Rank = (bool, u32);
const BEST: Rank = (false, 0);

impl Policy {
    /// Show it the messages that wait in the order of their urgency, then ask for its [`Chooser::choice`].
    pub(crate) fn chooser(&mut self, now: TimestampMs) -> Chooser<'_> {
        Chooser { policy: self, now, best: None, wait_until: None, newest: 0 }
    }

    /// While the channel rests: until when it is of no use to look through the messages.
    pub(crate) fn rests_until(&self, now: TimestampMs) -> Option<TimestampMs> {
        let trouble = self.trouble.as_ref()?;
        // What is new can only be told after the first look.
        trouble.newest?;
        let at = trouble.until.min(trouble.next_probe_at);
        (at > now).then_some(at)
    }

    /// From when on it may go, as far as the message itself is concerned.
    fn may_go_at(&self, turn: &Turn) -> TimestampMs {
        match self.failing.get(&turn.key) {
            Some(failing) => failing.next_at,
            // It failed before a restart. The first success since then makes it due, as it does with all others.
            None if turn.was_tried && self.successes == 0 => turn.due_at,
            None => TimestampMs::default(),
        }
    }
}

impl Chooser<'_> {
    /// Breaks when nothing that could come behind this one would be chosen before it.
    pub(crate) fn consider(&mut self, turn: &Turn) -> ControlFlow<()> {
        self.newest = self.newest.max(turn.key);
        match &self.policy.trouble {
            None => self.consider_open(turn),
            Some(trouble) if self.now < trouble.until => {
                let has_failed = self.policy.failing.contains_key(&turn.key);
                let at = if has_failed { trouble.until } else { trouble.may_probe_at(turn) };
                if at > self.now { self.wait(at) } else { self.take(BEST, turn.key) }
            }
            Some(trouble) => {
                let rests = trouble.rests;
                self.consider_after_rest(turn, rests)
            }
        }
    }

    /// The most urgent one; after a failure one of which nothing bad is known, if there is one.
    fn consider_open(&mut self, turn: &Turn) -> ControlFlow<()> {
        let at = self.policy.may_go_at(turn);
        if at > self.now {
            return self.wait(at);
        }
        let is_suspect = self.policy.failing.get(&turn.key).is_some_and(|failing| failing.is_suspect);
        self.take((is_suspect && !self.policy.streak.is_empty(), 0), turn.key)
    }

    /// The least tried first, each once.
    fn consider_after_rest(&mut self, turn: &Turn, rests: u32) -> ControlFlow<()> {
        let Some(failing) = self.policy.failing.get(&turn.key) else {
            let at = self.policy.may_go_at(turn);
            return if at > self.now { self.wait(at) } else { self.take(BEST, turn.key) };
        };
        if failing.tried_after == rests {
            return ControlFlow::Continue(());
        }
        if failing.is_suspect && failing.next_at > self.now {
            let at = failing.next_at;
            return self.wait(at);
        }
        // What was put off before the trouble began was not tried in it, but is not fresh either.
        let rank = (failing.is_suspect, failing.tries.max(1));
        self.take(rank, turn.key)
    }

    fn take(&mut self, rank: Rank, key: Key) -> ControlFlow<()> {
        if self.best.is_none_or(|(best, _)| rank < best) {
            self.best = Some((rank, key));
        }
        if rank == BEST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn wait(&mut self, at: TimestampMs) -> ControlFlow<()> {
        self.wait_until = Some(self.wait_until.map_or(at, |other| other.min(at)));
        ControlFlow::Continue(())
    }

    pub(crate) fn choice(self) -> Choice {
        if let Some((_, key)) = self.best {
            return Choice::Send(key);
        }
        let Some(trouble) = &mut self.policy.trouble else { return Choice::Wait(self.wait_until) };
        trouble.newest.get_or_insert(self.newest);
        if self.now >= trouble.until && trouble.tried > 0 {
            // All that wait were tried since the rest, and all failed.
            trouble.rest(self.now);
            return Choice::Wait(Some(trouble.until));
        }
        Choice::Wait(self.wait_until)
    }
}

impl Trouble {
    /// A message that came after the trouble began may be tried in the middle of the rest, all others at its end.
    fn may_probe_at(&self, turn: &Turn) -> TimestampMs {
        match self.newest {
            Some(newest) if turn.key > newest || turn.due_at > self.since => {
                self.next_probe_at.min(self.until)
            }
            _ => self.until,
        }
    }
}
