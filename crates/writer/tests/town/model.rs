//! What must be true of a town, told independently of how it came to be.

use std::collections::{BTreeMap, HashMap, HashSet};

use sanimon_domain::{
    Condition, Handling, Metric, MetricNo, StepKind, Subject, TimestampMs, ZoneClass, metric,
};
use sanimon_operations::lifecycle::{self, Action};
use sanimon_operations::missed_deadline;
use sanimon_store::{Alert, AlertFilter, NewWindow, OutboxMessage, Shared, Step};

use super::messages::{Kind, SAME, SEQ, Senders, Sent};
use super::site::Site;

type Verdict = Result<(), String>;

fn ensure(is_so: bool, what: impl FnOnce() -> String) -> Verdict {
    if is_so { Ok(()) } else { Err(what()) }
}

#[derive(Default)]
pub(crate) struct Model {
    /// The alerts as they were seen last.
    seen: BTreeMap<u64, (Alert, Vec<Step>)>,
    pub(crate) windows: Vec<NewWindow>,
    /// Commands that were carried out, and those whose answer was lost.
    pub(crate) deeds: u64,
    pub(crate) unsure_deeds: u64,
}

/// Values of a metric of a device's own, in their order.
pub(crate) fn values(shared: &Shared, device: &str, name: &str) -> Vec<f64> {
    points(shared, device, |shared| shared.directory.read().metric_number(&Metric::Custom(name.into())))
        .into_iter()
        .map(|(_, value)| value)
        .collect()
}

fn points(shared: &Shared, device: &str, number: impl Fn(&Shared) -> Option<MetricNo>) -> Vec<(i64, f64)> {
    let Some(no) =
        sanimon_domain::DeviceId::new(device).ok().and_then(|id| shared.directory.read().number(&id))
    else {
        return Vec::new();
    };
    let Some(metric) = number(shared) else { return Vec::new() };
    let all = shared.telemetry(no, metric, TimestampMs(0), TimestampMs(i64::MAX / 2)).expect("readings");
    all.into_iter().map(|point| (point.at.0, point.value)).collect()
}

impl Model {
    /// Sees what is there, and that no history was rewritten.
    pub(crate) fn look(&mut self, shared: &Shared) {
        for (alert, steps) in alerts(shared) {
            if let Some((_, before)) = self.seen.get(&alert.id.0) {
                assert!(steps.starts_with(before), "the history of alert {} was rewritten", alert.id.0);
            }
            self.seen.insert(alert.id.0, (alert, steps));
        }
    }

    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.seen.values().map(|(alert, _)| alert)
    }

    pub(crate) fn story(&self) -> Vec<String> {
        let line = |(alert, steps): &(Alert, Vec<Step>)| {
            let steps: Vec<String> =
                steps.iter().map(|step| format!("{} {}", step.at.0, step.kind)).collect();
            format!("{} {} {:?} {}", alert.id.0, alert.rule, alert.subject, steps.join(", "))
        };
        self.seen.values().map(line).collect()
    }

    /// What holds after each step, as long as the disk takes something.
    pub(crate) fn check(&self, site: &Site) -> Verdict {
        self.one_open_alert_a_rule_and_subject()?;
        for (alert, steps) in self.seen.values() {
            is_owned(alert, steps)?;
            condition_is_what_the_steps_say(alert, steps)?;
            handling_is_a_way_through_the_table(alert, steps)?;
            knowledge_is_not_older_than_what_is_known(alert)?;
        }
        self.engine_and_file_agree(site)?;
        self.windows_are_kept()?;
        self.each_raise_is_told_once(site.reader())?;
        self.each_deed_is_on_record(site.reader())
    }

    /// Alerts whose missed deadline was not told.
    pub(crate) fn forgotten(&self, shared: &Shared, now: TimestampMs) -> Vec<u64> {
        let operations = shared.standing.operations().expect("they are in force");
        let is_forgotten = |alert: &&Alert| {
            let case = alert.case_state(Some(ZoneClass::Street));
            missed_deadline(&case, &operations.teams, now).is_some()
        };
        self.alerts().filter(is_forgotten).map(|alert| alert.id.0).collect()
    }

    fn one_open_alert_a_rule_and_subject(&self) -> Verdict {
        let mut open: HashSet<(&str, &Subject)> = HashSet::new();
        for alert in self.alerts().filter(|alert| alert.condition == Condition::Active && !alert.is_report) {
            let is_first = open.insert((alert.rule.as_str(), &alert.subject));
            ensure(is_first, || format!("two open alerts of {} on {:?}", alert.rule, alert.subject))?;
        }
        Ok(())
    }

    fn engine_and_file_agree(&self, site: &Site) -> Verdict {
        let Some(writer) = site.live() else { return Ok(()) };
        let engine: HashSet<u64> = writer.open_alerts().into_iter().map(|id| id.0).collect();
        let file = self.alerts().filter(|alert| alert.condition == Condition::Active && !alert.is_report);
        let file: HashSet<u64> = file.map(|alert| alert.id.0).collect();
        ensure(engine == file, || format!("the engine has {engine:?} open, the file {file:?}"))
    }

    /// No alert was raised in a window that covers it.
    fn windows_are_kept(&self) -> Verdict {
        for alert in self.alerts().filter(|alert| !alert.is_report) {
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

    fn each_raise_is_told_once(&self, shared: &Shared) -> Verdict {
        let mut told: HashMap<u64, usize> = HashMap::new();
        let outbox = outbox(shared);
        let raised = outbox.iter().filter(|message| message.event.as_str() == "raised");
        raised.filter_map(|message| message.alert).for_each(|alert| *told.entry(alert.0).or_default() += 1);
        for id in self.seen.keys() {
            let count = told.get(id).copied().unwrap_or(0);
            ensure(count == 1, || format!("the raise of alert {id} is told {count} times"))?;
        }
        Ok(())
    }

    fn each_deed_is_on_record(&self, shared: &Shared) -> Verdict {
        let entries = shared.audit(None, 100_000).map_err(|error| error.to_string())?.items.len() as u64;
        let wanted = self.deeds..=self.deeds + self.unsure_deeds;
        ensure(wanted.contains(&entries), || format!("{entries} entries of the log for {wanted:?} changes"))
    }
}

/// What was acknowledged is there, and nothing is there twice. `all`: nothing is on its way any more.
pub(crate) fn readings(shared: &Shared, senders: &Senders, all: bool) -> Verdict {
    poisoned(shared, senders, all)?;
    let mut by_device: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    senders.all.values().for_each(|sent| by_device.entry(&sent.device).or_default().push(sent));
    for (device, sent) in by_device {
        let is_taken = |sent: &&&Sent| all || !senders.waiting.contains_key(&sent.no);
        let stored = values(shared, device, SEQ);
        let mut count: BTreeMap<u64, usize> = BTreeMap::new();
        stored.iter().for_each(|value| *count.entry(*value as u64).or_default() += 1);
        for sent in sent.iter().filter(|sent| matches!(sent.kind, Kind::Dated { .. } | Kind::Undated)) {
            let found = count.remove(&sent.no).unwrap_or(0);
            let least = usize::from(is_taken(&sent));
            ensure((least..=1).contains(&found), || format!("{found} times stored: {sent:?}"))?;
            if let (Kind::Dated { at, fill_pct, temperature_c }, 1) = (&sent.kind, found) {
                for (name, value) in [(metric::FILL_PCT, fill_pct), (metric::TEMPERATURE_C, temperature_c)] {
                    let there = points(shared, device, |_| Some(name)).contains(&(at.0, *value));
                    ensure(there, || format!("{value} is not stored of {sent:?}"))?;
                }
            }
        }
        ensure(count.is_empty(), || format!("{device} has values that it never sent: {count:?}"))?;
        let frozen = || sent.iter().filter(|sent| sent.kind == Kind::Frozen);
        let (taken, ever) = (frozen().filter(is_taken).count(), frozen().count());
        let found = values(shared, device, SAME).len();
        ensure((taken..=ever).contains(&found), || {
            format!("{device} said the same {taken} times: {found} stored")
        })?;
    }
    Ok(())
}

/// A message that the file refuses is set aside with its cause, as often as it came, and is nowhere else.
fn poisoned(shared: &Shared, senders: &Senders, all: bool) -> Verdict {
    let quarantine = shared.quarantine(None, 1_000).map_err(|error| error.to_string())?.items;
    for sent in senders.all.values().filter(|sent| sent.kind == Kind::Poison) {
        let is_taken = all || !senders.waiting.contains_key(&sent.no);
        let row = quarantine.iter().find(|row| row.topic == sent.topic() && row.code == "cannot_store");
        ensure(row.is_some() || !is_taken, || format!("it was acknowledged, and is nowhere: {sent:?}"))?;
    }
    let others =
        quarantine.iter().find(|row| row.code == "cannot_store" && !row.message.contains("cannot be stored"));
    ensure(others.is_none(), || format!("set aside without need: {others:?}"))
}

/// What a reopened file says is what memory says.
pub(crate) fn same_as_reopened(memory: &Shared, folder: &std::path::Path) -> Verdict {
    let file = sanimon_store::Store::snapshot(folder).map_err(|error| error.to_string())?.expect("data");
    let (ours, theirs) = (memory.directory.read(), file.directory.read());
    ensure(ours.devices() == theirs.devices(), || "devices differ".to_owned())?;
    ensure(ours.zones() == theirs.zones(), || "zones differ".to_owned())?;
    let custom = |state: &sanimon_store::DirectoryState| -> Vec<String> {
        let mut names: Vec<String> = state.custom_metrics().map(str::to_owned).collect();
        names.sort();
        names
    };
    ensure(custom(&ours) == custom(&theirs), || "metrics differ".to_owned())?;
    ensure(ours.next_custom_metric() == theirs.next_custom_metric(), || {
        "the next metric differs".to_owned()
    })?;
    let (recent, stored) = (memory.hot.read(), file.hot.read());
    ensure(recent.unsealed_points() == stored.unsealed_points(), || {
        format!(
            "{} points wait in memory, {} in the file",
            recent.unsealed_points(),
            stored.unsealed_points()
        )
    })?;
    for device in ours.devices() {
        let latest = |state: &sanimon_store::HotState| -> Vec<String> {
            let mut all: Vec<String> = state.latest(device.no).map(|latest| format!("{latest:?}")).collect();
            all.sort();
            all
        };
        let (a, b) = (latest(&recent), latest(&stored));
        ensure(a == b, || format!("the latest readings of {} differ: {a:?}, {b:?}", device.id))?;
        let heard = (recent.heard_at(device.no), stored.heard_at(device.no));
        ensure(heard.0 == heard.1, || format!("{} was heard at {heard:?}", device.id))?;
    }
    Ok(())
}

pub(crate) fn alerts(shared: &Shared) -> Vec<(Alert, Vec<Step>)> {
    let page = shared.alerts(&AlertFilter::default(), 100_000).expect("alerts");
    let whole = |alert: Alert| {
        let (_, steps) = shared.alert(alert.id).expect("an answer").expect("the alert");
        (alert, steps)
    };
    page.items.into_iter().map(whole).collect()
}

pub(crate) fn outbox(shared: &Shared) -> Vec<OutboxMessage> {
    shared.messages(None, None, 100_000).expect("messages").items
}

/// Nothing is ever without an owner.
fn is_owned(alert: &Alert, steps: &[Step]) -> Verdict {
    let is_owned = alert.assignee.as_deref().is_some_and(|owner| !owner.is_empty());
    let from_the_start = steps.first().is_some_and(|step| step.assignee.is_some());
    ensure(is_owned && from_the_start, || format!("nobody owns {alert:?}"))
}

fn condition_is_what_the_steps_say(alert: &Alert, steps: &[Step]) -> Verdict {
    if alert.is_report {
        return Ok(());
    }
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

/// Nobody's clock runs before sanimon knew.
fn knowledge_is_not_older_than_what_is_known(alert: &Alert) -> Verdict {
    ensure(alert.known_at >= alert.raised_at, || format!("it was known before it was: {alert:?}"))?;
    let by = [alert.deadlines.acknowledge_by, alert.deadlines.arrive_by, alert.deadlines.resolve_by];
    let sound = by.into_iter().flatten().all(|at| at > alert.known_at);
    ensure(sound, || format!("a deadline that was over before anybody could know: {alert:?}"))
}
