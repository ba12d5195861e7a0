//! A sign of life of a loop that something depends on.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const WAITING: u8 = 0;
const WORKING: u8 = 1;

/// What a loop was doing when it last said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatState {
    /// It has something to do, and will say so again soon.
    Working,
    /// It is idle, or waits for an outside party that has a time limit of its own: silence is no fault.
    Waiting,
}

/// Written by a loop, read by whoever watches it. There is no clock inside: the reader notes when it last saw a new
/// count. A loop that has not said a word yet waits.
#[derive(Debug, Default)]
pub struct Heartbeat {
    beats: AtomicU64,
    state: AtomicU8,
    #[cfg(debug_assertions)]
    trap: AtomicU8,
}

/// What a test makes a loop do at its next sign of life.
#[cfg(debug_assertions)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    Panic = 1,
    Hang = 2,
}

impl Heartbeat {
    /// The loop goes on.
    pub fn working(&self) {
        self.beat(HeartbeatState::Working);
    }

    /// The loop has nothing to do for now, or waits for somebody else.
    pub fn waiting(&self) {
        self.beat(HeartbeatState::Waiting);
    }

    /// How often the loop said something.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Acquire)
    }

    /// What it said last; before its first word it waits.
    pub fn state(&self) -> HeartbeatState {
        match self.state.load(Ordering::Acquire) {
            WORKING => HeartbeatState::Working,
            _ => HeartbeatState::Waiting,
        }
    }

    #[cfg(debug_assertions)]
    pub fn set_trap(&self, trap: Trap) {
        self.trap.store(trap as u8, Ordering::Release);
    }

    #[cfg(debug_assertions)]
    fn spring(&self) {
        match self.trap.swap(0, Ordering::AcqRel) {
            trap if trap == Trap::Panic as u8 => panic!("a test asked for it"),
            trap if trap == Trap::Hang as u8 => loop {
                std::thread::park();
            },
            _ => {}
        }
    }

    fn beat(&self, state: HeartbeatState) {
        let state = match state {
            HeartbeatState::Working => WORKING,
            HeartbeatState::Waiting => WAITING,
        };
        self.state.store(state, Ordering::Release);
        self.beats.fetch_add(1, Ordering::Release);
        #[cfg(debug_assertions)]
        self.spring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_the_loop_is_counted_and_the_last_one_stands() {
        let heartbeat = Heartbeat::default();
        assert_eq!((heartbeat.beats(), heartbeat.state()), (0, HeartbeatState::Waiting));
        heartbeat.waiting();
        assert_eq!((heartbeat.beats(), heartbeat.state()), (1, HeartbeatState::Waiting));
        heartbeat.working();
        heartbeat.working();
        assert_eq!((heartbeat.beats(), heartbeat.state()), (3, HeartbeatState::Working));
    }
}
