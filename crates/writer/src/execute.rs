//! A command is carried out: one transaction, with its entry in the audit log.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sanimon_domain::{DeviceNo, TimestampMs};
use sanimon_store::{Class, Committed};

use crate::cases::Cases;
use crate::change::RowWriter;
use crate::command::{After, Command, Done, Execution, Refusal, Stopped};
use crate::entry::Entry;
use crate::failure::Failure;
use crate::gathered::Group;
use crate::outputs::{Answer, Outputs};
use crate::state::{Applied, Live, UnsureSettings, Writer};

impl Writer<Live> {
    pub(crate) fn command<A>(mut self, now: TimestampMs, entry: &Entry, command: &Command) -> Applied<A> {
        let tried = catch_unwind(AssertUnwindSafe(|| self.try_command(now, entry, command)));
        let Ok(tried) = tried else {
            // Nobody knows how far it came: memory is read from the file again.
            let text = "sanimon panicked on it: please report this";
            return self.broken_off(
                Failure::passing(text),
                Outputs::answered(Err(Refusal::Failed(text.to_owned()))),
                Group::default(),
            );
        };
        match tried {
            Ok((done, feed, wake_outbox)) => {
                self.site.file.after_commit();
                let outputs = Outputs { answer: Some(Ok(done)), feed, wake_outbox, ..Outputs::default() };
                Applied::Done { writer: self, outputs }
            }
            Err((Stopped::Refused(refusal), false)) => {
                Applied::Done { writer: self, outputs: Outputs::answered(Err(refusal)) }
            }
            Err((stopped, is_engine_ahead)) => self.stopped(now, stopped, is_engine_ahead),
        }
    }

    /// It was told no, and memory is put back to what the file says where that is needed.
    fn stopped<A>(mut self, now: TimestampMs, stopped: Stopped, is_engine_ahead: bool) -> Applied<A> {
        let (answer, failure): (Answer, Option<Failure>) = match stopped {
            Stopped::Refused(refusal) => (Err(refusal), None),
            Stopped::Failed(failure) if failure.class == Class::Permanent => {
                tracing::error!(%failure, "a command cannot be stored");
                (Err((&failure).into()), None)
            }
            Stopped::Failed(failure) => (Err((&failure).into()), Some(failure)),
        };
        let outputs = Outputs::answered(answer);
        match failure {
            Some(failure) => self.broken_off(failure, outputs, Group::default()),
            None if !is_engine_ahead => Applied::Done { writer: self, outputs },
            None => match self.put_back(now) {
                Ok(()) => Applied::Done { writer: self, outputs },
                Err(failure) => self.broken_off(failure, outputs, Group::default()),
            },
        }
    }

    /// Carries it out in one transaction. An error also says whether the engine has seen what is not stored.
    fn try_command(
        &mut self,
        now: TimestampMs,
        entry: &Entry,
        command: &Command,
    ) -> Result<(Done, Committed, bool), (Stopped, bool)> {
        let site = &mut self.site;
        let late_ms = site.options.acceptance.window.behind_ms;
        let tx = site.file.begin().map_err(|error| (error.into(), false))?;
        let mut work = Execution {
            tx: &tx,
            now,
            author: &entry.author,
            memory: &site.memory,
            settings: &site.operations,
            late_ms,
            outages: &site.outages,
            cases: Cases::new(&tx, &site.rules, &site.operations, now),
            engine: &mut self.state.engine,
            is_engine_ahead: false,
            after: After::default(),
        };
        let done = command.carry_out(&mut work);
        let Execution { cases, is_engine_ahead, after, .. } = work;
        let ahead = |stopped: Stopped| (stopped, is_engine_ahead);
        let done = done.map_err(ahead)?;
        let Cases { changed: alerts, damaged, .. } = cases;
        let mut rows = RowWriter::new(&tx, site.options.quarantine, site.quarantine_rows, now);
        let mut finish = || -> Result<Option<TimestampMs>, Stopped> {
            if command.is_noted() {
                tx.append_audit(&entry.row())?;
            }
            rows.quarantine(damaged.iter())?;
            Ok(tx.next_escalation()?)
        };
        let next_escalation_at = finish().map_err(ahead)?;
        let quarantine_rows = rows.quarantine_rows;
        if let Err(failed) = tx.commit() {
            if failed.unsure_of.is_some() {
                // What is only in memory is not read from the file again.
                site.unsure_settings = UnsureSettings {
                    rules: after.rules.map(|(rules, _)| rules),
                    operations: after.operations,
                };
            }
            return Err(ahead(Stopped::Failed(failed.into())));
        }
        (site.next_escalation_at, site.quarantine_rows) = (next_escalation_at, quarantine_rows);
        let wake_outbox = after.wake_outbox || !alerts.is_empty();
        let alerts = alerts.into_values().collect();
        let devices = self.publish(after);
        Ok((done, Committed { alerts, devices, ..Committed::default() }, wake_outbox))
    }

    /// Infallible moves into memory. Gives the devices whose entries changed.
    fn publish(&mut self, after: After) -> Vec<DeviceNo> {
        let site = &mut self.site;
        let devices = after.devices.iter().map(|device| device.no).collect();
        if !after.devices.is_empty() {
            site.memory.exchange_devices(after.devices);
        }
        site.memory.put_devices(after.staged.iter());
        if let Some(zones) = after.zones {
            site.memory.set_zones(zones);
        }
        if let Some(credentials) = after.credentials {
            site.memory.set_credentials(credentials);
        }
        if after.is_access_changed {
            site.memory.access_changed();
        }
        if let Some((rules, engine)) = after.rules {
            site.memory.set_rules(rules.clone());
            site.rules = rules;
            self.state.engine = engine;
        }
        if let Some(operations) = after.operations {
            site.memory.set_operations(operations.clone());
            site.operations = operations;
        }
        if let Some(metric) = after.removed_metric {
            site.memory.remove_metric(metric);
        }
        devices
    }
}
