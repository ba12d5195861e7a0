//! A disk that fails, and what a power cut leaves of a file.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sanimon_store::{Call, DiskFault, Faults};

use super::dice::Dice;

const BUSY: i32 = 5;
const READ_ONLY: i32 = 8;
const IO_ERROR: i32 = 10;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const CONSTRAINT: i32 = 19;

/// How the disk behaves at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Health {
    #[default]
    Sound,
    /// One call fails, `calls` from now; afterwards all is well.
    Once { calls: u64, fault: DiskFault },
    /// Nothing can be written until it is mended.
    Full,
    /// Nothing can be read or written until it is mended.
    Gone,
    /// Commits answer with an error, stored or not, and nothing can be asked afterwards.
    Unsure { is_applied: bool, reads_fail: bool },
}

#[derive(Debug, Default)]
struct State {
    health: Health,
    calls: u64,
}

/// Shared with the plan inside the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(crate) fn set(&self, health: Health) {
        self.0.lock().expect("nobody panics here").health = health;
    }

    pub(crate) fn health(&self) -> Health {
        self.0.lock().expect("nobody panics here").health
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.0.lock().expect("nobody panics here").calls
    }

    pub(crate) fn faults(&self) -> Faults {
        let state = self.0.clone();
        Faults::plan(move |call| state.lock().expect("nobody panics here").fault(call))
    }

    /// A failure by the dice, and whether it lasts.
    pub(crate) fn fail(&self, dice: &mut Dice) {
        let health = match dice.below(8) {
            0 | 1 => Health::Full,
            2 => Health::Gone,
            3 => Health::Unsure { is_applied: dice.once_in(2), reads_fail: true },
            _ => once(dice.below(150), dice.roll()),
        };
        self.set(health);
    }
}

/// One failure, of a kind by the number.
pub(crate) fn once(calls: u64, kind: u64) -> Health {
    let codes = [FULL, IO_ERROR, READ_ONLY, BUSY, CANNOT_OPEN, CONSTRAINT];
    let code = codes[kind as usize % codes.len()];
    Health::Once { calls, fault: DiskFault { code, is_applied: (kind >> 8).is_multiple_of(2) } }
}

impl State {
    fn fault(&mut self, call: Call) -> Option<DiskFault> {
        self.calls += 1;
        let fault = |code| Some(DiskFault { code, is_applied: false });
        match &mut self.health {
            Health::Sound => None,
            Health::Once { calls: 0, fault } => {
                let fault = *fault;
                self.health = Health::Sound;
                // A constraint is a matter of rows, not of a commit.
                (fault.code != CONSTRAINT || matches!(call, Call::Write(_))).then_some(fault)
            }
            Health::Once { calls, .. } => {
                *calls -= 1;
                None
            }
            Health::Full => matches!(call, Call::Write(_) | Call::Commit)
                .then_some(DiskFault { code: FULL, is_applied: false }),
            Health::Gone => fault(IO_ERROR),
            Health::Unsure { is_applied, reads_fail } => match call {
                Call::Commit => Some(DiskFault { code: IO_ERROR, is_applied: *is_applied }),
                Call::Read(_) if *reads_fail => fault(IO_ERROR),
                _ => None,
            },
        }
    }
}

/// The length of the write-ahead log.
pub(crate) fn log_length(folder: &Path) -> u64 {
    fs::metadata(folder.join("sanimon.db-wal")).map_or(0, |file| file.len())
}

/// What a power cut leaves in a new folder: the files as they are now, the write-ahead log torn somewhere behind `synced`.
pub(crate) fn power_cut(from: &Path, to: &Path, synced: u64, dice: &mut Dice) {
    for name in ["sanimon.db", "sanimon.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("a copy");
        }
    }
    let log = to.join("sanimon.db-wal");
    let length = log_length(to);
    if length > synced {
        let kept = synced + dice.below(length - synced + 1);
        let file = fs::OpenOptions::new().write(true).open(&log).expect("the log");
        file.set_len(kept).expect("a torn log");
        // What was never synced may as well be rubbish.
        if dice.once_in(2) {
            let mut bytes = fs::read(&log).expect("the log");
            let torn = bytes.len() as u64 - synced.min(bytes.len() as u64);
            if torn > 0 {
                let place = (synced + dice.below(torn)) as usize;
                bytes[place] ^= 0x55;
                fs::write(&log, bytes).expect("a torn log");
            }
        }
    }
}
