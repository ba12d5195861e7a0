//! What is kept in memory: the newest reading of each series, and the points that are not sealed yet.
//!
//! It is derived from the file and can be rebuilt from it at any time (`latest`, `device_memory`, then the
//! journal's rows in order). Its size is bounded by the sealing threshold, not by the town's history.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::block::merge;
use crate::journal::{JournalMessage, JournalReading};
use crate::model::{Latest, Point};
use crate::recent::{RecentMessage, RecentMessages};

/// A series' share of the memory.
#[derive(Debug)]
pub(crate) struct SeriesHot {
    pub(crate) latest: Latest,
    /// Points that a running seal is writing, ascending.
    pub(crate) sealing: Vec<Point>,
    /// Points committed since, ascending; wins over `sealing`.
    pub(crate) tail: Vec<Point>,
    /// Since when the newest value is what it is.
    pub(crate) unchanged_since: TimestampMs,
    /// A jump that the next reading has to confirm.
    pub(crate) held: Option<Point>,
}

impl SeriesHot {
    fn new(latest: Latest) -> Self {
        let unchanged_since = latest.at;
        Self { latest, sealing: Vec::new(), tail: Vec::new(), unchanged_since, held: None }
    }

    fn value_at(&self, at: TimestampMs) -> Option<f64> {
        if at == self.latest.at {
            return Some(self.latest.value);
        }
        if at > self.latest.at {
            return None;
        }
        let find =
            |points: &[Point]| points.binary_search_by_key(&at, |p| p.at).ok().map(|i| points[i].value);
        find(&self.tail).or_else(|| find(&self.sealing))
    }
}

#[derive(Debug, Default)]
pub(crate) struct DeviceHot {
    /// By metric, ascending: a device may have hundreds.
    pub(crate) series: Vec<(MetricNo, SeriesHot)>,
    pub(crate) recent: RecentMessages,
    /// A message without a reading is among them that only the journal knows: no series' seal takes it along.
    pub(crate) has_bare_message: bool,
    /// When it was last heard, whatever it said.
    pub(crate) heard_at: Option<TimestampMs>,
    /// How far its clock is behind the site's, where that is constant.
    pub(crate) clock_behind_ms: Option<i64>,
}

impl DeviceHot {
    fn find(&self, metric: MetricNo) -> Option<&SeriesHot> {
        let place = self.series.binary_search_by_key(&metric, |(no, _)| *no).ok()?;
        Some(&self.series[place].1)
    }

    fn find_mut(&mut self, metric: MetricNo) -> Option<&mut SeriesHot> {
        let place = self.series.binary_search_by_key(&metric, |(no, _)| *no).ok()?;
        Some(&mut self.series[place].1)
    }

    fn find_or_insert(&mut self, latest: Latest) -> &mut SeriesHot {
        let place = match self.series.binary_search_by_key(&latest.metric, |(no, _)| *no) {
            Ok(place) => place,
            Err(place) => {
                self.series.insert(place, (latest.metric, SeriesHot::new(latest)));
                place
            }
        };
        &mut self.series[place].1
    }
}

/// The state behind the lock.
#[derive(Debug, Default)]
pub struct HotState {
    pub(crate) devices: Vec<DeviceHot>,
    /// Points in all tails and all running seals.
    pub(crate) unsealed_points: usize,
    /// Series with a tail: counted as they come, for looking through all of them at each commit takes too long.
    pub(crate) tails: usize,
    /// Rows of the journal that could not be read when this was loaded: what they said is not here, so they must be
    /// kept ([`crate::journal::set_aside`]) before the journal lets go of them.
    pub(crate) damaged_rows: Vec<i64>,
}

impl HotState {
    fn device_mut(&mut self, device: DeviceNo) -> &mut DeviceHot {
        if self.devices.len() <= device.index() {
            self.devices.resize_with(device.index() + 1, DeviceHot::default);
        }
        &mut self.devices[device.index()]
    }

    pub(crate) fn series(&self, device: DeviceNo, metric: MetricNo) -> Option<&SeriesHot> {
        self.devices.get(device.index())?.find(metric)
    }

    /// The value stored under a reading's identity, as far as memory knows: sealed points are not looked up.
    pub fn value_at(&self, device: DeviceNo, metric: MetricNo, at: TimestampMs) -> Option<f64> {
        self.series(device, metric)?.value_at(at)
    }

    /// Messages of a device by which a redelivery is known.
    pub fn recent_messages(&self, device: DeviceNo) -> Option<&RecentMessages> {
        self.devices.get(device.index()).map(|hot| &hot.recent)
    }

    /// How far a device's clock is behind the site's, where that is constant.
    pub fn clock_behind_ms(&self, device: DeviceNo) -> Option<i64> {
        self.devices.get(device.index())?.clock_behind_ms
    }

    pub(crate) fn set_clock_behind(&mut self, device: DeviceNo, behind_ms: Option<i64>) {
        self.device_mut(device).clock_behind_ms = behind_ms;
    }

    /// Since when the newest value of a series has not changed.
    pub fn unchanged_since(&self, device: DeviceNo, metric: MetricNo) -> Option<TimestampMs> {
        self.series(device, metric).map(|series| series.unchanged_since)
    }

    /// The newest reading of a series.
    pub fn latest_of(&self, device: DeviceNo, metric: MetricNo) -> Option<Latest> {
        self.series(device, metric).map(|series| series.latest)
    }

    /// A jump that the next reading has to confirm.
    pub fn held(&self, device: DeviceNo, metric: MetricNo) -> Option<Point> {
        self.series(device, metric)?.held
    }

    pub(crate) fn set_held(&mut self, device: DeviceNo, metric: MetricNo, held: Option<Point>) {
        if let Some(series) = self.device_mut(device).find_mut(metric) {
            series.held = held;
        }
    }

    /// When a device was last heard, whatever it said.
    pub fn heard_at(&self, device: DeviceNo) -> Option<TimestampMs> {
        self.devices.get(device.index())?.heard_at
    }

    pub(crate) fn note_heard(&mut self, device: DeviceNo, at: TimestampMs) {
        let hot = self.device_mut(device);
        hot.heard_at = hot.heard_at.max(Some(at));
    }

    /// The newest reading of each metric of a device.
    pub fn latest(&self, device: DeviceNo) -> impl Iterator<Item = Latest> + '_ {
        self.devices.get(device.index()).into_iter().flat_map(|hot| hot.series.iter().map(|(_, s)| s.latest))
    }

    /// Every series that was ever heard: each has a newest reading.
    pub fn all_series(&self) -> Vec<(DeviceNo, MetricNo)> {
        let devices = self.devices.iter().enumerate();
        devices
            .flat_map(|(no, device)| {
                device.series.iter().map(move |(metric, _)| (DeviceNo(no as u32), *metric))
            })
            .collect()
    }

    pub fn unsealed_points(&self) -> usize {
        self.unsealed_points
    }

    /// How many series have unsealed points that no job has put aside.
    pub fn series_with_points(&self) -> usize {
        self.tails
    }

    /// The unsealed points of a series between two times, both included, ascending.
    pub(crate) fn points(
        &self,
        device: DeviceNo,
        metric: MetricNo,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Vec<Point> {
        let Some(series) = self.series(device, metric) else {
            return Vec::new();
        };
        let slice = |points: &[Point]| {
            let start = points.partition_point(|p| p.at < from);
            let end = points.partition_point(|p| p.at <= to);
            points[start..end.max(start)].to_vec()
        };
        merge(&slice(&series.sealing), &slice(&series.tail)).points
    }

    pub(crate) fn first_at(&self, device: DeviceNo, metric: MetricNo) -> Option<TimestampMs> {
        let series = self.series(device, metric)?;
        series.sealing.first().into_iter().chain(series.tail.first()).map(|point| point.at).min()
    }

    pub(crate) fn set_latest(&mut self, device: DeviceNo, latest: Latest) {
        let series = self.device_mut(device).find_or_insert(latest);
        series.latest = latest;
        series.unchanged_since = latest.at;
    }

    pub(crate) fn set_unchanged_since(&mut self, device: DeviceNo, metric: MetricNo, since: TimestampMs) {
        if let Some(series) = self.device_mut(device).find_mut(metric) {
            series.unchanged_since = since;
        }
    }

    pub(crate) fn set_recent(&mut self, device: DeviceNo, recent: RecentMessages) {
        self.device_mut(device).recent = recent;
    }

    /// Takes a committed message in.
    pub(crate) fn add(&mut self, message: &JournalMessage) {
        let received_at = message.received_at;
        let hot = self.device_mut(message.device);
        if !message.is_old_news {
            hot.heard_at = hot.heard_at.max(Some(received_at));
        }
        if let Some(digest) = message.digest {
            hot.recent.add(RecentMessage { digest, received_at });
            hot.has_bare_message |= message.readings.is_empty();
        }
        let (mut added, mut new_tails) = (0, 0);
        for &JournalReading { metric, at, value } in &message.readings {
            let latest = Latest { metric, at, received_at, value };
            let series = hot.find_or_insert(latest);
            if at >= series.latest.at {
                if value.to_bits() != series.latest.value.to_bits() {
                    series.unchanged_since = at;
                }
                series.latest = latest;
            }
            new_tails += usize::from(series.tail.is_empty());
            added += usize::from(insert(&mut series.tail, Point { at, value }));
        }
        self.unsealed_points += added;
        self.tails += new_tails;
    }
}

/// Keeps the tail ascending; the newer value replaces one at the same time. True if the tail grew.
fn insert(tail: &mut Vec<Point>, point: Point) -> bool {
    if tail.last().is_none_or(|last| last.at < point.at) {
        tail.push(point);
        return true;
    }
    match tail.binary_search_by_key(&point.at, |p| p.at) {
        Ok(place) => {
            tail[place] = point;
            false
        }
        Err(place) => {
            tail.insert(place, point);
            true
        }
    }
}

/// The memory, shared: the writer's thread changes it for microseconds after a commit, everyone else reads.
#[derive(Debug, Default)]
pub struct Hot(RwLock<HotState>);

impl Hot {
    pub fn read(&self) -> RwLockReadGuard<'_, HotState> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, HotState> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
