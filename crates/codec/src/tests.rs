//! The specification of decoding, as tables.

mod times;

use proptest::prelude::*;
use sanimon_domain::{FaultCode, Metric, TimestampMs, metric};

use crate::budget::READINGS_MAX;
use crate::{Body, DeviceReport, RawReading, decode};

const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";
const RECEIVED: TimestampMs = TimestampMs(1_772_323_200_000);

fn name_of(reading: &RawReading) -> String {
    match &reading.metric {
        Metric::Known(no) => metric::info(*no).expect("a known metric").name.to_owned(),
        Metric::Custom(name) => name.to_string(),
    }
}

/// `(metric, value, device time)` of each reading, and the cause of each fault.
type Said = (Vec<(String, f64, Option<i64>)>, Vec<FaultCode>);

fn hear(payload: &[u8]) -> Said {
    let decoded = decode(TOPIC, payload, RECEIVED);
    let is_status = decoded.reports.iter().any(|report| matches!(report.body, Body::Status { .. }));
    assert!(!is_status, "telemetry gave a status");
    let readings = decoded.reports.iter().flat_map(DeviceReport::readings);
    let readings = readings.map(|r| (name_of(r), r.value, r.at.given().map(|t| t.0))).collect();
    (readings, decoded.faults.into_iter().map(|f| f.code).collect())
}

fn check(payload: &str, readings: &[(&str, f64, Option<i64>)], faults: &[FaultCode]) {
    let expected: Vec<_> = readings.iter().map(|(n, v, t)| ((*n).to_owned(), *v, *t)).collect();
    assert_eq!(hear(payload.as_bytes()), (expected, faults.to_vec()), "{payload}");
}

#[test]
fn an_object_gives_its_metrics_at_its_own_time() {
    check(
        r#"{"ts":"2026-03-01T08:15:00+08:00","fill_pct":83,"temperature_c":21.5,"lid_open":true}"#,
        &[
            ("fill_pct", 83.0, Some(1_772_324_100_000)),
            ("temperature_c", 21.5, Some(1_772_324_100_000)),
            ("lid_open", 1.0, Some(1_772_324_100_000)),
        ],
        &[],
    );
}

#[test]
fn a_time_at_the_end_in_seconds_or_as_text_is_understood() {
    for ts in ["1772324100", "1772324100000", "\"1772324100000\"", "1772324100.0"] {
        check(&format!(r#"{{"fill_pct":1,"ts":{ts}}}"#), &[("fill_pct", 1.0, Some(1_772_324_100_000))], &[]);
    }
}

#[test]
fn a_backlog_gives_each_element_its_own_time() {
    check(
        r#"[{"ts":1772324100,"fill_pct":1},{"fill_pct":2},{"ts":null,"fill_pct":3}]"#,
        &[("fill_pct", 1.0, Some(1_772_324_100_000)), ("fill_pct", 2.0, None), ("fill_pct", 3.0, None)],
        &[],
    );
}

#[test]
fn unknown_metrics_are_kept_as_such() {
    check(r#"{"door_angle":12}"#, &[("door_angle", 12.0, None)], &[]);
}

#[test]
fn a_number_as_text_is_a_number_and_other_text_is_not() {
    check(r#"{"fill_pct":" 83.5 "}"#, &[("fill_pct", 83.5, None)], &[]);
    for text in ["NaN", "inf", "Infinity", "0x10", "", "12 %"] {
        check(&format!(r#"{{"fill_pct":"{text}"}}"#), &[], &[FaultCode::WrongType]);
    }
}

#[test]
fn bad_input_ends_in_a_fault_with_its_cause() {
    use FaultCode as F;
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let deep_in_field = format!(r#"{{"fill_pct":{deep}}}"#);
    for (payload, faults) in [
        ("", vec![F::NotJson]),
        ("hello", vec![F::NotJson]),
        (r#"{"fill_pct":83"#, vec![F::NotJson]),
        (r#"{"fill_pct":83} trailing"#, vec![F::NotJson]),
        (r#"{"fill_pct":NaN}"#, vec![F::NotJson]),
        (r#"{"fill_pct":Infinity}"#, vec![F::NotJson]),
        (r#"{"fill_pct":1e999}"#, vec![F::NotJson]),
        (deep.as_str(), vec![F::WrongShape]),
        (deep_in_field.as_str(), vec![F::WrongType]),
        ("[]", vec![F::Empty]),
        ("{}", vec![F::Empty]),
        (r#"{"ts":1772324100}"#, vec![F::Empty]),
        ("83", vec![F::WrongShape]),
        ("null", vec![F::WrongShape]),
        ("[1,[2],\"x\"]", vec![F::WrongShape, F::WrongShape, F::WrongShape]),
        (r#"{"fill_pct":null}"#, vec![F::WrongType]),
        (r#"{"fill_pct":{"v":1}}"#, vec![F::WrongType]),
        (r#"{"fill_pct":250}"#, vec![F::OutOfRange]),
        (r#"{"bad name!":1}"#, vec![F::BadMetricName]),
    ] {
        assert_eq!(hear(payload.as_bytes()), (vec![], faults), "{payload}");
    }
    assert_eq!(hear(&[0xff, 0xfe, 0x00]).1, vec![F::NotJson]);
}

#[test]
fn one_bad_field_does_not_cost_the_good_ones() {
    check(
        r#"{"fill_pct":83,"fw":"1.2.x","ts":"yesterday"}"#,
        &[("fill_pct", 83.0, None)],
        &[FaultCode::WrongType, FaultCode::BadTime],
    );
}

#[test]
fn a_megabyte_of_readings_is_read_to_the_last() {
    let payload = format!("[{}]", vec![r#"{"ts":1772324100,"fill_pct":50}"#; READINGS_MAX].join(","));
    assert!(payload.len() > 1_000_000);
    let (readings, faults) = hear(payload.as_bytes());
    assert_eq!((readings.len(), faults), (READINGS_MAX, vec![]));
}

#[test]
fn senml_base_fields_hold_for_the_records_that_follow() {
    // The shape of RFC 8428, section 5.1.3, with the measures of a bin.
    check(
        r#"[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1772324100,"bu":"Cel","n":"temperature","v":23.5},
            {"n":"fill_pct","u":"%","v":61,"t":60},
            {"n":"lid_open","vb":true,"u":"/"}]"#,
        &[
            ("temperature_c", 23.5, Some(1_772_324_100_000)),
            ("fill_pct", 61.0, Some(1_772_324_160_000)),
            ("lid_open", 1.0, Some(1_772_324_100_000)),
        ],
        &[],
    );
}

#[test]
fn senml_times_below_2_to_the_28_are_relative_to_the_receipt() {
    check(
        r#"[{"n":"fill_pct","v":61,"t":-5},{"n":"fill_pct","v":62}]"#,
        &[("fill_pct", 61.0, Some(RECEIVED.0 - 5_000)), ("fill_pct", 62.0, None)],
        &[],
    );
}

#[test]
fn senml_units_are_converted_to_ours() {
    check(
        r#"[{"n":"distance","u":"m","v":0.75},{"n":"temperature","u":"K","v":300},{"n":"fill","u":"/","v":0.5}]"#,
        &[("distance_mm", 750.0, None), ("temperature_c", 300.0 - 273.15, None), ("fill_pct", 50.0, None)],
        &[],
    );
}

#[test]
fn a_senml_text_is_a_fault() {
    check(r#"[{"n":"fill_pct","vs":"full"}]"#, &[], &[FaultCode::WrongType]);
}

#[test]
fn a_status_is_online_or_offline() {
    let status = |payload: &[u8]| decode("sanitation/east/bin/b-1/status", payload, RECEIVED);
    assert_eq!(status(b"online").reports[0].body, Body::Status { online: true });
    assert_eq!(status(b" offline\n").reports[0].body, Body::Status { online: false });
    assert_eq!(status(b"ONLINE?").faults[0].code, FaultCode::BadStatus);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_nothing_is_lost_without_a_word(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (readings, faults) = hear(&payload);
        prop_assert!(!readings.is_empty() || !faults.is_empty());
    }

    #[test]
    fn no_json_like_text_panics(payload in r#"[\[\]{}:,"ntsbv0-9.eE-]{0,80}"#) {
        let (readings, faults) = hear(payload.as_bytes());
        prop_assert!(!readings.is_empty() || !faults.is_empty());
    }

    #[test]
    fn every_value_in_range_comes_through_unchanged(value in 0.0_f64..=100.0) {
        let (readings, faults) = hear(format!(r#"{{"fill_pct":{value}}}"#).as_bytes());
        prop_assert!(faults.is_empty());
        prop_assert_eq!(readings[0].1, value);
    }
}
