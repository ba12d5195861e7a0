//! Whose an alert is, by when they must have done what, and who hears of it when they have not.
//!
//! The defaults are those of the domain page: critical 5 min to be acknowledged, 30 min to be on site, 4 h to be fixed; major
//! 15 min, 2 h, 24 h; minor 1 h, 8 h, 48 h; warnings have no clock. Those of critical alerts run day and night, all
//! others in working hours.

use sanimon_domain::time::{HOUR_MS, MINUTE_MS};
use sanimon_domain::{
    Condition, Days, DeviceKind, Handling, Hours, Severity, SiteCalendar, Span, TimestampMs, ZoneClass,
    ZoneId,
};

use crate::collection::{Collection, Vehicle};
use crate::measures::Goal;
use crate::rule::Title;

/// Who does the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub id: String,
    pub name: Title,
    /// Accounts or plain names.
    pub members: Vec<String>,
    /// Without shifts all members are always on duty.
    pub shifts: Vec<Shift>,
}

/// Who of a team is there when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    pub hours: Hours,
    pub members: Vec<String>,
}

/// Which team looks after what. Empty lists are for everything; the most particular entry counts, the later of equals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responsibility {
    pub kinds: Vec<DeviceKind>,
    pub zones: Vec<ZoneId>,
    pub zone_classes: Vec<ZoneClass>,
    pub team: String,
}

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

/// Who is responsible for what at this site.
#[derive(Debug, Clone, PartialEq)]
pub struct Duties {
    pub teams: Vec<Team>,
    pub responsibilities: Vec<Responsibility>,
    pub limits: Vec<TimeLimit>,
    pub working_hours: Hours,
    /// Who hears of a missed deadline: the first of the first one, the second of the next, the last of all others.
    pub escalation: Vec<String>,
    /// What collects the bins' contents.
    pub vehicles: Vec<Vehicle>,
    pub collection: Collection,
    /// What the site wants to reach.
    pub goals: Vec<Goal>,
    pub calendar: SiteCalendar,
}

/// What decides whose an alert is and how urgent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// `None`: a group of several kinds.
    pub kind: Option<DeviceKind>,
    pub zone: Option<&'a ZoneId>,
    pub zone_class: Option<ZoneClass>,
    /// The team that the registry names for the device.
    pub team: Option<&'a str>,
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
pub enum Promise {
    Acknowledge,
    Arrive,
    Resolve,
}

impl Promise {
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

/// The team that everything belongs to when nobody else is named: nothing is ever without an owner.
pub const DEFAULT_TEAM: &str = "dispatch";

impl Duties {
    /// A site that has named nobody: one team, the domain's time limits.
    pub fn standard(calendar: SiteCalendar) -> Self {
        let limit = |severity, minutes: [i64; 3], around_the_clock| TimeLimit {
            severity,
            zone_classes: Vec::new(),
            acknowledge_ms: Some(minutes[0] * MINUTE_MS),
            arrive_ms: Some(minutes[1] * MINUTE_MS),
            resolve_ms: Some(minutes[2] * MINUTE_MS),
            around_the_clock,
        };
        let hour = HOUR_MS / MINUTE_MS;
        let name = Title { en: "Dispatch".to_owned(), zh: "调度中心".to_owned() };
        let workday = Span { days: Days::EVERY, from_min: 7 * 60, to_min: 19 * 60 };
        Self {
            teams: vec![Team { id: DEFAULT_TEAM.to_owned(), name, members: Vec::new(), shifts: Vec::new() }],
            responsibilities: Vec::new(),
            limits: vec![
                limit(Severity::Critical, [5, 30, 4 * hour], true),
                limit(Severity::Major, [15, 2 * hour, 24 * hour], false),
                limit(Severity::Minor, [60, 8 * hour, 48 * hour], false),
            ],
            working_hours: Hours { spans: vec![workday], except: Days::default() },
            escalation: vec![DEFAULT_TEAM.to_owned()],
            vehicles: Vec::new(),
            collection: Collection::default(),
            goals: Vec::new(),
            calendar,
        }
    }

    /// The team that looks after it: the registry's word, then the most particular responsibility, then the first team.
    pub fn team_for<'a>(&'a self, facts: Facts<'a>) -> &'a str {
        let fits = |found: &&Responsibility| {
            let has_kind =
                found.kinds.is_empty() || facts.kind.is_some_and(|kind| found.kinds.contains(&kind));
            let has_zone =
                found.zones.is_empty() || facts.zone.is_some_and(|zone| found.zones.contains(zone));
            let has_class = found.zone_classes.is_empty()
                || facts.zone_class.is_some_and(|class| found.zone_classes.contains(&class));
            has_kind && has_zone && has_class
        };
        let rank = |found: &Responsibility| {
            u8::from(!found.zones.is_empty()) * 4
                + u8::from(!found.kinds.is_empty()) * 2
                + u8::from(!found.zone_classes.is_empty())
        };
        let named = facts.team.filter(|team| !team.is_empty());
        named
            .or_else(|| {
                let all = self.responsibilities.iter().enumerate().filter(|(_, found)| fits(found));
                let best = all.max_by_key(|(index, found)| (rank(found), *index));
                best.map(|(_, found)| found.team.as_str())
            })
            .or_else(|| self.teams.first().map(|team| team.id.as_str()))
            .unwrap_or(DEFAULT_TEAM)
    }

    fn limit(&self, severity: Severity, class: Option<ZoneClass>) -> Option<&TimeLimit> {
        let fits = |limit: &&TimeLimit| {
            limit.severity == severity
                && (limit.zone_classes.is_empty()
                    || class.is_some_and(|class| limit.zone_classes.contains(&class)))
        };
        let all = self.limits.iter().enumerate().filter(|(_, limit)| fits(limit));
        all.max_by_key(|(index, limit)| (!limit.zone_classes.is_empty(), *index)).map(|(_, limit)| limit)
    }

    /// By when an alert of this severity, raised or come back at this time, must be where.
    pub fn deadlines(&self, severity: Severity, class: Option<ZoneClass>, at: TimestampMs) -> Deadlines {
        let Some(limit) = self.limit(severity, class) else { return Deadlines::default() };
        let by = |ms: Option<i64>| {
            ms.map(|ms| {
                if limit.around_the_clock {
                    at.plus_ms(ms)
                } else {
                    self.working_hours.after(self.calendar, at, ms)
                }
            })
        };
        Deadlines {
            acknowledge_by: by(limit.acknowledge_ms),
            arrive_by: by(limit.arrive_ms),
            resolve_by: by(limit.resolve_ms),
        }
    }

    /// Who of a team is on duty; without shifts, or when nobody is, all of them.
    pub fn on_duty(&self, team: &str, at: TimestampMs) -> Vec<&str> {
        let Some(team) = self.teams.iter().find(|found| found.id == team) else { return Vec::new() };
        let there = team.shifts.iter().filter(|shift| shift.hours.contains(self.calendar, at));
        let there: Vec<&str> = there.flat_map(|shift| &shift.members).map(String::as_str).collect();
        if there.is_empty() { team.members.iter().map(String::as_str).collect() } else { there }
    }

    pub fn team(&self, id: &str) -> Option<&Team> {
        self.teams.iter().find(|team| team.id == id)
    }

    /// When somebody must be told that a promise was not kept, and which; `None` when no clock runs. A promise that stays
    /// broken goes on to the next in the chain after half an hour, until the chain ends.
    pub fn next_escalation(&self, progress: &Progress) -> Option<(TimestampMs, Promise)> {
        let open = progress.deadlines.open(progress);
        let first = open.into_iter().flatten().min_by_key(|(at, _)| *at)?;
        let Some(told_at) = progress.escalated_at else { return Some(first) };
        // What was missed since the last word is told at once; what had been told already goes on, later.
        let fresh = open.into_iter().flatten().filter(|(at, _)| *at > told_at).min_by_key(|(at, _)| *at);
        let goes_on = (first.0 <= told_at && (progress.escalations as usize) < self.escalation.len())
            .then(|| (told_at.plus_ms(ESCALATE_AGAIN_MS), first.1));
        fresh.into_iter().chain(goes_on).min_by_key(|(at, _)| *at)
    }

    /// Who hears of it, the `n`th time.
    pub fn escalation_target(&self, n: u32) -> &str {
        let index = (n as usize).min(self.escalation.len().saturating_sub(1));
        self.escalation.get(index).map_or(DEFAULT_TEAM, String::as_str)
    }
}

/// A broken promise goes on to the next in the chain after this long.
const ESCALATE_AGAIN_MS: i64 = 30 * MINUTE_MS;

impl Deadlines {
    /// Those that still wait for somebody.
    fn open(self, progress: &Progress) -> [Option<(TimestampMs, Promise)>; 3] {
        if progress.condition == Condition::Cleared {
            return [None; 3];
        }
        let is_untouched = matches!(progress.handling, Handling::New | Handling::Reopened);
        let is_underway = matches!(progress.handling, Handling::Acknowledged | Handling::Dispatched);
        let acknowledge = self.acknowledge_by.filter(|_| is_untouched);
        let arrive = self.arrive_by.filter(|_| (is_untouched || is_underway) && !progress.arrived);
        let resolve = self.resolve_by.filter(|_| is_untouched || is_underway);
        [
            acknowledge.map(|at| (at, Promise::Acknowledge)),
            arrive.map(|at| (at, Promise::Arrive)),
            resolve.map(|at| (at, Promise::Resolve)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> TimestampMs {
        TimestampMs::parse_rfc3339(text).expect("a time")
    }

    fn duties() -> Duties {
        let mut duties = Duties::standard(SiteCalendar::named("Asia/Shanghai").expect("a zone"));
        let team = |id: &str| Team {
            id: id.to_owned(),
            name: Title { en: id.to_owned(), zh: id.to_owned() },
            members: vec!["wang".to_owned(), "li".to_owned()],
            shifts: Vec::new(),
        };
        duties.teams.extend([team("east"), team("drains")]);
        let market = ZoneId::new("market").expect("an id");
        let entry = |kinds: Vec<DeviceKind>, zones: Vec<ZoneId>, team: &str| Responsibility {
            kinds,
            zones,
            zone_classes: Vec::new(),
            team: team.to_owned(),
        };
        duties.responsibilities =
            vec![entry(vec![], vec![market], "east"), entry(vec![DeviceKind::Drain], vec![], "drains")];
        duties.escalation = vec!["chief".to_owned(), "mayor".to_owned()];
        duties
    }

    #[test]
    fn every_alert_has_a_team_and_the_most_particular_word_counts() {
        let (duties, market) = (duties(), ZoneId::new("market").expect("an id"));
        let facts = |kind, zone| Facts { kind: Some(kind), zone, ..Facts::default() };
        assert_eq!(duties.team_for(facts(DeviceKind::Drain, Some(&market))), "east");
        assert_eq!(duties.team_for(facts(DeviceKind::Drain, None)), "drains");
        assert_eq!(duties.team_for(facts(DeviceKind::Bin, None)), DEFAULT_TEAM);
        let named = Facts { team: Some("lorry 3"), ..facts(DeviceKind::Drain, Some(&market)) };
        assert_eq!(duties.team_for(named), "lorry 3");
    }

    #[test]
    fn critical_clocks_run_at_night_and_the_others_wait_for_the_morning() {
        let night = at("2026-03-05T23:00:00+08:00");
        let critical = duties().deadlines(Severity::Critical, None, night);
        assert_eq!(critical.acknowledge_by, Some(at("2026-03-05T23:05:00+08:00")));
        let major = duties().deadlines(Severity::Major, None, night);
        assert_eq!(major.acknowledge_by, Some(at("2026-03-06T07:15:00+08:00")));
        assert_eq!(duties().deadlines(Severity::Warning, None, night), Deadlines::default());
    }

    #[test]
    fn markets_may_be_given_less_time() {
        let mut duties = duties();
        duties.limits.push(TimeLimit {
            severity: Severity::Critical,
            zone_classes: vec![ZoneClass::Market],
            acknowledge_ms: Some(MINUTE_MS),
            arrive_ms: None,
            resolve_ms: None,
            around_the_clock: true,
        });
        let noon = at("2026-03-05T12:00:00+08:00");
        let market = duties.deadlines(Severity::Critical, Some(ZoneClass::Market), noon);
        assert_eq!(market.acknowledge_by, Some(noon.plus_ms(MINUTE_MS)));
        let street = duties.deadlines(Severity::Critical, Some(ZoneClass::Street), noon);
        assert_eq!(street.acknowledge_by, Some(noon.plus_ms(5 * MINUTE_MS)));
    }

    #[test]
    fn a_broken_promise_climbs_the_chain_and_ends_with_it() {
        let duties = duties();
        let start = at("2026-03-05T12:00:00+08:00");
        let mut progress = Progress {
            condition: Condition::Active,
            handling: Handling::New,
            deadlines: duties.deadlines(Severity::Critical, None, start),
            arrived: false,
            escalations: 0,
            escalated_at: None,
        };
        let mut told = Vec::new();
        while let Some((at, promise)) = duties.next_escalation(&progress) {
            told.push((
                at.since_ms(start) / MINUTE_MS,
                promise.as_str(),
                duties.escalation_target(progress.escalations),
            ));
            progress = Progress { escalations: progress.escalations + 1, escalated_at: Some(at), ..progress };
        }
        assert_eq!(told, [(5, "acknowledge", "chief"), (30, "arrive", "mayor"), (240, "resolve", "mayor")]);
    }

    #[test]
    fn who_acted_in_time_is_not_told_and_a_cleared_condition_stops_the_clocks() {
        let duties = duties();
        let start = at("2026-03-05T12:00:00+08:00");
        let progress = Progress {
            condition: Condition::Active,
            handling: Handling::Acknowledged,
            deadlines: duties.deadlines(Severity::Critical, None, start),
            arrived: true,
            escalations: 0,
            escalated_at: None,
        };
        let next =
            duties.next_escalation(&progress).map(|(at, promise)| (at.since_ms(start) / HOUR_MS, promise));
        assert_eq!(next, Some((4, Promise::Resolve)));
        let handled = Progress { handling: Handling::Handled, ..progress };
        assert_eq!(duties.next_escalation(&handled), None);
        assert_eq!(duties.next_escalation(&Progress { condition: Condition::Cleared, ..progress }), None);
    }

    #[test]
    fn who_is_on_shift_is_called_first() {
        let mut duties = duties();
        let night = Hours {
            spans: vec![Span { days: Days::EVERY, from_min: 22 * 60, to_min: 6 * 60 }],
            except: Days::default(),
        };
        duties.teams[1].shifts = vec![Shift { hours: night, members: vec!["li".to_owned()] }];
        assert_eq!(duties.on_duty("east", at("2026-03-05T23:30:00+08:00")), ["li"]);
        assert_eq!(duties.on_duty("east", at("2026-03-05T12:00:00+08:00")), ["wang", "li"]);
    }
}
