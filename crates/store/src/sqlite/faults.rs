//! The seam of the disk faults: what a test lets fail.
//!
//! A running site has none: each statement then costs one look at an empty option.

use std::cell::RefCell;
use std::fmt;

use rusqlite::ffi;

/// A statement that is about to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Begin,
    Write(&'static str),
    Read(&'static str),
    Savepoint,
    Commit,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFault {
    /// SQLite's result code: 13 is a full disk, 10 an I/O error, 19 a constraint.
    pub code: i32,
    /// Of a commit: it is carried out all the same, and only its answer is an error.
    pub is_applied: bool,
}

type Plan = Box<dyn FnMut(Call) -> Option<DiskFault> + Send>;

/// Which statements fail.
#[derive(Default)]
pub struct Faults(RefCell<Option<Plan>>);

impl Faults {
    /// Asks the plan before each statement.
    pub fn plan(plan: impl FnMut(Call) -> Option<DiskFault> + Send + 'static) -> Self {
        Self(RefCell::new(Some(Box::new(plan))))
    }

    pub(super) fn check(&self, call: Call) -> Option<DiskFault> {
        self.0.borrow_mut().as_mut().and_then(|plan| plan(call))
    }
}

impl DiskFault {
    pub(super) fn error(self) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(self.code), Some("a fault of the test".to_owned()))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.borrow().is_some() { "Faults(planned)" } else { "Faults(none)" })
    }
}
