//! `sanimon device`: the registry as a CSV table. Export beside a running site; import while it is stopped.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use sanimon_domain::Clock;
use sanimon_writer::{PutCredentials, PutDevices};

use super::certificate::write_secret;
use super::place::{COMMAND_LINE, Place, audit};
use crate::clock::RealClock;
use crate::{models, screen};

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Enters the devices of a table, all or none. Those that are not in it stay as they are.
    Import(Table),
    /// Writes the registered devices; import takes the same table back.
    Export(Table),
    /// Makes a credential for each line of a table (column `username` or `id`), for the embedded broker; writes the secrets.
    Provision(Provision),
}

#[derive(Debug, Args)]
pub(crate) struct Table {
    /// The table; `-` is the standard input or output.
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Provision {
    #[command(flatten)]
    table: Table,
    /// Where the secrets go: they are shown nowhere else. `-` is the standard output.
    #[arg(long, value_name = "FILE.csv", default_value = "-")]
    out: PathBuf,
    /// How long credentials that the devices have already stay valid.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = crate::config::duration)]
    overlap: i64,
}

impl Provision {
    fn run(self) -> anyhow::Result<()> {
        let table = self.table.read()?;
        let mut writer = self.table.place.find()?.offline()?;
        let now = RealClock.now();
        let made = sanimon_api::provisioned(&table, COMMAND_LINE, now.plus_ms(self.overlap));
        let (credentials, secrets) = made.map_err(|why| anyhow::anyhow!("nothing was made: {why}"))?;
        // First the file: a secret that nobody has is of no use.
        if self.out.as_os_str() != "-" {
            write_secret(&self.out, &secrets)?;
        }
        let count = credentials.len();
        let detail = format!("{{\"credentials\":{count}}}");
        writer.ask(now, audit("credentials.provision", "", detail), PutCredentials(credentials))?;
        if self.out.as_os_str() == "-" {
            screen::print(&secrets);
        } else {
            screen::step("credentials", &format!("{count} made: {}", self.out.display()));
        }
        Ok(())
    }
}

impl Device {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Import(table) => table.import(),
            Self::Export(table) => table.export(),
            Self::Provision(provision) => provision.run(),
        }
    }
}

impl Table {
    fn is_stream(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn read(&self) -> anyhow::Result<Vec<u8>> {
        if !self.is_stream() {
            return std::fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()));
        }
        let mut table = Vec::new();
        std::io::stdin().lock().read_to_end(&mut table).context("cannot read the standard input")?;
        Ok(table)
    }

    fn import(self) -> anyhow::Result<()> {
        let table = self.read()?;
        let found = self.place.find()?;
        let mut writer = found.offline()?;
        let now = RealClock.now();
        let models = models::known(found.scripts());
        let read = sanimon_api::read_device_table(&table, &writer.shared()?.directory.read(), &models, now);
        let devices = read.map_err(|faults| {
            let lines: Vec<String> =
                faults.iter().map(|fault| format!("{}: {fault}", self.file.display())).collect();
            anyhow::anyhow!("nothing was entered: {} fault(s)\n{}", lines.len(), lines.join("\n"))
        })?;
        let count = devices.len();
        let entry = audit("devices.import", "", format!("{{\"devices\":{count}}}"));
        writer.ask(now, entry, PutDevices(devices)).context("nothing was entered")?;
        screen::step("devices", &format!("{count} entered or changed"));
        Ok(())
    }

    fn export(self) -> anyhow::Result<()> {
        let (is_stream, file) = (self.is_stream(), self.file);
        let shared = self.place.find()?.snapshot()?;
        let table = sanimon_api::write_device_table(&shared.directory.read(), |_| true);
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
    use sanimon_writer::Options;

    use super::*;
    use crate::commands::offline::Offline;
    use crate::config;

    #[test]
    fn the_example_table_fits_the_example_configuration() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let config = config::load(&folder.join("sanimon.toml")).expect("a sound configuration");
        let data = tempfile::tempdir().expect("a folder");
        let store = Store::open(data.path(), None).expect("a store");
        let options = Options { zones: Some(config.zones), ..Options::of_rows_only(store.shared.calendar) };
        let writer = Offline::open(store, options, RealClock.now()).expect("a writer");
        let table = std::fs::read(folder.join("devices.csv")).expect("the example");
        let models = models::known(&config.scripts);
        let directory = writer.shared().expect("a writer").directory.read();
        let devices = sanimon_api::read_device_table(&table, &directory, &models, RealClock.now());
        assert_eq!(devices.map(|devices| devices.len()), Ok(3));
    }
}
