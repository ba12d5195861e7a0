//! Silent devices over restarts: what counts as a word, and whose silence the site's own absence is.

use sanimon_alerting::{Rule, Watch};
use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{DeviceNo, Severity, metric};
use sanimon_store::Device;

use crate::disk::full_at_commits;
use crate::say::{START, fill, minutes, rising, rule};
use crate::site::Site;
use crate::uplink::{EUI, UP, distance, uplink};

/// Bins are silent after three intervals.
fn site() -> Site {
    let levels = vec![rising(Severity::Minor, 3.0, 1.0)];
    Site::with_rules(vec![Rule { watch: Watch::Silence, ..rule("bin_silence", metric::SILENCE_MIN, levels) }])
}

impl Site {
    fn expects_every_3_min(&mut self, name: &str) {
        self.put(Device { interval_ms: Some(3 * MINUTE_MS), ..self.device(name) });
    }

    fn silent(&self) -> Vec<DeviceNo> {
        self.alerts().into_iter().filter_map(|alert| alert.subject.device()).collect()
    }
}

#[test]
fn a_word_that_was_no_reading_is_remembered_over_a_restart() {
    let mut site = site();
    site.hear_uplink(UP, &uplink(START, 4, &distance(900)), START);
    site.expects_every_3_min(EUI);
    // The same uplink again: no reading, and the device spoke.
    site.hear_uplink(UP, &uplink(minutes(8), 4, &distance(900)), minutes(8));
    site.hear(&[fill("b-2", 10.0, minutes(8))]);
    site.restarts(minutes(8));
    site.waits_until(minutes(16));
    assert!(site.silent().is_empty(), "{:?}", site.silent());
    site.waits_until(minutes(17));
    assert_eq!(site.silent().len(), 1);
}

#[test]
fn the_time_in_which_the_site_was_down_is_nobodys_silence() {
    let mut site = site();
    site.hear(&[fill("b-1", 10.0, minutes(0))]);
    site.expects_every_3_min("b-1");
    site.hear(&[fill("b-2", 10.0, minutes(4))]);
    // Down for ten hours; b-1 had been quiet for four minutes before.
    site.restarts(minutes(604));
    site.waits_until(minutes(608));
    assert!(site.silent().is_empty(), "{:?}", site.silent());
    site.waits_until(minutes(609));
    assert_eq!(site.silent().len(), 1);
}

#[test]
fn nor_is_the_time_in_which_its_disk_refused() {
    let mut site = site();
    site.hear(&[fill("b-1", 10.0, minutes(0))]);
    site.expects_every_3_min("b-1");
    site.fails(full_at_commits(1));
    let refused = site.group(&[fill("b-2", 10.0, minutes(4))]);
    site.is_held_at(minutes(4), refused);
    // Refused for ten hours; b-1 had been quiet for four minutes before.
    site.recovers(minutes(604));
    site.waits_until(minutes(608));
    assert!(site.silent().is_empty(), "{:?}", site.silent());
    site.waits_until(minutes(609));
    assert_eq!(site.silent().len(), 1);
}
