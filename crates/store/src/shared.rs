//! Opening the store, and what everyone who reads holds.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use sanimon_domain::{AlertId, DeviceNo, MetricNo, TimestampMs};

use crate::block::merge;
use crate::directory::Directory;
use crate::error::{Result, StoreError};
use crate::feed::Feed;
use crate::health::Health;
use crate::hot::{Hot, HotState};
use crate::journal;
use crate::model::{Account, Alert, LastKnown, Latest, Point, Quarantined, Step};
use crate::read::{self, AlertFilter, Page, ReaderPool};
use crate::schema;
use crate::write::Writer;

/// The name of the file in the data directory.
const FILE_NAME: &str = "sanimon.db";

/// The opened store.
#[derive(Debug)]
pub struct Store {
    pub writer: Writer,
    pub shared: Shared,
    /// Held as long as the store is open: two writers on one directory would tear the memory apart.
    pub lock: File,
}

/// What readers need; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared {
    pub hot: Arc<Hot>,
    pub directory: Arc<Directory>,
    pub feed: Arc<Feed>,
    pub health: Arc<Health>,
    readers: Arc<ReaderPool>,
}

impl Store {
    /// Opens or creates the store in a directory and reads what belongs in memory.
    pub fn open(directory: &Path) -> Result<Self> {
        let at = |source| StoreError::Directory { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(at)?;
        let lock = File::create(directory.join("lock")).map_err(at)?;
        lock.try_lock().map_err(|_| StoreError::InUse { path: directory.to_owned() })?;
        let path = directory.join(FILE_NAME);
        let connection = schema::open_writer(&path)?;
        let readers = Arc::new(ReaderPool::new(path));
        let shared = Shared {
            hot: Arc::default(),
            directory: Arc::default(),
            feed: Arc::default(),
            health: Arc::default(),
            readers: readers.clone(),
        };
        shared.load(&connection)?;
        let writer = Writer::new(connection, shared.clone(), readers)?;
        Ok(Self { writer, shared, lock })
    }
}

impl Shared {
    /// Reads the memory anew from the file.
    pub(crate) fn load(&self, connection: &Connection) -> Result<()> {
        let doing = || StoreError::doing("read the registry");
        let mut directory = crate::directory::DirectoryState::default();
        let mut statement = connection.prepare("SELECT * FROM device ORDER BY no").map_err(doing())?;
        for device in statement.query_map([], read::device).map_err(doing())? {
            directory.put_device(device.map_err(doing())?);
        }
        let mut statement = connection.prepare("SELECT * FROM zone ORDER BY id").map_err(doing())?;
        for zone in statement.query_map([], read::zone).map_err(doing())? {
            directory.put_zone(zone.map_err(doing())?);
        }
        let mut statement = connection.prepare("SELECT no, name FROM metric").map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            let name: String = row.get(1).map_err(doing())?;
            directory.put_metric(MetricNo(row.get(0).map_err(doing())?), &name);
        }
        let hot = load_hot(connection)?;
        *self.directory.write() = directory;
        *self.hot.write() = hot;
        Ok(())
    }

    /// The points of a series between two times, both included, ascending; sealed or not makes no difference.
    pub fn telemetry(
        &self,
        device: DeviceNo,
        metric: MetricNo,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<Vec<Point>> {
        // Memory first: what leaves it meanwhile is in the file by then, and merging by identity makes the
        // overlap harmless. The other way round, points could be missed.
        let tail = self.hot.read().points(device, metric, from, to);
        let sealed =
            self.readers.with(|connection| read::sealed_points(connection, (device, metric), from, to))?;
        Ok(merge(&sealed, &tail).points)
    }

    pub fn alerts(&self, filter: &AlertFilter, limit: usize) -> Result<Page<Alert>> {
        self.readers.with(|connection| read::alerts(connection, filter, limit))
    }

    /// An alert with its whole history.
    pub fn alert(&self, id: AlertId) -> Result<Option<(Alert, Vec<Step>)>> {
        self.readers.with(|connection| {
            let Some(alert) = read::alert(connection, id)? else {
                return Ok(None);
            };
            Ok(Some((alert, read::steps(connection, id)?)))
        })
    }

    pub fn quarantine(&self, before: Option<i64>, limit: usize) -> Result<Page<Quarantined>> {
        self.readers.with(|connection| read::quarantine(connection, before, limit))
    }

    pub fn last_known(&self, device: DeviceNo) -> Result<Vec<LastKnown>> {
        self.readers.with(|connection| read::last_known(connection, device))
    }

    pub fn account(&self, name: &str) -> Result<Option<Account>> {
        self.readers.with(|connection| read::account(connection, name))
    }

    pub fn session_account(&self, token_sha256: &[u8; 32], now: TimestampMs) -> Result<Option<Account>> {
        self.readers.with(|connection| read::session_account(connection, token_sha256, now))
    }

    /// A word remembered about the site as a whole.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        self.readers.with(|connection| read::meta(connection, key))
    }

    pub fn account_names(&self) -> Result<Vec<(String, String)>> {
        self.readers.with(|connection| {
            let doing = || StoreError::doing("read accounts");
            let mut statement =
                connection.prepare("SELECT name, role FROM account ORDER BY name").map_err(doing())?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
            rows.and_then(Iterator::collect).map_err(doing())
        })
    }
}

fn load_hot(connection: &Connection) -> Result<HotState> {
    let doing = || StoreError::doing("read the newest telemetry");
    let mut hot = HotState::default();
    let mut statement = connection.prepare("SELECT * FROM latest").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        let latest = Latest {
            metric: MetricNo(row.get("metric_no").map_err(doing())?),
            at: TimestampMs(row.get("observed_at").map_err(doing())?),
            received_at: TimestampMs(row.get("received_at").map_err(doing())?),
            value: row.get("value").map_err(doing())?,
        };
        hot.set_latest(DeviceNo(row.get("device_no").map_err(doing())?), latest);
    }
    let mut statement =
        connection.prepare("SELECT device_no, digest, received_at FROM payload_digest").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        let device = DeviceNo(row.get(0).map_err(doing())?);
        hot.set_digest(device, row.get(1).map_err(doing())?, TimestampMs(row.get(2).map_err(doing())?));
    }
    let mut statement =
        connection.prepare("SELECT seq, records FROM journal ORDER BY seq").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        let blob: Vec<u8> = row.get(1).map_err(doing())?;
        match journal::decode(&blob) {
            Ok(messages) => messages.iter().for_each(|message| hot.add(message)),
            Err(error) => {
                let seq: i64 = row.get(0).map_err(doing())?;
                tracing::error!(seq, %error, "damaged journal row skipped");
            }
        }
    }
    Ok(hot)
}
