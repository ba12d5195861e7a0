//! What must be true of a town, told independently of how it came to be.

use std::collections::{BTreeMap, HashMap, HashSet};

use sanimon_domain::{Condition, Handling, StepKind, Subject, TimestampMs, metric};
use sanimon_operations::lifecycle::{self, Action};
use sanimon_store::{Alert, AlertFilter, NewWindow, Step};

use super::script::SeenAlert;
use crate::Backfill;

#[derive(Default)]
pub(super) struct Model {
    /// Device, metric, time: the value received last.
    readings: BTreeMap<(String, &'static str, i64), f64>,
    /// The newest alerts as they were seen last.
    seen: BTreeMap<u64, (Alert, Vec<Step>)>,
    pub(super) windows: Vec<NewWindow>,
}

type Verdict = Result<(), String>;

fn ensure(is_so: bool, what: impl FnOnce() -> String) -> Verdict {
    if is_so { Ok(()) } else { Err(what()) }
}

impl Model {
    pub(super) fn heard(&mut self, topic: &str, payload: &str, at: TimestampMs) {
        let device = topic.split('/').nth(3).unwrap_or_default().to_owned();
        for name in ["fill_pct", "temperature_c"] {
            let value = payload
                .split(&format!("\"{name}\":"))
                .nth(1)
                .and_then(|rest| rest.split([',', '}']).next()?.parse::<f64>().ok());
            if let Some(value) = value {
                self.readings.insert((device.clone(), name, at.0), value);
            }
        }
    }

    /// Sees what is there, and that no history was rewritten.
    pub(super) fn look(&mut self, site: &Backfill) {
        for (alert, steps) in all(site) {
            if let Some((_, before)) = self.seen.get(&alert.id.0) {
                assert!(steps.starts_with(before), "the history of alert {} was rewritten", alert.id.0);
            }
            self.seen.insert(alert.id.0, (alert, steps));
        }
    }

    pub(super) fn alerts(&self) -> Vec<SeenAlert> {
        self.seen.values().map(|(alert, _)| (alert.id, alert.handling)).collect()
    }

    pub(super) fn story(&self) -> Vec<String> {
        let line = |(alert, steps): &(Alert, Vec<Step>)| {
            let steps: Vec<String> =
                steps.iter().map(|step| format!("{} {}", step.at.0, step.kind)).collect();
            format!("{} {} {:?} {}", alert.id.0, alert.rule, alert.subject, steps.join(", "))
        };
        self.seen.values().map(line).collect()
    }

    pub(super) fn check(&self, site: &mut Backfill, now: TimestampMs) -> Verdict {
        self.one_open_alert_a_rule_and_subject()?;
        for (alert, steps) in self.seen.values() {
            is_owned(alert, steps)?;
            condition_is_what_the_steps_say(alert, steps)?;
            handling_is_a_way_through_the_table(alert, steps)?;
            ensure(no_promise_is_forgotten(alert, now), || {
                format!("a missed deadline was not told: {alert:?}")
            })?;
        }
        self.engine_and_file_agree(site)?;
        self.windows_are_kept()?;
        self.readings_are_all_there(site)?;
        self.each_raise_is_told_once(site)
    }

    fn one_open_alert_a_rule_and_subject(&self) -> Verdict {
        let mut open: HashSet<(&str, &Subject)> = HashSet::new();
        let active = self.seen.values().map(|(alert, _)| alert).filter(|a| a.condition == Condition::Active);
        for alert in active {
            let is_first = open.insert((alert.rule.as_str(), &alert.subject));
            ensure(is_first, || format!("two open alerts of {} on {:?}", alert.rule, alert.subject))?;
        }
        Ok(())
    }

    fn engine_and_file_agree(&self, site: &Backfill) -> Verdict {
        let engine: HashSet<u64> = site.open_alerts().into_iter().map(|id| id.0).collect();
        let file = self.seen.values().filter(|(alert, _)| alert.condition == Condition::Active);
        let file: HashSet<u64> = file.map(|(alert, _)| alert.id.0).collect();
        ensure(engine == file, || format!("the engine has {engine:?} open, the file {file:?}"))
    }

    /// No alert was raised in a window that covers it.
    fn windows_are_kept(&self) -> Verdict {
        for (alert, _) in self.seen.values() {
            let device = alert.subject.device();
            let broken = self.windows.iter().find(|window| {
                window.device == device
                    && window.rule.as_ref().is_none_or(|rule| *rule == alert.rule)
                    && window.from < alert.raised_at
                    && alert.raised_at < window.to
            });
            ensure(broken.is_none(), || format!("{alert:?} was raised in {broken:?}"))?;
        }
        Ok(())
    }

    fn readings_are_all_there(&self, site: &Backfill) -> Verdict {
        let shared = site.shared();
        let devices = shared.directory.read().devices().to_vec();
        let mut stored: BTreeMap<(String, &'static str, i64), f64> = BTreeMap::new();
        for device in devices {
            for (name, number) in [("fill_pct", metric::FILL_PCT), ("temperature_c", metric::TEMPERATURE_C)] {
                let points = shared
                    .telemetry(device.no, number, TimestampMs(0), TimestampMs(i64::MAX / 2))
                    .map_err(|error| error.to_string())?;
                stored.extend(points.iter().map(|p| ((device.id.to_string(), name, p.at.0), p.value)));
            }
        }
        let missing = self.readings.iter().find(|(key, value)| stored.get(*key) != Some(value));
        ensure(missing.is_none(), || format!("{missing:?} is not stored as it was sent"))?;
        ensure(stored.len() == self.readings.len(), || "something is stored that nobody sent".to_owned())
    }

    fn each_raise_is_told_once(&self, site: &Backfill) -> Verdict {
        let page = site.shared().messages(None, None, 10_000).map_err(|error| error.to_string())?;
        let mut told: HashMap<u64, usize> = HashMap::new();
        let raised = page.items.iter().filter(|message| message.event.as_str() == "raised");
        raised.filter_map(|message| message.alert).for_each(|alert| *told.entry(alert.0).or_default() += 1);
        for id in self.seen.keys() {
            let count = told.get(id).copied().unwrap_or(0);
            ensure(count == 1, || format!("the raise of alert {id} is told {count} times"))?;
        }
        Ok(())
    }
}

fn all(site: &Backfill) -> Vec<(Alert, Vec<Step>)> {
    let page = site.shared().alerts(&AlertFilter::default(), 100_000).expect("alerts");
    let whole = |alert: Alert| {
        let (_, steps) = site.shared().alert(alert.id).expect("an answer").expect("the alert");
        (alert, steps)
    };
    page.items.into_iter().map(whole).collect()
}

/// Nothing is ever without an owner.
fn is_owned(alert: &Alert, steps: &[Step]) -> Verdict {
    let is_owned = alert.assignee.as_deref().is_some_and(|owner| !owner.is_empty());
    let from_the_start = steps.first().is_some_and(|step| step.assignee.is_some());
    ensure(is_owned && from_the_start, || format!("nobody owns {alert:?}"))
}

fn condition_is_what_the_steps_say(alert: &Alert, steps: &[Step]) -> Verdict {
    let raises = steps.iter().filter(|step| step.kind == StepKind::Raised).count();
    let ends =
        steps.iter().filter(|step| matches!(step.kind, StepKind::Cleared | StepKind::Replaced)).count();
    let is_first = steps.first().is_some_and(|step| step.kind == StepKind::Raised);
    let expected = if ends == 0 { Condition::Active } else { Condition::Cleared };
    let sound = raises == 1 && ends <= 1 && is_first && alert.condition == expected;
    ensure(sound, || format!("{alert:?} does not go with {steps:?}"))
}

fn handling_is_a_way_through_the_table(alert: &Alert, steps: &[Step]) -> Verdict {
    let mut handling = Handling::New;
    for step in steps {
        let action = match step.kind {
            StepKind::Acknowledged => Action::Acknowledge,
            StepKind::Dispatched => Action::Dispatch,
            StepKind::Arrived => Action::Arrive,
            StepKind::Handled => Action::Handle,
            StepKind::Verified => Action::Verify,
            StepKind::Reopened => Action::Reopen,
            StepKind::Dismissed => Action::Dismiss,
            _ => continue,
        };
        let row = lifecycle::find(handling, action);
        handling = row.ok_or_else(|| format!("{action:?} from {handling} in {steps:?}"))?.to;
    }
    ensure(handling == alert.handling, || {
        format!("the steps lead to {handling}, the alert is {}", alert.handling)
    })
}

fn no_promise_is_forgotten(alert: &Alert, now: TimestampMs) -> bool {
    let progress = alert.progress();
    let duties = sanimon_operations::Teams::standard(sanimon_domain::SiteCalendar::utc());
    duties.next_escalation(&progress).is_none_or(|(at, _)| at > now)
}
