//! What full-size messages leave, to the last field.

use super::*;
use crate::SampleTime;

/// What a full-size message leaves, and how much of it was left out.
struct Row {
    name: &'static str,
    format: Option<Format>,
    payload: String,
    devices: usize,
    readings: usize,
    events: usize,
    left_out: LimitCounts,
}

fn row(name: &'static str, format: Option<Format>, payload: String) -> Row {
    Row { name, format, payload, devices: 1, readings: 0, events: 0, left_out: LimitCounts::default() }
}

/// How often an item is in a message.
fn count(payload: &str, item: &str) -> u32 {
    payload.matches(item).count() as u32
}

fn native_rows() -> Vec<Row> {
    let zero = LimitCounts::default();
    let nulls = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""k{n}":null"#));
    let numbers = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""k{n}":1"#));
    let objects = filled(PAYLOAD_BYTES, LIST, |_| r#"{"fill_pct":1}"#.to_owned());
    let long_names = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""{n:065}":1"#));
    let long_names_of_nulls = long_names.replace(":1", ":null");
    let long_name = format!(r#"{{"{}":1,"fill_pct":1}}"#, "x".repeat(PAYLOAD_BYTES));
    let long_texts = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""k{n}":"{n:04097}""#));
    let records = filled(PAYLOAD_BYTES, [r#"[{"bn":"fill_pct"},"#, "]"], |_| r#"{"v":1}"#.to_owned());
    assert!(count(&nulls, ":") > 130_000 && count(&objects, ":") > 130_000 && count(&records, "v") > 150_000);
    // The last of the places for faults is for the one about the limits.
    let told_of_nulls = FIELDS_MAX - (FAULTS_MAX - 1);
    let left_out = LimitCounts { fields: beyond(count(&nulls, ":"), FIELDS_MAX), ..zero };
    vec![
        Row {
            left_out: LimitCounts { faults: told_of_nulls as u32, ..left_out },
            ..row("nulls", None, nulls)
        },
        Row {
            readings: FIELDS_MAX,
            left_out: LimitCounts { fields: beyond(count(&numbers, ":"), FIELDS_MAX), ..zero },
            ..row("numbers", None, numbers)
        },
        Row {
            readings: ELEMENTS_MAX,
            left_out: LimitCounts { elements: beyond(count(&objects, ":"), ELEMENTS_MAX), ..zero },
            ..row("objects", None, objects)
        },
        Row {
            left_out: LimitCounts {
                names: FIELDS_MAX as u32,
                fields: beyond(count(&long_names, ":"), FIELDS_MAX),
                ..zero
            },
            ..row("long names", None, long_names)
        },
        Row {
            left_out: LimitCounts {
                names: FIELDS_MAX as u32,
                fields: beyond(count(&long_names_of_nulls, ":"), FIELDS_MAX),
                ..zero
            },
            ..row("long names of nulls", None, long_names_of_nulls)
        },
        Row {
            readings: 1,
            left_out: LimitCounts { names: 1, ..zero },
            ..row("one long name", None, long_name)
        },
        Row {
            left_out: LimitCounts { texts: count(&long_texts, ":"), ..zero },
            ..row("long texts", None, long_texts)
        },
        Row {
            readings: ELEMENTS_MAX,
            left_out: LimitCounts { elements: beyond(count(&records, "v"), ELEMENTS_MAX), ..zero },
            ..row("SenML", None, records)
        },
    ]
}

fn json_rows() -> Vec<Row> {
    let zero = LimitCounts::default();
    let json = Some(Format::Json);
    let numbers = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""k{n}":1"#));
    let texts = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""k{n}":"x""#));
    let deep = format!("{}1{}", r#"{"a":"#.repeat(PAYLOAD_BYTES / 6), "}".repeat(PAYLOAD_BYTES / 6));
    let deep_lists = format!("{}1{}", "[".repeat(PAYLOAD_BYTES / 2), "]".repeat(PAYLOAD_BYTES / 2));
    let long_names = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""{n:0257}":null"#));
    let long_texts = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""k{n}":"{n:04097}""#));
    let numbers_in_a_list = filled(PAYLOAD_BYTES, [r#"{"a":["#, "]}"], |_| "1".to_owned());
    vec![
        Row {
            readings: FIELDS_MAX,
            left_out: LimitCounts { fields: beyond(count(&numbers, ":"), FIELDS_MAX), ..zero },
            ..row("numbers", json, numbers)
        },
        Row {
            events: EVENTS_MAX,
            left_out: LimitCounts {
                fields: beyond(count(&texts, ":"), FIELDS_MAX),
                events: beyond(FIELDS_MAX as u32, EVENTS_MAX),
                ..zero
            },
            ..row("texts", json, texts)
        },
        Row { left_out: LimitCounts { nested: 1, ..zero }, ..row("deep objects", json, deep) },
        Row { left_out: LimitCounts { nested: 1, ..zero }, ..row("deep lists", json, deep_lists) },
        Row {
            left_out: LimitCounts {
                names: FIELDS_MAX as u32,
                fields: beyond(count(&long_names, ":"), FIELDS_MAX),
                ..zero
            },
            ..row("long names of nulls", json, long_names)
        },
        Row {
            events: EVENTS_MAX,
            left_out: LimitCounts {
                texts: count(&long_texts, ":"),
                events: beyond(count(&long_texts, ":").min(FIELDS_MAX as u32), EVENTS_MAX),
                ..zero
            },
            ..row("long texts", json, long_texts)
        },
        Row {
            readings: FIELDS_MAX,
            left_out: LimitCounts {
                elements: beyond(count(&numbers_in_a_list, "1"), ELEMENTS_MAX),
                fields: beyond(ELEMENTS_MAX as u32, FIELDS_MAX),
                ..zero
            },
            ..row("numbers in a list", json, numbers_in_a_list)
        },
    ]
}

fn platform_rows() -> Vec<Row> {
    let zero = LimitCounts::default();
    let devices = filled(PAYLOAD_BYTES, OBJECT, |n| format!(r#""d{n}":[{{"a":1}}]"#));
    let samples = filled(PAYLOAD_BYTES, LIST, |n| format!(r#"{{"ts":{n},"values":{{"fill_pct":1}}}}"#));
    assert!(count(&devices, ":[") > 100_000);
    // Two objects with a field each, and three values, beside the list itself: the last one is begun and not ended.
    let samples_read = (NODES_MAX - 1).div_ceil(2 * OBJECT_NODES + 4);
    vec![
        Row {
            devices: DEVICES_MAX,
            readings: DEVICES_MAX,
            left_out: LimitCounts { devices: beyond(count(&devices, ":["), DEVICES_MAX), ..zero },
            ..row("a gateway's devices", Some(Format::Thingsboard), devices)
        },
        Row {
            readings: samples_read,
            left_out: LimitCounts { nodes: beyond(count(&samples, "ts"), samples_read), ..zero },
            ..row("samples", Some(Format::Thingsboard), samples)
        },
        Row {
            left_out: LimitCounts { frames: 1, ..zero },
            ..row("a frame", Some(Format::Binary), "x".repeat(PAYLOAD_BYTES))
        },
    ]
}

#[test]
fn a_full_size_message_of_one_thing_only_is_read_to_the_limits_and_the_rest_is_counted() {
    for row in [native_rows(), json_rows(), platform_rows()].into_iter().flatten() {
        let Row { name, format, payload, .. } = &row;
        assert!(payload.len() + 9_000 > PAYLOAD_BYTES, "{name}");
        let decoded = decode(*format, payload.as_bytes());
        let what = format!("{name} to {format:?}");
        check(&decoded, payload.len(), &what);
        assert_eq!(decoded.limits, row.left_out, "{what}");
        assert_eq!((decoded.reports.len(), readings(&decoded)), (row.devices, row.readings), "{what}");
        let events: usize = decoded.reports.iter().map(|report| report.events.len()).sum();
        assert_eq!(events, row.events, "{what}");
        assert!(decoded.reports.iter().all(|report| report.frame.is_none()), "{what}");
        let last = decoded.faults.last().expect("a fault");
        for (limit, left_out) in decoded.limits.each().filter(|(_, left_out)| *left_out > 0) {
            assert!(last.message.contains(&left_out.to_string()), "{what}: {limit}: {}", last.message);
        }
    }
}

#[test]
fn a_message_that_is_no_json_to_its_end_is_refused_as_a_whole_also_behind_the_limits() {
    for format in [None, Some(Format::Json), Some(Format::Thingsboard)] {
        let broken = filled(PAYLOAD_BYTES / 8, ["{", ",}"], |n| format!(r#""k{n}":1"#));
        let decoded = decode(format, broken.as_bytes());
        let codes: Vec<FaultCode> = decoded.faults.iter().map(|fault| fault.code).collect();
        assert_eq!((codes, readings(&decoded)), (vec![FaultCode::NotJson], 0), "{format:?}");
    }
}

#[test]
fn a_time_behind_the_limit_of_fields_is_the_time_of_those_before_it() {
    let payload = filled(PAYLOAD_BYTES, ["{", r#","ts":1772324100}"#], |n| format!(r#""k{n}":1"#));
    let decoded = decode(None, payload.as_bytes());
    let at = SampleTime::Given(TimestampMs(1_772_324_100_000));
    assert!(decoded.reports[0].readings().iter().all(|reading| reading.at == at));
}

#[test]
fn eight_levels_are_read_and_the_ninth_is_left_out() {
    let at_level = |level: usize| format!("{}1{}", r#"{"a":"#.repeat(level), "}".repeat(level));
    for (level, read, nested) in [(NESTING_MAX, 1, 0), (NESTING_MAX + 1, 0, 1)] {
        let decoded = decode(Some(Format::Json), at_level(level).as_bytes());
        assert_eq!((readings(&decoded), decoded.limits.nested), (read, nested), "{level}");
    }
    let in_lists = |level: usize| format!("{}1{}", "[".repeat(level), "]".repeat(level));
    for (level, read, nested) in [(NESTING_MAX, 1, 0), (NESTING_MAX + 1, 0, 1)] {
        let decoded = decode(Some(Format::Json), in_lists(level).as_bytes());
        assert_eq!((readings(&decoded), decoded.limits.nested), (read, nested), "{level}");
    }
}
