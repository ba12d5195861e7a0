//! Proof that nothing is lost: the same load under every disturbance, and afterwards each acknowledged message is there
//! once, and the alerts are those of a run that nothing disturbed.
//!
//! In CI each proof is short. `tests/proof.sh` runs them in full (`SANIMON_PROOF=full`) and collects the lines that
//! begin with `proof`, which `docs/RELIABILITY.md` holds.

mod clock;
mod damage;
mod disk;
mod influx;
mod kills;
mod load;
mod network;
mod proxy;
mod soak;
mod upgrade;

pub(crate) use disk::SmallDisk;

/// Whether the long form is wanted.
pub(crate) fn is_full() -> bool {
    std::env::var("SANIMON_PROOF").as_deref() == Ok("full")
}

/// A number for CI, and one for the proof.
pub(crate) fn scale(short: u64, full: u64) -> u64 {
    if is_full() { full } else { short }
}

/// The result of a proof, as a line that `tests/proof.sh` collects.
#[expect(clippy::print_stdout, reason = "the proof's results are read from there")]
pub(crate) fn told(name: &str, result: &serde_json::Value) {
    println!("proof {name} {result}");
}

/// A number that looks random (SplitMix64); its seed is told with the result.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// From `SANIMON_SEED`, or from the clock.
    pub(crate) fn new() -> Self {
        let given = std::env::var("SANIMON_SEED").ok().and_then(|seed| seed.parse().ok());
        Self(given.unwrap_or_else(|| crate::sources::now_ms() as u64))
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}
