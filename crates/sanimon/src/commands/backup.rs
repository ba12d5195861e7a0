//! `sanimon backup` and `sanimon restore`: the whole database as one file.

use std::path::PathBuf;

use clap::Args;

use super::place::Place;
use crate::screen;
use crate::setup::at_start::put_back;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write. It must not exist yet.
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A file that `sanimon backup` wrote.
    file: PathBuf,
    /// Replaces the data that are there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

impl Backup {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let found = self.place.find()?;
        let bytes = sanimon_store::backup(found.data(), &self.file)?;
        screen::print(&format!("{}: {:.1} MB, complete\n", self.file.display(), bytes as f64 / 1e6));
        if found.has_influxdb() {
            screen::print(
                "Readings that InfluxDB has taken are not in it: back InfluxDB up with its own tools.\n",
            );
        }
        Ok(())
    }
}

impl Restore {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let found = self.place.find()?;
        sanimon_store::restore(&self.file, found.data(), self.force)?;
        screen::print(&format!("{}: restored from {}\n", found.data().display(), self.file.display()));
        for file in put_back(found.files(), &found.snapshot()?)? {
            screen::print(&format!("{}: as it was saved last\n", file.display()));
        }
        Ok(())
    }
}
