//! What one device says: the one place where a value becomes a reading or a fault.

use std::borrow::Cow;
use std::collections::HashSet;

use sanimon_domain::{Fault, FaultCode, Metric, TimestampMs, metric, units};

use crate::budget::{self, Budget, admits};
use crate::report::{DeviceEvent, RawFrame};
use crate::topic::shown;

/// A value as the device sent it: not yet calibrated, its time not yet judged.
#[derive(Debug, Clone, PartialEq)]
pub struct RawReading {
    pub metric: Metric,
    pub value: f64,
    /// The device's own time.
    pub at: SampleTime,
    /// Which of the message's samples it belongs to: the element of a backlog, counted from 0. Two readings of one metric
    /// with different numbers are two readings, whatever their times.
    pub sample: u32,
}

/// What a message says of a sample's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SampleTime {
    Given(TimestampMs),
    /// The device gives none.
    #[default]
    Missing,
    /// The device gives one that cannot be read.
    Unreadable,
}

impl SampleTime {
    pub fn given(self) -> Option<TimestampMs> {
        match self {
            Self::Given(at) => Some(at),
            Self::Missing | Self::Unreadable => None,
        }
    }

    /// What was read of a time that is there.
    pub(crate) fn read(at: Option<TimestampMs>) -> Self {
        at.map_or(Self::Unreadable, Self::Given)
    }

    /// The other one where this one is not given.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Given(_), _) | (Self::Unreadable, Self::Missing) => self,
            _ => other,
        }
    }
}

/// A field's value before it is judged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field<'a> {
    Number(f64),
    Bool(bool),
    Text(Cow<'a, str>),
    /// A text beyond the limit, which is counted already.
    LongText,
    Null,
    Nested,
}

/// What one device says, within the limits of a message.
#[derive(Debug, Default)]
pub struct Samples {
    pub(crate) readings: Vec<RawReading>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) events: Vec<DeviceEvent>,
    pub(crate) frame: Option<Box<RawFrame>>,
    pub(crate) budget: Budget,
    /// The number of the current sample.
    sample: u32,
    /// Elements of the message so far.
    elements: usize,
    /// Fields of the current element so far.
    fields: usize,
    /// Names in the current sample of a list of records.
    named: HashSet<Box<str>>,
}

impl Samples {
    /// Begins the next element of a list; false beyond the limit. What is not in a list is the sample 0.
    pub(crate) fn next_sample(&mut self) -> bool {
        if !admits(self.elements, budget::ELEMENTS_MAX, &mut self.budget.met.elements) {
            return false;
        }
        self.sample = self.elements as u32;
        self.elements += 1;
        self.fields = 0;
        true
    }

    /// Begins the next element of a list whose elements have one value each: they are one sample until a name comes again.
    pub(crate) fn next_record(&mut self, name: &str) -> bool {
        if !admits(self.elements, budget::ELEMENTS_MAX, &mut self.budget.met.elements) {
            return false;
        }
        self.elements += 1;
        self.fields = 0;
        let name = budget::cut(name, budget::PATH_BYTES_MAX);
        if !self.named.insert(name.into()) {
            self.named.clear();
            self.named.insert(name.into());
            self.sample += 1;
        }
        true
    }

    /// A further element would be beyond the limit.
    pub(crate) fn has_all_elements(&self) -> bool {
        self.elements >= budget::ELEMENTS_MAX
    }

    /// Takes note of one more field of the current element; false beyond the limit.
    pub(crate) fn next_field(&mut self) -> bool {
        self.budget.work.fields += 1;
        let is_admitted = admits(self.fields, budget::FIELDS_MAX, &mut self.budget.met.fields);
        self.fields += usize::from(is_admitted);
        is_admitted
    }

    /// A further field would be beyond the limit.
    pub(crate) fn has_all_fields(&self) -> bool {
        self.fields >= budget::FIELDS_MAX
    }

    pub(crate) fn fault(&mut self, code: FaultCode, message: impl Into<String>) {
        self.budget.keep_fault(&mut self.faults, Fault::new(code, message));
    }

    /// An event about a metric or the device.
    pub(crate) fn event(&mut self, about: &str, what: &str, detail: Option<&str>) {
        if self.has_metric_length(about)
            && admits(self.events.len(), budget::EVENTS_MAX, &mut self.budget.met.events)
        {
            self.events.push(DeviceEvent::new(about, what, detail));
        }
    }

    /// The device's own frame; a longer one than any device sends is left out.
    pub(crate) fn frame(&mut self, frame: RawFrame) {
        if frame.bytes.len() > budget::FRAME_BYTES_MAX {
            self.budget.met.frames += 1;
        } else {
            self.frame = Some(Box::new(frame));
        }
    }

    /// The same time, and a fault for one that cannot be read. `name` is what the field is called.
    pub(crate) fn time(&mut self, name: &str, at: SampleTime) -> SampleTime {
        if at == SampleTime::Unreadable {
            let message =
                format!("`{}` is no time that can be read; the time of receipt is used", shown(name));
            self.fault(FaultCode::BadTime, message);
        }
        at
    }

    /// A named field: a number, a boolean, or a number as text becomes a reading.
    pub(crate) fn field(&mut self, name: &str, field: &Field<'_>, at: SampleTime) {
        let found = match field {
            Field::Number(value) => return self.value(name, *value, at),
            Field::Bool(value) => return self.value(name, f64::from(u8::from(*value)), at),
            Field::Text(text) => match number_in_text(text) {
                Some(value) => return self.value(name, value, at),
                None => "a text that is not a number",
            },
            Field::LongText => return,
            Field::Null => "null",
            Field::Nested => "an object or array",
        };
        self.fault(FaultCode::WrongType, format!("`{}` is {found}, not a number", shown(name)));
    }

    /// A number under a name: kept if the metric can have it.
    pub(crate) fn value(&mut self, name: &str, value: f64, at: SampleTime) {
        if !self.has_metric_length(name)
            || !admits(self.readings.len(), budget::READINGS_MAX, &mut self.budget.met.readings)
        {
            return;
        }
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
            self.readings.push(RawReading { metric, value, at, sample: self.sample });
        } else {
            let message = match metric {
                Metric::Known(_) => format!("`{}` is outside {min}..{max}", shown(name)),
                Metric::Custom(_) => format!("`{}` is no finite number", shown(name)),
            };
            self.fault(FaultCode::OutOfRange, message);
        }
    }

    /// False for a name that is longer than any metric's: it is counted, and its value left out.
    fn has_metric_length(&mut self, name: &str) -> bool {
        let is_short = name.len() <= budget::NAME_BYTES_MAX;
        self.budget.met.names += u32::from(!is_short);
        is_short
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
