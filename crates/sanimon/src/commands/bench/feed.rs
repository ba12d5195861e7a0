//! From a publish to its event in the live feed, at 1,000 messages a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use sanimon_simulator::load::{self, Door, LoadPlan};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::server::Server;

const RATE: f64 = 1_000.0;
const CONNECTIONS: usize = 100;
/// The number that tells this load's devices from others.
const RUN: u32 = 4;

/// The event's arrival minus the reading's own time, both by this machine's clock in whole milliseconds.
pub(super) async fn measure(server: &Server, seconds: u16) -> anyhow::Result<Value> {
    let cookie = sign_in(server).await?;
    let mut stream = TcpStream::connect(server.http).await?;
    let request =
        format!("GET /api/v1/events?topics=readings HTTP/1.1\r\nhost: bench\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let follower = tokio::spawn(follow(stream));
    let duration = Duration::from_secs(u64::from(seconds));
    let plan = LoadPlan {
        broker: server.mqtt,
        connections: CONNECTIONS,
        metrics: 1,
        under_way: 1,
        duration,
        rate: Some(RATE),
        run: RUN,
        door: Door::default(),
    };
    let load = load::run(&plan).await?;
    // What is under way has a moment to arrive; then the stream is cut.
    tokio::time::sleep(Duration::from_millis(300)).await;
    follower.abort();
    let latencies = LATENCIES.lock().map_err(|_| anyhow::anyhow!("the follower broke off"))?.take();
    let latencies = latencies.context("no event arrived")?;
    ensure!(
        latencies.len() >= load.acknowledged / 2,
        "only {} of {} events arrived",
        latencies.len(),
        load.acknowledged
    );
    let ms = |quantile: f64| latencies.value_at_quantile(quantile);
    Ok(
        json!({ "p50": ms(0.5), "p99": ms(0.99), "p999": ms(0.999), "events": latencies.len(), "published": load.acknowledged }),
    )
}

/// Filled by the follower while it runs: it is cut off, so it cannot give its result back.
static LATENCIES: std::sync::Mutex<Option<Histogram<u64>>> = std::sync::Mutex::new(None);

pub(super) async fn sign_in(server: &Server) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(server.http).await?;
    let body = json!({ "username": "admin", "password": server.password }).to_string();
    let request = format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let cookie =
        answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).context("cannot sign in")?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

async fn follow(stream: TcpStream) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let own = format!("load-{RUN}-");
    while let Some(line) = lines.next_line().await? {
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let Ok(change) = serde_json::from_str::<Value>(data) else { continue };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
        let mut latencies = LATENCIES.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        let latencies = match &mut *latencies {
            Some(latencies) => latencies,
            none => none.insert(Histogram::new(3)?),
        };
        for reading in change["readings"].as_array().into_iter().flatten() {
            if reading["device"].as_str().is_some_and(|device| device.starts_with(&own)) {
                let at = reading["at"].as_i64().unwrap_or(now);
                latencies.saturating_record(now.saturating_sub(at).max(0) as u64);
            }
        }
    }
    Ok(())
}
