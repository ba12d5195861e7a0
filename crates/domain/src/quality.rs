//! How far a reading is to be trusted, and why.

use crate::device::words;

words! {
    /// `good` ones are telemetry and rules see them. The others are kept beside it, with their reason.
    Quality {
        Good => "good",
        /// A number that may be right: it waits for the next one, or for somebody who looks.
        Suspect => "suspect",
        /// No number of what it should measure.
        Bad => "bad",
    }
}

words! {
    /// Why a reading is not simply believed.
    Reason {
        /// The device's own word for "nothing measured".
        Sentinel => "sentinel",
        OutOfRange => "out_of_range",
        /// Nearer to the sensor's head than it can measure.
        BlindZone => "blind_zone",
        /// A gas sensor that is not ready yet.
        WarmUp => "warm_up",
        /// A jump that the next reading did not confirm, or has not yet.
        Spike => "spike",
        /// The same to the last digit for longer than anything real stays so.
        Frozen => "frozen",
        ClockWrong => "clock_wrong",
        Duplicate => "duplicate",
        CounterReset => "counter_reset",
    }
}

impl Reason {
    /// What is said of a reading for this reason.
    pub const fn quality(self) -> Quality {
        match self {
            Self::Sentinel | Self::OutOfRange | Self::WarmUp => Quality::Bad,
            Self::BlindZone
            | Self::Spike
            | Self::Frozen
            | Self::ClockWrong
            | Self::Duplicate
            | Self::CounterReset => Quality::Suspect,
        }
    }

    /// What a device's own word says of the reading that it did not give.
    pub fn of_event(what: &str) -> Option<Self> {
        Some(match what {
            "warming_up" => Self::WarmUp,
            "blind_zone" => Self::BlindZone,
            "no_target" | "sensor_fault" | "out_of_range" | "over_range" | "disabled" | "no_sensor"
            | "not_a_number" => Self::Sentinel,
            _ => return None,
        })
    }
}

/// Whether a device's own word says that it is broken, and not just that it measured nothing.
pub fn is_fault(what: &str) -> bool {
    matches!(what, "sensor_fault" | "modbus_fault" | "calibration_failed" | "fault_alarm")
}
