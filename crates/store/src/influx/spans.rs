//! The spans of time in which points wait, and what they touch of a question's windows.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use sanimon_domain::TimestampMs;
use sanimon_domain::time::MINUTE_MS;

use crate::read::WindowPlan;

/// From one time up to but without another.
pub(super) type Span = (TimestampMs, TimestampMs);

/// Spans at most: each is a source of its own in a question's text. Sixteen take InfluxDB a tenth of a second longer
/// than one.
const SPANS_MAX: usize = 8;
/// A gap between waiting points below which they are one span: what lies between is quicker to fetch than to sum up.
const GAP_MIN_MS: i64 = 15 * MINUTE_MS;

/// The times at which points wait, in few spans: apart at the widest gaps.
pub(super) fn spans_of(mut times: Vec<TimestampMs>) -> Vec<Span> {
    times.sort_unstable();
    times.dedup();
    let gap_before = |index: usize| times[index].since_ms(times[index - 1]);
    let mut cuts: Vec<usize> = (1..times.len()).filter(|index| gap_before(*index) >= GAP_MIN_MS).collect();
    cuts.sort_unstable_by_key(|index| Reverse(gap_before(*index)));
    cuts.truncate(SPANS_MAX - 1);
    cuts.sort_unstable();
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(times.len()));
    let parts = starts.zip(ends).filter(|(start, end)| start < end);
    parts.map(|(start, end)| (times[start], times[end - 1].plus_ms(1))).collect()
}

/// The windows in which spans are, span by span.
pub(super) struct Touched(Vec<RangeInclusive<usize>>);

impl Touched {
    /// `spans` are ascending, and within the range of the plan.
    pub(super) fn by(spans: &[Span], plan: &WindowPlan) -> Self {
        Self(spans.iter().map(|(from, to)| plan.window_at(*from)..=plan.window_at(to.minus_ms(1))).collect())
    }

    pub(super) fn has(&self, window: usize) -> bool {
        self.0.iter().any(|windows| windows.contains(&window))
    }

    /// What the spans leave of these windows.
    pub(super) fn without(&self, spans: &[Span], plan: &WindowPlan) -> Vec<Span> {
        let mut rest = Vec::new();
        let mut done = plan.query.from;
        for (index, (windows, (from, to))) in self.0.iter().zip(spans).enumerate() {
            // Another span may be in the same window, before this one or behind it.
            rest.push((plan.bounds(*windows.start()).0.max(done), *from));
            done = *to;
            let end = plan.bounds(*windows.end()).1;
            if spans.get(index + 1).is_none_or(|(next, _)| *next >= end) {
                rest.push((done, end));
                done = end;
            }
        }
        rest.retain(|(from, to)| from < to);
        rest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sanimon_domain::{MetricNo, SiteCalendar};

    use super::*;
    use crate::{Function, WindowQuery};

    const FIRST: TimestampMs = TimestampMs(1_792_540_800_000);

    fn at(minutes: i64) -> TimestampMs {
        FIRST.plus_ms(minutes * MINUTE_MS)
    }

    fn plan(window: &str, from: i64, to: i64) -> WindowPlan {
        let (metric, function) = (MetricNo(0), Function::Count);
        let window = window.parse().expect("a window");
        let query = WindowQuery { metric, from: at(from), to: at(to), window, function };
        WindowPlan::new(query, SiteCalendar::named("Europe/Berlin").expect("a zone")).expect("a range")
    }

    fn is_in(spans: &[Span], at: TimestampMs) -> bool {
        spans.iter().any(|(from, to)| *from <= at && at < *to)
    }

    #[test]
    fn points_of_the_last_seconds_are_one_short_span_and_late_ones_spans_of_their_own() {
        assert_eq!(spans_of(Vec::new()), []);
        assert_eq!(spans_of(vec![at(0)]), [(at(0), at(0).plus_ms(1))]);
        let times = vec![at(10_001), at(10_000), at(0), at(10_000)];
        let spans = [(at(0), at(0).plus_ms(1)), (at(10_000), at(10_001).plus_ms(1))];
        assert_eq!(spans_of(times), spans);
    }

    #[test]
    fn the_narrowest_gaps_are_bridged_when_there_would_be_too_many_spans() {
        let mut times: Vec<TimestampMs> = (0..1_000).map(|n| at(n * 60)).collect();
        times.push(at(100_000));
        let spans = spans_of(times);
        assert_eq!(spans.len(), SPANS_MAX);
        assert_eq!(spans[SPANS_MAX - 1].0, at(100_000));
    }

    proptest! {
        #[test]
        fn each_instant_of_a_touched_window_is_in_a_span_or_in_the_rest_and_never_in_both(
            window in prop::sample::select(vec!["15m", "6h", "1d", "1w", "1mo"]),
            from in 0_i64..2_000,
            length in 1_i64..30_000,
            waiting in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            probes in prop::collection::vec(any::<prop::sample::Index>(), 40),
        ) {
            let plan = plan(window, from, from + length);
            let time = |index: &prop::sample::Index| at(from + index.index(length as usize) as i64);
            let spans = spans_of(waiting.iter().map(time).collect());
            let touched = Touched::by(&spans, &plan);
            let rest = touched.without(&spans, &plan);
            prop_assert!(rest.iter().chain(&spans).all(|(from, to)| from < to));
            prop_assert!(spans.is_sorted() && spans.len() <= SPANS_MAX && rest.len() <= 2 * SPANS_MAX);
            for at in probes.iter().map(time) {
                let is_touched = touched.has(plan.window_at(at));
                prop_assert_eq!(is_in(&spans, at) || is_in(&rest, at), is_touched);
                prop_assert!(!(is_in(&spans, at) && is_in(&rest, at)));
                // Rests do not overlap either.
                prop_assert!(rest.iter().filter(|(from, to)| *from <= at && at < *to).count() <= 1);
            }
            for at in waiting.iter().map(time) {
                prop_assert!(is_in(&spans, at));
            }
        }
    }
}
