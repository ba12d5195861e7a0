//! `sanimon bench`: measures, and prints one JSON object: a fresh `serve` process over loopback (`ingest`), or the store
//! in this process (`store`, `query`).

mod alerts;
mod broker;
mod console;
mod decode;
mod feed;
mod fill;
mod influxdb;
mod mosquitto;
mod query;
mod security;
mod server;
mod store;

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};
use sanimon_simulator::load::{self, Door, LoadOutcome, LoadPlan};
use sanimon_store::Store;
use serde_json::{Value, json};

use self::server::Server;
use crate::{screen, site};

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Messages acknowledged after the synced commit.
    Ingest(Ingest),
    /// Points into the journal and into blocks, and their bytes on disk.
    Store(store::StoreBench),
    /// Devices' frames, by tables and through JavaScript.
    Decode(decode::DecodeBench),
    /// The engine's speed and memory, and how true its alerts are.
    Alerts(alerts::AlertsBench),
    /// The console in a real Chromium: first load, alerts on the screen, streams, the map, charts.
    Console(console::ConsoleBench),
    /// What dispatchers and managers ask.
    Query(query::QueryBench),
    /// The embedded broker beside Mosquitto, in turns, and what idle connections cost.
    Broker(broker::BrokerBench),
    /// What security costs, and what honest devices keep under attack.
    Security(security::SecurityBench),
}

#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// Publishers at once, each with one publish under way.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    connections: u16,
    /// Metrics in a message.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=5))]
    metrics: u8,
    /// How long each part takes, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=120))]
    seconds: u16,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        screen::start_log("warn");
        let report = match self {
            Self::Ingest(ingest) => site::runtime()?.block_on(ingest.measure())?,
            Self::Store(store) => store.measure()?,
            Self::Decode(decode) => decode.measure()?,
            Self::Alerts(alerts) => alerts.measure()?,
            Self::Console(console) => console.measure()?,
            Self::Query(query) => query.measure()?,
            Self::Broker(broker) => broker.measure()?,
            Self::Security(security) => security.measure()?,
        };
        screen::print(&format!("{report}\n"));
        Ok(())
    }
}

/// Runs in the folder, or in a temporary one that is removed afterwards.
fn in_folder<T>(folder: Option<&Path>, run: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    if let Some(folder) = folder {
        return run(folder);
    }
    let folder = std::env::temp_dir().join(format!("sanimon-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = run(&folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

impl Ingest {
    async fn measure(&self) -> anyhow::Result<Value> {
        let folder = std::env::temp_dir().join(format!("sanimon-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let outcome = self.measure_in(&folder).await;
        std::fs::remove_dir_all(&folder)?;
        outcome
    }

    async fn measure_in(&self, folder: &Path) -> anyhow::Result<Value> {
        let server = Server::start(&folder.join("embedded"), "")?;
        let ready_ms = server.ready_ms;
        // One device each, quiet: what 2,000 known devices cost when nothing happens.
        load::run(&self.plan(&server, 2_000, Some(2_000.0), 1, 1)).await?;
        let idle_rss_mb = server.rss_mb("VmRSS")?;

        let single = load::run(&self.plan(&server, 1, None, 2, self.seconds.min(5))).await?;
        let feed_ms = feed::measure(&server, self.seconds.min(10)).await?;
        let before = server.cpu_s()?;
        let many =
            load::run(&self.plan(&server, usize::from(self.connections), None, 3, self.seconds)).await?;
        let cpu_s = server.cpu_s()? - before;
        let peak_rss_mb = server.rss_mb("VmHWM")?;
        let data = server.stop()?;
        let stored = stored(&data, &[2, 3])?;
        let external = mosquitto::measure(&folder.join("external"), self).await?;
        let expected = (single.acknowledged + many.acknowledged) * u64::from(self.metrics);
        Ok(json!({
            "acked_per_s": (many.acknowledged as f64 / many.seconds).round(),
            "readings_per_s": (many.acknowledged as f64 * f64::from(self.metrics) / many.seconds).round(),
            "lost": expected.saturating_sub(stored.of_runs),
            "puback_ms": quantiles(&many),
            "cpu_s_per_million": cpu_s / (many.acknowledged as f64 / 1e6),
            "peak_rss_mb": peak_rss_mb,
            "bytes_per_reading": stored.bytes as f64 / stored.readings.max(1) as f64,
            "connections": self.connections,
            "metrics": self.metrics,
            "single_connection": { "acked_per_s": (single.acknowledged as f64 / single.seconds).round(), "puback_ms": quantiles(&single) },
            "feed_at_1000_per_s_ms": feed_ms,
            "external_mosquitto": external,
            "ready_ms": ready_ms,
            "idle_2000_devices_rss_mb": idle_rss_mb,
        }))
    }

    fn plan(
        &self,
        server: &Server,
        connections: usize,
        rate: Option<f64>,
        run: u32,
        seconds: u16,
    ) -> LoadPlan {
        let duration = Duration::from_secs(u64::from(seconds));
        LoadPlan {
            broker: server.mqtt,
            connections,
            metrics: usize::from(self.metrics),
            under_way: 1,
            duration,
            rate,
            run,
            door: Door::default(),
        }
    }
}

fn quantiles(outcome: &LoadOutcome) -> Value {
    let ms = |quantile: f64| outcome.puback_us.value_at_quantile(quantile) as f64 / 1000.0;
    json!({ "p50": ms(0.5), "p99": ms(0.99), "p999": ms(0.999) })
}

/// What is in a store after its bench.
struct Stored {
    /// Readings of the runs that are judged.
    of_runs: u64,
    /// All readings.
    readings: u64,
    /// The size of all files.
    bytes: u64,
}

/// Counts what the store gives back; devices of a run have its number in their names.
fn stored(data: &Path, runs: &[u32]) -> anyhow::Result<Stored> {
    let store = Store::open(data, None)?;
    let devices: Vec<(DeviceNo, bool)> = {
        let directory = store.shared.directory.read();
        let is_judged = |id: &str| runs.iter().any(|run| id.starts_with(&format!("load-{run}-")));
        directory.devices().iter().map(|device| (device.no, is_judged(device.id.as_str()))).collect()
    };
    let mut stored = Stored { of_runs: 0, readings: 0, bytes: 0 };
    for (device, is_judged) in devices {
        let metrics: Vec<MetricNo> =
            store.shared.hot.read().latest(device).map(|latest| latest.metric).collect();
        for metric in metrics {
            let points = store.shared.telemetry(device, metric, TimestampMs(0), TimestampMs(i64::MAX / 2))?;
            stored.readings += points.len() as u64;
            stored.of_runs += if is_judged { points.len() as u64 } else { 0 };
        }
    }
    drop(store);
    stored.bytes = fill::bytes_in(data)?;
    Ok(stored)
}
