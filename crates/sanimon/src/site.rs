//! A running site: where all parts are put together, and taken apart in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono_tz::Tz;
use sanimon_alerting::RuleSet;
use sanimon_alerting::lifecycle::Policy;
use sanimon_api::{ApiState, MapSource, SiteInfo};
use sanimon_codec::Formats;
use sanimon_codec::script::Script;
use sanimon_domain::{Clock, SiteCalendar};
use sanimon_ingest::client::{self, ClientOptions};
use sanimon_ingest::embedded::{Embedded, EmbeddedOptions};
use sanimon_ingest::{Admission, Committer, CommitterOptions, Queue, Work};
use sanimon_store::{Account, Command, Store, Zone};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::{http, models};

/// Commands waiting at most: each is a person's click.
const COMMANDS_MAX: usize = 64;
/// How often time moves the engine when nothing arrives, in real time.
const TICK_EVERY: Duration = Duration::from_millis(500);
/// The whole stop takes at most 5 s; HTTP gets what is left after the last commit.
const HTTP_DRAIN_MAX: Duration = Duration::from_secs(1);
const STOP_MAX: Duration = Duration::from_millis(4_500);

/// What a site is made of.
#[derive(Debug)]
pub(crate) struct SiteParts {
    pub(crate) name: String,
    pub(crate) time_zone: Tz,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) simulation_speed: Option<f64>,
    pub(crate) map: Option<MapSource>,
    pub(crate) store: Store,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) admission: Admission,
    pub(crate) zones: Vec<Zone>,
    pub(crate) http: TcpListener,
    pub(crate) embedded: Option<EmbeddedOptions>,
    pub(crate) brokers: Vec<ClientOptions>,
    pub(crate) formats: Formats,
    pub(crate) scripts: Vec<Script>,
    pub(crate) policy: Policy,
}

/// The running site.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) http: SocketAddr,
    pub(crate) embedded: Option<Embedded>,
    committer: Committer,
    commands: mpsc::Sender<Command>,
    stop_sources: watch::Sender<bool>,
    stop_http: watch::Sender<bool>,
    clients: Vec<JoinHandle<()>>,
    server: JoinHandle<()>,
    ticker: JoinHandle<()>,
}

/// Opens the store; the error says where and what to do.
///
/// Without a calendar the store stays with the one that it knows.
pub(crate) fn open_store(data: &Path, calendar: Option<SiteCalendar>) -> anyhow::Result<Store> {
    Store::open(data, calendar).with_context(|| format!("cannot open the data in {}", data.display()))
}

impl Site {
    pub(crate) async fn start(parts: SiteParts) -> anyhow::Result<Self> {
        let SiteParts {
            name,
            time_zone,
            clock,
            simulation_speed,
            map,
            store,
            rules,
            admission,
            zones,
            formats,
            scripts,
            policy,
            ..
        } = parts;
        let models = models::known(&scripts);
        let options = CommitterOptions { rules, clock: clock.clone(), admission, policy, formats, scripts };
        let committer = Committer::start(store, options)?;
        let shared = committer.shared.clone();
        let queue = committer.queue.clone();
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(forward(receiver, queue.clone()));
        if !zones.is_empty() {
            ask(&commands, |reply| Command::PutZones(zones, reply)).await?;
        }
        let (stop_sources, sources_stopped) = watch::channel(false);
        let (stop_http, http_stopped) = watch::channel(false);

        let tiles_url = map.as_ref().map(|map| map.tiles_url.clone());
        let info = SiteInfo { name, time_zone, simulation_speed, map, models };
        let state = ApiState::new(shared.clone(), clock, info, commands.clone(), http_stopped.clone());
        let router = http::with_console(sanimon_api::router(state), tiles_url.as_deref());
        let http = parts.http.local_addr()?;
        let server = tokio::spawn(serve(parts.http, router, http_stopped));

        let embedded = match parts.embedded {
            Some(options) => Some(Embedded::start(options, queue.clone(), &shared.health).await?),
            None => None,
        };
        let clients = parts.brokers.into_iter().map(|broker| {
            let detail = format!("connecting to {}:{}", broker.host, broker.port);
            shared.health.set_source(&broker.name, sanimon_store::SourceState { connected: false, detail });
            tokio::spawn(client::run(broker, queue.clone(), shared.health.clone(), sources_stopped.clone()))
        });
        let clients = clients.collect();
        let ticker = tokio::spawn(tick(queue));
        shared.health.set_ready();
        Ok(Self { http, embedded, committer, commands, stop_sources, stop_http, clients, server, ticker })
    }

    /// Enters an account or gives it a new password.
    pub(crate) async fn put_account(
        &self,
        name: &str,
        password: String,
        role: &str,
        clock: &dyn Clock,
    ) -> anyhow::Result<()> {
        let hash = tokio::task::spawn_blocking(move || sanimon_api::hash_password(&password)).await?;
        let password_hash = hash.map_err(|error| anyhow::anyhow!("cannot hash the password: {error}"))?;
        let account = Account { name: name.to_owned(), password_hash, role: role.to_owned() };
        let now = clock.now();
        ask(&self.commands, |reply| Command::PutAccount(account, now, reply)).await
    }

    /// Sources stop, the last group commits, acknowledgements go out, the feed closes, HTTP drains, the store closes.
    pub(crate) async fn stop(self) {
        let pending = self.committer.queue.depth();
        let stopping = async {
            let _ = self.stop_sources.send(true);
            self.ticker.abort();
            if let Some(embedded) = &self.embedded {
                embedded.close();
            }
            self.committer.stop().await;
            if let Some(embedded) = &self.embedded {
                embedded.drained().await;
            }
            for client in self.clients {
                let _ = client.await;
            }
            let _ = self.stop_http.send(true);
            let _ = tokio::time::timeout(HTTP_DRAIN_MAX, self.server).await;
        };
        if tokio::time::timeout(STOP_MAX, stopping).await.is_err() {
            tracing::warn!(
                pending,
                "stopped without waiting for everything: what was pending is not acknowledged"
            );
        }
    }
}

/// Sends a command and waits for its answer.
async fn ask<T>(
    commands: &mpsc::Sender<Command>,
    command: impl FnOnce(sanimon_store::Reply<T>) -> Command,
) -> anyhow::Result<T> {
    let (reply, answer) = oneshot::channel();
    commands.send(command(reply)).await.context("the writer has stopped")?;
    Ok(answer.await.context("the writer has stopped")??)
}

async fn forward(mut commands: mpsc::Receiver<Command>, queue: Queue) {
    while let Some(command) = commands.recv().await {
        if queue.command(command).await.is_err() {
            return;
        }
    }
}

async fn tick(queue: Queue) {
    let mut interval = tokio::time::interval(TICK_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if queue.send(Work::Tick).await.is_err() {
            return;
        }
    }
}

async fn serve(listener: TcpListener, router: axum::Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "http server ended");
    }
}

/// Returns at the first Ctrl-C or SIGTERM; a second one ends the process at once.
pub(crate) async fn until_stopped() {
    let mut term = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(term) => term,
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGTERM");
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
        std::process::exit(130);
    });
}

/// The runtime for a long-lived command.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}
