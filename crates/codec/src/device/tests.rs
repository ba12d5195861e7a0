//! Published cases that nobody here wrote, against our decoders; `tests/data/README.md` tells the forms.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::judge::{agrees, bytes_of, data, leaves, rule_for};

struct Case {
    line: usize,
    vendor: String,
    model: String,
    port: u8,
    bytes: Vec<u8>,
    published: Value,
    /// Published names that say nothing; exceptions.json tells why.
    unjudged: Vec<Value>,
    is_error: bool,
}

impl Case {
    fn decode(&self) -> Result<Frame, Fault> {
        decode_frame(&self.model, self.port, &self.bytes)
    }
}

/// The cases of models that are known, but for those whose published values are wrong.
fn cases() -> Vec<Case> {
    let exceptions: Value = serde_json::from_str(&data("exceptions.json")).expect("JSON");
    let exception = |model: &str, hex: &str| {
        exceptions.as_array().expect("a list").iter().find(|e| e["model"] == model && e["hex"] == hex)
    };
    let mut cases = Vec::new();
    for (index, line) in data("published_cases.jsonl").lines().enumerate() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let judged = text("check").starts_with("reproduced") || text("check").starts_with("thingsboard");
        let exception = exception(text("model"), text("hex"));
        if !judged || model(text("model")).is_none() || exception.is_some_and(|e| e["names"].is_null()) {
            continue;
        }
        let unjudged = exception.and_then(|e| e["names"].as_array()).cloned().unwrap_or_default();
        let vendor = text("vendor").to_lowercase();
        let vendor = if vendor.starts_with("milesight") { "milesight" } else { vendor.as_str() };
        cases.push(Case {
            line: index + 1,
            vendor: vendor.to_owned(),
            model: text("model").to_owned(),
            port: case["port"].as_u64().and_then(|port| u8::try_from(port).ok()).unwrap_or(85),
            bytes: bytes_of(text("hex")),
            published: case["published"].clone(),
            unjudged,
            is_error: text("check") == "reproduced-error",
        });
    }
    cases
}

#[test]
fn every_published_case_of_a_known_model_agrees() {
    let names: Value = serde_json::from_str(&data("names.json")).expect("JSON");
    let (mut wrong, mut compared) = (Vec::new(), 0);
    let cases = cases();
    for case in &cases {
        let place = format!("line {}, {} {:02x?}", case.line, case.model, case.bytes);
        let frame = match (case.decode(), case.is_error) {
            (Err(_), true) => continue,
            (Ok(frame), false) => frame,
            (outcome, _) => {
                wrong.push(format!("{place}: {outcome:?}"));
                continue;
            }
        };
        // Versions, settings and answers to commands are told as one event: whatever they say, it is no telemetry.
        let is_settings = |event: &FrameEvent| {
            ["answered_a_command", "versions", "parameters", "information"].contains(&event.what)
        };
        if frame.readings.is_empty() && frame.events.iter().any(is_settings) {
            continue;
        }
        let measures = model(&case.model).expect("a known model").measures();
        for reading in &frame.readings {
            let is_own = measures.contains(&reading.name) || case.vendor == "milesight";
            assert!(is_own, "{place}: {} is not what it measures", reading.name);
        }
        let mut found = Vec::new();
        leaves(&case.published, "", &mut found);
        // The network's words about the frame are of the envelope.
        found.retain(|(name, _)| !name.starts_with("lora_") && !case.unjudged.iter().any(|n| n == name));
        for (name, leaf) in found {
            let rule = rule_for(&names, &case.vendor, &name);
            compared += 1;
            if !agrees(&frame, &rule, &leaf) {
                wrong.push(format!("{place}: {name} is {leaf}; {:?}", frame.readings));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} values:\n{}", wrong.len(), wrong.join("\n"));
    // Nothing that was judged is left out but the exceptions.
    assert!(cases.len() >= 560 && compared > 1_800, "{} cases, {compared} values", cases.len());
}

#[test]
fn a_frame_that_is_cut_in_the_middle_of_a_value_is_refused_as_a_whole() {
    for case in cases() {
        for cut in 0..case.bytes.len() {
            if let Ok(frame) = decode_frame(&case.model, case.port, &case.bytes[..cut]) {
                // Cut between two elements: what is there is right.
                let whole = case.decode().expect("it decodes");
                for reading in &frame.readings {
                    assert!(
                        whole.readings.contains(reading),
                        "line {}, cut at {cut}: {reading:?}",
                        case.line
                    );
                }
            }
        }
    }
}

/// Families whose frames say what they are: by a head, a length, a checksum of some kind.
const TELLING: [&str; 4] = ["milesight", "dingtek", "decentlab", "netvox"];

#[test]
fn a_frame_of_another_vendor_is_refused_by_families_whose_frames_say_what_they_are() {
    let cases = cases();
    for model in models().filter(|model| TELLING.contains(&model.vendor)) {
        // Yobiiq's detector speaks Milesight's protocol.
        let is_foreign = |case: &&Case| case.vendor != model.vendor && case.vendor != "yobiiq";
        for case in cases.iter().filter(is_foreign) {
            // On the port that the other vendor used, and on the model's own.
            for port in [case.port, 1, 2, 3, 6, 85] {
                let read = decode_frame(model.name, port, &case.bytes).map(|frame| frame.readings);
                let is_quiet = read.as_ref().map_or(true, Vec::is_empty);
                assert!(is_quiet, "{} reads line {}, {}: {read:?}", model.name, case.line, case.model);
            }
        }
    }
}

#[test]
fn joins_and_sensors_that_warm_up_are_events_and_never_a_reading() {
    let frame = decode_frame(
        "em410-rdl",
        85,
        &bytes_of("ff0bffff0101fffeffff166862e21141780013ff090100ff0a0101ff0f00ffff0100"),
    );
    let frame = frame.expect("a join");
    assert!(frame.readings.is_empty());
    assert!(frame.events.iter().any(|event| event.what == "powered_on"));
    for (model, hex, about, what) in [
        ("gs301", "047dfeff", "nh3_ppm", "warming_up"),
        ("gs301", "057dffff", "h2s_ppm", "sensor_fault"),
        ("em500-swl", "0377ffff", "level_mm", "sensor_fault"),
        ("em410-rdl", "0482fdff", "distance_mm", "no_target"),
    ] {
        let frame = decode_frame(model, 85, &bytes_of(hex)).expect("a frame");
        assert!(frame.readings.is_empty(), "{model} {hex}");
        assert_eq!((frame.events[0].about, frame.events[0].what), (about, what));
    }
}

#[test]
fn every_model_has_one_name_and_measures_something() {
    let mut names: Vec<&str> = models().map(|model| model.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for model in models() {
        assert!(!model.measures().is_empty(), "{}", model.name);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(index in any::<prop::sample::Index>(), port: u8, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let all: Vec<&Model> = models().collect();
        let _ = decode_frame(all[index.index(all.len())].name, port, &bytes);
    }
}
