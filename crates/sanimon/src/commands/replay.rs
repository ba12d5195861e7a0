//! `sanimon replay`: rules old and new over stored history: what would have been raised, cleared, missed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use sanimon_alerting::RuleSet;
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{Clock, Subject, TimestampMs};
use sanimon_store::{DirectoryState, Shared};
use serde_json::{Value, json};

use super::check::refused;
use super::export::time;
use super::place::Place;
use crate::clock::RealClock;
use crate::config;
use crate::replay::{Comparison, Replayed, beside, compare, every_window, read, run};
use crate::screen;

/// Alerts that are listed of each kind in the table; the JSON has all.
const LISTED_MAX: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    place: Place,
    /// The new rules. Left out: only those in force are replayed.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// RFC 3339; a day before `to` if left out.
    #[arg(long, value_name = "T", value_parser = time)]
    from: Option<TimestampMs>,
    /// RFC 3339; the newest reading if left out.
    #[arg(long, value_name = "T", value_parser = time)]
    to: Option<TimestampMs>,
    /// How long before `from` the rules are let run, so that what was open then is known.
    #[arg(long, value_name = "DURATION", default_value = "6h", value_parser = config::duration)]
    warm_up: i64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        screen::start_log("warn");
        let found = self.place.find()?;
        let (rules, shared) = (Arc::new(found.rules()?), found.snapshot()?);
        let new = match &self.rules {
            Some(file) => {
                let new = config::rules_in(file).map_err(|faults| refused(&faults))?;
                Some(Arc::new(new))
            }
            None => None,
        };
        let to = self.to.unwrap_or_else(|| newest(&shared));
        let from = self.from.unwrap_or_else(|| to.minus_ms(DAY_MS));
        anyhow::ensure!(from < to, "`--from` must be before `--to`");
        let started = Instant::now();
        let both: Vec<&RuleSet> = std::iter::once(&*rules).chain(new.as_deref()).collect();
        let history = read(&shared, &both, (from.minus_ms(self.warm_up), to))?;
        let read_ms = started.elapsed().as_millis();
        let calendar = shared.calendar;
        let windows = every_window(&shared)?;
        let go = |rules: &Arc<RuleSet>| run(rules, calendar, &windows, &history, (from, to));
        let (then, now) = beside(&go, &rules, new.as_ref());
        let took = Took { read_ms, all_ms: started.elapsed().as_millis(), readings: history.readings.len() };
        let directory = shared.directory.read();
        let report = Report { directory: &directory, span: (from, to), took };
        screen::print(&match (&now, self.json) {
            (Some(now), true) => format!("{}\n", report.compared_json(&compare(&then, now))),
            (Some(now), false) => report.compared_table(&compare(&then, now)),
            (None, true) => format!("{}\n", report.single_json(&then)),
            (None, false) => report.single_table(&then),
        });
        Ok(())
    }
}

/// The time of the newest reading.
fn newest(shared: &Shared) -> TimestampMs {
    let (directory, hot) = (shared.directory.read(), shared.hot.read());
    let times = directory.devices().iter().flat_map(|device| hot.latest(device.no)).map(|latest| latest.at);
    times.max().map_or_else(|| RealClock.now(), |at| at.plus_ms(1))
}

struct Took {
    read_ms: u128,
    all_ms: u128,
    readings: usize,
}

struct Report<'a> {
    directory: &'a DirectoryState,
    span: (TimestampMs, TimestampMs),
    took: Took,
}

impl Report<'_> {
    fn name(&self, subject: &Subject) -> String {
        match subject {
            Subject::Device(device) => {
                self.directory.device(*device).map(|device| device.id.to_string()).unwrap_or_default()
            }
            Subject::Group(key) => format!("{} {}", key.kind, key.id),
        }
    }

    fn head(&self) -> String {
        let Took { read_ms, all_ms, readings } = &self.took;
        format!(
            "{} to {}: {readings} readings, {all_ms} ms ({read_ms} ms to read)\n",
            self.span.0, self.span.1
        )
    }

    fn line(&self, alert: &Replayed) -> String {
        let until = alert.cleared_at.map_or("still open".to_owned(), |at| format!("until {at}"));
        let (rule, name) = (&alert.rule, self.name(&alert.subject));
        format!("  {} {rule} on {name}, {}, {until}\n", alert.raised_at, alert.severity)
    }

    fn list(&self, title: &str, alerts: &[&Replayed]) -> String {
        if alerts.is_empty() {
            return String::new();
        }
        let mut text = format!("\n{title}\n");
        alerts.iter().take(LISTED_MAX).for_each(|alert| text.push_str(&self.line(alert)));
        if alerts.len() > LISTED_MAX {
            text.push_str(&format!("  and {} more (--json lists all)\n", alerts.len() - LISTED_MAX));
        }
        text
    }

    fn compared_table(&self, comparison: &Comparison<'_>) -> String {
        let mut text = self.head();
        text.push_str(&format!(
            "{:<24}{:>8}{:>8}{:>8}{:>12}{:>12}\n",
            "rule", "then", "now", "both", "only then", "only now"
        ));
        for (rule, counts) in &comparison.counts {
            text.push_str(&format!(
                "{rule:<24}{:>8}{:>8}{:>8}{:>12}{:>12}\n",
                counts.then, counts.now, counts.both, counts.only_then, counts.only_now
            ));
        }
        text.push_str(
            &self.list("Only the old rules raised (the new ones would miss it)", &comparison.only_then),
        );
        text.push_str(&self.list("Only the new rules raise", &comparison.only_now));
        text
    }

    fn single_table(&self, alerts: &[Replayed]) -> String {
        let comparison = compare(alerts, &[]);
        let mut text = self.head();
        for (rule, counts) in &comparison.counts {
            text.push_str(&format!("{rule:<24}{:>8}\n", counts.then));
        }
        text.push_str(&self.list("Alerts", &comparison.only_then));
        text
    }

    fn alert(&self, alert: &Replayed) -> Value {
        json!({
            "rule": alert.rule,
            "on": self.name(&alert.subject),
            "severity": alert.severity.as_str(),
            "raised_at": alert.raised_at.to_string(),
            "cleared_at": alert.cleared_at.map(|at| at.to_string()),
        })
    }

    fn frame(&self) -> Value {
        json!({
            "from": self.span.0.to_string(),
            "to": self.span.1.to_string(),
            "readings": self.took.readings,
            "ms": self.took.all_ms as u64,
            "read_ms": self.took.read_ms as u64,
        })
    }

    fn compared_json(&self, comparison: &Comparison<'_>) -> Value {
        let rules: serde_json::Map<String, Value> = comparison
            .counts
            .iter()
            .map(|(rule, c)| {
                let counts = json!({
                    "then": c.then, "now": c.now, "both": c.both, "only_then": c.only_then, "only_now": c.only_now,
                });
                ((*rule).to_owned(), counts)
            })
            .collect();
        let list = |alerts: &[&Replayed]| alerts.iter().map(|alert| self.alert(alert)).collect::<Vec<_>>();
        let both = comparison
            .both
            .iter()
            .map(|(old, new)| json!({ "then": self.alert(old), "now": self.alert(new) }));
        let mut report = self.frame();
        report["rules"] = rules.into();
        report["only_then"] = list(&comparison.only_then).into();
        report["only_now"] = list(&comparison.only_now).into();
        report["both"] = both.collect::<Vec<_>>().into();
        report
    }

    fn single_json(&self, alerts: &[Replayed]) -> Value {
        let mut report = self.frame();
        report["alerts"] = alerts.iter().map(|alert| self.alert(alert)).collect::<Vec<_>>().into();
        report
    }
}
