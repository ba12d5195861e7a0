//! Sensor Measurement Lists in JSON: RFC 8428.

use sanimon_domain::{FaultCode, TimestampMs};
use serde::Deserialize;

use crate::sample::{Field, Samples};

/// Times below 2^28 seconds are relative to the receipt (RFC 8428, section 4.5.3).
const RELATIVE_BELOW_S: f64 = 268_435_456.0;

/// One SenML record with the labels of RFC 8428, section 4.3.
#[derive(Debug, Default, Deserialize)]
struct Record {
    bn: Option<String>,
    bt: Option<f64>,
    bu: Option<String>,
    bv: Option<f64>,
    bver: Option<u32>,
    n: Option<String>,
    u: Option<String>,
    v: Option<f64>,
    vb: Option<bool>,
    vs: Option<String>,
    vd: Option<String>,
    s: Option<f64>,
    t: Option<f64>,
}

#[derive(Debug, Default)]
struct Base {
    name: String,
    time_s: f64,
    unit: Option<String>,
    value: f64,
}

/// Decodes a pack: base fields hold for all records that follow them.
pub(crate) fn decode(payload: &[u8], received: TimestampMs) -> Samples {
    let mut samples = Samples::default();
    let records: Vec<Record> = match serde_json::from_slice(payload) {
        Ok(records) => records,
        Err(error) => {
            samples.fault(FaultCode::WrongShape, format!("not a SenML pack: {error}"));
            return samples;
        }
    };
    let mut base = Base::default();
    for record in records {
        if record.bver.is_some_and(|version| version != 10) {
            samples.fault(FaultCode::WrongShape, "a SenML version other than 10".to_owned());
            return samples;
        }
        one(record, &mut base, received, &mut samples);
    }
    samples
}

fn one(record: Record, base: &mut Base, received: TimestampMs, samples: &mut Samples) {
    if let Some(name) = record.bn {
        base.name = name;
    }
    base.time_s = record.bt.unwrap_or(base.time_s);
    base.value = record.bv.unwrap_or(base.value);
    if record.bu.is_some() {
        base.unit = record.bu;
    }
    let name = format!("{}{}", base.name, record.n.as_deref().unwrap_or_default());
    // A name carries the device before the measure: `urn:dev:mac:0024befffe804ff1:temperature`.
    let measure = name.rsplit([':', '/']).next().unwrap_or_default();
    let unit = record.u.as_deref().or(base.unit.as_deref());
    let at = resolve_time(base.time_s + record.t.unwrap_or(0.0), received);
    let field = match (record.v, record.vb, record.vs, record.vd, record.s) {
        (Some(value), ..) => Field::Number(base.value + value),
        (_, Some(value), ..) => Field::Bool(value),
        (_, _, Some(text), ..) => Field::Text(text),
        (_, _, _, Some(_), _) | (.., Some(_)) => Field::Nested,
        // A record of base fields only prepares the ones that follow.
        _ => return,
    };
    match (&field, converted(measure, unit)) {
        (Field::Number(value), Some((metric, factor, offset))) => {
            samples.value(metric, value * factor + offset, at);
        }
        _ => samples.field(measure, &field, at),
    }
}

/// No time at all is "now", which is the receipt's business and not the codec's.
fn resolve_time(time_s: f64, received: TimestampMs) -> Option<TimestampMs> {
    if time_s == 0.0 {
        None
    } else if time_s.abs() < RELATIVE_BELOW_S {
        Some(received.plus_ms((time_s * 1000.0).round() as i64))
    } else {
        TimestampMs::from_unix_by_magnitude(time_s)
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
