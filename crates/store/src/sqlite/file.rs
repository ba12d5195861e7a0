//! The writing connection.

use std::cell::Cell;
use std::path::Path;

use rusqlite::Connection;

use super::checkpoint::Checkpointer;
use super::faults::{Call, Faults};
use super::tx::Tx;
use crate::error::{Result, StoreError};

/// Pages given back in one step: some milliseconds between two groups of messages.
const VACUUM_PAGES: u32 = 256;
/// Free pages that are kept for the next blocks: giving them back and asking for them again would be work for nothing.
const FREE_PAGES_KEPT: i64 = 2_048;

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Yes: an acknowledgement stands on it.
    Synced,
    /// No: for a past that can be made again.
    Rebuildable,
}

/// The one connection that writes. One thread owns it.
#[derive(Debug)]
pub struct File {
    connection: Connection,
    checkpointer: Checkpointer,
    faults: Faults,
    /// The number of the last transaction that was committed.
    committed_no: Cell<u64>,
}

impl File {
    pub(crate) fn new(connection: Connection, path: &Path) -> Result<Self> {
        let committed_no = Cell::new(committed_no(&connection)?);
        let checkpointer = Checkpointer::start(path)?;
        Ok(Self { connection, checkpointer, faults: Faults::default(), committed_no })
    }

    /// Begins a transaction. It takes the write lock at once: it fails here, not at its end.
    pub fn begin(&mut self) -> Result<Tx<'_>> {
        const DOING: &str = "begin a transaction";
        if let Some(fault) = self.faults.check(Call::Begin) {
            return Err(StoreError::doing(DOING)(fault.error()));
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::doing(DOING))?;
        Ok(Tx::new(&self.connection, &self.faults, &self.committed_no))
    }

    /// Reads what is committed.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        if let Some(fault) = self.faults.check(Call::Read(doing)) {
            return Err(StoreError::doing(doing)(fault.error()));
        }
        read(&self.connection)
    }

    /// The number of the last committed transaction, as the file has it.
    pub fn committed_no(&self) -> Result<u64> {
        let no = self.read("read the number of the last commit", committed_no)?;
        self.committed_no.set(no);
        Ok(no)
    }

    /// Writes the least that can be written, to see whether the disk takes it.
    pub fn probe(&mut self) -> Result<()> {
        self.begin()?.commit().map_err(|failed| failed.error)
    }

    /// Call it after each commit: it keeps the write-ahead log small.
    pub fn after_commit(&mut self) {
        self.checkpointer.after_commit(&self.connection);
    }

    pub fn set_durability(&mut self, durability: Durability) -> Result<()> {
        let word = match durability {
            Durability::Synced => "FULL",
            Durability::Rebuildable => "OFF",
        };
        self.connection
            .pragma_update(None, "synchronous", word)
            .map_err(StoreError::doing("say whether commits wait for the disk"))
    }

    /// Gives some free pages back to the file system. True while there are more.
    pub fn vacuum_step(&mut self) -> Result<bool> {
        let doing = || StoreError::doing("give free pages back");
        let free: i64 =
            self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).map_err(doing())?;
        if free <= FREE_PAGES_KEPT {
            return Ok(false);
        }
        // The pragma gives a row for each page; all must be stepped through.
        let mut statement =
            self.connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})")).map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while rows.next().map_err(doing())?.is_some() {}
        drop(rows);
        drop(statement);
        self.after_commit();
        Ok(true)
    }

    /// For tests: which statements fail from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }
}

pub(super) fn committed_no(connection: &Connection) -> Result<u64> {
    connection
        .query_row("SELECT no FROM commit_no", [], |row| row.get::<_, i64>(0))
        .map(|no| no as u64)
        .map_err(StoreError::doing("read the number of the last commit"))
}
