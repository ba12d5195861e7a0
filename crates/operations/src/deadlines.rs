//! By when people must have done what.
//!
//! The defaults are those of the domain page: critical 5 min to be acknowledged, 30 min to be on site, 4 h to be fixed; major
//! 15 min, 2 h, 24 h; minor 1 h, 8 h, 48 h; warnings have no deadline. Those of critical alerts run day and night, all
//! others in working hours. They start when sanimon knew of the condition, never at the time of an old sample.

use sanimon_domain::{Condition, Handling, Severity, TimestampMs, ZoneClass};

/// How long people have, for a severity and zones of some classes (empty: all). `None`: no clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeLimit {
    pub severity: Severity,
    pub zone_classes: Vec<ZoneClass>,
    pub acknowledge_ms: Option<i64>,
    pub arrive_ms: Option<i64>,
    pub resolve_ms: Option<i64>,
    /// Day and night; otherwise in working hours only.
    pub around_the_clock: bool,
}

/// By when an alert must be where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadlines {
    pub acknowledge_by: Option<TimestampMs>,
    pub arrive_by: Option<TimestampMs>,
    pub resolve_by: Option<TimestampMs>,
}

/// What people promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    Acknowledge,
    Arrive,
    Resolve,
}

impl Deadline {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Arrive => "arrive",
            Self::Resolve => "resolve",
        }
    }
}

/// How far an alert has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub condition: Condition,
    pub handling: Handling,
    pub deadlines: Deadlines,
    pub arrived: bool,
    /// How often it was escalated, and when last.
    pub escalations: u32,
    pub escalated_at: Option<TimestampMs>,
}

impl TimeLimit {
    /// Whether it is for such alerts.
    pub(crate) fn fits(&self, severity: Severity, class: Option<ZoneClass>) -> bool {
        self.severity == severity
            && (self.zone_classes.is_empty() || class.is_some_and(|class| self.zone_classes.contains(&class)))
    }

    /// By when what began at this time must be where; `until`: when so many milliseconds of working time are over.
    pub(crate) fn deadlines(&self, at: TimestampMs, until: impl Fn(i64) -> TimestampMs) -> Deadlines {
        let by =
            |ms: Option<i64>| ms.map(|ms| if self.around_the_clock { at.plus_ms(ms) } else { until(ms) });
        Deadlines {
            acknowledge_by: by(self.acknowledge_ms),
            arrive_by: by(self.arrive_ms),
            resolve_by: by(self.resolve_ms),
        }
    }
}

impl Deadlines {
    /// Those that still wait for somebody.
    pub(crate) fn open(self, progress: &Progress) -> [Option<(TimestampMs, Deadline)>; 3] {
        if progress.condition == Condition::Cleared {
            return [None; 3];
        }
        let is_untouched = matches!(progress.handling, Handling::New | Handling::Reopened);
        let is_underway = matches!(progress.handling, Handling::Acknowledged | Handling::Dispatched);
        let acknowledge = self.acknowledge_by.filter(|_| is_untouched);
        let arrive = self.arrive_by.filter(|_| (is_untouched || is_underway) && !progress.arrived);
        let resolve = self.resolve_by.filter(|_| is_untouched || is_underway);
        [
            acknowledge.map(|at| (at, Deadline::Acknowledge)),
            arrive.map(|at| (at, Deadline::Arrive)),
            resolve.map(|at| (at, Deadline::Resolve)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use sanimon_domain::time::MINUTE_MS;

    use super::*;
    use crate::teams::tests::{at, teams};

    #[test]
    fn critical_clocks_run_at_night_and_the_others_wait_for_the_morning() {
        let night = at("2026-03-05T23:00:00+08:00");
        let critical = teams().deadlines(Severity::Critical, None, night);
        assert_eq!(critical.acknowledge_by, Some(at("2026-03-05T23:05:00+08:00")));
        let major = teams().deadlines(Severity::Major, None, night);
        assert_eq!(major.acknowledge_by, Some(at("2026-03-06T07:15:00+08:00")));
        assert_eq!(teams().deadlines(Severity::Warning, None, night), Deadlines::default());
    }

    #[test]
    fn markets_may_be_given_less_time() {
        let mut teams = teams();
        teams.limits.push(TimeLimit {
            severity: Severity::Critical,
            zone_classes: vec![ZoneClass::Market],
            acknowledge_ms: Some(MINUTE_MS),
            arrive_ms: None,
            resolve_ms: None,
            around_the_clock: true,
        });
        let noon = at("2026-03-05T12:00:00+08:00");
        let market = teams.deadlines(Severity::Critical, Some(ZoneClass::Market), noon);
        assert_eq!(market.acknowledge_by, Some(noon.plus_ms(MINUTE_MS)));
        let street = teams.deadlines(Severity::Critical, Some(ZoneClass::Street), noon);
        assert_eq!(street.acknowledge_by, Some(noon.plus_ms(5 * MINUTE_MS)));
    }
}
