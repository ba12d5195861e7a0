//! The live feed: what was committed, in the order of the commits.
//!
//! A follower that was away gives the number of the last event it has seen and gets what it missed, as long as
//! that is still kept; else it is told to load everything anew. It never slows the writer: one that is too slow
//! loses its place, not the writer's time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};
use tokio::sync::broadcast;

use crate::model::Alert;

/// Events kept for followers that come back. A reconnect takes seconds, a busy site commits 300 groups a second.
const KEPT_EVENTS: usize = 4_096;
/// Readings in kept events: bounds the memory whatever the groups' sizes (24 bytes each).
const KEPT_READINGS: usize = 100_000;
/// Events that a follower may lag behind before it has to catch up from the kept ones.
const LAG_EVENTS: usize = 1_024;

/// A reading as followers see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeedReading {
    pub device: DeviceNo,
    pub metric: MetricNo,
    pub at: TimestampMs,
    pub value: f64,
}

/// What one commit changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Committed {
    pub readings: Vec<FeedReading>,
    /// Each alert that changed, as it stands after the commit.
    pub alerts: Vec<Alert>,
    /// Devices that are new or whose entry changed.
    pub devices: Vec<DeviceNo>,
    /// More than that is other than before: whoever shows something loads everything anew.
    pub is_incomplete: bool,
}

impl Committed {
    pub fn is_empty(&self) -> bool {
        !self.is_incomplete && self.readings.is_empty() && self.alerts.is_empty() && self.devices.is_empty()
    }
}

/// An event with its number, dense from 1 within a run of the process.
#[derive(Debug)]
pub struct Event {
    pub number: u64,
    pub committed: Committed,
}

#[derive(Debug)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    readings: usize,
    next_number: u64,
}

/// The feed's sending side and its memory.
#[derive(Debug)]
pub struct Feed {
    sender: broadcast::Sender<Arc<Event>>,
    kept: Mutex<Kept>,
}

/// Where a follower starts.
#[derive(Debug)]
pub struct Subscription {
    /// What was missed, in order.
    pub missed: Vec<Arc<Event>>,
    /// What was missed is no longer kept: load everything anew.
    pub must_reload: bool,
    /// The number of the last event that is already part of what can be loaded.
    pub last_number: u64,
    pub receiver: broadcast::Receiver<Arc<Event>>,
}

impl Default for Feed {
    fn default() -> Self {
        let kept = Kept { events: VecDeque::new(), readings: 0, next_number: 1 };
        Self { sender: broadcast::Sender::new(LAG_EVENTS), kept: Mutex::new(kept) }
    }
}

impl Feed {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called after the commit, in the order of the commits.
    pub fn publish(&self, committed: Committed) {
        if committed.is_empty() {
            return;
        }
        let mut kept = self.kept();
        let event = Arc::new(Event { number: kept.next_number, committed });
        kept.next_number += 1;
        kept.readings += event.committed.readings.len();
        kept.events.push_back(event.clone());
        while kept.events.len() > KEPT_EVENTS || (kept.readings > KEPT_READINGS && kept.events.len() > 1) {
            let Some(oldest) = kept.events.pop_front() else {
                break;
            };
            kept.readings -= oldest.committed.readings.len();
        }
        // Sent under the lock, so that a subscription misses nothing between the kept events and the live ones.
        // No follower is no error.
        let _ = self.sender.send(event);
    }

    /// Follows from after event `seen` on; `None` follows from now on.
    pub fn subscribe(&self, seen: Option<u64>) -> Subscription {
        let kept = self.kept();
        let receiver = self.sender.subscribe();
        let last_number = kept.next_number - 1;
        let Some(seen) = seen else {
            return Subscription { missed: Vec::new(), must_reload: false, last_number, receiver };
        };
        let oldest_kept = kept.events.front().map_or(kept.next_number, |event| event.number);
        let must_reload = seen + 1 < oldest_kept || seen > last_number;
        let missed = if must_reload {
            Vec::new()
        } else {
            kept.events.iter().filter(|event| event.number > seen).cloned().collect()
        };
        Subscription { missed, must_reload, last_number, receiver }
    }

    pub fn followers(&self) -> usize {
        self.sender.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(device: u32) -> Committed {
        Committed { devices: vec![DeviceNo(device)], ..Committed::default() }
    }

    #[test]
    fn a_follower_that_comes_back_gets_what_it_missed() {
        let feed = Feed::default();
        for device in 0..5 {
            feed.publish(one(device));
        }
        let back = feed.subscribe(Some(3));
        let numbers: Vec<u64> = back.missed.iter().map(|event| event.number).collect();
        assert_eq!((numbers, back.must_reload), (vec![4, 5], false));
    }

    #[test]
    fn a_follower_that_was_away_too_long_or_of_another_run_must_reload() {
        let feed = Feed::default();
        for device in 0..=KEPT_EVENTS as u32 {
            feed.publish(one(device));
        }
        assert!(feed.subscribe(Some(0)).must_reload);
        assert!(!feed.subscribe(Some(1)).must_reload);
        assert!(feed.subscribe(Some(1_000_000)).must_reload);
    }

    #[test]
    fn what_is_kept_is_bounded_by_readings_too() {
        let feed = Feed::default();
        let reading =
            FeedReading { device: DeviceNo(0), metric: MetricNo(0), at: TimestampMs(0), value: 0.0 };
        for _ in 0..50 {
            feed.publish(Committed { readings: vec![reading; 10_000], ..Committed::default() });
        }
        assert!(feed.kept().readings <= KEPT_READINGS);
    }
}
