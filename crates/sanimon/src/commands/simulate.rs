//! `sanimon simulate`: a simulated township that publishes to any broker.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{Clock, TimestampMs};
use sanimon_simulator::{Simulation, Town, Truth, publish};

use crate::clock::RealClock;
use crate::config::parse_broker_url;
use crate::{screen, site};

/// With `--rate` the town's life begins here in the past, so that its times stay believable.
const PAST_MS: i64 = 29 * DAY_MS;

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The broker, as mqtt://HOST:PORT.
    #[arg(long, value_name = "URL", value_parser = broker)]
    broker: (String, u16),
    /// A name that the broker knows; the password is in the environment, as SANIMON_SIMULATE_PASSWORD.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// How many devices the township has.
    #[arg(long, default_value_t = 300)]
    devices: usize,
    /// Messages a second: the town lives through the last 29 days at this pace, then in real time. Left out: in real
    /// time from now on.
    #[arg(long, value_name = "MSG_PER_S")]
    rate: Option<f64>,
    /// Another seed makes another township.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes what really happened, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Stops after so many messages.
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
}

fn broker(text: &str) -> Result<(String, u16), String> {
    let found = parse_broker_url(text).filter(|(_, _, is_tls)| !is_tls);
    found.map(|(host, port, _)| (host, port)).ok_or_else(|| "write mqtt://HOST:PORT".to_owned())
}

impl Simulate {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        screen::start_log("warn");
        site::runtime()?.block_on(self.publish())
    }

    async fn publish(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.devices > 0, "--devices must be at least 1");
        anyhow::ensure!(self.rate.is_none_or(|rate| rate > 0.0), "--rate must be more than 0");
        let now = RealClock.now();
        let start = if self.rate.is_some() { now.minus_ms(PAST_MS) } else { now };
        let mut simulation = Simulation::new(Town::new(self.seed, self.devices), start);
        let mut truth = TruthFile::create(self.truth.as_deref())?;
        let client_id = format!("sanimon-simulate-{}", self.seed);
        let password = std::env::var("SANIMON_SIMULATE_PASSWORD").unwrap_or_default();
        let account = self.username.clone().map(|username| publish::Account { username, password });
        let publisher = publish::start(&self.broker.0, self.broker.1, &client_id, account.as_ref());
        let (began, mut sent) = (Instant::now(), 0_u64);
        let stopped = site::until_stopped();
        tokio::pin!(stopped);
        while self.messages.is_none_or(|limit| sent < limit) {
            let Some(uplink) = simulation.next_uplink() else { break };
            truth.write(&simulation.take_truth())?;
            let wait = self.wait(uplink.at, began, sent);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = &mut stopped => break,
            }
            tokio::select! {
                outcome = publisher.uplinks.send(uplink) => outcome.context("the publisher ended")?,
                () = &mut stopped => break,
            }
            sent += 1;
        }
        truth.finish()?;
        let publish::Publisher { uplinks, task } = publisher;
        drop(uplinks);
        let acknowledged = tokio::time::timeout(Duration::from_secs(30), task).await;
        let acknowledged =
            acknowledged.context("the broker did not acknowledge everything within 30 s")??;
        screen::print(&format!("{sent} messages sent, {acknowledged} acknowledged\n"));
        Ok(())
    }

    /// Until the next message: by the pace as long as it is of the past, then by its own time.
    fn wait(&self, at: TimestampMs, began: Instant, sent: u64) -> Duration {
        let until = Duration::from_millis(at.since_ms(RealClock.now()).max(0) as u64);
        match self.rate {
            Some(rate) => {
                Duration::from_secs_f64(sent as f64 / rate).saturating_sub(began.elapsed()).max(until)
            }
            None => until,
        }
    }
}

/// The truth's file, if one is wanted.
struct TruthFile(Option<(BufWriter<File>, PathBuf)>);

impl TruthFile {
    fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file =
            File::create(path).with_context(|| format!("cannot write the truth to {}", path.display()))?;
        Ok(Self(Some((BufWriter::new(file), path.to_owned()))))
    }

    fn write(&mut self, truth: &[Truth]) -> anyhow::Result<()> {
        let Some((file, path)) = &mut self.0 else { return Ok(()) };
        let context = || format!("cannot write the truth to {}", path.display());
        truth.iter().try_for_each(|t| writeln!(file, "{}", t.to_json())).with_context(context)
    }

    fn finish(self) -> anyhow::Result<()> {
        let Some((mut file, path)) = self.0 else { return Ok(()) };
        file.flush().with_context(|| format!("cannot write the truth to {}", path.display()))
    }
}
