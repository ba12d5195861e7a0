//! Connections for readers, opened when needed and kept.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::schema;
use crate::error::{Result, StoreError};
use crate::sealed::Damage;

/// Connections kept when idle: as many as pages ask at once on a small box.
const IDLE_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct ReaderPool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// Connections look into the file as into memory: for a short-lived command that reads much of it.
    is_mapped: bool,
    pub(crate) damage: Damage,
}

/// As much of the file as a command may look into at once.
const MAPPED_BYTES: i64 = 4 << 30;

impl ReaderPool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), is_mapped: false, damage: Damage::default() }
    }

    pub(crate) fn mapped(path: PathBuf) -> Self {
        Self { is_mapped: true, ..Self::new(path) }
    }

    fn open(&self) -> Result<Connection> {
        let connection = schema::open_reader(&self.path)?;
        if self.is_mapped {
            let mapped = connection.pragma_update(None, "mmap_size", MAPPED_BYTES);
            mapped.map_err(StoreError::doing("look into the file as into memory"))?;
        }
        Ok(connection)
    }

    /// Lends a connection to `read`. It blocks: call it off the async threads.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.open()?,
        };
        let outcome = read(&connection);
        let mut idle = idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        outcome
    }
}
