//! What belongs in memory, read from the file: at the start, and when memory may be ahead of it.

use rusqlite::{Connection, Row};
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::directory::DirectoryState;
use crate::error::{Result, StoreError};
use crate::hot::HotState;
use crate::journal;
use crate::model::{Credential, DeviceEvent, Doubted, Latest, Point};
use crate::read;
use crate::recent::RecentMessages;
use crate::shared::Shared;
use crate::write::device_import::META_IMPORT_IN_FORCE;

/// The memory as the file has it.
#[derive(Debug)]
pub(crate) struct Loaded {
    directory: DirectoryState,
    recent: HotState,
    credentials: Vec<Credential>,
}

impl Loaded {
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        let recent = load_recent(connection)?;
        Ok(Self {
            directory: load_directory(connection)?,
            recent,
            credentials: read::credentials(connection)?,
        })
    }
}

impl Shared {
    /// Shows readers what was loaded, in place of what they saw.
    pub(crate) fn replace(&self, loaded: Loaded) {
        let Loaded { directory, recent, credentials } = loaded;
        self.access.set_credentials(credentials);
        self.access.changed();
        *self.directory.write() = directory;
        *self.hot.write() = recent;
    }
}

fn load_directory(connection: &Connection) -> Result<DirectoryState> {
    let doing = || StoreError::doing("read the registry");
    let mut directory = DirectoryState::default();
    let import_in_force = read::meta(connection, META_IMPORT_IN_FORCE)?.and_then(|text| text.parse().ok());
    let mut statement = connection.prepare("SELECT * FROM device ORDER BY no").map_err(doing())?;
    let device = |row: &Row<'_>| read::device_in_force(row, import_in_force);
    for device in statement.query_map([], device).map_err(doing())? {
        directory.put_device(device.map_err(doing())?);
    }
    let mut statement = connection.prepare("SELECT * FROM zone ORDER BY id").map_err(doing())?;
    let zones = statement.query_map([], read::zone).and_then(Iterator::collect).map_err(doing())?;
    directory.set_zones(zones);
    let mut statement = connection.prepare("SELECT no, name, device_no FROM metric").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        let name: String = row.get(1).map_err(doing())?;
        let device: Option<u32> = row.get(2).map_err(doing())?;
        directory.put_metric(MetricNo(row.get(0).map_err(doing())?), &name, device.map(DeviceNo));
    }
    if let Some(next) = read::meta(connection, META_NEXT_METRIC)?.and_then(|text| text.parse().ok()) {
        directory.next_custom = directory.next_custom.max(next);
    }
    Ok(directory)
}

/// Where the first number is remembered that no metric of devices' own has had, once one was taken away.
pub const META_NEXT_METRIC: &str = "next_custom_metric";

fn load_recent(connection: &Connection) -> Result<HotState> {
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
        let device = DeviceNo(row.get("device_no").map_err(doing())?);
        hot.set_latest(device, latest);
        hot.note_heard(device, latest.received_at);
        let since: Option<i64> = row.get("unchanged_since").map_err(doing())?;
        hot.set_unchanged_since(device, latest.metric, since.map_or(latest.at, TimestampMs));
    }
    let mut statement = connection
        .prepare("SELECT device_no, heard_at, recent_messages FROM device_memory")
        .map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        let device = DeviceNo(row.get(0).map_err(doing())?);
        hot.note_heard(device, TimestampMs(row.get(1).map_err(doing())?));
        let messages: Vec<u8> = row.get(2).map_err(doing())?;
        hot.set_recent(device, RecentMessages::unpack(&messages));
    }
    let mut statement =
        connection.prepare("SELECT device_no, behind_ms FROM device_clock").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        hot.set_clock_behind(DeviceNo(row.get(0).map_err(doing())?), row.get(1).map_err(doing())?);
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
                tracing::error!(seq, %error, "damaged journal row: its readings are missing, its bytes are kept");
                hot.damaged_rows.push(seq);
            }
        }
    }
    let mut statement = connection.prepare("SELECT * FROM doubted WHERE held = 1").map_err(doing())?;
    for doubted in statement.query_map([], read::doubted).map_err(doing())? {
        let Doubted { device, metric, at, value, .. } = doubted.map_err(doing())?;
        hot.set_held(device, metric, Some(Point { at, value }));
    }
    load_heard(connection, &mut hot).map_err(doing())?;
    Ok(hot)
}

/// A device that sent something else than a believed reading was heard all the same.
fn load_heard(connection: &Connection, hot: &mut HotState) -> rusqlite::Result<()> {
    let newest =
        "SELECT device_no, MAX(at) FROM (SELECT device_no, last_at AS at FROM device_event WHERE what <> ?1 \
                  UNION ALL SELECT device_no, received_at FROM doubted
                  UNION ALL SELECT no, online_at FROM device WHERE online = 1) GROUP BY device_no";
    let mut statement = connection.prepare(newest)?;
    let mut rows = statement.query([DeviceEvent::CLEANED])?;
    while let Some(row) = rows.next()? {
        hot.note_heard(DeviceNo(row.get(0)?), TimestampMs(row.get(1)?));
    }
    Ok(())
}
