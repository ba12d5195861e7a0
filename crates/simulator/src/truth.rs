//! What really happened, for those who judge what was seen.

use sanimon_domain::TimestampMs;

/// A kind of happening. Each has a start and, when it is over, an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TruthKind {
    /// A bin at 98 % or more.
    Overflow,
    Fire,
    /// A drain at 95 % of its depth or more.
    Flood,
    CoverOpen,
    /// A toilet above 0.3 mg/m³ (0.43 ppm) of ammonia.
    Odour,
    Leak,
    /// A gateway that forwards nothing; the device is the gateway's name.
    GatewayOutage,
    /// A device that is out of reach by itself; it keeps its reports for later.
    Away,
    /// A bin emptied, a toilet cleaned: start and end are one.
    Service,
}

impl TruthKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Fire => "fire",
            Self::Flood => "flood",
            Self::CoverOpen => "cover_open",
            Self::Odour => "odour",
            Self::Leak => "leak",
            Self::GatewayOutage => "gateway_outage",
            Self::Away => "away",
            Self::Service => "service",
        }
    }
}

/// The start or the end of a happening.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    pub at: TimestampMs,
    pub device: String,
    pub kind: TruthKind,
    pub begins: bool,
}

impl Truth {
    /// One line of the truth file.
    pub fn to_json(&self) -> String {
        let (at, kind, phase) = (self.at, self.kind.as_str(), if self.begins { "begin" } else { "end" });
        serde_json::json!({ "at": at.to_string(), "device": self.device, "kind": kind, "phase": phase })
            .to_string()
    }
}

/// Collects starts and ends, so that a state that lasts is told once.
#[derive(Debug, Default)]
pub(crate) struct TruthLog(pub(crate) Vec<Truth>);

impl TruthLog {
    /// Notes a change between `was` and `is`.
    pub(crate) fn change(&mut self, at: TimestampMs, device: &str, kind: TruthKind, was: bool, is: bool) {
        if was != is {
            self.0.push(Truth { at, device: device.to_owned(), kind, begins: is });
        }
    }

    pub(crate) fn instant(&mut self, at: TimestampMs, device: &str, kind: TruthKind) {
        self.0.push(Truth { at, device: device.to_owned(), kind, begins: true });
    }
}
