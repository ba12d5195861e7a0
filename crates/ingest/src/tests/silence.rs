//! Silent devices over restarts: what counts as a word, and whose silence the site's own absence is.

use sanimon_alerting::{Direction, Level, Rule, Watch};
use sanimon_domain::Title;
use sanimon_domain::{DeviceKind, DeviceNo, RuleId, Severity};
use sanimon_store::AlertFilter;

use super::sensors::{EUI, UP, distance, minutes, uplink};
use super::*;

/// Bins are silent after three intervals.
fn rules() -> Arc<RuleSet> {
    let level =
        Level { severity: Severity::Minor, direction: Direction::Rising, raise: 3.0, clear: 1.0, for_ms: 0 };
    let title = Title { en: "Silent".into(), zh: "无数据".into() };
    let id = RuleId::new("bin_silence").expect("a sound id");
    let new = Rule::new(id, title, DeviceKind::Bin, metric::SILENCE_MIN, vec![level]);
    let rule = Rule { watch: Watch::Silence, ..new };
    Arc::new(RuleSet::new(vec![rule]).expect("sound rules"))
}

impl Site {
    fn restarted(self, now: TimestampMs) -> Self {
        let Self { backfill, _folder: folder } = self;
        drop(backfill.finish());
        let store = Store::open(folder.path(), None).expect("the store");
        let backfill = Backfill::start(store, rules(), Admission::default(), now).expect("a start");
        Self { backfill, _folder: folder }
    }

    /// Time passes, and nothing is heard.
    fn waits_until(&mut self, now: TimestampMs) {
        self.backfill.group(now, &[]).expect("a commit");
    }

    fn expects_every_3_min(&mut self, name: &str) {
        let device = Device { interval_ms: Some(3 * MINUTE_MS), ..self.device(name) };
        self.put(device);
    }

    fn silent(&self) -> Vec<DeviceNo> {
        let page = self.backfill.shared().alerts(&AlertFilter::default(), 100).expect("alerts");
        page.items.into_iter().filter_map(|alert| alert.subject.device()).collect()
    }
}

#[test]
fn a_word_that_was_no_reading_is_remembered_over_a_restart() {
    let mut site = Site::new();
    site.hear_raw(UP, &uplink(START, 4, &distance(900)), START);
    site.expects_every_3_min(EUI);
    // The same uplink again: no reading, and the device spoke.
    site.hear_raw(UP, &uplink(minutes(8), 4, &distance(900)), minutes(8));
    site.hear(&[message("sanitation/east/bin/b-2/telemetry", r#"{"fill_pct":10}"#, 8)]);
    let mut site = site.restarted(minutes(8));
    site.waits_until(minutes(16));
    assert!(site.silent().is_empty(), "{:?}", site.silent());
    site.waits_until(minutes(17));
    assert_eq!(site.silent().len(), 1);
}

#[test]
fn the_time_in_which_the_site_was_down_is_nobodys_silence() {
    let mut site = Site::new();
    site.hear(&[message("sanitation/east/bin/b-1/telemetry", r#"{"fill_pct":10}"#, 0)]);
    site.expects_every_3_min("b-1");
    site.hear(&[message("sanitation/east/bin/b-2/telemetry", r#"{"fill_pct":10}"#, 4)]);
    // Down for ten hours; b-1 had been quiet for four minutes before.
    let mut site = site.restarted(minutes(604));
    site.waits_until(minutes(608));
    assert!(site.silent().is_empty(), "{:?}", site.silent());
    site.waits_until(minutes(609));
    assert_eq!(site.silent().len(), 1);
}
