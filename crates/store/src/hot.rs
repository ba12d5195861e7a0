//! What is kept in memory: the newest reading of each series, and the points that are not sealed yet.
//!
//! It is derived from the file and can be rebuilt from it at any time (`latest`, `payload_digest`, then the
//! journal's rows in order). Its size is bounded by the sealing threshold, not by the town's history.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::block::merge;
use crate::journal::{Digest, JournalMessage, JournalReading};
use crate::model::{Latest, Point};

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
    pub(crate) series: Vec<(MetricNo, SeriesHot)>,
    /// The newest payloads that are known by their digest, the newest first: an uplink may come again after others.
    pub(crate) digests: Vec<(Digest, TimestampMs)>,
    /// When it was last heard in this run, whatever it said.
    pub(crate) heard_at: Option<TimestampMs>,
}

/// Digests kept of a device: an uplink that came again 48 s later has been seen, and nobody sends more often than that.
const DIGESTS_KEPT: usize = 4;

/// The state behind the lock.
#[derive(Debug, Default)]
pub struct HotState {
    pub(crate) devices: Vec<DeviceHot>,
    /// Points in all tails and all running seals.
    pub(crate) unsealed_points: usize,
    /// Series with a tail: counted as they come, for looking through all of them at each commit takes too long.
    pub(crate) tails: usize,
}

impl HotState {
    fn device_mut(&mut self, device: DeviceNo) -> &mut DeviceHot {
        if self.devices.len() <= device.index() {
            self.devices.resize_with(device.index() + 1, DeviceHot::default);
        }
        &mut self.devices[device.index()]
    }

    pub(crate) fn series(&self, device: DeviceNo, metric: MetricNo) -> Option<&SeriesHot> {
        self.devices
            .get(device.index())?
            .series
            .iter()
            .find(|(no, _)| *no == metric)
            .map(|(_, series)| series)
    }

    /// The value stored under a reading's identity, as far as memory knows: sealed points are not looked up.
    pub fn value_at(&self, device: DeviceNo, metric: MetricNo, at: TimestampMs) -> Option<f64> {
        self.series(device, metric)?.value_at(at)
    }

    /// The newest payload of a device that carried no time of its own.
    pub fn digest(&self, device: DeviceNo) -> Option<(Digest, TimestampMs)> {
        self.devices.get(device.index())?.digests.first().copied()
    }

    /// When one of the newest payloads of a device was received, by its digest.
    pub fn digest_received(&self, device: DeviceNo, digest: &Digest) -> Option<TimestampMs> {
        let kept = self.devices.get(device.index())?.digests.iter();
        kept.filter(|(known, _)| known == digest).map(|(_, at)| *at).next()
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
        let series = self.device_mut(device).series.iter_mut().find(|(no, _)| *no == metric);
        if let Some((_, series)) = series {
            series.held = held;
        }
    }

    /// When a device was last heard, whatever it said.
    pub fn heard_at(&self, device: DeviceNo) -> Option<TimestampMs> {
        let hot = self.devices.get(device.index())?;
        hot.heard_at.max(hot.series.iter().map(|(_, series)| series.latest.received_at).max())
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
    pub(crate) fn all_series(&self) -> Vec<(DeviceNo, MetricNo)> {
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
        let hot = self.device_mut(device);
        match hot.series.iter_mut().find(|(metric, _)| *metric == latest.metric) {
            Some((_, series)) => {
                series.latest = latest;
                series.unchanged_since = latest.at;
            }
            None => hot.series.push((latest.metric, SeriesHot::new(latest))),
        }
    }

    pub(crate) fn set_unchanged_since(&mut self, device: DeviceNo, metric: MetricNo, since: TimestampMs) {
        let series = self.device_mut(device).series.iter_mut().find(|(no, _)| *no == metric);
        if let Some((_, series)) = series {
            series.unchanged_since = since;
        }
    }

    pub(crate) fn set_digest(&mut self, device: DeviceNo, digest: Digest, received_at: TimestampMs) {
        remember_digest(&mut self.device_mut(device).digests, digest, received_at);
    }

    /// The digests of a device as the file keeps them, the newest first.
    pub(crate) fn digests(&self, device: DeviceNo) -> &[(Digest, TimestampMs)] {
        self.devices.get(device.index()).map_or(&[], |hot| &hot.digests)
    }

    /// Takes a committed message in.
    pub(crate) fn add(&mut self, message: &JournalMessage) {
        let received_at = message.received_at;
        let hot = self.device_mut(message.device);
        if let Some(digest) = message.digest {
            remember_digest(&mut hot.digests, digest, received_at);
        }
        let (mut added, mut new_tails) = (0, 0);
        for &JournalReading { metric, at, value } in &message.readings {
            let latest = Latest { metric, at, received_at, value };
            let index = hot.series.iter().position(|(no, _)| *no == metric).unwrap_or_else(|| {
                hot.series.push((metric, SeriesHot::new(latest)));
                hot.series.len() - 1
            });
            let series = &mut hot.series[index].1;
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

fn remember_digest(digests: &mut Vec<(Digest, TimestampMs)>, digest: Digest, received_at: TimestampMs) {
    digests.retain(|(known, _)| *known != digest);
    digests.truncate(DIGESTS_KEPT - 1);
    digests.insert(0, (digest, received_at));
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
