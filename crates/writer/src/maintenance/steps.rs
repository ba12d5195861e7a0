//! What a job has done is stored: sealed blocks, and what InfluxDB has accepted.

use sanimon_domain::TimestampMs;
use sanimon_store::{Class, Counters, DeliveryStep, SealStep, Series, SeriesChange};

use crate::change::RowWriter;
use crate::failure::Failure;
use crate::state::Site;

impl Site {
    pub(super) fn store_sealed(&mut self, now: TimestampMs, step: &SealStep) -> Result<(), Failure> {
        let mut left_out = match self.try_store_sealed(now, step, &[]) {
            Err(failure) if failure.class == Class::Permanent => {
                let unfit = self.unfit_changes(now, &step.changes)?;
                self.try_store_sealed(now, step, &unfit)?;
                unfit
            }
            other => other.map(|()| Vec::new())?,
        };
        left_out.extend(step.failed.iter().map(|(series, why)| {
            self.memory.note_damage(*series, now, why);
            *series
        }));
        let Some(running) = &mut self.slot.running else { return Ok(()) };
        running.left_out.extend(left_out);
        let counters = &self.memory.health().counters;
        Counters::add(&counters.sealed_points, step.points);
        Counters::add(&counters.corrections, step.changes.iter().map(|change| change.corrections).sum());
        if step.done_up_to_seq.is_some() {
            let left_out = std::mem::take(&mut running.left_out);
            self.memory.end_seal(&left_out);
            self.slot.free();
        }
        self.file.after_commit();
        Ok(())
    }

    fn try_store_sealed(
        &mut self,
        now: TimestampMs,
        step: &SealStep,
        unfit: &[Series],
    ) -> Result<(), Failure> {
        let running = self.slot.running.as_ref();
        let before = running.map(|running| running.left_out.as_slice()).unwrap_or_default();
        let failed = step.failed.iter().map(|(series, _)| *series);
        let left_out: Vec<Series> =
            before.iter().copied().chain(failed).chain(unfit.iter().copied()).collect();
        let mut kept_apart = Vec::new();
        let tx = self.file.begin()?;
        let fit = || step.changes.iter().filter(|change| !unfit.contains(&change.series));
        fit().try_for_each(|change| tx.put_series_change(change))?;
        let recent = self.memory.reader().hot.read();
        tx.put_latest(&recent, fit().map(|change| change.series))?;
        if step.done_up_to_seq.is_some() {
            tx.put_bare_messages(&recent)?;
        }
        drop(recent);
        if let Some(seq) = step.done_up_to_seq {
            // What could not be sealed stays in the journal, under a number of its own.
            let kept = self.memory.put_aside_of(&left_out);
            if !kept.is_empty() {
                tx.put_journal(tx.no(), kept.iter(), now)?;
            }
            // What damaged rows said was not in the memory, so it is in no block either.
            let damaged = self.memory.damaged_rows();
            kept_apart = tx.remove_journal(seq, damaged.into_iter(), now)?;
        }
        let mut rows = RowWriter::new(&tx, self.options.quarantine, self.quarantine_rows, now);
        rows.quarantine(kept_apart.iter())?;
        let quarantine_rows = rows.quarantine_rows;
        tx.commit()?;
        self.quarantine_rows = quarantine_rows;
        Ok(())
    }

    /// The series whose changes fail by themselves.
    fn unfit_changes(&mut self, now: TimestampMs, changes: &[SeriesChange]) -> Result<Vec<Series>, Failure> {
        let tx = self.file.begin()?;
        let mut unfit = Vec::new();
        for change in changes {
            match tx.part_tried_twice(|| tx.put_series_change(change)) {
                Ok(()) => {}
                Err(error) if error.class() == Class::Permanent => {
                    self.memory.note_damage(change.series, now, &error.to_string());
                    unfit.push(change.series);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(unfit)
    }

    pub(super) fn store_delivered(&mut self, now: TimestampMs, step: &DeliveryStep) -> Result<(), Failure> {
        let tx = self.file.begin()?;
        let recent = self.memory.reader().hot.read();
        let kept_apart = tx.remove_delivered(step, &recent, self.memory.calendar())?;
        drop(recent);
        let mut rows = RowWriter::new(&tx, self.options.quarantine, self.quarantine_rows, now);
        rows.quarantine(step.refused.iter().chain(&kept_apart))?;
        let quarantine_rows = rows.quarantine_rows;
        tx.commit()?;
        self.quarantine_rows = quarantine_rows;
        let counters = &self.memory.health().counters;
        Counters::add(&counters.delivered_points, step.points);
        Counters::add(&counters.quarantined, step.refused.len() as u64);
        if step.is_of_journal() {
            self.memory.end_seal(&[]);
        }
        self.slot.free();
        self.slot.is_backlog = step.is_backlog();
        self.file.after_commit();
        Ok(())
    }
}
