//! A running site: where all parts are put together, and taken apart in order.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono_tz::Tz;
use sanimon_api::{ApiState, MapSource, Planner, SetupSource, SiteInfo, WriterPort};
use sanimon_codec::Formats;
use sanimon_codec::script::Script;
use sanimon_domain::{Clock, Heartbeat, SiteCalendar};
use sanimon_ingest::client::{self, ClientOptions};
use sanimon_ingest::embedded::{Embedded, EmbeddedOptions};
use sanimon_ingest::{Decoder, Driver, DriverOptions, Queue};
use sanimon_notify::{ChannelDelivery, DeliveryParts, OutcomeSink, Recording, run_channel};
use sanimon_store::{Account, DeliveryOutcome, Shared, Store};
use sanimon_writer::{Answer, Command, Entry, Options, PutAccount};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::channels::{Brokers, reload_on_hangup};
use crate::commands::place::audit;
use crate::config::{ChannelConfig, SetupFiles};
use crate::doors::{Doors, Served, embedded_options};
use crate::setup::SiteSetup;
use crate::setup::at_start::OnRecord;
use crate::supervisor::Supervisor;
use crate::{http, models};

/// How often time moves the engine when nothing arrives, in real time.
const TICK_EVERY: Duration = Duration::from_millis(500);
/// The whole stop takes at most 5 s; HTTP gets what is left after the last commit.
const HTTP_DRAIN_MAX: Duration = Duration::from_secs(1);
const CHANNELS_END_MAX: Duration = Duration::from_millis(500);
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
    pub(crate) writer: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) formats: Formats,
    pub(crate) scripts: Vec<Script>,
    /// What the start itself changes.
    pub(crate) on_record: OnRecord,
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
    driver: Driver,
    supervisor: Supervisor,
    stop_sources: watch::Sender<bool>,
    stop_http: watch::Sender<bool>,
    clients: Vec<JoinHandle<()>>,
    servers: JoinHandle<()>,
    channels: Vec<JoinHandle<()>>,
}

/// Opens the store; the error says where and what to do.
///
/// Without a calendar the store stays with the one that it knows.
pub(crate) fn open_store(data: &Path, calendar: Option<SiteCalendar>) -> anyhow::Result<Store> {
    Store::open(data, calendar).with_context(|| format!("cannot open the data in {}", data.display()))
}

impl Site {
    pub(crate) async fn start(parts: SiteParts) -> anyhow::Result<Self> {
        let (clock, doors) = (parts.clock, parts.doors);
        let models = models::known(&parts.scripts);
        let decoder = Decoder::new(parts.formats, parts.scripts, &parts.store.shared);
        let supervisor = Supervisor::start(parts.store.shared.health.clone())?;
        let mut driver = Driver::start(
            parts.store,
            DriverOptions { writer: parts.writer, clock: clock.clone(), decoder },
        )?;
        supervisor.watch_thread("writer", driver.ended());
        let (shared, queue) = (driver.shared.clone(), driver.queue.clone());
        for (entry, command) in parts.on_record {
            queue.ask(entry, command).await?;
        }
        let (stop_sources, sources_stopped) = watch::channel(false);
        let (stop_http, http_stopped) = watch::channel(false);

        let background = parts.map.as_ref().map(|map| map.background.clone());
        let setup: Arc<dyn SetupSource> = Arc::new(SiteSetup(parts.files));
        let site = sanimon_notify::Site { name: parts.name.clone(), url: parts.url.clone() };
        let info = SiteInfo {
            name: parts.name,
            time_zone: parts.time_zone,
            simulation_speed: parts.simulation_speed,
            map: parts.map,
            models,
            setup: setup.clone(),
            planner: PLANNER,
            url: parts.url,
            reached: doors.http.reached.clone(),
            requests_per_s: doors.http.requests_per_s,
            oidc: doors.oidc,
        };
        let (reading, asking) = (setup, queue.clone());
        supervisor
            .run("hangup", move |heartbeat| reload_on_hangup(reading.clone(), asking.clone(), heartbeat));
        let way = Arc::new(WriterQueue(queue.clone()));
        let state = ApiState::new(shared.clone(), clock.clone(), info, way.clone(), http_stopped.clone());
        let router = http::with_console(sanimon_api::router(state), background);
        let served = Served::start(doors.http, doors.tls, router, &supervisor, &http_stopped)?;

        let embedded = doors.embedded.map(|config| embedded_options(&config, served.tls.as_deref()));
        let embedded = embed(embedded, (&queue, &shared, &clock), &supervisor).await?;
        let brokers = Brokers { embedded: embedded.as_ref().map(Embedded::hub), external: &parts.brokers };
        let delivery = DeliveryParts { site, shared: shared.clone(), clock, outcomes: way };
        let channels = deliver(brokers.channels(parts.channels), &delivery, &supervisor, &sources_stopped);
        let clients = follow(parts.brokers, &queue, &supervisor, &sources_stopped);
        let ticking = queue.clone();
        supervisor.run("ticks", move |heartbeat| tick(ticking.clone(), heartbeat));
        shared.health.set_ready();
        Ok(Self {
            http: served.http,
            https: served.https,
            embedded,
            driver,
            supervisor,
            stop_sources,
            stop_http,
            clients,
            servers: served.tasks,
            channels,
        })
    }

    pub(crate) fn shared(&self) -> Shared {
        self.driver.shared.clone()
    }

    /// Resolves when somebody ends sanimon; an error: a part failed that it cannot do without.
    pub(crate) async fn until_stopped(&self) -> anyhow::Result<()> {
        tokio::select! {
            () = until_stopped() => Ok(()),
            failed = self.supervisor.failed() => Err(anyhow::anyhow!("sanimon cannot go on: {failed}")),
        }
    }

    /// Enters an account or gives it a new password.
    pub(crate) async fn put_account(&self, name: &str, password: String, role: &str) -> anyhow::Result<()> {
        let hash = tokio::task::spawn_blocking(move || sanimon_api::hash_password(&password)).await?;
        let password_hash = hash.map_err(|error| anyhow::anyhow!("cannot hash the password: {error}"))?;
        let account = Account::new(name, password_hash, role);
        let entry = audit("user.put", name, format!("{{\"role\":\"{role}\"}}"));
        Ok(self.driver.queue.ask_for(entry, PutAccount(account)).await?)
    }

    /// Sources stop, the last group commits, acknowledgements go out, the feed closes, HTTP drains, the store closes.
    pub(crate) async fn stop(self) {
        let pending = self.driver.queue.depth();
        self.supervisor.stop();
        let stopping = async {
            let _ = self.stop_sources.send(true);
            // A message that is under way is given a moment; it is sent again after the next start otherwise.
            let _ = tokio::time::timeout(CHANNELS_END_MAX, all(self.channels)).await;
            if let Some(embedded) = &self.embedded {
                embedded.close();
                embedded.leave();
            }
            self.driver.stop().await;
            if let Some(embedded) = &self.embedded {
                embedded.drained().await;
            }
            all(self.clients).await;
            let _ = self.stop_http.send(true);
            let _ = tokio::time::timeout(HTTP_DRAIN_MAX, self.servers).await;
        };
        if tokio::time::timeout(STOP_MAX, stopping).await.is_err() {
            tracing::warn!(
                pending,
                "stopped without waiting for everything: what was pending is not acknowledged"
            );
        }
    }
}

async fn all(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        let _ = task.await;
    }
}

/// The way to the writer, for those who do not know its queue.
#[derive(Debug)]
struct WriterQueue(Queue);

impl WriterPort for WriterQueue {
    fn ask(&self, entry: Entry, command: Command) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(self.0.ask(entry, command))
    }
}

impl OutcomeSink for WriterQueue {
    fn record(&self, outcomes: Vec<DeliveryOutcome>) -> Recording<'_> {
        Box::pin(async move {
            let noted = self.0.deliveries(outcomes).await;
            noted.map(drop).map_err(|refusal| refusal.to_string())
        })
    }
}

async fn tick(queue: Queue, heartbeat: Arc<Heartbeat>) {
    let mut interval = tokio::time::interval(TICK_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        heartbeat.working();
        interval.tick().await;
        if queue.tick().is_err() {
            return;
        }
    }
}

/// Starts the embedded broker, if there is to be one.
async fn embed(
    options: Option<EmbeddedOptions>,
    (queue, shared, clock): (&Queue, &Shared, &Arc<dyn Clock>),
    supervisor: &Supervisor,
) -> anyhow::Result<Option<Embedded>> {
    let Some(options) = options else { return Ok(None) };
    let mut embedded = Embedded::start(options, queue.clone(), shared, clock.clone()).await?;
    supervisor.watch("broker", embedded.take_tasks());
    Ok(Some(embedded))
}

/// Starts the deliveries of each channel.
fn deliver(
    channels: Vec<sanimon_notify::Channel>,
    delivery: &DeliveryParts,
    supervisor: &Supervisor,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let run = |channel| {
        let (delivery, stop) = (Arc::new(ChannelDelivery::new(channel, delivery)), stop.clone());
        let part = format!("channel {}", delivery.name());
        supervisor.run(&part, move |heartbeat| run_channel(delivery.clone(), heartbeat, stop.clone()))
    };
    channels.into_iter().map(run).collect()
}

/// Starts a client for each external broker.
fn follow(
    brokers: Vec<ClientOptions>,
    queue: &Queue,
    supervisor: &Supervisor,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let clients = brokers.into_iter().map(|broker| {
        let (queue, health, stop) = (queue.clone(), supervisor.health().clone(), stop.clone());
        let detail = format!("connecting to {}:{}", broker.host, broker.port);
        health.set_source(&broker.name, sanimon_store::SourceState { connected: false, detail });
        supervisor.run(&format!("source {}", broker.name), move |heartbeat| {
            client::run(broker.clone(), queue.clone(), (health.clone(), heartbeat), stop.clone())
        })
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

/// Runs a site until it has stopped. What hangs is not waited for any more.
pub(crate) fn run(site: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let ended = runtime.block_on(site);
    runtime.shutdown_background();
    ended
}

/// The runtime for a long-lived command.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}
