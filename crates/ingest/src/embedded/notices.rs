//! What the embedded broker counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sanimon_broker::{Limit, Notices, Reason};
use sanimon_domain::Clock;
use sanimon_store::{Counters, Shared};

/// Counters of `/metrics`, and the page "Data health".
#[derive(Debug)]
pub(super) struct Counted {
    shared: Shared,
    clock: Arc<dyn Clock>,
}

impl Counted {
    pub(super) fn new(shared: Shared, clock: Arc<dyn Clock>) -> Self {
        // Each is told before it is met.
        Limit::ALL.iter().for_each(|limit| shared.health.mqtt_limits.count(limit.name(), 0));
        Self { shared, clock }
    }
}

impl Notices for Counted {
    fn limit(&self, limit: Limit, who: &str) {
        let health = &self.shared.health;
        health.note_mqtt_limit(limit.name(), who, self.clock.now());
        if limit == Limit::MessagesPerS {
            Counters::add(&health.counters.mqtt_slowed, 1);
        }
        tracing::debug!(limit = limit.name(), who, "a limit of the broker was met");
    }

    fn refused(&self, who: &str, reason: Reason) {
        Counters::add(&self.shared.health.counters.mqtt_refused, 1);
        tracing::debug!(who, ?reason, "sign-in refused");
    }

    fn denied(&self, who: &str, topic: &str) {
        Counters::add(&self.shared.health.counters.mqtt_denied, 1);
        tracing::debug!(who, topic, "no right to this topic");
    }

    fn connected(&self, number: usize) {
        self.shared.health.counters.mqtt_signed_in.store(number as u64, Ordering::Relaxed);
    }

    fn acknowledged(&self, number: usize) {
        // The other witness of the promise, besides the writer's count of commits.
        Counters::add(&self.shared.health.counters.acknowledgements_out, number as u64);
    }
}

impl sanimon_net::Notices for Counted {
    fn accepted(&self) {
        Counters::add(&self.shared.health.counters.mqtt_connections, 1);
    }

    fn evicted(&self, number: usize) {
        Counters::add(&self.shared.health.counters.mqtt_evicted, number as u64);
    }

    fn not_signed_in(&self, address: SocketAddr, error: &std::io::Error) {
        Counters::add(&self.shared.health.counters.mqtt_not_signed_in, 1);
        tracing::debug!(%address, %error, "connection ended before its sign-in");
    }
}
