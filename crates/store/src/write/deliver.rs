//! The writer's part of delivery to InfluxDB: starting a job, and letting go of what was accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Transaction, params};
use sanimon_domain::{DeviceKind, SiteCalendar};

use super::{Writer, commit, retention, seal};
use crate::error::{Result, StoreError};
use crate::health::Counters;
use crate::influx::deliver::{Delivered, Delivery, DeliveryJob, DeliveryStep};
use crate::sealed;

impl Writer {
    /// A delivery when something waits, InfluxDB is behind the store and nothing else is under way.
    pub fn begin_delivery_if_due(&mut self) -> Result<Option<DeliveryJob>> {
        let Some(influx) = self.shared.influx.clone() else { return Ok(None) };
        if self.maintenance_running {
            return Ok(None);
        }
        let (what, series) = if sealed::has_blocks(&self.connection)? {
            // Blocks are older than the journal: of two values of one identity the journal's must come last.
            (Delivery::Blocks, Vec::new())
        } else {
            let Some(up_to_seq) = self.last_seq()? else { return Ok(None) };
            (Delivery::Journal { up_to_seq }, seal::start(&mut self.shared.hot.write()))
        };
        let void = Arc::new(AtomicBool::new(false));
        self.delivery = Some(void.clone());
        self.maintenance_running = true;
        let shared = self.shared.clone();
        Ok(Some(DeliveryJob { generation: self.generation, what, series, shared, influx, void }))
    }

    /// Commits what InfluxDB has accepted: it leaves the file, and the memory.
    pub fn apply_delivery_step(&mut self, step: &DeliveryStep) -> Result<()> {
        if step.generation != self.generation {
            return Ok(());
        }
        let rows_before = self.quarantine_rows;
        let shared = self.shared.clone();
        let transaction = self.transaction()?;
        match &step.delivered {
            Delivered::Journal { up_to_seq } => {
                seal::write_latest(&transaction, &shared.hot.read(), &step.series)?;
                execute(&transaction, "DELETE FROM journal WHERE seq <= ?1", [*up_to_seq])?;
            }
            Delivered::Blocks { closed, open } => {
                for id in closed {
                    sealed::delete_closed(&transaction, *id)?;
                }
                for id in open {
                    execute(&transaction, "DELETE FROM open_block WHERE id = ?1", [*id])?;
                }
                if !sealed::has_blocks(&transaction)? {
                    forget_days(&transaction, shared.calendar)?;
                }
            }
        }
        let added = commit::write_quarantine(&transaction, &step.refused, rows_before)?;
        transaction.commit().map_err(StoreError::doing("commit a delivery"))?;
        self.quarantine_rows += added;
        let counters = &self.shared.health.counters;
        Counters::add(&counters.delivered_points, step.points);
        Counters::add(&counters.quarantined, step.refused.len() as u64);
        if matches!(step.delivered, Delivered::Journal { .. }) {
            seal::finish(&mut self.shared.hot.write());
        }
        self.end_delivery();
        self.checkpointer.after_commit(&self.connection);
        Ok(())
    }

    /// The delivery under way has ended without a step.
    pub fn delivery_broke_off(&mut self, generation: u64) {
        if generation == self.generation {
            self.end_delivery();
        }
    }

    /// Ends the delivery that is under way; what it sent will be sent again.
    pub(super) fn give_up_delivery(&mut self) {
        if let Some(void) = self.delivery.take() {
            void.store(true, Ordering::Release);
            self.generation += 1;
            self.maintenance_running = false;
        }
    }

    /// For the stop: nobody waits for the answer of an InfluxDB that is away.
    pub fn stop_delivery(&mut self) {
        self.give_up_delivery();
    }

    fn end_delivery(&mut self) {
        self.delivery = None;
        self.maintenance_running = false;
    }
}

/// All blocks are delivered: their days' sums go with them. Those of days whose readings retention had taken stay: they
/// are all that is left of those days.
fn forget_days(transaction: &Transaction<'_>, calendar: SiteCalendar) -> Result<()> {
    for kind in DeviceKind::ALL {
        let kept_from = retention::kept_from_of_kind(transaction, kind.as_str())?;
        let month = kept_from.map_or(i32::MIN, |at| calendar.day_of(at).month());
        transaction
            .execute(
                "DELETE FROM day_month WHERE month >= ?1 AND device_no IN (SELECT no FROM device WHERE kind = ?2)",
                params![month, kind.as_str()],
            )
            .map_err(StoreError::doing("let go of what was delivered"))?;
    }
    Ok(())
}

fn execute(transaction: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    transaction.execute(sql, values).map(|_| ()).map_err(StoreError::doing("let go of what was delivered"))
}
