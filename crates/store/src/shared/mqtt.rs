//! What the embedded broker asks at its start.

use sanimon_domain::{DeviceNo, TimestampMs};

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

    /// When something was last heard of any device: until then the site lived for certain.
    pub fn heard_until(&self) -> Option<TimestampMs> {
        let devices = self.directory.read().devices().len() as u32;
        let recent = self.hot.read();
        (0..devices).filter_map(|no| recent.heard_at(DeviceNo(no))).max()
    }
}
