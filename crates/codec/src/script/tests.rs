//! Codecs as people publish them, and codecs that nobody should run.

use sanimon_domain::{FaultCode, Metric, SiteCalendar, TimestampMs, metric};

use super::*;
use crate::report::RawFrame;

const NOW: TimestampMs = TimestampMs(1_772_323_200_000);

fn script(source: &str) -> Script {
    Script { model: "acme".into(), source: source.to_owned(), map: Vec::new(), kind: None }
}

fn times() -> TimeReader {
    TimeReader::new(SiteCalendar::named("Asia/Shanghai").expect("a zone"), NOW)
}

fn run(source: &str, bytes: &[u8]) -> Result<Value, Fault> {
    Host::new(script(source))?.run(2, bytes, NOW)
}

#[test]
fn every_signature_in_use_is_called() {
    let expected = serde_json::json!({ "level": 258, "port": 2 });
    for source in [
        "function decodeUplink(input) { return { data: { level: input.bytes[0] << 8 | input.bytes[1], port: input.fPort } }; }",
        "const decodeUplink = ({ bytes, fPort }) => ({ data: { level: bytes[0] * 256 + bytes[1], port: fPort }, warnings: [] });",
        "function Decode(fPort, bytes, variables) { return { level: bytes[0] * 256 + bytes[1], port: fPort }; }",
        "function Decoder(bytes, port) { var d = {}; d.level = bytes[0] * 256 + bytes[1]; d.port = port; return d; }",
        "module.exports.decodeUplink = function (i) { return { data: { level: i.bytes[0] * 256 + i.bytes[1], port: i.fPort } }; };",
        "function decodeUplink(i) { return { data: Decode(i.fPort, i.bytes) } } function Decode(p, b) { return { level: b[0] * 256 + b[1], port: p } }",
        // Sloppy: a variable that nobody declared.
        "function decodeUplink(i) { level = i.bytes[0] * 256 + i.bytes[1]; return { data: { level: level, port: i.fPort } } }",
        // ES2020.
        "const decodeUplink = i => { const { bytes: [hi, lo] } = i; const o = { a: { b: 1 } }; return { data: { level: (hi ?? 0) * 256 + lo, port: i.fPort + (o?.c?.d ?? 0) } } }",
    ] {
        assert_eq!(run(source, &[1, 2]).expect(source), expected, "{source}");
    }
}

#[test]
fn values_get_our_names_by_the_mapping_and_by_their_meaning() {
    let source = "function decodeUplink(i) { return { data: { Dist: 83.5, temperature: 21.5, battery: '91', state: 'ok', in: { a: true }, list: [1, 2], nothing: null, nan: NaN } } }";
    let map = vec![Mapping::parse("Dist", "distance_cm").expect("a mapping")];
    let mut host = Host::new(Script { map, ..script(source) }).expect("a codec");
    let frame = RawFrame { port: 1, bytes: vec![1], at: SampleTime::Given(NOW), uplink: None };
    let said = host.decode(&frame, times());
    assert!(said.faults.is_empty(), "{:?}", said.faults);
    let name = |metric: &Metric| match metric {
        Metric::Known(no) => metric::info(*no).expect("known").name.to_owned(),
        Metric::Custom(name) => name.to_string(),
    };
    let mut values: Vec<(String, f64)> = said.readings.iter().map(|r| (name(&r.metric), r.value)).collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("battery_pct", 91.0),
        ("distance_mm", 835.0),
        ("in_a", 1.0),
        ("list_1", 1.0),
        ("list_2", 2.0),
        ("temperature_c", 21.5),
    ];
    assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value)));
    assert!(said.readings.iter().all(|reading| reading.at == SampleTime::Given(NOW)));
    assert_eq!((&*said.events[0].about, said.events[0].detail.as_deref()), ("state", Some("ok")));
}

#[test]
fn a_codec_that_loops_throws_or_gives_nonsense_costs_one_fault_and_the_next_frame_is_read() {
    let source = "function decodeUplink(i) {
        if (i.bytes[0] === 1) for (;;) {}
        if (i.bytes[0] === 2) throw new Error('out of sorts');
        if (i.bytes[0] === 3) return 7;
        if (i.bytes[0] === 4) return undefined;
        if (i.bytes[0] === 5) { const f = () => f() + 1; return { data: { x: f() } }; }
        if (i.bytes[0] === 6) { let a = []; for (;;) a.push('x'.repeat(1 << 20)); }
        if (i.bytes[0] === 7) return { errors: ['not mine'] };
        if (i.bytes[0] === 8) return { data: { x: 'y'.repeat(1 << 20) } };
        if (i.bytes[0] === 9) { const o = {}; o.o = o; return { data: o }; }
        if (i.bytes[0] === 10) return new Deadline(() => {});
        if (i.bytes[0] === 11) return { data: [1, 2] };
        if (i.bytes[0] === 12) throw null;
        if (i.bytes[0] === 13) while (true) { try { for (;;) {} } catch (e) {} }
        return { data: { fill_pct: 40 } };
    }";
    let mut host = Host::new(script(source)).expect("a codec");
    for first in 1..=13 {
        let fault = host.run(1, &[first], NOW).expect_err("a fault");
        let expected = if first == 7 { FaultCode::BadFrame } else { FaultCode::BadScript };
        assert_eq!(fault.code, expected, "{first}: {}", fault.message);
        assert!(fault.message.contains("acme"), "{}", fault.message);
        let sound = host.run(1, &[99], NOW).unwrap_or_else(|fault| panic!("after {first}: {fault:?}"));
        assert_eq!(sound["fill_pct"], 40, "after {first}");
    }
}

#[test]
fn a_codec_has_no_clock_no_chance_and_no_way_out() {
    let source = "function decodeUplink(i) { const d = new Date(); return { data: { now: Date.now(), hour: d.getHours(), chance: Math.random(), r: typeof require, f: typeof fetch, p: typeof process, s: typeof std, o: typeof os, offset: d.getTimezoneOffset(), made: new Date(2020, 0, 1) instanceof Date ? 1 : 0 } } }";
    let mut host = Host::new(script(source)).expect("a codec");
    let first = host.run(1, &[1], NOW).expect("data");
    assert_eq!(first["now"], 1_772_323_200_000_i64);
    assert_eq!((&first["hour"], &first["offset"], &first["made"]), (&0.into(), &0.into(), &1.into()));
    for gone in ["r", "f", "p", "s", "o"] {
        assert_eq!(first[gone], "undefined", "{gone}");
    }
    assert_eq!(host.run(1, &[1], NOW).expect("data"), first);
}

#[test]
fn a_file_that_is_no_codec_is_refused_with_what_is_wrong() {
    for (source, why) in [
        ("function decodeUplink(input) { return {", "cannot be read"),
        ("var x = 1;", "has none of the functions"),
        ("for (;;) {}", "cannot be read"),
        ("const fs = require('fs'); function decodeUplink() {}", "require"),
    ] {
        let fault = Host::new(script(source)).expect_err(source);
        assert!(fault.message.contains(why), "{source}: {}", fault.message);
    }
    let long = " ".repeat(SOURCE_BYTES_MAX + 1);
    assert!(Host::new(script(&long)).is_err());
}
