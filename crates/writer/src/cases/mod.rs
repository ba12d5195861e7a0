//! From what the rules say to rows: alerts with their histories, owners, deadlines and messages to people.
//!
//! The decisions are `operations`': this file reads the alert, asks, and writes what is decided. An alert whose row cannot
//! be understood is set aside with a row in the quarantine, and hurts nothing else.

mod escalation;

use std::collections::BTreeMap;

use sanimon_alerting::{Effect, RuleNo, RuleSet};
use sanimon_domain::{
    AlertId, Condition, FaultCode, Handling, RuleId, Severity, StepKind, Subject, TimestampMs,
};
use sanimon_operations::{Change, Decision, OperationsSettings, consequences};
use sanimon_store::{
    Alert, CaseSetting, Class, LevelRow, NewStep, QuarantineEntry, Result, StoreError, ToldChange, Tx,
};

/// What turns changes of alerts into rows.
pub(crate) struct Cases<'a> {
    pub(crate) tx: &'a Tx<'a>,
    pub(crate) rules: &'a RuleSet,
    pub(crate) settings: &'a OperationsSettings,
    /// When sanimon knows: deadlines and messages count from here.
    pub(crate) known_at: TimestampMs,
    /// Alerts that changed, as they stand now.
    pub(crate) changed: BTreeMap<AlertId, Alert>,
    /// Alerts that the engine has raised and the file has not taken: it must forget them.
    pub(crate) not_raised: Vec<(Subject, RuleNo)>,
    /// Alerts that could not be understood.
    pub(crate) damaged: Vec<QuarantineEntry>,
}

/// What is said of a change, besides what follows from it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told<'a> {
    pub(crate) at: TimestampMs,
    pub(crate) value: Option<f64>,
    pub(crate) who: Option<&'a str>,
    pub(crate) note: Option<&'a str>,
}

/// A new alert, before anybody owns it.
pub(crate) struct NewAlert<'a> {
    pub(crate) id: AlertId,
    pub(crate) subject: &'a Subject,
    pub(crate) rule: &'a RuleId,
    pub(crate) rules_version: Option<i64>,
    /// English, Chinese.
    pub(crate) title: [&'a str; 2],
    pub(crate) metric: sanimon_domain::MetricNo,
    pub(crate) severity: Severity,
    pub(crate) at: TimestampMs,
    pub(crate) value: Option<f64>,
    /// Of the resident's report that opens it.
    pub(crate) report_token: Option<&'a str>,
}

impl<'a> Cases<'a> {
    pub(crate) fn new(
        tx: &'a Tx<'a>,
        rules: &'a RuleSet,
        settings: &'a OperationsSettings,
        known_at: TimestampMs,
    ) -> Self {
        Self {
            tx,
            rules,
            settings,
            known_at,
            changed: BTreeMap::new(),
            not_raised: Vec::new(),
            damaged: Vec::new(),
        }
    }

    /// Writes the engine's effects, in order.
    pub(crate) fn apply(&mut self, effects: &[Effect]) -> Result<()> {
        effects.iter().try_for_each(|effect| self.effect(effect))
    }

    /// The same for what nobody's message has caused: an effect that cannot be stored is set aside alone.
    pub(crate) fn apply_each(&mut self, effects: &[Effect]) -> Result<()> {
        let tx = self.tx;
        for effect in effects {
            match tx.part_tried_twice(|| self.effect(effect)) {
                Err(error) if is_of_the_row(&error) => {
                    let id = match effect {
                        Effect::Raised { alert, .. }
                        | Effect::SeverityChanged { alert, .. }
                        | Effect::Cleared { alert, .. }
                        | Effect::Replaced { alert, .. } => *alert,
                        Effect::Level { .. } | Effect::Suppressed { .. } => AlertId(0),
                    };
                    if let Effect::Raised { subject, rule, .. } = effect {
                        self.not_raised.push((subject.clone(), *rule));
                    }
                    self.set_aside(id, "cannot be stored", &error);
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Notes an alert that the file does not take: in the quarantine, with the cause.
    pub(crate) fn set_aside(&mut self, id: AlertId, what: &str, error: &StoreError) {
        tracing::error!(alert = id.0, what, %error, "an alert is set aside");
        let text = format!("alert #{} {what} and is set aside: {error}", id.0);
        let topic = format!("alert/{}", id.0);
        let origin = (topic.as_str(), "store".into(), "store");
        self.damaged.push(QuarantineEntry::new(origin, (FaultCode::CannotStore, &text), &[], self.known_at));
    }

    fn effect(&mut self, effect: &Effect) -> Result<()> {
        match effect {
            Effect::Level { subject, rule, variant, level, state } => {
                let rule = self.rules.rule(*rule);
                let key = rule.levels_of(*variant)[usize::from(*level)].key();
                self.tx.put_level(&LevelRow { subject, rule: &rule.id, key: &key, state: *state })
            }
            Effect::Suppressed { window, at } => self.tx.count_suppressed(*window, *at),
            Effect::Raised { alert, subject, rule, severity, at, value } => {
                self.raised((*alert, subject, *rule), *severity, (*at, *value))
            }
            Effect::SeverityChanged { alert, from, to, at, value } => self.change(*alert, |cases, alert| {
                (alert.severity, alert.value) = (*to, *value);
                alert.changed_at = *at;
                let step = engine_step(alert, *at, StepKind::SeverityChanged, *value);
                cases.tx.append_step(&step)?;
                let change = Change::SeverityChanged { from: *from, to: *to };
                cases.follow(alert, change, Told { at: *at, value: *value, ..Told::default() })
            }),
            Effect::Cleared { alert, at, value } => self.change(*alert, |cases, alert| {
                cases.clear(alert, (*at, *value), None)?;
                cases.follow(alert, Change::Cleared, Told { at: *at, value: *value, ..Told::default() })
            }),
            Effect::Replaced { alert, by, at } => self.change(*alert, |cases, alert| {
                cases.clear(alert, (*at, None), Some(*by))?;
                cases.follow(alert, Change::Superseded, Told { at: *at, ..Told::default() })
            }),
        }
    }

    fn raised(
        &mut self,
        (id, subject, rule): (AlertId, &Subject, RuleNo),
        severity: Severity,
        (at, value): (TimestampMs, Option<f64>),
    ) -> Result<()> {
        let rule = self.rules.rule(rule);
        self.enter(
            &NewAlert {
                id,
                subject,
                rule: &rule.id,
                rules_version: Some(self.rules.version()).filter(|no| *no > 0),
                title: [&rule.title.en, &rule.title.zh],
                metric: rule.told_metric(),
                severity,
                at,
                value,
                report_token: None,
            },
            None,
        )
    }

    /// Enters an alert, with its owner and its deadlines, and tells whom it concerns.
    pub(crate) fn enter(&mut self, new: &NewAlert<'_>, note: Option<&str>) -> Result<()> {
        let setting = self.tx.case_setting(new.subject)?;
        let mut alert = self.blank(new, &setting);
        self.tx.insert_alert(&alert, new.report_token)?;
        let change = Change::Raised(setting.facts());
        let told = Told { at: new.at, value: new.value, note, ..Told::default() };
        let decisions =
            consequences(&alert.case_state(setting.zone_class), change, self.settings, self.known_at);
        // The first entry of its history names the owner.
        let owner = decisions.iter().find_map(|decision| match decision {
            Decision::Assign(owner) => Some(owner.as_str()),
            _ => None,
        });
        let raised = engine_step(&alert, new.at, StepKind::Raised, new.value);
        self.tx.append_step(&NewStep { note, assignee: owner, ..raised })?;
        self.carry_out(&mut alert, &decisions, told)?;
        self.tx.update_alert(&alert)?;
        self.changed.insert(alert.id, alert);
        Ok(())
    }

    fn blank(&self, new: &NewAlert<'_>, setting: &CaseSetting) -> Alert {
        Alert {
            rules_version: new.rules_version,
            title_en: new.title[0].to_owned(),
            title_zh: new.title[1].to_owned(),
            metric: new.metric,
            zone: setting.zone.clone(),
            value: new.value,
            known_at: self.known_at,
            is_report: new.report_token.is_some(),
            ..Alert::new(new.id, new.subject.clone(), new.rule.clone(), new.severity, new.at)
        }
    }

    fn clear(
        &self,
        alert: &mut Alert,
        (at, value): (TimestampMs, Option<f64>),
        replaced_by: Option<AlertId>,
    ) -> Result<()> {
        alert.condition = Condition::Cleared;
        alert.value = value.or(alert.value);
        (alert.changed_at, alert.cleared_at, alert.replaced_by) = (at, Some(at), replaced_by);
        let kind = if replaced_by.is_some() { StepKind::Replaced } else { StepKind::Cleared };
        let note = replaced_by.map(|by| format!("#{}", by.0));
        let step = engine_step(alert, at, kind, value);
        self.tx.append_step(&NewStep { note: note.as_deref(), ..step })
    }

    /// Reads an alert, lets it be changed, and writes it. One that cannot be understood is set aside.
    fn change(
        &mut self,
        id: AlertId,
        change: impl FnOnce(&mut Self, &mut Alert) -> Result<()>,
    ) -> Result<()> {
        let Some(mut alert) = self.read(id)? else { return Ok(()) };
        change(self, &mut alert)?;
        self.tx.update_alert(&alert)?;
        self.changed.insert(id, alert);
        Ok(())
    }

    /// `None`: there is none, or its row cannot be understood; the latter is noted.
    pub(crate) fn read(&mut self, id: AlertId) -> Result<Option<Alert>> {
        if let Some(alert) = self.changed.get(&id) {
            return Ok(Some(alert.clone()));
        }
        match self.tx.alert(id) {
            Ok(found) => Ok(found),
            Err(error) if is_of_the_row(&error) => {
                self.tx.stop_escalation(id)?;
                self.set_aside(id, "cannot be understood", &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks what follows from a change, and carries it out.
    pub(crate) fn follow(&mut self, alert: &mut Alert, change: Change<'_>, told: Told<'_>) -> Result<()> {
        let zone_class = self.tx.case_setting(&alert.subject)?.zone_class;
        let decisions = consequences(&alert.case_state(zone_class), change, self.settings, self.known_at);
        self.carry_out(alert, &decisions, told)
    }

    fn carry_out(&mut self, alert: &mut Alert, decisions: &[Decision], told: Told<'_>) -> Result<()> {
        for decision in decisions {
            match decision {
                Decision::Assign(owner) => alert.assignee = Some(owner.clone()),
                Decision::SetDeadlines(deadlines) => alert.deadlines = *deadlines,
                Decision::SetNextEscalation(at) => alert.next_escalation_at = *at,
                Decision::Verify => {
                    alert.handling = Handling::Verified;
                    alert.closed_at = Some(told.at);
                    alert.changed_at = alert.changed_at.max(told.at);
                    self.tx.append_step(&engine_step(alert, told.at, StepKind::Verified, None))?;
                }
                Decision::Escalate { deadline, to } => {
                    alert.escalations += 1;
                    alert.escalated_at = Some(self.known_at);
                    alert.escalated_to = Some(to.clone());
                    alert.changed_at = alert.changed_at.max(self.known_at);
                    let step = engine_step(alert, told.at, StepKind::Escalated, None);
                    let (note, assignee) = (Some(deadline.as_str()), Some(to.as_str()));
                    self.tx.append_step(&NewStep { note, assignee, ..step })?;
                }
                Decision::Notify(message) => {
                    let Told { at, value, who, note } = told;
                    self.tx.put_message(&ToldChange { alert: alert.id, at, value, who, note }, message)?;
                }
            }
        }
        Ok(())
    }
}

/// An entry of an alert's history that no person makes.
fn engine_step<'s>(alert: &Alert, at: TimestampMs, kind: StepKind, value: Option<f64>) -> NewStep<'s> {
    NewStep {
        alert: alert.id,
        at,
        kind,
        who: None,
        severity: alert.severity,
        value,
        note: None,
        assignee: None,
    }
}

/// Whether an error is about what a row says, and not about the disk.
pub(crate) fn is_of_the_row(error: &StoreError) -> bool {
    error.class() == Class::Permanent
}
