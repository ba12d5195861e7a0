//! How far a reading is trusted, and what it means for its device. Pure: a device's entry, what was known, a value.

pub(crate) mod calibration;
pub(crate) mod derived;
pub(crate) mod plausibility;
