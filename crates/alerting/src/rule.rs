//! Rules, validated as a whole before the engine sees them.

use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{
    DeviceId, DeviceKind, MetricNo, Placement, Quality, RuleId, Severity, ZoneClass, ZoneId, metric,
};

use crate::level::{Direction, Level};
use crate::watch::Watch;

/// What people read, in both languages of the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    pub en: String,
    pub zh: String,
}

/// A rule. One alert at most is open for a rule and device; its severity is that of the worst
/// active level, so a bin that goes from 75 % to 99 % is one alert that grows, not three.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub id: RuleId,
    pub title: Title,
    pub kind: DeviceKind,
    pub metric: MetricNo,
    /// Empty: every zone.
    pub zones: Vec<ZoneId>,
    /// Empty: every class, and zones without one.
    pub zone_classes: Vec<ZoneClass>,
    /// Empty: every device of the kind.
    pub devices: Vec<DeviceId>,
    /// Which readings it looks at: good ones, or suspect ones, too.
    pub quality: Quality,
    /// What the levels are compared with. With [`Watch::Silence`] the metric is [`metric::SILENCE_MIN`].
    pub watch: Watch,
    pub levels: Vec<Level>,
}

impl Rule {
    /// Whether a reading of this quality is shown to the rule. Bad ones are shown to none.
    pub const fn accepts(&self, quality: Quality) -> bool {
        match quality {
            Quality::Good => true,
            Quality::Suspect => matches!(self.quality, Quality::Suspect),
            Quality::Bad => false,
        }
    }

    /// Whether the rule is for this device, as the registry places it.
    pub fn selects(&self, device: &DeviceId, placement: &Placement) -> bool {
        self.kind == placement.kind
            && (self.zones.is_empty() || placement.zone.as_ref().is_some_and(|z| self.zones.contains(z)))
            && (self.zone_classes.is_empty()
                || placement.zone_class.is_some_and(|class| self.zone_classes.contains(&class)))
            && (self.devices.is_empty() || self.devices.contains(device))
    }
}

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
}

/// How many rules a site may have: the engine's memory is devices times rules.
const RULES_MAX: usize = 1_000;

impl RuleSet {
    /// Checks all rules and names every fault, not only the first.
    pub fn new(rules: Vec<Rule>) -> Result<Self, Vec<RuleFault>> {
        let mut faults = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let mut fault =
                |message: String| faults.push(RuleFault { index, rule: rule.id.to_string(), message });
            if rules[..index].iter().any(|earlier| earlier.id == rule.id) {
                fault("the id is used twice: give each rule its own".to_owned());
            }
            if rule.levels.is_empty() {
                fault(
                    "it has no level: add `[[rule.level]]` with `severity`, `raise` and `clear`".to_owned(),
                );
            }
            rule.levels.iter().filter_map(|level| level_fault(rule, level)).for_each(&mut fault);
        }
        if rules.len() > RULES_MAX {
            let message = format!("{} rules are more than {RULES_MAX}", rules.len());
            faults.push(RuleFault { index: RULES_MAX, rule: rules[RULES_MAX].id.to_string(), message });
        }
        if faults.is_empty() { Ok(Self { rules }) } else { Err(faults) }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    pub fn get(&self, index: usize) -> Option<&Rule> {
        self.rules.get(index)
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
    match rule.watch {
        Watch::Value => {}
        Watch::Rate { within_ms } => {
            let has_change = within_ms > 0 && *raise != 0.0;
            return (!has_change).then(|| {
                format!("the {severity} level looks at no change: write `within = \"10m\"`, and a `raise` that is not 0")
            });
        }
        Watch::Silence => {
            let is_patient = *direction == Direction::Rising && *raise >= 1.0;
            return (!is_patient).then(|| {
                format!("the {severity} level of a silence counts expected intervals: write `raise = \">= 3\"`, 1 at least")
            });
        }
        Watch::Stuck => {
            let is_patient = *direction == Direction::Rising && *raise > 0.0;
            return (!is_patient).then(|| {
                format!(
                    "the {severity} level of a value that is stuck counts hours: write `raise = \">= 24\"`"
                )
            });
        }
    }
    let info = metric::info(rule.metric)?;
    let never_clears = match direction {
        Direction::Rising => *clear <= info.min,
        Direction::Falling => *clear >= info.max,
    };
    never_clears.then(|| {
        format!(
            "the {severity} level can never clear: {} is always between {} and {}, so `clear` must lie inside",
            info.name, info.min, info.max
        )
    })
}

/// How long a new alert may wait for its acknowledgement; `None` for a warning, which has no clock.
/// The defaults of the domain page: critical 5 min, major 15 min, minor 1 h.
pub fn acknowledge_within_ms(severity: Severity) -> Option<i64> {
    match severity {
        Severity::Critical => Some(5 * MINUTE_MS),
        Severity::Major => Some(15 * MINUTE_MS),
        Severity::Minor => Some(60 * MINUTE_MS),
        Severity::Warning => None,
    }
}
