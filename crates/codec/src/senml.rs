//! Sensor Measurement Lists in JSON: RFC 8428.

use std::fmt;

use sanimon_domain::{FaultCode, TimestampMs};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::budget;
use crate::json::skip_elements;
use crate::sample::{Field, SampleTime, Samples};

/// Times below 2^28 seconds are relative to the receipt (RFC 8428, section 4.5.3).
const RELATIVE_BELOW_S: f64 = 268_435_456.0;
/// The version of RFC 8428.
const VERSION: u32 = 10;

/// One SenML record with the labels of RFC 8428, section 4.3.
#[derive(Debug, Default, serde::Deserialize)]
struct Record {
    bn: Option<Name>,
    bt: Option<f64>,
    bu: Option<Text>,
    bv: Option<f64>,
    bver: Option<u32>,
    n: Option<Name>,
    u: Option<Text>,
    v: Option<f64>,
    vb: Option<bool>,
    vs: Option<Text>,
    vd: Option<Text>,
    s: Option<f64>,
    t: Option<f64>,
}

/// The part of a name that says what is measured: `temperature` of `urn:dev:mac:0024befffe804ff1:temperature`.
#[derive(Debug, Default, Clone)]
struct Name {
    measure: String,
    /// The device, or a part of it, stood before: the base name says nothing more of the measure.
    is_whole: bool,
}

/// A text as far as it is looked at.
#[derive(Debug)]
struct Text {
    text: String,
    is_long: bool,
}

/// Reads a text without keeping more than the visitor wants of it.
struct TextVisitor<T>(fn(&str) -> T);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(self.0(text))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(|text| {
            let parts = text.rsplit_once([':', '/']);
            // A name that is cut stays too long for a metric.
            let measure = budget::shortened(parts.map_or(text, |(_, last)| last), budget::NAME_BYTES_MAX);
            Self { measure, is_whole: parts.is_some() }
        }))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(|text| Self {
            text: budget::cut(text, budget::TEXT_BYTES_MAX).to_owned(),
            is_long: text.len() > budget::TEXT_BYTES_MAX,
        }))
    }
}

#[derive(Debug, Default)]
struct Base {
    name: Name,
    time_s: f64,
    unit: Option<String>,
    value: f64,
}

/// Decodes a pack: base fields hold for all records that follow them.
pub(crate) fn decode(payload: &[u8], received: TimestampMs) -> Samples {
    let mut pack = Pack { samples: Samples::default(), base: Base::default(), received, is_foreign: false };
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let parsed = deserializer.deserialize_seq(&mut pack).and_then(|()| deserializer.end());
    if let Err(error) = parsed {
        // Base fields that cannot be read would give wrong values to all that follows.
        let mut samples = Samples::default();
        samples.budget.work = pack.samples.budget.work;
        samples.fault(FaultCode::WrongShape, format!("not a SenML pack: {}", budget::brief(&error)));
        return samples;
    }
    pack.samples
}

/// A pack that is being read, record by record.
struct Pack {
    samples: Samples,
    base: Base,
    received: TimestampMs,
    /// A record of another version: nothing from it on is understood.
    is_foreign: bool,
}

impl<'de> Visitor<'de> for &mut Pack {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while !self.is_foreign && !self.samples.has_all_elements() {
            let Some(record) = seq.next_element::<Record>()? else { return Ok(()) };
            self.record(record);
        }
        let left_out = skip_elements(seq)?;
        self.samples.budget.met.elements += if self.is_foreign { 0 } else { left_out };
        Ok(())
    }
}

impl Pack {
    fn record(&mut self, record: Record) {
        let Self { samples, base, .. } = self;
        if record.bver.is_some_and(|version| version != VERSION) {
            samples.fault(FaultCode::WrongShape, "a SenML version other than 10");
            self.is_foreign = true;
            return;
        }
        if let Some(name) = record.bn {
            base.name = name;
        }
        base.time_s = record.bt.unwrap_or(base.time_s);
        base.value = record.bv.unwrap_or(base.value);
        if let Some(unit) = record.bu {
            base.unit = Some(unit.text);
        }
        let own = record.n.unwrap_or_default();
        let measure =
            if own.is_whole { own.measure } else { format!("{}{}", base.name.measure, own.measure) };
        let unit = record.u.as_ref().map(|unit| &*unit.text).or(base.unit.as_deref());
        let field = match (record.v, record.vb, record.vs, record.vd, record.s) {
            (Some(value), ..) => Field::Number(base.value + value),
            (_, Some(value), ..) => Field::Bool(value),
            (_, _, Some(text), ..) if text.is_long => {
                samples.budget.met.texts += 1;
                Field::LongText
            }
            (_, _, Some(text), ..) => Field::Text(text.text.into()),
            (_, _, _, Some(_), _) | (.., Some(_)) => Field::Nested,
            // A record of base fields only prepares the ones that follow.
            _ => return,
        };
        samples.next_record(&measure);
        let at = samples.time("t", resolve_time(base.time_s + record.t.unwrap_or(0.0), self.received));
        match (&field, converted(&measure, unit)) {
            (Field::Number(value), Some((metric, factor, offset))) => {
                samples.value(metric, value * factor + offset, at);
            }
            _ => samples.field(&measure, &field, at),
        }
    }
}

/// No time at all is "now", which is the receipt's business and not the codec's.
fn resolve_time(time_s: f64, received: TimestampMs) -> SampleTime {
    if time_s == 0.0 {
        SampleTime::Missing
    } else if time_s.abs() < RELATIVE_BELOW_S {
        SampleTime::Given(received.plus_ms((time_s * 1000.0).round() as i64))
    } else {
        SampleTime::read(TimestampMs::from_unix_by_magnitude(time_s))
    }
}

/// Our metric for a measure in a unit of the SenML registry, with `value * factor + offset`.
fn converted(measure: &str, unit: Option<&str>) -> Option<(&'static str, f64, f64)> {
    Some(match (measure, unit?) {
        ("temperature_c" | "temperature" | "temp" | "", "Cel") => ("temperature_c", 1.0, 0.0),
        ("temperature_c" | "temperature" | "temp" | "", "K") => ("temperature_c", 1.0, -273.15),
        ("humidity_pct" | "humidity" | "hum" | "", "%RH") => ("humidity_pct", 1.0, 0.0),
        ("battery_pct" | "battery" | "", "%EL") => ("battery_pct", 1.0, 0.0),
        ("battery_v" | "battery" | "voltage", "V") => ("battery_v", 1.0, 0.0),
        ("distance_mm" | "distance", "m") => ("distance_mm", 1000.0, 0.0),
        ("level_mm" | "level", "m") => ("level_mm", 1000.0, 0.0),
        ("distance", "mm") => ("distance_mm", 1.0, 0.0),
        ("level", "mm") => ("level_mm", 1.0, 0.0),
        ("fill" | "fill_pct", "/") => ("fill_pct", 100.0, 0.0),
        ("level" | "level_pct", "/") => ("level_pct", 100.0, 0.0),
        ("fill", "%") => ("fill_pct", 1.0, 0.0),
        ("level", "%") => ("level_pct", 1.0, 0.0),
        ("weight" | "mass", "kg") => ("weight_kg", 1.0, 0.0),
        ("rssi", "dBW") => ("rssi_dbm", 1.0, 30.0),
        ("" | "ph", "pH") => ("ph", 1.0, 0.0),
        _ => return None,
    })
}
