//! `sanimon rules explain`: which rules speak for a device, with which numbers, and why the others do not.

use clap::{Args, Subcommand};
use sanimon_alerting::{Explained, Level, RuleSet, Verdict, Watch};
use sanimon_domain::{DeviceId, Placement, metric};

use super::place::Place;
use crate::screen;

#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Says for each rule whether it speaks for a device, with which levels, and why.
    Explain(Explain),
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The device's id.
    device: String,
    #[command(flatten)]
    place: Place,
    /// Also lists the rules that are not for the device.
    #[arg(long)]
    all: bool,
}

impl Rules {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        screen::start_log("warn");
        match self {
            Self::Explain(explain) => explain.run(),
        }
    }
}

impl Explain {
    fn run(self) -> anyhow::Result<()> {
        let found = self.place.find()?;
        let (rules, shared) = (found.rules()?, found.snapshot()?);
        let directory = shared.directory.read();
        let id = DeviceId::new(&self.device)?;
        let device = directory.number(&id).and_then(|no| directory.device(no));
        let device = device.ok_or_else(|| anyhow::anyhow!("there is no device `{id}`"))?;
        screen::print(&text(&rules, &device.id, &directory.placement(device), self.all));
        Ok(())
    }
}

/// The explanation as people read it.
fn text(rules: &RuleSet, device: &DeviceId, placement: &Placement, all: bool) -> String {
    let class = placement.zone_class.map(|class| format!(" ({class})")).unwrap_or_default();
    let zone = placement.zone.as_ref().map_or("no zone".to_owned(), |zone| format!("zone {zone}{class}"));
    let gateway =
        placement.gateway.as_ref().map(|gateway| format!(", gateway {gateway}")).unwrap_or_default();
    let tags = if placement.tags.is_empty() {
        String::new()
    } else {
        format!(", tags {}", placement.tags.join(" "))
    };
    let minutes = placement.interval_ms / 60_000;
    let mut text =
        format!("{device}: {}, {zone}{gateway}{tags}, expected every {minutes} min\n", placement.kind);
    for explained in rules.explain(device, placement).filter(|found| all || found.verdict != Verdict::NotFor)
    {
        text.push_str(&rule_text(&explained));
    }
    text
}

fn rule_text(explained: &Explained<'_>) -> String {
    let Explained { rule, verdict, why } = explained;
    let levels = match verdict {
        Verdict::Speaks(variant) => rule.levels_of(*variant),
        Verdict::Off => return format!("\n{}: off, by {why}\n", rule.id),
        Verdict::NotFor => return format!("\n{}: not for it: {why}\n", rule.id),
    };
    let info = metric::info(rule.metric);
    let (name, unit) = info.map_or(("", ""), |info| (info.name, info.unit));
    let group = rule.group.map(|group| format!(" of its {group}")).unwrap_or_default();
    let mut text = format!("\n{}: {}{group}, {name}; {why}\n", rule.id, rule.watch.as_str());
    let unit = counted_in(rule.watch, unit);
    levels.iter().for_each(|level| text.push_str(&level_text(level, &unit)));
    text
}

/// What the numbers of a rule's levels count, with the space before it.
fn counted_in(watch: Watch, unit: &str) -> String {
    let own = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    match watch {
        Watch::Value => own,
        Watch::Rate { within_ms } => format!("{own} within {} min", within_ms / 60_000),
        Watch::Silence => " expected reports".to_owned(),
        Watch::Stuck | Watch::Forecast { .. } => " h".to_owned(),
        Watch::Count { share: true, .. } => " % of its devices".to_owned(),
        Watch::Count { share: false, .. } => " of its devices".to_owned(),
    }
}

fn level_text(level: &Level, unit: &str) -> String {
    let [raises, clears] = level.signs();
    let Level { severity, raise, clear, for_ms, .. } = level;
    let held = if *for_ms > 0 { format!(" for {} min", for_ms / 60_000) } else { String::new() };
    let severity = severity.to_string();
    format!("  {severity:<9}{raises} {raise}{unit}{held}, clears {clears} {clear}\n")
}

#[cfg(test)]
mod tests {
    use sanimon_domain::{DeviceKind, ZoneClass, ZoneId};

    use super::*;
    use crate::config::default_rules;

    #[test]
    fn a_device_is_told_what_speaks_for_it_and_why() {
        let placement = Placement {
            zone: ZoneId::new("market").ok(),
            zone_class: Some(ZoneClass::Market),
            ..Placement::new(DeviceKind::Bin, 900_000)
        };
        let id = DeviceId::new("bin-1").expect("an id");
        let rules = default_rules().expect("sound rules");
        let told = text(&rules, &id, &placement, false);
        assert!(told.starts_with("bin-1: bin, zone market (market), expected every 15 min\n"), "{told}");
        assert!(told.contains("critical >= 90 % for 240 min, clears < 80"), "{told}");
        assert!(told.contains("minor    >= 4.5 expected reports, clears"), "{told}");
        assert!(told.contains("warning  <= 12 h, clears"), "{told}");
        assert!(told.contains(">= 10 °C within 10 min"), "{told}");
        assert!(!told.contains("drain_level"));
        let all = text(&rules, &id, &placement, true);
        assert!(all.contains("drain_level: not for it: it is for drains, this is a bin"), "{all}");
    }
}
