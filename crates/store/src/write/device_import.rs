//! A large table of devices: entered in steps, out of sight, and in force at once.
//!
//! A step enters devices as if they were retired, with the number of their import. When the import comes into force, that is one
//! row of `meta`; what is read from the file is then as the table says. The rows themselves follow in steps.

use rusqlite::params;
use sanimon_domain::{DeviceNo, HardwareId};

use crate::error::{Result, StoreError};
use crate::model::{Device, DeviceState};
use crate::read;
use crate::sqlite::Tx;

/// The import whose devices are in force, whatever their rows say.
pub(crate) const META_IMPORT_IN_FORCE: &str = "import_in_force";

const DOING: &str = "write a table of devices";

impl Tx<'_> {
    /// Enters a device out of sight. Its hardware is its own when the import comes into force.
    pub fn stage_device(&self, device: &Device, import_no: u64) -> Result<()> {
        self.put_device(&Device { state: DeviceState::Retired, hardware_id: None, ..device.clone() })?;
        self.run(
            DOING,
            "UPDATE device SET import_no = ?2, import_hardware_id = ?3 WHERE no = ?1",
            params![device.no.0, import_no as i64, device.hardware_id.as_ref().map(HardwareId::as_str)],
        )?;
        Ok(())
    }

    /// The numbers of devices that the steps of an import have entered, and that nobody has changed since.
    pub fn staged_devices(&self, import_no: u64) -> Result<Vec<DeviceNo>> {
        self.read(DOING, |connection| {
            let mut statement = connection
                .prepare("SELECT no FROM device WHERE import_no = ?1")
                .map_err(StoreError::doing(DOING))?;
            let numbers = statement.query_map([import_no as i64], |row| row.get(0).map(DeviceNo));
            numbers.and_then(Iterator::collect).map_err(StoreError::doing(DOING))
        })
    }

    /// From the commit on, the devices of this import are registered.
    pub fn put_import_in_force(&self, import_no: u64) -> Result<()> {
        self.put_meta(META_IMPORT_IN_FORCE, &import_no.to_string())
    }

    /// Writes at most so many rows of the import in force as they are. Zero: there is nothing left to write.
    pub fn write_import(&self, rows_max: usize) -> Result<usize> {
        let Some(import_no) = self.import_in_force()? else { return Ok(0) };
        self.run(
            DOING,
            "UPDATE device SET state = 'registered', hardware_id = import_hardware_id, import_no = NULL, import_hardware_id = NULL
             WHERE no IN (SELECT no FROM device WHERE import_no = ?1 LIMIT ?2)",
            params![import_no as i64, rows_max as i64],
        )
    }

    /// Whether rows of the import in force are still to be written.
    pub fn has_import_to_write(&self) -> Result<bool> {
        let Some(import_no) = self.import_in_force()? else { return Ok(false) };
        let sql = "SELECT 1 FROM device WHERE import_no = ?1 LIMIT 1";
        Ok(self.row(DOING, sql, [import_no as i64], |_| Ok(()))?.is_some())
    }

    /// Gives the ids of devices back that no import has brought into force. Their rows stay, out of sight: numbers are never given
    /// twice.
    pub fn discard_unfinished_imports(&self) -> Result<usize> {
        let in_force = self.import_in_force()?.map(|no| no as i64);
        self.run(
            DOING,
            "UPDATE device SET id = 'unfinished-import-' || import_no || '-' || no, import_no = NULL, import_hardware_id = NULL
             WHERE import_no IS NOT NULL AND import_no IS NOT ?1",
            [in_force],
        )
    }

    fn import_in_force(&self) -> Result<Option<u64>> {
        self.read(DOING, |connection| {
            Ok(read::meta(connection, META_IMPORT_IN_FORCE)?.and_then(|text| text.parse().ok()))
        })
    }
}
