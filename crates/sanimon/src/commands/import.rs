//! `sanimon import`: readings from CSV or line protocol into the store, past the rules: history raises no alert.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use influxdb_line_protocol::{EscapedStr, FieldValue, ParsedLine, parse_lines};
use sanimon_domain::{Clock, DeviceId, DeviceKind, DeviceNo, MetricNo, TimestampMs, ZoneId, metric};
use sanimon_store::{Device, DeviceState, JournalMessage, JournalReading, META_IMPORTED_AT};
use sanimon_writer::{History, Input};
use serde::Deserialize;

use super::export::{Format, NANOSECONDS_PER_MS};
use super::offline::Offline;
use super::place::Place;
use crate::clock::RealClock;
use crate::screen;

/// Readings in a synced commit.
const READINGS_PER_GROUP: usize = 10_000;

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file to read.
    file: PathBuf,
    /// Its form; told by the name if left out: `.csv`, or line protocol.
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    place: Place,
}

/// One row of either form.
#[derive(Debug, Deserialize)]
struct Row {
    device: String,
    kind: String,
    zone: Option<String>,
    team: Option<String>,
    metric: String,
    time: String,
    value: f64,
}

/// A reading by names.
struct Named<'a> {
    device: &'a str,
    kind: &'a str,
    zone: Option<&'a str>,
    team: Option<&'a str>,
    metric: &'a str,
    at: TimestampMs,
    value: f64,
}

impl Import {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        screen::start_log("warn");
        let found = self.place.find()?;
        let format = self.format.unwrap_or_else(|| format_of(&self.file));
        let file = File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let bar = screen::bar("bytes", file.metadata()?.len());
        let mut importer = Importer::new(found.offline()?)?;
        let input = bar.wrap_read(file);
        let outcome = match format {
            Format::Csv => importer.csv(input),
            Format::Line => importer.lines(BufReader::new(input)),
        };
        // What was read before a fault stays, and reading it again changes nothing.
        outcome.with_context(|| {
            format!("{}: stopped after {} readings", self.file.display(), importer.readings)
        })?;
        importer.commit()?;
        bar.finish_and_clear();
        if found.has_influxdb() {
            importer.deliver()?;
        }
        screen::print(&format!("{}: {} readings stored\n", self.file.display(), importer.readings));
        Ok(())
    }
}

fn format_of(file: &Path) -> Format {
    let is_csv = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    if is_csv { Format::Csv } else { Format::Line }
}

struct Importer {
    writer: Offline,
    group: History,
    waiting: usize,
    readings: u64,
    devices: HashMap<String, DeviceNo>,
    metrics: HashMap<String, MetricNo>,
    next_metric: u16,
}

impl Importer {
    fn new(writer: Offline) -> anyhow::Result<Self> {
        let (devices, custom, first_custom) = {
            let directory = writer.shared()?.directory.read();
            let devices =
                directory.devices().iter().map(|device| (device.id.to_string(), device.no)).collect();
            let number = |name: &str| Some((name.to_owned(), directory.metric_by_name(name)?));
            (devices, directory.custom_metrics().filter_map(number).collect(), directory.next_custom_metric())
        };
        // Silences are counted from here on, not from what is long past.
        let meta = vec![(META_IMPORTED_AT, RealClock.now().0.to_string())];
        let group = History { meta, ..History::default() };
        Ok(Self {
            writer,
            group,
            waiting: 0,
            readings: 0,
            devices,
            metrics: custom,
            next_metric: first_custom,
        })
    }

    fn csv(&mut self, input: impl Read) -> anyhow::Result<()> {
        let mut reader = csv::Reader::from_reader(input);
        for row in reader.deserialize() {
            // Its error names the line and the column.
            let row: Row = row?;
            let at = TimestampMs::parse_rfc3339(&row.time)
                .with_context(|| format!("`{}` is no RFC 3339 time", row.time))?;
            let Row { device, kind, metric, value, .. } = &row;
            let filled = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
            let (zone, team) = (filled(&row.zone), filled(&row.team));
            let (zone, team) = (zone.as_deref(), team.as_deref());
            self.add(&Named { device, kind, zone, team, metric, at, value: *value })?;
        }
        Ok(())
    }

    fn lines(&mut self, mut input: impl BufRead) -> anyhow::Result<()> {
        let (mut text, mut number) = (String::new(), 0_u64);
        loop {
            text.clear();
            number += 1;
            if input.read_line(&mut text).with_context(|| format!("line {number}"))? == 0 {
                return Ok(());
            }
            for line in parse_lines(&text) {
                let line = line.with_context(|| format!("line {number} is no line protocol"))?;
                self.line(&line).with_context(|| format!("line {number}"))?;
            }
        }
    }

    fn line(&mut self, line: &ParsedLine<'_>) -> anyhow::Result<()> {
        let tag = |name: &str| line.tag_value(name).map(EscapedStr::as_str);
        let device = tag("device").context("it has no tag `device`")?;
        let nanoseconds = line.timestamp.context("it has no time")?;
        let at = TimestampMs(nanoseconds.div_euclid(NANOSECONDS_PER_MS));
        for (metric, value) in &line.field_set {
            let value = match value {
                FieldValue::F64(value) => *value,
                FieldValue::I64(value) => *value as f64,
                FieldValue::U64(value) => *value as f64,
                FieldValue::Boolean(value) => f64::from(u8::from(*value)),
                FieldValue::String(_) => {
                    bail!("the field `{}` is a text: readings are numbers", metric.as_str())
                }
            };
            let (kind, metric) = (line.series.measurement.as_str(), metric.as_str());
            self.add(&Named { device, kind, zone: tag("zone"), team: tag("team"), metric, at, value })?;
        }
        Ok(())
    }

    fn add(&mut self, named: &Named<'_>) -> anyhow::Result<()> {
        ensure!(named.value.is_finite(), "`{}` of {} is no finite number", named.metric, named.device);
        let device = self.device(named)?;
        let metric = self.metric(named.metric)?;
        let reading = JournalReading { metric, at: named.at, value: named.value };
        match self.group.messages.last_mut() {
            // Of the same time: side by side, as a message has them.
            Some(message) if message.device == device && message.received_at == named.at => {
                message.readings.push(reading);
            }
            _ => self.group.messages.push(JournalMessage {
                device,
                received_at: named.at,
                digest: None,
                is_old_news: false,
                readings: vec![reading],
            }),
        }
        self.waiting += 1;
        if self.waiting >= READINGS_PER_GROUP { self.commit() } else { Ok(()) }
    }

    /// Devices that are not known yet are discovered, as if they had spoken.
    fn device(&mut self, named: &Named<'_>) -> anyhow::Result<DeviceNo> {
        if let Some(no) = self.devices.get(named.device) {
            return Ok(*no);
        }
        let id = DeviceId::new(named.device).with_context(|| format!("the device `{}`", named.device))?;
        let kind = DeviceKind::parse(named.kind)
            .with_context(|| format!("`{}` is none of bin, drain and toilet", named.kind))?;
        let shared = self.writer.shared()?;
        let known_zone = |zone: &ZoneId| shared.directory.read().zone(zone).is_some();
        let no = DeviceNo(self.devices.len() as u32);
        self.group.new_devices.push(Device {
            no,
            zone: named.zone.and_then(|zone| ZoneId::new(zone).ok()).filter(known_zone),
            team: named.team.map(str::to_owned),
            district: named.zone.unwrap_or_default().to_owned(),
            state: DeviceState::Discovered,
            ..Device::new(id, kind, named.at)
        });
        self.devices.insert(named.device.to_owned(), no);
        Ok(no)
    }

    fn metric(&mut self, name: &str) -> anyhow::Result<MetricNo> {
        if let Some(no) = metric::by_name(name).or_else(|| self.metrics.get(name).copied()) {
            return Ok(no);
        }
        ensure!(
            (1..=metric::NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control),
            "`{name}` is no name for a metric"
        );
        let no = self.next_metric;
        self.next_metric = no.checked_add(1).context("there are too many metrics of their own")?;
        self.group.new_metrics.push((MetricNo(no), name.into()));
        self.metrics.insert(name.to_owned(), MetricNo(no));
        Ok(MetricNo(no))
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        let group = std::mem::take(&mut self.group);
        // What becomes due of it is done at once.
        let _outputs = self.writer.apply(RealClock.now(), Input::History(group))?;
        self.readings += std::mem::take(&mut self.waiting) as u64;
        Ok(())
    }

    /// Until InfluxDB has everything. Broken off, `serve` goes on with it.
    fn deliver(&mut self) -> anyhow::Result<()> {
        screen::print("delivering to InfluxDB; Ctrl-C leaves the rest to `sanimon serve`\n");
        self.writer.deliver_all(RealClock.now())
    }
}
