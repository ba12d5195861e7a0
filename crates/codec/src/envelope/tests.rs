//! Sample messages that others have published, against our reading of them; `tests/data/README.md` tells the forms.

use sanimon_domain::{DeviceKind, FaultCode, Metric, SiteCalendar, TimestampMs, metric};
use serde_json::Value;

use crate::device::decode_frame;
use crate::judge::{agrees, data, leaves, rule_for};
use crate::{Binding, Body, Decoded, DeviceReport, Format, Formats, Incoming, Mapping, TopicPattern};

const RECEIVED: TimestampMs = TimestampMs(1_772_323_200_000);

fn decode_by(binding: Binding, topic: &str, payload: &[u8]) -> Decoded {
    let calendar = SiteCalendar::named("Asia/Shanghai").expect("a zone");
    let formats = Formats::new(vec![binding], calendar);
    formats.decode(Incoming { topic, payload, received: RECEIVED, client_id: Some("client-7") })
}

fn sample(file: &str) -> Vec<u8> {
    data(&format!("envelopes/{file}")).into_bytes()
}

/// What a device said, by name: `(name, value, time in ms)`.
fn said(report: &DeviceReport) -> Vec<(String, f64, Option<i64>)> {
    let name = |metric: &Metric| match metric {
        Metric::Known(no) => metric::info(*no).expect("a known metric").name.to_owned(),
        Metric::Custom(name) => name.to_string(),
    };
    report.readings().iter().map(|r| (name(&r.metric), r.value, r.at.given().map(|at| at.0))).collect()
}

fn value(report: &DeviceReport, name: &str) -> Option<f64> {
    said(report).into_iter().find(|(known, ..)| known == name).map(|(_, value, _)| value)
}

/// Files of the samples, by the beginning of their names.
fn files(start: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/envelopes");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the samples")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(start) && !name.contains(".expected.") && !name.contains(".txt"))
        .collect();
    names.sort();
    names
}

/// Where a sample's message would be, by its file's name.
fn lorawan(file: &str) -> Decoded {
    let event = file.trim_start_matches("chirpstack4_").split(['_', '.']).next().unwrap_or_default();
    if !file.starts_with("chirpstack4") {
        return decode_by(Binding::usual(Format::Tts), "v3/app1@tenant1/devices/dev1/up", &sample(file));
    }
    let topic = format!("application/a/device/1000000000000001/event/{event}");
    decode_by(Binding::usual(Format::Chirpstack), &topic, &sample(file))
}

#[test]
fn every_sample_of_a_network_server_is_understood() {
    let all = [files("chirpstack4_"), files("tts3_")].concat();
    assert!(all.len() > 90, "{}", all.len());
    for file in all {
        let decoded = lorawan(&file);
        assert!(decoded.faults.is_empty(), "{file}: {:?}", decoded.faults);
        let report = &decoded.reports[0];
        let says_something = !report.readings().is_empty() || !report.events.is_empty();
        assert!(says_something, "{file} says nothing");
    }
}

#[test]
fn samples_with_a_published_meaning_agree_with_it() {
    let names: Value = serde_json::from_str(&data("names.json")).expect("JSON");
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in [files("chirpstack4_up_"), files("tts3_")].concat() {
        let expected_file = file.replace(".json", ".expected.json");
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/envelopes");
        let Ok(expected) = std::fs::read_to_string(folder.join(&expected_file)) else { continue };
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        let (vendor, model) = vendor_and_model(&file);
        let decoded = lorawan(&file);
        let report = &decoded.reports[0];
        let frame = report.frame.as_ref().expect("a frame");
        let read = decode_frame(&model, frame.port, &frame.bytes).unwrap_or_else(|f| panic!("{file}: {f:?}"));
        // One or a list of them.
        let telemetry = match &expected["telemetry"] {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        // Settings and versions are told as one event.
        if read.readings.is_empty() && !read.events.is_empty() {
            continue;
        }
        for telemetry in &telemetry {
            let mut found = Vec::new();
            leaves(&telemetry["values"], "", &mut found);
            for (name, leaf) in found {
                compared += 1;
                let radio = match name.as_str() {
                    "lora_rssi" => value(report, "rssi_dbm"),
                    "lora_snr" => value(report, "snr_db"),
                    "lora_frame_counter" => value(report, "frame_counter"),
                    _ => None,
                };
                // 101 half percents are 50.5; this converter leaves the half out.
                if file.contains("EM300-DI") && name == "humidity" && leaf == 50 {
                    continue;
                }
                let says_so = match radio {
                    Some(radio) => leaf.as_f64() == Some(radio),
                    None if name.starts_with("lora_") => true,
                    None => agrees(&read, &rule_for(&names, &vendor, &name), &leaf),
                };
                if !says_so {
                    wrong.push(format!("{file}: {name} is {leaf}; {:?}", read.readings));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 250, "{compared}");
}

/// `chirpstack4_up_Milesight_EM400-TLD_payload_1.json`
fn vendor_and_model(file: &str) -> (String, String) {
    let rest = file.trim_start_matches("chirpstack4_up_").trim_start_matches("tts3_ThingsStackCommunity_");
    let rest = rest.trim_start_matches("tts3_ThingsStackIndustries_");
    let mut parts = rest.split('_');
    let (vendor, model) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    (vendor.to_lowercase(), model.to_lowercase())
}

#[test]
fn an_uplink_brings_the_network_s_time_its_identity_and_the_best_gateway_s_signal() {
    let decoded = lorawan("chirpstack4_up_Milesight_EM400-TLD_payload_1.json");
    let report = &decoded.reports[0];
    let at = TimestampMs::parse_rfc3339("2023-05-22T07:47:05.404Z");
    assert_eq!(report.sender.device.as_str(), "1000000000000001");
    assert_eq!(report.sender.name.as_deref(), Some("Device name"));
    let frame = report.frame.as_ref().expect("a frame");
    assert_eq!((frame.port, frame.at.given()), (85, at));
    let uplink = frame.uplink.as_ref().expect("an identity");
    assert_eq!((&*uplink.session, uplink.counter), ("20000001", 4));
    for (name, expected) in
        [("rssi_dbm", -35.0), ("snr_db", 11.5), ("frame_counter", 4.0), ("gateway_count", 1.0)]
    {
        assert_eq!(value(report, name), Some(expected), "{name}");
    }
}

#[test]
fn what_a_server_leaves_out_is_zero_and_what_is_no_telemetry_is_an_event() {
    // The Things Stack leaves out `f_cnt` and a missing payload is empty.
    let decoded = decode_by(
        Binding::usual(Format::Tts),
        "v3/app@t/devices/d/up",
        br#"{"end_device_ids":{"device_id":"d","dev_eui":"0004A30B001C0530"},"uplink_message":{"f_port":1}}"#,
    );
    let report = &decoded.reports[0];
    assert_eq!(
        (report.sender.device.as_str(), value(report, "frame_counter")),
        ("0004a30b001c0530", Some(0.0))
    );
    assert_eq!(report.frame, None);
    for (file, what) in [
        ("chirpstack4_join.json", "joined"),
        ("chirpstack4_log.json", "network_log"),
        ("chirpstack4_ack.json", "downlink_acknowledged"),
        ("chirpstack4_txack.json", "downlink_sent"),
        ("chirpstack4_location.json", "located"),
        ("chirpstack4_integration.json", "integration"),
        ("tts3_dataformats_join_message.json", "joined"),
        ("tts3_mqttdoc_join_accept_message.json", "joined"),
        ("tts3_dataformats_downlink_failed_event_message.json", "downlink_failed"),
        ("tts3_mqttdoc_downlink_event_message.json", "downlink_acknowledged"),
    ] {
        let decoded = lorawan(file);
        assert_eq!(&*decoded.reports[0].events[0].what, what, "{file}");
        assert!(decoded.reports[0].readings().is_empty(), "{file}");
    }
    let status = lorawan("chirpstack4_status.json");
    assert_eq!(value(&status.reports[0], "battery_pct"), Some(88.3));
    assert_eq!(value(&status.reports[0], "margin_db"), Some(10.0));
}

#[test]
fn a_platform_s_values_get_our_names_and_their_own_times() {
    let decoded = decode_by(
        Binding::usual(Format::Thingsboard),
        "v1/devices/me/telemetry",
        &sample("direct_thingsboard_device.json"),
    );
    assert_eq!(decoded.reports[0].sender.device.as_str(), "client-7");
    assert_eq!(
        said(&decoded.reports[0]),
        [
            ("humidity_pct".to_owned(), 61.0, Some(1_451_649_600_000)),
            ("temperature_c".to_owned(), 22.5, Some(1_451_649_600_000)),
            ("humidity_pct".to_owned(), 60.0, Some(1_451_649_601_000)),
            ("temperature_c".to_owned(), 22.7, Some(1_451_649_601_000)),
        ]
    );
    let gateway = decode_by(
        Binding::usual(Format::Thingsboard),
        "v1/gateway/telemetry",
        &sample("direct_thingsboard_gateway.json"),
    );
    let names: Vec<&str> = gateway.reports.iter().map(|report| report.sender.device.as_str()).collect();
    assert_eq!(names, ["device-a", "device-b"]);
    assert_eq!(gateway.reports[0].readings().len(), 4);
}

#[test]
fn chinese_clouds_are_understood() {
    let huawei = decode_by(
        Binding {
            map: vec![
                Mapping::parse("Temperature_value", "temperature_c").expect("a mapping"),
                Mapping::parse("Battery_level", "battery_pct").expect("a mapping"),
            ],
            ..Binding::usual(Format::Huawei)
        },
        "$oc/devices/d-1/sys/properties/report",
        &sample("direct_huawei_iotda_property_report.json"),
    );
    let report = &huawei.reports[0];
    let at = TimestampMs::parse_rfc3339("2015-12-12T12:12:12Z").map(|at| at.0);
    assert!(said(report).contains(&("temperature_c".to_owned(), 57.0, at)), "{:?}", said(report));
    assert!(said(report).contains(&("battery_pct".to_owned(), 80.0, at)));
    let map = vec![Mapping::parse("WF", "flow_m3h * 0.001").expect("a mapping")];
    for (format, topic, file) in [
        (Format::Aliyun, "/sys/pk/bin-9/thing/event/property/post", "direct_aliyun_alink_property_post.json"),
        (Format::Onenet, "sys/p/bin-9/thing/properties/up", "direct_onenet_like_property_post.json"),
    ] {
        let decoded = decode_by(Binding { map: map.clone(), ..Binding::usual(format) }, topic, &sample(file));
        let report = &decoded.reports[0];
        assert_eq!(report.sender.device.as_str(), "bin-9");
        assert_eq!(value(report, "Power"), Some(1.0));
        assert!((value(report, "flow_m3h").expect("a flow") - 0.0236).abs() < 1e-9);
    }
    let on_ctwing = |file| {
        let topics = vec![TopicPattern::new("ctwing/#").expect("a pattern")];
        let decoded =
            decode_by(Binding { topics, ..Binding::usual(Format::Ctwing) }, "ctwing/up", &sample(file));
        assert!(decoded.faults.is_empty(), "{file}: {:?}", decoded.faults);
        decoded.reports.into_iter().next().expect("a device")
    };
    assert_eq!(value(&on_ctwing("direct_ctwing_push_liquid_level.json"), "level_mm"), Some(402.0));
    let smoke = on_ctwing("direct_ctwing_push_profile_smoke.json");
    assert_eq!(smoke.sender.device.as_str(), "860374051096202");
    assert_eq!(value(&smoke, "battery_pct"), Some(100.0));
    let cover = on_ctwing("direct_ctwing_push_lwm2m_passthrough.json");
    assert_eq!(cover.sender.device.as_str(), "862592051651472");
    assert!(cover.frame.is_some_and(|frame| frame.bytes.len() > 50));
}

#[test]
fn tasmota_tells_the_wall_clock_s_time_and_centimetres() {
    let bind = || Binding { kind: Some(DeviceKind::Bin), ..Binding::usual(Format::Tasmota) };
    let decoded = decode_by(bind(), "tele/bin-3/SENSOR", &sample("direct_tasmota_multi.json"));
    let report = &decoded.reports[0];
    let at = TimestampMs::parse_rfc3339("2021-08-17T07:31:36+08:00").map(|at| at.0);
    for (name, expected) in
        [("distance_mm", 593.68), ("temperature_c", 26.1), ("humidity_pct", 47.2), ("Pressure", 973.8)]
    {
        assert!(said(report).contains(&(name.to_owned(), expected, at)), "{name}: {:?}", said(report));
    }
    assert_eq!(report.sender.kind, Some(DeviceKind::Bin));
    let one = decode_by(bind(), "tele/bin-3/SENSOR", &sample("direct_tasmota_sr04.json"));
    assert_eq!(value(&one.reports[0], "distance_mm"), Some(167.54));
    let gone = decode_by(bind(), "tele/bin-3/LWT", b"Offline");
    assert_eq!(gone.reports[0].body, Body::Status { online: false });
}

#[test]
fn frames_as_text_or_bytes_are_handed_on() {
    let bind = |format| Binding {
        topics: vec![TopicPattern::new("nb/{device}/up").expect("a pattern")],
        ..Binding::usual(format)
    };
    for (format, payload) in [
        (Format::Hex, b"01 75 64".to_vec()),
        (Format::Hex, br#"{"hex":"017564"}"#.to_vec()),
        (Format::Base64, b"AXVk".to_vec()),
        (Format::Binary, vec![0x01, 0x75, 0x64]),
    ] {
        let decoded = decode_by(bind(format), "nb/868508064807354/up", &payload);
        let frame = decoded.reports[0].frame.as_ref().expect("a frame");
        assert_eq!(frame.bytes, [0x01, 0x75, 0x64], "{format:?}");
    }
    let em400 =
        decode_by(bind(Format::Hex), "nb/868508064807354/up", &sample("direct_milesight_udp_nbiot_hex.json"));
    let frame = em400.reports[0].frame.as_ref().expect("a frame");
    let read = decode_frame("em400-tld-nbiot", frame.port, &frame.bytes).expect("the sample's frame");
    assert!(read.readings.iter().any(|reading| (reading.name, reading.value) == ("distance_mm", 315.0)));
    for (format, payload) in
        [(Format::Hex, "017"), (Format::Hex, "zz"), (Format::Base64, "@@"), (Format::Hex, "é1")]
    {
        let decoded = decode_by(bind(format), "nb/1/up", payload.as_bytes());
        assert_eq!(decoded.faults[0].code, FaultCode::WrongType, "{payload}");
    }
    let topics = vec![TopicPattern::new("iotcreators").expect("a pattern")];
    let binding = Binding { topics, ..Binding::usual(Format::Iotcreators) };
    let nb = decode_by(binding, "iotcreators", &sample("direct_iotcreators_ndds75.json"));
    let frame = nb.reports[0].frame.as_ref().expect("a frame");
    assert_eq!(nb.reports[0].sender.device.as_str(), "868411056756471");
    let read = decode_frame("ndds75-nbiot", frame.port, &frame.bytes).expect("the sample's frame");
    assert!(read.readings.iter().any(|reading| reading.name == "distance_mm" && reading.value == 2_582.0));
}

#[test]
fn any_json_is_understood_with_a_word_on_who_and_when() {
    let vega = Binding {
        topics: vec![TopicPattern::new("vega/#").expect("a pattern")],
        device_field: Some("Message.IMEI".into()),
        time_field: Some("Telemetry.UTC".into()),
        map: vec![
            Mapping::parse("Telemetry_bat", "battery_pct").expect("a mapping"),
            Mapping::parse("Telemetry_temp", "temperature_c").expect("a mapping"),
            Mapping::parse("CellStatus_RSRP", "rsrp_dbm * 0.1").expect("a mapping"),
        ],
        ..Binding::usual(Format::Json)
    };
    for (file, device) in
        [("direct_vega_nb11.json", "867723030711633"), ("direct_vega_nb14.json", "867723030711443")]
    {
        let decoded = decode_by(vega.clone(), "vega/1", &sample(file));
        let report = &decoded.reports[0];
        assert_eq!(report.sender.device.as_str(), device);
        for (name, expected) in [("battery_pct", 99.0), ("temperature_c", 28.0), ("rsrp_dbm", -82.2)] {
            let (_, found, at) = said(report).into_iter().find(|(known, ..)| known == name).expect("a value");
            assert!((found - expected).abs() < 1e-9, "{name}");
            assert_eq!(at, Some(1_571_227_500_000), "{name}");
        }
    }
    let sparkplug = Binding {
        topics: vec![TopicPattern::new("spBv1.0/+/DDATA/+/{device}").expect("a pattern")],
        ..Binding::usual(Format::Json)
    };
    let decoded = decode_by(
        sparkplug,
        "spBv1.0/Sparkplug B Devices/DDATA/Raspberry Pi/Pibrella",
        &sample("direct_sparkplug_ddata_representation.json"),
    );
    assert!(said(&decoded.reports[0]).contains(&("Inputs_A".to_owned(), 1.0, Some(1_486_144_502_122))));
}

#[test]
fn a_foreign_or_broken_message_is_a_fault_and_never_a_reading() {
    for format in Format::ALL {
        let binding = Binding {
            topics: vec![TopicPattern::new("t/{device}").expect("a pattern")],
            ..Binding::usual(*format)
        };
        for payload in ["", "{", "[]", "7", "null", "\"x\"", "{\"a\":{}}", "[[[]]]"] {
            let decoded = decode_by(binding.clone(), "t/x", payload.as_bytes());
            let reads = decoded.reports.iter().any(|report| !report.readings().is_empty());
            // A bare number has no name; a frame of no bytes is its model's business.
            assert!(!reads, "{format:?} reads {payload}: {:?}", decoded.reports);
        }
    }
}
