//! A rule: what it looks at, for which devices, and when it speaks.

use sanimon_domain::{
    DeviceId, DeviceKind, GroupKind, Hours, MetricNo, Placement, Quality, RuleId, SiteCalendar, TimestampMs,
    Title, ZoneId,
};

use crate::level::Level;
use crate::select::Selector;
use crate::watch::Watch;

/// A rule. One alert at most is open for a rule and device; its severity is that of the worst
/// active level, so a bin that goes from 75 % to 99 % is one alert that grows, not three.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub id: RuleId,
    pub title: Title,
    /// `None`: every kind.
    pub kind: Option<DeviceKind>,
    pub metric: MetricNo,
    pub select: Selector,
    /// Which readings it looks at: good ones, or suspect ones, too.
    pub quality: Quality,
    /// What the levels are compared with. Some watches have a metric of their own ([`Watch::own_metric`]).
    pub watch: Watch,
    /// One alert for all devices that share their zone or gateway, instead of one a device.
    pub group: Option<GroupKind>,
    /// With [`Watch::Count`]: whose alerts are counted.
    pub counts: Vec<RuleId>,
    /// A group's alert stands for those of its devices by these rules.
    pub replaces: Vec<RuleId>,
    pub levels: Vec<Level>,
    pub overrides: Vec<Override>,
    /// When it raises; outside, it waits. `None`: day and night.
    pub hours: Option<Hours>,
    /// After an alert has cleared, no new one is raised for this long.
    pub gap_ms: i64,
}

/// Other levels for some of a rule's devices. Of several that fit a device the most particular one speaks
/// ([`Selector::rank`]), and the later one of equals.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    pub select: Selector,
    /// Empty: the rule does not look at these devices.
    pub levels: Vec<Level>,
}

/// Whose levels speak for a device: the rule's own, or those of one of its overrides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Variant(pub u8);

impl Rule {
    /// A rule that looks at the values of all devices of a kind, day and night.
    pub fn new(id: RuleId, title: Title, kind: DeviceKind, metric: MetricNo, levels: Vec<Level>) -> Self {
        Self {
            id,
            title,
            kind: Some(kind),
            metric,
            select: Selector::default(),
            quality: Quality::Good,
            watch: Watch::Value,
            group: None,
            counts: Vec::new(),
            replaces: Vec::new(),
            levels,
            overrides: Vec::new(),
            hours: None,
            gap_ms: 0,
        }
    }

    /// Whether a reading of this quality is shown to the rule. Bad ones are shown to none.
    pub const fn accepts(&self, quality: Quality) -> bool {
        match quality {
            Quality::Good => true,
            Quality::Suspect => matches!(self.quality, Quality::Suspect),
            Quality::Bad => false,
        }
    }

    /// Whether the rule is for this device, as the registry places it; an override may have switched it off.
    pub fn selects(&self, device: &DeviceId, placement: &Placement) -> bool {
        self.kind.is_none_or(|kind| kind == placement.kind) && self.select.selects(device, placement)
    }

    /// Whose levels speak for a device that it selects; `None`: it is switched off there.
    pub fn variant(&self, device: &DeviceId, placement: &Placement) -> Option<Variant> {
        if !self.selects(device, placement) {
            return None;
        }
        match self.chosen_override(device, placement) {
            None => Some(Variant(0)),
            Some((_, found)) if found.levels.is_empty() => None,
            Some((index, _)) => Some(Variant(index as u8 + 1)),
        }
    }

    /// The most particular override that fits a device, and its place.
    pub(crate) fn chosen_override(
        &self,
        device: &DeviceId,
        placement: &Placement,
    ) -> Option<(usize, &Override)> {
        let fitting = self.overrides.iter().enumerate().filter(|(_, o)| o.select.selects(device, placement));
        fitting.max_by_key(|(index, found)| (found.select.rank(), *index))
    }

    /// What its alerts tell.
    pub fn told_metric(&self) -> MetricNo {
        match self.watch {
            Watch::Forecast { .. } => sanimon_domain::metric::FULL_IN_H,
            _ => self.metric,
        }
    }

    pub fn levels_of(&self, variant: Variant) -> &[Level] {
        match usize::from(variant.0).checked_sub(1) {
            None => &self.levels,
            Some(index) => self.overrides.get(index).map_or(&[], |found| &found.levels),
        }
    }

    /// The group of this rule that a device belongs to.
    pub(crate) fn group_of<'a>(&self, placement: &'a Placement) -> Option<&'a str> {
        match self.group? {
            GroupKind::Gateway => placement.gateway.as_ref().map(sanimon_domain::GatewayId::as_str),
            // Who has a gateway is silent with that.
            GroupKind::Zone if self.watch == Watch::Silence && placement.gateway.is_some() => None,
            GroupKind::Zone => placement.zone.as_ref().map(ZoneId::as_str),
        }
    }

    /// The first instant from `at` on at which it may raise.
    pub(crate) fn open_from(&self, calendar: SiteCalendar, at: TimestampMs) -> TimestampMs {
        let Some(hours) = &self.hours else { return at };
        hours.next_from(calendar, at).unwrap_or(TimestampMs(i64::MAX))
    }
}
