//! A message on its way: what it changes, and what is wrong with it.

use sanimon_domain::{DeviceNo, Fault, FaultCode, Quality};
use sanimon_store::{DeviceEvent, Point, Series};

use crate::change::{Change, Evaluate};
use crate::message::Message;

/// A message on its way: what it changes, and what is wrong with it.
pub(super) struct Passage<'m> {
    pub(super) message: &'m Message,
    pub(super) change: Change,
    pub(super) faults: Vec<Fault>,
    /// Whose share of the quarantine it takes: the first device that it is about.
    pub(super) sender: Option<DeviceNo>,
}

/// How much a message's change held at a moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) stored: usize,
    pub(super) evaluated: usize,
    pub(super) faults: usize,
}

impl Passage<'_> {
    pub(super) fn place(&self) -> Place {
        let Change { journal, suspects, events, statuses, evaluate, .. } = &self.change;
        let said: i64 = events.iter().map(|event| event.count).sum();
        let online = statuses.iter().filter(|(_, is_online, _)| *is_online).count();
        let news = journal.iter().filter(|message| !message.is_old_news).count();
        let stored = news + suspects.len() + said as usize + online;
        Place { stored, evaluated: evaluate.len(), faults: self.faults.len() }
    }

    /// A device was heard when something that it says now is stored: then a restart knows it, too. What a broker brings
    /// again, and what it retained, is no sign of life.
    pub(super) fn note_heard(&mut self, device: DeviceNo, before: Place) {
        if self.message.is_retained {
            return;
        }
        let own_faults = self.message.decoded.reports.len() == 1 && !self.faults.is_empty();
        if self.place().stored == before.stored && (own_faults || self.faults.len() > before.faults) {
            self.event(device, ("device", "not_understood"), None);
        }
        if self.place().stored > before.stored {
            let seen = Evaluate::Seen { device, at: self.message.received_at };
            self.change.evaluate.insert(before.evaluated, seen);
        }
    }

    pub(super) fn fault(&mut self, code: FaultCode, text: impl Into<String>) {
        let fault = Fault::new(code, text);
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// There is no room for one more metric that no table knows.
    pub(super) fn refuse_metric<T>(&mut self, text: impl Into<String>) -> Option<T> {
        self.change.counts.metrics_refused += 1;
        self.fault(FaultCode::SiteLimit, text);
        None
    }

    /// Nor for one more device that nobody has entered.
    pub(super) fn refuse_device<T>(&mut self, text: impl Into<String>) -> Option<T> {
        self.change.counts.devices_refused += 1;
        self.fault(FaultCode::SiteLimit, text);
        None
    }

    /// Counts something that the device said besides readings: once a message for each word.
    pub(super) fn event(&mut self, device: DeviceNo, (about, what): (&str, &str), detail: Option<&str>) {
        let at = self.message.received_at;
        let events = &mut self.change.events;
        let is_same = |event: &&mut DeviceEvent| {
            event.device == device && *event.about == *about && *event.what == *what
        };
        if let Some(known) = events.iter_mut().rev().take(EVENTS_COMPARED).find(is_same) {
            known.count += 1;
            known.detail = detail.map(Into::into);
            return;
        }
        events.push(DeviceEvent {
            device,
            about: about.into(),
            what: what.into(),
            detail: detail.map(Into::into),
            count: 1,
            first_at: at,
            last_at: at,
        });
    }

    pub(super) fn evaluate(&mut self, series: Series, point: Point, quality: Quality, is_dated: bool) {
        self.change.evaluate.push(Evaluate::Reading { series, point, quality, is_dated });
    }
}

/// How many of a message's newest events are looked through for the same word: a backlog says the same again and again.
const EVENTS_COMPARED: usize = 32;
