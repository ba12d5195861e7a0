//! Which metric a reading is of; one that no table knows takes a place of its device's share.

use sanimon_domain::{DeviceNo, Metric, MetricNo};
use sanimon_store::DeviceState;

use super::Batch;
use super::passage::Passage;
use crate::change::NewMetric;

impl Batch<'_> {
    /// The metric's number. `None`: there is no room for one more.
    pub(super) fn metric(
        &mut self,
        passage: &mut Passage<'_>,
        device: DeviceNo,
        metric: &Metric,
    ) -> Option<MetricNo> {
        let name = match metric {
            Metric::Known(no) => return Some(*no),
            Metric::Custom(name) => name,
        };
        let known = self.directory.metric_number(metric).or_else(|| self.new_metrics.get(name).copied());
        if let Some(known) = known
            && self.has_metric(device, known)
        {
            return Some(known);
        }
        let limits = self.limits.site;
        let own = self.own_metrics(device);
        if own >= limits.custom_metrics_of_device_max {
            // Without the name: each would be a cause of its own.
            let text = format!(
                "a device has at most {own} metrics that sanimon does not know: the others are not kept"
            );
            return passage.refuse_metric(text);
        }
        let no = match known {
            Some(known) => known,
            None => self.new_metric(passage, device, name)?,
        };
        self.new_series.entry(device).or_default().push(no);
        Some(no)
    }

    fn has_metric(&self, device: DeviceNo, metric: MetricNo) -> bool {
        self.had_metric(device, metric)
            || self.new_series.get(&device).is_some_and(|own| own.contains(&metric))
    }

    /// It has readings of it, or brought it without one: a broker's old news gives none.
    fn had_metric(&self, device: DeviceNo, metric: MetricNo) -> bool {
        self.recent.latest_of(device, metric).is_some()
            || self.directory.metric_brought_by(metric) == Some(device)
    }

    /// How many metrics of its own a device has. One whose name was taken away is none any more.
    fn own_metrics(&mut self, device: DeviceNo) -> usize {
        let before =
            || self.directory.custom_metric_numbers().filter(|no| self.had_metric(device, *no)).count();
        let before = self.own_metrics.get(&device).copied().unwrap_or_else(before);
        self.own_metrics.insert(device, before);
        before + self.new_series.get(&device).map_or(0, Vec::len)
    }

    fn new_metric(&mut self, passage: &mut Passage<'_>, device: DeviceNo, name: &str) -> Option<MetricNo> {
        let limits = self.limits.site;
        let all = self.directory.custom_metric_count() + self.new_metrics.len();
        let is_accepted = self.entry(device).is_some_and(|entry| entry.state == DeviceState::Registered);
        let of_discovered =
            if is_accepted { 0 } else { self.directory.metrics_of_discovered() + self.new_metrics.len() };
        if all >= limits.custom_metrics_max {
            let text = "too many unknown metrics on this site, others are not kept: take names away, or raise its limit";
            return passage.refuse_metric(text);
        }
        if of_discovered >= limits.custom_metrics_of_discovered_max {
            let text = "too many unknown metrics of devices that nobody has accepted: accept the device, and they are kept";
            return passage.refuse_metric(text);
        }
        let no = self.directory.next_custom_metric().checked_add(self.new_metrics.len() as u16)?;
        let no = MetricNo(no);
        self.new_metrics.insert(name.into(), no);
        passage.change.new_metrics.push(NewMetric { no, name: name.into(), device });
        Some(no)
    }
}
