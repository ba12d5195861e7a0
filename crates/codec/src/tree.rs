//! A JSON message as a tree that is no larger than the limits.
//!
//! Envelopes look things up in any order, so they need the message as a whole. What is beyond a limit is skipped by the
//! parser without being kept: a list or an object has fewer entries then, a text is cut, and what is nested too deep is null.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::budget::{self, Budget, ELEMENTS_MAX, NESTING_MAX, NODES_MAX, OBJECT_NODES, TEXT_BYTES_MAX};
use crate::json::{Key, KeySeed, skip_elements, skip_fields};

/// What the fields of the outermost object are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outermost {
    Fields,
    /// ThingsBoard's gateways name their devices there; its devices their values.
    FieldsOrDevices,
}

impl Outermost {
    const fn fields_max(self) -> usize {
        match self {
            Self::Fields => budget::FIELDS_MAX,
            Self::FieldsOrDevices => budget::DEVICES_MAX,
        }
    }
}

/// A message as far as it was read.
pub(crate) struct Tree {
    pub(crate) body: Value,
    pub(crate) budget: Budget,
    /// What was left out of an outermost object of [`Outermost::FieldsOrDevices`]: not counted yet.
    pub(crate) left_out: u32,
}

/// Reads a message to its end.
pub(crate) fn read(payload: &[u8], outermost: Outermost) -> Result<Tree, serde_json::Error> {
    let mut reader = Reader { outermost, nodes: 0, left_out: 0, budget: Budget::default() };
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let body = Node { reader: &mut reader, depth: 1 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    reader.budget.work.nodes = reader.nodes as u64;
    Ok(Tree { body, budget: reader.budget, left_out: reader.left_out })
}

struct Reader {
    outermost: Outermost,
    nodes: usize,
    left_out: u32,
    budget: Budget,
}

/// A value at a depth; the outermost has 1.
struct Node<'r> {
    reader: &'r mut Reader,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.reader.nodes += 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        // The mark at the end of a cut text is no digit of a frame: half a frame is never read as one.
        self.reader.budget.met.texts += u32::from(value.len() > TEXT_BYTES_MAX);
        Ok(Value::String(budget::shortened(value, TEXT_BYTES_MAX)))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Self { reader, depth } = self;
        if depth > NESTING_MAX {
            reader.budget.met.nested += 1;
            skip_elements(seq)?;
            return Ok(Value::Null);
        }
        let mut items = Vec::new();
        while reader.nodes < NODES_MAX && items.len() < ELEMENTS_MAX {
            match seq.next_element_seed(Node { reader: &mut *reader, depth: depth + 1 })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
        let left_out = skip_elements(seq)?;
        let met = &mut reader.budget.met;
        *(if items.len() < ELEMENTS_MAX { &mut met.nodes } else { &mut met.elements }) += left_out;
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Self { reader, depth } = self;
        if depth > NESTING_MAX {
            reader.budget.met.nested += 1;
            skip_fields(map)?;
            return Ok(Value::Null);
        }
        let meaning = if depth == 1 { reader.outermost } else { Outermost::Fields };
        let fields_max = meaning.fields_max();
        let mut fields = Map::new();
        let mut count = 0;
        while reader.nodes < NODES_MAX && count < fields_max {
            let Some(key) = map.next_key_seed(KeySeed(budget::PATH_BYTES_MAX))? else {
                return Ok(Value::Object(fields));
            };
            reader.budget.work.fields += 1;
            count += 1;
            match key {
                Key::TooLong => {
                    reader.budget.met.names += 1;
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Name(name) => {
                    reader.nodes += if fields.is_empty() { OBJECT_NODES } else { 0 };
                    let value = map.next_value_seed(Node { reader: &mut *reader, depth: depth + 1 })?;
                    fields.insert(name.into_owned(), value);
                }
            }
        }
        let left_out = skip_fields(map)?;
        reader.budget.work.fields += u64::from(left_out);
        let met = &mut reader.budget.met;
        *(match () {
            () if count < fields_max => &mut met.nodes,
            () if meaning == Outermost::FieldsOrDevices => &mut reader.left_out,
            () => &mut met.fields,
        }) += left_out;
        Ok(Value::Object(fields))
    }
}
