//! Flux texts. Nothing that a user or a device named gets in unescaped.

use sanimon_domain::{DeviceId, SiteCalendar, TimestampMs};

/// A string literal. Everything but plain letters, digits and harmless signs is written byte by byte.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// A time literal.
fn time(at: TimestampMs) -> String {
    format!("time(v: {})", at.0.saturating_mul(1_000_000))
}

/// Devices above which all are asked for and sorted out here: a filter of thousands is slower than the rest.
pub(super) const FILTER_DEVICES_MAX: usize = 64;

/// The points of a metric from one time up to but without another.
pub(super) fn source(
    bucket: &str,
    metric: &str,
    devices: &[DeviceId],
    from: TimestampMs,
    to: TimestampMs,
) -> String {
    let mut flux = format!(
        "from(bucket: {}) |> range(start: {}, stop: {}) |> filter(fn: (r) => r._field == {})",
        literal(bucket),
        time(from),
        time(to),
        literal(metric)
    );
    if devices.len() <= FILTER_DEVICES_MAX {
        let names: Vec<String> =
            devices.iter().map(|id| format!("r.device == {}", literal(id.as_str()))).collect();
        flux.push_str(&format!(" |> filter(fn: (r) => {})", names.join(" or ")));
    }
    flux
}

/// Makes days and months those of the site.
pub(super) fn location(calendar: SiteCalendar) -> String {
    format!(
        "import \"timezone\"\noption location = timezone.location(name: {})\n",
        literal(calendar.zone_name())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        for evil in ["\" or true", "${r._value}", "a\\", "line\nbreak", "\u{0}"] {
            let literal = literal(evil);
            let inner = &literal[1..literal.len() - 1];
            assert!(!inner.contains(['"', '$', '{', '\n', ' ', '\u{0}']), "{literal}");
        }
        assert_eq!(literal("bin-7"), "\"bin-7\"");
        assert_eq!(literal("箱"), "\"\\xe7\\xae\\xb1\"");
    }
}
