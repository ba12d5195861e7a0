//! `sanimon export`: readings as CSV or line protocol, device by device, in the order of time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{Clock, DeviceNo, MetricNo, TimestampMs};
use sanimon_store::{Device, Point, Shared};

use super::place::Place;
use crate::clock::RealClock;
use crate::screen;

/// Read and written at once of a series: it bounds the memory, whatever the years.
const SLICE_MS: i64 = 90 * DAY_MS;
/// The columns of the CSV form, as `import` reads them.
pub(super) const COLUMNS: [&str; 7] = ["device", "kind", "zone", "team", "metric", "time", "value"];
pub(super) const NANOSECONDS_PER_MS: i64 = 1_000_000;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// Columns device, kind, zone, team, metric, time (RFC 3339), value.
    Csv,
    /// InfluxDB's line protocol, times in nanoseconds.
    Line,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// RFC 3339; the first reading if left out.
    #[arg(long, value_name = "T", value_parser = time)]
    from: Option<TimestampMs>,
    /// RFC 3339; now if left out. A reading at this very time is not exported.
    #[arg(long, value_name = "T", value_parser = time)]
    to: Option<TimestampMs>,
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file to write; the standard output if left out.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub(super) fn time(text: &str) -> Result<TimestampMs, String> {
    TimestampMs::parse_rfc3339(text).ok_or_else(|| "write it like 2026-03-01T08:00:00Z".to_owned())
}

impl Export {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        screen::start_log("warn");
        let shared = self.place.find()?.snapshot()?;
        let to = self.to.unwrap_or_else(|| RealClock.now());
        let devices: Vec<Arc<Device>> = shared.directory.read().devices().to_vec();
        let bar = screen::bar("devices", devices.len() as u64);
        let exporter = Exporter { shared: &shared, from: self.from, to };
        let readings = match &self.output {
            Some(path) => {
                let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                exporter.write(self.format, &devices, BufWriter::new(file), || bar.inc(1))?
            }
            None => {
                exporter
                    .write(self.format, &devices, BufWriter::new(std::io::stdout().lock()), || bar.inc(1))?
            }
        };
        bar.finish_and_clear();
        if let Some(path) = &self.output {
            screen::print(&format!("{}: {readings} readings of {} devices\n", path.display(), devices.len()));
        }
        Ok(())
    }
}

struct Exporter<'a> {
    shared: &'a Shared,
    from: Option<TimestampMs>,
    to: TimestampMs,
}

impl Exporter<'_> {
    /// Gives the number of readings.
    fn write(
        &self,
        format: Format,
        devices: &[Arc<Device>],
        mut out: impl Write,
        mut done: impl FnMut(),
    ) -> anyhow::Result<u64> {
        let mut readings = 0;
        if matches!(format, Format::Csv) {
            csv::Writer::from_writer(&mut out).write_record(COLUMNS)?;
        }
        for device in devices {
            for (metric, name) in self.metrics(device.no) {
                self.slices(device.no, metric, |points| {
                    readings += points.len() as u64;
                    match format {
                        Format::Csv => csv_rows(&mut out, device, &name, points),
                        Format::Line => line_rows(&mut out, device, &name, points),
                    }
                })?;
            }
            done();
        }
        out.flush().context("cannot write the end of the export")?;
        Ok(readings)
    }

    fn metrics(&self, device: DeviceNo) -> Vec<(MetricNo, String)> {
        let mut numbers: Vec<MetricNo> =
            self.shared.hot.read().latest(device).map(|latest| latest.metric).collect();
        numbers.sort_unstable();
        let directory = self.shared.directory.read();
        let named = |number: MetricNo| Some((number, directory.metric_name(number)?.to_owned()));
        numbers.into_iter().filter_map(named).collect()
    }

    fn slices(
        &self,
        device: DeviceNo,
        metric: MetricNo,
        mut take: impl FnMut(&[Point]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(first) = self.shared.first_at(device, metric)? else { return Ok(()) };
        let mut start = self.from.map_or(first, |from| from.max(first));
        while start < self.to {
            let end = start.plus_ms(SLICE_MS).min(self.to);
            let points = self.shared.telemetry(device, metric, start, end.minus_ms(1))?;
            if !points.is_empty() {
                take(&points)?;
            }
            start = end;
        }
        Ok(())
    }
}

fn csv_rows(out: &mut impl Write, device: &Device, metric: &str, points: &[Point]) -> anyhow::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    let zone = device.zone.as_ref().map_or("", |zone| zone.as_str());
    let team = device.team.as_deref().unwrap_or_default();
    for point in points {
        let (time, value) = (point.at.to_string(), point.value.to_string());
        rows.write_record([device.id.as_str(), device.kind.as_str(), zone, team, metric, &time, &value])?;
    }
    rows.flush().context("cannot write the export")
}

fn line_rows(out: &mut impl Write, device: &Device, metric: &str, points: &[Point]) -> anyhow::Result<()> {
    let mut text = Vec::new();
    for point in points {
        let time = point.at.0.saturating_mul(NANOSECONDS_PER_MS);
        sanimon_store::line(&mut text, device, std::iter::once((metric, point.value)), time);
    }
    out.write_all(&text).context("cannot write the export")
}
