//! Real sensors on their way in: envelopes, models, calibration, trust.

use sanimon_codec::{Binding, Format, Formats, Incoming};
use sanimon_domain::{HardwareId, MetricNo, SiteCalendar};
use sanimon_store::{CalibrationPoint, DeviceState};

use super::*;
use crate::decode::Decoder;

/// An uplink of a distance sensor (EM310-UDL: `03 82`, millimetres) in ChirpStack's envelope.
pub(super) fn uplink(at: TimestampMs, counter: u32, hex: &str) -> String {
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect();
    let data = base64(&bytes);
    format!(
        r#"{{"time":"{at}","deviceInfo":{{"devEui":"24E124136B502217","deviceName":"Bin 7"}},"devAddr":"01","fCnt":{counter},"fPort":85,"data":"{data}","rxInfo":[{{"rssi":-90,"snr":7}},{{"rssi":-60,"snr":9}}]}}"#
    )
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| {
        let whole = chunk.iter().chain(&[0; 3]).take(3).fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let sixes = (0..4).map(move |n| DIGITS[(whole >> (18 - 6 * n) & 63) as usize] as char);
        sixes.take(chunk.len() + 1).chain("==".chars()).take(4).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}

pub(super) fn distance(mm: u16) -> String {
    let [low, high] = mm.to_le_bytes();
    format!("0382{low:02x}{high:02x}")
}

pub(super) const EUI: &str = "24e124136b502217";
pub(super) const UP: &str = "application/a/device/24E124136B502217/event/up";

impl Site {
    /// Hears a message as a source does: by the site's formats and models.
    pub(super) fn hear_raw(&mut self, topic: &str, payload: &str, at: TimestampMs) {
        let binding = Binding { model: Some("em310-udl".into()), ..Binding::usual(Format::Chirpstack) };
        let formats = Formats::new(vec![binding], SiteCalendar::utc());
        let directory = self.backfill.shared().directory.clone();
        let decoder = Decoder::new(formats, Vec::new(), directory);
        let incoming = Incoming { topic, payload: payload.as_bytes(), received: at, client_id: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let heard = runtime.block_on(decoder.decode(incoming));
        let payload = Bytes::from(payload.to_owned());
        self.hear(&[Message::new("test".into(), topic.to_owned(), payload, at, heard)]);
    }

    pub(super) fn device(&self, name: &str) -> Device {
        let directory = self.backfill.shared().directory.read();
        let id = DeviceId::new(name).expect("a sound id");
        let no = directory.find(&id).expect("a known device");
        Device::clone(directory.device(no).expect("its entry"))
    }

    fn events(&self, name: &str) -> Vec<(String, i64)> {
        let events = self.backfill.shared().device_events(self.device(name).no).expect("events");
        let mut words: Vec<(String, i64)> =
            events.into_iter().map(|event| (event.what.to_string(), event.count)).collect();
        words.sort();
        words
    }

    pub(super) fn put(&mut self, device: Device) {
        self.backfill.enter(START, Vec::new(), vec![device]).expect("a commit");
    }

    /// Values and reasons of what is doubted.
    fn doubts(&self, name: &str) -> Vec<(f64, &'static str, bool)> {
        let doubted = self.backfill.shared().doubted(self.device(name).no, 100).expect("doubts");
        doubted.into_iter().map(|d| (d.value, d.reason.as_str(), d.held)).collect()
    }
}

pub(super) fn minutes(n: i64) -> TimestampMs {
    START.plus_ms(n * MINUTE_MS)
}

#[test]
fn an_unknown_lorawan_device_is_discovered_with_its_name_model_kind_and_the_best_signal() {
    let mut site = Site::new();
    site.hear_raw(UP, &uplink(START, 4, &distance(900)), START.plus_ms(900));
    let device = site.device(EUI);
    assert_eq!((device.state, device.name.as_str()), (DeviceState::Discovered, "Bin 7"));
    assert_eq!((device.kind.as_str(), device.model.as_deref()), ("bin", Some("em310-udl")));
    assert_eq!(site.values(EUI, "distance_mm"), [900.0]);
    assert_eq!((site.values(EUI, "rssi_dbm"), site.values(EUI, "snr_db")), (vec![-60.0], vec![9.0]));
    assert_eq!(site.values(EUI, "frame_counter"), [4.0]);
    // The network's time, not the receipt's.
    let metric = sanimon_domain::metric::DISTANCE_MM;
    let shared = site.backfill.shared();
    let at = shared.hot.read().latest_of(device.no, metric).map(|latest| latest.at);
    assert_eq!(at, Some(START));
}

#[test]
fn an_uplink_that_comes_again_changes_nothing_and_a_counter_that_begins_anew_is_told() {
    let mut site = Site::new();
    site.hear_raw(UP, &uplink(START, 4, &distance(900)), START);
    // By another way, 48 s later: another time in the envelope, the same session, counter and payload.
    site.hear_raw(UP, &uplink(START.plus_ms(48_000), 4, &distance(900)), START.plus_ms(48_000));
    assert_eq!(site.values(EUI, "distance_mm"), [900.0]);
    assert_eq!(site.events(EUI), [("duplicate".to_owned(), 1)]);
    // After other uplinks, too.
    site.hear_raw(UP, &uplink(minutes(5), 5, &distance(905)), minutes(5));
    site.hear_raw(UP, &uplink(minutes(6), 4, &distance(900)), minutes(6));
    assert_eq!(site.values(EUI, "distance_mm"), [900.0, 905.0]);
    // A restart of the device, later: not the same uplink.
    site.hear_raw(UP, &uplink(minutes(90), 4, &distance(900)), minutes(90));
    assert_eq!(site.values(EUI, "distance_mm"), [900.0, 905.0, 900.0]);
    assert_eq!(site.events(EUI), [("counter_reset".to_owned(), 1), ("duplicate".to_owned(), 2)]);
}

#[test]
fn a_device_speaks_by_its_hardware_s_name_and_keeps_its_history_when_it_is_replaced() {
    let mut site = Site::new();
    site.hear_raw(UP, &uplink(START, 1, &distance(900)), START);
    let id = DeviceId::new("bin-7").expect("a sound id");
    let entry = Device {
        hardware_id: HardwareId::new("24E124136B502217").ok(),
        model: Some("em310-udl".to_owned()),
        ..Device::new(id, sanimon_domain::DeviceKind::Bin, START)
    };
    site.put(entry.clone());
    site.hear_raw(UP, &uplink(minutes(15), 2, &distance(910)), minutes(15));
    assert_eq!(site.values("bin-7", "distance_mm"), [910.0]);
    {
        // What was discovered under the hardware's name is out of sight now.
        let directory = site.backfill.shared().directory.read();
        let number = directory.number(&DeviceId::new(EUI).expect("a sound id")).expect("known");
        assert_eq!(directory.device(number).expect("its entry").state, DeviceState::Retired);
    }
    site.put(Device { hardware_id: HardwareId::new("24e124136b500001").ok(), ..site.device("bin-7") });
    let other = uplink(minutes(30), 1, &distance(920)).replace("24E124136B502217", "24E124136B500001");
    site.hear_raw("application/a/device/x/event/up", &other, minutes(30));
    assert_eq!(site.values("bin-7", "distance_mm"), [910.0, 920.0]);
    let before = site.backfill.shared().replaced_hardware(site.device("bin-7").no).expect("an answer");
    assert_eq!(before[0].hardware_id, EUI);
    // Hardware belongs to one device.
    let id = DeviceId::new("bin-8").expect("a sound id");
    let thief = Device {
        hardware_id: HardwareId::new("24e124136b500001").ok(),
        ..Device::new(id, sanimon_domain::DeviceKind::Bin, START)
    };
    let refused = site.backfill.enter(START, Vec::new(), vec![thief]).expect_err("it is taken").to_string();
    assert!(refused.contains("bin-7"), "{refused}");
}

fn calibrated() -> Site {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"{"distance_mm":1000}"#, START)]);
    let calibration = Calibration { blind_zone_mm: Some(150.0), ..Calibration::distances(1_200.0, 200.0) };
    site.put(Device { calibration, ..site.device("b-1") });
    site
}

fn message(topic: &str, payload: &str, at: TimestampMs) -> Message {
    Message::decode("test".into(), topic.to_owned(), Bytes::from(payload.to_owned()), at)
}

#[test]
fn a_jump_is_held_beside_telemetry_until_the_next_reading_decides() {
    let mut site = calibrated();
    let say = |site: &mut Site, minute: i64, mm: i64| {
        site.hear(&[message(TOPIC, &format!(r#"{{"distance_mm":{mm}}}"#), minutes(minute))]);
    };
    say(&mut site, 15, 1_010);
    say(&mut site, 30, 300);
    assert_eq!(site.values("b-1", "distance_mm"), [1_000.0, 1_010.0]);
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", true)]);
    say(&mut site, 45, 1_000);
    assert_eq!(site.values("b-1", "distance_mm"), [1_000.0, 1_010.0, 1_000.0]);
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", false)]);
    // Filled for real: two readings agree, and both count, each at its own time.
    say(&mut site, 60, 300);
    say(&mut site, 75, 310);
    assert_eq!(site.values("b-1", "distance_mm"), [1_000.0, 1_010.0, 1_000.0, 300.0, 310.0]);
    assert_eq!(site.values("b-1", "fill_pct"), [19.0, 20.0, 90.0, 89.0]);
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", false)]);
    say(&mut site, 90, 120);
    assert_eq!(site.doubts("b-1")[0], (120.0, "blind_zone", false));
}

#[test]
fn a_held_jump_outlives_a_restart_and_a_backlog_decides_in_one_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        let store = Store::open(folder.path(), None).expect("a store");
        Backfill::start(store, Arc::new(RuleSet::default()), Admission::default(), START).expect("a start")
    };
    let mut site = Site { backfill: open(), _folder: tempfile::tempdir().expect("a folder") };
    site.hear(&[message(TOPIC, r#"{"distance_mm":1000}"#, START)]);
    site.put(Device { calibration: Calibration::distances(1_200.0, 200.0), ..site.device("b-1") });
    site.hear(&[message(TOPIC, r#"{"distance_mm":300}"#, minutes(15))]);
    drop(site);
    let mut site = Site { backfill: open(), _folder: tempfile::tempdir().expect("a folder") };
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
    site.hear(&[message(TOPIC, r#"{"distance_mm":700}"#, START)]);
    site.put(Device { calibrate_next: Some(CalibrationPoint::Empty), ..site.device("b-1") });
    site.hear(&[message(TOPIC, r#"{"distance_mm":1230}"#, minutes(1))]);
    assert_eq!(site.device("b-1").calibration.empty_mm, Some(1_230.0));
    assert_eq!(site.device("b-1").calibrate_next, None);
    // An end beyond the other one is refused, and said.
    site.put(Device { calibrate_next: Some(CalibrationPoint::Full), ..site.device("b-1") });
    site.hear(&[message(TOPIC, r#"{"distance_mm":1300}"#, minutes(2))]);
    assert_eq!(site.device("b-1").calibration.full_mm, None);
    site.put(Device { calibrate_next: Some(CalibrationPoint::Full), ..site.device("b-1") });
    site.hear(&[message(TOPIC, r#"{"distance_mm":230}"#, minutes(3))]);
    assert_eq!(site.device("b-1").calibration.full_mm, Some(230.0));
    site.hear(&[message(TOPIC, r#"{"distance_mm":730}"#, minutes(400))]);
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
    let id = DeviceId::new("wc-1").expect("a sound id");
    let device = Device {
        hardware_id: HardwareId::new(EUI).ok(),
        model: Some("gs301".to_owned()),
        ..Device::new(id, sanimon_domain::DeviceKind::Toilet, START)
    };
    site.put(device);
    site.hear_raw(UP, &uplink(START, 1, "047dfeff"), START);
    assert_eq!(site.events("wc-1"), [("warming_up".to_owned(), 1)]);
    assert_eq!(site.values("wc-1", "rssi_dbm"), [-60.0]);
    let nh3 = site.backfill.shared().hot.read().latest_of(site.device("wc-1").no, MetricNo(20));
    assert_eq!(nh3, None);
    // Cut in the middle: one entry in the quarantine, and the signal is still known.
    site.hear_raw(UP, &uplink(minutes(1), 2, "047dfe"), minutes(1));
    let quarantine = site.backfill.shared().quarantine(None, 10).expect("an answer").items;
    assert_eq!((quarantine.len(), quarantine[0].code.as_str()), (1, "bad_frame"));
    assert!(quarantine[0].message.contains("gs301"), "{}", quarantine[0].message);
}
