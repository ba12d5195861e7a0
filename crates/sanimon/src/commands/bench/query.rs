//! `sanimon bench query`: what dispatchers and managers ask, over a year.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use sanimon_domain::time::HOUR_MS;
use sanimon_domain::{DeviceNo, TimestampMs, Window, metric};
use sanimon_store::{Function, Shared, WindowQuery};
use serde_json::{Value, json};

use super::fill::{START, Shape, peak_rss_mb};
use super::influxdb::{self, InfluxDb};

#[derive(Debug, Args)]
pub(crate) struct QueryBench {
    #[command(flatten)]
    shape: Shape,
    /// How often each question is asked.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    times: u16,
}

/// InfluxDB takes minutes for some; some rounds tell enough.
const INFLUXDB_TIMES_MAX: u16 = 5;

/// One question.
struct Question {
    name: &'static str,
    metric: &'static str,
    devices: Vec<u32>,
    /// `None`: the readings as they are.
    window: Option<Window>,
    from: TimestampMs,
    /// The same in Flux, in the form that InfluxDB answers fastest: windows of each series first, then their mean.
    flux: String,
}

impl QueryBench {
    pub(super) fn measure(&self) -> anyhow::Result<Value> {
        super::in_folder(self.shape.data.as_deref(), |folder| self.measure_in(folder))
    }

    fn measure_in(&self, folder: &Path) -> anyhow::Result<Value> {
        let (store, _) = self.shape.open(&folder.join("embedded"))?;
        let mut queries = Vec::new();
        let mut asked = Vec::new();
        for question in self.questions() {
            let (points, times) = self.ask(&store.shared, &question)?;
            let ms = quantiles(times);
            queries.push(json!({ "name": question.name, "windows": points, "ms": ms, "influxdb_ms": null }));
            asked.push(question);
        }
        let peak_rss_mb = peak_rss_mb()?;
        drop(store);
        if self.shape.influxdb {
            let server = self.influxdb(&folder.join("influxdb"))?;
            for (question, query) in asked.iter().zip(&mut queries) {
                let times = self.ask_influxdb(&server, question)?;
                let theirs = quantiles(times);
                let ratio = theirs["p50"].as_f64().zip(query["ms"]["p50"].as_f64()).map(|(a, b)| a / b);
                query["influxdb_ms"] = theirs;
                query["influxdb_ratio"] = json!(ratio);
            }
        }
        Ok(json!({
            "queries": queries,
            "peak_rss_mb": peak_rss_mb,
            "points": self.shape.history().points(),
            "devices": self.shape.devices,
            "days": self.shape.days,
        }))
    }

    /// Loaded if it is not yet; started again, so that its caches are as cold as a new start's.
    fn influxdb(&self, folder: &Path) -> anyhow::Result<InfluxDb> {
        let (server, is_new) = InfluxDb::start(folder)?;
        if !is_new {
            return Ok(server);
        }
        server.load(&self.shape, folder)?;
        Ok(InfluxDb::start(folder)?.0)
    }

    fn ask_influxdb(&self, server: &InfluxDb, question: &Question) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..self.times.min(INFLUXDB_TIMES_MAX) {
            let (rows, time) = server.ask(&question.flux)?;
            anyhow::ensure!(rows > 0, "InfluxDB's answer to `{}` is empty", question.name);
            times.push(time);
        }
        Ok(times)
    }

    fn questions(&self) -> Vec<Question> {
        let shape = &self.shape;
        let zone = (0..shape.devices).filter(|device| Shape::zone_of(*device) == 0).collect();
        let hourly = Window::Fixed { length_ms: HOUR_MS };
        let device = shape.devices / 2;
        let one = format!(" and r.device == \"{}\"", Shape::device_id(device));
        let of_all = |every: &str| {
            format!(
                "|> aggregateWindow(every: {every}, fn: mean, createEmpty: false, timeSrc: \"_start\") |> group(columns: [\"_time\"]) |> mean()"
            )
        };
        let by_hour = "|> aggregateWindow(every: 1h, fn: mean, createEmpty: false, timeSrc: \"_start\")";
        let question = |name, metric, devices, window, filter: &str, select: &str| Question {
            name,
            metric,
            devices,
            window: Some(window),
            from: START,
            flux: format!("{} {select}", influxdb::source(shape, metric, filter, START)),
        };
        let all = (0..shape.devices).collect();
        let last_day = shape.end().minus_ms(24 * HOUR_MS);
        vec![
            question("one device, one metric, by hour", "temperature_c", vec![device], hourly, &one, by_hour),
            question(
                "one zone, by day",
                "fill_pct",
                zone,
                Window::Days(1),
                " and r.zone == \"zone-0\"",
                &of_all("1d"),
            ),
            question("the whole town, by month", "fill_pct", all, Window::Months(1), "", &of_all("1mo")),
            Question {
                name: "one device, the last day, as it is",
                metric: "fill_pct",
                devices: vec![device],
                window: None,
                from: last_day,
                flux: influxdb::source(shape, "fill_pct", &one, last_day),
            },
        ]
    }

    /// The number of windows in the answer, and how long each time took.
    fn ask(&self, shared: &Shared, question: &Question) -> anyhow::Result<(usize, Vec<Duration>)> {
        let metric = metric::by_name(question.metric).ok_or_else(|| anyhow::anyhow!("no metric"))?;
        let (from, to) = (question.from, self.shape.end());
        let devices: Vec<DeviceNo> = question.devices.iter().copied().map(DeviceNo).collect();
        let mut times = Vec::new();
        let mut windows = 0;
        for _ in 0..self.times {
            let started = Instant::now();
            windows = match question.window {
                Some(window) => {
                    let query = WindowQuery { metric, from, to, window, function: Function::Mean };
                    shared.windows(query, std::slice::from_ref(&devices))?[0].len()
                }
                None => shared.telemetry(devices[0], metric, from, to)?.len(),
            };
            times.push(started.elapsed());
        }
        anyhow::ensure!(windows > 0, "`{}` has an empty answer", question.name);
        Ok((windows, times))
    }
}

pub(super) fn quantiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |quantile: f64| {
        let index = ((times.len() as f64 * quantile).ceil() as usize).clamp(1, times.len()) - 1;
        times[index].as_secs_f64() * 1e3
    };
    json!({ "p50": at(0.5), "p99": at(0.99) })
}
