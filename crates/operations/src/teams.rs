//! Whose a case is: teams, their shifts, and which team looks after what.

use sanimon_domain::collection::{Collection, Vehicle};
use sanimon_domain::time::{HOUR_MS, MINUTE_MS};
use sanimon_domain::{
    Days, DeviceKind, Hours, Severity, SiteCalendar, Span, TimestampMs, Title, ZoneClass, ZoneId,
};

use crate::deadlines::{Deadlines, TimeLimit};
use crate::measures::Goal;

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
pub struct AssignmentRule {
    pub kinds: Vec<DeviceKind>,
    pub zones: Vec<ZoneId>,
    pub zone_classes: Vec<ZoneClass>,
    pub team: String,
}

/// Who is responsible for what at this site.
#[derive(Debug, Clone, PartialEq)]
pub struct Teams {
    pub teams: Vec<Team>,
    pub assignment_rules: Vec<AssignmentRule>,
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

/// The team that everything belongs to when nobody else is named: nothing is ever without an owner.
pub const DEFAULT_TEAM: &str = "dispatch";

impl Teams {
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
            assignment_rules: Vec::new(),
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

    /// The team that looks after it: the registry's word, then the most particular rule, then the first team.
    pub fn team_for<'a>(&'a self, facts: Facts<'a>) -> &'a str {
        let fits = |found: &&AssignmentRule| {
            let has_kind =
                found.kinds.is_empty() || facts.kind.is_some_and(|kind| found.kinds.contains(&kind));
            let has_zone =
                found.zones.is_empty() || facts.zone.is_some_and(|zone| found.zones.contains(zone));
            let has_class = found.zone_classes.is_empty()
                || facts.zone_class.is_some_and(|class| found.zone_classes.contains(&class));
            has_kind && has_zone && has_class
        };
        let rank = |found: &AssignmentRule| {
            u8::from(!found.zones.is_empty()) * 4
                + u8::from(!found.kinds.is_empty()) * 2
                + u8::from(!found.zone_classes.is_empty())
        };
        let named = facts.team.filter(|team| !team.is_empty());
        named
            .or_else(|| {
                let all = self.assignment_rules.iter().enumerate().filter(|(_, found)| fits(found));
                let best = all.max_by_key(|(index, found)| (rank(found), *index));
                best.map(|(_, found)| found.team.as_str())
            })
            .or_else(|| self.teams.first().map(|team| team.id.as_str()))
            .unwrap_or(DEFAULT_TEAM)
    }

    /// Who of a team is on duty; without shifts, or when nobody is, all of them.
    pub fn on_duty(&self, team: &str, at: TimestampMs) -> Vec<&str> {
        let Some(team) = self.teams.iter().find(|found| found.id == team) else { return Vec::new() };
        let there = team.shifts.iter().filter(|shift| shift.hours.contains(self.calendar, at));
        let there: Vec<&str> = there.flat_map(|shift| &shift.members).map(String::as_str).collect();
        if there.is_empty() { team.members.iter().map(String::as_str).collect() } else { there }
    }

    /// By when an alert of this severity, raised or come back at this time, must be where. Limits for some classes of zones
    /// count before those for all, and the later of equals.
    pub fn deadlines(&self, severity: Severity, class: Option<ZoneClass>, at: TimestampMs) -> Deadlines {
        let fitting = self.limits.iter().enumerate().filter(|(_, limit)| limit.fits(severity, class));
        let best = fitting.max_by_key(|(index, limit)| (!limit.zone_classes.is_empty(), *index));
        let until = |ms| self.working_hours.after(self.calendar, at, ms);
        best.map(|(_, limit)| limit.deadlines(at, until)).unwrap_or_default()
    }

    pub fn team(&self, id: &str) -> Option<&Team> {
        self.teams.iter().find(|team| team.id == id)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn at(text: &str) -> TimestampMs {
        TimestampMs::parse_rfc3339(text).expect("a time")
    }

    pub(crate) fn teams() -> Teams {
        let mut teams = Teams::standard(SiteCalendar::named("Asia/Shanghai").expect("a zone"));
        let team = |id: &str| Team {
            id: id.to_owned(),
            name: Title { en: id.to_owned(), zh: id.to_owned() },
            members: vec!["wang".to_owned(), "li".to_owned()],
            shifts: Vec::new(),
        };
        teams.teams.extend([team("east"), team("drains")]);
        let market = ZoneId::new("market").expect("an id");
        let entry = |kinds: Vec<DeviceKind>, zones: Vec<ZoneId>, team: &str| AssignmentRule {
            kinds,
            zones,
            zone_classes: Vec::new(),
            team: team.to_owned(),
        };
        teams.assignment_rules =
            vec![entry(vec![], vec![market], "east"), entry(vec![DeviceKind::Drain], vec![], "drains")];
        teams.escalation = vec!["chief".to_owned(), "mayor".to_owned()];
        teams
    }

    #[test]
    fn every_alert_has_a_team_and_the_most_particular_word_counts() {
        let (teams, market) = (teams(), ZoneId::new("market").expect("an id"));
        let facts = |kind, zone| Facts { kind: Some(kind), zone, ..Facts::default() };
        assert_eq!(teams.team_for(facts(DeviceKind::Drain, Some(&market))), "east");
        assert_eq!(teams.team_for(facts(DeviceKind::Drain, None)), "drains");
        assert_eq!(teams.team_for(facts(DeviceKind::Bin, None)), DEFAULT_TEAM);
        let named = Facts { team: Some("lorry 3"), ..facts(DeviceKind::Drain, Some(&market)) };
        assert_eq!(teams.team_for(named), "lorry 3");
    }

    #[test]
    fn who_is_on_shift_is_called_first() {
        let mut teams = teams();
        let night = Hours {
            spans: vec![Span { days: Days::EVERY, from_min: 22 * 60, to_min: 6 * 60 }],
            except: Days::default(),
        };
        teams.teams[1].shifts = vec![Shift { hours: night, members: vec!["li".to_owned()] }];
        assert_eq!(teams.on_duty("east", at("2026-03-05T23:30:00+08:00")), ["li"]);
        assert_eq!(teams.on_duty("east", at("2026-03-05T12:00:00+08:00")), ["wang", "li"]);
    }
}
