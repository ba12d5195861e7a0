//! Readings on their way in: whose time, heard before, plausible, and what they mean for their device.

use sanimon_codec::RawReading;
use sanimon_domain::{DeviceNo, Metric, MetricNo, Quality, Reason, metric as known_metric};
use sanimon_store::{Device, Digest, Doubted, JournalMessage, JournalReading, Point, Series};

use super::Batch;
use super::identity::Redelivery;
use super::passage::Passage;
use super::time::Dated;
use crate::change::LastKnown;
use crate::judge::plausibility::{Before, Verdict};
use crate::judge::{calibration, derived, plausibility};

/// A reading on its way into the group.
#[derive(Clone, Copy)]
struct Arriving<'r> {
    series: Series,
    point: Point,
    reading: &'r Dated,
}

impl Batch<'_> {
    pub(super) fn telemetry(
        &mut self,
        passage: &mut Passage<'_>,
        device: DeviceNo,
        readings: &[RawReading],
        uplink: Option<Digest>,
    ) {
        let mut dated = self.date(passage, device, readings);
        let mut digest = uplink;
        if digest.is_none() && dated.iter().any(Dated::is_undated) {
            if passage.message.is_retained {
                self.remember_undated(passage, device, &dated);
                dated.retain(|reading| !reading.is_undated());
            } else {
                match self.redelivery(passage.message, device) {
                    Redelivery::Known => {
                        let before = dated.len();
                        dated.retain(|reading| !reading.is_undated());
                        passage.change.counts.duplicates += (before - dated.len()) as u64;
                    }
                    Redelivery::New(new) => {
                        self.remember_message(device, new, passage.message.received_at);
                        digest = Some(new);
                    }
                    Redelivery::Impossible => {}
                }
            }
        }
        self.give_receipt_times(passage.message, device, &mut dated);
        let mut stored = Vec::with_capacity(dated.len() + 1);
        for reading in &dated {
            let Some(metric) = self.metric(passage, device, &reading.metric) else { continue };
            let point = Point { at: reading.at(), value: reading.value };
            let arriving = Arriving { series: (device, metric), point, reading };
            self.arrive(passage, arriving, &dated, &mut stored);
        }
        // Without a reading, too: what is suspect of an undated message must not come a second time.
        if !stored.is_empty() || digest.is_some() {
            let received_at = passage.message.received_at;
            let is_old_news = digest.is_none() && passage.message.is_dup() && !self.is_newer(device, &stored);
            passage.change.journal.push(JournalMessage {
                device,
                received_at,
                digest,
                is_old_news,
                readings: stored,
            });
        }
    }

    /// Whether a reading is newer than all that was known of its metric before this group.
    fn is_newer(&self, device: DeviceNo, stored: &[JournalReading]) -> bool {
        let is_newer = |reading: &JournalReading| {
            self.recent.latest_of(device, reading.metric).is_none_or(|latest| reading.at > latest.at)
        };
        stored.iter().any(is_newer)
    }

    /// Judges a reading, and takes in what is good of it and of what waited for it.
    fn arrive(
        &mut self,
        passage: &mut Passage<'_>,
        arriving: Arriving<'_>,
        said: &[Dated],
        stored: &mut Vec<JournalReading>,
    ) {
        let Arriving { series, point, reading } = arriving;
        let verdict = match self.entry(series.0) {
            Some(entry) if plausibility::is_judged(series.1) => {
                plausibility::judge(entry, series.1, point, self.before(series))
            }
            _ => Verdict::Good,
        };
        match verdict {
            Verdict::Suspect { quality, reason, is_unconfirmed } => {
                self.doubt(passage, arriving, (quality, reason), is_unconfirmed);
                return;
            }
            Verdict::Confirms(jump) => {
                self.set_unconfirmed(passage, series, None);
                passage.change.confirmed.push((series, jump.at));
                self.take_in(passage, Arriving { series, point: jump, reading }, said, stored);
            }
            Verdict::Rejects => self.set_unconfirmed(passage, series, None),
            Verdict::Good => {}
        }
        self.take_in(passage, arriving, said, stored);
    }

    fn doubt(
        &mut self,
        passage: &mut Passage<'_>,
        Arriving { series, point, reading }: Arriving<'_>,
        (quality, reason): (Quality, Reason),
        is_unconfirmed: bool,
    ) {
        let (device, metric) = series;
        passage.change.suspects.push(Doubted {
            device,
            metric,
            at: point.at,
            received_at: passage.message.received_at,
            value: point.value,
            quality,
            reason,
            held: is_unconfirmed,
        });
        if reason == Reason::Frozen {
            passage.event(device, (metric_name(&reading.metric), reason.as_str()), None);
        }
        if is_unconfirmed {
            self.set_unconfirmed(passage, series, Some(point));
        }
        passage.evaluate(series, point, quality, reading.is_evidence_of_change());
    }

    /// A good reading, and what it means for its device.
    fn take_in(
        &mut self,
        passage: &mut Passage<'_>,
        arriving: Arriving<'_>,
        said: &[Dated],
        stored: &mut Vec<JournalReading>,
    ) {
        let Arriving { series, point, reading } = arriving;
        let (device, metric) = series;
        let is_running = derived::is_running(&reading.metric);
        let before = if is_running { self.newest(series) } else { None };
        self.store(passage, arriving, stored);
        if (is_running || plausibility::is_judged(metric))
            && self.newest(series).is_none_or(|newest| point.at >= newest.at)
        {
            self.newest.insert(series, point);
        }
        self.calibrate(passage, series, point);
        let was_said = |wanted: MetricNo| said.iter().any(|other| other.metric == Metric::Known(wanted));
        let also = self.entry(device).map(|entry| derived::of_value(entry, &reading.metric, point.value));
        for (metric, value) in also.into_iter().flatten().flatten().filter(|(metric, _)| !was_said(*metric)) {
            let derived = Arriving { series: (device, metric), point: Point { value, ..point }, reading };
            self.store(passage, derived, stored);
        }
        let Some(before) = before.filter(|before| point.at > before.at) else { return };
        if let Some(visitors) = derived::counts(&reading.metric).filter(|metric| !was_said(*metric)) {
            let (value, has_restarted) = derived::visitors(before.value, point.value);
            if has_restarted {
                passage.event(device, (metric_name(&reading.metric), "counter_reset"), None);
            }
            let derived = Arriving { series: (device, visitors), point: Point { value, ..point }, reading };
            self.store(passage, derived, stored);
        }
        if derived::is_frame_counter(&reading.metric) && point.value < before.value {
            passage.event(device, ("device", "counter_reset"), None);
        }
    }

    /// By its identity (device, metric, time): known with this value, it changes nothing; known with another, it
    /// replaces that one. What is new is shown to the rules.
    fn store(&mut self, passage: &mut Passage<'_>, arriving: Arriving<'_>, stored: &mut Vec<JournalReading>) {
        let Arriving { series, point, reading } = arriving;
        let Point { at, value } = point;
        let known = self.values.get(&(series, at)).copied();
        match known.or_else(|| self.recent.value_at(series.0, series.1, at)) {
            Some(known) if known.to_bits() == value.to_bits() => {
                passage.change.counts.duplicates += 1;
                return;
            }
            Some(_) => passage.change.counts.corrections += 1,
            None => {}
        }
        self.values.insert((series, at), value);
        let newest_at = self.newest_at.entry(series.0).or_insert(at);
        *newest_at = at.max(*newest_at);
        passage.evaluate(series, point, Quality::Good, reading.is_evidence_of_change());
        stored.push(JournalReading { metric: series.1, at, value });
    }

    /// A person on site has said what the next reading stands for.
    fn calibrate(&mut self, passage: &mut Passage<'_>, (device, metric): Series, point: Point) {
        let Some(entry) = self.entry(device) else { return };
        let Some(outcome) = calibration::take(entry, metric, point.value) else { return };
        passage.event(device, ("device", outcome.event), Some(&outcome.detail));
        passage.change.changed_devices.push(outcome.entry.clone());
        self.changed.insert(device, outcome.entry);
    }

    fn set_unconfirmed(&mut self, passage: &mut Passage<'_>, series: Series, unconfirmed: Option<Point>) {
        self.unconfirmed.insert(series, unconfirmed);
        passage.change.unconfirmed.push((series, unconfirmed));
    }

    /// Old news of unknown age: shown as last known, never a reading.
    fn remember_undated(&mut self, passage: &mut Passage<'_>, device: DeviceNo, dated: &[Dated]) {
        for reading in dated.iter().filter(|reading| reading.is_undated()) {
            if let Some(metric) = self.metric(passage, device, &reading.metric) {
                let (value, received_at) = (reading.value, passage.message.received_at);
                passage.change.last_known.push(LastKnown { series: (device, metric), value, received_at });
            }
        }
    }

    /// The entry of a device as this group leaves it.
    pub(super) fn entry(&self, device: DeviceNo) -> Option<&Device> {
        self.changed.get(&device).or_else(|| self.directory.device(device).map(|entry| &**entry))
    }

    fn newest(&self, series: Series) -> Option<Point> {
        self.newest.get(&series).copied().or_else(|| {
            let latest = self.recent.latest_of(series.0, series.1)?;
            Some(Point { at: latest.at, value: latest.value })
        })
    }

    fn before(&self, series: Series) -> Before {
        let (device, metric) = series;
        let known = self.unconfirmed.get(&series).copied();
        Before {
            latest: self.newest(series),
            unconfirmed: known.unwrap_or_else(|| self.recent.held(device, metric)),
            unchanged_since: self.recent.unchanged_since(device, metric),
        }
    }
}

fn metric_name(metric: &Metric) -> &str {
    match metric {
        Metric::Known(no) => known_metric::info(*no).map_or("", |info| info.name),
        Metric::Custom(name) => name,
    }
}
