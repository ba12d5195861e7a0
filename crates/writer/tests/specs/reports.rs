//! What residents report, how a case comes of it, and how it is forgotten.

use std::sync::Arc;

use sanimon_domain::time::DAY_MS;
use sanimon_domain::{AlertId, Condition, DeviceNo, ReportCategory, Severity, TimestampMs, metric};
use sanimon_operations::lifecycle::Action;
use sanimon_store::{NewReport, Place, PlaceCode, Report};
use sanimon_writer::{Input, MakePlaceCodes, RateReport, Refusal, TakeReport, TakeStep};

use crate::say::{START, fill, minutes, rising, rule};
use crate::site::Site;

const NOW: TimestampMs = TimestampMs(START.0 + DAY_MS);

/// Said at the place with this code.
pub(crate) fn report(code: &str, token: &str) -> NewReport {
    NewReport {
        token: token.to_owned(),
        code: code.to_owned(),
        language: "zh".to_owned(),
        category: ReportCategory::Smell,
        text: Some("it smells".to_owned()),
        photo: Some(Arc::from([0xFF, 0xD8].as_slice())),
        title: ["Report".to_owned(), "上报".to_owned()],
    }
}

/// Two bins that are half full, each with a sign.
fn town() -> Site {
    let full = rule("full", metric::FILL_PCT, vec![rising(Severity::Critical, 90.0, 80.0)]);
    let mut site = Site::with_rules(vec![full]);
    site.hear(&[fill("b-0", 50.0, minutes(0)), fill("b-1", 50.0, minutes(0))]);
    let code =
        |(code, no): (&str, u32)| PlaceCode { code: code.to_owned(), place: Place::Device(DeviceNo(no)) };
    site.ask(NOW, MakePlaceCodes([("c-0", 0), ("c-1", 1)].map(code).into()));
    site
}

impl Site {
    fn report(&self, token: &str) -> Report {
        self.shared().report(token).expect("an answer").expect("the report")
    }

    /// All that the history of an alert says.
    fn told(&self, alert: AlertId) -> String {
        let (_, steps) = self.shared().alert(alert).expect("an answer").expect("the case");
        steps.into_iter().filter_map(|step| step.note).collect()
    }
}

#[test]
fn reports_of_one_place_join_one_case_and_those_of_another_do_not() {
    let mut site = town();
    let mut case_of = |code, token| site.ask(NOW, TakeReport(report(code, token))).alert;
    let cases = [case_of("c-0", "t-1"), case_of("c-0", "t-2"), case_of("c-1", "t-3")];
    assert_eq!(cases, [AlertId(1), AlertId(1), AlertId(2)]);
    assert_eq!(site.shared().reports_of(AlertId(1)).expect("reports").len(), 2);
    let refused = site.try_ask(NOW, TakeReport(report("c-9", "t-4"))).expect_err("no such place");
    assert!(matches!(refused, Refusal::NotFound { what: "place", .. }), "{refused:?}");
    assert_eq!(site.alerts().len(), 2);
}

#[test]
fn a_report_joins_what_a_sensor_has_raised_at_its_place() {
    let mut site = town();
    site.hear(&[fill("b-0", 95.0, NOW)]);
    assert_eq!(site.ask(NOW, TakeReport(report("c-0", "t-1"))).alert, AlertId(1));
    let alerts = site.alerts();
    assert_eq!((alerts.len(), alerts[0].severity, alerts[0].is_report), (1, Severity::Critical, false));
}

#[test]
fn what_was_written_and_shown_is_forgotten_after_its_time_and_the_case_stays() {
    let mut site = town();
    let made = site.ask(NOW, TakeReport(report("c-0", "t-1")));
    assert!(made.has_photo && made.text.is_some());
    let kept_until = NOW.plus_ms(site.options.reports_kept_ms);
    site.apply(kept_until, Input::Tidy);
    assert_eq!(site.report("t-1"), made);
    site.apply(kept_until.plus_ms(1), Input::Tidy);
    let left = site.report("t-1");
    assert_eq!((left.has_photo, left.text, left.category), (false, None, ReportCategory::Smell));
    assert_eq!(site.shared().report_photo(left.id).expect("an answer"), None);
    // The history is for ever, so it must not say what was written.
    assert!(!site.told(made.alert).contains("it smells"), "{}", site.told(made.alert));
}

#[test]
fn satisfaction_is_said_once_and_only_of_what_is_closed() {
    let mut site = town();
    let alert = site.ask(NOW, TakeReport(report("c-0", "t-1"))).alert;
    let rate = |satisfaction| RateReport { token: "t-1".to_owned(), satisfaction };
    assert!(site.try_ask(NOW, rate(5)).is_err(), "it is open");
    let note = Some("a test".to_owned());
    let closed = site.ask(NOW, TakeStep { note, ..TakeStep::new(alert, Action::Dismiss) });
    assert_eq!(closed.condition, Condition::Cleared);
    site.ask(NOW, rate(4));
    assert!(site.try_ask(NOW, rate(1)).is_err(), "said already");
    assert_eq!(site.report("t-1").satisfaction, Some(4));
}
