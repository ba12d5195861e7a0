//! Values under foreign names.

use serde_json::Value;

use crate::budget::{PATH_BYTES_MAX, cut, joined};
use crate::formats::Binding;
use crate::sample::{SampleTime, Samples, number_in_text};

/// Collects the values of one device.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) binding: &'a Binding,
    pub(super) samples: Samples,
}

impl<'a> Values<'a> {
    pub(super) fn new(binding: &'a Binding) -> Self {
        Self { binding, samples: Samples::default() }
    }

    /// A field under its own name. Words for yes and no are 1 and 0; other texts are told as an event.
    pub(super) fn put(&mut self, name: &str, value: &Value, at: SampleTime) {
        if !self.samples.next_field() {
            return;
        }
        let (metric, scale) = self.binding.named(name);
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::Bool(is) => Some(f64::from(u8::from(*is))),
            Value::String(text) => word(text).or_else(|| number_in_text(text)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        match (number, value) {
            (Some(number), _) => self.samples.value(&metric, scale.apply(number), at),
            (None, Value::String(text)) => self.samples.event(&metric, "text", Some(text)),
            _ => {}
        }
    }

    /// All fields of an object; names of objects inside stand before their fields' names.
    pub(super) fn put_all(&mut self, prefix: &str, body: &Value, at: SampleTime) {
        match body {
            // What is beyond the limit needs no name.
            Value::Object(fields) if self.samples.has_all_fields() => {
                fields.values().for_each(|value| self.put_all("", value, at));
            }
            Value::Array(items) if self.samples.has_all_fields() => {
                items.iter().for_each(|value| self.put_all("", value, at));
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.put_all(&joined(prefix, key), value, at);
                }
            }
            Value::Array(items) => {
                let prefix = cut(prefix, PATH_BYTES_MAX);
                for (index, value) in items.iter().enumerate() {
                    self.put_all(&format!("{prefix}_{}", index + 1), value, at);
                }
            }
            leaf => self.put(prefix, leaf, at),
        }
    }
}

/// Words for yes and no.
fn word(text: &str) -> Option<f64> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "open" | "opened" | "alarm" => Some(1.0),
        "off" | "false" | "no" | "close" | "closed" | "normal" => Some(0.0),
        _ => None,
    }
}
