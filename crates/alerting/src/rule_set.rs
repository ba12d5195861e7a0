//! Rules, validated as a whole before the engine sees them.

use sanimon_domain::{RuleId, metric};

use crate::engine::RuleNo;
use crate::level::{Direction, Level};
use crate::rule::Rule;
use crate::watch::Watch;

/// What is wrong with a rule and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: {message}")]
pub struct RuleFault {
    /// The rule's place in the list, for the caller's line numbers.
    pub index: usize,
    pub rule: String,
    pub message: String,
}

/// Rules that were found sound together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// By rule: those that count its alerts, and those whose alerts stand for its.
    counted_by: Vec<Vec<RuleNo>>,
    replaced_by: Vec<Vec<RuleNo>>,
    /// The store's number of this version of the rules; 0 until it has given one.
    version: i64,
}

/// How many rules a site may have: the engine's memory is devices times rules.
const RULES_MAX: usize = 1_000;
/// Overrides of a rule at most: their number is a byte.
const OVERRIDES_MAX: usize = 200;

impl RuleSet {
    /// Checks all rules and names every fault, not only the first.
    pub fn new(rules: Vec<Rule>) -> Result<Self, Vec<RuleFault>> {
        let mut faults = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let fault = |message: String| RuleFault { index, rule: rule.id.to_string(), message };
            let found = faults_of(rule).into_iter().chain(faults_among(&rules, index));
            faults.extend(found.map(fault));
        }
        if rules.len() > RULES_MAX {
            let message = format!("{} rules are more than {RULES_MAX}", rules.len());
            faults.push(RuleFault { index: RULES_MAX, rule: rules[RULES_MAX].id.to_string(), message });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let named_in = |names: fn(&Rule) -> &[RuleId]| {
            let by = |id: &RuleId| {
                let naming = rules.iter().enumerate().filter(|(_, rule)| names(rule).contains(id));
                naming.map(|(index, _)| RuleNo(index as u16)).collect()
            };
            rules.iter().map(|rule| by(&rule.id)).collect()
        };
        let (counted_by, replaced_by) = (named_in(|rule| &rule.counts), named_in(|rule| &rule.replaces));
        Ok(Self { rules, counted_by, replaced_by, version: 0 })
    }

    /// The same rules, with the number that the store has given to this version of them.
    #[must_use]
    pub fn with_version(self, version: i64) -> Self {
        Self { version, ..self }
    }

    /// 0: none was given.
    pub fn version(&self) -> i64 {
        self.version
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    pub fn get(&self, index: usize) -> Option<&Rule> {
        self.rules.get(index)
    }

    /// The rule behind a number that was made from this set.
    pub fn rule(&self, no: RuleNo) -> &Rule {
        &self.rules[usize::from(no.0)]
    }

    pub fn position(&self, id: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.id.as_str() == id)
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Those whose groups count the alerts of this one.
    pub(crate) fn counted_by(&self, rule: RuleNo) -> &[RuleNo] {
        &self.counted_by[usize::from(rule.0)]
    }

    /// Those whose groups' alerts stand for the alerts of this one.
    pub(crate) fn replaced_by(&self, rule: RuleNo) -> &[RuleNo] {
        &self.replaced_by[usize::from(rule.0)]
    }
}

/// What can be seen of a rule alone.
fn faults_of(rule: &Rule) -> Vec<String> {
    let mut faults = Vec::new();
    if rule.levels.is_empty() {
        faults.push("it has no level: add `[[rule.level]]` with `severity`, `raise` and `clear`".to_owned());
    }
    let overridden = rule.overrides.iter().flat_map(|found| &found.levels);
    faults.extend(rule.levels.iter().chain(overridden).filter_map(|level| level_fault(rule, level)));
    if rule.gap_ms < 0 {
        faults.push("its `gap` is negative".to_owned());
    }
    if rule.hours.as_ref().is_some_and(|hours| hours.spans.is_empty()) {
        faults.push(
            "it has no active hours, so it could never speak: write `hours = [\"07:00-19:00\"]`".to_owned(),
        );
    }
    if rule.overrides.len() > OVERRIDES_MAX {
        faults.push(format!("it has more than {OVERRIDES_MAX} overrides: use tags"));
    }
    for (index, found) in rule.overrides.iter().enumerate() {
        if found.select.is_everything() {
            faults.push(
                "an override is for every device: give it zones, zone_classes, tags or devices".to_owned(),
            );
        } else if rule.overrides[..index].iter().any(|earlier| earlier.select == found.select) {
            faults.push(
                "two overrides are for the same devices: the first could never speak, remove one".to_owned(),
            );
        } else if found.levels == rule.levels {
            faults.push("an override has the rule's own levels, so it changes nothing: remove it".to_owned());
        }
    }
    faults.extend(group_fault(rule));
    faults
}

fn group_fault(rule: &Rule) -> Option<String> {
    let counts = matches!(rule.watch, Watch::Count { .. });
    match rule.group {
        None if counts => Some(
            "it counts devices, but of what? write `group = \"zone\"` or `group = \"gateway\"`".to_owned(),
        ),
        None if !rule.replaces.is_empty() => Some(
            "`replaces` is for the alert of a group: write `group = \"gateway\"` or `group = \"zone\"`"
                .to_owned(),
        ),
        Some(kind) if !counts && rule.watch != Watch::Silence => {
            Some(format!("a {kind} has no readings: its `condition` is \"silence\" or \"count\""))
        }
        Some(_) if counts && rule.counts.is_empty() => Some(
            "it counts nothing: write `counts = [\"drain_level\"]`, the rules whose alerts it counts"
                .to_owned(),
        ),
        Some(_) if !rule.overrides.is_empty() => {
            Some("a group's rule has no overrides: write a rule of its own for those zones".to_owned())
        }
        _ => None,
    }
}

/// What can be seen of a rule beside the others.
fn faults_among(rules: &[Rule], index: usize) -> Vec<String> {
    let rule = &rules[index];
    let mut faults = Vec::new();
    if rules[..index].iter().any(|earlier| earlier.id == rule.id) {
        faults.push("the id is used twice: give each rule its own".to_owned());
    }
    for (word, id) in
        rule.counts.iter().map(|id| ("counts", id)).chain(rule.replaces.iter().map(|id| ("replaces", id)))
    {
        match rules.iter().find(|other| other.id == *id) {
            None => faults.push(format!("`{word}` names `{id}`, which is no rule of this file")),
            Some(other) if other.group.is_some() => {
                faults.push(format!(
                    "`{word}` names `{id}`, which is itself about groups: name a rule about devices"
                ));
            }
            Some(_) => {}
        }
    }
    let shadow = rules.iter().enumerate().find(|(other, wide)| {
        let is_first_of_equals = *other < index || rule.levels != wide.levels || rule.select != wide.select;
        *other != index && is_first_of_equals && shadows(wide, rule)
    });
    if let Some((_, wide)) = shadow {
        let id = &wide.id;
        faults.push(format!(
            "`{id}` says all that this rule could say, for all its devices: remove it, or make it a [[rule.override]] of `{id}`"
        ));
    }
    faults
}

/// Whether a rule wholly says what another could say.
fn shadows(wide: &Rule, narrow: &Rule) -> bool {
    let sees_it =
        wide.kind.is_none_or(|kind| narrow.kind == Some(kind)) && wide.select.covers(&narrow.select);
    let is_alike = wide.metric == narrow.metric
        && wide.watch == narrow.watch
        && wide.group == narrow.group
        && wide.counts == narrow.counts
        && wide.overrides.is_empty()
        && wide.hours.as_ref().is_none_or(|hours| narrow.hours.as_ref() == Some(hours))
        && (wide.quality == narrow.quality || wide.accepts(sanimon_domain::Quality::Suspect));
    sees_it && is_alike && narrow.levels.iter().all(|level| wide.levels.contains(level))
}

fn level_fault(rule: &Rule, level: &Level) -> Option<String> {
    let Level { severity, raise, clear, for_ms, direction } = level;
    let wrong_side = match direction {
        Direction::Rising => clear > raise,
        Direction::Falling => clear < raise,
    };
    if !raise.is_finite() || !clear.is_finite() {
        return Some(format!("the {severity} level needs finite numbers"));
    }
    if wrong_side {
        return Some(format!(
            "the {severity} level clears at {clear} on the bad side of its raise level {raise}: \
             a rising rule clears below it, a falling one above"
        ));
    }
    if *for_ms < 0 {
        return Some(format!("the {severity} level's `for` is negative"));
    }
    let is_rising = *direction == Direction::Rising;
    let wanted = match rule.watch {
        Watch::Value => return never_clears(rule, level),
        Watch::Rate { within_ms } if within_ms > 0 && *raise != 0.0 => None,
        Watch::Rate { .. } => {
            Some("looks at no change: write `within = \"10m\"`, and a `raise` that is not 0")
        }
        Watch::Silence if is_rising && *raise >= 1.0 => None,
        Watch::Silence => Some("of a silence counts expected reports: write `raise = \">= 3\"`, 1 at least"),
        Watch::Stuck if is_rising && *raise > 0.0 => None,
        Watch::Stuck => Some("of a value that is stuck counts hours: write `raise = \">= 24\"`"),
        Watch::Count { .. } if is_rising && *raise >= 1.0 && *clear > 0.0 => None,
        Watch::Count { .. } => Some("counts devices: write `raise = \">= 3\"` and `clear = \"< 2\"`"),
        Watch::Forecast { .. } if !is_rising && *raise > 0.0 => None,
        Watch::Forecast { .. } => {
            Some("of a forecast counts hours ahead: write `raise = \"<= 12\"` and `clear = \"> 16\"`")
        }
    };
    wanted.map(|wanted| format!("the {severity} level {wanted}"))
}

fn never_clears(rule: &Rule, level: &Level) -> Option<String> {
    let Level { severity, clear, .. } = level;
    let info = metric::info(rule.metric)?;
    let never = match level.direction {
        Direction::Rising => *clear <= info.min,
        Direction::Falling => *clear >= info.max,
    };
    never.then(|| {
        format!(
            "the {severity} level can never clear: {} is always between {} and {}, so `clear` must lie inside",
            info.name, info.min, info.max
        )
    })
}
