//! What can go wrong with the store.

use std::path::PathBuf;

/// Each variant says what was found, what was expected and where.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {path}: {source}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("cannot use the data directory {path}: {source}")]
    Directory { path: PathBuf, source: std::io::Error },
    #[error(
        "the data directory {path} is in use by another sanimon: stop that one, or choose another --data"
    )]
    InUse { path: PathBuf },
    #[error(
        "the database {path} has data version {found}, this sanimon knows versions up to {known}: use a newer sanimon"
    )]
    TooNew { path: PathBuf, found: i64, known: i64 },
    #[error("the database could not {doing}: {source}")]
    Sqlite { doing: &'static str, source: rusqlite::Error },
    #[error("{path}: {detail}")]
    Backup { path: PathBuf, detail: String },
    #[error("InfluxDB could not {doing}: {detail}")]
    Influx { doing: &'static str, detail: String },
    #[error("{what} in the database is damaged: {detail}")]
    Damaged { what: &'static str, detail: String },
}

impl StoreError {
    /// For `map_err`: names what was being done.
    pub(crate) fn doing(doing: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Sqlite { doing, source }
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;
