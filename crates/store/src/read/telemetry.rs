//! Telemetry in windows, over one device or many: from day aggregates where whole days are asked for, from blocks else.

use rusqlite::{Connection, params};
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{DeviceNo, LocalDay, MetricNo, SiteCalendar, TimestampMs, Window};

use crate::aggregate::{Aggregate, Function, Windowed};
use crate::block::merge;
use crate::days::{self, DayStarts};
use crate::error::{Result, StoreError};
use crate::model::Point;
use crate::sealed::{self, Damage};

/// What is asked of each device: points from `from` up to but without `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowQuery {
    pub metric: MetricNo,
    pub from: TimestampMs,
    pub to: TimestampMs,
    pub window: Window,
    pub function: Function,
}

/// The windows of a query, computed once for all devices.
#[derive(Debug)]
pub(crate) struct WindowPlan {
    pub(crate) query: WindowQuery,
    calendar: SiteCalendar,
    /// Starts of the windows that touch the range, ascending.
    starts: Vec<TimestampMs>,
    first_day: LocalDay,
    last_day: LocalDay,
    days: DayStarts,
    /// For windows of whole days: which window each day from `first_day` on is in.
    window_of_day: Vec<usize>,
}

/// A window each; `None`: no points.
#[derive(Debug, Clone)]
pub(crate) struct Sums(Vec<Option<Aggregate>>);

impl Sums {
    pub(crate) fn join(&mut self, window: usize, other: &Aggregate) {
        match &mut self.0[window] {
            Some(sum) => sum.join(other),
            none => *none = Some(*other),
        }
    }
}

impl WindowPlan {
    /// `None` when the range is empty.
    pub(crate) fn new(query: WindowQuery, calendar: SiteCalendar) -> Option<Self> {
        let WindowQuery { from, to, window, .. } = query;
        if from >= to {
            return None;
        }
        let mut starts = Vec::new();
        let mut at = from;
        while at < to {
            let (start, next) = window.around(calendar, at);
            starts.push(start);
            at = next;
        }
        let (first_day, last_day) = (calendar.day_of(from), calendar.day_of(to.minus_ms(1)));
        let days = DayStarts::new(calendar, first_day, last_day);
        let mut plan = Self { query, calendar, starts, first_day, last_day, days, window_of_day: Vec::new() };
        if window.is_whole_days() {
            plan.window_of_day = (first_day.0..=last_day.0)
                .map(|day| plan.window_at(plan.days.start_of(LocalDay(day)).max(from)))
                .collect();
        }
        Some(plan)
    }

    pub(crate) fn empty_sums(&self) -> Sums {
        Sums(vec![None; self.starts.len()])
    }

    pub(crate) fn calendar(&self) -> SiteCalendar {
        self.calendar
    }

    /// A window's part of the range: from one time up to but without another.
    pub(crate) fn bounds(&self, window: usize) -> (TimestampMs, TimestampMs) {
        let end = self.starts.get(window + 1).copied().unwrap_or(self.query.to);
        (self.starts[window].max(self.query.from), end.min(self.query.to))
    }

    /// The range in stretches of days whose midnights are a multiple of 24 hours apart: start, end, first midnight.
    pub(crate) fn stretches(&self) -> Vec<(TimestampMs, TimestampMs, TimestampMs)> {
        let days: Vec<LocalDay> = (self.first_day.0..=self.last_day.0).map(LocalDay).collect();
        let offset_ms = |day: &LocalDay| self.days.start_of(*day).0.rem_euclid(DAY_MS);
        days.chunk_by(|a, b| offset_ms(a) == offset_ms(b))
            .map(|days| {
                let start = self.days.start_of(days[0]);
                (start, self.days.start_of(days[days.len() - 1].plus(1)), start)
            })
            .collect()
    }

    pub(crate) fn windowed(&self, sums: Sums) -> Windowed {
        self.starts.iter().zip(sums.0).filter_map(|(start, sum)| Some((*start, sum?))).collect()
    }

    pub(crate) fn window_at(&self, at: TimestampMs) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Adds points of the range, ascending.
    pub(crate) fn add_points(&self, points: &[Point], sums: &mut Sums) {
        let mut rest = points;
        while let Some(first) = rest.first() {
            let window = self.window_at(first.at);
            let end = self
                .starts
                .get(window + 1)
                .map_or(rest.len(), |next| rest.partition_point(|point| point.at < *next));
            let (inside, after) = rest.split_at(end.max(1));
            if let Some(sum) = Aggregate::of(inside) {
                sums.join(window, &sum);
            }
            rest = after;
        }
    }

    /// Adds what is stored of a device, and its points that are not sealed yet (ascending, within the range).
    pub(crate) fn add_device(
        &self,
        connection: &Connection,
        damage: &Damage,
        device: DeviceNo,
        tail: &[Point],
        sums: &mut Sums,
    ) -> Result<()> {
        if self.query.window.is_whole_days() {
            return Days { plan: self, connection, damage, device, tail }.add(sums);
        }
        let WindowQuery { metric, from, to, .. } = self.query;
        let stored = sealed::points(connection, damage, (device, metric), from, to.minus_ms(1))?;
        self.add_points(&merge(&stored, tail).points, sums);
        Ok(())
    }
}

/// A device's whole days.
struct Days<'a> {
    plan: &'a WindowPlan,
    connection: &'a Connection,
    damage: &'a Damage,
    device: DeviceNo,
    tail: &'a [Point],
}

impl Days<'_> {
    fn add(&self, sums: &mut Sums) -> Result<()> {
        let (plan, WindowQuery { metric, from, to, .. }) = (self.plan, self.plan.query);
        let mut apart = Vec::new();
        self.each_month(|month, blob| {
            let mut usable = Vec::new();
            let decoded = days::decode(
                blob,
                month,
                |day| plan.days.start_of(day),
                |day, sum| {
                    if day < plan.first_day || day > plan.last_day {
                        return;
                    }
                    let is_cut = sum.first.at < from || sum.last.at >= to;
                    // A late or corrected point that is not sealed yet: it may replace one that is in the sum.
                    let is_touched = self
                        .tail_of(plan.days.start_of(day), sum.last.at)
                        .first()
                        .is_some_and(|p| p.at <= sum.last.at);
                    if is_cut || is_touched {
                        apart.push((day, Some(sum)));
                    } else {
                        usable.push((plan.window_of_day[(day.0 - plan.first_day.0) as usize], sum));
                    }
                },
            );
            match decoded {
                Ok(()) => usable.iter().for_each(|(window, sum)| sums.join(*window, sum)),
                Err(error) => {
                    let first = LocalDay::first_of_month(month);
                    self.damage.note((self.device, metric), plan.calendar.start_of(first), &error);
                    let next = LocalDay::first_of_month(month + 1);
                    apart.retain(|(day, _)| *day < first);
                    let days = first.0.max(plan.first_day.0)..next.0.min(plan.last_day.0 + 1);
                    apart.extend(days.map(|day| (LocalDay(day), None)));
                }
            }
        })?;
        let mut rest = self.tail;
        for (day, sum) in apart {
            let (start, end) = (plan.days.start_of(day), plan.days.start_of(day.plus(1)));
            let before = rest.partition_point(|point| point.at < start);
            plan.add_points(&rest[..before], sums);
            let after = rest.partition_point(|point| point.at < end);
            self.add_day(start, end, sum, &rest[before..after], sums)?;
            rest = &rest[after..];
        }
        plan.add_points(rest, sums);
        Ok(())
    }

    fn tail_of(&self, start: TimestampMs, last: TimestampMs) -> &[Point] {
        let from = self.tail.partition_point(|point| point.at < start);
        let to = self.tail.partition_point(|point| point.at <= last);
        &self.tail[from..to.max(from)]
    }

    /// A day from its points. Where the range holds the whole day and its blocks are gone, its sum has to do.
    fn add_day(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        sum: Option<Aggregate>,
        tail: &[Point],
        sums: &mut Sums,
    ) -> Result<()> {
        let WindowQuery { metric, from, to, .. } = self.plan.query;
        let (first, last) = (start.max(from), end.min(to).minus_ms(1));
        let stored = sealed::points(self.connection, self.damage, (self.device, metric), first, last)?;
        let is_whole = start >= from && end <= to;
        if let Some(sum) = sum.filter(|sum| is_whole && (stored.len() as u64) < sum.count) {
            sums.join(self.plan.window_at(first), &sum);
            self.plan.add_points(tail, sums);
        } else {
            self.plan.add_points(&merge(&stored, tail).points, sums);
        }
        Ok(())
    }

    fn each_month(&self, mut take: impl FnMut(i32, &[u8])) -> Result<()> {
        let doing = || StoreError::doing("read day aggregates");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT month, days FROM day_month WHERE metric_no = ?1 AND device_no = ?2 AND month BETWEEN ?3 AND ?4
                 ORDER BY month",
            )
            .map_err(doing())?;
        let (metric, device) = (self.plan.query.metric.0, self.device.0);
        let mut rows = statement
            .query(params![metric, device, self.plan.first_day.month(), self.plan.last_day.month()])
            .map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            let month = row.get(0).map_err(doing())?;
            let blob = row.get_ref(1).map_err(doing())?.as_blob().map_err(|e| doing()(e.into()))?;
            take(month, blob);
        }
        Ok(())
    }
}
