//! Connections for readers, opened when needed and kept.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::error::Result;
use crate::schema;
use crate::sealed::Damage;

/// Connections kept when idle: as many as pages ask at once on a small box.
const IDLE_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct ReaderPool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    pub(crate) damage: Damage,
}

impl ReaderPool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), damage: Damage::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lends a connection to `read`. It blocks: call it off the async threads.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        let outcome = read(&connection);
        let mut idle = idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        outcome
    }
}
