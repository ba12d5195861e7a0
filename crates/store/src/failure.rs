//! The one table that tells errors apart: what passes by itself, what never will, and what ends the writer.

use rusqlite::ErrorCode;

use crate::error::StoreError;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Waiting can help: a full, busy, failing or read-only disk, a service that is away. Hold what came, and go on later.
    Passing,
    /// The same again will fail again: what caused it is set aside, and the rest goes on.
    Permanent,
    /// The file itself is damaged: nothing may be written any more.
    Fatal,
}

impl StoreError {
    pub fn class(&self) -> Class {
        match self {
            Self::Sqlite { source, .. } | Self::Open { source, .. } => of_sqlite(source),
            Self::Influx { .. } | Self::Directory { .. } => Class::Passing,
            Self::InUse { .. } | Self::TooNew { .. } => Class::Fatal,
            Self::Backup { .. } | Self::Damaged { .. } => Class::Permanent,
        }
    }
}

/// SQLite's result codes (https://sqlite.org/rescode.html), and what `rusqlite` itself says no to.
fn of_sqlite(error: &rusqlite::Error) -> Class {
    let Some(code) = error.sqlite_error_code() else {
        // A row that cannot be understood, a value that does not fit: this one only.
        return Class::Permanent;
    };
    match code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Class::Fatal,
        ErrorCode::ConstraintViolation
        | ErrorCode::TooBig
        | ErrorCode::TypeMismatch
        | ErrorCode::ParameterOutOfRange
        | ErrorCode::SchemaChanged
        | ErrorCode::ApiMisuse
        | ErrorCode::NotFound
        | ErrorCode::InternalMalfunction
        | ErrorCode::Unknown => Class::Permanent,
        // A disk that is full, away, busy or locked, and what a later SQLite adds: nothing is thrown away for it.
        _ => Class::Passing,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn sqlite(code: i32) -> StoreError {
        StoreError::doing("write")(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn each_code_of_sqlite_has_its_class() {
        use Class::{Fatal, Passing, Permanent};
        for (code, name, class) in [
            (1, "ERROR", Permanent),
            (2, "INTERNAL", Permanent),
            (3, "PERM", Passing),
            (4, "ABORT", Passing),
            (5, "BUSY", Passing),
            (6, "LOCKED", Passing),
            (7, "NOMEM", Passing),
            (8, "READONLY", Passing),
            (9, "INTERRUPT", Passing),
            (10, "IOERR", Passing),
            (11, "CORRUPT", Fatal),
            (12, "NOTFOUND", Permanent),
            (13, "FULL", Passing),
            (14, "CANTOPEN", Passing),
            (15, "PROTOCOL", Passing),
            (17, "SCHEMA", Permanent),
            (18, "TOOBIG", Permanent),
            (19, "CONSTRAINT", Permanent),
            (20, "MISMATCH", Permanent),
            (21, "MISUSE", Permanent),
            (22, "NOLFS", Passing),
            (23, "AUTH", Passing),
            (25, "RANGE", Permanent),
            (26, "NOTADB", Fatal),
            // Extended codes go with their primary one.
            (ffi::SQLITE_IOERR_FSYNC, "IOERR_FSYNC", Passing),
            (ffi::SQLITE_IOERR_WRITE, "IOERR_WRITE", Passing),
            (ffi::SQLITE_READONLY_DBMOVED, "READONLY_DBMOVED", Passing),
            (ffi::SQLITE_BUSY_SNAPSHOT, "BUSY_SNAPSHOT", Passing),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, "CONSTRAINT_UNIQUE", Permanent),
            (ffi::SQLITE_CONSTRAINT_TRIGGER, "CONSTRAINT_TRIGGER", Permanent),
        ] {
            assert_eq!(sqlite(code).class(), class, "{name}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_concerns_only_itself() {
        let damaged = StoreError::Damaged { what: "an alert", detail: "the word `xyz`".to_owned() };
        assert_eq!(damaged.class(), Class::Permanent);
        let row = rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, "`xyz`".into());
        assert_eq!(StoreError::doing("read an alert")(row).class(), Class::Permanent);
        assert_eq!(StoreError::doing("read")(rusqlite::Error::QueryReturnedNoRows).class(), Class::Permanent);
    }
}
