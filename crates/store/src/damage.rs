//! Which places of the file were met that cannot be understood.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use sanimon_domain::TimestampMs;

use crate::error::StoreError;
use crate::sealed::Series;

/// A damaged place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A block, or a month of day sums, by where it begins.
    Series(Series, TimestampMs),
    /// A row of the journal.
    Journal(i64),
    /// The row of an alert.
    Alert(i64),
    /// An entry of an alert's history.
    Step(i64, i64),
}

/// What was found to be damaged: each place is said once, however often it is read.
#[derive(Debug, Default)]
pub(crate) struct Damage(Mutex<BTreeSet<Place>>);

/// Places remembered at most. A disk that loses more has been noticed.
const DAMAGE_MAX: usize = 10_000;

impl Damage {
    pub(crate) fn note(&self, series: Series, at: TimestampMs, error: &StoreError) {
        if self.is_new(Place::Series(series, at)) {
            let (device, metric) = (series.0.0, series.1.0);
            tracing::error!(device, metric, from = %at, %error, "damaged telemetry skipped: `sanimon check` lists all");
        }
    }

    /// The row of an alert that no list has because of that.
    pub(crate) fn note_alert(&self, id: i64, error: &dyn Display) {
        if self.is_new(Place::Alert(id)) {
            tracing::error!(alert = id, %error, "damaged alert left out of all lists");
        }
    }

    /// An entry that no history has because of that.
    pub(crate) fn note_step(&self, alert: i64, n: i64, error: &dyn Display) {
        if self.is_new(Place::Step(alert, n)) {
            tracing::error!(alert, n, %error, "damaged entry left out of an alert's history");
        }
    }

    /// The alerts whose rows were met.
    pub(crate) fn alerts(&self) -> Vec<i64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alerts = known.range(Place::Alert(i64::MIN)..);
        alerts.filter_map(|place| if let Place::Alert(id) = place { Some(*id) } else { None }).collect()
    }

    /// A row of the journal that was read when memory was loaded: what it said is there.
    pub(crate) fn note_row(&self, seq: i64, error: &StoreError) {
        if self.is_new(Place::Journal(seq)) {
            tracing::error!(seq, %error, "damaged journal row: its readings are delivered from memory");
        }
    }

    fn is_new(&self, place: Place) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < DAMAGE_MAX && known.insert(place)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
