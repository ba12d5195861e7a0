//! The native payload: one JSON object or an array of them, `ts` optional, every other field a metric.

use std::fmt;

use sanimon_domain::{FaultCode, TimeReader};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::budget::{self, Budget};
use crate::json::{FieldSeed, IsKey, Key, KeySeed, skip_elements};
use crate::sample::{Field, SampleTime, Samples};
use crate::senml;

/// The field with a sample's time.
const TIME: &str = "ts";

/// Decodes an object, a backlog of objects, or a SenML pack (told apart by its reserved labels).
pub(crate) fn telemetry(payload: &[u8], times: TimeReader) -> Samples {
    let mut message = Message { samples: Samples::default(), times, is_senml: false };
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let parsed = TopLevel(&mut message).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let mut samples = match parsed {
        Err(error) => {
            // A message that breaks off is not trusted in part: what follows the break is unknown.
            let mut samples = Samples::default();
            samples.fault(FaultCode::NotJson, format!("not JSON: {}", budget::brief(&error)));
            return samples;
        }
        Ok(()) if message.is_senml => {
            let mut samples = senml::decode(payload, times.received());
            samples.budget.add(Budget { work: message.samples.budget.work, ..Budget::default() });
            samples
        }
        Ok(()) => message.samples,
    };
    if samples.readings.is_empty() && samples.faults.is_empty() && samples.budget.met.is_zero() {
        samples.fault(FaultCode::Empty, "the message holds no metric");
    }
    samples
}

struct Message {
    samples: Samples,
    times: TimeReader,
    is_senml: bool,
}

struct TopLevel<'a>(&'a mut Message);

impl<'de> DeserializeSeed<'de> for TopLevel<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Values that are neither an object nor an array: refused with the word for what was found.
macro_rules! refuse_scalars {
    ($what:literal) => {
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            self.wrong_shape("a boolean", $what);
            Ok(())
        }
        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            self.wrong_shape("a number", $what);
            Ok(())
        }
        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            self.wrong_shape("a number", $what);
            Ok(())
        }
        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            self.wrong_shape("a number", $what);
            Ok(())
        }
        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            self.wrong_shape("a text", $what);
            Ok(())
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            self.wrong_shape("null", $what);
            Ok(())
        }
    };
}

impl TopLevel<'_> {
    fn wrong_shape(self, found: &str, place: &str) {
        wrong_shape(self.0, found, place);
    }
}

fn wrong_shape(message: &mut Message, found: &str, place: &str) {
    let text = format!("{place} is {found}, not an object with metrics");
    message.samples.fault(FaultCode::WrongShape, text);
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    refuse_scalars!("the payload");

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        object(self.0, map, Place::Alone)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Element(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

struct Element<'a>(&'a mut Message);

impl Element<'_> {
    fn wrong_shape(self, found: &str, place: &str) {
        wrong_shape(self.0, found, place);
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // A pack is read once more, by its own rules.
        if self.0.is_senml || !self.0.samples.next_sample() {
            return IgnoredAny::deserialize(deserializer).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    refuse_scalars!("an element of the array");

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        object(self.0, map, Place::InArray)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        skip_elements(seq)?;
        self.wrong_shape("an array", "an element of the array");
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Alone,
    InArray,
}

fn object<'de, A: MapAccess<'de>>(message: &mut Message, mut map: A, place: Place) -> Result<(), A::Error> {
    let samples = &mut message.samples;
    let first = samples.readings.len();
    let mut at = SampleTime::Missing;
    while !samples.has_all_fields() {
        let Some(key) = map.next_key_seed(KeySeed(budget::NAME_BYTES_MAX))? else { break };
        samples.next_field();
        let Key::Name(name) = key else {
            samples.budget.met.names += 1;
            map.next_value::<IgnoredAny>()?;
            continue;
        };
        let field = map.next_value_seed(FieldSeed(&mut samples.budget))?;
        match &*name {
            TIME => at = time(&field, message.times, samples),
            // SenML's labels for the base name, the name, the version: no metric is called so.
            "bn" | "n" | "bver" if place == Place::InArray => message.is_senml = true,
            name => samples.field(name, &field, SampleTime::Missing),
        }
    }
    // Of what is beyond the limit only the time is of use: without it, all readings would have the receipt's.
    while samples.has_all_fields()
        && let Some(is_time) = map.next_key_seed(IsKey(TIME))?
    {
        if is_time {
            let field = map.next_value_seed(FieldSeed(&mut samples.budget))?;
            at = time(&field, message.times, samples);
        } else {
            samples.next_field();
            map.next_value::<IgnoredAny>()?;
        }
    }
    // `ts` may stand anywhere in the object.
    for reading in &mut samples.readings[first..] {
        reading.at = at;
    }
    Ok(())
}

fn time(field: &Field<'_>, times: TimeReader, samples: &mut Samples) -> SampleTime {
    let at = match field {
        Field::Number(number) => SampleTime::read(times.number(*number)),
        Field::Text(text) => SampleTime::read(times.text(text)),
        Field::Null => SampleTime::Missing,
        Field::Bool(_) | Field::LongText | Field::Nested => SampleTime::Unreadable,
    };
    samples.time(TIME, at)
}
