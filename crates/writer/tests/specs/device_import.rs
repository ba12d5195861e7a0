//! A large table of devices: entered in steps, seen at once or not at all.

use std::sync::atomic::Ordering;

use sanimon_domain::{DeviceKind, HardwareId};
use sanimon_store::{Device, DeviceState};
use sanimon_writer::{
    AdoptDevices, Ask, DiscardImport, Input, KNOWN_DEVICES_PER_IMPORT_MAX, Refusal, RetireDevice,
    StageDevices, WriteImport,
};

use crate::disk::{FULL, fails_once_at};
use crate::look::id;
use crate::say::{START, fill, minutes};
use crate::site::{End, Site, entry};

fn device(name: &str, hardware: Option<&str>) -> Device {
    let hardware_id = hardware.map(|text| HardwareId::new(text).expect("sound"));
    let state = DeviceState::Registered;
    Device {
        state,
        hardware_id,
        name: format!("bin {name}"),
        ..Device::new(id(name), DeviceKind::Bin, START)
    }
}

fn table() -> Vec<Device> {
    (0..5).map(|n| device(&format!("n-{n}"), Some(&format!("hw-{n}")))).collect()
}

impl Site {
    fn stages(&mut self, devices: &[Device]) -> i64 {
        let first = self.ask(START, StageDevices { import_no: None, devices: devices[..2].to_vec() });
        for rest in devices[2..].chunks(2) {
            let again = self.ask(START, StageDevices { import_no: Some(first), devices: rest.to_vec() });
            assert_eq!(again, first);
        }
        first
    }

    fn seen(&self) -> Vec<(String, Option<String>)> {
        let directory = self.shared().directory.read();
        let seen = directory.devices().iter().filter(|device| device.state != DeviceState::Retired);
        let mut seen: Vec<_> = seen
            .map(|device| (device.id.to_string(), device.hardware_id.as_ref().map(ToString::to_string)))
            .collect();
        seen.sort();
        seen
    }

    fn writes_rows(&mut self) {
        self.apply(START, Input::Tidy);
    }

    fn audited(&self) -> usize {
        self.shared().audit(None, 100).expect("a page").items.len()
    }
}

fn all() -> Vec<(String, Option<String>)> {
    table()
        .iter()
        .map(|device| (device.id.to_string(), device.hardware_id.as_ref().map(ToString::to_string)))
        .collect()
}

#[test]
fn it_is_seen_at_once_has_one_entry_in_the_log_and_is_there_after_a_restart_at_any_time() {
    let mut site = Site::new();
    let import_no = site.stages(&table());
    assert_eq!((site.seen(), site.audited()), (Vec::new(), 0), "its steps are not seen");
    site.ask(START, AdoptDevices { import_no, devices: table() });
    assert_eq!((site.seen(), site.audited()), (all(), 1));
    // Its rows are not yet as they are.
    assert_eq!(site.number("SELECT count(*) FROM device WHERE state = 'registered'"), 0);
    site.restarts(START);
    assert_eq!(site.seen(), all());
    site.writes_rows();
    assert_eq!(
        site.number("SELECT count(*) FROM device WHERE state = 'registered' AND import_no IS NULL"),
        5
    );
    site.restarts(START);
    assert_eq!(site.seen(), all());
    // The next one is no other than the first one.
    let import_no = site.stages(&[device("m-1", None), device("m-2", None)]);
    site.ask(START, AdoptDevices { import_no, devices: vec![device("m-1", None), device("m-2", None)] });
    assert_eq!(site.seen().len(), 7);
}

#[test]
fn messages_are_taken_between_its_steps_and_a_device_that_they_discover_keeps_its_readings() {
    let mut site = Site::new();
    let table = table();
    let import_no = site.ask(START, StageDevices { import_no: None, devices: table[..2].to_vec() });
    // One that was entered, one that is going to be, and a stranger.
    site.hear(&[fill("n-0", 10.0, minutes(1)), fill("n-4", 40.0, minutes(1)), fill("x-1", 70.0, minutes(1))]);
    site.ask(START, StageDevices { import_no: Some(import_no), devices: table[2..].to_vec() });
    site.ask(START, AdoptDevices { import_no, devices: table });
    let mut expected = all();
    expected.push(("x-1".to_owned(), None));
    assert_eq!(site.seen(), expected);
    for _ in 0..2 {
        assert_eq!(
            (site.values("n-0", "fill_pct"), site.values("n-4", "fill_pct")),
            (vec![10.0], vec![40.0])
        );
        assert_eq!(site.device("n-4").name, "bin n-4");
        site.writes_rows();
        site.restarts(START);
        assert_eq!(site.seen(), expected);
    }
}

#[test]
fn what_did_not_come_into_force_before_a_restart_is_gone_and_its_names_are_free() {
    let mut site = Site::new();
    let import_no = site.stages(&table());
    site.restarts(START);
    assert_eq!(site.seen(), Vec::new());
    site.hear(&[fill("n-0", 10.0, minutes(1))]);
    assert_eq!(site.seen(), [("n-0".to_owned(), None)], "it is discovered like any other");
    // Whoever asks for the end of it gets all of the table, or a refusal.
    site.ask(START, AdoptDevices { import_no, devices: table() });
    assert_eq!(site.seen(), all());
    assert_eq!(site.values("n-0", "fill_pct"), [10.0]);
}

#[test]
fn a_retired_device_of_the_table_keeps_its_history_whatever_becomes_of_the_table() {
    let mut site = Site::new();
    site.put(device("n-0", None));
    site.hear(&[fill("n-0", 10.0, minutes(1))]);
    site.ask(minutes(2), RetireDevice(id("n-0")));
    site.stages(&table());
    site.restarts(minutes(3));
    assert_eq!(
        (site.device("n-0").state, site.values("n-0", "fill_pct")),
        (DeviceState::Retired, vec![10.0])
    );
    let import_no = site.stages(&table());
    site.ask(minutes(4), AdoptDevices { import_no, devices: table() });
    assert_eq!((site.seen(), site.values("n-0", "fill_pct")), (all(), vec![10.0]));
}

#[test]
fn a_device_that_was_heard_while_a_table_came_to_nothing_is_discovered_with_its_readings() {
    for is_restarted in [false, true] {
        let mut site = Site::new();
        let import_no = site.stages(&table());
        site.hear(&[fill("n-3", 30.0, minutes(1))]);
        if is_restarted {
            site.restarts(minutes(2));
        } else {
            assert_eq!(site.ask(minutes(2), DiscardImport { import_no }), 0);
        }
        for _ in 0..2 {
            assert_eq!(site.seen(), [("n-3".to_owned(), None)]);
            assert_eq!(site.values("n-3", "fill_pct"), [30.0]);
            site.restarts(minutes(3));
        }
        // All other names are free.
        site.hear(&[fill("n-1", 11.0, minutes(4))]);
        assert_eq!(site.device("n-1").state, DeviceState::Discovered);
        let import_no = site.stages(&table());
        site.ask(minutes(5), AdoptDevices { import_no, devices: table() });
        assert_eq!((site.seen(), site.values("n-3", "fill_pct")), (all(), vec![30.0]));
    }
}

#[test]
fn the_same_table_again_changes_nothing() {
    let mut site = Site::new();
    let import_no = site.stages(&table());
    site.ask(START, AdoptDevices { import_no, devices: table() });
    assert_eq!(site.ask(START, WriteImport), 0, "that was all");
    let rows = site.rows();
    let import_no = site.stages(&table());
    site.ask(minutes(1), AdoptDevices { import_no, devices: table() });
    assert_eq!(site.rows().differences(&rows), ["audit", "meta"]);
    assert_eq!(site.seen(), all());
}

#[test]
fn a_device_that_somebody_changes_between_its_steps_is_as_the_table_says_in_the_end() {
    let mut site = Site::new();
    let import_no = site.stages(&table());
    site.ask(START, RetireDevice(id("n-1")));
    site.ask(START, AdoptDevices { import_no, devices: table() });
    for _ in 0..2 {
        assert_eq!(site.seen(), all());
        site.writes_rows();
        site.restarts(START);
    }
    // Changed before its row was written: the change stays.
    let import_no = site.stages(&[device("m-1", None), device("m-2", None)]);
    site.ask(START, AdoptDevices { import_no, devices: vec![device("m-1", None), device("m-2", None)] });
    site.ask(START, RetireDevice(id("m-1")));
    site.restarts(START);
    site.writes_rows();
    site.restarts(START);
    assert!(!site.seen().iter().any(|(name, _)| name == "m-1"));
}

#[test]
fn hardware_goes_from_one_device_to_another_and_is_never_with_two() {
    let mut site = Site::new();
    site.put(device("old", Some("hw-1")));
    let import_no = site.stages(&table());
    let refused = site.try_ask(START, AdoptDevices { import_no, devices: table() });
    assert!(matches!(refused, Err(Refusal::HardwareTaken { .. })), "{refused:?}");
    assert_eq!(site.seen().len(), 1, "nothing of it is seen");
    let mut with_old = table();
    with_old.push(device("old", Some("hw-new")));
    site.ask(START, AdoptDevices { import_no, devices: with_old });
    for _ in 0..2 {
        assert_eq!(site.seen().len(), 6);
        assert_eq!(site.device("n-1").hardware_id, HardwareId::new("hw-1").ok());
        assert_eq!(site.device("old").hardware_id, HardwareId::new("hw-new").ok());
        site.writes_rows();
        site.restarts(START);
    }
}

#[test]
fn another_one_waits_until_its_rows_are_written_and_too_many_changes_are_refused() {
    let mut site = Site::new();
    let import_no = site.stages(&table());
    site.ask(START, AdoptDevices { import_no, devices: table() });
    let refused = site.try_ask(START, StageDevices { import_no: None, devices: table() });
    assert!(matches!(refused, Err(Refusal::Conflict(_))), "{refused:?}");
    site.writes_rows();
    let many: Vec<Device> =
        (0..=KNOWN_DEVICES_PER_IMPORT_MAX).map(|n| device(&format!("k-{n}"), None)).collect();
    let refused = site.try_ask(START, AdoptDevices { import_no: 99, devices: many });
    assert!(
        matches!(&refused, Err(Refusal::Conflict(text)) if text.contains("split the table")),
        "{refused:?}"
    );
}

#[test]
fn a_disk_that_is_full_at_any_statement_of_any_step_leaves_all_of_it_or_nothing() {
    for place in 0.. {
        let mut site = Site::new();
        let (plan, has_failed) = fails_once_at(place, FULL, |_| true);
        let mut import_no = None;
        let mut steps: Vec<_> = Vec::new();
        for step in table().chunks(2) {
            steps.push(step.to_vec());
        }
        site.fails(plan);
        let mut told_no = false;
        for devices in steps {
            let input = Input::Command(entry(START), StageDevices { import_no, devices }.command());
            let (end, answer) = site.try_apply(START, input);
            import_no = answer.expect("an answer").ok().and_then(StageDevices::answer).or(import_no);
            if end == End::Held {
                told_no = true;
                break;
            }
        }
        if !told_no {
            let adopt = AdoptDevices { import_no: import_no.expect("a number"), devices: table() };
            told_no = site.try_apply(START, Input::Command(entry(START), adopt.command())).0 == End::Held;
        }
        site.heals();
        if told_no {
            site.recovers(START);
        }
        let expected = if told_no { Vec::new() } else { all() };
        assert_eq!(site.seen(), expected, "statement {place}");
        site.restarts(START);
        assert_eq!(site.seen(), expected, "statement {place}, after a restart");
        if !has_failed.load(Ordering::Relaxed) {
            assert!(place > 20, "{place}");
            break;
        }
    }
}
