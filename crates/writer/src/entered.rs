//! Inputs that are neither messages nor commands: what became of messages to people, and readings of the past.

use sanimon_domain::TimestampMs;
use sanimon_store::{Class, Committed, Counters, DeliveryOutcome};

use crate::command::Done;
use crate::failure::Failure;
use crate::gathered::Group;
use crate::input::History;
use crate::outputs::Outputs;
use crate::state::{Applied, Live, Site, Writer};

impl Writer<Live> {
    /// Remembers what became of messages. While the disk refuses, their sender is told no, and keeps it in mind.
    pub(crate) fn deliveries<A>(mut self, now: TimestampMs, outcomes: &[DeliveryOutcome]) -> Applied<A> {
        match self.site.store_deliveries(outcomes) {
            Ok(()) => self.with_job(now, Outputs::answered(Ok(Done::Nothing))),
            Err(failure) => {
                let outputs = Outputs::answered(Err((&failure).into()));
                match failure.class {
                    Class::Permanent => Applied::Done { writer: self, outputs },
                    _ => self.broken_off(failure, outputs, Group::default()),
                }
            }
        }
    }

    /// Stores readings of the past: no rule sees them, and they are what their times say.
    pub(crate) fn history<A>(mut self, now: TimestampMs, history: &History) -> Applied<A> {
        match self.site.store_history(now, history) {
            Ok(()) => {
                let site = &mut self.site;
                site.memory.put_devices(history.new_devices.iter());
                for (no, name) in &history.new_metrics {
                    site.memory.put_metric(*no, name, None);
                }
                site.memory.add_messages(history.messages.iter());
                let readings = history.messages.iter().map(|message| message.readings.len() as u64).sum();
                Counters::add(&site.memory.health().counters.readings, readings);
                let devices = history.new_devices.iter().map(|device| device.no).collect();
                let feed = Committed { devices, ..Committed::default() };
                self.with_job(now, Outputs { answer: Some(Ok(Done::Nothing)), feed, ..Outputs::default() })
            }
            Err(failure) => {
                let outputs = Outputs::answered(Err((&failure).into()));
                self.broken_off(failure, outputs, Group::default())
            }
        }
    }
}

impl Site {
    fn store_deliveries(&mut self, outcomes: &[DeliveryOutcome]) -> Result<(), Failure> {
        let tx = self.file.begin()?;
        outcomes.iter().try_for_each(|outcome| tx.put_outcome(outcome))?;
        tx.commit()?;
        self.file.after_commit();
        Ok(())
    }

    fn store_history(&mut self, now: TimestampMs, history: &History) -> Result<(), Failure> {
        let tx = self.file.begin()?;
        history.new_devices.iter().try_for_each(|device| tx.put_device(device))?;
        history.new_metrics.iter().try_for_each(|(no, name)| tx.put_metric(*no, name, None))?;
        history.meta.iter().try_for_each(|(name, value)| tx.put_meta(name, value))?;
        if !history.messages.is_empty() {
            tx.put_journal(tx.no(), history.messages.iter(), now)?;
        }
        tx.commit()?;
        self.file.after_commit();
        Ok(())
    }
}
