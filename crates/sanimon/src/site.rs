//! A running site: where all parts are put together, and taken apart in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono_tz::Tz;
use sanimon_api::{ApiState, MapSource, Planner, SetupSource, SiteInfo};
use sanimon_domain::SiteCalendar;
use sanimon_ingest::broker::Embedded;
use sanimon_ingest::client::{self, ClientOptions};
use sanimon_ingest::{Committer, CommitterOptions, Queue, Work};
use sanimon_notify::Notifier;
use sanimon_store::{AccessCommand, Account, Command, SetupCommand, Shared, Store, Zone};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::channels::{Brokers, reload_on_hangup};
use crate::commands::place::audit;
use crate::config::{ChannelConfig, SetupFiles};
use crate::doors::{Doors, Served, embedded_options, own_client};
use crate::setup::SiteSetup;
use crate::{http, models};

/// Commands waiting at most: each is a person's click.
const COMMANDS_MAX: usize = 64;
/// How often time moves the engine when nothing arrives, in real time.
const TICK_EVERY: Duration = Duration::from_millis(500);
/// The whole stop takes at most 5 s; HTTP gets what is left after the last commit.
const HTTP_DRAIN_MAX: Duration = Duration::from_secs(1);
const NOTIFIER_END_MAX: Duration = Duration::from_millis(500);
const STOP_MAX: Duration = Duration::from_millis(4_500);

/// Who makes an order of a round's stops.
const PLANNER: Planner = Planner {
    plan: sanimon_planning::plan,
    follow: |task, order| sanimon_planning::follow(task, &sanimon_planning::trips(task, order)),
};

/// What a site is made of.
#[derive(Debug)]
pub(crate) struct SiteParts {
    pub(crate) name: String,
    pub(crate) time_zone: Tz,
    pub(crate) simulation_speed: Option<f64>,
    pub(crate) map: Option<MapSource>,
    pub(crate) store: Store,
    pub(crate) committer: CommitterOptions,
    /// Those of the zones' file; `None`: there is none, and the store knows them.
    pub(crate) zones: Option<Vec<Zone>>,
    pub(crate) doors: Doors,
    pub(crate) brokers: Vec<ClientOptions>,
    pub(crate) channels: Vec<ChannelConfig>,
    /// Where the console is, for links.
    pub(crate) url: Option<String>,
    pub(crate) files: SetupFiles,
}

/// The running site.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) embedded: Option<Embedded>,
    committer: Committer,
    commands: mpsc::Sender<Command>,
    stop_sources: watch::Sender<bool>,
    stop_http: watch::Sender<bool>,
    clients: Vec<JoinHandle<()>>,
    servers: Vec<JoinHandle<()>>,
    ticker: JoinHandle<()>,
    notifier: Notifier,
}

/// Opens the store; the error says where and what to do.
///
/// Without a calendar the store stays with the one that it knows.
pub(crate) fn open_store(data: &Path, calendar: Option<SiteCalendar>) -> anyhow::Result<Store> {
    Store::open(data, calendar).with_context(|| format!("cannot open the data in {}", data.display()))
}

impl Site {
    pub(crate) async fn start(parts: SiteParts) -> anyhow::Result<Self> {
        let SiteParts { name, time_zone, simulation_speed, map, doors, zones, channels, url, files, .. } =
            parts;
        let clock = parts.committer.clock.clone();
        let models = models::known(&parts.committer.scripts);
        let committer = Committer::start(parts.store, parts.committer)?;
        let shared = committer.shared.clone();
        let queue = committer.queue.clone();
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(forward(receiver, queue.clone()));
        if let Some(zones) = zones {
            ask(&commands, |reply| Command::Setup(SetupCommand::SetZones(zones, reply))).await?;
        }
        let (stop_sources, sources_stopped) = watch::channel(false);
        let (stop_http, http_stopped) = watch::channel(false);

        let background = map.as_ref().map(|map| map.background.clone());
        let setup: Arc<dyn SetupSource> = Arc::new(SiteSetup(files));
        let site = sanimon_notify::Site { name: name.clone(), url: url.clone() };
        let info = SiteInfo {
            name,
            time_zone,
            simulation_speed,
            map,
            models,
            setup: setup.clone(),
            planner: PLANNER,
            url,
            reached: doors.http.reached.clone(),
            requests_per_s: doors.http.requests_per_s,
            oidc: doors.oidc,
        };
        tokio::spawn(reload_on_hangup(setup, commands.clone()));
        let state =
            ApiState::new(shared.clone(), clock.clone(), info, commands.clone(), http_stopped.clone());
        let router = http::with_console(sanimon_api::router(state), background);
        let served = Served::start(doors.http, doors.tls, router, &shared, &http_stopped)?;

        let own = own_client();
        let embedded = match doors.embedded {
            Some(config) => {
                let options = embedded_options(&config, served.tls.as_ref());
                Some(Embedded::start(options, own.clone(), queue.clone(), &shared).await?)
            }
            None => None,
        };
        let brokers = Brokers {
            embedded: embedded.as_ref().map(|embedded| embedded.tcp),
            own,
            external: &parts.brokers,
        };
        let channels = brokers.channels(channels);
        let notifier = sanimon_notify::start(channels, &site, &shared, &clock, &commands, &sources_stopped);
        let clients = follow(parts.brokers, &queue, &shared, &sources_stopped);
        let ticker = tokio::spawn(tick(queue));
        shared.health.set_ready();
        Ok(Self {
            http: served.http,
            https: served.https,
            embedded,
            committer,
            commands,
            stop_sources,
            stop_http,
            clients,
            servers: served.tasks,
            ticker,
            notifier,
        })
    }

    pub(crate) fn shared(&self) -> Shared {
        self.committer.shared.clone()
    }

    /// Enters an account or gives it a new password.
    pub(crate) async fn put_account(&self, name: &str, password: String, role: &str) -> anyhow::Result<()> {
        let hash = tokio::task::spawn_blocking(move || sanimon_api::hash_password(&password)).await?;
        let password_hash = hash.map_err(|error| anyhow::anyhow!("cannot hash the password: {error}"))?;
        let account = Account::new(name, password_hash, role);
        let detail = format!("{{\"role\":\"{role}\"}}");
        let put = |reply| Command::Access(AccessCommand::PutAccount(account, reply));
        let entry = audit("user.put", name, detail);
        ask(&self.commands, |reply| Command::Audited(entry, Box::new(put(reply)))).await
    }

    /// Sources stop, the last group commits, acknowledgements go out, the feed closes, HTTP drains, the store closes.
    pub(crate) async fn stop(self) {
        let pending = self.committer.queue.depth();
        let stopping = async {
            let _ = self.stop_sources.send(true);
            self.ticker.abort();
            // A message that is under way is given a moment; it is sent again after the next start otherwise.
            let _ = tokio::time::timeout(NOTIFIER_END_MAX, self.notifier.ended()).await;
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
            let all = async {
                for server in self.servers {
                    let _ = server.await;
                }
            };
            let _ = tokio::time::timeout(HTTP_DRAIN_MAX, all).await;
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
pub(crate) async fn ask<T>(
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

/// Starts a client for each external broker.
fn follow(
    brokers: Vec<ClientOptions>,
    queue: &Queue,
    shared: &Shared,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let clients = brokers.into_iter().map(|broker| {
        let detail = format!("connecting to {}:{}", broker.host, broker.port);
        shared.health.set_source(&broker.name, sanimon_store::SourceState { connected: false, detail });
        tokio::spawn(client::run(broker, queue.clone(), shared.health.clone(), stop.clone()))
    });
    clients.collect()
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
