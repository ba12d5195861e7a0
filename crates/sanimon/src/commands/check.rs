//! `sanimon check`: every fault of a configuration, of the data, and of what stands behind it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use sanimon_store::{BucketState, Influx, InfluxOptions, Setup};

use crate::{config, screen};

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Makes what is missing: InfluxDB's bucket, with its retention.
    #[arg(long)]
    fix: bool,
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let config = config::load(&self.config).map_err(|faults| refused(&faults))?;
        let (rules, zones, brokers) = (config.rules.len(), config.zones.len(), config.brokers.len());
        screen::print(&format!(
            "{}: sound ({rules} rules, {zones} zones, {brokers} external brokers)\n",
            self.config.display()
        ));
        let data = check_data(&config.data);
        let influxdb = config.telemetry.influxdb.map_or(Ok(()), |options| check_influxdb(options, self.fix));
        data.and(influxdb)
    }
}

/// Reads all that is stored once.
fn check_data(data: &Path) -> anyhow::Result<()> {
    let bar = screen::bar("blocks", 0);
    let verified = sanimon_store::verify(data, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let Some(verified) = verified.with_context(|| format!("cannot check the data in {}", data.display()))?
    else {
        screen::print(&format!("{}: no data yet\n", data.display()));
        return Ok(());
    };
    if verified.faults.is_empty() {
        screen::print(&format!(
            "{}: sound ({} points, {} blocks)\n",
            data.display(),
            verified.points,
            verified.blocks
        ));
        return Ok(());
    }
    anyhow::bail!(
        "the data in {} has {} fault(s); everything else in it answers. `sanimon restore` brings a backup back\n{}",
        data.display(),
        verified.faults.len(),
        verified.faults.join("\n")
    )
}

fn check_influxdb(options: InfluxOptions, fix: bool) -> anyhow::Result<()> {
    let (url, bucket) = (options.url.clone(), options.bucket.clone());
    let influx = Influx::new(options)?;
    let setup = Setup(&influx);
    let state = setup.state().with_context(|| format!("cannot check InfluxDB at {url}"))?;
    let said = match (state, fix) {
        (BucketState::Sound, _) => "sound",
        (BucketState::Missing, true) => {
            setup.create()?;
            "created"
        }
        (BucketState::OtherRetention { .. }, true) => {
            setup.set_retention()?;
            "its retention was changed"
        }
        (BucketState::Missing, false) => {
            anyhow::bail!("{url}: there is no bucket `{bucket}`: run `sanimon check --fix`")
        }
        (BucketState::OtherRetention { found_days }, false) => {
            let found = if found_days == 0 { "for ever".to_owned() } else { format!("{found_days} days") };
            anyhow::bail!(
                "{url}: the bucket `{bucket}` keeps points {found}, not as retention_days says: run `sanimon check --fix`"
            )
        }
    };
    screen::print(&format!("{url}: bucket `{bucket}`: {said}\n"));
    Ok(())
}

/// All faults, one a line, as one error.
pub(crate) fn refused(faults: &[config::ConfigFault]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the configuration has {} fault(s)\n{}", lines.len(), lines.join("\n"))
}
