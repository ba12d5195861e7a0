//! Which rules speak for a device, with which numbers, and why the others do not.

use sanimon_domain::{DeviceId, Placement};

use crate::rule::{Rule, Variant};
use crate::rule_set::RuleSet;
use crate::select::{Selector, list};

/// What a rule has to do with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These levels speak.
    Speaks(Variant),
    /// An override switches the rule off here.
    Off,
    /// It is not for this device.
    NotFor,
}

/// A rule's verdict on a device, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained<'a> {
    pub rule: &'a Rule,
    pub verdict: Verdict,
    pub why: String,
}

impl RuleSet {
    /// Every rule's verdict on a device, in the order of the file.
    pub fn explain<'a>(
        &'a self,
        device: &'a DeviceId,
        placement: &'a Placement,
    ) -> impl Iterator<Item = Explained<'a>> {
        self.iter().map(|rule| explain(rule, device, placement))
    }
}

fn explain<'a>(rule: &'a Rule, device: &DeviceId, placement: &Placement) -> Explained<'a> {
    if let Some(kind) = rule.kind.filter(|kind| *kind != placement.kind) {
        let why = format!("it is for {kind}s, this is a {}", placement.kind);
        return Explained { rule, verdict: Verdict::NotFor, why };
    }
    if let Some(why) = rule.select.objection(device, placement) {
        return Explained { rule, verdict: Verdict::NotFor, why };
    }
    if let Some(kind) = rule.group
        && rule.group_of(placement).is_none()
    {
        let why = format!("it is about the devices of a {kind}, and this one counts to none");
        return Explained { rule, verdict: Verdict::NotFor, why };
    }
    let Some((index, chosen)) = rule.chosen_override(device, placement) else {
        let why = match rule.overrides.len() {
            0 => "the rule's own levels".to_owned(),
            n => format!("the rule's own levels: none of its {n} overrides is for this device"),
        };
        return Explained { rule, verdict: Verdict::Speaks(Variant(0)), why };
    };
    let fitting = rule.overrides.iter().filter(|found| found.select.selects(device, placement)).count();
    let why = chosen_because(&chosen.select, fitting);
    let speaks = Verdict::Speaks(Variant(index as u8 + 1));
    Explained { rule, verdict: if chosen.levels.is_empty() { Verdict::Off } else { speaks }, why }
}

fn chosen_because(chosen: &Selector, fitting: usize) -> String {
    let mut parts = Vec::new();
    if !chosen.devices.is_empty() {
        parts.push(format!("devices {}", list(&chosen.devices)));
    }
    if !chosen.zones.is_empty() {
        parts.push(format!("zones {}", list(&chosen.zones)));
    }
    if !chosen.tags.is_empty() {
        parts.push(format!("tags {}", list(&chosen.tags)));
    }
    if !chosen.zone_classes.is_empty() {
        parts.push(format!("zone classes {}", list(&chosen.zone_classes)));
    }
    let among =
        if fitting > 1 { format!(", the most particular of {fitting} that fit") } else { String::new() };
    format!("the override for {}{among}", parts.join(" and "))
}
