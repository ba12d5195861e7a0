//! Tasmota: `tele/{device}/SENSOR`, with the wall clock's time and without its zone.

use std::collections::HashSet;

use sanimon_domain::{FaultCode, Metric};
use serde_json::Value;

use super::values::Values;
use super::{Context, text, wrong_shape};
use crate::budget::joined;
use crate::decoded::Decoded;
use crate::report::Sender;

/// Tasmota's ultrasonic sensors say centimetres, whatever they are called.
const DISTANCE: &str = "Distance";

const NO_DEVICE: &str = "the topic does not say which device speaks";

/// `Online` or `Offline`.
pub(super) fn last_will(context: Context<'_>) -> Decoded {
    let online = match context.message.payload.trim_ascii() {
        b"Online" => true,
        b"Offline" => false,
        _ => return Decoded::fault(FaultCode::BadStatus, "Tasmota's last will is `Online` or `Offline`"),
    };
    let Some(name) = context.device else { return wrong_shape(NO_DEVICE) };
    let mut decoded = Decoded::default();
    match Sender::named(name) {
        Ok(sender) => decoded.add_status(sender, online),
        Err(fault) => decoded.add_fault(fault),
    }
    decoded
}

pub(super) fn read(context: Context<'_>, body: &Value) -> Decoded {
    let Some(name) = context.device else { return wrong_shape(NO_DEVICE) };
    let Some(fields) = body.as_object() else {
        return wrong_shape("a message of Tasmota is an object of sensors");
    };
    let is_fahrenheit = text(body, "TempUnit") == Some("F");
    let mut values = Values::new(context.binding);
    let at = values.samples.time("Time", context.time(&body["Time"]));
    // A second sensor of the same quantity keeps its name apart.
    let mut known: HashSet<Box<str>> = HashSet::new();
    for (sensor, inner) in fields {
        let Value::Object(measures) = inner else { continue };
        for (name, value) in measures {
            if values.samples.has_all_fields() {
                values.samples.next_field();
                continue;
            }
            let own_word = values.binding.map.iter().any(|mapping| &*mapping.from == name);
            let before = values.samples.readings.len();
            match (name.as_str(), value.as_f64()) {
                (DISTANCE, Some(cm)) if !own_word => values.put("distance_cm", &cm.into(), at),
                ("Temperature", Some(f)) if is_fahrenheit && !own_word => {
                    values.put("temperature_f", &f.into(), at);
                }
                _ if known.contains(&*values.binding.named(name).0) => {
                    values.put(&joined(sensor, name), value, at);
                }
                _ => values.put(name, value, at),
            }
            known.extend(values.samples.readings[before..].iter().map(|reading| name_of(&reading.metric)));
        }
    }
    Decoded::of(Sender::named(name), values.samples)
}

fn name_of(metric: &Metric) -> Box<str> {
    match metric {
        Metric::Known(no) => sanimon_domain::metric::info(*no).map_or("", |info| info.name).into(),
        Metric::Custom(name) => name.clone(),
    }
}
