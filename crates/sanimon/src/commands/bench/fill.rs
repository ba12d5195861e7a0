//! A store with a history in it: what `bench store` measures, and `bench query` asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use sanimon_domain::time::SECOND_MS;
use sanimon_domain::{DeviceId, DeviceKind, DeviceNo, MetricNo, SiteCalendar, TimestampMs, ZoneId, metric};
use sanimon_operations::OperationsSettings;
use sanimon_simulator::history::{History as SimulatedHistory, METRICS};
use sanimon_store::{Device, JournalMessage, JournalReading, Store};
use sanimon_writer::{History, Input, Job, Options};

use crate::commands::offline::Offline;
use crate::site;

/// Messages in a group: with five metrics each, 5,000 points a synced commit.
const MESSAGES_PER_GROUP: usize = 1_000;
/// 2025-01-01 in Shanghai: a year of whole months there.
pub(super) const START: TimestampMs = TimestampMs(1_735_660_800_000);
const ZONES: u32 = 6;
/// The first zone is the one that is asked about.
const FIRST_ZONE_DEVICES: u32 = 300;

/// What is stored.
#[derive(Debug, Clone, Args)]
pub(super) struct Shape {
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) devices: u32,
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(super) days: u32,
    /// Between two reports of a device.
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(super) interval_s: u32,
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Keeps the data here, and uses what an earlier run left. Without it, a temporary folder is used.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Measures a real InfluxDB 2 beside it: `SANIMON_INFLUXD`, or influxd from the path.
    #[arg(long)]
    pub(super) influxdb: bool,
}

/// What it took.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) points: u64,
    pub(super) sealed_points: u64,
    pub(super) commit: Duration,
    pub(super) seal: Duration,
}

impl Shape {
    pub(super) fn history(&self) -> SimulatedHistory {
        SimulatedHistory::new(
            self.devices,
            START,
            self.days,
            i64::from(self.interval_s) * SECOND_MS,
            self.seed,
        )
    }

    /// The end of the last whole day.
    pub(super) fn end(&self) -> TimestampMs {
        START.plus_ms(i64::from(self.days) * sanimon_domain::time::DAY_MS)
    }

    pub(super) fn zone_of(device: u32) -> u32 {
        if device < FIRST_ZONE_DEVICES { 0 } else { 1 + device % (ZONES - 1) }
    }

    pub(super) fn device_id(device: u32) -> String {
        format!("bench-{device}")
    }

    fn devices(&self) -> anyhow::Result<Vec<Device>> {
        (0..self.devices).map(|no| self.device(no)).collect()
    }

    pub(super) fn device(&self, no: u32) -> anyhow::Result<Device> {
        Ok(Device {
            no: DeviceNo(no),
            zone: Some(ZoneId::new(&format!("zone-{}", Self::zone_of(no)))?),
            district: "bench".to_owned(),
            interval_ms: Some(i64::from(self.interval_s) * SECOND_MS),
            ..Device::new(DeviceId::new(&Self::device_id(no))?, DeviceKind::Bin, START)
        })
    }

    /// Opens the data, filled if it is not yet.
    pub(super) fn open(&self, folder: &Path) -> anyhow::Result<(Store, Filled)> {
        let calendar = SiteCalendar::new(chrono_tz::Tz::Asia__Shanghai);
        let store = site::open_store(folder, Some(calendar))?;
        if !store.shared.directory.read().devices().is_empty() {
            return Ok((store, Filled::default()));
        }
        let operations = Arc::new(OperationsSettings::standard(calendar));
        let mut writer = Offline::open(store, Options::new(Arc::default(), operations), START)?;
        let filled = self.fill(&mut writer)?;
        Ok((writer.close()?, filled))
    }

    fn fill(&self, writer: &mut Offline) -> anyhow::Result<Filled> {
        let mut filled = Filled::default();
        let devices = History { new_devices: self.devices()?, ..History::default() };
        let _outputs = writer.apply(START, Input::History(devices))?;
        let metrics = metric_numbers()?;
        let mut history = self.history();
        loop {
            let messages: Vec<JournalMessage> = history
                .by_ref()
                .take(MESSAGES_PER_GROUP)
                .map(|report| JournalMessage {
                    device: DeviceNo(report.device),
                    received_at: report.at,
                    digest: None,
                    is_old_news: false,
                    readings: metrics
                        .iter()
                        .zip(report.values)
                        .map(|(metric, value)| JournalReading { metric: *metric, at: report.at, value })
                        .collect(),
                })
                .collect();
            let is_last = messages.is_empty();
            filled.points += (messages.len() * METRICS.len()) as u64;
            let started = Instant::now();
            let outputs = writer.step(START, Input::History(History { messages, ..History::default() }))?;
            filled.commit += started.elapsed();
            seal(writer, &mut filled, outputs.job)?;
            if is_last {
                let started = Instant::now();
                filled.sealed_points += writer.shared()?.hot.read().unsealed_points() as u64;
                writer.seal_all(START)?;
                filled.seal += started.elapsed();
                return Ok(filled);
            }
        }
    }
}

pub(super) fn metric_numbers() -> anyhow::Result<Vec<MetricNo>> {
    let number =
        |name: &&str| metric::by_name(name).ok_or_else(|| anyhow::anyhow!("there is no metric {name}"));
    METRICS.iter().map(number).collect()
}

fn seal(writer: &mut Offline, filled: &mut Filled, mut job: Option<Job>) -> anyhow::Result<()> {
    while let Some(due) = job.take() {
        let started = Instant::now();
        filled.sealed_points += writer.shared()?.hot.read().unsealed_points() as u64;
        job = writer.run(START, due)?;
        filled.seal += started.elapsed();
    }
    Ok(())
}

/// The bytes of all files in a folder.
pub(super) fn bytes_in(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// This process' peak of resident memory, in megabytes.
pub(super) fn peak_rss_mb() -> anyhow::Result<f64> {
    super::server::status_mb("self", "VmHWM")
}
