//! The devices of a zone or a gateway as one: their common silence, and how many of them are in a condition.

use std::sync::Arc;

use sanimon_domain::{DeviceNo, GroupKey, GroupKind, TimestampMs, ZoneId};

use crate::cell::{Around, Cell};
use crate::engine::{Known, RuleNo};

/// A report is missed when it is late by this share of its interval.
const LATENESS: f64 = 0.25;
/// A device that was silent for so many intervals already says nothing about its group.
pub(crate) const GONE_INTERVALS: i64 = 4;

/// So many members tell the silence of a larger group, too: their reports are waited for, all are listened to.
const MEMBERS_ASKED_MAX: usize = 500;

/// One rule on one group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key: Arc<GroupKey>,
    pub(crate) rule: RuleNo,
    pub(crate) members: Vec<DeviceNo>,
    pub(crate) cell: Cell,
    /// When one of them was heard last.
    pub(crate) heard_at: TimestampMs,
    /// The zone that the group is, if it is one.
    pub(crate) zone: Option<ZoneId>,
}

impl Group {
    pub(crate) fn new(key: Arc<GroupKey>, rule: RuleNo, cell: Cell) -> Self {
        let zone = match key.kind {
            GroupKind::Zone => ZoneId::new(&key.id).ok(),
            GroupKind::Gateway => None,
        };
        Self { key, rule, members: Vec::new(), cell, heard_at: TimestampMs(i64::MIN), zone }
    }

    /// Its cell, and what is around it.
    pub(crate) fn cell_around(&mut self, index: u32) -> (&mut Cell, Around<'_>) {
        let Self { key, cell, zone, .. } = self;
        (cell, Around::group(index, key, zone.as_ref()))
    }

    /// When so many expected reports in a row will not have come, if nothing is heard: counted over all members, from
    /// when one of them was heard last. `None`: there are too few members to tell.
    pub(crate) fn silent_at(&self, devices: &[Known], missed: usize) -> Option<TimestampMs> {
        let from = self.heard_at;
        if from == TimestampMs(i64::MIN) || self.members.len() < 2 {
            return None;
        }
        let mut expected: Vec<TimestampMs> = Vec::new();
        for member in self.members.iter().take(MEMBERS_ASKED_MAX) {
            let Some(known) = devices.get(member.index()) else { continue };
            let silent_ms = from.since_ms(known.heard_at);
            let interval_ms = known.interval_ms.max(1);
            if known.heard_at == TimestampMs(i64::MIN) || silent_ms > GONE_INTERVALS * interval_ms {
                continue;
            }
            let late_ms = (interval_ms as f64 * LATENESS) as i64;
            // Those that were due before the group was heard last are its everyday losses.
            let passed = (silent_ms - late_ms).max(0) / interval_ms;
            let due = |n: i64| known.heard_at.plus_ms(n * interval_ms + late_ms);
            expected.extend((passed + 1..=passed + missed as i64).map(due).filter(|at| *at > from));
        }
        if expected.len() < missed {
            return None;
        }
        let (_, nth, _) = expected.select_nth_unstable(missed - 1);
        Some(*nth)
    }
}
