//! What InfluxDB has accepted leaves the file.

use rusqlite::params;
use sanimon_domain::{DeviceKind, SiteCalendar};

use crate::error::Result;
use crate::hot::HotState;
use crate::influx::deliver::{Delivered, DeliveryStep};
use crate::sealed;
use crate::sqlite::Tx;
use crate::write::{QuarantineEntry, retention};

impl Tx<'_> {
    /// Lets go of what a delivery brought to InfluxDB, and keeps apart what it could not read. Gives what the quarantine tells
    /// of that.
    pub fn remove_delivered(
        &self,
        step: &DeliveryStep,
        recent: &HotState,
        calendar: SiteCalendar,
    ) -> Result<Vec<QuarantineEntry>> {
        const DOING: &str = "let go of what was delivered";
        let found_at = step.found_at;
        self.write(DOING, |connection| sealed::set_aside(connection, &step.unreadable, found_at))?;
        match &step.delivered {
            Delivered::Journal { up_to_seq } => {
                self.put_latest(recent, step.series.iter().copied())?;
                self.put_bare_messages(recent)?;
                self.remove_journal(*up_to_seq, step.damaged_rows.iter().copied(), found_at)
            }
            Delivered::Blocks(blocks) => {
                self.write(DOING, |connection| sealed::delete(connection, blocks))?;
                if !self.read(DOING, sealed::has_blocks)? {
                    self.forget_days(calendar)?;
                }
                Ok(Vec::new())
            }
        }
    }

    /// All blocks are delivered: their days' sums go with them. Those of days whose readings retention had taken stay: they
    /// are all that is left of those days. So are those of a series of which a block is set aside.
    fn forget_days(&self, calendar: SiteCalendar) -> Result<()> {
        const DOING: &str = "let go of what was delivered";
        for kind in DeviceKind::ALL {
            let kept_from = self.read(DOING, |c| retention::kept_from_of_kind(c, kind.as_str()))?;
            let month = kept_from.map_or(i32::MIN, |at| calendar.day_of(at).month());
            self.run(
                DOING,
                "DELETE FROM day_month WHERE month >= ?1 AND device_no IN (SELECT no FROM device WHERE kind = ?2)
                   AND (device_no, metric_no) NOT IN (SELECT device_no, metric_no FROM closed_block
                                                      UNION SELECT device_no, metric_no FROM open_block)",
                params![month, kind.as_str()],
            )?;
        }
        Ok(())
    }
}
