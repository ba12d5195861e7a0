//! What HTTP and MQTT share before somebody has signed in.
//!
//! * [`Admission`]: how many connections may wait for their sign-in; the oldest goes first
//!
//! It does *not* know a protocol, a credential or the store.

#![forbid(unsafe_code)]

mod admission;

pub use admission::{Admission, AdmissionLimits, Place};
