//! `sanimon device`: the registry as a CSV table. Export beside a running site; import while it is stopped.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use sanimon_domain::Clock;

use super::place::Place;
use crate::clock::RealClock;
use crate::{models, screen};

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Enters the devices of a table, all or none. Those that are not in it stay as they are.
    Import(Table),
    /// Writes the registered devices; import takes the same table back.
    Export(Table),
}

#[derive(Debug, Args)]
pub(crate) struct Table {
    /// The table; `-` is the standard input or output.
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Device {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Import(table) => table.import(),
            Self::Export(table) => table.export(),
        }
    }
}

impl Table {
    fn is_stream(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn import(self) -> anyhow::Result<()> {
        let mut table = Vec::new();
        if self.is_stream() {
            std::io::stdin().lock().read_to_end(&mut table).context("cannot read the standard input")?;
        } else {
            table =
                std::fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        }
        let found = self.place.find()?;
        let mut store = found.store()?;
        let now = RealClock.now();
        let models = models::known(found.scripts());
        let read = sanimon_api::read_device_table(&table, &store.shared.directory.read(), &models, now);
        let devices = read.map_err(|faults| {
            let lines: Vec<String> =
                faults.iter().map(|fault| format!("{}: {fault}", self.file.display())).collect();
            anyhow::anyhow!("nothing was entered: {} fault(s)\n{}", lines.len(), lines.join("\n"))
        })?;
        let count = devices.len();
        store.writer.put_devices(devices, now).context("nothing was entered")?;
        screen::step("devices", &format!("{count} entered or changed"));
        Ok(())
    }

    fn export(self) -> anyhow::Result<()> {
        let (is_stream, file) = (self.is_stream(), self.file);
        let shared = self.place.find()?.snapshot()?;
        let table = sanimon_api::write_device_table(&shared.directory.read());
        if is_stream {
            screen::print(&table);
            return Ok(());
        }
        std::fs::write(&file, table).with_context(|| format!("cannot write {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sanimon_store::Store;

    use super::*;
    use crate::config;

    #[test]
    fn the_example_table_fits_the_example_configuration() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let config = config::load(&folder.join("sanimon.toml")).expect("a sound configuration");
        let data = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(data.path(), None).expect("a store");
        store.writer.put_zones(config.zones).expect("zones");
        let table = std::fs::read(folder.join("devices.csv")).expect("the example");
        let models = models::known(&config.scripts);
        let directory = store.shared.directory.read();
        let devices = sanimon_api::read_device_table(&table, &directory, &models, RealClock.now());
        assert_eq!(devices.map(|devices| devices.len()), Ok(3));
    }
}
