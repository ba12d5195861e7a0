//! A message as it is kept and handed on.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;

use crate::packet::Properties;
use crate::topics::Topic;

/// What was published, under its full topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: Topic,
    pub payload: Bytes,
    pub properties: Option<Arc<Properties>>,
    /// When it came (milliseconds, UTC).
    pub received_at_ms: i64,
    /// When it is of no use any more.
    pub expires_at_ms: Option<i64>,
}

impl Message {
    /// As it was published now. Its own time runs from here.
    pub fn new(topic: Topic, payload: Bytes, properties: Option<Box<Properties>>, now_ms: i64) -> Self {
        let expiry_s = properties.as_ref().and_then(|own| own.expiry_s);
        let expires_at_ms = expiry_s.map(|s| now_ms + i64::from(s.get()) * 1_000);
        let properties = properties.map(|own| Arc::new(*own));
        Self { topic, payload, properties, received_at_ms: now_ms, expires_at_ms }
    }

    /// What it takes of a queue.
    pub fn bytes(&self) -> usize {
        let user = self.properties.as_deref().map_or(0, Properties::user_bytes);
        self.topic.as_str().len() + self.payload.len() + user
    }

    /// What is left of its time, in seconds, rounded up (5.0, 3.3.2-6). A message that is sent has some.
    pub fn expiry_s(&self, now_ms: i64) -> Option<NonZeroU32> {
        let left_ms = self.expires_at_ms?.saturating_sub(now_ms.max(self.received_at_ms)).max(0);
        NonZeroU32::new((left_ms as u64).div_ceil(1_000).clamp(1, u64::from(u32::MAX)) as u32)
    }
}
