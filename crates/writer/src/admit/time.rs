//! Whose time a reading has.
//!
//! Measurements are filed at their own time, where the device's clock can be right. A time that nobody gave is the
//! receipt's; several samples of one message that have none are filed a millisecond apart, so that none replaces another.

use sanimon_codec::{RawReading, SampleTime};
use sanimon_domain::time::{ObservedAt, observed_or_received};
use sanimon_domain::{DeviceNo, FaultCode, Metric, TimestampMs};

use super::Batch;
use super::clock::Clock;
use super::passage::Passage;
use crate::message::Message;

/// How far a receipt time may be moved so that two undated messages of one millisecond are two readings.
const BURST_MS_MAX: i64 = 10_000;

/// A reading whose time has been decided, or will be the receipt's.
#[derive(Debug, Clone)]
pub(super) struct Dated {
    pub(super) metric: Metric,
    pub(super) value: f64,
    at: Option<TimestampMs>,
    /// Its place among the samples of its message.
    sample: u32,
    /// The device gave a time that cannot be used, or several samples without one: when it was measured is a guess.
    is_guess: bool,
}

impl Dated {
    /// Nobody gave it a time.
    pub(super) const fn is_undated(&self) -> bool {
        self.at.is_none()
    }

    pub(super) fn at(&self) -> TimestampMs {
        self.at.expect("receipt's times are given before it is asked")
    }

    /// Whether a change since the reading before it says something: not when its time is a guess.
    pub(super) const fn is_evidence_of_change(&self) -> bool {
        !self.is_guess
    }
}

impl Batch<'_> {
    /// Decides whose time each reading has; a clock that cannot be right is named.
    pub(super) fn date(
        &mut self,
        passage: &mut Passage<'_>,
        device: DeviceNo,
        readings: &[RawReading],
    ) -> Vec<Dated> {
        let clock = self.clock(passage, device, readings);
        let mut dated = Vec::with_capacity(readings.len());
        let mut wrong_side = None;
        for raw in readings {
            let claimed = raw.at.given().map(|claimed| clock.corrected(claimed));
            let observed = observed_or_received(claimed, passage.message.received_at, self.limits.window);
            let (at, is_guess) = match observed {
                ObservedAt::Device(at) => (Some(at), false),
                ObservedAt::Receipt(_) => (None, raw.at == SampleTime::Unreadable),
                ObservedAt::Implausible { claimed, .. } => {
                    wrong_side =
                        Some(if claimed > passage.message.received_at { "ahead of" } else { "behind" });
                    (None, true)
                }
            };
            dated.push(Dated {
                metric: raw.metric.clone(),
                value: raw.value,
                at,
                sample: raw.sample,
                is_guess,
            });
        }
        if let Some(side) = wrong_side {
            let text =
                format!("the device's clock is too far {side} the site's; the time of receipt is used");
            passage.fault(FaultCode::ClockWrong, text);
            passage.event(device, ("device", "clock_wrong"), Some(side));
        }
        if let Clock::Suspected(behind_ms) | Clock::Behind(behind_ms) = clock {
            let behind = format!("{} behind", spoken(behind_ms));
            if let Clock::Behind(_) = clock {
                let text = format!("the device's clock is {behind} the site's: its times are corrected");
                passage.fault(FaultCode::ClockWrong, text);
            }
            passage.event(device, ("device", "clock_wrong"), Some(&behind));
        }
        dated
    }

    /// Gives the receipt's time to readings that have none. It is moved by milliseconds where this device already has a
    /// reading there: two messages without a time in one millisecond are two readings, not one and a correction.
    pub(super) fn give_receipt_times(&mut self, message: &Message, device: DeviceNo, readings: &mut [Dated]) {
        let first =
            readings.iter().filter(|reading| reading.is_undated()).map(|reading| reading.sample).min();
        let Some(first) = first else { return };
        let received = message.received_at;
        let newest = self.recent.latest(device).map(|latest| latest.at).max();
        let newest = newest.max(self.newest_at.get(&device).copied());
        let begin = match newest {
            Some(newest) if newest >= received && newest.since_ms(received) < BURST_MS_MAX => {
                newest.plus_ms(1)
            }
            _ => received,
        };
        let mut end = begin;
        let has_several = readings.iter().any(|reading| reading.is_undated() && reading.sample != first);
        for reading in readings.iter_mut().filter(|reading| reading.is_undated()) {
            let at = begin.plus_ms(i64::from(reading.sample - first));
            reading.at = Some(at);
            reading.is_guess |= has_several;
            end = end.max(at);
        }
        self.newest_at.insert(device, end.max(newest.unwrap_or(end)));
    }
}

/// `8 h`, `1 h 30 min`.
fn spoken(ms: i64) -> String {
    let minutes = (ms + 30_000) / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
