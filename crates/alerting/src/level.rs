//! One threshold of a rule, with its hysteresis and its patience.

use sanimon_domain::{Severity, TimestampMs};

/// Which side of a threshold is the bad one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// At or above `raise` is bad, below `clear` is good again.
    Rising,
    /// At or below `raise` is bad, above `clear` is good again.
    Falling,
}

/// A level of a rule: between `raise` and `clear` nothing changes, so a value that trembles raises once.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    pub severity: Severity,
    pub direction: Direction,
    pub raise: f64,
    pub clear: f64,
    /// How long the raise condition must hold, in milliseconds; 0 raises at once.
    pub for_ms: i64,
}

impl Level {
    pub fn is_bad(&self, value: f64) -> bool {
        match self.direction {
            Direction::Rising => value >= self.raise,
            Direction::Falling => value <= self.raise,
        }
    }

    pub fn is_good_again(&self, value: f64) -> bool {
        match self.direction {
            Direction::Rising => value < self.clear,
            Direction::Falling => value > self.clear,
        }
    }

    /// The signs of the file: of `raise`, and of `clear`.
    pub const fn signs(&self) -> [&'static str; 2] {
        match self.direction {
            Direction::Rising => [">=", "<"],
            Direction::Falling => ["<=", ">"],
        }
    }

    /// A name that survives a reordering of the file: what is stored of a level is found by it again.
    pub fn key(&self) -> String {
        let [sign, _] = self.signs();
        format!("{}{sign}{}@{}", self.severity, self.raise, self.for_ms)
    }

    /// The state after a value at a time.
    pub(crate) fn next(&self, state: LevelState, at: TimestampMs, value: f64) -> LevelState {
        match state {
            LevelState::Idle if self.is_bad(value) && self.for_ms == 0 => LevelState::Active { since: at },
            LevelState::Idle if self.is_bad(value) => LevelState::Pending { since: at },
            LevelState::Pending { .. } if !self.is_bad(value) => LevelState::Idle,
            LevelState::Active { .. } if self.is_good_again(value) => LevelState::Idle,
            unchanged => unchanged,
        }
    }

    /// When a pending level becomes active if nothing contradicts it.
    pub(crate) fn due(&self, state: LevelState) -> Option<TimestampMs> {
        match state {
            LevelState::Pending { since } => Some(since.plus_ms(self.for_ms)),
            LevelState::Idle | LevelState::Active { .. } => None,
        }
    }
}

impl LevelState {
    /// Since when it is bad.
    pub(crate) const fn since(self) -> Option<TimestampMs> {
        match self {
            Self::Idle => None,
            Self::Pending { since } | Self::Active { since } => Some(since),
        }
    }
}

/// What the engine remembers of a level of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LevelState {
    #[default]
    Idle,
    /// Bad since then, not yet for long enough.
    Pending {
        since: TimestampMs,
    },
    Active {
        since: TimestampMs,
    },
}
