//! The writing transaction: every statement of the writer goes through it.

use std::cell::Cell;

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::faults::{Call, DiskFault, Faults};
use super::file::committed_no;
use crate::error::{Result, StoreError};
use crate::failure::Class;

/// A transaction. Dropped without a commit it leaves nothing behind.
#[derive(Debug)]
pub struct Tx<'f> {
    connection: &'f Connection,
    faults: &'f Faults,
    committed_no: &'f Cell<u64>,
    is_open: bool,
}

/// A commit that answered with an error.
#[derive(Debug)]
pub struct CommitFailed {
    pub error: StoreError,
    /// The file could not be asked whether the transaction is stored. If its number is this one later, it is.
    pub unsure_of: Option<u64>,
}

impl<'f> Tx<'f> {
    pub(super) const fn new(
        connection: &'f Connection,
        faults: &'f Faults,
        committed_no: &'f Cell<u64>,
    ) -> Self {
        Self { connection, faults, committed_no, is_open: true }
    }

    /// The number of this transaction: one more than that of the last one. A row of the journal carries it.
    pub fn no(&self) -> u64 {
        self.committed_no.get() + 1
    }

    /// Carries out a statement; gives the number of rows that it changed. `doing` is for the error: "write a device".
    pub(crate) fn run(&self, doing: &'static str, sql: &str, values: impl Params) -> Result<usize> {
        self.check(Call::Write(doing)).map_err(StoreError::doing(doing))?;
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(StoreError::doing(doing))
    }

    /// The first row of a question, as the transaction sees it.
    pub(crate) fn row<T>(
        &self,
        doing: &'static str,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.check(Call::Read(doing)).map_err(StoreError::doing(doing))?;
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(values, read).optional())
            .map_err(StoreError::doing(doing))
    }

    /// Carries out several statements of one kind.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        write: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.check(Call::Write(doing)).map_err(StoreError::doing(doing))?;
        write(self.connection)
    }

    /// Asks more, as the transaction sees it.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.check(Call::Read(doing)).map_err(StoreError::doing(doing))?;
        read(self.connection)
    }

    /// The number that the last inserted row was given.
    pub(crate) fn last_id(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// A part of the transaction: when it fails, what it wrote is undone, and the rest stays.
    pub fn part<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        const DOING: &str = "begin a part of a transaction";
        self.check(Call::Savepoint).map_err(StoreError::doing(DOING))?;
        self.connection.execute_batch("SAVEPOINT part").map_err(StoreError::doing(DOING))?;
        let outcome = work();
        let end = if outcome.is_ok() { "RELEASE part" } else { "ROLLBACK TO part; RELEASE part" };
        let ended =
            self.connection.execute_batch(end).map_err(StoreError::doing("end a part of a transaction"));
        // Its own error says more than that of a transaction which SQLite has ended meanwhile.
        outcome.and_then(|value| ended.map(|()| value))
    }

    /// The same for what nobody may be blamed for without need: a part that can never be stored is tried a second time.
    pub fn part_tried_twice<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match self.part(&mut work) {
            Err(error) if error.class() == Class::Permanent => self.part(work),
            other => other,
        }
    }

    /// Commits and syncs.
    pub fn commit(mut self) -> std::result::Result<(), CommitFailed> {
        const DOING: &str = "commit";
        self.is_open = false;
        let no = self.no();
        let fault = self.faults.check(Call::Commit);
        let numbered = self
            .connection
            .prepare_cached("UPDATE commit_no SET no = ?1")
            .and_then(|mut statement| statement.execute([no as i64]));
        let committed = numbered.and_then(|_| match fault {
            Some(fault @ DiskFault { is_applied: true, .. }) => {
                self.connection.execute_batch("COMMIT").and(Err(fault.error()))
            }
            Some(fault) => Err(fault.error()),
            None => self.connection.execute_batch("COMMIT"),
        });
        let Err(source) = committed else {
            self.committed_no.set(no);
            return Ok(());
        };
        self.undo();
        // An I/O error at the sync may leave the transaction stored: only the file knows.
        let error = StoreError::doing(DOING)(source);
        let asked = self.check(Call::Read("read the number of the last commit")).ok();
        match asked.and_then(|()| committed_no(self.connection).ok()) {
            Some(stored) if stored == no => {
                self.committed_no.set(no);
                Ok(())
            }
            Some(_) => Err(CommitFailed { error, unsure_of: None }),
            None => Err(CommitFailed { error, unsure_of: Some(no) }),
        }
    }

    fn check(&self, call: Call) -> rusqlite::Result<()> {
        self.faults.check(call).map_or(Ok(()), |fault| Err(fault.error()))
    }

    /// Some errors have ended the transaction already; then there is nothing to undo.
    fn undo(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.undo();
        }
    }
}
