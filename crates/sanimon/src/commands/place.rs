//! Which site a command is about: one of a configuration, or just a data directory.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use sanimon_alerting::RuleSet;
use sanimon_codec::script::Script;
use sanimon_domain::{Clock, SiteCalendar};
use sanimon_store::{Influx, Shared, Store};
use sanimon_writer::{Author, Entry, Options};

use super::check::refused;
use super::offline::Offline;
use crate::clock::RealClock;
use crate::config::{self, NamedFiles, SetupFiles, Telemetry};
use crate::site;

/// Who changes something without signing in, as the log calls them.
pub(crate) const COMMAND_LINE: &str = "command line";

/// An entry of the audit log for what is changed from here.
pub(crate) fn audit(action: &'static str, subject: &str, detail: String) -> Entry {
    Entry::new(RealClock.now(), Author::Site(COMMAND_LINE), action).about(subject).with_detail(detail)
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The site's configuration: it says where the data are, and whether InfluxDB has them.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The data directory of a site without InfluxDB.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
}

/// What a command needs of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) data: PathBuf,
    pub(crate) calendar: Option<SiteCalendar>,
    files: SetupFiles,
    telemetry: Telemetry,
    scripts: Vec<Script>,
}

impl Place {
    pub(crate) fn find(self) -> anyhow::Result<Found> {
        let Some(file) = self.config else {
            let files = SetupFiles::new(&self.data, NamedFiles::default(), Tz::Asia__Shanghai);
            return Ok(Found {
                data: self.data,
                files,
                calendar: None,
                telemetry: Telemetry::default(),
                scripts: Vec::new(),
            });
        };
        let config = config::load(&file).map_err(|faults| refused(&faults))?;
        let calendar = Some(SiteCalendar::new(config.time_zone));
        Ok(Found {
            data: config.data,
            calendar,
            files: config.files,
            telemetry: config.telemetry,
            scripts: config.scripts,
        })
    }
}

impl Found {
    /// To read only; sanimon may run.
    pub(crate) fn snapshot(&self) -> anyhow::Result<Shared> {
        let shared = Store::snapshot(&self.data)?;
        let mut shared = shared.ok_or_else(|| anyhow::anyhow!("{} holds no data", self.data.display()))?;
        if let Some(options) = &self.telemetry.influxdb {
            shared.use_influx(Influx::new(options.clone())?);
        }
        Ok(shared)
    }

    /// Rules, zones and teams.
    pub(crate) const fn files(&self) -> &SetupFiles {
        &self.files
    }

    /// The rules in force there.
    pub(crate) fn rules(&self) -> anyhow::Result<RuleSet> {
        Ok(self.files.read_rules().map_err(|faults| refused(&faults))?.0)
    }

    /// To write; no sanimon may run.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        let mut store = site::open_store(&self.data, self.calendar)?;
        self.telemetry.apply_to(&mut store)?;
        Ok(store)
    }

    /// The same, to enter rows.
    pub(crate) fn offline(&self) -> anyhow::Result<Offline> {
        let retention = self.telemetry.retention.clone();
        let store = self.store()?;
        let options = Options { retention, ..Options::of_rows_only(store.shared.calendar) };
        Offline::open(store, options, RealClock.now())
    }

    pub(crate) fn has_influxdb(&self) -> bool {
        self.telemetry.influxdb.is_some()
    }

    /// Codecs of the configuration.
    pub(crate) fn scripts(&self) -> &[Script] {
        &self.scripts
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }
}
