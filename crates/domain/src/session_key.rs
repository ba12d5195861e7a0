//! Whose MQTT session.

use std::sync::Arc;

/// A client id belongs to its credential: the key is both. One type for it, from the socket to the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// The username, or another name that no username can be. All nameless clients are one.
    pub owner: Arc<str>,
    pub client_id: Arc<str>,
}
