//! Reading JSON fields in one pass, without building a tree and without keeping more than the limits.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::budget::{Budget, TEXT_BYTES_MAX};
use crate::sample::Field;

/// A field's name; its escapes, if any, were undone.
pub(crate) enum Key<'de> {
    Name(Cow<'de, str>),
    /// Longer than the seed allows: not kept.
    TooLong,
}

/// Reads a name of so many bytes at most.
pub(crate) struct KeySeed(pub(crate) usize);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(if text.len() > self.0 { Key::TooLong } else { Key::Name(Cow::Borrowed(text)) })
    }

    fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(if text.len() > self.0 { Key::TooLong } else { Key::Name(Cow::Owned(text.to_owned())) })
    }
}

/// Whether a field has this name, without keeping it.
pub(crate) struct IsKey(pub(crate) &'static str);

impl<'de> DeserializeSeed<'de> for IsKey {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(text == self.0)
    }
}

/// Reads any value; of objects and lists it only says that they are.
pub(crate) struct FieldSeed<'a>(pub(crate) &'a mut Budget);

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = Field<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl FieldSeed<'_> {
    fn long_text(self) -> Field<'static> {
        self.0.met.texts += 1;
        Field::LongText
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Field<'de>, E> {
        Ok(Field::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Field<'de>, E> {
        Ok(Field::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Field<'de>, E> {
        Ok(Field::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Field<'de>, E> {
        Ok(Field::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Field<'de>, E> {
        Ok(if value.len() > TEXT_BYTES_MAX { self.long_text() } else { Field::Text(Cow::Borrowed(value)) })
    }

    fn visit_str<E>(self, value: &str) -> Result<Field<'de>, E> {
        Ok(if value.len() > TEXT_BYTES_MAX {
            self.long_text()
        } else {
            Field::Text(Cow::Owned(value.to_owned()))
        })
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<'de>, A::Error> {
        skip_elements(seq)?;
        Ok(Field::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<'de>, A::Error> {
        skip_fields(map)?;
        Ok(Field::Nested)
    }
}

/// Skips the rest of a list and says how many elements it had.
pub(crate) fn skip_elements<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<u32, A::Error> {
    let mut count = 0;
    while seq.next_element::<IgnoredAny>()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Skips the rest of an object and says how many fields it had.
pub(crate) fn skip_fields<'de, A: MapAccess<'de>>(mut map: A) -> Result<u32, A::Error> {
    let mut count = 0;
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
        count += 1;
    }
    Ok(count)
}
