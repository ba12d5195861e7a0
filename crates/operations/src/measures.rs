//! What managers ask: is it getting cleaner, who answers late, and which zone lags? Computed from cases, that is, alerts
//! with their histories; the measures are those of the domain page.

use sanimon_domain::collection::{Emptied, WASTED_BELOW_PCT};
use sanimon_domain::time::{HOUR_MS, MINUTE_MS};
use sanimon_domain::{DeviceKind, MetricNo, Severity, StepKind, TimestampMs, metric};

use crate::deadlines::Deadlines;

/// An alert as measures see it.
#[derive(Debug, Clone)]
pub struct Case {
    /// `None`: a group of several kinds.
    pub kind: Option<DeviceKind>,
    pub metric: MetricNo,
    pub is_report: bool,
    pub raised_at: TimestampMs,
    pub cleared_at: Option<TimestampMs>,
    pub acknowledged_at: Option<TimestampMs>,
    pub arrived_at: Option<TimestampMs>,
    /// Handled, verified or dismissed: whichever came first.
    pub resolved_at: Option<TimestampMs>,
    pub deadlines: Deadlines,
    /// From when on it had which severity.
    pub severities: Vec<(TimestampMs, Severity)>,
    pub steps: Vec<StepKind>,
}

/// A span of time that is measured: `to` is not included.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub from: TimestampMs,
    pub to: TimestampMs,
}

/// Devices of a group, by kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fleet {
    pub bins: usize,
    pub drains: usize,
    pub toilets: usize,
    /// Who live there; 0: nobody has said.
    pub inhabitants: u64,
}

impl Fleet {
    pub fn add(&mut self, kind: DeviceKind) {
        match kind {
            DeviceKind::Bin => self.bins += 1,
            DeviceKind::Drain => self.drains += 1,
            DeviceKind::Toilet => self.toilets += 1,
        }
    }

    pub const fn all(self) -> usize {
        self.bins + self.drains + self.toilets
    }
}

/// Half and nine tenths of the cases took at most so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    pub median_min: f64,
    pub p90_min: f64,
}

/// The measures of a group over a span. `None`: there was nothing to measure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measures {
    /// Raised in the span.
    pub alerts: usize,
    /// Hours of all bins at the critical level.
    pub overflow_h: Option<f64>,
    /// The same as a share of all bins' time.
    pub overflow_share: Option<f64>,
    pub flood_min: Option<f64>,
    /// Share of the toilets' hours within the limits of ammonia and hydrogen sulphide.
    pub odour_kept: Option<f64>,
    /// Share of the devices' hours in which they were not silent.
    pub available: Option<f64>,
    pub acknowledge: Option<Quantiles>,
    pub arrive: Option<Quantiles>,
    pub resolve: Option<Quantiles>,
    /// Share of the deadlines in the span that were kept.
    pub deadlines_kept: Option<f64>,
    /// Share of resolved cases that came back.
    pub reopened: Option<f64>,
    /// Cases that residents opened.
    pub reports: usize,
    /// The same for a thousand inhabitants.
    pub reports_per_1000: Option<f64>,
    /// Share of emptyings of bins that were less than 40 % full.
    pub wasted: Option<f64>,
}

/// A part of a score: 0 to 100, and how much it weighs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    pub name: &'static str,
    pub points: f64,
    pub weight: f64,
}

/// What a site wants of a measure: at most, or at least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// One of [`GOALS`].
    pub measure: &'static str,
    pub value: f64,
}

/// Measures that may have a goal, and whether more of them is better.
pub const GOALS: [(&str, bool); 9] = [
    ("overflow_pct", false),
    ("acknowledge_min", false),
    ("arrive_min", false),
    ("resolve_min", false),
    ("deadlines_kept_pct", true),
    ("odour_kept_pct", true),
    ("available_pct", true),
    ("reopened_pct", false),
    ("wasted_pct", false),
];

/// So much of the bins' time overflowing is no point left; so much of the drains' time flooding.
const OVERFLOW_SHARE_WORST: f64 = 0.05;
const FLOOD_SHARE_WORST: f64 = 0.01;

/// Measures the cases of one group.
pub fn measure(cases: &[&Case], emptied: &[Emptied], fleet: Fleet, span: Span) -> Measures {
    let raised: Vec<&Case> = cases.iter().copied().filter(|case| span.holds(case.raised_at)).collect();
    let minutes = |end: fn(&Case) -> Option<TimestampMs>| {
        quantiles(raised.iter().filter_map(|case| Some(end(case)?.since_ms(case.raised_at))).collect())
    };
    let hours_of = |wanted: &dyn Fn(&Case) -> bool, severity: Option<Severity>| {
        let ms: i64 =
            cases.iter().filter(|case| wanted(case)).map(|case| case.ms_within(span, severity)).sum();
        ms as f64 / HOUR_MS as f64
    };
    let critical = Some(Severity::Critical);
    let is_of = |metrics: &'static [MetricNo], kind: DeviceKind| {
        move |case: &Case| case.kind == Some(kind) && metrics.contains(&case.metric)
    };
    let span_h = span.to.since_ms(span.from).max(1) as f64 / HOUR_MS as f64;
    let share_of = |hours: f64, devices: usize| 1.0 - (hours / (span_h * devices as f64)).min(1.0);
    let overflow = is_of(&[metric::FILL_PCT], DeviceKind::Bin);
    let flood = is_of(&[metric::LEVEL_PCT, FLOODED], DeviceKind::Drain);
    let odour = is_of(&[NH3_PPM, H2S_PPM], DeviceKind::Toilet);
    let silence = |case: &Case| case.metric == metric::SILENCE_MIN && case.kind.is_some();
    let resolved: Vec<&Case> = raised.iter().copied().filter(|case| case.resolved_at.is_some()).collect();
    let came_back = resolved.iter().filter(|case| case.steps.contains(&StepKind::Reopened)).count();
    let overflow_h = hours_of(&overflow, critical);
    let reports = raised.iter().filter(|case| case.is_report).count();
    Measures {
        alerts: raised.len(),
        overflow_h: (fleet.bins > 0).then_some(overflow_h),
        overflow_share: (fleet.bins > 0).then(|| overflow_h / (span_h * fleet.bins as f64)),
        flood_min: (fleet.drains > 0).then(|| hours_of(&flood, critical) * 60.0),
        odour_kept: (fleet.toilets > 0).then(|| share_of(hours_of(&odour, None), fleet.toilets)),
        available: (fleet.all() > 0).then(|| share_of(hours_of(&silence, None), fleet.all())),
        acknowledge: minutes(|case| case.acknowledged_at),
        arrive: minutes(|case| case.arrived_at),
        resolve: minutes(|case| case.resolved_at),
        deadlines_kept: deadlines_kept(cases, span),
        reopened: (!resolved.is_empty()).then(|| came_back as f64 / resolved.len() as f64),
        reports,
        reports_per_1000: (fleet.inhabitants > 0)
            .then(|| reports as f64 * 1_000.0 / fleet.inhabitants as f64),
        wasted: wasted(emptied, span),
    }
}

fn wasted(emptied: &[Emptied], span: Span) -> Option<f64> {
    let own: Vec<&Emptied> = emptied.iter().filter(|emptied| span.holds(emptied.at)).collect();
    let early = own.iter().filter(|emptied| emptied.fill_pct < WASTED_BELOW_PCT).count();
    (!own.is_empty()).then(|| early as f64 / own.len() as f64)
}

const H2S_PPM: MetricNo = MetricNo(12);
const FLOODED: MetricNo = MetricNo(16);
const NH3_PPM: MetricNo = MetricNo(20);

impl Span {
    pub fn holds(self, at: TimestampMs) -> bool {
        self.from <= at && at < self.to
    }

    /// The span of the same length before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self { from: self.from.minus_ms(self.to.since_ms(self.from)), to: self.from }
    }
}

impl Case {
    /// How long of the span its condition held, at this severity or at any.
    pub fn ms_within(&self, span: Span, severity: Option<Severity>) -> i64 {
        let end = self.cleared_at.unwrap_or(span.to).min(span.to);
        let ends = self.severities.iter().skip(1).map(|(at, _)| *at).chain([end]);
        self.severities
            .iter()
            .zip(ends)
            .filter(|((_, own), _)| severity.is_none_or(|wanted| *own >= wanted))
            .map(|((from, _), to)| to.min(end).since_ms((*from).max(span.from)).max(0))
            .sum()
    }
}

fn deadlines_kept(cases: &[&Case], span: Span) -> Option<f64> {
    let (mut due, mut kept) = (0_usize, 0_usize);
    for case in cases {
        let Deadlines { acknowledge_by, arrive_by, resolve_by } = case.deadlines;
        let promises = [
            (acknowledge_by, case.acknowledged_at),
            (arrive_by, case.arrived_at.or(case.resolved_at)),
            (resolve_by, case.resolved_at),
        ];
        for (by, done) in promises {
            let Some(by) = by.filter(|by| span.holds(*by)) else { continue };
            // What cleared by itself before its deadline needed nobody.
            let is_moot = done.is_none() && case.cleared_at.is_some_and(|cleared| cleared <= by);
            if !is_moot {
                due += 1;
                kept += usize::from(done.is_some_and(|done| done <= by));
            }
        }
    }
    (due > 0).then(|| kept as f64 / due as f64)
}

fn quantiles(mut ms: Vec<i64>) -> Option<Quantiles> {
    if ms.is_empty() {
        return None;
    }
    ms.sort_unstable();
    let at = |share: f64| ms[((ms.len() - 1) as f64 * share).round() as usize] as f64 / MINUTE_MS as f64;
    Some(Quantiles { median_min: at(0.5), p90_min: at(0.9) })
}

/// The parts of a group's score; those of which there is nothing to measure are left out.
pub fn parts(measures: &Measures, fleet: Fleet, span: Span) -> Vec<Part> {
    let span_h = span.to.since_ms(span.from).max(1) as f64 / HOUR_MS as f64;
    let against = |hours: f64, devices: usize, worst: f64| {
        100.0 * (1.0 - (hours / (span_h * devices.max(1) as f64) / worst).min(1.0))
    };
    let part = |name, points: Option<f64>, weight| points.map(|points| Part { name, points, weight });
    let overflow = measures.overflow_h.map(|hours| against(hours, fleet.bins, OVERFLOW_SHARE_WORST));
    let flood = measures.flood_min.map(|min| against(min / 60.0, fleet.drains, FLOOD_SHARE_WORST));
    [
        part("overflow", overflow, 30.0),
        part("deadlines", measures.deadlines_kept.map(|share| share * 100.0), 25.0),
        part("odour", measures.odour_kept.map(|share| share * 100.0), 20.0),
        part("flood", flood, 15.0),
        part("available", measures.available.map(|share| share * 100.0), 10.0),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// 0 to 100: the parts by their weights. `None`: there was nothing to measure.
pub fn score(parts: &[Part]) -> Option<f64> {
    let weight: f64 = parts.iter().map(|part| part.weight).sum();
    (weight > 0.0).then(|| parts.iter().map(|part| part.points * part.weight).sum::<f64>() / weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = HOUR_MS;
    const DAY: Span = Span { from: TimestampMs(0), to: TimestampMs(24 * HOUR) };

    fn case(raised_h: i64, cleared_h: Option<i64>) -> Case {
        Case {
            kind: Some(DeviceKind::Bin),
            metric: metric::FILL_PCT,
            is_report: false,
            raised_at: TimestampMs(raised_h * HOUR),
            cleared_at: cleared_h.map(|hour| TimestampMs(hour * HOUR)),
            acknowledged_at: None,
            arrived_at: None,
            resolved_at: None,
            deadlines: Deadlines::default(),
            severities: vec![(TimestampMs(raised_h * HOUR), Severity::Critical)],
            steps: Vec::new(),
        }
    }

    fn measured(cases: &[Case]) -> Measures {
        measure(&cases.iter().collect::<Vec<_>>(), &[], Fleet { bins: 2, ..Fleet::default() }, DAY)
    }

    #[test]
    fn overflow_counts_the_hours_within_the_span_at_the_critical_level() {
        let mut grew = case(2, Some(6));
        grew.severities =
            vec![(TimestampMs(2 * HOUR), Severity::Minor), (TimestampMs(5 * HOUR), Severity::Critical)];
        let measures = measured(&[case(-5, Some(3)), grew, case(20, None)]);
        assert_eq!(measures.overflow_h, Some(3.0 + 1.0 + 4.0));
        assert_eq!(measures.alerts, 2, "the first was raised before");
        assert_eq!(measures.flood_min, None, "there is no drain");
    }

    #[test]
    fn emptying_a_bin_that_is_hardly_full_is_a_wasted_trip_and_reports_count_by_the_thousand() {
        let at = |hour: i64, fill_pct: f64| Emptied { at: TimestampMs(hour * HOUR), fill_pct };
        let emptied = [at(-1, 10.0), at(1, 39.0), at(2, 40.0), at(3, 95.0), at(23, 20.0)];
        let fleet = Fleet { bins: 1, inhabitants: 2_000, ..Fleet::default() };
        let report = Case { is_report: true, ..case(1, None) };
        let measures = measure(&[&report], &emptied, fleet, DAY);
        assert_eq!((measures.wasted, measures.reports_per_1000), (Some(0.5), Some(0.5)));
        assert_eq!(measured(&[]).wasted, None, "nothing was emptied");
    }

    #[test]
    fn a_deadline_is_kept_missed_or_moot() {
        let with = |by_h: i64, done_h: Option<i64>, cleared_h: Option<i64>| Case {
            deadlines: Deadlines { acknowledge_by: Some(TimestampMs(by_h * HOUR)), ..Deadlines::default() },
            acknowledged_at: done_h.map(|hour| TimestampMs(hour * HOUR)),
            ..case(1, cleared_h)
        };
        let kept = measured(&[
            with(3, Some(2), None),
            with(3, Some(4), None),
            with(3, None, Some(2)),
            with(30, None, None),
        ]);
        assert_eq!(kept.deadlines_kept, Some(0.5));
    }

    #[test]
    fn a_score_shows_its_parts_and_leaves_out_what_cannot_be_measured() {
        let clean = measured(&[]);
        let fleet = Fleet { bins: 2, ..Fleet::default() };
        let names: Vec<&str> = parts(&clean, fleet, DAY).iter().map(|part| part.name).collect();
        assert_eq!(names, ["overflow", "available"]);
        assert_eq!(score(&parts(&clean, fleet, DAY)), Some(100.0));
        // A bin that overflows all day: half of the bins' time, far over the worst.
        let dirty = measured(&[case(0, None)]);
        assert_eq!(score(&parts(&dirty, fleet, DAY)), Some(25.0));
        assert_eq!(score(&[]), None);
    }

    #[test]
    fn times_are_told_as_a_median_and_a_ninth_tenth() {
        let answered = |minutes: i64| Case {
            acknowledged_at: Some(TimestampMs(HOUR + minutes * MINUTE_MS)),
            ..case(1, None)
        };
        let cases: Vec<Case> = (1..=10).map(answered).collect();
        let acknowledge = measured(&cases).acknowledge.expect("measured");
        assert_eq!((acknowledge.median_min, acknowledge.p90_min), (6.0, 9.0));
    }
}
