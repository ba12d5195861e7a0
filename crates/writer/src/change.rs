//! What one message changes, before it is written: so that it can be left out again.

use std::sync::Arc;

use sanimon_codec::LimitCounts;
use sanimon_domain::{DeviceNo, MetricNo, Quality, TimestampMs};
use sanimon_store::{
    Device, DeviceEvent, Doubted, JournalMessage, MqttPart, Point, QuarantineEntry, QuarantineLimits, Result,
    Series, StoredMessage, Tx,
};

/// The rows and the rules' inputs of one message. Most are empty for most messages: an empty list costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// When sanimon could first act on the message.
    pub(crate) known_at: TimestampMs,
    pub(crate) new_devices: Vec<Device>,
    /// Known devices whose entry the message changed: a calibration that was waited for.
    pub(crate) changed_devices: Vec<Device>,
    pub(crate) new_metrics: Vec<NewMetric>,
    pub(crate) journal: Vec<JournalMessage>,
    pub(crate) statuses: Vec<(DeviceNo, bool, TimestampMs)>,
    pub(crate) last_known: Vec<LastKnown>,
    pub(crate) events: Vec<DeviceEvent>,
    pub(crate) suspects: Vec<Doubted>,
    /// Suspect readings that this one confirmed: they are telemetry now.
    pub(crate) confirmed: Vec<(Series, TimestampMs)>,
    /// What each series waits for its next reading to decide, afterwards.
    pub(crate) unconfirmed: Vec<(Series, Option<Point>)>,
    /// Devices whose clock was found to be off by a constant time, or right again.
    pub(crate) clocks: Vec<(DeviceNo, Option<i64>, TimestampMs)>,
    pub(crate) quarantine: Option<Box<QuarantineEntry>>,
    /// What the embedded broker keeps of the message, and for whom.
    pub(crate) mqtt: Option<Box<(StoredMessage, Arc<MqttPart>)>>,
    /// What the rules see, in order.
    pub(crate) evaluate: Vec<Evaluate>,
    pub(crate) counts: Counts,
}

/// A metric that no table knew.
#[derive(Debug)]
pub(crate) struct NewMetric {
    pub(crate) no: MetricNo,
    pub(crate) name: Box<str>,
    pub(crate) device: DeviceNo,
}

/// A value of a retained message without a time.
#[derive(Debug)]
pub(crate) struct LastKnown {
    pub(crate) series: Series,
    pub(crate) value: f64,
    pub(crate) received_at: TimestampMs,
}

/// An input of the rules' engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Evaluate {
    /// A device of [`Change::new_devices`], by its place there.
    NewDevice(usize),
    Seen {
        device: DeviceNo,
        at: TimestampMs,
    },
    Reading {
        series: Series,
        point: Point,
        quality: Quality,
        is_dated: bool,
    },
}

/// What is only counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) duplicates: u64,
    pub(crate) corrections: u64,
    pub(crate) faults: u64,
    /// What decoding left out.
    pub(crate) limits: LimitCounts,
    /// Unknown devices and metrics for which there was no room.
    pub(crate) devices_refused: u64,
    pub(crate) metrics_refused: u64,
}

/// Rows for which there was no place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Of devices that have too many different ones.
    pub(crate) device_events: u64,
    /// Older ones, for new ones of the same sender, or of all.
    pub(crate) quarantine_rows: u64,
}

/// Writes the rows of changes: those of a group table by table, which is what makes a group cheap, or those of one alone.
pub(crate) struct RowWriter<'a> {
    limits: QuarantineLimits,
    /// How many rows the quarantine has, and will have.
    pub(crate) quarantine_rows: i64,
    pub(crate) dropped: Dropped,
    now: TimestampMs,
    /// The number of the next row of the journal: the transaction's, for a group.
    pub(crate) journal_no: u64,
    tx: &'a Tx<'a>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(tx: &'a Tx<'a>, limits: QuarantineLimits, rows: i64, now: TimestampMs) -> Self {
        Self { limits, quarantine_rows: rows, dropped: Dropped::default(), now, journal_no: tx.no(), tx }
    }

    pub(crate) fn write<'c>(&mut self, changes: impl Iterator<Item = &'c Change> + Clone) -> Result<()> {
        self.registry(changes.clone())?;
        self.readings(changes.clone())?;
        let journal = changes.clone().flat_map(|change| &change.journal);
        if journal.clone().next().is_some() {
            self.tx.put_journal(self.journal_no, journal, self.now)?;
        }
        for (message, part) in changes.clone().filter_map(|change| change.mqtt.as_deref()) {
            self.tx.put_mqtt_part(message, part)?;
        }
        self.quarantine(changes.filter_map(|change| change.quarantine.as_deref()))
    }

    pub(crate) fn quarantine<'c>(
        &mut self,
        entries: impl Iterator<Item = &'c QuarantineEntry>,
    ) -> Result<()> {
        for entry in entries {
            let growth = self.tx.put_quarantined(entry, self.limits, self.quarantine_rows)?;
            self.quarantine_rows += growth.rows;
            self.dropped.quarantine_rows += growth.removed;
        }
        Ok(())
    }

    fn registry<'c>(&mut self, changes: impl Iterator<Item = &'c Change>) -> Result<()> {
        for change in changes {
            for device in change.new_devices.iter().chain(&change.changed_devices) {
                self.tx.put_device(device)?;
            }
            for NewMetric { no, name, device } in &change.new_metrics {
                self.tx.put_metric(*no, name, Some(*device))?;
            }
            for (device, is_online, at) in &change.statuses {
                self.tx.put_status(*device, *is_online, *at)?;
            }
            for LastKnown { series, value, received_at } in &change.last_known {
                self.tx.put_last_known(*series, *value, *received_at)?;
            }
            for (device, behind_ms, since) in &change.clocks {
                self.tx.put_device_clock(*device, *behind_ms, *since)?;
            }
            for event in &change.events {
                self.dropped.device_events += u64::from(!self.tx.put_event(event)?);
            }
        }
        Ok(())
    }

    fn readings<'c>(&mut self, changes: impl Iterator<Item = &'c Change>) -> Result<()> {
        let mut has_suspects = false;
        for change in changes {
            for suspect in &change.suspects {
                self.tx.put_suspect(suspect)?;
                has_suspects = true;
            }
            // In order: what a reading decides concerns what was unconfirmed before it.
            for (series, at) in &change.confirmed {
                self.tx.remove_suspect(*series, *at)?;
            }
            for (series, unconfirmed) in &change.unconfirmed {
                self.tx.set_unconfirmed(*series, *unconfirmed)?;
            }
        }
        if has_suspects { self.tx.trim_suspects() } else { Ok(()) }
    }
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            known_at: _,
            new_devices,
            changed_devices,
            new_metrics,
            journal,
            statuses,
            last_known,
            events,
            suspects,
            confirmed,
            unconfirmed,
            clocks,
            quarantine,
            mqtt,
            evaluate: _,
            counts: _,
        } = self;
        new_devices.is_empty()
            && changed_devices.is_empty()
            && new_metrics.is_empty()
            && journal.is_empty()
            && statuses.is_empty()
            && last_known.is_empty()
            && events.is_empty()
            && suspects.is_empty()
            && confirmed.is_empty()
            && unconfirmed.is_empty()
            && clocks.is_empty()
            && quarantine.is_none()
            && mqtt.is_none()
    }
}
