//! sanimon behind an external Mosquitto, beside a bare rumqttc subscriber that only acknowledges.
//!
//! Both receive from the same broker process, one after the other, under the same load: the ratio is what counts.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use sanimon_simulator::load::{self, Door, LoadPlan};
use serde_json::{Value, json};

use super::Ingest;
use super::server::Server;

const FILTER: &str = "sanitation/+/+/+/telemetry";
/// How long a receiver may take for what is still queued when the load has ended.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// `null` when there is no Mosquitto on this machine.
pub(super) async fn measure(folder: &Path, options: &Ingest) -> anyhow::Result<Value> {
    std::fs::create_dir_all(folder)?;
    let Some(broker) = Broker::start(folder)? else { return Ok(Value::Null) };
    let plan = |run| LoadPlan {
        broker: broker.address,
        connections: usize::from(options.connections),
        metrics: usize::from(options.metrics),
        under_way: 1,
        duration: Duration::from_secs(u64::from(options.seconds)),
        rate: None,
        run,
        door: Door::default(),
    };
    let bare = bare(&broker, &plan(5)).await?;
    let section = format!("[[mqtt.broker]]\nname = \"town\"\nurl = \"mqtt://{}\"\n", broker.address);
    let server = Server::start(&folder.join("site"), &section)?;
    broker.wait_for_subscriber().await?;
    let started = Instant::now();
    let load = load::run(&plan(6)).await?;
    let received = drained(|| stored(&server), load.acknowledged).await?;
    let ours = received as f64 / started.elapsed().as_secs_f64();
    drop(server);
    Ok(json!({
        "bare_subscriber_per_s": bare.round(),
        "sanimon_per_s": ours.round(),
        "ratio": ours / bare,
        "published": load.acknowledged,
        "received": received,
    }))
}

/// Messages a second that a subscriber gets which only acknowledges.
async fn bare(broker: &Broker, plan: &LoadPlan) -> anyhow::Result<f64> {
    let mut options = MqttOptions::new("bare", broker.address.ip().to_string(), broker.address.port());
    options.set_manual_acks(true).set_clean_session(true);
    let (client, mut event_loop) = AsyncClient::new(options, 70_000);
    client.subscribe(FILTER, QoS::AtLeastOnce).await?;
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = count.clone();
    let subscriber = tokio::spawn(async move {
        while let Ok(event) = event_loop.poll().await {
            if let Event::Incoming(Packet::Publish(publish)) = event {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let _ = client.try_ack(&publish);
            }
        }
    });
    broker.wait_for_subscriber().await?;
    let started = Instant::now();
    let load = load::run(plan).await?;
    let received =
        drained(|| Ok(count.load(std::sync::atomic::Ordering::Relaxed)), load.acknowledged).await?;
    let rate = received as f64 / started.elapsed().as_secs_f64();
    subscriber.abort();
    Ok(rate)
}

/// Waits until everything that the broker took has come, or comes no more.
async fn drained(mut count: impl FnMut() -> anyhow::Result<u64>, expected: u64) -> anyhow::Result<u64> {
    let deadline = Instant::now() + DRAIN_MAX;
    loop {
        let received = count()?;
        if received >= expected || Instant::now() > deadline {
            return Ok(received.min(expected));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the site's own counter says of messages that are committed and acknowledged.
fn stored(server: &Server) -> anyhow::Result<u64> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(server.http)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let line = answer.lines().find_map(|line| line.strip_prefix("sanimon_messages_acknowledged_total "));
    line.context("no counter in /metrics")?.trim().parse().context("the counter is no number")
}

pub(super) struct Broker {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<SocketAddr>,
}

impl Broker {
    fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        Self::listening(folder, None)
    }

    /// With a TLS listener besides, by the certificates of a folder.
    pub(super) fn with_tls(folder: &Path, certificates: &Path) -> anyhow::Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        Self::listening(folder, Some(certificates))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn listening(folder: &Path, certificates: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let program =
            ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = program else { return Ok(None) };
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.join("mosquitto.conf");
        // The window is as wide as MQTT allows: the receiver is to be measured, not the default of 20.
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n",
            address.port()
        );
        let tls = certificates.map(|_| TcpListener::bind("127.0.0.1:0")?.local_addr()).transpose()?;
        let more = tls.zip(certificates).map_or_else(String::new, |(address, folder)| {
            let (port, folder) = (address.port(), folder.display());
            // It would give up its rights, and then cannot read the key.
            format!("user root\nlistener {port} 127.0.0.1\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n")
        });
        std::fs::write(&config, text + &more)?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let broker = Self { child, address, tls };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < deadline, "mosquitto did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(broker))
    }

    /// A subscriber connects and subscribes within this; Mosquitto's own count of subscriptions comes too seldom.
    async fn wait_for_subscriber(&self) -> anyhow::Result<()> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
