//! The specification of the limits: full-size messages of one thing only, in every format.
//!
//! Operations are counted, not time: the same on every machine.

mod every_format;
mod frames;
mod full_size;

use sanimon_domain::{FaultCode, SiteCalendar, TimestampMs};

use super::*;
use crate::{Binding, Decoded, Format, Formats, Incoming, TopicPattern};

/// The largest packet that the broker takes.
const PAYLOAD_BYTES: usize = 2 << 20;
const RECEIVED: TimestampMs = TimestampMs(1_772_323_200_000);
const NATIVE: &str = "sanitation/east/bin/b-1/telemetry";

/// One message of a kind, of so many bytes or a little less.
fn filled(bytes: usize, [open, close]: [&str; 2], item: impl Fn(usize) -> String) -> String {
    let mut text = open.to_owned();
    let mut separator = "";
    for n in 0.. {
        let next = item(n);
        if text.len() + next.len() + close.len() + 1 > bytes {
            break;
        }
        text.push_str(separator);
        text.push_str(&next);
        separator = ",";
    }
    text.push_str(close);
    text
}

const OBJECT: [&str; 2] = ["{", "}"];
const LIST: [&str; 2] = ["[", "]"];

/// A message of a format on a topic that is bound to it; of the native contract without one.
fn decode(format: Option<Format>, payload: &[u8]) -> Decoded {
    let topics = vec![TopicPattern::new("t/{device}/#").expect("a pattern")];
    let bindings = format.map(|format| Binding { topics, ..Binding::usual(format) });
    let topic = match format {
        None => NATIVE,
        Some(Format::Chirpstack) => "t/1000000000000001/event/up",
        Some(_) => "t/d-1/up",
    };
    let formats = Formats::new(bindings.into_iter().collect(), SiteCalendar::utc());
    formats.decode(Incoming { topic, payload, received: RECEIVED, client_id: None })
}

/// The formats, the native one first.
fn formats() -> impl Iterator<Item = Option<Format>> {
    std::iter::once(None).chain(Format::ALL.iter().copied().map(Some))
}

fn readings(decoded: &Decoded) -> usize {
    decoded.reports.iter().map(|report| report.readings().len()).sum()
}

/// How much of so many is beyond a limit.
fn beyond(count: u32, max: usize) -> u32 {
    count - max as u32
}

/// What holds of every message, whatever it is.
fn check(decoded: &Decoded, payload_bytes: usize, what: &str) {
    assert!(decoded.reports.len() <= DEVICES_MAX, "{what}");
    assert!(readings(decoded) <= READINGS_MAX, "{what}");
    assert!(decoded.reports.iter().map(|report| report.events.len()).sum::<usize>() <= EVENTS_MAX, "{what}");
    assert!(decoded.faults.len() <= FAULTS_MAX, "{what}");
    let too_much = decoded.faults.iter().filter(|fault| fault.code == FaultCode::TooMuch).count();
    assert_eq!(too_much, usize::from(!decoded.limits.is_zero()), "{what}: {:?}", decoded.limits);
    assert_eq!(decoded.more_faults, decoded.limits.faults, "{what}");
    for fault in &decoded.faults {
        assert!(fault.message.len() <= FAULT_BYTES_MAX + '…'.len_utf8(), "{what}: {}", fault.message);
    }
    let names = decoded.reports.iter().filter_map(|report| report.sender.name.as_ref());
    assert!(names.into_iter().all(|name| name.len() <= TITLE_BYTES_MAX), "{what}");
    let Work { fields, comparisons, nodes } = decoded.work();
    let bytes = payload_bytes as u64;
    // The native reader looks at a SenML pack twice; an envelope's tree is looked at once more for its metrics.
    assert!(fields <= bytes, "{what}: {fields} fields");
    assert!(comparisons <= 2 * bytes * FAULTS_MAX as u64, "{what}: {comparisons} comparisons");
    assert!(nodes <= (NODES_MAX + OBJECT_NODES) as u64, "{what}: {nodes} nodes");
}

#[test]
fn the_sentence_about_all_limits_fits_into_a_fault() {
    let one = u32::MAX;
    let all = LimitCounts {
        fields: one,
        faults: one,
        names: one,
        texts: one,
        nested: one,
        devices: one,
        readings: one,
        events: one,
        elements: one,
        nodes: one,
        frames: one,
    };
    let message = all.fault().expect("a fault").message;
    assert!(message.len() <= FAULT_BYTES_MAX, "{}: {message}", message.len());
    assert_eq!(LimitCounts::default().fault(), None);
}

#[test]
fn the_limit_of_a_name_is_the_store_s() {
    assert_eq!(NAME_BYTES_MAX, sanimon_domain::metric::NAME_BYTES_MAX);
}

#[test]
fn a_text_is_cut_between_its_characters() {
    assert_eq!((cut("井盖", 4), cut("ab", 4)), ("井", "ab"));
    assert_eq!((shortened("井盖", 4).as_str(), shortened("ab", 2).as_str()), ("井…", "ab"));
    let long = joined(&"a".repeat(200), &"b".repeat(200));
    assert!(long.len() > PATH_BYTES_MAX && long.ends_with('…'), "{long}");
}
