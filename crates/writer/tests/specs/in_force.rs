//! Rules that people put in force while the site runs, or in its file.

use std::sync::Arc;

use sanimon_alerting::RuleSet;
use sanimon_domain::{Severity, metric};
use sanimon_store::NewRules;
use sanimon_writer::{Options, PutRules};

use crate::disk::full_at_commits;
use crate::say::{fill, minutes, rising, rule};
use crate::site::{Site, options};

fn rules(percent: f64) -> RuleSet {
    let levels = vec![rising(Severity::Major, percent, percent - 10.0)];
    RuleSet::new(vec![rule("full", metric::FILL_PCT, levels)]).expect("sound rules")
}

fn full_at(percent: f64) -> PutRules {
    PutRules { new: NewRules { rules: rules(percent), text: percent.to_string() }, document: None }
}

#[test]
fn rules_that_come_back_do_not_go_on_where_they_ended() {
    let mut site = Site::new();
    site.ask(minutes(0), full_at(80.0));
    site.hear(&[fill("b-1", 85.0, minutes(0))]);
    site.ask(minutes(1), full_at(99.0));
    site.hear(&[fill("b-1", 10.0, minutes(15))]);
    site.ask(minutes(16), full_at(80.0));
    site.waits_until(minutes(17));
    assert!(site.writer().open_alerts().is_empty(), "{:?}", site.alerts());
}

#[test]
fn nor_do_rules_that_a_file_had_lost_for_a_while() {
    let mut site = Site::new();
    let starts_with = |site: &mut Site, rules, minute| {
        site.options.rules = Arc::new(rules);
        site.restarts(minutes(minute));
    };
    starts_with(&mut site, rules(80.0), 0);
    site.hear(&[fill("b-1", 85.0, minutes(0))]);
    starts_with(&mut site, RuleSet::default(), 1);
    assert_eq!(site.number("SELECT count(*) FROM alert WHERE condition = 'active'"), 0);
    site.hear(&[fill("b-1", 10.0, minutes(15))]);
    starts_with(&mut site, rules(80.0), 16);
    site.waits_until(minutes(17));
    assert!(site.writer().open_alerts().is_empty(), "{:?}", site.alerts());
}

#[test]
fn rules_keep_their_version_when_memory_is_read_from_the_file_again() {
    let mut site = Site::with(Options { rules_text: Some("none".to_owned()), ..options(Vec::new()) });
    let version = site.ask(minutes(0), full_at(80.0));
    let input = site.group(&[fill("b-1", 85.0, minutes(1))]);
    site.fails(full_at_commits(1));
    site.is_held_at(minutes(1), input);
    site.recovers(minutes(2));
    assert_eq!(site.alerts()[0].rules_version, Some(version));
    assert_eq!(site.shared().standing.rules().version(), version);
    assert_eq!(site.number("SELECT count(*) FROM rules_version"), 2);
}
