//! Whole towns on a seeded clock: township, pipeline, engine, store and operators, with redelivery, disorder, failed
//! commits, crashes, restarts, outages, windows and moves. After each step the design's invariants are checked.
//!
//! `SANIMON_SEEDS` says how many towns (1,000 in `tests/run.sh`), `SANIMON_SEED` runs one alone. A town that fails says
//! its seed and what it did last.

mod model;
mod script;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use self::script::Town;

const SEEDS: u64 = 100;
const STEPS: usize = 45;

/// A number that looks random and is the same at each run (SplitMix64).
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    /// True once in `n`.
    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.roll() as usize % items.len().max(1);
        items.get(index)
    }
}

fn live(seed: u64) {
    let mut town = Town::new(seed);
    for _ in 0..STEPS {
        town.step();
        town.check();
    }
    town.end();
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_to_a_town_the_invariants_hold() {
    if let Some(seed) = number("SANIMON_SEED") {
        return live(seed);
    }
    let seeds = number("SANIMON_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let run = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let lived = catch_unwind(AssertUnwindSafe(|| live(seed)));
            assert!(lived.is_ok(), "the town of seed {seed} failed: SANIMON_SEED={seed} runs it alone");
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let failed = running.into_iter().find_map(|thread| thread.join().err());
        if let Some(why) = failed {
            std::panic::resume_unwind(why);
        }
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
        assert_eq!(life(seed), life(seed), "seed {seed}");
    }
}
