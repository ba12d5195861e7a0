//! Whose time a reading has, in every format: given, missing or unreadable, and of which sample.

use sanimon_domain::{FaultCode, SiteCalendar, TimestampMs};

use super::name_of;
use crate::script::{Host, Script};
use crate::{
    Binding, Decoded, DeviceReport, Format, Formats, Incoming, RawFrame, SampleTime, TopicPattern, device,
};

/// 2026-03-01 08:20 in Shanghai.
const RECEIVED: TimestampMs = TimestampMs(1_772_324_400_000);
/// 08:15 there.
const AT: SampleTime = SampleTime::Given(TimestampMs(1_772_324_100_000));

fn formats(binding: Option<Binding>) -> Formats {
    let calendar = SiteCalendar::named("Asia/Shanghai").expect("a zone");
    Formats::new(binding.into_iter().collect(), calendar)
}

fn native(payload: &str) -> Decoded {
    let topic = "sanitation/east/bin/b-1/telemetry";
    let message = Incoming { topic, payload: payload.as_bytes(), received: RECEIVED, client_id: None };
    formats(None).decode(message)
}

fn bound(format: Format, topic: &str, payload: &str) -> Decoded {
    let topics = vec![TopicPattern::new("t/{device}/#").expect("a pattern")];
    let time_field = (format == Format::Json).then(|| "time".into());
    let binding = Binding { topics, time_field, ..Binding::usual(format) };
    let message = Incoming { topic, payload: payload.as_bytes(), received: RECEIVED, client_id: None };
    formats(Some(binding)).decode(message)
}

/// Time and sample of each reading, and the causes of the faults.
fn dated(decoded: &Decoded) -> (Vec<(SampleTime, u32)>, Vec<FaultCode>) {
    let readings = decoded.reports.iter().flat_map(DeviceReport::readings);
    let faults = decoded.faults.iter().map(|fault| fault.code);
    (readings.map(|reading| (reading.at, reading.sample)).collect(), faults.collect())
}

#[test]
fn a_wall_clock_s_time_without_a_zone_is_the_site_s_in_every_format() {
    for time in [
        r#""2026-03-01T08:15:00""#,
        r#""2026-03-01 08:15:00""#,
        r#""2026/03/01 08:15:00""#,
        r#""2026-03-01T08:15:00+0800""#,
        r#""2026-03-01T00:15:00Z""#,
        r#""20260301T001500Z""#,
        r#""20260301081500""#,
        "20260301081500",
        "1772324100",
        "1772324100000",
        "1772324100000000",
        "1772324100000000000",
        r#""1772324100000""#,
    ] {
        let decoded = native(&format!(r#"{{"ts":{time},"fill_pct":1}}"#));
        assert_eq!(dated(&decoded), (vec![(AT, 0)], vec![]), "{time} natively");
        for (format, topic, payload) in [
            (Format::Thingsboard, "t/d-1/up", format!(r#"{{"ts":{time},"values":{{"fill_pct":1}}}}"#)),
            (
                Format::Thingsboard,
                "t/d-1/gateway",
                format!(r#"{{"d":[{{"ts":{time},"values":{{"fill_pct":1}}}}]}}"#),
            ),
            (
                Format::Huawei,
                "t/d-1/up",
                format!(r#"{{"services":[{{"properties":{{"fill_pct":1}},"event_time":{time}}}]}}"#),
            ),
            (
                Format::Aliyun,
                "t/d-1/up",
                format!(r#"{{"params":{{"fill_pct":{{"value":1,"time":{time}}}}}}}"#),
            ),
            (Format::Onenet, "t/d-1/up", format!(r#"{{"time":{time},"params":{{"fill_pct":1}}}}"#)),
            (Format::Tasmota, "t/d-1/SENSOR", format!(r#"{{"Time":{time},"A":{{"fill_pct":1}}}}"#)),
            (
                Format::Ctwing,
                "t/d-1/up",
                format!(r#"{{"IMEI":"1","timestamp":{time},"payload":{{"fill_pct":1}}}}"#),
            ),
            (Format::Json, "t/d-1/up", format!(r#"{{"fill_pct":1,"time":{time}}}"#)),
            (
                Format::Json,
                "t/d-1/up",
                format!(r#"{{"time":1,"metrics":[{{"name":"fill_pct","value":1,"timestamp":{time}}}]}}"#),
            ),
        ] {
            let decoded = bound(format, topic, &payload);
            let (readings, faults) = dated(&decoded);
            // A time that is a number is a reading of its own name, too, on a topic of any JSON.
            assert_eq!((readings[0], faults), ((AT, 0), vec![]), "{payload} to {format:?}");
        }
    }
}

#[test]
fn a_network_server_s_time_and_a_report_s_are_read_the_same_way() {
    for (format, payload) in [
        (
            Format::Chirpstack,
            r#"{"deviceInfo":{"devEui":"1000000000000001"},"time":"2026-03-01 08:15:00","data":"AQ=="}"#,
        ),
        (
            Format::Chirpstack,
            r#"{"devEUI":"1000000000000001","rxInfo":[{"rssi":1},{"time":"2026-03-01T00:15:00Z"}],"data":"AQ=="}"#,
        ),
        (
            Format::Tts,
            r#"{"end_device_ids":{"dev_eui":"1000000000000001"},"uplink_message":{"received_at":"2026-03-01T00:15:00.000Z","frm_payload":"AQ=="}}"#,
        ),
        (
            Format::Iotcreators,
            r#"{"reports":[{"serialNumber":"IMEI:1","timestamp":1772324100000,"value":"01"}]}"#,
        ),
    ] {
        let decoded = bound(format, "t/1000000000000001/up", payload);
        let frame = decoded.reports[0].frame.as_ref().expect("a frame");
        assert_eq!((frame.at, decoded.faults.len()), (AT, 0), "{payload}");
    }
}

#[test]
fn a_time_that_cannot_be_read_is_told_apart_from_one_that_is_missing() {
    let (missing, unreadable) = (SampleTime::Missing, SampleTime::Unreadable);
    let bad_time = || vec![FaultCode::BadTime];
    for (payload, at, faults) in [
        (r#"{"fill_pct":1}"#, missing, vec![]),
        (r#"{"ts":null,"fill_pct":1}"#, missing, vec![]),
        (r#"{"ts":"soon","fill_pct":1}"#, unreadable, bad_time()),
        (r#"{"ts":"","fill_pct":1}"#, unreadable, bad_time()),
        (r#"{"ts":1e300,"fill_pct":1}"#, unreadable, bad_time()),
        (r#"{"ts":true,"fill_pct":1}"#, unreadable, bad_time()),
        (r#"{"ts":{},"fill_pct":1}"#, unreadable, bad_time()),
        (r#"[{"n":"fill_pct","v":1}]"#, missing, vec![]),
        (r#"[{"n":"fill_pct","v":1,"t":1e300}]"#, unreadable, bad_time()),
    ] {
        assert_eq!(dated(&native(payload)), (vec![(at, 0)], faults), "{payload}");
    }
    for (format, payload, at, faults) in [
        (Format::Thingsboard, r#"{"ts":"soon","values":{"fill_pct":1}}"#, unreadable, bad_time()),
        (Format::Thingsboard, r#"{"fill_pct":1}"#, missing, vec![]),
        (
            Format::Huawei,
            r#"{"services":[{"properties":{"fill_pct":1},"event_time":"soon"}]}"#,
            unreadable,
            bad_time(),
        ),
        (Format::Tasmota, r#"{"Time":"soon","A":{"fill_pct":1}}"#, unreadable, bad_time()),
        (Format::Json, r#"{"fill_pct":1,"time":"soon"}"#, unreadable, bad_time()),
        (Format::Json, r#"{"fill_pct":1}"#, missing, bad_time()),
    ] {
        assert_eq!(dated(&bound(format, "t/d-1/up", payload)), (vec![(at, 0)], faults), "{payload}");
    }
}

#[test]
fn each_element_of_a_backlog_is_a_sample_of_its_own_whatever_its_time() {
    let (missing, unreadable) = (SampleTime::Missing, SampleTime::Unreadable);
    let payload = r#"[{"ts":"2026-03-01 08:15:00","fill_pct":1,"battery_v":3},{"fill_pct":2},7,{"ts":"soon","fill_pct":3}]"#;
    let expected = vec![(AT, 0), (AT, 0), (missing, 1), (unreadable, 3)];
    assert_eq!(dated(&native(payload)).0, expected);
    let payload =
        r#"[{"ts":1772324100,"values":{"fill_pct":1}},{"fill_pct":2},{"ts":"soon","values":{"fill_pct":3}}]"#;
    let decoded = bound(Format::Thingsboard, "t/d-1/up", payload);
    assert_eq!(dated(&decoded).0, [(AT, 0), (missing, 1), (unreadable, 2)]);
    let gateway = format!(r#"{{"a":{payload},"b":[{{"fill_pct":4}}]}}"#);
    let decoded = bound(Format::Thingsboard, "t/d-1/gateway", &gateway);
    assert_eq!(dated(&decoded).0, [(AT, 0), (missing, 1), (unreadable, 2), (missing, 0)]);
}

#[test]
fn records_of_one_value_are_one_sample_until_a_name_comes_again() {
    let payload =
        r#"[{"n":"fill_pct","v":1},{"n":"battery_v","v":3},{"n":"fill_pct","v":2},{"n":"battery_v","v":4}]"#;
    let samples: Vec<u32> = dated(&native(payload)).0.into_iter().map(|(_, sample)| sample).collect();
    assert_eq!(samples, [0, 0, 1, 1]);
    let payload = r#"{"time":1772324100,"metrics":[{"name":"fill_pct","value":1},{"name":"fill_pct","value":2},{"name":"a","value":3}]}"#;
    let decoded = bound(Format::Json, "t/d-1/up", payload);
    assert_eq!(dated(&decoded).0, [(AT, 0), (AT, 1), (AT, 1)]);
}

#[test]
fn a_frame_s_records_have_their_own_times_and_the_rest_has_the_network_s() {
    let payload = r#"{"reports":[{"serialNumber":"IMEI:1","timestamp":1772324100000,"value":"01"}]}"#;
    let mut decoded = bound(Format::Iotcreators, "t/1/up", payload);
    let reading = |at| device::FrameReading { name: "fill_pct", value: 1.0, at };
    let readings = vec![reading(None), reading(Some(TimestampMs(1))), reading(Some(TimestampMs(2)))];
    decoded.add_frame(0, &device::Frame { readings, events: Vec::new() });
    let of_record = |ms| SampleTime::Given(TimestampMs(ms));
    assert_eq!(dated(&decoded).0, [(AT, 0), (of_record(1), 1), (of_record(2), 2)]);
}

#[test]
fn a_codec_s_records_have_the_times_that_it_gives_them() {
    let source = "function decodeUplink(i) { return { data: {
        fill_pct: 1, time: 12,
        history: [{ timestamp: 1772324100, level: 2 }, { time: '2026-03-01 08:15:00', level: 3 }, { ts: 'soon', level: 4 }]
    } } }";
    let script = Script { model: "acme".into(), source: source.to_owned(), map: Vec::new(), kind: None };
    let mut host = Host::new(script).expect("a codec");
    let frame = RawFrame { port: 1, bytes: vec![1], at: SampleTime::Missing, uplink: None };
    let said = host.decode(&frame, formats(None).times(RECEIVED));
    let dated: Vec<(String, SampleTime)> =
        said.readings.iter().map(|reading| (name_of(reading), reading.at)).collect();
    let missing = SampleTime::Missing;
    // A `time` of 12 is a duration, and a text that is no time is told as one.
    let expected = [
        ("fill_pct", missing),
        ("history_1_level", AT),
        ("history_2_level", AT),
        ("history_3_level", missing),
        ("time", missing),
    ];
    assert_eq!(dated, expected.map(|(name, at)| (name.to_owned(), at)));
    assert_eq!((&*said.events[0].about, said.faults.len()), ("history_3_ts", 0));
}
