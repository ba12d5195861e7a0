//! What HTTP and MQTT share before somebody has signed in.
//!
//! * [`serve()`]: accepts at a [`Door`], speaks TLS, and hands over an [`Anonymous`] connection
//! * [`Admission`]: how many connections may wait for their sign-in; the oldest goes first
//! * [`Tls`]: certificates, read again when they change; [`TlsSource`]: what holds for new connections
//! * [`Addresses`]: how many of something an address has
//! * [`Limiter`]: how often a key may do something; it forgets the one that was quiet for longest
//!
//! It does *not* know a protocol, a credential or the store.

#![forbid(unsafe_code)]

mod addresses;
mod admission;
mod rate;
mod serve;
mod stream;
mod tls;

pub use addresses::Addresses;
pub use admission::{Admission, AdmissionLimits, Place};
pub use rate::{Allowance, Bucket, Limiter, network};
pub use serve::{Anonymous, Door, HANDSHAKES_MAX, Notices, Peer, serve};
pub use stream::Stream;
pub use tls::{Loaded, Minimum, Tls, TlsFault, TlsFiles, TlsSource, certificates, common_name};
