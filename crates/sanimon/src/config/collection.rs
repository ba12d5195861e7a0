//! The parts of `teams.toml` about vehicles, rounds and goals.

use sanimon_domain::Title;
use sanimon_domain::collection::Pace;
use sanimon_domain::collection::{Collection, Vehicle};
use sanimon_operations::measures::{GOALS, Goal};

use super::hours::Calendars;
use super::reader::{Section, duration_ms};
use super::rules::both_languages;

const POSITIVE: &str = "a number above 0 in quotes, such as \"240\"";

fn positive(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0)
}

pub(super) fn vehicle(section: &mut Section<'_>, teams: &[String]) -> Option<Vehicle> {
    let id = section.text_required("id").map(|(id, _)| id);
    let name = both_languages(section, "name").map(|[en, zh]| Title { en, zh });
    let team = section.text_required("team");
    if let Some((team, line)) = &team
        && !teams.contains(team)
    {
        let message = format!("`{team}` is no [[team]] of this file; there are {}", teams.join(", "));
        section.fault(*line, message);
    }
    section.text_required("capacity_l");
    let capacity_l = section.parsed("capacity_l", POSITIVE, positive);
    let depot = section.pairs("depot").first().copied();
    if depot.is_none_or(|[lon, lat]| lon.abs() > 180.0 || lat.abs() > 90.0) {
        section
            .fault(section.line, "a vehicle has a depot: write depot = [[119.65, 30.23]], longitude first");
    }
    Some(Vehicle { id: id?, name: name?, team: team?.0, capacity_l: capacity_l?, depot: depot? })
}

pub(super) fn collection(section: &mut Section<'_>, calendars: &Calendars) -> Collection {
    let (standard, pace) = (Collection::default(), Pace::default());
    let duration = "a duration such as 2m";
    let market_closed = section.table("market_closed", |closed| calendars.hours(closed)).flatten();
    Collection {
        bin_l: section.parsed("bin_l", POSITIVE, positive).unwrap_or(standard.bin_l),
        pace: Pace {
            speed_kmh: section.parsed("speed_kmh", POSITIVE, positive).unwrap_or(pace.speed_kmh),
            detour: section
                .parsed("detour", "a number from \"1\" on", |text| {
                    positive(text).filter(|detour| *detour >= 1.0)
                })
                .unwrap_or(pace.detour),
            stop_ms: section.parsed("stop", duration, duration_ms).unwrap_or(pace.stop_ms),
            unload_ms: section.parsed("unload", duration, duration_ms).unwrap_or(pace.unload_ms),
        },
        market_closed,
    }
}

/// `[goals]`: a measure and its number.
pub(super) fn goals(section: &mut Section<'_>) -> Vec<Goal> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let goal = |(measure, _): (&'static str, bool)| {
        let value = section.parsed(measure, "a number in quotes, such as \"95\"", number)?;
        Some(Goal { measure, value })
    };
    GOALS.into_iter().filter_map(goal).collect()
}
