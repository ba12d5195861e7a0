//! `sanimon bench query`: what dispatchers and managers ask, over a year.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use sanimon_domain::time::HOUR_MS;
use sanimon_domain::{DeviceNo, TimestampMs, Window, metric};
use sanimon_store::{Function, Shared, WindowQuery};
use serde_json::{Value, json};

use super::fill::{Shape, peak_rss_mb};

#[derive(Debug, Args)]
pub(crate) struct QueryBench {
    #[command(flatten)]
    shape: Shape,
    /// How often each question is asked.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    times: u16,
}

/// One question.
struct Question {
    name: &'static str,
    metric: &'static str,
    devices: Vec<u32>,
    /// `None`: the readings as they are.
    window: Option<Window>,
    from: TimestampMs,
}

impl QueryBench {
    pub(super) fn measure(&self) -> anyhow::Result<Value> {
        super::in_folder(self.shape.data.as_deref(), |folder| self.measure_in(folder))
    }

    fn measure_in(&self, folder: &Path) -> anyhow::Result<Value> {
        let (store, _) = self.shape.open(&folder.join("embedded"))?;
        let mut queries = Vec::new();
        for question in self.questions() {
            let (points, times) = self.ask(&store.shared, &question)?;
            queries.push(json!({
                "name": question.name,
                "windows": points,
                "ms": quantiles(times),
                "influxdb_ms": null,
            }));
        }
        Ok(json!({
            "queries": queries,
            "peak_rss_mb": peak_rss_mb()?,
            "points": self.shape.history().points(),
            "devices": self.shape.devices,
            "days": self.shape.days,
        }))
    }

    fn questions(&self) -> Vec<Question> {
        let shape = &self.shape;
        let zone = (0..shape.devices).filter(|device| shape.zone_of(*device) == 0).collect();
        let hourly = Window::Fixed { length_ms: HOUR_MS };
        let question = |name, metric, devices, window| Question {
            name,
            metric,
            devices,
            window: Some(window),
            from: shape.start(),
        };
        vec![
            question("one device, one metric, by hour", "temperature_c", vec![shape.devices / 2], hourly),
            question("one zone, by day", "fill_pct", zone, Window::Days(1)),
            question("the whole town, by month", "fill_pct", (0..shape.devices).collect(), Window::Months(1)),
            Question {
                name: "one device, the last day, as it is",
                metric: "fill_pct",
                devices: vec![0],
                window: None,
                from: shape.end().minus_ms(24 * HOUR_MS),
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
