//! Queries: what InfluxDB has, merged with what still waits here.
//!
//! What waits is read first: what is delivered meanwhile is in InfluxDB by then, and merging by identity makes the
//! overlap harmless.

use std::collections::{BTreeMap, HashMap};

use influxdb2::api::query::FluxRecord;
use influxdb2_structmap::value::Value;
use sanimon_domain::{DeviceId, DeviceNo, TimestampMs, Window};

use super::{Influx, flux};
use crate::aggregate::{Aggregate, Function};
use crate::block::merge;
use crate::error::{Result, StoreError};
use crate::model::Point;
use crate::read::{Sums, WindowPlan};

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

    /// Adds what InfluxDB says of these devices to their groups' windows, merged with what waits. `groups` are indices
    /// into `sums`; `waiting` are points of the range, ascending.
    pub(crate) fn add_windows(
        &self,
        plan: &WindowPlan,
        metric: &str,
        devices: &HashMap<DeviceId, (DeviceNo, usize)>,
        waiting: &HashMap<DeviceNo, Vec<Point>>,
        sums: &mut [Sums],
    ) -> Result<()> {
        let names: Vec<DeviceId> = devices.keys().cloned().collect();
        let mut apart: HashMap<DeviceNo, Vec<usize>> = HashMap::new();
        for (id, group) in self.overlapping(plan, metric, &names, devices, waiting)? {
            let (device, _) = devices[&id];
            let windows = plan.windows_of(&waiting[&device]);
            for window in &windows {
                let (from, to) = plan.bounds(*window);
                let stored = self.points(metric, &(device, id.clone()), from, to.minus_ms(1))?;
                let both = merge(&stored, plan.within(&waiting[&device], *window)).points;
                plan.add_points(&both, &mut sums[group]);
            }
            apart.insert(device, windows);
        }
        for (device, points) in waiting.iter().filter(|(device, _)| !apart.contains_key(device)) {
            let group = devices.values().find(|(no, _)| no == device).map(|(_, group)| *group);
            if let Some(group) = group {
                plan.add_points(points, &mut sums[group]);
            }
        }
        self.each_window(plan, metric, &names, |id, window, sum| {
            let Some((device, group)) = devices.get(id) else { return };
            if !apart.get(device).is_some_and(|windows| windows.contains(&window)) {
                sums[*group].join(window, sum);
            }
        })
    }

    /// Devices of which points wait that are not all newer than what InfluxDB has.
    fn overlapping(
        &self,
        plan: &WindowPlan,
        metric: &str,
        names: &[DeviceId],
        devices: &HashMap<DeviceId, (DeviceNo, usize)>,
        waiting: &HashMap<DeviceNo, Vec<Point>>,
    ) -> Result<Vec<(DeviceId, usize)>> {
        let Some(from) = waiting.values().filter_map(|points| points.first()).map(|point| point.at).min()
        else {
            return Ok(Vec::new());
        };
        let source = flux::source(&self.options.bucket, metric, names, from, plan.query.to);
        let query = format!("{source} |> last() |> keep(columns: [\"device\", \"_time\"]) |> group()");
        let mut found = BTreeMap::new();
        self.rows(query, |row| {
            let (id, at) = (device(row)?, time(row)?);
            if let Some((id, (device, group))) = devices.get_key_value(&id)
                && waiting.get(device).and_then(|points| points.first()).is_some_and(|first| first.at <= at)
            {
                found.insert(id.clone(), *group);
            }
            Ok(())
        })?;
        Ok(found.into_iter().collect())
    }

    /// Each device's windows, with as much of their sums as the function needs.
    fn each_window(
        &self,
        plan: &WindowPlan,
        metric: &str,
        names: &[DeviceId],
        mut take: impl FnMut(&DeviceId, usize, &Aggregate),
    ) -> Result<()> {
        for query in window_queries(plan, &self.options.bucket, metric, names) {
            self.rows(query, |row| {
                let (id, at, value) = (device(row)?, time(row)?, number(row)?);
                let point = Point { at, value };
                let mut sum = Aggregate::of_point(point);
                if plan.query.function == Function::Mean {
                    let is_count = text(row, "result")? == "count";
                    (sum.count, sum.sum) = if is_count { (value as u64, 0.0) } else { (0, value) };
                }
                if plan.query.function == Function::Count {
                    sum.count = value as u64;
                }
                take(&id, plan.window_at(at), &sum);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// The Flux texts that together give every window of the range.
fn window_queries(plan: &WindowPlan, bucket: &str, metric: &str, names: &[DeviceId]) -> Vec<String> {
    let (from, to) = (plan.query.from, plan.query.to);
    match plan.query.window {
        Window::Fixed { length_ms } => plan
            .stretches()
            .into_iter()
            .map(|(start, end, midnight)| {
                let source = flux::source(bucket, metric, names, start.max(from), end.min(to));
                let offset_ms = midnight.0.rem_euclid(length_ms);
                let window = format!("every: {length_ms}ms, offset: {offset_ms}ms");
                select(plan.query.function, &source, &window)
            })
            .collect(),
        // Longer windows are put together here from days and months.
        window => {
            let source = flux::source(bucket, metric, names, from, to);
            let every = if matches!(window, Window::Months(_)) { "every: 1mo" } else { "every: 1d" };
            vec![flux::location(plan.calendar()) + &select(plan.query.function, &source, every)]
        }
    }
}

fn select(function: Function, source: &str, window: &str) -> String {
    let sum_up = |name: &str| {
        format!(
            "data |> aggregateWindow({window}, fn: {name}, createEmpty: false, timeSrc: \"_start\")\
             \n  |> keep(columns: [\"device\", \"_time\", \"_value\"]) |> group() |> yield(name: \"{name}\")\n"
        )
    };
    // These choose a point and keep its time: which of several devices was first is decided by it.
    let choose = |name: &str| {
        format!(
            "data |> window({window}) |> {name}() |> keep(columns: [\"device\", \"_time\", \"_value\"])\
             \n  |> group() |> yield(name: \"{name}\")\n"
        )
    };
    let parts = match function {
        Function::Mean => sum_up("sum") + &sum_up("count"),
        Function::Sum => sum_up("sum"),
        Function::Count => sum_up("count"),
        Function::Min => sum_up("min"),
        Function::Max => sum_up("max"),
        Function::First => choose("first"),
        Function::Last => choose("last"),
    };
    format!("data = {source}\n{parts}")
}

fn failed(detail: String) -> StoreError {
    StoreError::Influx { doing: "answer a query", detail }
}

fn text<'a>(row: &'a FluxRecord, column: &str) -> Result<&'a str> {
    match row.values.get(column) {
        Some(Value::String(text)) => Ok(text),
        other => Err(failed(format!("`{column}` is {other:?} and not a text"))),
    }
}

fn device(row: &FluxRecord) -> Result<DeviceId> {
    let text = text(row, "device")?;
    DeviceId::new(text).map_err(|error| failed(format!("the device `{text}`: {error}")))
}

fn time(row: &FluxRecord) -> Result<TimestampMs> {
    match row.values.get("_time") {
        Some(Value::TimeRFC(at)) => Ok(TimestampMs(at.timestamp_millis())),
        other => Err(failed(format!("`_time` is {other:?} and not a time"))),
    }
}

fn number(row: &FluxRecord) -> Result<f64> {
    match row.values.get("_value") {
        Some(Value::Double(number)) => Ok(number.0),
        Some(Value::Long(number)) => Ok(*number as f64),
        Some(Value::UnsignedLong(number)) => Ok(*number as f64),
        other => Err(failed(format!("`_value` is {other:?} and not a number"))),
    }
}
