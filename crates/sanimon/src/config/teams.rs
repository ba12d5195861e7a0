//! `teams.toml`: who is responsible for what, by when, and who hears of it when they are not.

use chrono_tz::Tz;
use sanimon_domain::{DeviceKind, Severity, SiteCalendar};
use sanimon_operations::teams::{AssignmentRule, Shift, Team};
use sanimon_operations::{Teams, TimeLimit};

use super::collection;
use super::hours::Calendars;
use super::reader::{ConfigFault, Document, Section, duration_ms};
use super::rules::{both_languages, is_yes, zone_classes, zones};
use sanimon_domain::Title;

/// Without a word in the file: one team that everything belongs to, and the domain's time limits.
fn standard(time_zone: Tz) -> Teams {
    Teams::standard(SiteCalendar::new(time_zone))
}

/// The example's: those of a demo.
pub(crate) const EXAMPLE: &str = include_str!("../../../../config/teams.toml");

pub(crate) fn read(mut document: Document, time_zone: Tz) -> Result<Teams, Vec<ConfigFault>> {
    let duties = document.parse(|root| duties(root, time_zone));
    match duties {
        Some(duties) if document.faults.is_empty() => Ok(duties),
        _ => Err(document.faults),
    }
}

fn duties(root: &mut Section<'_>, time_zone: Tz) -> Teams {
    let mut duties = standard(time_zone);
    let calendars = Calendars::read(root);
    if let Some(hours) = root.table("working_hours", |section| calendars.hours(section)).flatten() {
        duties.working_hours = hours;
    }
    let teams: Vec<Option<Team>> = root.tables("team", |section| team(section, &calendars));
    let teams: Vec<Team> = teams.into_iter().flatten().collect();
    if !teams.is_empty() {
        duties.teams = teams;
        duties.escalation = vec![duties.teams[0].id.clone()];
    }
    let known: Vec<String> = duties.teams.iter().map(|team| team.id.clone()).collect();
    duties.assignment_rules =
        root.tables("responsible", |section| responsibility(section, &known)).into_iter().flatten().collect();
    let limits: Vec<Option<TimeLimit>> = root.tables("deadline", time_limit);
    // Those of the file count before the domain's, for the later of equals counts.
    duties.limits.extend(limits.into_iter().flatten());
    let line = root.line;
    let chain: Vec<String> = root
        .table("escalation", |section| section.texts("chain"))
        .unwrap_or_default()
        .into_iter()
        .map(|(who, _)| who)
        .collect();
    if !chain.is_empty() {
        duties.escalation = chain;
    }
    duties.vehicles = root
        .tables("vehicle", |section| collection::vehicle(section, &known))
        .into_iter()
        .flatten()
        .collect();
    duties.collection =
        root.table("collection", |section| collection::collection(section, &calendars)).unwrap_or_default();
    duties.goals = root.table("goals", collection::goals).unwrap_or_default();
    for (index, team) in duties.teams.iter().enumerate() {
        if duties.teams[..index].iter().any(|earlier| earlier.id == team.id) {
            root.fault(line, format!("two teams have the id `{}`: give each its own", team.id));
        }
    }
    duties
}

fn team(section: &mut Section<'_>, calendars: &Calendars) -> Option<Team> {
    let id = section.text_required("id").map(|(id, _)| id);
    let name = both_languages(section, "name").map(|[en, zh]| Title { en, zh });
    let members: Vec<(String, usize)> = section.texts("members");
    let known: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
    let shifts = section.tables("shift", |section| {
        let hours = calendars.hours(section);
        if hours.is_none() {
            section.fault(section.line, "a shift has hours: write hours = [\"06:00-14:00\"]");
        }
        let there = section.texts("members");
        for (name, line) in there.iter().filter(|(name, _)| !known.contains(name)) {
            section.fault(*line, format!("`{name}` is no member of the team"));
        }
        Some(Shift { hours: hours?, members: there.into_iter().map(|(name, _)| name).collect() })
    });
    Some(Team { id: id?, name: name?, members: known, shifts: shifts.into_iter().flatten().collect() })
}

fn responsibility(section: &mut Section<'_>, teams: &[String]) -> Option<AssignmentRule> {
    let kinds = section.all_parsed("kinds", "bin, drain or toilet", DeviceKind::parse);
    let (zones, zone_classes) = (zones(section), zone_classes(section));
    let (team, line) = section.text_required("team")?;
    if !teams.contains(&team) {
        let message = format!("`{team}` is no [[team]] of this file; there are {}", teams.join(", "));
        section.fault(line, message);
    }
    Some(AssignmentRule { kinds, zones, zone_classes, team })
}

fn time_limit(section: &mut Section<'_>) -> Option<TimeLimit> {
    const DURATION: &str = "a duration such as 15m, 2h or 1d";
    section.text_required("severity");
    let severity = section.parsed("severity", "critical, major, minor or warning", Severity::parse);
    let zone_classes = zone_classes(section);
    let [acknowledge_ms, arrive_ms, resolve_ms] =
        ["acknowledge", "arrive", "resolve"].map(|key| section.parsed(key, DURATION, duration_ms));
    let around_the_clock = is_yes(section, "around_the_clock");
    Some(TimeLimit {
        severity: severity?,
        zone_classes,
        acknowledge_ms,
        arrive_ms,
        resolve_ms,
        around_the_clock,
    })
}

#[cfg(test)]
mod tests {
    use sanimon_domain::TimestampMs;
    use sanimon_operations::teams::Facts;

    use super::*;

    const ZONE: Tz = Tz::Asia__Shanghai;

    #[test]
    fn the_example_is_sound_and_says_who_is_responsible() {
        let duties = read(Document::of("teams.toml", EXAMPLE), ZONE).expect("sound teams");
        let drain = Facts { kind: Some(DeviceKind::Drain), ..Facts::default() };
        assert_eq!(duties.team_for(drain), "drains");
        assert!(duties.escalation.len() >= 2);
        let noon = TimestampMs::parse_rfc3339("2026-03-05T12:00:00+08:00").expect("a time");
        assert!(!duties.on_duty("drains", noon).is_empty());
    }

    #[test]
    fn faults_are_named_with_their_lines() {
        let text = "[[team]]\nid = \"a\"\nname = { en = \"A\", zh = \"甲\" }\nmembers = [\"li\"]\n\
                    [[team.shift]]\nmembers = [\"wang\"]\n[[responsible]]\nteam = \"b\"\n\
                    [[deadline]]\nseverity = \"bad\"\narrive = \"soon\"\n";
        let faults = read(Document::of("t.toml", text), ZONE).expect_err("faults");
        let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for expected in [
            "t.toml:5: a shift has hours",
            "t.toml:6: `wang` is no member",
            "t.toml:8: `b` is no [[team]]",
            "t.toml:10: ",
            "t.toml:11: ",
        ] {
            assert!(found.iter().any(|fault| fault.starts_with(expected)), "{expected} in {found:#?}");
        }
    }
}
