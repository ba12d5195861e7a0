//! A decoded message, and the one place where it grows.

use sanimon_domain::{Fault, FaultCode};

use crate::budget::{self, Budget, LimitCounts, Work, admits};
use crate::device::Frame;
use crate::report::{Body, DeviceReport, Sender};
use crate::sample::{SampleTime, Samples};

/// A decoded message: what was understood, by device, and what was not.
///
/// It grows only through its own functions, which keep it within the limits of [`crate::budget`]. Its fields are for reading.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// A gateway's message is of many devices.
    pub reports: Vec<DeviceReport>,
    /// Each fault once. One of [`FaultCode::TooMuch`] is the last, if a limit was met.
    pub faults: Vec<Fault>,
    /// Faults that are not kept.
    pub more_faults: u32,
    /// What was left out.
    pub limits: LimitCounts,
    budget: Budget,
    /// Readings and events of all devices so far.
    readings: usize,
    events: usize,
}

impl Decoded {
    /// A message of which nothing was understood.
    pub fn fault(code: FaultCode, message: impl Into<String>) -> Self {
        let mut decoded = Self::default();
        decoded.add_fault(Fault::new(code, message));
        decoded
    }

    /// What one device says. A fault about who speaks is the message's.
    pub(crate) fn of(sender: Result<Sender, Fault>, samples: Samples) -> Self {
        let mut decoded = Self::default();
        decoded.add(sender, samples);
        decoded
    }

    /// Adds a device and what it says; a device beyond the limit is only counted.
    pub(crate) fn add(&mut self, sender: Result<Sender, Fault>, samples: Samples) {
        match sender {
            Err(fault) => {
                self.keep_fault(fault);
                // What was left out of the message was left out, whoever spoke.
                self.budget.add(samples.budget);
            }
            Ok(sender) => {
                if self.push(DeviceReport::new(sender)) {
                    self.merge(self.reports.len() - 1, samples);
                }
            }
        }
        self.tell_limits();
    }

    pub(crate) fn add_status(&mut self, sender: Sender, online: bool) {
        self.push(DeviceReport { body: Body::Status { online }, ..DeviceReport::new(sender) });
        self.tell_limits();
    }

    /// Whether a further device is within the limit. One that is not is counted, and need not be read.
    pub(crate) fn has_room_for_device(&mut self) -> bool {
        admits(self.reports.len(), budget::DEVICES_MAX, &mut self.budget.met.devices)
    }

    /// Adds what was left out while the message was read.
    pub(crate) fn add_budget(&mut self, budget: Budget) {
        self.budget.add(budget);
        self.tell_limits();
    }

    /// Adds what a device's own frame said; its readings without a time of their own get the network's. The raw frame
    /// stays, for its identity.
    pub fn add_frame(&mut self, index: usize, frame: &Frame) {
        let Some(report) = self.reports.get(index) else { return };
        let network = report.frame.as_ref().map_or(SampleTime::Missing, |raw| raw.at);
        let mut samples = Samples::default();
        let mut before = None;
        for reading in &frame.readings {
            // A record of a history begins where the time changes.
            if before != Some(reading.at) && !samples.next_sample() {
                continue;
            }
            before = Some(reading.at);
            let at = reading.at.map_or(network, SampleTime::Given);
            samples.value(reading.name, reading.value, at);
        }
        for event in &frame.events {
            samples.event(event.about, event.what, event.detail.as_deref());
        }
        self.add_samples(index, samples);
    }

    /// Adds what a device's codec said.
    pub fn add_samples(&mut self, index: usize, samples: Samples) {
        self.merge(index, samples);
        self.tell_limits();
    }

    /// Adds a fault. An equal one is not added again; beyond the limit it is counted in `more_faults`.
    pub fn add_fault(&mut self, fault: Fault) {
        self.keep_fault(fault);
        self.tell_limits();
    }

    /// What decoding took, in operations.
    pub fn work(&self) -> Work {
        self.budget.work
    }

    fn keep_fault(&mut self, fault: Fault) {
        self.budget.keep_fault(&mut self.faults, fault);
    }

    /// The one place where `reports` grows.
    fn push(&mut self, report: DeviceReport) -> bool {
        let has_room = self.has_room_for_device();
        if has_room {
            self.reports.push(report);
        }
        has_room
    }

    /// The one place where what a device said grows.
    fn merge(&mut self, index: usize, samples: Samples) {
        let Samples { mut readings, faults, mut events, frame, budget, .. } = samples;
        self.budget.add(budget);
        for fault in faults {
            self.keep_fault(fault);
        }
        let Some(report) = self.reports.get_mut(index) else { return };
        let met = &mut self.budget.met;
        met.readings += shorten(&mut readings, budget::READINGS_MAX - self.readings);
        met.events += shorten(&mut events, budget::EVENTS_MAX - self.events);
        self.readings += readings.len();
        self.events += events.len();
        report.events.extend(events);
        report.frame = report.frame.take().or(frame);
        match &mut report.body {
            Body::Telemetry(known) => known.extend(readings),
            Body::Nothing if !readings.is_empty() => report.body = Body::Telemetry(readings),
            Body::Status { .. } | Body::Nothing => {}
        }
    }

    /// One fault says which limits were met so far, and the counters are as it says.
    fn tell_limits(&mut self) {
        if !self.budget.met.is_zero() {
            self.faults.retain(|fault| fault.code != FaultCode::TooMuch);
            self.budget.met.faults += shorten(&mut self.faults, budget::FAULTS_MAX - 1);
            self.faults.extend(self.budget.met.fault());
        }
        self.limits = self.budget.met;
        self.more_faults = self.limits.faults;
    }
}

/// Leaves as many, and says how many were dropped.
fn shorten<T>(list: &mut Vec<T>, len_max: usize) -> u32 {
    let dropped = list.len().saturating_sub(len_max);
    list.truncate(len_max);
    dropped as u32
}
