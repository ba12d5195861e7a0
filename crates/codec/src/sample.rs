//! The one place where a value becomes a reading or a fault.

use sanimon_domain::{Fault, FaultCode, Metric, TimestampMs, metric, units};

use crate::heard::DeviceEvent;
use crate::topic::shown;

/// A value as the device sent it: not yet calibrated, its time not yet judged.
#[derive(Debug, Clone, PartialEq)]
pub struct RawReading {
    pub metric: Metric,
    pub value: f64,
    /// The device's own time, if it gave one that can be read.
    pub at: Option<TimestampMs>,
}

/// A field's value before it is judged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    Number(f64),
    Bool(bool),
    Text(String),
    Null,
    Nested,
}

/// Collects the readings and faults of one message.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) readings: Vec<RawReading>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) events: Vec<DeviceEvent>,
}

impl Samples {
    /// A fault is kept once a message: a thousand equal elements are one cause.
    pub(crate) fn fault(&mut self, code: FaultCode, message: String) {
        let fault = Fault { code, message };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// A named field: a number, a boolean, or a number as text becomes a reading.
    pub(crate) fn field(&mut self, name: &str, field: &Field, at: Option<TimestampMs>) {
        let value = match field {
            Field::Number(value) => Some(*value),
            Field::Bool(value) => Some(f64::from(u8::from(*value))),
            Field::Text(text) => number_in_text(text),
            Field::Null | Field::Nested => None,
        };
        match value {
            Some(value) => self.value(name, value, at),
            None => {
                let found = match field {
                    Field::Null => "null",
                    Field::Nested => "an object or array",
                    _ => "a text that is not a number",
                };
                self.fault(FaultCode::WrongType, format!("`{}` is {found}, not a number", shown(name)));
            }
        }
    }

    /// A number under a name: kept if the metric can have it.
    pub(crate) fn value(&mut self, name: &str, value: f64, at: Option<TimestampMs>) {
        let (metric, value) = match units::exact(name) {
            Some(conversion) => (Metric::Known(conversion.metric), conversion.apply(value)),
            None if metric::is_keepable_name(name) => (Metric::Custom(name.into()), value),
            None => {
                let message = format!("`{}` cannot be the name of a metric", shown(name));
                return self.fault(FaultCode::BadMetricName, message);
            }
        };
        let (min, max) = match &metric {
            Metric::Known(no) => metric::info(*no).map_or((f64::MIN, f64::MAX), |info| (info.min, info.max)),
            Metric::Custom(_) => (f64::MIN, f64::MAX),
        };
        // Also false for NaN, which no comparison admits.
        if value >= min && value <= max {
            self.readings.push(RawReading { metric, value, at });
        } else {
            let message = format!("`{}` is outside {min}..{max}", shown(name));
            self.fault(FaultCode::OutOfRange, message);
        }
    }
}

/// A finite decimal number written as text, as careless firmware does. `NaN`, `inf` and hex stay text.
pub(crate) fn number_in_text(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plain {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}
