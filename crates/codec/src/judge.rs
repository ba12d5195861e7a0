//! Judging our decoders by what others have published; `tests/data/README.md` tells the forms.

use std::path::Path;

use serde_json::Value;

use crate::device::Frame;

pub(crate) fn data(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(file).expect("the project's own data")
}

pub(crate) fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

/// The published leaves by their names; lists and records of a history do not count as part of the name.
pub(crate) fn leaves(published: &Value, name: &str, found: &mut Vec<(String, Value)>) {
    match published {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            // `{"displayName": .., "unit": .., "value": ..}` is its value.
            let inner = match key.as_str() {
                "displayName" | "unit" => return,
                "value" => name.to_owned(),
                _ if name.is_empty() || name == "history" => key.clone(),
                _ => format!("{name}.{key}"),
            };
            leaves(value, &inner, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, name, found)),
        Value::Null => {}
        leaf => found.push((name.to_owned(), leaf.clone())),
    }
}

/// A published number or word as ours.
fn wanted(rule: &Value, leaf: &Value) -> Option<f64> {
    let times = rule["times"].as_f64().unwrap_or(1.0);
    let plain = match leaf {
        Value::Number(number) => number.as_f64(),
        Value::Bool(is) => Some(f64::from(u8::from(*is))),
        Value::String(text) => {
            // "1700 mm" is 1700.
            let number = || text.split([' ', '(']).next().unwrap_or_default().parse().ok();
            rule["words"][text].as_f64().or_else(number)
        }
        _ => None,
    };
    plain.map(|value| value * times)
}

/// Within 0.1 %, or one unit of the last digit that was published.
fn near(found: f64, wanted: f64, unit: f64) -> bool {
    (found - wanted).abs() <= 1e-9 + unit.max(wanted.abs() * 1e-3)
}

/// One unit of the last published digit.
fn unit_of(rule: &Value, leaf: &Value) -> f64 {
    let text = leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned);
    let decimals = match text.split_once('.') {
        Some((_, decimals)) => decimals.bytes().take_while(u8::is_ascii_digit).count(),
        // A whole number is exact.
        None => return 0.0,
    };
    10_f64.powi(-(decimals as i32)) * rule["times"].as_f64().unwrap_or(1.0)
}

/// Whether the frame says what the leaf says.
pub(crate) fn agrees(frame: &Frame, rule: &Value, leaf: &Value) -> bool {
    if leaf == "NoSensor" {
        return frame.events.iter().any(|event| event.what == "no_sensor");
    }
    if let Some(about) = rule["event"].as_str() {
        return frame.events.iter().any(|event| event.about == about);
    }
    let one = |alternative: &Value| {
        let name = alternative.as_str().or(alternative["as"].as_str()).unwrap_or_default();
        let wanted = wanted(if alternative.is_object() { alternative } else { rule }, leaf);
        let unit = unit_of(if alternative.is_object() { alternative } else { rule }, leaf);
        let times = || frame.readings.iter().filter_map(|reading| Some(reading.at?.0 as f64 / 1_000.0));
        wanted.is_some_and(|wanted| match name {
            "at" => times().any(|at| near(at, wanted, 0.0)),
            _ => {
                frame.readings.iter().any(|reading| reading.name == name && near(reading.value, wanted, unit))
            }
        })
    };
    match &rule["as"] {
        Value::Array(alternatives) => alternatives.iter().any(one),
        Value::String(_) => {
            one(&serde_json::json!({ "as": rule["as"], "times": rule["times"], "words": rule["words"] }))
        }
        _ => !rule["not"].is_null(),
    }
}

/// `line_1.0_total_in` and `line_1.total_in` are `line_1_total_in`; ways and regions have their own names.
fn plain_name(name: &str) -> String {
    name.replace(".0_", "_").replace('.', "_")
}

pub(crate) fn rule_for(names: &Value, vendor: &str, name: &str) -> Value {
    let known = &names[vendor][name];
    if !known.is_null() {
        return known.clone();
    }
    let same = plain_name(name);
    let is_own =
        ["line_", "region_", "a_to", "b_to", "c_to", "d_to"].iter().any(|start| same.starts_with(start));
    if is_own { serde_json::json!({ "as": same }) } else { Value::Null }
}
