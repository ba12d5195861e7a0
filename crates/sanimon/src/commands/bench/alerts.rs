//! `sanimon bench alerts`: how fast and how small the engine is, and how true its alerts are on a town whose truth is known.

mod speed;
mod truth;

use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(crate) struct AlertsBench {
    /// Devices of the simulated town.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    devices: u32,
    /// Days that it lives.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=60))]
    days: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leaves out the million devices.
    #[arg(long)]
    small: bool,
}

impl AlertsBench {
    pub(super) fn measure(&self) -> anyhow::Result<Value> {
        let engine = speed::measure(self.small)?;
        let truth = truth::measure(self.devices as usize, i64::from(self.days), self.seed)?;
        Ok(json!({ "engine": engine, "truth": truth }))
    }
}
