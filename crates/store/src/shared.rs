//! Opening the store, and what everyone who reads holds.

mod access;
mod conduct;
mod load;
mod mqtt;
mod outbox;
mod setup;
mod standing;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use sanimon_domain::{AlertId, DeviceId, DeviceNo, MetricNo, SiteCalendar, TimestampMs};
use tokio::sync::watch;

use crate::access::Access;
use crate::aggregate::Aggregate;
use crate::block::merge;
use crate::directory::Directory;
use crate::error::{Result, StoreError};
use crate::feed::Feed;
use crate::health::Health;
use crate::hot::Hot;
use crate::influx::{Influx, windows};
use crate::memory::Memory;

use crate::model::{
    Alert, DeviceEvent, Doubted, LastKnown, Point, Quarantined, ReplacedHardware, SavedDocument, Step,
};
use crate::read::{
    self, AlertCursor, AlertFilter, AlertList, AlertOrder, OpenAlertCounts, Page, Sums, WindowPlan,
    WindowQuery,
};
use crate::rebuild;
use crate::sealed;
use crate::sqlite::{File, ReaderPool, schema};

pub(crate) use load::Loaded;
pub use load::META_NEXT_METRIC;
pub use standing::Standing;

/// The name of the file in the data directory.
pub(crate) const FILE_NAME: &str = "sanimon.db";

/// Devices whose unsealed points are copied before the file is read.
const DEVICES_PER_SNAPSHOT: usize = 256;

/// The opened store.
#[derive(Debug)]
pub struct Store {
    pub file: File,
    pub memory: Memory,
    pub shared: Shared,
    /// Held as long as the store is open: two writers on one directory would tear the memory apart.
    pub lock: std::fs::File,
}

/// What readers need; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared {
    pub hot: Arc<Hot>,
    pub directory: Arc<Directory>,
    pub feed: Arc<Feed>,
    pub health: Arc<Health>,
    /// Devices' credentials, and when who may do what last changed.
    pub access: Arc<Access>,
    /// The rules and the conduct that are in force.
    pub standing: Arc<Standing>,
    /// Rung when messages wait in the outbox.
    pub outbox_bell: Arc<watch::Sender<u64>>,
    /// Where the site's days begin and end.
    pub calendar: SiteCalendar,
    /// InfluxDB, where the site has one: telemetry that it has taken is asked of it.
    pub(crate) influx: Option<Arc<Influx>>,
    pub(crate) readers: Arc<ReaderPool>,
}

impl Store {
    /// Opens or creates the store in a directory and reads what belongs in memory. Without a calendar it stays with
    /// the one that it knows; with another one the day aggregates are made anew first.
    pub fn open(directory: &Path, calendar: Option<SiteCalendar>) -> Result<Self> {
        let lock = lock(directory)?;
        let path = directory.join(FILE_NAME);
        let mut connection = schema::open_writer(&path)?;
        let calendar = rebuild::calendar(&mut connection, calendar)?;
        let shared = Shared::empty(calendar, ReaderPool::new(path.clone()));
        shared.replace(Loaded::read(&connection)?);
        let file = File::new(connection, &path)?;
        Ok(Self { file, memory: Memory::new(shared.clone()), shared, lock })
    }

    /// What a data directory holds at this moment, to read only: beside a running sanimon, too. `None`: nothing yet.
    pub fn snapshot(directory: &Path) -> Result<Option<Shared>> {
        let path = directory.join(FILE_NAME);
        if !path.exists() {
            return Ok(None);
        }
        let connection = schema::open_reader(&path)?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(StoreError::doing("read the data version"))?;
        if found > schema::DATA_VERSION {
            return Err(StoreError::TooNew { path, found, known: schema::DATA_VERSION });
        }
        if found < schema::DATA_VERSION {
            let detail =
                format!("it has the older data version {found}: `sanimon serve` brings it up to date");
            return Err(StoreError::Backup { path, detail });
        }
        let calendar = rebuild::stored(&connection)?.unwrap_or(SiteCalendar::utc());
        let shared = Shared::empty(calendar, ReaderPool::mapped(path));
        shared.replace(Loaded::read(&connection)?);
        Ok(Some(shared))
    }

    /// Puts InfluxDB behind the store: what is here is delivered to it, blocks of an embedded past included.
    pub fn use_influx(&mut self, influx: Influx) {
        let influx = Arc::new(influx);
        self.shared.influx = Some(influx.clone());
        if let Err(error) = self.shared.note_blocks_set_aside() {
            tracing::warn!(%error, "cannot tell which blocks are set aside");
        }
        self.memory.use_influx(influx);
    }
}

/// Makes the directory if needed, and takes it for this process.
pub(crate) fn lock(directory: &Path) -> Result<std::fs::File> {
    let at = |source| StoreError::Directory { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(at)?;
    let lock = std::fs::File::create(directory.join("lock")).map_err(at)?;
    lock.try_lock().map_err(|_| StoreError::InUse { path: directory.to_owned() })?;
    Ok(lock)
}

impl Shared {
    fn empty(calendar: SiteCalendar, readers: ReaderPool) -> Self {
        Self {
            hot: Arc::default(),
            directory: Arc::default(),
            feed: Arc::default(),
            health: Arc::default(),
            access: Arc::default(),
            standing: Arc::default(),
            outbox_bell: Arc::default(),
            calendar,
            influx: None,
            readers: Arc::new(readers),
        }
    }

    /// Asks InfluxDB for the telemetry that it has taken.
    pub fn use_influx(&mut self, influx: Influx) {
        self.influx = Some(Arc::new(influx));
    }

    /// The points of a series between two times, both included, ascending; where they are kept makes no difference.
    pub fn telemetry(
        &self,
        device: DeviceNo,
        metric: MetricNo,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<Vec<Point>> {
        let here = self.points_here(device, metric, from, to)?;
        let (Some(influx), Some((name, named))) = (&self.influx, self.names(device, metric)) else {
            return Ok(here);
        };
        Ok(merge(&influx.points(&name, &named, from, to)?, &here).points)
    }

    /// Of the memory and the file: what an InfluxDB alone keeps is not asked for.
    pub fn points_here(
        &self,
        device: DeviceNo,
        metric: MetricNo,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<Vec<Point>> {
        // Memory first: what leaves it meanwhile is in the file by then, and merging by identity makes the
        // overlap harmless. The other way round, points could be missed.
        let tail = self.hot.read().points(device, metric, from, to);
        let damage = &self.readers.damage;
        let sealed =
            self.readers.with(|connection| sealed::points(connection, damage, (device, metric), from, to))?;
        Ok(merge(&sealed, &tail).points)
    }

    /// What InfluxDB calls a series.
    fn names(&self, device: DeviceNo, metric: MetricNo) -> Option<(String, (DeviceNo, DeviceId))> {
        let directory = self.directory.read();
        let name = directory.metric_name(metric)?.to_owned();
        Some((name, (device, directory.device(device)?.id.clone())))
    }

    /// How many points [`Shared::telemetry`] gives at most: quickly, without decoding them. What is delivered meanwhile
    /// counts twice, never not at all: the order is that of [`Shared::telemetry`].
    pub fn telemetry_count_at_most(
        &self,
        device: DeviceNo,
        metric: MetricNo,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<u64> {
        let tail = self.hot.read().points(device, metric, from, to).len() as u64;
        let sealed =
            self.readers.with(|connection| sealed::count_at_most(connection, (device, metric), from, to))?;
        let there = match (&self.influx, self.names(device, metric)) {
            (Some(influx), Some((name, named))) => influx.count(&name, &named, from, to)?,
            _ => 0,
        };
        Ok(sealed + tail + there)
    }

    /// The time of the oldest reading of a series that is kept. Memory, file and InfluxDB in the order in which a point
    /// goes through them: none is missed on its way.
    pub fn first_at(&self, device: DeviceNo, metric: MetricNo) -> Result<Option<TimestampMs>> {
        let tail = self.hot.read().first_at(device, metric);
        let sealed = self.readers.with(|connection| sealed::first_at(connection, (device, metric)))?;
        let there = match (&self.influx, self.names(device, metric)) {
            (Some(influx), Some((name, named))) => influx.first_at(&name, &named)?,
            _ => None,
        };
        Ok(tail.into_iter().chain(sealed).chain(there).min())
    }

    /// What each group of devices says in each window, at the window's start; windows without points are left out.
    pub fn windows(&self, query: WindowQuery, groups: &[Vec<DeviceNo>]) -> Result<Vec<Vec<Point>>> {
        let Some(plan) = WindowPlan::new(query, self.calendar) else {
            return Ok(vec![Vec::new(); groups.len()]);
        };
        let sums = match &self.influx {
            Some(influx) => self.sums_with_influx(influx, &plan, groups)?,
            None => groups.iter().map(|devices| self.sums_here(&plan, devices)).collect::<Result<_>>()?,
        };
        let value = |(at, sum): (TimestampMs, Aggregate)| Point { at, value: sum.value(query.function) };
        Ok(sums.into_iter().map(|sums| plan.windowed(sums).into_iter().map(value).collect()).collect())
    }

    fn sums_here(&self, plan: &WindowPlan, devices: &[DeviceNo]) -> Result<Sums> {
        let WindowQuery { metric, from, to, .. } = plan.query;
        let mut sums = plan.empty_sums();
        for devices in devices.chunks(DEVICES_PER_SNAPSHOT) {
            // Memory first, as in `points_here`.
            let tails: Vec<Vec<Point>> = {
                let hot = self.hot.read();
                devices.iter().map(|device| hot.points(*device, metric, from, to.minus_ms(1))).collect()
            };
            self.readers.with(|connection| {
                // Blocks and days of one moment.
                let snapshot =
                    connection.unchecked_transaction().map_err(StoreError::doing("begin to read"))?;
                for (device, tail) in devices.iter().zip(&tails) {
                    plan.add_device(&snapshot, &self.readers.damage, *device, tail, &mut sums)?;
                }
                Ok(())
            })?;
        }
        Ok(sums)
    }

    fn sums_with_influx(
        &self,
        influx: &Influx,
        plan: &WindowPlan,
        groups: &[Vec<DeviceNo>],
    ) -> Result<Vec<Sums>> {
        let WindowQuery { metric, from, to, .. } = plan.query;
        let mut sums = vec![plan.empty_sums(); groups.len()];
        let mut devices: HashMap<DeviceId, (DeviceNo, Vec<usize>)> = HashMap::new();
        let mut waiting = HashMap::new();
        let mut metric_name = None;
        for (group, numbers) in groups.iter().enumerate() {
            for number in numbers {
                let Some((name, (device, id))) = self.names(*number, metric) else { continue };
                metric_name = Some(name);
                devices.entry(id).or_insert((device, Vec::new())).1.push(group);
                if let Entry::Vacant(new) = waiting.entry(device) {
                    new.insert(self.points_here(device, metric, from, to.minus_ms(1))?);
                }
            }
        }
        waiting.retain(|_, points| !points.is_empty());
        if let Some(metric) = &metric_name {
            let question = windows::Question { plan, metric, devices: &devices, waiting: &waiting };
            influx.add_windows(&question, &mut sums)?;
        }
        Ok(sums)
    }

    /// Lends a reading connection.
    pub(crate) fn with_reader<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.readers.with(read)
    }

    pub(crate) fn note_damage(&self, series: sealed::Series, at: TimestampMs, error: &StoreError) {
        self.readers.damage.note(series, at, error);
    }

    pub(crate) fn note_damage_text(&self, series: sealed::Series, at: TimestampMs, why: &str) {
        let error = StoreError::Damaged { what: "a series", detail: why.to_owned() };
        self.readers.damage.note(series, at, &error);
    }

    /// A document as it was saved last.
    pub fn document(&self, name: &str) -> Result<Option<SavedDocument>> {
        self.readers.with(|connection| crate::write::document(connection, name))
    }

    pub(crate) fn note_damaged_row(&self, seq: i64, error: &StoreError) {
        if !self.hot.read().damaged_rows.contains(&seq) {
            self.readers.damage.note_row(seq, error);
        }
    }

    /// What delivery has set aside before counts as met.
    fn note_blocks_set_aside(&self) -> Result<()> {
        for (series, first_at, since) in self.with_reader(sealed::blocks_set_aside)? {
            let detail = format!("set aside from delivery since {since}");
            self.note_damage(series, first_at, &StoreError::Damaged { what: "a block", detail });
        }
        Ok(())
    }

    /// Places in the file at which damaged telemetry was met since the start.
    pub fn damaged_places(&self) -> usize {
        self.readers.damage.count() + self.hot.read().damaged_rows.len()
    }

    pub fn alerts(&self, filter: &AlertFilter, limit: usize) -> Result<Page<Alert>> {
        self.readers.with(|connection| read::alerts(connection, &self.readers.damage, filter, limit))
    }

    /// A page of alerts that begins after `after`, with how many there are in all.
    pub fn alert_list(
        &self,
        filter: &AlertFilter,
        order: AlertOrder,
        after: Option<AlertCursor>,
        limit: usize,
    ) -> Result<AlertList> {
        let damage = &self.readers.damage;
        self.readers.with(|connection| read::alert_list(connection, damage, filter, (order, after), limit))
    }

    /// How many alerts are open in these zones (empty: everywhere).
    pub fn open_alert_counts(&self, zones: &[String], now: TimestampMs) -> Result<OpenAlertCounts> {
        self.readers.with(|connection| read::alert_counts(connection, &self.readers.damage, zones, now))
    }

    /// An alert with its whole history. [`StoreError::Damaged`]: its row cannot be understood.
    pub fn alert(&self, id: AlertId) -> Result<Option<(Alert, Vec<Step>)>> {
        let damage = &self.readers.damage;
        self.readers.with(|connection| {
            let found = read::alert(connection, id);
            if let Err(error @ StoreError::Damaged { .. }) = &found {
                damage.note_alert(id.0 as i64, error);
            }
            let Some(alert) = found? else { return Ok(None) };
            Ok(Some((alert, read::steps(connection, damage, id)?)))
        })
    }

    pub fn quarantine(&self, before: Option<i64>, limit: usize) -> Result<Page<Quarantined>> {
        self.readers.with(|connection| read::quarantine(connection, before, limit))
    }

    pub fn last_known(&self, device: DeviceNo) -> Result<Vec<LastKnown>> {
        self.readers.with(|connection| read::last_known(connection, device))
    }

    /// What a device said besides readings, the newest first.
    pub fn device_events(&self, device: DeviceNo) -> Result<Vec<DeviceEvent>> {
        self.rows(
            "SELECT * FROM device_event WHERE device_no = ?1 ORDER BY last_at DESC, about, what",
            [device.0],
            read::device_event,
        )
    }

    /// The newest events of all devices that name this or one of these words.
    pub fn events_saying(&self, words: &[&str]) -> Result<Vec<DeviceEvent>> {
        let places = vec!["?"; words.len()].join(", ");
        let sql = format!("SELECT * FROM device_event WHERE what IN ({places})");
        self.rows(&sql, rusqlite::params_from_iter(words), read::device_event)
    }

    /// A device's readings that are not simply believed, the newest first.
    pub fn doubted(&self, device: DeviceNo, limit: usize) -> Result<Vec<Doubted>> {
        self.rows(
            "SELECT * FROM doubted WHERE device_no = ?1 ORDER BY at DESC LIMIT ?2",
            [i64::from(device.0), limit as i64],
            read::doubted,
        )
    }

    /// Those of a series between two times, both included, ascending.
    pub fn doubted_between(
        &self,
        (device, metric): (DeviceNo, MetricNo),
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<Vec<Doubted>> {
        self.rows(
            "SELECT * FROM doubted WHERE device_no = ?1 AND metric_no = ?2 AND at BETWEEN ?3 AND ?4 ORDER BY at",
            [i64::from(device.0), i64::from(metric.0), from.0, to.0],
            read::doubted,
        )
    }

    /// The hardware that a device had before, the newest first.
    pub fn replaced_hardware(&self, device: DeviceNo) -> Result<Vec<ReplacedHardware>> {
        self.rows(
            "SELECT hardware_id, model, replaced_at FROM replaced_hardware WHERE device_no = ?1
             ORDER BY replaced_at DESC",
            [device.0],
            |row| {
                Ok(ReplacedHardware {
                    hardware_id: row.get(0)?,
                    model: row.get(1)?,
                    replaced_at: TimestampMs(row.get(2)?),
                })
            },
        )
    }

    fn rows<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.readers.with(|connection| {
            let doing = || StoreError::doing("read what is known of a device");
            let mut statement = connection.prepare_cached(sql).map_err(doing())?;
            let rows = statement.query_map(values, |row| read(row)).map_err(doing())?;
            rows.collect::<rusqlite::Result<_>>().map_err(doing())
        })
    }

    /// A word remembered about the site as a whole.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        self.readers.with(|connection| read::meta(connection, key))
    }

    /// When history was entered last.
    pub fn imported_at(&self) -> Result<Option<TimestampMs>> {
        let remembered = self.meta(META_IMPORTED_AT)?;
        Ok(remembered.and_then(|text| text.parse().ok()).map(TimestampMs))
    }
}

/// Where the time of the last import is remembered, in milliseconds.
pub const META_IMPORTED_AT: &str = "imported_at_ms";
