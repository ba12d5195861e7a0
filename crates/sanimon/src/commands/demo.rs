//! `sanimon demo`: a simulated township with a month of past, alive on a fast clock.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use chrono_tz::Tz;
use clap::Args;
use sanimon_codec::Formats;
use sanimon_domain::time::{DAY_MS, HOUR_MS};
use sanimon_domain::{Calibration, Clock, DeviceId, GatewayId, SiteCalendar, TimestampMs, ZoneId};
use sanimon_operations::OperationsSettings;
use sanimon_operations::lifecycle::Policy;
use sanimon_simulator::{Simulation, Town, publish};
use sanimon_store::{Device, Durability, LatLon, Store, Zone};
use sanimon_writer::{Author, Entry, History, Input, Message, Options, PutCredentials, PutDevices};

use super::check::refused;
use super::offline::Offline;
use super::operators::Operators;
use crate::clock::{FastClock, RealClock};
use crate::config::{
    DEFAULT_HTTP, DEFAULT_MQTT, EmbeddedConfig, HttpConfig, NamedFiles, REPORTS_KEPT_MS, SetupFiles,
};
use crate::doors::Doors;
use crate::screen;
use crate::setup::at_start::reconcile;
use crate::site::{self, Site, SiteParts};

const TIME_ZONE: Tz = Tz::Asia__Shanghai;
const PAST_MS: i64 = 30 * DAY_MS;
/// The past is committed in groups of this length: small enough for the operators of the past to be in time.
const GROUP_MS: i64 = HOUR_MS;
const ACCOUNT: &str = "demo";
/// A township of some thousands: each zone has a few more than the one before.
const INHABITANTS_MIN: u32 = 900;
const INHABITANTS_STEP: u32 = 350;
/// Where the store remembers how the town was made, and where its clock stood.
const META_TOWN: &str = "demo.town";

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many devices the township has.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    devices: u32,
    /// How many times faster than life its clock runs.
    #[arg(long, default_value_t = 60.0, value_parser = speed)]
    speed: f64,
    /// Where its data stays.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Where the console is.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_HTTP)]
    http: SocketAddr,
    /// Where the embedded broker is.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_MQTT)]
    mqtt: SocketAddr,
    /// Another seed makes another township.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "a number such as 60".to_owned())?;
    if (0.1..=3_600.0).contains(&speed) { Ok(speed) } else { Err("between 0.1 and 3600".to_owned()) }
}

/// How the town of this data directory was made: fixed at its first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TownMemory {
    seed: u64,
    devices: u32,
    start: TimestampMs,
}

impl TownMemory {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let memory = Self {
            seed: parts.next()?.parse().ok()?,
            devices: parts.next()?.parse().ok()?,
            start: TimestampMs(parts.next()?.parse().ok()?),
        };
        parts.next().is_none().then_some(memory)
    }

    fn text(self) -> String {
        format!("{} {} {}", self.seed, self.devices, self.start.0)
    }
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        screen::start_log("error");
        screen::print("sanimon demo: a simulated township\n");
        site::run(self.live())
    }

    /// How the town of this data was made; true: it is a new one.
    fn town(&self, store: &Store) -> anyhow::Result<(TownMemory, bool)> {
        if let Some(text) = store.shared.meta(META_TOWN)? {
            let memory = TownMemory::parse(&text)
                .with_context(|| format!("`{text}` in the data does not describe a demo's town"))?;
            return Ok((memory, false));
        }
        anyhow::ensure!(
            store.shared.directory.read().devices().is_empty(),
            "{} holds a real site's data: choose another --data for the demo",
            self.data.display()
        );
        let start = RealClock.now().minus_ms(PAST_MS);
        Ok((TownMemory { seed: self.seed, devices: self.devices, start }, true))
    }

    async fn live(self) -> anyhow::Result<()> {
        // Nobody from elsewhere is let in without a name.
        let is_here = self.mqtt.ip().is_loopback();
        let embedded = EmbeddedConfig { anonymous: is_here, ..EmbeddedConfig::at(self.mqtt) };
        let doors = Doors::open(&HttpConfig::at(self.http), None, None, Some(embedded)).await?;
        let store = site::open_store(&self.data, Some(SiteCalendar::new(TIME_ZONE)))?;
        let files = SetupFiles::new(&self.data, NamedFiles::default(), TIME_ZONE).with_example_teams();
        let on_record = reconcile(&files, &store.shared, RealClock.now())?;
        let teams = files.read_teams().map_err(|faults| refused(&faults))?;
        // Nobody is told: the people are the example's.
        let operations =
            OperationsSettings { policy: Policy::default(), teams, notification_rules: Vec::new() };
        let saved_zones = (!files.zones.is_missing()).then(|| files.read_zones()).transpose();
        let saved_zones = saved_zones.map_err(|faults| refused(&faults))?;
        let (rules, rules_text) = files.read_rules().map_err(|faults| refused(&faults))?;
        let options = Options::new(Arc::new(rules), Arc::new(operations));
        let (memory, is_new) = self.town(&store)?;
        screen::step("data", &self.data.display().to_string());
        let mut simulation = Simulation::new(Town::new(memory.seed, memory.devices as usize), memory.start);
        let (devices, zones) = (simulation.town.devices.len(), simulation.town.zones.len());
        screen::step("township", &format!("{devices} devices in {zones} zones"));
        let (store, now) = if is_new {
            let now = memory.start.plus_ms(PAST_MS);
            (store_past(store, options.clone(), &mut simulation, memory)?, now)
        } else {
            let now = newest(&store).max(memory.start.plus_ms(PAST_MS));
            relive(&mut simulation, now);
            (store, now)
        };
        let clock = Arc::new(FastClock::new(now, self.speed));
        let (store, account) = if is_here { (store, None) } else { broker_account(store, now)? };
        let parts = SiteParts {
            name: "Qingxi 清溪".to_owned(),
            time_zone: TIME_ZONE,
            simulation_speed: Some(self.speed),
            map: None,
            store,
            writer: Options {
                rules_text: Some(rules_text),
                zones: saved_zones,
                reports_kept_ms: REPORTS_KEPT_MS,
                ..options
            },
            clock: clock.clone(),
            formats: Formats::default(),
            scripts: Vec::new(),
            on_record,
            doors,
            brokers: Vec::new(),
            channels: Vec::new(),
            url: Some(format!("http://{}", self.http)),
            files,
        };
        let site = Site::start(parts).await?;
        let password = std::env::var("SANIMON_DEMO_PASSWORD")
            .unwrap_or_else(|_| sanimon_api::random_password()[..8].to_owned());
        site.put_account(ACCOUNT, password.clone(), "admin").await?;
        let broker = site.embedded.as_ref().map_or(self.mqtt, |embedded| embedded.tcp);
        self.announce(site.http, broker, account.as_ref(), &password);
        let publishing = tokio::spawn(publish_live(simulation, clock, broker, account));
        let failed = site.until_stopped().await;
        publishing.abort();
        screen::print("\n  stopping: finishing the running group\n");
        site.stop().await;
        failed
    }

    /// Where everything is.
    fn announce(
        &self,
        http: SocketAddr,
        broker: SocketAddr,
        devices: Option<&publish::Account>,
        password: &str,
    ) {
        screen::step("broker", &format!("mqtt://{broker}"));
        if let Some(publish::Account { username, password }) = devices {
            screen::step("devices", &format!("{username} / {password}   (for your own, on this broker)"));
        }
        screen::step("clock", &format!("{} times faster than life", self.speed));
        screen::print(&format!(
            "\n  Console    http://{http}\n  Sign in    {ACCOUNT} / {password}\n\n  Ctrl-C stops it; the data stays.\n"
        ));
    }
}

/// The newest receipt in the store: a restarted town goes on from there.
fn newest(store: &Store) -> TimestampMs {
    let (directory, hot) = (store.shared.directory.read(), store.shared.hot.read());
    let received =
        directory.devices().iter().flat_map(|device| hot.latest(device.no)).map(|latest| latest.received_at);
    received.max().unwrap_or_default().plus_ms(1)
}

/// Lives through what is stored already, without publishing.
fn relive(simulation: &mut Simulation, until: TimestampMs) {
    while simulation.next_at().is_some_and(|at| at < until) {
        simulation.next_uplink();
        simulation.take_truth();
    }
}

fn store_past(
    store: Store,
    options: Options,
    simulation: &mut Simulation,
    memory: TownMemory,
) -> anyhow::Result<Store> {
    let started = Instant::now();
    let mut store = store;
    // A past that breaks off is made again from its seed.
    store.file.set_durability(Durability::Rebuildable)?;
    let (zones, devices) = registry(&simulation.town, memory.start)?;
    let mut writer = Offline::open(store, Options { zones: Some(zones), ..options }, memory.start)?;
    writer.ask(memory.start, entry(memory.start, "devices.import"), PutDevices(devices))?;
    let end = memory.start.plus_ms(PAST_MS);
    let mut operators = Operators::new(memory.seed);
    let mut count = 0_usize;
    let mut now = memory.start;
    let source: Arc<str> = "past".into();
    while now < end {
        now = now.plus_ms(GROUP_MS).min(end);
        let mut messages: Vec<Message> = Vec::new();
        while simulation.next_at().is_some_and(|at| at < now) {
            let Some(uplink) = simulation.next_uplink() else { break };
            messages.push(Message::native(source.clone(), uplink.topic, uplink.payload.into(), uplink.at));
        }
        simulation.take_truth();
        count += messages.len();
        writer.messages(now, messages)?;
        operators.work(&mut writer, now)?;
        let days = now.since_ms(memory.start) / DAY_MS;
        screen::progress("past", &format!("day {days} of 30, {count} messages"));
    }
    let meta = vec![(META_TOWN, memory.text())];
    let _outputs = writer.apply(now, Input::History(History { meta, ..History::default() }))?;
    screen::progress_done();
    screen::step(
        "past",
        &format!("30 days, {count} messages, stored in {:.1} s", started.elapsed().as_secs_f64()),
    );
    let mut store = writer.close()?;
    store.file.set_durability(Durability::Synced)?;
    Ok(store)
}

pub(super) fn registry(town: &Town, now: TimestampMs) -> anyhow::Result<(Vec<Zone>, Vec<Device>)> {
    let zones = town.zones.iter().enumerate().map(|(index, zone)| {
        Ok(Zone {
            id: ZoneId::new(zone.id)?,
            name_en: zone.name_en.to_owned(),
            name_zh: zone.name_zh.to_owned(),
            class: zone.class,
            outline: zone.outline.clone(),
            inhabitants: Some(INHABITANTS_MIN + INHABITANTS_STEP * index as u32),
        })
    });
    let devices = town.devices.iter().map(|device| {
        let calibration = device.distances_mm.map(|(empty, full)| Calibration::distances(empty, full));
        Ok(Device {
            name: device.name.clone(),
            zone: Some(ZoneId::new(town.zones[device.zone].id)?),
            district: town.zones[device.zone].id.to_owned(),
            place: Some(LatLon { lat: device.lat, lon: device.lon }),
            gateway: Some(GatewayId::new(&format!("gateway-{}", device.gateway + 1))?),
            interval_ms: Some(device.interval_ms),
            calibration: calibration.unwrap_or_default(),
            ..Device::new(DeviceId::new(&device.id)?, device.kind, now)
        })
    });
    Ok((zones.collect::<anyhow::Result<_>>()?, devices.collect::<anyhow::Result<_>>()?))
}

/// A broker that others reach lets nobody in without a name, the town itself included.
fn broker_account(store: Store, now: TimestampMs) -> anyhow::Result<(Store, Option<publish::Account>)> {
    let table = b"username,publish,subscribe\ndemo,sanitation/#,sanitation/#\n";
    let made = sanimon_api::provisioned(table, "demo", now);
    let (credentials, table) = made.map_err(|why| anyhow::anyhow!(why))?;
    let options = Options::of_rows_only(store.shared.calendar);
    let mut writer = Offline::open(store, options, now)?;
    writer.ask(now, entry(now, "credentials.provision"), PutCredentials(credentials))?;
    let secret = table.lines().nth(1).and_then(|line| line.split_once(',')).map(|(_, secret)| secret);
    let password = secret.context("no secret was made")?.to_owned();
    Ok((writer.close()?, Some(publish::Account { username: "demo".to_owned(), password })))
}

/// What the demo does itself.
fn entry(now: TimestampMs, action: &'static str) -> Entry {
    Entry::new(now, Author::Site("demo"), action)
}

/// The town publishes over real MQTT, each uplink when the site's clock has come to it.
async fn publish_live(
    mut simulation: Simulation,
    clock: Arc<FastClock>,
    broker: SocketAddr,
    account: Option<publish::Account>,
) {
    let host = broker.ip().to_string();
    let publisher = publish::start(&host, broker.port(), "sanimon-demo-town", account.as_ref());
    while let Some(uplink) = simulation.next_uplink() {
        simulation.take_truth();
        tokio::time::sleep(clock.real_time_until(uplink.at)).await;
        if publisher.uplinks.send(uplink).await.is_err() {
            return;
        }
    }
}
