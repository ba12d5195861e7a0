//! Whole towns on a seeded clock, over a disk that fails: the writer itself with its rules, people, jobs and outbox, with
//! redelivery, disorder, torn writes, crashes and restarts at any step. After each step the design's invariants are checked;
//! at the end everything that was sent is there once, and the alerts are those of a town that never failed (`oracle.rs`).
//!
//! `SANIMON_SEEDS` says how many towns (200 in `tests/run.sh`, 5,000 in `tests/proof.sh`), `SANIMON_SEED` runs one alone,
//! `SANIMON_CALL_STEP` says at which distance calls to the disk fail in the quiet day. A town that fails says its seed and
//! what it did last.

mod dice;
mod disk;
mod messages;
mod model;
mod oracle;
mod people;
mod script;
mod setting;
mod site;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use self::script::Town;

const SEEDS: u64 = 100;
const STEPS: usize = 45;

fn live(seed: u64) {
    let mut town = Town::new(seed);
    for _ in 0..STEPS {
        town.step();
        town.check();
    }
    town.end();
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is the caller's choice")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs something for each number, on all cores; the first failure ends the test.
fn for_each(numbers: Range<u64>, what: &str, run: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(numbers.start);
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return;
            }
            let lived = catch_unwind(AssertUnwindSafe(|| run(number)));
            if lived.is_err() {
                next.store(numbers.end, Ordering::Relaxed);
                panic!("{what} {number} failed");
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let failed = running.into_iter().find_map(|thread| thread.join().err());
        if let Some(why) = failed {
            std::panic::resume_unwind(why);
        }
    });
}

#[test]
fn whatever_happens_to_a_town_nothing_is_lost_doubled_or_told_otherwise() {
    if let Some(seed) = number("SANIMON_SEED") {
        return live(seed);
    }
    let first = number("SANIMON_FIRST_SEED").unwrap_or(0);
    let seeds = first..first + number("SANIMON_SEEDS").unwrap_or(SEEDS);
    for_each(seeds, "the town of SANIMON_SEED =", live);
}

/// A quiet day in which each call to the disk fails once, by each kind of failure in turn.
#[test]
fn whichever_call_fails_the_day_ends_the_same() {
    let calls = Town::quiet_day(None).calls();
    let step = number("SANIMON_CALL_STEP").unwrap_or(if number("SANIMON_SEEDS").is_some() { 3 } else { 11 });
    for_each(0..calls / step, "the call of step", |index| {
        Town::quiet_day(Some(index * step)).end();
    });
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let life = |seed| {
        let mut town = Town::new(seed);
        (0..STEPS).for_each(|_| town.step());
        town.story()
    };
    for seed in [3, 77, 4_242] {
        let (one, other) = (life(seed), life(seed));
        assert!(one.len() > 5, "seed {seed}: nothing happened");
        assert_eq!(one, other, "seed {seed}");
    }
}
