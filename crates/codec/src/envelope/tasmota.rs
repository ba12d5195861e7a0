//! Tasmota: `tele/{device}/SENSOR`, with the wall clock's time and without its zone.

use sanimon_domain::{FaultCode, SiteCalendar};
use serde_json::Value;

use super::values::Values;
use super::{Context, text, wrong_shape};
use crate::heard::{Body, Decoded, Heard, Speaker};

/// Tasmota's ultrasonic sensors say centimetres, whatever they are called.
const DISTANCE: &str = "Distance";

fn speaker(context: Context<'_>) -> Result<Speaker, Decoded> {
    let name = context.device.ok_or_else(|| wrong_shape("the topic does not say which device speaks"))?;
    Speaker::named(name).map_err(|fault| Decoded { heard: Vec::new(), faults: vec![fault] })
}

/// `Online` or `Offline`.
pub(super) fn last_will(context: Context<'_>) -> Decoded {
    let online = match context.message.payload.trim_ascii() {
        b"Online" => true,
        b"Offline" => false,
        _ => return Decoded::fault(FaultCode::BadStatus, "Tasmota's last will is `Online` or `Offline`"),
    };
    match speaker(context) {
        Ok(speaker) => {
            let heard = Heard { body: Body::Status { online }, ..Heard::new(speaker) };
            Decoded { heard: vec![heard], faults: Vec::new() }
        }
        Err(refused) => refused,
    }
}

pub(super) fn read(context: Context<'_>, body: &Value) -> Decoded {
    let speaker = match speaker(context) {
        Ok(speaker) => speaker,
        Err(refused) => return refused,
    };
    let Some(fields) = body.as_object() else {
        return wrong_shape("a message of Tasmota is an object of sensors");
    };
    let at = text(body, "Time").and_then(|time| SiteCalendar::parse_local(context.calendar, time));
    let is_fahrenheit = text(body, "TempUnit") == Some("F");
    let mut values = Values::new(context.binding);
    for (sensor, inner) in fields {
        let Value::Object(measures) = inner else { continue };
        for (name, value) in measures {
            let own_word = values.binding.map.iter().any(|mapping| &*mapping.from == name);
            match (name.as_str(), value.as_f64()) {
                (DISTANCE, Some(cm)) if !own_word => values.samples.value("distance_cm", cm, at),
                ("Temperature", Some(f)) if is_fahrenheit && !own_word => {
                    values.samples.value("temperature_f", f, at);
                }
                _ if is_measured(&values, name) => values.put(&format!("{sensor}_{name}"), value, at),
                _ => values.put(name, value, at),
            }
        }
    }
    let mut heard = Heard::new(speaker);
    let mut faults = Vec::new();
    heard.add_samples(values.samples, &mut faults);
    Decoded { heard: vec![heard], faults }
}

/// A second sensor of the same quantity keeps its name apart.
fn is_measured(values: &Values<'_>, name: &str) -> bool {
    let (metric, _) = values.binding.named(name);
    values.samples.readings.iter().any(|reading| match &reading.metric {
        sanimon_domain::Metric::Known(no) => {
            sanimon_domain::metric::info(*no).is_some_and(|info| info.name == metric)
        }
        sanimon_domain::Metric::Custom(known) => **known == *metric,
    })
}
