//! `sanimon bench console`: how fast the console is, in a real Chromium on real MQTT. What is measured, and how, is in
//! `dashboards/console/tests/figures.mjs`; here this very program is named to it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::Value;

#[derive(Debug, Args)]
pub(crate) struct ConsoleBench {
    /// The script, with its `node_modules` beside the console's sources.
    #[arg(long, value_name = "FILE", default_value = "dashboards/console/tests/figures.mjs")]
    script: PathBuf,
    /// Devices of the town.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(500..=50_000))]
    devices: u32,
    /// How long each stream takes, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(5..=600))]
    seconds: u16,
}

impl ConsoleBench {
    pub(crate) fn measure(&self) -> anyhow::Result<Value> {
        ensure!(
            self.script.exists(),
            "{} is not there: run this from the source tree, after `npm ci` in dashboards/console",
            self.script.display()
        );
        let output = Command::new("node")
            .arg(&self.script)
            .env("SANIMON_BINARY", std::env::current_exe().context("this program's own path is not known")?)
            .env("DEVICES", self.devices.to_string())
            .env("STREAM_S", self.seconds.to_string())
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("node cannot be started: Node.js 20.19 or newer is needed")?;
        ensure!(output.status.success(), "the console could not be measured: see above");
        serde_json::from_slice(&output.stdout).context("the script printed no JSON")
    }
}
