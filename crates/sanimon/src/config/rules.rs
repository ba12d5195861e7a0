//! `rules.toml`.

use sanimon_alerting::{Direction, Level, Override, Rule, RuleSet, Selector, Watch};
use sanimon_domain::Title;
use sanimon_domain::{
    DeviceId, DeviceKind, GroupKind, MetricNo, Quality, RuleId, Severity, ZoneClass, ZoneId, metric,
};

use super::hours::Calendars;
use super::reader::{ConfigFault, Document, Section, duration_ms};

/// The rules that come with sanimon: the defaults of the domain.
pub(crate) const DEFAULT_RULES: &str = include_str!("../../../../config/rules.toml");

/// The defaults, which a test keeps sound.
pub(crate) fn default_rules() -> Result<RuleSet, Vec<ConfigFault>> {
    read(Document::of("the built-in rules.toml", DEFAULT_RULES))
}

/// Reads rules and their calendars. What is wrong among several of them is told at the rule's line.
pub(crate) fn read(mut document: Document) -> Result<RuleSet, Vec<ConfigFault>> {
    let rules = document.parse(|root| {
        let calendars = Calendars::read(root);
        root.tables("rule", |section| (section.line, rule(section, &calendars)))
    });
    if !document.faults.is_empty() {
        return Err(document.faults);
    }
    let (lines, rules): (Vec<usize>, Vec<Option<Rule>>) = rules.unwrap_or_default().into_iter().unzip();
    RuleSet::new(rules.into_iter().flatten().collect()).map_err(|faults| {
        let line = |index: usize| lines.get(index).copied().unwrap_or(0);
        let named = |fault: sanimon_alerting::RuleFault| ConfigFault {
            file: document.file.clone(),
            line: line(fault.index),
            message: fault.to_string(),
        };
        faults.into_iter().map(named).collect()
    })
}

fn rule(section: &mut Section<'_>, calendars: &Calendars) -> Option<Rule> {
    let id = section.text_required("id").and_then(|(text, line)| {
        RuleId::new(&text).map_err(|error| section.fault(line, format!("`id`: {error}"))).ok()
    });
    let title = title(section);
    let group = section.parsed("group", "zone or gateway", GroupKind::parse);
    let has_kind = section.text("kind").is_some();
    if !has_kind && group.is_none() {
        section.fault(section.line, "`kind` is missing: write bin, drain or toilet");
    }
    let kind = section.parsed("kind", "bin, drain or toilet", DeviceKind::parse);
    let watch = watch(section);
    let metric = match watch.map(Watch::own_metric) {
        Some(Some(own)) => Some(own),
        _ => watched_metric(section),
    };
    let select = selector(section);
    let quality = section.parsed("quality", "good or suspect", |text| {
        Quality::parse(text).filter(|quality| *quality != Quality::Bad)
    });
    let counts = section.all_parsed("counts", "the id of a rule", |text| RuleId::new(text).ok());
    let replaces = section.all_parsed("replaces", "the id of a rule", |text| RuleId::new(text).ok());
    let hours = calendars.hours(section);
    let gap_ms = section.parsed("gap", "a duration such as 30m", duration_ms).unwrap_or(0);
    let overrides = section.tables("override", rule_override).into_iter().collect::<Option<Vec<Override>>>();
    let levels = section.tables("level", level).into_iter().collect::<Option<Vec<Level>>>();
    if !has_kind && group.is_none() {
        return None;
    }
    Some(Rule {
        id: id?,
        title: title?,
        kind,
        metric: metric?,
        select,
        quality: quality.unwrap_or(Quality::Good),
        watch: watch?,
        group,
        counts,
        replaces,
        levels: levels?,
        overrides: overrides?,
        hours,
        gap_ms,
    })
}

/// `title = { en = "...", zh = "..." }`
pub(super) fn title(section: &mut Section<'_>) -> Option<Title> {
    both_languages(section, "title").map(|[en, zh]| Title { en, zh })
}

/// A text in English and Chinese.
pub(super) fn both_languages(section: &mut Section<'_>, key: &str) -> Option<[String; 2]> {
    let texts = section.table(key, |texts| {
        let en = texts.text_required("en").map(|(text, _)| text);
        let zh = texts.text_required("zh").map(|(text, _)| text);
        Some([en?, zh?])
    });
    if texts.is_none() {
        let message = format!("`{key}` is missing: write {key} = {{ en = \"...\", zh = \"...\" }}");
        section.fault(section.line, message);
    }
    texts?
}

fn selector(section: &mut Section<'_>) -> Selector {
    Selector {
        zones: zones(section),
        zone_classes: zone_classes(section),
        tags: section.texts("tags").into_iter().map(|(tag, _)| tag).collect(),
        devices: section.all_parsed("devices", "the id of a device", |text| DeviceId::new(text).ok()),
    }
}

pub(super) fn zones(section: &mut Section<'_>) -> Vec<ZoneId> {
    section.all_parsed("zones", "the id of a zone", |text| ZoneId::new(text).ok())
}

pub(super) fn zone_classes(section: &mut Section<'_>) -> Vec<ZoneClass> {
    let classes = "market, old_residential, dense, street, school, scenic or village";
    section.all_parsed("zone_classes", classes, ZoneClass::parse)
}

/// `"yes"` or `"no"`; left out: no.
pub(super) fn is_yes(section: &mut Section<'_>, key: &str) -> bool {
    let said = section.parsed(key, "\"yes\" or \"no\"", |text| match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    });
    said.unwrap_or(false)
}

/// Other levels for some devices, or none at all.
fn rule_override(section: &mut Section<'_>) -> Option<Override> {
    let select = selector(section);
    let is_off = is_yes(section, "off");
    let levels = section.tables("level", level).into_iter().collect::<Option<Vec<Level>>>()?;
    if is_off != levels.is_empty() {
        let message = "an override has levels of its own, or says off = \"yes\": one of the two";
        section.fault(section.line, message);
        return None;
    }
    Some(Override { select, levels })
}

/// What the rule's levels are compared with; without `condition`, the value itself.
fn watch(section: &mut Section<'_>) -> Option<Watch> {
    let within_ms = section.parsed("within", "a duration such as 10m or 2h", duration_ms);
    let at_least = section.parsed("at_least", "critical, major, minor or warning", Severity::parse);
    let share = is_yes(section, "share");
    let until = section.parsed("until", "a number such as \"100\"", |text| text.parse::<f64>().ok());
    if section.text("condition").is_none() {
        return Some(Watch::Value);
    }
    section.parsed("condition", "threshold, rate, silence, stuck, forecast or count", |text| match text {
        "threshold" => Some(Watch::Value),
        // Without `within` there is no time in which something could change: the rule set refuses that.
        "rate" => Some(Watch::Rate { within_ms: within_ms.unwrap_or(0) }),
        "silence" => Some(Watch::Silence),
        "stuck" => Some(Watch::Stuck),
        "forecast" => Some(Watch::Forecast { until: until.unwrap_or(100.0) }),
        "count" => Some(Watch::Count { at_least: at_least.unwrap_or(Severity::Warning), share }),
        _ => None,
    })
}

fn watched_metric(section: &mut Section<'_>) -> Option<MetricNo> {
    if section.text("metric").is_none() {
        section.fault(section.line, "`metric` is missing: write one of the list, such as fill_pct");
    }
    let expected = "a metric of the list (GET /api/v1/metrics), such as fill_pct";
    section.parsed("metric", expected, metric::by_name)
}

fn level(section: &mut Section<'_>) -> Option<Level> {
    for key in ["severity", "raise", "clear"] {
        if section.text(key).is_none() {
            section.fault(section.line, format!("`{key}` is missing in this level"));
        }
    }
    let severity = section.parsed("severity", "critical, major, minor or warning", Severity::parse);
    let raise = section.parsed("raise", "`>= 75` or `<= 10`", |text| bound(text, ">=", "<="));
    let clear = section.parsed("clear", "`< 60` for a level that rises, `> 15` for one that falls", |text| {
        bound(text, "<", ">")
    });
    let for_ms = match section.text("for") {
        None => Some(0),
        Some(_) => section.parsed("for", "a duration such as 30s, 10m or 4h", duration_ms),
    };
    let ((direction, raise), (clears, clear)) = (raise?, clear?);
    if direction != clears {
        section.fault(
            section.line,
            "`raise` and `clear` point the same way: `>= 75` goes with `< 60`, `<= 10` with `> 15`",
        );
        return None;
    }
    Some(Level { severity: severity?, direction, raise, clear, for_ms: for_ms? })
}

/// A comparison and its number; the first sign belongs to a rising level.
fn bound(text: &str, rising: &str, falling: &str) -> Option<(Direction, f64)> {
    let number = |rest: &str| rest.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let text = text.trim();
    match text.strip_prefix(rising) {
        Some(rest) => Some((Direction::Rising, number(rest)?)),
        None => Some((Direction::Falling, number(text.strip_prefix(falling)?)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = read(Document::of("r.toml", text)).expect_err("faults");
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_rules_that_come_with_sanimon_are_sound() {
        let rules = default_rules().expect("sound rules");
        assert!(rules.len() >= 19, "{}", rules.len());
        for kind in DeviceKind::ALL {
            assert!(rules.iter().any(|rule| rule.kind == Some(*kind)), "{kind}");
        }
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let text = "[[rule]]\nid = \"a b\"\ntitle = { en = \"x\" }\nkind = \"lamp\"\nmetric = \"no_such\"\ncolour = 1\n\
                    [[rule.level]]\nseverity = \"bad\"\nraise = \"75\"\nclear = \"< 60\"\n";
        let found = faults(text);
        for expected in [
            "r.toml:2: `id`",
            "r.toml:3: `rule.title.zh` is missing",
            "r.toml:4: ",
            "r.toml:5: ",
            "r.toml:6: `rule.colour` is not known",
            "r.toml:8: ",
            "r.toml:9: ",
        ] {
            assert!(found.iter().any(|fault| fault.starts_with(expected)), "{expected} in {found:#?}");
        }
    }

    #[test]
    fn a_level_that_clears_on_the_wrong_side_is_refused_at_its_rule() {
        let text = "[[rule]]\nid = \"a\"\ntitle = { en = \"x\", zh = \"y\" }\nkind = \"bin\"\nmetric = \"fill_pct\"\n\
                    [[rule.level]]\nseverity = \"minor\"\nraise = \">= 75\"\nclear = \"< 80\"\n";
        assert!(
            faults(text)[0].starts_with("r.toml:1: rule `a`: the minor level clears at 80"),
            "{:?}",
            faults(text)
        );
    }

    fn rule_with(lines: &str, raise: &str) -> String {
        format!(
            "[[rule]]\nid = \"a\"\ntitle = {{ en = \"x\", zh = \"y\" }}\nkind = \"bin\"\n{lines}\n\
             [[rule.level]]\nseverity = \"minor\"\nraise = \"{raise}\"\nclear = \"< 0.5\"\n"
        )
    }

    #[test]
    fn a_rule_says_what_its_levels_are_compared_with() {
        let watch = |lines: &str| {
            let rules = read(Document::of("r.toml", &rule_with(lines, ">= 3"))).expect("sound rules");
            rules.iter().map(|rule| (rule.watch, rule.metric)).next().expect("one rule")
        };
        let temperature = metric::by_name("temperature_c").expect("of the table");
        assert_eq!(watch("metric = \"temperature_c\""), (Watch::Value, temperature));
        let rate = "condition = \"rate\"\nwithin = \"10m\"\nmetric = \"temperature_c\"";
        assert_eq!(watch(rate), (Watch::Rate { within_ms: 600_000 }, temperature));
        let stuck = "condition = \"stuck\"\nmetric = \"temperature_c\"";
        assert_eq!(watch(stuck), (Watch::Stuck, temperature));
        assert_eq!(watch("condition = \"silence\""), (Watch::Silence, metric::SILENCE_MIN));
    }

    #[test]
    fn a_condition_that_could_never_be_meant_is_refused_with_what_to_write() {
        let fault = |lines: &str, raise: &str| faults(&rule_with(lines, raise)).join("; ");
        let metric = "metric = \"temperature_c\"";
        assert!(fault(&format!("condition = \"rate\"\n{metric}"), ">= 3").contains("`within = \"10m\"`"));
        assert!(fault("condition = \"silence\"", ">= 0.5").contains("`raise = \">= 3\"`"));
        assert!(
            fault("condition = \"sudden\"", ">= 3")
                .contains("threshold, rate, silence, stuck, forecast or count")
        );
        assert!(fault("condition = \"rate\"\nwithin = \"10m\"", ">= 3").contains("`metric` is missing"));
    }

    #[test]
    fn a_syntax_error_is_named_with_its_line() {
        assert!(
            faults("[[rule]]\nid = \n")[0].starts_with("r.toml:2: "),
            "{:?}",
            faults("[[rule]]\nid = \n")
        );
    }
}
