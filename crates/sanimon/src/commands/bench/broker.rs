//! The embedded broker, acknowledging after the synced commit, beside a Mosquitto that acknowledges from memory: in turns, in
//! one run. The ratios are what counts; microseconds drift on a shared machine.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use sanimon_simulator::load::{self, Door, LoadPlan};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::mosquitto::Broker;
use super::security::{Open, trusting};
use super::server::{Server, cpu_s, status_mb};

#[derive(Debug, Args)]
pub(crate) struct BrokerBench {
    /// How long each turn takes, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// How often each case is measured on each side, in turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=20))]
    rounds: u16,
    /// Metrics in a message.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    metrics: u8,
    /// Connections that say nothing.
    #[arg(long, default_value_t = 15_000)]
    idle: usize,
}

/// One way in which clients come.
struct Case {
    name: &'static str,
    connections: usize,
    under_way: usize,
    is_tls: bool,
}

const CASES: [Case; 4] = [
    Case { name: "connections_200_under_way_1", connections: 200, under_way: 1, is_tls: false },
    Case { name: "connections_200_under_way_64", connections: 200, under_way: 64, is_tls: false },
    Case { name: "gateway_1_under_way_64", connections: 1, under_way: 64, is_tls: false },
    Case { name: "tls_connections_200_under_way_1", connections: 200, under_way: 1, is_tls: true },
];

/// One side of the comparison.
struct Side {
    plain: SocketAddr,
    tls: SocketAddr,
    pid: u32,
    door: Door,
    tls_door: Door,
}

/// What a side did of a case, in all rounds.
#[derive(Default)]
struct Sum {
    acknowledged: u64,
    seconds: f64,
    cpu_s: f64,
}

impl Sum {
    fn per_s(&self) -> f64 {
        self.acknowledged as f64 / self.seconds
    }

    fn us_a_message(&self) -> f64 {
        self.cpu_s * 1e6 / self.acknowledged.max(1) as f64
    }
}

impl BrokerBench {
    pub(super) fn measure(&self) -> anyhow::Result<Value> {
        rlimit::increase_nofile_limit(u64::MAX)?;
        super::in_folder(None, |folder| crate::site::runtime()?.block_on(self.measure_in(folder)))
    }

    async fn measure_in(&self, folder: &Path) -> anyhow::Result<Value> {
        let open = Open::start(&folder.join("ours")).await?;
        let Some(theirs) = Broker::with_tls(&folder.join("theirs"), &folder.join("ours/tls"))? else {
            anyhow::bail!("there is no Mosquitto on this machine: apt-get install mosquitto");
        };
        let sides = [
            Side {
                plain: open.server.mqtt,
                tls: open.tls,
                pid: open.server.pid(),
                door: Door { account: Some(open.account.clone()), tls: None },
                tls_door: Door { account: Some(open.account.clone()), tls: Some(open.trust.clone()) },
            },
            Side {
                plain: theirs.address,
                tls: theirs.tls.context("no TLS listener")?,
                pid: theirs.pid(),
                door: Door::default(),
                tls_door: Door { account: None, tls: Some(trusting(&folder.join("ours/tls"))?) },
            },
        ];
        let mut report = serde_json::Map::new();
        let mut plain = 0.0;
        for (number, case) in CASES.iter().enumerate() {
            let mut sums = [Sum::default(), Sum::default()];
            for round in 0..u32::from(self.rounds) {
                for (side, sum) in sides.iter().zip(&mut sums) {
                    self.turn(side, case, number as u32 * 100 + round + 1, sum).await?;
                }
            }
            let [ours, theirs] = &sums;
            if number == 0 {
                plain = ours.us_a_message();
            }
            report.insert(case.name.to_owned(), json!({
                "acked_per_s": ours.per_s().round(), "mosquitto_per_s": theirs.per_s().round(),
                "rate_ratio": ours.per_s() / theirs.per_s(),
                "cpu_us": ours.us_a_message(), "mosquitto_cpu_us": theirs.us_a_message(),
                "cpu_ratio": ours.us_a_message() / theirs.us_a_message(),
                "cpu_over_plain": if case.is_tls { json!(ours.us_a_message() / plain) } else { Value::Null },
            }));
        }
        let us = &sides[0];
        report.insert("idle".to_owned(), self.idle(&open.server, us.plain, &us.door).await?);
        report.insert("idle_tls".to_owned(), self.idle(&open.server, us.tls, &us.tls_door).await?);
        Ok(Value::Object(report))
    }

    async fn turn(&self, side: &Side, case: &Case, run: u32, sum: &mut Sum) -> anyhow::Result<()> {
        let (broker, door) = if case.is_tls { (side.tls, &side.tls_door) } else { (side.plain, &side.door) };
        let plan = LoadPlan {
            broker,
            connections: case.connections,
            metrics: usize::from(self.metrics),
            under_way: case.under_way,
            duration: Duration::from_secs(u64::from(self.seconds)),
            rate: None,
            run,
            door: door.clone(),
        };
        let before = cpu_s(side.pid)?;
        let outcome = load::run(&plan).await?;
        sum.cpu_s += cpu_s(side.pid)? - before;
        sum.acknowledged += outcome.acknowledged;
        sum.seconds += outcome.seconds;
        Ok(())
    }

    /// What a connection costs that has signed in and says nothing more, and that it still lives.
    async fn idle(&self, server: &Server, broker: SocketAddr, door: &Door) -> anyhow::Result<Value> {
        let number = if door.tls.is_some() { self.idle / 3 } else { self.idle };
        let (rss_mb, handles) = (status_mb(&server.pid().to_string(), "VmRSS")?, server.handles()?);
        let mut streams = Vec::with_capacity(number);
        for index in 0..number {
            streams.push(load::connect(broker, &format!("idle-{index}"), door).await?);
        }
        let more_mb = status_mb(&server.pid().to_string(), "VmRSS")? - rss_mb;
        let more_handles = server.handles()?.saturating_sub(handles);
        let mut answered = 0;
        for stream in &mut streams {
            stream.write_all(&[0xc0, 0]).await?;
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).await?;
            answered += usize::from(answer == [0xd0, 0]);
        }
        drop(streams);
        // The next case begins when these have gone.
        while server.handles()? > handles + 100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let _ = TcpStream::connect(broker).await?;
        Ok(json!({
            "connections": number, "answered": answered,
            "kb_a_connection": more_mb * 1_024.0 / number.max(1) as f64,
            "handles_a_connection": more_handles as f64 / number.max(1) as f64,
        }))
    }
}
