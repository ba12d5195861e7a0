//! The native topic: `sanitation/{district}/{kind}/{device}/telemetry` or `/status`.

use sanimon_domain::{DeviceId, DeviceKind, Fault, FaultCode};

use crate::report::Sender;

/// The longest district in bytes: it only fills the form of a device not known yet.
const DISTRICT_BYTES_MAX: usize = 128;
/// How much of a foreign topic a fault repeats.
const SHOWN_CHARS_MAX: usize = 80;

/// What the last level of the topic announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Telemetry,
    Status,
}

/// The first `SHOWN_CHARS_MAX` characters with control characters made visible.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

pub(crate) fn parse(topic: &str) -> Result<(Sender, Channel), Fault> {
    let mut levels = topic.split('/');
    let (Some("sanitation"), Some(district), Some(kind), Some(device), Some(channel), None) =
        (levels.next(), levels.next(), levels.next(), levels.next(), levels.next(), levels.next())
    else {
        return Err(unknown("it is not `sanitation/{district}/{kind}/{device}/telemetry`"));
    };
    let channel = match channel {
        "telemetry" => Channel::Telemetry,
        "status" => Channel::Status,
        other => {
            return Err(unknown(&format!("`{}` is neither `telemetry` nor `status`", shown(other))));
        }
    };
    let Some(kind) = DeviceKind::parse(kind) else {
        return Err(unknown(&format!("the kind `{}` is none of bin, drain and toilet", shown(kind))));
    };
    if district.is_empty() || district.len() > DISTRICT_BYTES_MAX || district.chars().any(char::is_control) {
        return Err(unknown("the district is empty, too long or has control characters"));
    }
    let device =
        DeviceId::new(device).map_err(|error| Fault::new(FaultCode::BadDeviceId, error.to_string()))?;
    let sender = Sender { device, district: district.into(), kind: Some(kind), name: None, model: None };
    Ok((sender, channel))
}

fn unknown(why: &str) -> Fault {
    Fault::new(FaultCode::UnknownTopic, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_s_topic_gives_district_kind_and_device() {
        let (sender, channel) = parse("sanitation/east/bin/b-1/telemetry").expect("a sound topic");
        assert_eq!((&*sender.district, sender.kind), ("east", Some(DeviceKind::Bin)));
        assert_eq!((sender.device.as_str(), channel), ("b-1", Channel::Telemetry));
    }

    #[test]
    fn every_other_topic_is_a_fault_that_says_what_is_wrong() {
        let long = format!("sanitation/east/bin/{}/telemetry", "x".repeat(500));
        for (topic, code) in [
            ("", FaultCode::UnknownTopic),
            ("sanitation", FaultCode::UnknownTopic),
            ("sanitation/east/bin/b-1", FaultCode::UnknownTopic),
            ("sanitation/east/bin/b-1/telemetry/x", FaultCode::UnknownTopic),
            ("sanitation/east/bin/b-1/other", FaultCode::UnknownTopic),
            ("sanitation/east/lamp/b-1/telemetry", FaultCode::UnknownTopic),
            ("sanitation//bin/b-1/telemetry", FaultCode::UnknownTopic),
            ("Sanitation/east/bin/b-1/telemetry", FaultCode::UnknownTopic),
            ("sanitation/east/bin//telemetry", FaultCode::BadDeviceId),
            ("sanitation/east/bin/a\u{7}b/telemetry", FaultCode::BadDeviceId),
            (long.as_str(), FaultCode::BadDeviceId),
        ] {
            assert_eq!(parse(topic).expect_err(topic).code, code, "{topic}");
        }
    }
}
