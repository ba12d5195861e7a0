//! What HTTP and MQTT share before somebody has signed in.
//!
//! * [`Admission`]: how many connections may wait for their sign-in; the oldest goes first
//! * [`Tls`]: certificates, read again when they change; [`TlsSource`]: what holds for new connections
//!
//! It does *not* know a protocol, a credential or the store.

#![forbid(unsafe_code)]

mod admission;
mod tls;

pub use admission::{Admission, AdmissionLimits, Place};
pub use tls::{Loaded, Minimum, Tls, TlsFault, TlsFiles, TlsSource, certificates, common_name};
