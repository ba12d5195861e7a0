//! The site's files as the API sees them.

pub(crate) mod at_start;
mod edit;

use std::sync::Arc;
use std::time::Instant;

use sanimon_alerting::RuleSet;
use sanimon_api::{
    Checked, Edit, SetupDocument, SetupSource, StagedFile, TableFault, Tried, TriedAlert, TriedRule,
};
use sanimon_domain::{Subject, TimestampMs};
use sanimon_store::{DirectoryState, NewRules, Shared, Zone};

use crate::config::{ConfigFault, SetupFile, SetupFiles, Staged};
use crate::replay::{Replayed, beside, compare, every_window, read, run};

/// Alerts that are shown of each kind.
const SHOWN_MAX: usize = 50;
/// The rules are let run for so long before the span, so that what was open at its begin is known.
const WARM_UP_MS: i64 = 6 * sanimon_domain::time::HOUR_MS;

#[derive(Debug)]
pub(crate) struct SiteSetup(pub(crate) SetupFiles);

impl SiteSetup {
    fn file(&self, document: SetupDocument) -> &SetupFile {
        self.0.of(document)
    }
}

fn told(faults: Vec<ConfigFault>) -> Vec<TableFault> {
    let fault =
        |ConfigFault { line, message, .. }| TableFault { line: line as u64, column: String::new(), message };
    faults.into_iter().map(fault).collect()
}

impl SetupSource for SiteSetup {
    fn name(&self, document: SetupDocument) -> String {
        self.file(document).path.display().to_string()
    }

    fn text(&self, document: SetupDocument, zones: &[Arc<Zone>]) -> Result<String, String> {
        let file = self.file(document);
        if document == SetupDocument::Zones && file.is_missing() {
            return edit::edited("", &zones.iter().map(|zone| zone_edit(zone)).collect::<Vec<_>>());
        }
        file.text().map_err(|fault| fault.to_string())
    }

    fn check(&self, document: SetupDocument, text: &str) -> Result<Checked, Vec<TableFault>> {
        let sound = match document {
            SetupDocument::Rules => SetupFiles::rules_of(text)
                .map(|rules| Checked::Rules(Box::new(NewRules { rules, text: text.to_owned() }))),
            SetupDocument::Zones => SetupFiles::zones_of(text).map(Checked::Zones),
            SetupDocument::Teams => self.0.teams_of(text).map(|duties| Checked::Teams(Box::new(duties))),
        };
        sound.map_err(told)
    }

    fn entries(&self, text: &str) -> serde_json::Value {
        toml::from_str(text).unwrap_or_default()
    }

    fn edit(&self, text: &str, edits: &[Edit]) -> Result<String, String> {
        edit::edited(text, edits)
    }

    fn file_digest(&self, document: SetupDocument) -> Option<[u8; 32]> {
        self.file(document).digest()
    }

    fn stage(&self, document: SetupDocument, text: &str) -> Result<Box<dyn StagedFile>, String> {
        Ok(Box::new(self.file(document).stage(text)?))
    }

    fn try_rules(
        &self,
        shared: &Shared,
        [old, new]: [Arc<RuleSet>; 2],
        (from, to): (TimestampMs, TimestampMs),
    ) -> Result<Tried, String> {
        let started = Instant::now();
        let failed = |error: String| format!("history cannot be read: {error}");
        let history = read(shared, &[&old, &new], (from.minus_ms(WARM_UP_MS), to))
            .map_err(|error| failed(error.to_string()))?;
        let windows = every_window(shared).map_err(|error| failed(error.to_string()))?;
        let go = |rules: &Arc<RuleSet>| run(rules, shared.calendar, &windows, &history, (from, to));
        let (then, now) = beside(&go, &old, Some(&new));
        let now = now.unwrap_or_default();
        let comparison = compare(&then, &now);
        let directory = shared.directory.read();
        let shown = |alerts: &[&Replayed]| -> Vec<TriedAlert> {
            alerts.iter().take(SHOWN_MAX).map(|alert| tried(alert, &directory)).collect()
        };
        Ok(Tried {
            from: from.to_string(),
            to: to.to_string(),
            readings: history.readings.len(),
            took_ms: started.elapsed().as_millis() as u64,
            rules: comparison
                .counts
                .iter()
                .map(|(rule, counts)| TriedRule {
                    rule: (*rule).to_owned(),
                    then: counts.then,
                    now: counts.now,
                    both: counts.both,
                    only_then: counts.only_then,
                    only_now: counts.only_now,
                })
                .collect(),
            more: shown(&comparison.only_now),
            fewer: shown(&comparison.only_then),
        })
    }
}

impl StagedFile for Staged {
    fn put_in_place(self: Box<Self>) -> Result<(), String> {
        Self::put_in_place(*self)
    }
}

fn tried(alert: &Replayed, directory: &DirectoryState) -> TriedAlert {
    let about = match &alert.subject {
        Subject::Device(no) => directory.device(*no).map(|device| device.id.to_string()).unwrap_or_default(),
        Subject::Group(group) => group.id.to_string(),
    };
    TriedAlert {
        rule: alert.rule.clone(),
        about,
        severity: alert.severity.to_string(),
        raised_at: alert.raised_at.to_string(),
        cleared_at: alert.cleared_at.map(|at| at.to_string()),
    }
}

/// A zone as its entry in `zones.toml`.
fn zone_edit(zone: &Zone) -> Edit {
    let Zone { id, name_en, name_zh, class, outline, inhabitants } = zone;
    let entry = serde_json::json!({
        "id": id.as_str(),
        "name": { "en": name_en, "zh": name_zh },
        "class": class.as_str(),
        "inhabitants": inhabitants,
        "outline": outline,
    });
    let entry = entry.as_object().cloned();
    Edit { table: "zone".to_owned(), id: Some(id.to_string()), entry, entries: None }
}
