//! A large table of devices: entered in steps, out of sight, and in force at once.
//!
//! A step enters devices as if they were retired, with the number of their import. When the import comes into force, that is one
//! row of `meta`; what is read from the file is then as the table says. The rows themselves follow in steps.

use rusqlite::{Params, params};
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
        self.numbers("SELECT no FROM device WHERE import_no = ?1", [import_no as i64])
    }

    fn numbers(&self, sql: &str, values: impl Params) -> Result<Vec<DeviceNo>> {
        self.read(DOING, |connection| {
            let mut statement = connection.prepare(sql).map_err(StoreError::doing(DOING))?;
            let numbers = statement.query_map(values, |row| row.get(0).map(DeviceNo));
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

    /// At most so many devices that steps have entered and no import has brought into force. `import_no`: only those of this one.
    pub fn unfinished(&self, import_no: Option<u64>, rows_max: usize) -> Result<Vec<DeviceNo>> {
        let in_force = self.import_in_force()?.map(|no| no as i64);
        let sql = "SELECT no FROM device WHERE import_no IS NOT NULL AND import_no IS NOT ?1 AND import_no = coalesce(?2, import_no)
                   LIMIT ?3";
        self.numbers(sql, params![in_force, import_no.map(|no| no as i64), rows_max as i64])
    }

    /// Whether a step has entered the device, and nobody has changed it since.
    pub fn is_staged(&self, device: DeviceNo) -> Result<bool> {
        let sql = "SELECT import_no IS NOT NULL FROM device WHERE no = ?1";
        Ok(self.row(DOING, sql, [device.0], |row| row.get(0))?.unwrap_or(false))
    }

    /// A device that is never going to be: its id is free for another one. Its row stays, for numbers are never given twice.
    pub fn give_id_back(&self, device: &Device) -> Result<()> {
        self.put_device(device)?;
        self.run(DOING, "UPDATE device SET id = ?2 WHERE no = ?1", params![device.no.0, device.id.as_str()])?;
        Ok(())
    }

    fn import_in_force(&self) -> Result<Option<u64>> {
        self.read(DOING, |connection| {
            Ok(read::meta(connection, META_IMPORT_IN_FORCE)?.and_then(|text| text.parse().ok()))
        })
    }
}
