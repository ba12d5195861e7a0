//! Points in windows of time.

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

    /// `None` for an empty window: a gap is a gap, not a zero.
    fn of(self, points: &[Point]) -> Option<f64> {
        let (first, last) = (points.first()?, points.last()?);
        let values = || points.iter().map(|point| point.value);
        let count = points.len() as f64;
        Some(match self {
            Self::Mean => values().sum::<f64>() / count,
            Self::Min => values().fold(f64::INFINITY, f64::min),
            Self::Max => values().fold(f64::NEG_INFINITY, f64::max),
            Self::Sum => values().sum(),
            Self::Count => count,
            Self::First => first.value,
            Self::Last => last.value,
        })
    }
}

/// Windows of one length. `origin` is the start of one of them: the site's midnight, for days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub length_ms: i64,
    pub origin: TimestampMs,
}

impl Window {
    /// The start of the window that holds this time.
    pub fn start(self, at: TimestampMs) -> TimestampMs {
        self.origin.plus_ms(at.since_ms(self.origin).div_euclid(self.length_ms) * self.length_ms)
    }
}

/// Each window that has points, at its start.
pub fn aggregate(points: &[Point], window: Window, function: Function) -> Vec<Point> {
    points
        .chunk_by(|a, b| window.start(a.at) == window.start(b.at))
        .filter_map(|chunk| Some(Point { at: window.start(chunk[0].at), value: function.of(chunk)? }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<Point> {
        [(0, 1.0), (30, 3.0), (60, 10.0), (250, 7.0)]
            .map(|(at, value)| Point { at: TimestampMs(at), value })
            .to_vec()
    }

    #[test]
    fn each_function_says_what_its_name_says() {
        let window = Window { length_ms: 100, origin: TimestampMs(0) };
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
            let windows = aggregate(&points(), window, function);
            assert!((windows[0].value - first).abs() < 1e-12, "{function:?}");
        }
    }

    #[test]
    fn a_window_without_points_is_a_gap() {
        let window = Window { length_ms: 100, origin: TimestampMs(0) };
        let starts: Vec<i64> = aggregate(&points(), window, Function::Count).iter().map(|p| p.at.0).collect();
        assert_eq!(starts, [0, 200]);
    }

    #[test]
    fn windows_are_counted_from_their_origin_in_both_directions() {
        let window = Window { length_ms: 100, origin: TimestampMs(50) };
        assert_eq!(window.start(TimestampMs(49)), TimestampMs(-50));
        assert_eq!(window.start(TimestampMs(150)), TimestampMs(150));
    }
}
