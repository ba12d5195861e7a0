//! Copies of the whole database: made beside a running sanimon, put back without one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::schema::DATA_VERSION;
use crate::error::{Result, StoreError};
use crate::shared::{FILE_NAME, lock};

/// Writes a consistent copy of a data directory's database to a file that does not exist yet.
///
/// SQLite writes it from one snapshot, without free pages, while the writer goes on. It has its name only when it is
/// complete and synced.
pub fn backup(directory: &Path, file: &Path) -> Result<u64> {
    let database = directory.join(FILE_NAME);
    if !database.exists() {
        return Err(StoreError::Backup {
            path: database,
            detail: "there is no database to back up".to_owned(),
        });
    }
    if file.exists() {
        let detail = "it exists already: choose another name, or remove it".to_owned();
        return Err(StoreError::Backup { path: file.to_owned(), detail });
    }
    let part = beside(file, "part");
    let failed = failed_at(&part);
    // A part of an earlier try that was broken off.
    let _ = fs::remove_file(&part);
    let connection = open_existing(&database)?;
    let name = part.to_str().ok_or_else(|| failed("its name is not valid Unicode".to_owned()))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| {
        let _ = fs::remove_file(&part);
        failed(error.to_string())
    })?;
    let bytes = File::open(&part).and_then(|copy| copy.sync_all().and_then(|()| copy.metadata()));
    let bytes = bytes.map_err(|error| failed(error.to_string()))?.len();
    fs::rename(&part, file).map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

/// Puts a backup into a data directory that no sanimon uses. With `force` it replaces what is there.
///
/// MQTT sessions are left out: a client that has gone on since uses packet ids for other messages.
pub fn restore(file: &Path, directory: &Path, force: bool) -> Result<()> {
    check_backup(file)?;
    let _lock = lock(directory)?;
    let database = directory.join(FILE_NAME);
    let failed = failed_at(&database);
    if database.exists() {
        if !force {
            return Err(failed(
                "there is a database already: --force replaces it, and it is lost then".to_owned(),
            ));
        }
        // A write-ahead log that stayed would be played into the new file.
        let emptied = Connection::open(&database)
            .and_then(|old| old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        if emptied.is_err() {
            tracing::warn!("the old database could not be closed in order");
        }
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(beside(&database, end));
        }
    }
    let part = beside(&database, ".part");
    fs::copy(file, &part).map_err(|error| failed(error.to_string()))?;
    end_sessions(&part).map_err(|error| failed(error.to_string()))?;
    File::open(&part)
        .and_then(|copy| copy.sync_all())
        .and_then(|()| fs::rename(&part, &database))
        .map_err(|error| failed(error.to_string()))
}

/// A session is what two sides remember. A client that has gone on since the backup uses packet ids for other messages, which
/// would be taken for those of then; so it is told that its session is gone, and both begin anew. What is retained stays.
fn end_sessions(copy: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(copy)?;
    // Nothing beside it: the copy counts only when it is complete.
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let find = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'mqtt_session')";
    if connection.query_row(find, [], |row| row.get(0))? {
        connection.execute("DELETE FROM mqtt_session", [])?;
    }
    Ok(())
}

/// A file that this sanimon can open, and whose pages are whole.
fn check_backup(file: &Path) -> Result<()> {
    let failed = failed_at(file);
    let connection = open_existing(file)?;
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| failed(format!("it is no backup of sanimon: {error}")))?;
    if version == 0 || version > DATA_VERSION {
        return Err(failed(format!(
            "it has data version {version}, this sanimon knows 1 to {DATA_VERSION}: is it a backup of sanimon, of a newer one?"
        )));
    }
    let said: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| failed(error.to_string()))?;
    if said == "ok" { Ok(()) } else { Err(failed(format!("it is damaged: {said}"))) }
}

fn open_existing(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

fn failed_at(path: &Path) -> impl Fn(String) -> StoreError {
    let path = path.to_owned();
    move |detail| StoreError::Backup { path: path.clone(), detail }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if !end.starts_with(['-', '.']) {
        name.push(".");
    }
    name.push(end);
    name.into()
}
