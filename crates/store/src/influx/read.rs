//! Questions about one series, and reading the rows of an answer. Windows are in [`super::windows`].
//!
//! Whoever merges an answer with what waits here takes what waits *first*. A point leaves the memory and the file only
//! after InfluxDB has accepted it, so one that does not wait any more is in every answer to a later question. One that
//! is in both is one point, for both have its identity.

use std::collections::BTreeMap;

use influxdb2::api::query::FluxRecord;
use influxdb2_structmap::value::Value;
use sanimon_domain::{DeviceId, DeviceNo, TimestampMs};

use super::{Influx, flux};
use crate::error::{Result, StoreError};
use crate::model::Point;

/// A device with the name that InfluxDB knows it by.
pub(crate) type Named = (DeviceNo, DeviceId);

impl Influx {
    /// Points of a series between two times, both included, ascending.
    pub(crate) fn points(
        &self,
        metric: &str,
        device: &Named,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<Vec<Point>> {
        let source =
            flux::source(&self.options.bucket, metric, std::slice::from_ref(&device.1), from, to.plus_ms(1));
        let query = format!(
            "{source} |> keep(columns: [\"_time\", \"_value\"]) |> group() |> sort(columns: [\"_time\"])"
        );
        let mut points: BTreeMap<TimestampMs, f64> = BTreeMap::new();
        self.rows(query, |row| {
            points.insert(time(row)?, number(row)?);
            Ok(())
        })?;
        Ok(points.into_iter().map(|(at, value)| Point { at, value }).collect())
    }

    /// How many points a series has between two times.
    pub(crate) fn count(
        &self,
        metric: &str,
        device: &Named,
        from: TimestampMs,
        to: TimestampMs,
    ) -> Result<u64> {
        let source =
            flux::source(&self.options.bucket, metric, std::slice::from_ref(&device.1), from, to.plus_ms(1));
        let query = format!("{source} |> count() |> keep(columns: [\"_value\"]) |> group() |> sum()");
        let mut count = 0;
        self.rows(query, |row| {
            count += number(row)? as u64;
            Ok(())
        })?;
        Ok(count)
    }

    /// The time of the oldest point of a series.
    pub(crate) fn first_at(&self, metric: &str, device: &Named) -> Result<Option<TimestampMs>> {
        let (from, to) = (TimestampMs(0), TimestampMs(9_000_000_000_000));
        let source = flux::source(&self.options.bucket, metric, std::slice::from_ref(&device.1), from, to);
        let query = format!("{source} |> first() |> keep(columns: [\"_time\"])");
        let mut first: Option<TimestampMs> = None;
        self.rows(query, |row| {
            let at = time(row)?;
            first = Some(first.map_or(at, |first| first.min(at)));
            Ok(())
        })?;
        Ok(first)
    }
}

fn failed(detail: String) -> StoreError {
    StoreError::Influx { doing: "answer a query", detail }
}

pub(super) fn text<'a>(row: &'a FluxRecord, column: &str) -> Result<&'a str> {
    match row.values.get(column) {
        Some(Value::String(text)) => Ok(text),
        other => Err(failed(format!("`{column}` is {other:?} and not a text"))),
    }
}

pub(super) fn device(row: &FluxRecord) -> Result<DeviceId> {
    let text = text(row, "device")?;
    DeviceId::new(text).map_err(|error| failed(format!("the device `{text}`: {error}")))
}

pub(super) fn time(row: &FluxRecord) -> Result<TimestampMs> {
    match row.values.get("_time") {
        Some(Value::TimeRFC(at)) => Ok(TimestampMs(at.timestamp_millis())),
        other => Err(failed(format!("`_time` is {other:?} and not a time"))),
    }
}

pub(super) fn number(row: &FluxRecord) -> Result<f64> {
    match row.values.get("_value") {
        Some(Value::Double(number)) => Ok(number.0),
        Some(Value::Long(number)) => Ok(*number as f64),
        Some(Value::UnsignedLong(number)) => Ok(*number as f64),
        other => Err(failed(format!("`_value` is {other:?} and not a number"))),
    }
}
