//! Writes the corpus of each fuzz target from the published cases: `fuzz_corpus FOLDER`; `tests/fuzz.sh` runs it.

use std::path::{Path, PathBuf};

use sanimon_codec::{Format, device};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).expect("usage: fuzz_corpus FOLDER"));
    for target in ["frames", "envelopes", "native", "packets", "scripts"] {
        std::fs::create_dir_all(folder.join(target))?;
    }
    let models: Vec<&str> = device::models().map(|model| model.name).collect();
    for (index, line) in std::fs::read_to_string(data("published_cases.jsonl"))?.lines().enumerate() {
        let case: Value = serde_json::from_str(line).expect("a published case");
        let name = case["model"].as_str().unwrap_or_default().to_lowercase();
        let Some(model) = models.iter().position(|known| *known == name) else { continue };
        let bytes =
            sanimon_codec::bytes_from_hex(case["hex"].as_str().unwrap_or_default()).unwrap_or_default();
        // The model as two bytes, the port, the frame.
        let mut input = (model as u16).to_le_bytes().to_vec();
        input.push(case["port"].as_u64().unwrap_or(85) as u8);
        input.extend_from_slice(&bytes);
        std::fs::write(folder.join("frames").join(format!("{index}")), input)?;
        std::fs::write(folder.join("scripts").join(format!("{index}")), bytes)?;
    }
    for entry in std::fs::read_dir(data("envelopes"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains(".expected.") || path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let body = std::fs::read(&path)?;
        // Each sample as a message of each format: the first byte chooses it.
        for (format, _) in Format::ALL.iter().enumerate().filter(|(_, format)| likely(&name, **format)) {
            let mut input = vec![format as u8];
            input.extend_from_slice(&body);
            std::fs::write(folder.join("envelopes").join(format!("{name}.{format}")), input)?;
        }
    }
    for (name, body) in [
        ("object", r#"{"ts":"2026-03-01T08:15:00+08:00","fill_pct":83,"temperature_c":21.5}"#),
        ("backlog", r#"[{"ts":1772324100,"fill_pct":83},{"ts":1772324100000,"lid_open":true}]"#),
        (
            "senml",
            r#"[{"bn":"urn:dev:mac:0024befffe804ff1:","bt":1.276020076e9,"n":"temperature","u":"Cel","v":23.5}]"#,
        ),
    ] {
        std::fs::write(folder.join("native").join(name), body)?;
    }
    for (name, packets) in [("v3", packets(4)), ("v5", packets(5))] {
        std::fs::write(folder.join("packets").join(name), packets)?;
    }
    Ok(())
}

/// CONNECT, SUBSCRIBE, PUBLISH with QoS 1 and PINGREQ of a version of MQTT.
fn packets(version: u8) -> Vec<u8> {
    let properties: &[u8] = if version == 5 { &[0] } else { &[] };
    let packet = |first: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        [&[first, body.len() as u8][..], &body].concat()
    };
    let topic: &[u8] = b"\x00\x21sanitation/east/bin/b-1/telemetry";
    [
        packet(0x10, &[b"\x00\x04MQTT", &[version, 2, 0, 60], properties, b"\x00\x03b-1"]),
        packet(0x82, &[&[0, 1], properties, b"\x00\x01#", &[1]]),
        packet(0x32, &[topic, &[0, 2], properties, br#"{"fill_pct":83}"#]),
        packet(0xc0, &[]),
    ]
    .concat()
}

fn likely(name: &str, format: Format) -> bool {
    match format {
        Format::Chirpstack => name.starts_with("chirpstack"),
        Format::Tts => name.starts_with("tts3"),
        Format::Json => name.starts_with("direct"),
        other => name.contains(other.as_str()) || name.contains("nbiot"),
    }
}
