//! The newest telemetry, read into memory at the start.

use rusqlite::Connection;
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::error::{Result, StoreError};
use crate::hot::HotState;
use crate::journal::{self, Digest};
use crate::model::{Doubted, Latest, Point};
use crate::read;

pub(super) fn load_hot(connection: &Connection) -> Result<HotState> {
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
        let since: Option<i64> = row.get("unchanged_since").map_err(doing())?;
        hot.set_unchanged_since(device, latest.metric, since.map_or(latest.at, TimestampMs));
    }
    let mut statement =
        connection.prepare("SELECT device_no, digest, received_at FROM payload_digest").map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    while let Some(row) = rows.next().map_err(doing())? {
        let device = DeviceNo(row.get(0).map_err(doing())?);
        let (digests, at): (Vec<u8>, _) =
            (row.get(1).map_err(doing())?, TimestampMs(row.get(2).map_err(doing())?));
        // The newest stands first.
        let digests = digests.chunks_exact(size_of::<Digest>()).rev();
        digests
            .filter_map(|digest| digest.try_into().ok())
            .for_each(|digest| hot.set_digest(device, digest, at));
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
    let newest = "SELECT device_no, MAX(at) FROM (SELECT device_no, last_at AS at FROM device_event \
                  UNION ALL SELECT device_no, received_at FROM doubted) GROUP BY device_no";
    let mut statement = connection.prepare(newest)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        hot.note_heard(DeviceNo(row.get(0)?), TimestampMs(row.get(1)?));
    }
    Ok(())
}
