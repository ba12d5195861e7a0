//! Moving the WAL into the database file, beside the writer.
//!
//! A checkpoint inside a commit would make some sensor wait for the sync of the whole database. So a thread with a
//! connection of its own copies pages (PASSIVE: it waits for nobody and stops nobody). Under a load that never
//! pauses it cannot reset the WAL, so past a size the writer itself finishes the little that is left.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::error::{Result, StoreError};

/// Commits between two looks at the WAL's size: a look is a system call.
const COMMITS_PER_LOOK: u32 = 16;
/// WAL bytes at which the background checkpoint runs.
const BACKGROUND_BYTES: u64 = 8 << 20;
/// WAL bytes at which the writer finishes the checkpoint itself, so that the file stays bounded.
const WRITER_BYTES: u64 = 96 << 20;

#[derive(Debug)]
pub(super) struct Checkpointer {
    wal: PathBuf,
    commits: u32,
    /// `None` after the stop.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(database: &Path) -> Result<Self> {
        let mut wal = database.as_os_str().to_owned();
        wal.push("-wal");
        let path = database.to_owned();
        // One wake-up waiting is enough: a checkpoint takes all that is there.
        let (wake, woken) = sync_channel(1);
        let connection = Connection::open(&path).map_err(|source| StoreError::Open { path, source })?;
        let spawned = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(move || {
            while woken.recv().is_ok() {
                checkpoint(&connection, "PASSIVE");
            }
        });
        let thread = spawned.map_err(|source| StoreError::Directory { path: database.to_owned(), source })?;
        Ok(Self { wal: wal.into(), commits: 0, wake: Some(wake), thread: Some(thread) })
    }

    pub(super) fn after_commit(&mut self, writer: &Connection) {
        self.commits += 1;
        if self.commits < COMMITS_PER_LOOK {
            return;
        }
        self.commits = 0;
        let bytes = std::fs::metadata(&self.wal).map_or(0, |metadata| metadata.len());
        if bytes >= WRITER_BYTES {
            checkpoint(writer, "TRUNCATE");
        } else if bytes >= BACKGROUND_BYTES {
            // Full means that a checkpoint is already to come.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn checkpoint(connection: &Connection, mode: &'static str) {
    let outcome = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
    if let Err(error) = outcome {
        // The data is safe in the WAL; the commit that runs out of room says so to people.
        tracing::warn!(%error, mode, "checkpoint failed");
    }
}
