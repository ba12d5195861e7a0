//! What the embedded broker asks at its start.

use crate::error::Result;
use crate::model::StoredSessions;
use crate::read;
use crate::shared::Shared;

impl Shared {
    /// Kept sessions with what they must still get, and retained messages, of one moment. What has expired meanwhile is among
    /// them. A row that cannot be understood is logged and left out.
    pub fn mqtt_sessions(&self) -> Result<StoredSessions> {
        self.with_reader(|connection| {
            read::stored_sessions(connection, &mut |fault| tracing::error!(fault, "left out"))
        })
    }
}
