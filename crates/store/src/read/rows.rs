//! From rows to the store's types. A word that no version of sanimon writes is damage, and said so.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sanimon_domain::{
    Calibration, DeviceId, DeviceKind, DeviceNo, GatewayId, HardwareId, MetricNo, Quality, Reason, Shape,
    TimestampMs, ZoneClass, ZoneId,
};

use super::Page;
use crate::error::{Result, StoreError};
use crate::model::{
    CalibrationPoint, Device, DeviceEvent, DeviceState, Doubted, LastKnown, LatLon, Quarantined, Zone,
};

/// A text column that must be one of a set of words.
pub(crate) fn word<T>(row: &Row<'_>, column: &str, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| unknown_word(&text, column))
}

pub(crate) fn unknown_word(text: &str, column: &str) -> rusqlite::Error {
    let message = format!("`{text}` in column {column}");
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, message.into())
}

pub(crate) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<TimestampMs> {
    row.get(column).map(TimestampMs)
}

pub(crate) fn optional_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<TimestampMs>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(TimestampMs))
}

pub(crate) fn device(row: &Row<'_>) -> rusqlite::Result<Device> {
    let zone: Option<String> = row.get("zone")?;
    let place = row.get::<_, Option<f64>>("lat")?.zip(row.get::<_, Option<f64>>("lon")?);
    let hardware: Option<String> = row.get("hardware_id")?;
    let tags: String = row.get("tags")?;
    let next: Option<String> = row.get("calibrate_next")?;
    let online = row.get::<_, Option<bool>>("online")?.zip(optional_time(row, "online_at")?);
    Ok(Device {
        no: DeviceNo(row.get("no")?),
        id: word(row, "id", |text| DeviceId::new(text).ok())?,
        name: row.get("name")?,
        kind: word(row, "kind", DeviceKind::parse)?,
        zone: zone.and_then(|id| ZoneId::new(&id).ok()),
        team: row.get("team")?,
        district: row.get("district")?,
        tags: tags.split_whitespace().map(str::to_owned).collect(),
        state: word(row, "state", DeviceState::parse)?,
        model: row.get("model")?,
        hardware_id: hardware.and_then(|id| HardwareId::new(&id).ok()),
        place: place.map(|(lat, lon)| LatLon { lat, lon }),
        gateway: row.get::<_, Option<String>>("gateway")?.and_then(|id| GatewayId::new(&id).ok()),
        interval_ms: row.get("interval_ms")?,
        volume_l: row.get("volume_l")?,
        calibration: calibration(row)?,
        calibrate_next: next.as_deref().and_then(CalibrationPoint::parse),
        first_seen_at: time(row, "first_seen_at")?,
        online,
    })
}

/// As the import in force says, whether its row is written like that already or not.
pub(crate) fn device_in_force(row: &Row<'_>, import_in_force: Option<i64>) -> rusqlite::Result<Device> {
    let device = device(row)?;
    let import_no: Option<i64> = row.get("import_no")?;
    if import_no.is_none() || import_no != import_in_force {
        return Ok(device);
    }
    let hardware: Option<String> = row.get("import_hardware_id")?;
    let hardware_id = hardware.and_then(|id| HardwareId::new(&id).ok());
    Ok(Device { state: DeviceState::Registered, hardware_id, ..device })
}

fn calibration(row: &Row<'_>) -> rusqlite::Result<Calibration> {
    let shape: Option<String> = row.get("shape")?;
    let low_bar: Option<f64> = row.get("probe_low_bar")?;
    let high_bar: Option<f64> = row.get("probe_high_bar")?;
    Ok(Calibration {
        empty_mm: row.get("empty_mm")?,
        full_mm: row.get("full_mm")?,
        blind_zone_mm: row.get("blind_zone_mm")?,
        shape: shape.as_deref().and_then(Shape::parse).unwrap_or_default(),
        depth_mm: row.get("depth_mm")?,
        offset_mm: row.get("offset_mm")?,
        probe_bar: low_bar.zip(high_bar).map(|(low, high)| [low, high]),
    })
}

pub(crate) fn device_event(row: &Row<'_>) -> rusqlite::Result<DeviceEvent> {
    Ok(DeviceEvent {
        device: DeviceNo(row.get("device_no")?),
        about: row.get::<_, String>("about")?.into(),
        what: row.get::<_, String>("what")?.into(),
        detail: row.get::<_, Option<String>>("detail")?.map(Into::into),
        count: row.get("count")?,
        first_at: time(row, "first_at")?,
        last_at: time(row, "last_at")?,
    })
}

pub(crate) fn doubted(row: &Row<'_>) -> rusqlite::Result<Doubted> {
    Ok(Doubted {
        device: DeviceNo(row.get("device_no")?),
        metric: MetricNo(row.get("metric_no")?),
        at: time(row, "at")?,
        received_at: time(row, "received_at")?,
        value: row.get("value")?,
        quality: word(row, "quality", Quality::parse)?,
        reason: word(row, "reason", Reason::parse)?,
        held: row.get("held")?,
    })
}

pub(crate) fn zone(row: &Row<'_>) -> rusqlite::Result<Zone> {
    Ok(Zone {
        id: word(row, "id", |text| ZoneId::new(text).ok())?,
        name_en: row.get("name_en")?,
        name_zh: row.get("name_zh")?,
        class: word(row, "class", ZoneClass::parse)?,
        outline: word(row, "outline", parse_ring)?,
        inhabitants: row.get("inhabitants")?,
    })
}

/// `[[lon,lat],...]` as the writer wrote it: numbers and brackets only.
fn parse_ring(text: &str) -> Option<Vec<[f64; 2]>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let inner = inner.strip_prefix('[')?.strip_suffix(']')?;
    let corner = |pair: &str| {
        let (lon, lat) = pair.split_once(',')?;
        Some([lon.parse().ok()?, lat.parse().ok()?])
    };
    inner.split("],[").map(corner).collect()
}

/// The newest first; `before` is a cursor over `id`.
pub(crate) fn quarantine(
    connection: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<Quarantined>> {
    let doing = || StoreError::doing("read the quarantine");
    let mut statement = connection
        .prepare_cached("SELECT * FROM quarantine WHERE id < ?1 ORDER BY id DESC LIMIT ?2")
        .map_err(doing())?;
    let rows = statement.query_map(params![before.unwrap_or(i64::MAX), limit as i64 + 1], |row| {
        Ok(Quarantined {
            id: row.get("id")?,
            topic: row.get("topic")?,
            source: row.get("source")?,
            code: row.get("code")?,
            message: row.get("message")?,
            payload: row.get("payload")?,
            payload_bytes: row.get("payload_bytes")?,
            count: row.get("count")?,
            first_at: time(row, "first_at")?,
            last_at: time(row, "last_at")?,
        })
    });
    let items = rows.and_then(Iterator::collect).map_err(doing())?;
    Ok(Page::of(items, limit, |entry: &Quarantined| entry.id))
}

pub(crate) fn last_known(connection: &Connection, device: DeviceNo) -> Result<Vec<LastKnown>> {
    let doing = || StoreError::doing("read last known values");
    let mut statement = connection
        .prepare_cached("SELECT metric_no, value, received_at FROM last_known WHERE device_no = ?1")
        .map_err(doing())?;
    let rows = statement.query_map([device.0], |row| {
        Ok(LastKnown {
            metric: MetricNo(row.get(0)?),
            value: row.get(1)?,
            received_at: TimestampMs(row.get(2)?),
        })
    });
    rows.and_then(Iterator::collect).map_err(doing())
}

pub(crate) fn meta(connection: &Connection, key: &str) -> Result<Option<String>> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
        .map_err(StoreError::doing("read the site's memory"))
}
