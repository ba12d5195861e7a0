//! What security costs, and what it keeps: a request's sign-in and role, TLS, and honest devices under attack.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sanimon_simulator::hostile::Attack;
use sanimon_simulator::load::{self, Door, LoadPlan};
use sanimon_simulator::publish::Account;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::feed::sign_in;
use super::server::Server;
use crate::commands::certificate;

/// Nothing is slowed down that is to be measured.
const LIMITS: &str =
    "[mqtt.embedded.limits]\nconnections = 10000\nmessages_per_s = 1000000\nbytes_per_s = 1000000000\n";
const HONEST: usize = 200;
const HONEST_RATE: f64 = 1_000.0;
const REQUESTS: usize = 5_000;

#[derive(Debug, Args)]
pub(crate) struct SecurityBench {
    /// Hostile connections at once.
    #[arg(long, default_value_t = 5_000)]
    hostile: usize,
    /// How long each part takes, in seconds.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=120))]
    seconds: u16,
}

/// A site whose broker is reached from outside, over TLS too.
pub(super) struct Open {
    pub(super) server: Server,
    pub(super) tls: SocketAddr,
    pub(super) account: Account,
    pub(super) trust: Arc<ClientConfig>,
}

impl SecurityBench {
    pub(super) fn measure(&self) -> anyhow::Result<Value> {
        // This process makes the attack, and the measured one inherits the limit.
        rlimit::increase_nofile_limit(u64::MAX)?;
        super::in_folder(None, |folder| crate::site::runtime()?.block_on(self.measure_in(folder)))
    }

    async fn measure_in(&self, folder: &Path) -> anyhow::Result<Value> {
        let local = Server::start(&folder.join("local"), "")?;
        let guard = guard(&local).await?;
        let direct = self.rate(local.mqtt, Door::default(), 1).await?;
        local.stop()?;
        let open = Open::start(folder).await?;
        let named = Door { account: Some(open.account.clone()), tls: None };
        let plain = self.rate(open.server.mqtt, named.clone(), 2).await?;
        let secure = Door { tls: Some(open.trust.clone()), ..named.clone() };
        let tls = self.rate(open.tls, secure, 3).await?;
        let attack = self.attack(&open, named).await?;
        Ok(json!({
            "guard": guard,
            "ingest": {
                "this_machine_per_s": direct.round(), "plain_per_s": plain.round(), "tls_per_s": tls.round(),
                "tls_over_plain": tls / plain, "tls_over_this_machine": tls / direct,
            },
            "attack": attack,
        }))
    }

    /// Acknowledged messages a second, as many as are taken.
    async fn rate(&self, broker: SocketAddr, door: Door, run: u32) -> anyhow::Result<f64> {
        let outcome = load::run(&self.plan(broker, None, door, run)).await?;
        Ok(outcome.acknowledged as f64 / outcome.seconds)
    }

    fn plan(&self, broker: SocketAddr, rate: Option<f64>, door: Door, run: u32) -> LoadPlan {
        let duration = Duration::from_secs(u64::from(self.seconds));
        LoadPlan { broker, connections: HONEST, metrics: 5, under_way: 1, duration, rate, run, door }
    }

    /// Honest devices at their own pace, alone and beside hostile connections; then hostile ones that are there first.
    async fn attack(&self, open: &Open, door: Door) -> anyhow::Result<Value> {
        let calm = load::run(&self.plan(open.server.mqtt, Some(HONEST_RATE), door.clone(), 4)).await?;
        let attack = Attack::start(open.server.mqtt, self.hostile)?;
        let began = Instant::now();
        while attack.made.load(Ordering::Relaxed) < self.hostile as u64 {
            ensure!(began.elapsed() < Duration::from_mins(1), "the hostile connections did not come up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let handles = open.server.handles()?;
        let under = load::run(&self.plan(open.server.mqtt, Some(HONEST_RATE), door.clone(), 5)).await?;
        let (made, rss_mb) = (attack.made.load(Ordering::Relaxed), open.server.rss_mb("VmRSS")?);
        let held = attack.held.load(Ordering::Relaxed);
        attack.end();
        let rate = |outcome: &load::LoadOutcome| outcome.acknowledged as f64 / outcome.seconds;
        Ok(json!({
            "hostile_at_once": self.hostile, "hostile_made": made, "hostile_held_at_the_end": held,
            "honest_devices": HONEST,
            "honest_per_s": rate(&calm), "honest_under_attack_per_s": rate(&under), "kept": rate(&under) / rate(&calm),
            "puback_ms": super::quantiles(&calm), "puback_under_attack_ms": super::quantiles(&under),
            "server_handles": handles, "server_rss_mb": rss_mb,
        }))
    }
}

impl Open {
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let certificates = folder.join("tls");
        certificate::make_site(vec!["127.0.0.1".to_owned()], &certificates)?;
        let tls = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?;
        let more = format!(
            "tls_listen = \"{tls}\"\n{LIMITS}[tls]\ncertificate = \"{0}/server.pem\"\nkey = \"{0}/server.key\"\n",
            certificates.display()
        );
        let server = Server::listening(&folder.join("site"), "0.0.0.0", &more)?;
        let account = credential(&server).await?;
        Ok(Self { server, tls, account, trust: trusting(&certificates)? })
    }
}

/// Trusts the site's own authority.
pub(super) fn trusting(certificates: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let ca = CertificateDer::from_pem_file(certificates.join("ca.pem"))?;
    let mut roots = RootCertStore::empty();
    roots.add(ca)?;
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

/// One credential for the whole load: a gateway's.
async fn credential(server: &Server) -> anyhow::Result<Account> {
    let cookie = sign_in(server).await?;
    let body = json!({ "username": "load", "publish": ["sanitation/#"] }).to_string();
    let head = format!(
        "POST /api/v1/credentials HTTP/1.1\r\nhost: bench\r\ncookie: {cookie}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(server.http).await?;
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).context("no answer")?;
    let made: Value = serde_json::from_str(body.trim()).with_context(|| answer.clone())?;
    let password = made["secret"].as_str().context("no secret")?.to_owned();
    Ok(Account { username: "load".to_owned(), password })
}

/// What sign-in, role and zone add to a request: `/api/v1/vehicles` asks for a session and answers little, `/healthz` asks
/// for none, and both pass the same door.
async fn guard(server: &Server) -> anyhow::Result<Value> {
    let cookie = sign_in(server).await?;
    let plain = requests(server.http, "/healthz", "").await?;
    let head = format!("cookie: {cookie}\r\n");
    let signed_in = requests(server.http, "/api/v1/vehicles", &head).await?;
    let ms = |histogram: &Histogram<u64>, quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e6;
    Ok(json!({
        "without_ms": { "p50": ms(&plain, 0.5), "p99": ms(&plain, 0.99) },
        "with_session_ms": { "p50": ms(&signed_in, 0.5), "p99": ms(&signed_in, 0.99) },
        "adds_ms": ms(&signed_in, 0.5) - ms(&plain, 0.5),
    }))
}

/// Requests one after another on one connection, in nanoseconds.
async fn requests(http: SocketAddr, path: &str, headers: &str) -> anyhow::Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, 10_000_000_000, 3)?;
    let mut stream = TcpStream::connect(http).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}\r\n");
    let mut answer = vec![0; 65_536];
    for n in 0..REQUESTS {
        let sent_at = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        // Small answers, which come at once.
        let read = stream.read(&mut answer).await?;
        ensure!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
        // The first ones find nothing remembered.
        if n >= REQUESTS / 10 {
            histogram.saturating_record(sent_at.elapsed().as_nanos() as u64);
        }
    }
    Ok(histogram)
}
