//! The native payload: one JSON object or an array of them, `ts` optional, every other field a metric.

use std::borrow::Cow;
use std::fmt;

use sanimon_domain::{Fault, FaultCode, TimestampMs};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::heard::Body;
use crate::sample::{Field, Samples};
use crate::senml;

/// Decodes an object, a backlog of objects, or a SenML pack (told apart by its reserved labels).
pub(crate) fn telemetry(payload: &[u8], received: TimestampMs) -> (Body, Vec<Fault>) {
    let mut message = Message::default();
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let parsed = TopLevel(&mut message).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let samples = match parsed {
        Err(error) => {
            // A message that breaks off is not trusted in part: what follows the break is unknown.
            let text = format!("not JSON: {error}");
            return (Body::Nothing, vec![Fault::new(FaultCode::NotJson, text)]);
        }
        Ok(()) if message.is_senml => senml::decode(payload, received),
        Ok(()) => message.samples,
    };
    if samples.readings.is_empty() {
        let mut faults = samples.faults;
        if faults.is_empty() {
            faults.push(Fault::new(FaultCode::Empty, "the message holds no metric"));
        }
        return (Body::Nothing, faults);
    }
    (Body::Telemetry(samples.readings), samples.faults)
}

#[derive(Debug, Default)]
struct Message {
    samples: Samples,
    is_senml: bool,
}

/// JSON text whose escapes, if any, were undone; borrowed otherwise.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
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
    let first = message.samples.readings.len();
    let mut at = None;
    while let Some(Key(name)) = map.next_key()? {
        let field: Field = map.next_value()?;
        match &*name {
            "ts" => at = time(&field, &mut message.samples),
            // SenML's labels for the base name, the name, the version: no metric is called so.
            "bn" | "n" | "bver" if place == Place::InArray => message.is_senml = true,
            name => message.samples.field(name, &field, None),
        }
    }
    // `ts` may stand anywhere in the object.
    for reading in &mut message.samples.readings[first..] {
        reading.at = at;
    }
    Ok(())
}

fn time(field: &Field, samples: &mut Samples) -> Option<TimestampMs> {
    let at = match field {
        Field::Number(number) => TimestampMs::from_unix_by_magnitude(*number),
        Field::Text(text) => TimestampMs::parse_rfc3339(text.trim()).or_else(|| {
            text.trim().parse::<i64>().ok().and_then(|n| TimestampMs::from_unix_by_magnitude(n as f64))
        }),
        Field::Null => return None,
        Field::Bool(_) | Field::Nested => None,
    };
    if at.is_none() {
        let message = "`ts` is neither RFC 3339 nor Unix time; the time of receipt is used".to_owned();
        samples.fault(FaultCode::BadTime, message);
    }
    at
}
