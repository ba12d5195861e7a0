//! Real sensors on their way in: envelopes, models, calibration, trust.

use sanimon_domain::{Calibration, DeviceKind, HardwareId, MetricNo};
use sanimon_store::{CalibrationPoint, Device, DeviceState};
use sanimon_writer::{PutDevices, Refusal};

use crate::look::id;
use crate::say::{START, TOPIC, message, minutes};
use crate::site::Site;
use crate::uplink::{EUI, UP, distance, uplink};

#[test]
fn an_unknown_lorawan_device_is_discovered_with_its_name_model_kind_and_the_best_signal() {
    let mut site = Site::new();
    site.hear_uplink(UP, &uplink(START, 4, &distance(900)), START.plus_ms(900));
    let device = site.device(EUI);
    assert_eq!((device.state, device.name.as_str()), (DeviceState::Discovered, "Bin 7"));
    assert_eq!((device.kind.as_str(), device.model.as_deref()), ("bin", Some("em310-udl")));
    // The network's time, not the receipt's.
    assert_eq!(site.points(EUI, "distance_mm"), [(START, 900.0)]);
    assert_eq!((site.values(EUI, "rssi_dbm"), site.values(EUI, "snr_db")), (vec![-60.0], vec![9.0]));
    assert_eq!(site.values(EUI, "frame_counter"), [4.0]);
}

#[test]
fn an_uplink_that_comes_again_changes_nothing_and_a_counter_that_begins_anew_is_told() {
    let mut site = Site::new();
    site.hear_uplink(UP, &uplink(START, 4, &distance(900)), START);
    // By another way, 48 s later: another time in the envelope, the same session, counter and payload.
    site.hear_uplink(UP, &uplink(START.plus_ms(48_000), 4, &distance(900)), START.plus_ms(48_000));
    assert_eq!(site.values(EUI, "distance_mm"), [900.0]);
    assert_eq!(site.events(EUI), [("duplicate".to_owned(), 1)]);
    // After other uplinks, too.
    site.hear_uplink(UP, &uplink(minutes(5), 5, &distance(905)), minutes(5));
    site.hear_uplink(UP, &uplink(minutes(6), 4, &distance(900)), minutes(6));
    assert_eq!(site.values(EUI, "distance_mm"), [900.0, 905.0]);
    // A restart of the device, later: not the same uplink.
    site.hear_uplink(UP, &uplink(minutes(90), 4, &distance(900)), minutes(90));
    assert_eq!(site.values(EUI, "distance_mm"), [900.0, 905.0, 900.0]);
    assert_eq!(site.events(EUI), [("counter_reset".to_owned(), 1), ("duplicate".to_owned(), 2)]);
}

#[test]
fn a_device_speaks_by_its_hardware_s_name_and_keeps_its_history_when_it_is_replaced() {
    let mut site = Site::new();
    let hardware = |eui: &str| HardwareId::new(eui).ok();
    site.hear_uplink(UP, &uplink(START, 1, &distance(900)), START);
    let model = Some("em310-udl".to_owned());
    let entry = Device::new(id("bin-7"), DeviceKind::Bin, START);
    site.put(Device { hardware_id: hardware("24E124136B502217"), model, ..entry });
    site.hear_uplink(UP, &uplink(minutes(15), 2, &distance(910)), minutes(15));
    assert_eq!(site.values("bin-7", "distance_mm"), [910.0]);
    {
        // What was discovered under the hardware's name is out of sight now.
        let directory = site.shared().directory.read();
        let number = directory.number(&id(EUI)).expect("known");
        assert_eq!(directory.device(number).expect("its entry").state, DeviceState::Retired);
    }
    site.put(Device { hardware_id: hardware("24e124136b500001"), ..site.device("bin-7") });
    let other = uplink(minutes(30), 1, &distance(920)).replace("24E124136B502217", "24E124136B500001");
    site.hear_uplink("application/a/device/x/event/up", &other, minutes(30));
    assert_eq!(site.values("bin-7", "distance_mm"), [910.0, 920.0]);
    let before = site.shared().replaced_hardware(site.device("bin-7").no).expect("an answer");
    assert_eq!(before[0].hardware_id, EUI);
    // Hardware belongs to one device.
    let entry = Device::new(id("bin-8"), DeviceKind::Bin, START);
    let thief = Device { hardware_id: hardware("24e124136b500001"), ..entry };
    let refused = site.try_ask(START, PutDevices(vec![thief]));
    assert!(
        matches!(&refused, Err(Refusal::HardwareTaken { device, .. }) if device == "bin-7"),
        "{refused:?}"
    );
}

fn says(site: &mut Site, minute: i64, mm: i64) {
    site.hear(&[message(TOPIC, &format!(r#"{{"distance_mm":{mm}}}"#), minutes(minute))]);
}

#[test]
fn a_jump_is_held_beside_telemetry_until_the_next_reading_decides() {
    let mut site = Site::new();
    says(&mut site, 0, 1_000);
    let calibration = Calibration { blind_zone_mm: Some(150.0), ..Calibration::distances(1_200.0, 200.0) };
    site.put(Device { calibration, ..site.device("b-1") });
    says(&mut site, 15, 1_010);
    says(&mut site, 30, 300);
    assert_eq!(site.values("b-1", "distance_mm"), [1_000.0, 1_010.0]);
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", true)]);
    says(&mut site, 45, 1_000);
    assert_eq!(site.values("b-1", "distance_mm"), [1_000.0, 1_010.0, 1_000.0]);
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", false)]);
    // Filled for real: two readings agree, and both count, each at its own time.
    says(&mut site, 60, 300);
    says(&mut site, 75, 310);
    assert_eq!(site.values("b-1", "distance_mm"), [1_000.0, 1_010.0, 1_000.0, 300.0, 310.0]);
    assert_eq!(site.values("b-1", "fill_pct"), [19.0, 20.0, 90.0, 89.0]);
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", false)]);
    says(&mut site, 90, 120);
    assert_eq!(site.doubts("b-1")[0], (120.0, "blind_zone", false));
}

#[test]
fn a_held_jump_outlives_a_restart_and_a_backlog_decides_in_one_message() {
    let mut site = Site::new();
    says(&mut site, 0, 1_000);
    site.put(Device { calibration: Calibration::distances(1_200.0, 200.0), ..site.device("b-1") });
    says(&mut site, 15, 300);
    site.restarts(minutes(16));
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", true)]);
    let backlog = format!(
        r#"[{{"ts":{},"distance_mm":310}},{{"ts":{},"distance_mm":900}},{{"ts":{},"distance_mm":320}}]"#,
        minutes(30).0,
        minutes(45).0,
        minutes(60).0
    );
    site.hear(&[message(TOPIC, &backlog, minutes(61))]);
    assert_eq!(site.values("b-1", "distance_mm"), [1_000.0, 300.0, 310.0, 320.0]);
    assert_eq!(site.doubts("b-1"), [(900.0, "spike", false)]);
}

#[test]
fn the_next_reading_can_be_taken_as_empty_or_full() {
    let mut site = Site::new();
    let next_is = |site: &mut Site, end| site.put(Device { calibrate_next: Some(end), ..site.device("b-1") });
    says(&mut site, 0, 700);
    next_is(&mut site, CalibrationPoint::Empty);
    says(&mut site, 1, 1_230);
    assert_eq!(site.device("b-1").calibration.empty_mm, Some(1_230.0));
    assert_eq!(site.device("b-1").calibrate_next, None);
    // An end beyond the other one is refused, and said.
    next_is(&mut site, CalibrationPoint::Full);
    says(&mut site, 2, 1_300);
    assert_eq!(site.device("b-1").calibration.full_mm, None);
    next_is(&mut site, CalibrationPoint::Full);
    says(&mut site, 3, 230);
    assert_eq!(site.device("b-1").calibration.full_mm, Some(230.0));
    says(&mut site, 400, 730);
    assert_eq!(site.values("b-1", "fill_pct").last(), Some(&50.0));
    let events = site.events("b-1");
    assert!(events.contains(&("calibrated".to_owned(), 2)), "{events:?}");
    assert!(events.contains(&("calibration_refused".to_owned(), 1)), "{events:?}");
}

#[test]
fn running_totals_become_visitors_with_wraps_and_restarts() {
    let mut site = Site::new();
    let topic = "sanitation/east/toilet/t-1/telemetry";
    for (minute, total) in [(0, 65_500), (15, 65_530), (30, 4), (45, 20), (60, 3)] {
        site.hear(&[message(topic, &format!(r#"{{"total_in":{total}}}"#), minutes(minute))]);
    }
    assert_eq!(site.values("t-1", "visitors_in"), [30.0, 10.0, 16.0, 3.0]);
    assert_eq!(site.events("t-1"), [("counter_reset".to_owned(), 1)]);
    // A device that counts itself is believed.
    site.hear(&[message(topic, r#"{"total_in":9,"visitors_in":6}"#, minutes(75))]);
    assert_eq!(site.values("t-1", "visitors_in").last(), Some(&6.0));
}

#[test]
fn a_drain_s_pressure_becomes_a_level_above_its_invert() {
    let mut site = Site::new();
    let topic = "sanitation/east/drain/d-1/telemetry";
    site.hear(&[message(topic, r#"{"pressure_bar":0}"#, START)]);
    let calibration =
        Calibration { depth_mm: Some(2_000.0), offset_mm: Some(100.0), ..Calibration::default() };
    site.put(Device { calibration, ..site.device("d-1") });
    site.hear(&[message(topic, r#"{"pressure_bar":0.1}"#, minutes(1))]);
    assert_eq!(site.values("d-1", "level_mm").last(), Some(&1_120.0));
    assert_eq!(site.values("d-1", "level_pct"), [56.0]);
}

#[test]
fn warming_up_is_an_event_and_a_frame_without_a_model_is_named() {
    let mut site = Site::new();
    let entry = Device::new(id("wc-1"), DeviceKind::Toilet, START);
    site.put(Device { hardware_id: HardwareId::new(EUI).ok(), model: Some("gs301".to_owned()), ..entry });
    site.hear_uplink(UP, &uplink(START, 1, "047dfeff"), START);
    assert_eq!(site.events("wc-1"), [("warming_up".to_owned(), 1)]);
    assert_eq!(site.values("wc-1", "rssi_dbm"), [-60.0]);
    let nh3 = site.shared().hot.read().latest_of(site.device("wc-1").no, MetricNo(20));
    assert_eq!(nh3, None);
    // Cut in the middle: one entry in the quarantine, and the signal is still known.
    site.hear_uplink(UP, &uplink(minutes(1), 2, "047dfe"), minutes(1));
    let quarantine = site.quarantine();
    assert_eq!((quarantine.len(), quarantine[0].code.as_str()), (1, "bad_frame"));
    assert!(quarantine[0].message.contains("gs301"), "{}", quarantine[0].message);
    assert_eq!(site.values("wc-1", "rssi_dbm"), [-60.0, -60.0]);
}
