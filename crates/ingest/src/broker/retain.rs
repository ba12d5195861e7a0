//! What the embedded broker keeps as retained: the state of open alerts, and nothing else. It lives in memory; sanimon
//! publishes all of it anew when it starts.

use std::time::Duration;

use async_trait::async_trait;
use rmqtt::retain::{DefaultRetainStorage, RetainStorage};
use rmqtt::types::{Retain, TopicFilter, TopicName};

/// Where the state of open alerts is published.
pub(crate) const ALERTS_TOPIC: &str = "sanitation/alerts/";

/// Bounded by the open alerts: devices cannot fill it.
pub(crate) struct OpenStates(DefaultRetainStorage);

impl OpenStates {
    pub(crate) fn new() -> Self {
        Self(DefaultRetainStorage::new())
    }
}

#[async_trait]
impl RetainStorage for OpenStates {
    fn enable(&self) -> bool {
        true
    }

    async fn set(
        &self,
        topic: &TopicName,
        retain: Retain,
        expiry_interval: Option<Duration>,
    ) -> rmqtt::Result<()> {
        if topic.starts_with(ALERTS_TOPIC) {
            self.0.set_with_timeout(topic, retain, expiry_interval).await?;
        }
        Ok(())
    }

    async fn get(&self, topic_filter: &TopicFilter) -> rmqtt::Result<Vec<(TopicName, Retain)>> {
        self.0.get_message(topic_filter).await
    }

    async fn count(&self) -> isize {
        self.0.count().await
    }

    async fn max(&self) -> isize {
        self.0.max().await
    }
}
