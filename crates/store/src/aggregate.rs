//! What a stretch of time says of its points, in a form that can be joined.

use sanimon_domain::TimestampMs;

use crate::model::Point;

/// What a window says of its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Function {
    #[default]
    Mean,
    Min,
    Max,
    Sum,
    Count,
    First,
    Last,
}

impl Function {
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("mean", Self::Mean),
        ("min", Self::Min),
        ("max", Self::Max),
        ("sum", Self::Sum),
        ("count", Self::Count),
        ("first", Self::First),
        ("last", Self::Last),
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, function)| *function)
    }
}

/// At least one point, summed up. Joining the parts gives the same as taking the whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) first: Point,
    pub(crate) last: Point,
}

impl Aggregate {
    pub(crate) fn of_point(point: Point) -> Self {
        let value = point.value;
        Self { count: 1, sum: value, min: value, max: value, first: point, last: point }
    }

    /// `None` when there are no points: a gap is a gap, not a zero.
    pub(crate) fn of(points: &[Point]) -> Option<Self> {
        let (first, rest) = points.split_first()?;
        let mut all = Self::of_point(*first);
        rest.iter().for_each(|point| all.add(*point));
        all.sum = to_thousandths(all.sum);
        Some(all)
    }

    /// Takes a point in, whatever its place in time. Of two first or last ones at the same time the earlier taken
    /// stays.
    pub(crate) fn add(&mut self, point: Point) {
        self.join(&Self::of_point(point));
    }

    /// Takes the points of another stretch in.
    pub(crate) fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.first.at < self.first.at {
            self.first = other.first;
        }
        if other.last.at > self.last.at {
            self.last = other.last;
        }
    }

    pub(crate) fn value(&self, function: Function) -> f64 {
        match function {
            Function::Mean => self.sum / self.count as f64,
            Function::Min => self.min,
            Function::Max => self.max,
            Function::Sum => self.sum,
            Function::Count => self.count as f64,
            Function::First => self.first.value,
            Function::Last => self.last.value,
        }
    }
}

/// Sensors send decimals, and sums of decimals drift off in the last bits: a sum that is a whole number of
/// thousandths but for that drift is one. It is nearer to the truth and takes 3 bytes instead of 9.
fn to_thousandths(sum: f64) -> f64 {
    const DRIFT: f64 = 1e-13;
    let snapped = (sum * 1000.0).round() / 1000.0;
    if (snapped - sum).abs() <= DRIFT * sum.abs() { snapped } else { sum }
}

/// A window's start and what its points say; empty windows are left out.
pub(crate) type Windowed = Vec<(TimestampMs, Aggregate)>;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sanimon_domain::time::HOUR_MS;
    use sanimon_domain::{SiteCalendar, Window};

    use super::*;

    /// Sums up points window by window. `points` are ascending.
    fn aggregate(points: &[Point], window: Window, calendar: SiteCalendar) -> Windowed {
        let mut windows = Windowed::new();
        let mut rest = points;
        while let Some(first) = rest.first() {
            let (start, next) = window.around(calendar, first.at);
            let (inside, after) = rest.split_at(rest.partition_point(|point| point.at < next));
            windows.extend(Aggregate::of(inside).map(|aggregate| (start, aggregate)));
            rest = after;
        }
        windows
    }

    fn points() -> Vec<Point> {
        [(0, 1.0), (30, 3.0), (60, 10.0), (2 * HOUR_MS, 7.0)]
            .map(|(at, value)| Point { at: TimestampMs(at), value })
            .to_vec()
    }

    #[test]
    fn each_function_says_what_its_name_says() {
        let hourly = aggregate(&points(), "1h".parse().expect("a window"), SiteCalendar::utc());
        for (function, first) in [
            ("mean", 14.0 / 3.0),
            ("min", 1.0),
            ("max", 10.0),
            ("sum", 14.0),
            ("count", 3.0),
            ("first", 1.0),
            ("last", 10.0),
        ] {
            let function = Function::parse(function).expect("a function");
            assert!((hourly[0].1.value(function) - first).abs() < 1e-12, "{function:?}");
        }
    }

    #[test]
    fn a_window_without_points_is_a_gap() {
        let hourly = aggregate(&points(), "1h".parse().expect("a window"), SiteCalendar::utc());
        assert_eq!(hourly.iter().map(|(start, _)| start.0).collect::<Vec<_>>(), [0, 2 * HOUR_MS]);
    }

    #[test]
    fn sums_of_decimals_do_not_drift() {
        let tenths: Vec<Point> = (0..96).map(|n| Point { at: TimestampMs(n), value: 0.1 }).collect();
        assert_eq!(Aggregate::of(&tenths).expect("points").sum, 9.6);
    }

    proptest! {
        #[test]
        fn joining_parts_is_taking_the_whole(values in prop::collection::vec(-1e6_f64..1e6, 2..50), cut in any::<prop::sample::Index>()) {
            let points: Vec<Point> =
                values.iter().enumerate().map(|(at, value)| Point { at: TimestampMs(at as i64), value: *value }).collect();
            let cut = 1 + cut.index(points.len() - 1);
            let mut joined = Aggregate::of(&points[..cut]).expect("points");
            joined.join(&Aggregate::of(&points[cut..]).expect("points"));
            let whole = Aggregate::of(&points).expect("points");
            prop_assert!((joined.sum - whole.sum).abs() <= 1e-9 * 1e6 * 50.0);
            prop_assert_eq!(Aggregate { sum: 0.0, ..joined }, Aggregate { sum: 0.0, ..whole });
        }
    }
}
