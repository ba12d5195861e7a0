//! A channel, and what is known of its messages beside the outbox.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sanimon_domain::time::{MINUTE_MS, SECOND_MS};
use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::{DeliveryOutcome, DeliveryResult, Shared};

use crate::channel::Channel;
use crate::outcomes::{OutcomeSink, Unrecorded};
use crate::policy::{Key, Policy};
use crate::send::Sender;

/// A message during which the channel broke off waits for so long, then twice as long each time: others go first.
const AFTER_A_PANIC_MS: i64 = 10 * SECOND_MS;
const AFTER_A_PANIC_MAX_MS: i64 = 10 * MINUTE_MS;

/// What messages say about the site.
#[derive(Debug, Clone)]
pub struct Site {
    pub name: String,
    /// Where the console is, for links.
    pub url: Option<String>,
}

/// What all channels of a site share.
#[derive(Debug, Clone)]
pub struct DeliveryParts {
    pub site: Site,
    pub shared: Shared,
    pub clock: Arc<dyn Clock>,
    pub outcomes: Arc<dyn OutcomeSink>,
}

/// A channel, and what of it must outlive a panic.
#[derive(Debug)]
pub struct ChannelDelivery {
    pub(crate) channel: Channel,
    pub(crate) parts: DeliveryParts,
    pub(crate) sender: Sender,
    memory: Mutex<Memory>,
}

/// What is not in the outbox, or not yet.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) unrecorded: Unrecorded,
    pub(crate) in_flight: Option<InFlight>,
    /// Messages during which the channel broke off: how often, and until when they wait.
    pub(crate) broken_off: BTreeMap<Key, (u32, TimestampMs)>,
}

/// What is being sent.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) key: Key,
    /// Its messages, and how often each was tried before.
    pub(crate) messages: Vec<(i64, u32)>,
}

impl ChannelDelivery {
    pub fn new(channel: Channel, parts: &DeliveryParts) -> Self {
        Self { channel, parts: parts.clone(), sender: Sender::new(), memory: Mutex::default() }
    }

    /// The channel's name.
    pub fn name(&self) -> &str {
        &self.channel.name
    }

    /// What is to be written down now.
    pub(crate) fn outcomes_due(&self, is_idle: bool) -> Vec<DeliveryOutcome> {
        self.memory().unrecorded.due(self.now(), is_idle)
    }

    /// They are written down, or the reason why not; then they are kept.
    pub(crate) fn outcomes_recorded(&self, outcomes: &[DeliveryOutcome], recorded: Result<(), String>) {
        let mut memory = self.memory();
        match recorded {
            Ok(()) => memory.unrecorded.recorded(outcomes),
            Err(error) => {
                if memory.unrecorded.failed(self.now()) {
                    tracing::warn!(
                        channel = self.name(),
                        error,
                        "cannot write down what became of messages: kept in memory"
                    );
                }
            }
        }
    }

    /// When outcomes that could not be written down are to be offered again.
    pub(crate) fn record_again_at(&self) -> Option<TimestampMs> {
        self.memory().unrecorded.again_at()
    }

    /// What a new run has to know of the one that a panic ended: a message in the middle of which it happened waits, and
    /// others go before it.
    pub(crate) fn policy(&self) -> Policy {
        let (now, mut policy) = (self.now(), Policy::default());
        let mut memory = self.memory();
        if let Some(InFlight { key, messages }) = memory.in_flight.take() {
            let times = memory.broken_off.get(&key).map_or(0, |(times, _)| *times);
            let at = now.plus_ms((AFTER_A_PANIC_MS << times.min(10)).min(AFTER_A_PANIC_MAX_MS));
            memory.broken_off.insert(key, (times + 1, at));
            for (id, attempts) in messages {
                let error = "sanimon broke off while it sent this: the log says where".to_owned();
                let result = DeliveryResult::Later { at, error };
                memory.unrecorded.push(DeliveryOutcome { id, attempts, at: now, result });
            }
        }
        memory.broken_off.iter().for_each(|(key, (_, at))| policy.hold_back(*key, *at));
        policy
    }

    pub(crate) fn now(&self) -> TimestampMs {
        self.parts.clock.now()
    }

    /// What a panic left behind is still sound: it is changed in one step each time.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
