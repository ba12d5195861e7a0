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

/// Devices above which all are asked for and sorted out here. Measured with 2,000 devices: a filter of 500 takes a third
/// of the time that all take, one of 1,000 takes longer than all.
const FILTER_DEVICES_MAX: usize = 500;

/// The points of a metric from one time up to but without another. There may be points of other devices among them.
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
    match devices {
        [one] => {
            flux.push_str(&format!(" |> filter(fn: (r) => r.device == {})", literal(one.as_str())));
        }
        some if some.len() <= FILTER_DEVICES_MAX => {
            // InfluxDB refuses a hundred `or`s as nested too deep, and looks a pattern up in its index.
            let names: Vec<String> = some.iter().map(|id| pattern(id.as_str())).collect();
            flux.push_str(&format!(" |> filter(fn: (r) => r.device =~ /^({})$/)", names.join("|")));
        }
        _ => {}
    }
    flux
}

/// A name in a pattern. A sign that may mean something there stands for any sign: what it lets in besides is sorted
/// out by its name.
fn pattern(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | ':') { c } else { '.' }).collect()
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

    #[test]
    fn a_name_cannot_leave_its_pattern() {
        assert_eq!(pattern("a)$/) |> drop(x\\|b*[c]\n"), "a........drop.x..b..c..");
        assert_eq!(pattern("箱-7_b:c.d"), "箱-7_b:c.d");
    }
}
