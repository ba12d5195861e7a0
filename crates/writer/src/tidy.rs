//! What keeps the file small, a bounded step whenever nobody waits.

use sanimon_domain::TimestampMs;
use sanimon_store::Class;

use crate::command::DEVICES_AT_ONCE_MAX;
use crate::failure::Failure;
use crate::gathered::Group;
use crate::outputs::Outputs;
use crate::retention::RetentionPass;
use crate::state::{Applied, Live, Site, Writer};

/// Reports that are forgotten in one step: each may hold a photo.
const REPORTS_PER_STEP: usize = 20;

impl Writer<Live> {
    /// One bounded step of what keeps the file small.
    pub(crate) fn tidy<A>(mut self, now: TimestampMs) -> Applied<A> {
        match self.site.try_tidy(now) {
            Ok(()) => Applied::Done { writer: self, outputs: Outputs::default() },
            Err(failure) => {
                tracing::warn!(%failure, "tidying failed, will be tried again");
                match failure {
                    Failure { class: Class::Passing | Class::Permanent, unsure_of: None, .. } => {
                        Applied::Done { writer: self, outputs: Outputs::default() }
                    }
                    failure => self.broken_off(failure, Outputs::default(), Group::default()),
                }
            }
        }
    }
}

impl Site {
    fn try_tidy(&mut self, now: TimestampMs) -> Result<(), Failure> {
        self.write_import()?;
        let tx = self.file.begin()?;
        let before = now.minus_ms(self.options.reports_kept_ms);
        let forgotten = tx.forget_reports(before, REPORTS_PER_STEP, now)?;
        let removed = tx.remove_old_messages(now)?;
        if forgotten + removed > 0 {
            tx.commit()?;
            self.file.after_commit();
        } else {
            drop(tx);
        }
        // A job has read blocks that must still be there when its steps come.
        if !self.slot.is_empty() {
            return Ok(());
        }
        self.begin_retention(now);
        let Self { file, memory, options, retention, .. } = self;
        match retention.as_mut().filter(|pass| !pass.is_over()) {
            Some(pass) => pass.step((file, memory), options),
            None => {
                file.vacuum_step()?;
                Ok(())
            }
        }
    }

    /// Rows of a table of devices that is in force.
    fn write_import(&mut self) -> Result<(), Failure> {
        let tx = self.file.begin()?;
        if tx.write_import(DEVICES_AT_ONCE_MAX)? > 0 {
            tx.commit()?;
            self.file.after_commit();
        }
        Ok(())
    }

    /// Once a day of the site all series are looked through. With InfluxDB behind it, blocks are only on their way, and the
    /// bucket has a retention of its own.
    fn begin_retention(&mut self, now: TimestampMs) {
        if self.memory.has_influx() || self.options.retention.months.is_empty() {
            return;
        }
        let today = self.memory.calendar().day_of(now);
        if self.retention.as_ref().is_none_or(|pass| !pass.is_of(today)) {
            self.retention = Some(RetentionPass::new(today, &self.memory));
        }
    }
}
