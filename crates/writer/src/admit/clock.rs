//! Clocks that are off by a constant time: a device that takes local time for UTC is eight hours behind, message after
//! message.
//!
//! A backlog looks like that at first, too. What tells them apart is how the distance between what is said and the receipt
//! goes on: in a backlog that is sent as fast as the network allows, it shrinks from message to message; of a wrong clock it
//! stays. A device that sends one stored sample for each new one keeps its distance as well, but its samples go on where the
//! ones before its silence ended, and it was silent for as long as it is behind: that is believed. Where such a row ended is
//! asked of the stored readings after a restart: when a site was away, its devices have stored samples.

use foldhash::HashMap;
use sanimon_codec::RawReading;
use sanimon_domain::time::{MINUTE_MS, SECOND_MS};
use sanimon_domain::{DeviceNo, TimestampMs};

use super::Batch;
use super::passage::Passage;

/// What is behind by less may be the network: the narrowest time zones are a quarter of an hour apart.
const BEHIND_MS_MIN: i64 = 15 * MINUTE_MS;
/// Messages in a row that keep their distance, and how long they take at least before somebody is told.
const MESSAGES_MIN: u32 = 3;
const SPAN_MS_MIN: i64 = 3 * SECOND_MS;
/// After so long times are corrected: who sends a stored hour as fast as it was measured does it for a shorter time.
const CERTAIN_SPAN_MS_MIN: i64 = 10 * MINUTE_MS;
/// How far two distances may differ and be one: a time in whole seconds, a network that takes its time.
const TOLERANCE_MS: i64 = 2 * SECOND_MS;
/// And as a share of the time between the messages: 1/20.
const TOLERANCE_PARTS: i64 = 20;
/// How far the distance may wander in a row of any length: more is another distance.
const WANDER_MS_MAX: i64 = 3 * MINUTE_MS;
/// A clock that is known to be behind drifts, and its network is slow at times.
const KNOWN_TOLERANCE_MS: i64 = 10 * MINUTE_MS;

/// How a device's clock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Believed,
    /// It seems to be behind by this many milliseconds: that is said, and its times are believed.
    Suspected(i64),
    /// It is: its times are corrected.
    Behind(i64),
}

/// What a row of messages says of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    behind_ms: i64,
    is_certain: bool,
}

impl Clock {
    pub(super) fn corrected(self, claimed: TimestampMs) -> TimestampMs {
        match self {
            Self::Believed | Self::Suspected(_) => claimed,
            Self::Behind(behind_ms) => claimed.plus_ms(behind_ms),
        }
    }
}

/// Messages of a device in a row that keep their distance.
#[derive(Debug, Clone, Copy)]
struct Run {
    first_observed: TimestampMs,
    first_received: TimestampMs,
    last_observed: TimestampMs,
    last_received: TimestampMs,
    messages: u32,
    /// The run goes on where the samples before a silence of its distance ended.
    is_backlog: bool,
}

/// What is known of the devices' clocks while the process runs. Only messages with a time of their own count.
#[derive(Debug, Default)]
pub(crate) struct Clocks(HashMap<DeviceNo, Run>);

impl Clocks {
    fn knows(&self, device: DeviceNo) -> bool {
        self.0.contains_key(&device)
    }

    /// Takes a message's newest sample in; gives by how much the clock is behind, as far as that is known by now.
    fn observe(&mut self, device: DeviceNo, observed: TimestampMs, received: TimestampMs) -> Option<Verdict> {
        let Some(run) = self.0.get_mut(&device) else {
            self.0.insert(device, Run::new(observed, received, false));
            return None;
        };
        if observed == run.last_observed {
            // The same sample again.
            return run.verdict();
        }
        let behind_ms = received.since_ms(observed);
        let silent_ms = received.since_ms(run.last_received);
        let step_ms = observed.since_ms(run.last_observed) - silent_ms;
        let wandered_ms = behind_ms - run.first_received.since_ms(run.first_observed);
        if step_ms.abs() <= TOLERANCE_MS + silent_ms / TOLERANCE_PARTS && wandered_ms.abs() <= WANDER_MS_MAX {
            (run.last_observed, run.last_received) = (observed, received);
            run.messages = run.messages.saturating_add(1);
            return run.verdict();
        }
        let goes_on = observed > run.last_observed && observed.since_ms(run.last_observed) < behind_ms;
        let is_backlog = goes_on && (silent_ms - behind_ms).abs() <= behind_ms / 4 + BEHIND_MS_MIN;
        // A backlog stays one until it has caught up.
        let is_backlog =
            is_backlog || (run.is_backlog && behind_ms >= BEHIND_MS_MIN && observed > run.last_observed);
        *run = Run::new(observed, received, is_backlog);
        None
    }
}

impl Run {
    const fn new(observed: TimestampMs, received: TimestampMs, is_backlog: bool) -> Self {
        Self {
            first_observed: observed,
            first_received: received,
            last_observed: observed,
            last_received: received,
            messages: 1,
            is_backlog,
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        let behind_ms = self.last_received.since_ms(self.last_observed);
        let span_ms = self.last_received.since_ms(self.first_received);
        let is_row = self.messages >= MESSAGES_MIN && span_ms >= SPAN_MS_MIN;
        let is_certain = span_ms >= CERTAIN_SPAN_MS_MIN;
        (is_row && !self.is_backlog && behind_ms >= BEHIND_MS_MIN)
            .then_some(Verdict { behind_ms, is_certain })
    }
}

impl Batch<'_> {
    /// How the device's clock goes, as this message and those before it say.
    pub(super) fn clock(
        &mut self,
        passage: &mut Passage<'_>,
        device: DeviceNo,
        readings: &[RawReading],
    ) -> Clock {
        let message = passage.message;
        let known = self.known_clock(device);
        let newest = readings.iter().filter_map(|reading| reading.at.given()).max();
        let Some(observed) = newest.filter(|_| !message.is_retained) else {
            return known.map_or(Clock::Believed, Clock::Behind);
        };
        let received = message.received_at;
        if !self.clocks.knows(device)
            && let Some(run) = self.run_before(device, known)
        {
            self.clocks.0.insert(device, run);
        }
        let verdict = self.clocks.observe(device, observed, received);
        let certain = verdict.filter(|verdict| verdict.is_certain).map(|verdict| verdict.behind_ms);
        let behind_ms = received.since_ms(observed);
        let next = match known {
            // It was set right, or to another wrong time: that one has to be certain anew.
            Some(known_ms) if behind_ms < known_ms - KNOWN_TOLERANCE_MS => certain,
            // Further behind than its clock is: a backlog of a device with a wrong clock.
            Some(known_ms) if behind_ms > known_ms + KNOWN_TOLERANCE_MS => certain.or(Some(known_ms)),
            Some(known_ms) => Some(known_ms),
            None => certain,
        };
        if next != known {
            passage.change.clocks.push((device, next, received));
            self.known_clocks.insert(device, next);
        }
        let suspected = verdict.map_or(Clock::Believed, |verdict| Clock::Suspected(verdict.behind_ms));
        next.map_or(suspected, Clock::Behind)
    }

    /// What the stored readings say of the row that a device's messages go on. A device that was there when its newest sample
    /// was taken, and sent it late, has a backlog.
    fn run_before(&self, device: DeviceNo, known_ms: Option<i64>) -> Option<Run> {
        let newest = self.recent.latest(device).max_by_key(|latest| (latest.received_at, latest.at))?;
        let observed = newest.at.minus_ms(known_ms.unwrap_or(0));
        let is_late = known_ms.is_none() && newest.received_at.since_ms(observed) >= BEHIND_MS_MIN;
        let was_there = self.entry(device).is_some_and(|entry| entry.first_seen_at <= observed);
        Some(Run::new(observed, newest.received_at, is_late && was_there))
    }

    fn known_clock(&self, device: DeviceNo) -> Option<i64> {
        let here = self.known_clocks.get(&device).copied();
        here.unwrap_or_else(|| self.recent.clock_behind_ms(device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceNo = DeviceNo(0);
    const MINUTE: i64 = MINUTE_MS;

    /// Messages as (observed, received) in minutes; what is certain after each.
    fn verdicts(messages: &[(i64, i64)]) -> Vec<Option<i64>> {
        let mut clocks = Clocks::default();
        let ms = |minute: i64| TimestampMs(minute * MINUTE);
        let behind = |verdict: Verdict| {
            assert!(verdict.is_certain, "rows of a quarter of an hour are long enough");
            verdict.behind_ms / MINUTE
        };
        messages.iter().map(|(at, now)| clocks.observe(DEVICE, ms(*at), ms(*now)).map(behind)).collect()
    }

    #[test]
    fn a_clock_that_is_hours_behind_is_certain_with_the_third_message() {
        assert_eq!(
            verdicts(&[(0, 480), (15, 495), (30, 510), (45, 525)]),
            [None, None, Some(480), Some(480)]
        );
    }

    #[test]
    fn a_clock_that_is_set_wrong_while_it_runs_is_found_as_well() {
        let found = verdicts(&[(0, 0), (15, 15), (-450, 30), (-435, 45), (-420, 60)]);
        assert_eq!(found, [None, None, None, None, Some(480)]);
    }

    #[test]
    fn a_backlog_is_no_clock_whether_it_comes_at_once_or_one_for_one() {
        // Three hours of samples within a minute: the distance shrinks.
        assert_eq!(verdicts(&[(0, 180), (15, 180), (30, 181), (45, 181), (60, 181)]), [None; 5]);
        // Silent for three hours, then one stored sample at each interval: it goes on where it ended.
        assert_eq!(verdicts(&[(0, 0), (15, 15), (30, 210), (45, 225), (60, 240), (75, 255)]), [None; 6]);
    }

    #[test]
    fn one_message_that_was_on_its_way_for_long_is_no_clock_however_long_the_row_before_it() {
        let steady = (0..400).map(|n| (n * 15, n * 15));
        let messages: Vec<_> = steady.chain([(6_000, 6_040), (6_015, 6_055), (6_030, 6_030)]).collect();
        assert!(verdicts(&messages).iter().all(Option::is_none));
    }

    #[test]
    fn an_hour_of_history_that_is_sent_as_fast_as_it_was_measured_is_suspected_and_believed() {
        let mut clocks = Clocks::default();
        let verdicts = (0..60).map(|second: i64| {
            let now = TimestampMs(second * SECOND_MS);
            clocks.observe(DEVICE, now.minus_ms(60 * MINUTE), now)
        });
        let verdicts: Vec<Option<Verdict>> = verdicts.collect();
        assert!(verdicts[..3].iter().all(Option::is_none), "three seconds are too short to say anything");
        let suspected = Some(Verdict { behind_ms: 60 * MINUTE, is_certain: false });
        assert!(verdicts[3..].iter().all(|verdict| *verdict == suspected));
    }

    #[test]
    fn a_slow_network_is_no_clock() {
        assert_eq!(verdicts(&[(0, 10), (15, 25), (30, 40), (45, 55)]), [None; 4]);
    }
}
