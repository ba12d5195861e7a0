//! A real InfluxDB 2 beside the embedded store: the same history, the same questions.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use influxdb2::Client;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::models::Query;
use sanimon_domain::TimestampMs;
use sanimon_simulator::history::METRICS;
use sanimon_store::Device;
use tokio::runtime::Runtime;

use super::fill::Shape;
use super::server::status_mb;

const ORG: &str = "bench";
const BUCKET: &str = "bench";
const TOKEN: &str = "bench-token";
/// Lines in a batch: InfluxDB's own advice.
const LINES_PER_BATCH: usize = 5_000;
const STARTS_WITHIN: Duration = Duration::from_mins(2);
const STOPS_WITHIN: Duration = Duration::from_mins(2);
/// Until files and caches have settled after loading.
const SETTLES_AFTER: Duration = Duration::from_secs(20);

/// A running influxd on a folder of its own.
pub(super) struct InfluxDb {
    child: Child,
    client: Client,
    runtime: Runtime,
}

/// What loading took.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) points_per_s: f64,
    pub(super) bytes_per_point: f64,
    pub(super) peak_rss_mb: f64,
}

impl Drop for InfluxDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl InfluxDb {
    /// Starts it, from `SANIMON_INFLUXD` or the path. True: the folder is new and nothing is loaded.
    pub(super) fn start(folder: &Path) -> anyhow::Result<(Self, bool)> {
        let program = std::env::var("SANIMON_INFLUXD").unwrap_or_else(|_| "influxd".to_owned());
        let is_new = !folder.exists();
        std::fs::create_dir_all(folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(&program)
            .args(["--reporting-disabled", "--no-tasks", "--http-bind-address", &format!("127.0.0.1:{port}")])
            .arg("--bolt-path")
            .arg(folder.join("bolt"))
            .arg("--sqlite-path")
            .arg(folder.join("sqlite"))
            .arg("--engine-path")
            .arg(folder.join("engine"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {program}: tests/services/influxd/build.sh makes one"))?;
        let url = format!("http://127.0.0.1:{port}");
        let (client, runtime) = (Client::new(&url, ORG, TOKEN), Runtime::new()?);
        let server = Self { child, client, runtime };
        server.wait_until_ready(&url, is_new)?;
        Ok((server, is_new))
    }

    fn wait_until_ready(&self, url: &str, is_new: bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + STARTS_WITHIN;
        let setup = serde_json::json!({
            "username": "bench", "password": "bench-password", "org": ORG, "bucket": BUCKET, "token": TOKEN,
        });
        loop {
            let is_ready = self.runtime.block_on(async {
                if is_new {
                    let sent =
                        reqwest::Client::new().post(format!("{url}/api/v2/setup")).body(setup.to_string());
                    return sent.send().await.is_ok_and(|answer| answer.status() == 201);
                }
                self.client.ready().await.is_ok_and(|ready| ready)
            });
            if is_ready {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("influxd was not ready within {STARTS_WITHIN:?}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Writes the whole history, stops in order and counts the bytes.
    pub(super) fn load(mut self, shape: &Shape, folder: &Path) -> anyhow::Result<Loaded> {
        let started = Instant::now();
        let mut history = shape.history();
        let points = history.points();
        let devices: Vec<Device> =
            (0..shape.devices).map(|no| shape.device(no)).collect::<anyhow::Result<_>>()?;
        loop {
            let mut lines = Vec::new();
            for report in history.by_ref().take(LINES_PER_BATCH) {
                let fields = METRICS.iter().copied().zip(report.values);
                sanimon_store::line(&mut lines, &devices[report.device as usize], fields, report.at.0);
            }
            if lines.is_empty() {
                break;
            }
            let write = self.client.write_line_protocol_with_precision(
                ORG,
                BUCKET,
                lines,
                TimestampPrecision::Milliseconds,
            );
            self.runtime.block_on(write).map_err(|error| anyhow::anyhow!("InfluxDB: {error}"))?;
        }
        let seconds = started.elapsed().as_secs_f64();
        std::thread::sleep(SETTLES_AFTER);
        let peak_rss_mb = status_mb(&self.child.id().to_string(), "VmHWM")?;
        self.stop()?;
        Ok(Loaded {
            points_per_s: points as f64 / seconds,
            bytes_per_point: bytes_below(folder)? as f64 / points as f64,
            peak_rss_mb,
        })
    }

    /// SIGTERM, so that its caches are written.
    fn stop(&mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let deadline = Instant::now() + STOPS_WITHIN;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("influxd did not stop within {STOPS_WITHIN:?}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Rows of a query's answer, and how long it took.
    pub(super) fn ask(&self, flux: &str) -> anyhow::Result<(usize, Duration)> {
        use fallible_iterator::FallibleIterator;
        let started = Instant::now();
        let answer = self.runtime.block_on(self.client.query_raw_iter(Some(Query::new(flux.to_owned()))));
        let answer = answer.map_err(|error| anyhow::anyhow!("InfluxDB: {error}"))?;
        let rows = answer.result().count().map_err(|error| anyhow::anyhow!("InfluxDB: {error}"))?;
        Ok((rows, started.elapsed()))
    }
}

pub(super) fn source(shape: &Shape, metric: &str, filter: &str, from: TimestampMs) -> String {
    let nanoseconds = |at: TimestampMs| at.0 * 1_000_000;
    format!(
        "import \"timezone\"\noption location = timezone.location(name: \"Asia/Shanghai\")\n\
         from(bucket: \"{BUCKET}\") |> range(start: time(v: {}), stop: time(v: {}))\n\
         |> filter(fn: (r) => r._measurement == \"bin\" and r._field == \"{metric}\"{filter})",
        nanoseconds(from),
        nanoseconds(shape.end()),
    )
}

fn bytes_below(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
