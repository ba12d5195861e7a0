//! `sanimon check`: every fault of a configuration.

use std::path::PathBuf;

use clap::Args;

use crate::{config, screen};

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match config::load(&self.config) {
            Ok(config) => {
                let (rules, zones, brokers) = (config.rules.len(), config.zones.len(), config.brokers.len());
                screen::print(&format!(
                    "{}: sound ({rules} rules, {zones} zones, {brokers} external brokers)\n",
                    self.config.display()
                ));
                Ok(())
            }
            Err(faults) => Err(refused(&faults)),
        }
    }
}

/// All faults, one a line, as one error.
pub(crate) fn refused(faults: &[config::ConfigFault]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the configuration has {} fault(s)\n{}", lines.len(), lines.join("\n"))
}
