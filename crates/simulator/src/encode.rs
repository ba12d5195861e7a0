//! The native payload, written by hand: numbers with as many digits as a sensor has.

use std::fmt::Write;

use sanimon_domain::TimestampMs;

/// A reading in the making: its metric, its value, and the digits after the point.
pub(crate) type Measure = (&'static str, f64, usize);

/// One JSON object: `ts` in Unix milliseconds, then the measures.
pub(crate) fn object(at: TimestampMs, measures: &[Measure]) -> String {
    let mut json = format!("{{\"ts\":{}", at.0);
    for (name, value, digits) in measures {
        // Writing to a String cannot fail.
        let _ = write!(json, ",\"{name}\":{value:.digits$}");
    }
    json.push('}');
    json
}

/// A backlog: an array of objects.
pub(crate) fn array(objects: &[String]) -> String {
    format!("[{}]", objects.join(","))
}
