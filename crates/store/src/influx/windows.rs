//! Windows of many devices: sums of InfluxDB, and points where something waits.
//!
//! What waits is read first, device by device; InfluxDB is asked afterwards, at most three times ([`Question`]):
//!
//! * *sums* of every window, for all devices. Of a device of which points wait, those windows are left out in which a
//!   waiting point is (*touched* ones).
//! * *points* of these devices in the spans of time in which points wait, to be merged by identity with what waits.
//! * *rest*: sums of what such a span leaves of a touched window. A month is not fetched point by point because of
//!   its last second.
//!
//! So each instant of each device comes from exactly one of the three questions, and what waits is added only where
//! points were asked for. That is why no order of events can double or lose a point:
//!
//! * A point that waited in our snapshot lies in a span. Whether InfluxDB has taken it before that span is asked for
//!   or not: it is merged with itself, or comes from here. It is in no sum, whatever is accepted meanwhile.
//! * A point that was known, but did not wait, had been accepted before the snapshot: it leaves here only after that.
//!   So it is in the answer to whichever question has its instant.
//! * A point that is committed after the snapshot is newer than the question. If it is delivered before its instant is
//!   asked for, it counts, once; if not, it does not count yet. It is never added from here. Of a correction that comes
//!   meanwhile, the answer has the old value or the new one.
//!
//! So an answer tells of a set of points between what was known when the question came and what was known when the
//! answer was complete. Windows that are joined from several devices, days or spans may each be of another moment of
//! that time. One device's mean is of one moment: its sum and its count come from one reading (see `select`).

use std::collections::{BTreeMap, HashMap};

use sanimon_domain::{DeviceId, DeviceNo, TimestampMs, Window};

use super::read::{device, number, text, time};
use super::spans::{Span, Touched, spans_of};
use super::{Influx, flux};
use crate::aggregate::{Aggregate, Function};
use crate::block::merge;
use crate::error::Result;
use crate::model::Point;
use crate::read::{Sums, WindowPlan};

/// What is asked, and what waited before the first question.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) plan: &'a WindowPlan,
    pub(crate) metric: &'a str,
    /// By the name that InfluxDB knows, with the groups (indices into the sums) that each is in.
    pub(crate) devices: &'a HashMap<DeviceId, (DeviceNo, Vec<usize>)>,
    /// Points of the range, ascending. A device without any is not in it.
    pub(crate) waiting: &'a HashMap<DeviceNo, Vec<Point>>,
}

impl Influx {
    /// Adds what InfluxDB says of the devices to their groups' windows, merged with what waits.
    pub(crate) fn add_windows(&self, question: &Question<'_>, sums: &mut [Sums]) -> Result<()> {
        let Question { plan, devices, waiting, .. } = *question;
        if devices.is_empty() {
            return Ok(());
        }
        let spans = spans_of(waiting.values().flatten().map(|point| point.at).collect());
        let touched = Touched::by(&spans, plan);
        let all: Vec<DeviceId> = devices.keys().cloned().collect();
        let whole = [(plan.query.from, plan.query.to)];
        self.each_sum(question, &all, &whole, |(device, groups), window, sum| {
            if !(waiting.contains_key(device) && touched.has(window)) {
                groups.iter().for_each(|group| sums[*group].join(window, sum));
            }
        })?;
        let late = devices.iter().filter(|(_, (device, _))| waiting.contains_key(device));
        let late: Vec<DeviceId> = late.map(|(id, _)| id.clone()).collect();
        let rest = touched.without(&spans, plan);
        self.each_sum(question, &late, &rest, |(device, groups), window, sum| {
            if waiting.contains_key(device) {
                groups.iter().for_each(|group| sums[*group].join(window, sum));
            }
        })?;
        let stored = self.points_in(question, &late, &spans)?;
        for (device, groups) in late.iter().filter_map(|id| devices.get(id)) {
            let stored = stored.get(device).map_or(&[][..], Vec::as_slice);
            let both = merge(stored, &waiting[device]).points;
            groups.iter().for_each(|group| plan.add_points(&both, &mut sums[*group]));
        }
        Ok(())
    }

    /// The points of devices within spans, ascending.
    fn points_in(
        &self,
        question: &Question<'_>,
        names: &[DeviceId],
        spans: &[Span],
    ) -> Result<HashMap<DeviceNo, Vec<Point>>> {
        let mut found: HashMap<DeviceNo, BTreeMap<TimestampMs, f64>> = HashMap::new();
        if !names.is_empty() && !spans.is_empty() {
            let query = points_query(&self.options.bucket, question.metric, names, spans);
            self.rows(query, |row| {
                if let Some((device, _)) = question.devices.get(&device(row)?) {
                    found.entry(*device).or_default().insert(time(row)?, number(row)?);
                }
                Ok(())
            })?;
        }
        let ascending = |points: BTreeMap<TimestampMs, f64>| {
            points.into_iter().map(|(at, value)| Point { at, value }).collect()
        };
        Ok(found.into_iter().map(|(device, points)| (device, ascending(points))).collect())
    }

    /// Each device's windows within spans, with as much of their sums as the function needs. A window may come in
    /// parts.
    fn each_sum(
        &self,
        question: &Question<'_>,
        names: &[DeviceId],
        spans: &[Span],
        mut take: impl FnMut(&(DeviceNo, Vec<usize>), usize, &Aggregate),
    ) -> Result<()> {
        if names.is_empty() || spans.is_empty() {
            return Ok(());
        }
        let function = question.plan.query.function;
        let query = sums_query(question.plan, &self.options.bucket, question.metric, names, spans);
        self.rows(query, |row| {
            let Some(device) = question.devices.get(&device(row)?) else { return Ok(()) };
            let (at, value) = (time(row)?, number(row)?);
            let mut sum = Aggregate::of_point(Point { at, value });
            if function == Function::Mean {
                let is_count = text(row, "result")?.starts_with("count");
                (sum.count, sum.sum) = if is_count { (value as u64, 0.0) } else { (0, value) };
            }
            if function == Function::Count {
                sum.count = value as u64;
            }
            take(device, question.plan.window_at(at), &sum);
            Ok(())
        })
    }
}

/// The points of devices within spans.
fn points_query(bucket: &str, metric: &str, names: &[DeviceId], spans: &[Span]) -> String {
    let parts = spans.iter().enumerate().map(|(part, (from, to))| {
        let source = flux::source(bucket, metric, names, *from, *to);
        format!("{source} |> keep(columns: [\"device\", \"_time\", \"_value\"]) |> group() |> yield(name: \"points{part}\")\n")
    });
    parts.collect()
}

/// The sums of devices' windows within spans.
fn sums_query(plan: &WindowPlan, bucket: &str, metric: &str, names: &[DeviceId], spans: &[Span]) -> String {
    let source = |(from, to): Span| flux::source(bucket, metric, names, from, to);
    let function = plan.query.function;
    match plan.query.window {
        Window::Fixed { length_ms } => {
            let stretches = plan.stretches();
            let parts = spans.iter().flat_map(|(from, to)| {
                stretches.iter().map(|(start, end, midnight)| (*start.max(from), *end.min(to), *midnight))
            });
            let parts =
                parts.filter(|(from, to, _)| from < to).enumerate().map(|(part, (from, to, midnight))| {
                    let offset_ms = midnight.0.rem_euclid(length_ms);
                    let window = format!("every: {length_ms}ms, offset: {offset_ms}ms");
                    select(function, part, &source((from, to)), &window)
                });
            parts.collect()
        }
        // Longer windows are put together here from days and months.
        window => {
            let every = if matches!(window, Window::Months(_)) { "every: 1mo" } else { "every: 1d" };
            let parts = spans.iter().enumerate();
            let parts = parts.map(|(part, span)| select(function, part, &source(*span), every));
            flux::location(plan.calendar()) + &parts.collect::<String>()
        }
    }
}

/// A mean's sum and count have one source, which InfluxDB reads once for both: they are of the same points. (Tested; a
/// `reduce` would say so, and takes a hundred times longer.)
fn select(function: Function, part: usize, source: &str, window: &str) -> String {
    let sum_up = |name: &str| {
        format!(
            "data{part} |> aggregateWindow({window}, fn: {name}, createEmpty: false, timeSrc: \"_start\")\
             \n  |> keep(columns: [\"device\", \"_time\", \"_value\"]) |> group() |> yield(name: \"{name}{part}\")\n"
        )
    };
    // These choose a point and keep its time: which of several devices was first is decided by it.
    let choose = |name: &str| {
        format!(
            "data{part} |> window({window}) |> {name}() |> keep(columns: [\"device\", \"_time\", \"_value\"])\
             \n  |> group() |> yield(name: \"{name}{part}\")\n"
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
    format!("data{part} = {source}\n{parts}")
}

#[cfg(test)]
impl Influx {
    /// What InfluxDB says that it did for the sums of a query.
    pub(crate) fn operations(
        &self,
        query: crate::WindowQuery,
        calendar: sanimon_domain::SiteCalendar,
        metric: &str,
    ) -> Vec<String> {
        let plan = WindowPlan::new(query, calendar).expect("a range");
        let names = [DeviceId::new("d-0").expect("a sound id")];
        let flux = sums_query(&plan, &self.options.bucket, metric, &names, &[(query.from, query.to)]);
        let profiled =
            format!("import \"profiler\"\noption profiler.enabledProfilers = [\"operator\"]\n{flux}");
        let mut operations = Vec::new();
        let take = |row: &influxdb2::api::query::FluxRecord| {
            operations.extend(text(row, "Type").ok().map(str::to_owned));
            Ok(())
        };
        self.rows(profiled, take).expect("an answer");
        operations
    }
}
